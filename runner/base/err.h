/* Errors as values.
 *
 * A function that can fail takes a caller-owned `struct err *` as its last parameter and returns 0
 * or -1 (or NULL). The function that detects a failure fills it in one line,
 *
 *     return err_set(err, ERR_NOT_FOUND, "image %s does not exist; pull it first", name);
 *
 * and everyone above propagates it untouched, or adds a prefix with err_wrap() when crossing into
 * another layer. A message is one line: what failed, where, what to do. `err` may be NULL where the
 * caller only wants to know that it failed. A step's non-zero exit is a result, not an err. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum err_code {
    ERR_NONE,
    ERR_INVALID,     /* what the user wrote is wrong */
    ERR_NOT_FOUND,   /* a named thing does not exist */
    ERR_CONFLICT,    /* a thing exists already or is in the wrong state */
    ERR_DENIED,      /* authentication or permission */
    ERR_UNAVAILABLE, /* an engine or service cannot be reached */
    ERR_TIMEOUT,     /* a deadline passed */
    ERR_CANCELLED,   /* somebody asked to stop */
    ERR_LIMIT,       /* a configured or built-in limit was exceeded */
    ERR_LOST,        /* contact was lost: the outcome is unknown */
    ERR_IMAGE_PULL,  /* an image could not be had */
    ERR_PROTOCOL,    /* a peer said something that cannot be understood */
    ERR_SYSTEM,      /* a system call failed; errnum says how */
    ERR_UNSUPPORTED, /* known, but not possible here */
};

#define ERR_MESSAGE_SIZE 1024

struct err {
    enum err_code code;
    int errnum; /* errno of ERR_SYSTEM and failed connections, HTTP status of ERR_* from an HTTP
                   peer */
    char message[ERR_MESSAGE_SIZE];
};

#define ERR_INIT                                                                                   \
    {                                                                                              \
        .code = ERR_NONE                                                                           \
    }

/* Each fills *err (when not NULL) and returns -1. A message that is too long is cut, and
 * control characters in it become "?". */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* ERR_SYSTEM with ": strerror(errno)" behind the message. */
int err_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "prefix: " before the message that is already there; the code stays. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void err_clear(struct err *err);
/* Whoever was asked is not there, or not any more: ERR_UNAVAILABLE, ERR_LOST. */
static inline bool err_is_away(const struct err *err)
{
    return err->code == ERR_UNAVAILABLE || err->code == ERR_LOST;
}
/* A system call had too little of something, descriptors, memory or processes, of which there may
 * be more in a moment: it says nothing of what was asked. */
bool err_is_short(const struct err *err);
/* A stable lower-case name, e.g. "not_found". */
const char *err_code_name(enum err_code code);
