/* Takes apart what comes back from a helper whose request had a HELPER_MARK (see request.h): the
 * program's output, and behind it what its files held and how it ended, in whatever pieces that
 * comes. Pure.
 *
 *     helper_reply_init(&reply);
 *     reply.changed = …                                      when one of those is live
 *     helper_reply_expect(&reply, max_bytes);                one for each HELPER_RETURN
 *     helper_request_string(&request, HELPER_MARK, reply.mark);
 *     …
 *     helper_reply_feed(&reply, HELPER_STDOUT, data, len, output, arg, &err)
 *     if (helper_reply_done(&reply)) … reply.code, reply.files …
 *     helper_reply_release(&reply);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"
#include "helper/request.h"

/* The mark: this byte and 32 hexadecimal digits, so that it can begin nowhere inside itself. */
#define HELPER_MARK_FIRST '\x1e'
#define HELPER_MARK_SIZE  34

enum helper_stream { HELPER_STDOUT, HELPER_STDERR };

/* What a file held. */
struct helper_file {
    size_t max_bytes;
    struct buf data;
    enum helper_returned state; /* once the reply is done */
};

/* One stream: how far it has been read. */
struct helper_scan {
    size_t matched;    /* characters of the mark that were seen last, and held back */
    char head[8];      /* of what comes behind the mark */
    size_t head_len;   /* complete or not */
    size_t data_left;  /* bytes of the present piece of a file */
    size_t file_count; /* files that have come whole */
    bool ending;       /* something has come behind the mark that no output can follow */
    bool done;
    int code;                   /* when done */
    bool timed_out;             /* likewise */
    bool out_of_memory;         /* likewise */
    bool changed;               /* what follows is a file that has changed, then output again */
    struct helper_file content; /* of that; max_bytes is the file's */
    size_t number;              /* likewise */
};

/* What a live HELPER_RETURN, counted from 0, holds, before the output that was written after it had
 * changed. `data` is gone when this returns. */
typedef void helper_changed_fn(void *arg, size_t number, enum helper_returned state,
                               const char *data, size_t size);

struct helper_reply {
    char mark[HELPER_MARK_SIZE];
    struct helper_scan scans[2]; /* by stream */
    VEC(struct helper_file)
    files;                      /* complete when standard output is done */
    helper_changed_fn *changed; /* NULL: nobody wants it */
    void *changed_arg;
};

typedef int helper_output_fn(void *arg, const char *data, size_t len, struct err *err);

/* Draws a mark. */
void helper_reply_init(struct helper_reply *reply);
void helper_reply_expect(struct helper_reply *reply, size_t max_bytes);
void helper_reply_release(struct helper_reply *reply);
/* Gives everything before the mark to output(), and its error back. ERR_PROTOCOL for anything that
 * does not belong behind the mark. */
int helper_reply_feed(struct helper_reply *reply, enum helper_stream stream, const char *data,
                      size_t len, helper_output_fn *output, void *arg, struct err *err)
    __attribute__((warn_unused_result));
/* When the streams have ended before the reply was done: what was held back and is the program's
 * for all that is known. */
int helper_reply_flush(struct helper_reply *reply, enum helper_stream stream,
                       helper_output_fn *output, void *arg, struct err *err)
    __attribute__((warn_unused_result));

/* Both streams have been read to the end of what the helper writes. */
static inline bool helper_reply_done(const struct helper_reply *reply)
{
    return reply->scans[0].done && reply->scans[1].done;
}

static inline int helper_reply_code(const struct helper_reply *reply)
{
    return reply->scans[0].code;
}

/* It had not ended by its deadline; its code is what it made of the signal. */
static inline bool helper_reply_timed_out(const struct helper_reply *reply)
{
    return reply->scans[0].timed_out;
}

/* The kernel has killed something of its container for want of memory while it ran. */
static inline bool helper_reply_out_of_memory(const struct helper_reply *reply)
{
    return reply->scans[0].out_of_memory;
}
