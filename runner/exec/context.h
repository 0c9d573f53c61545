/* What a step is told about the run that it is part of. */
#pragma once

#include "base/buf.h"
#include "exec/job.h"

/* Adds the document of the step `index` as it is known now; docs/plugins.md describes it. */
void context_document(const struct job_run *j, uint32_t index, const struct lowering *step,
                      struct buf *out);
