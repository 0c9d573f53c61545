/* The reference of the pipeline file, written from the decode tables. docs/pipeline-file.md holds
 * it between the two marks below; a test compares the two. */
#pragma once

#include "base/buf.h"

#define REFERENCE_BEGIN "<!-- generated from the decode tables: begin -->\n"
#define REFERENCE_END   "<!-- generated from the decode tables: end -->\n"

/* Adds the sections, one for each map of the file, as Markdown. */
void reference_markdown(struct buf *out);
