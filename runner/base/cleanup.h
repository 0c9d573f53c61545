/* Scope-bound release of resources.
 *
 * Each module defines, beside its type, a CLEANUP_<TYPE> attribute; a variable declared with it is
 * released when it goes out of scope. steal_ptr() and steal_fd() take a value out of such a
 * variable, usually in the return statement that hands it to the caller. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn)  __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD   CLEANUP(cleanup_fd)
#define CLEANUP_FILE CLEANUP(cleanup_file)

/* Takes the pointer out of *pp (a pointer variable), leaving NULL. */
#define steal_ptr(pp)                                                                              \
    ({                                                                                             \
        __typeof__(*(pp)) steal_ptr_value = *(pp);                                                 \
        *(pp) = NULL;                                                                              \
        steal_ptr_value;                                                                           \
    })

static inline int steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

static inline void cleanup_free(void *pp)
{
    free(*(void **)pp);
}

static inline void cleanup_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_file(FILE **file)
{
    if (*file)
        fclose(*file);
}
