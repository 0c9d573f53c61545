/* The little that the helper needs of a C library. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memset(void *to, int value, size_t len);
size_t strlen(const char *s);
bool str_equal(const char *a, const char *b);
bool has_prefix(const char *s, const char *prefix);
const char *find_char(const char *s, char c); /* NULL: not there */

/* Zeroed pages of their own; ends the helper when there are none. */
void *map_memory(size_t size);
/* Zeroed memory that is never given back. */
void *allocate(size_t size);
/* One string of the given parts, up to NULL. */
char *join(const char *first, ...);
/* Value of KEY in a vector of "KEY=VALUE", or NULL. */
const char *env_get(char *const *env, const char *key);

/* "runner: cannot WHAT NAME: WHY" and a newline, in one write to standard error, then the exit.
 * `why` may be NULL. */
_Noreturn void fail(int code, const char *what, const char *name, const char *why);
/* The text of the errnos that people meet here; error is negative, as system calls return it. */
const char *error_text(long error);

/* 0 when all of it was read, or written; 1 at the end of the input before the first byte. */
int read_all(int fd, void *to, size_t len);
int write_all(int fd, const void *from, size_t len);
