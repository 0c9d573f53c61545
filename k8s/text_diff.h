/* The difference of two texts as a unified diff, with three lines of context. Pure.
 * Source: E. W. Myers, "An O(ND) Difference Algorithm and Its Variations" (1986); diff(1), "Unified
 * Format". */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

/* Adds nothing, and returns false, when they are the same. Texts that differ in very many lines are
 * shown as taken away and put there whole, between what they begin and end with. */
bool text_diff_add(struct buf *out, const char *old_name, const char *new_name,
                   const char *old_text, const char *new_text);
