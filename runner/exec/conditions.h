/* The conditions that the file writes on something: `if` and `when`. Source: pipeline file
 * reference, section 3, and docs/flow.md. */
#pragma once

#include "exec/admission.h"

/* Whether all of them hold; *ret is true to begin with. When one does not, `why` gets a line for
 * people. -1: one cannot be evaluated. */
int conditions_hold(const struct admission_question *question, bool *ret, struct buf *why,
                    struct err *err) __attribute__((warn_unused_result));
