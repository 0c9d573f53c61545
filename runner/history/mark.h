/* Marks: the runs that the store may not know the end of, so that nobody has to look at all others.
 * Internal to history/. */
#pragma once

#include "base/err.h"
#include "base/vec.h"

/* Returns a descriptor, or -1. As long as that is open nobody takes the mark for one that was left
 * behind: its record is on the way. */
int mark_add(const char *dir, const char *run_id, struct err *err)
    __attribute__((warn_unused_result));
void mark_remove(const char *dir, const char *run_id);
/* A descriptor of a mark that no record is on the way for, and none can be as long as it is open;
 * -1: there is no such mark. */
int mark_take(const char *dir, const char *run_id);
/* Adds the ids of all; none of a history that nothing was ever recorded in. */
int marks_list(const char *dir, struct strvec *out, struct err *err)
    __attribute__((warn_unused_result));
