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
/* Decimal digits, and nothing else; false: it is no number. */
bool parse_number(const char *text, unsigned long *ret);
/* Value of KEY in a vector of "KEY=VALUE", or NULL. */
const char *env_get(char *const *env, const char *key);

/* "runner: cannot WHAT NAME: WHY" and a newline, in one write to standard error, then the exit.
 * `why` may be NULL. */
_Noreturn void fail(int code, const char *what, const char *name, const char *why);
/* The text of the errnos that people meet here; error is negative, as system calls return it. */
const char *error_text(long error);

/* Of the monotonic clock. */
long now_ms(void);
/* Waits until something is there or the moment comes; -1: for ever. The number of descriptors that
 * something is there of. */
struct pollfd;
long poll_until(struct pollfd *fds, size_t count, long until_ms);
void set_nonblocking(int fd);
/* So much at once has most likely filled a pipe of the usual size. */
#define PIPE_FULL_BYTES (48 << 10)
/* To more than what a program writes at once, so that fewer turns are taken; if that is allowed,
 * and it is not as large already. All pipes of a user have a limit together: one that has never
 * been full is left as it is. */
void enlarge_pipe(int fd);
/* Sets it to -1. */
void close_fd(int *fd);
/* The result of a read or a write that is to be tried again. */
bool is_again(long result);

/* 0 when all of it was read, or written; 1 at the end of the input before the first byte. */
int read_all(int fd, void *to, size_t len);
int write_all(int fd, const void *from, size_t len);
/* The last word of a command that has done its work. */
int say_done(void);
/* A directory and those that it is in; what is wrong shows when it is used. */
void make_directories(char *path);
