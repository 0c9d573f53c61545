/* Secrets, and texts without them.
 *
 * A mask is a set of values that must not be seen. What goes through it comes out with every
 * occurrence of a value, in any of its forms (forms.h), replaced by MASK_TEXT. Bytes that several
 * occurrences cover are covered once, and what is covered without a gap becomes one MASK_TEXT, so
 * that of secrets that hold or overlap each other nothing remains. Everything else passes exactly.
 *
 *     mask_add(mask, value, len);
 *
 *     mask_stream_init(&stream, mask);                    one for each stream of bytes
 *     mask_stream_write(&stream, data, size, emit, arg);  any pieces; the cuts change nothing
 *     mask_stream_finish(&stream, emit, arg);
 *
 * A stream holds back what may be the beginning of an occurrence until that is decided: at most
 * the length of the longest form, and nothing that cannot be one. A value that is added while a
 * stream goes on counts from the next write on, for what is held back, too.
 *
 * Threads: a mask may be used and added to by several threads at a time; a stream is of one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/vec.h"

#define MASK_TEXT "***"

enum {
    MASK_VALUE_MIN = 4, /* shorter values would hide half of an output, and are easily guessed */
    MASK_VALUE_MAX = 16 * 1024,
    MASK_TOTAL_MAX = 256 * 1024, /* of all values */
};

enum mask_result {
    MASK_ADDED, /* or it was there before */
    MASK_TOO_SHORT,
    MASK_TOO_LARGE, /* it, or all values together */
};

struct mask;
struct matcher;

struct mask *mask_new(void) __attribute__((returns_nonnull));
/* No stream may be left. NULL is fine. */
void mask_free(struct mask *mask);
/* Any bytes. Of a value of several lines each line that is long enough is a value, too. */
enum mask_result mask_add(struct mask *mask, const void *value, size_t len);
/* Adds the password of "scheme://user:password@host", if the URL has one. */
void mask_add_url(struct mask *mask, const char *url);
/* Quick. NULL as mask, here and below: there are no secrets. */
bool mask_is_empty(const struct mask *mask);
/* The text without secrets, which the caller frees; NULL: it has none. */
char *mask_text(struct mask *mask, const char *text);

#define CLEANUP_MASK CLEANUP(mask_cleanup)

static inline void mask_cleanup(struct mask **mask)
{
    mask_free(*mask);
}

/* Bytes from `at` to `end` of a stream, counted from its beginning. */
struct mask_span {
    uint64_t at;
    uint64_t end;
};

struct mask_stream {
    struct mask *mask;
    struct matcher *matcher; /* a reference; NULL: there was no secret yet */
    unsigned version;        /* how many values it knows */
    uint32_t state;          /* of the matcher, behind the last byte */
    bool in_span;            /* the last byte that went out was covered */
    uint64_t released;       /* bytes that are decided, and where `held` begins */
    struct buf held;         /* those that are not */
    VEC(struct mask_span)
    spans; /* covered, not yet released; in order, and apart */
};

/* Gets what passes, in order; never with size 0. */
typedef void (*mask_emit_fn)(void *arg, const char *data, size_t size);

void mask_stream_init(struct mask_stream *stream, struct mask *mask);
void mask_stream_write(struct mask_stream *stream, const char *data, size_t size, mask_emit_fn emit,
                       void *arg);
/* Emits what is held back: the beginning of something that has not come. */
void mask_stream_finish(struct mask_stream *stream, mask_emit_fn emit, void *arg);
void mask_stream_release(struct mask_stream *stream);
