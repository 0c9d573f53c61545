/* Forked processes: copies of this program that run a function instead of executing another one
 * (the keeper, the supervisors of steps). A fork costs a fraction of loading the program again.
 * Only a single-threaded process may fork one. */
#pragma once

#include <stddef.h>

/* To be called first in the child. Nothing of the parent stays open or attached: standard
 * descriptors become /dev/null, all others but `keep` and the log file are closed (a child that
 * held the parent's standard output would keep `runner | cat` waiting), the working directory is /,
 * the session is new, terminal and termination signals are ignored. `name` is what ps shows, 15
 * characters. */
void forked_isolate(const char *name, const int *keep, size_t keep_count);

/* Of that only the closing, for a child that is otherwise as its parent. */
void forked_close_others(const int *keep, size_t keep_count);

/* Ends the process without running what the parent has registered for its own exit. */
void forked_exit(int code) __attribute__((noreturn));
