/* Allocation that does not fail: out of memory ends the process with a message on standard error.
 *
 * For sizes the program itself chooses. What a user or a peer sizes must be capped first. */
#pragma once

#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xcalloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xreallocarray(void *ptr, size_t count, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* As xstrdup, but NULL gives NULL. */
char *xstrdup_null(const char *s) __attribute__((malloc, warn_unused_result));
char *xstrndup(const char *s, size_t len)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), returns_nonnull, warn_unused_result));
