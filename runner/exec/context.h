/* What a step is told about the run that it is part of. */
#pragma once

#include "base/buf.h"
#include "exec/lowering.h"

struct job_run;

/* Adds the document of the step `index` as it is known now; docs/plugins.md describes it. */
void context_document(const struct job_run *j, uint32_t index, const struct lowering *step,
                      struct buf *out);

/* What runs: the runnable of a step with that document in its place, if it wants it. */
struct context_runnable {
    struct runnable runnable;
    struct placed_file file;
    struct buf document;
};

/* *ret borrows from `step` and must not be moved. */
void context_runnable_make(const struct job_run *j, uint32_t index, const struct lowering *step,
                           struct context_runnable *ret);
void context_runnable_release(struct context_runnable *what);
