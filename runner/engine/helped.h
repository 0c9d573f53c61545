/* One runnable that the helper runs, in whatever container: the request that asks for it, and what
 * comes back, taken apart and given on. How the bytes travel is the engine's affair.
 *
 *     helped_init(&helped, runnable, output);
 *     if (helped_request(&helped, &how, err) < 0) ...
 *     ... helped.request is sent ...
 *     helped_begun(&helped);                            // once it has been
 *     helped_feed(&helped, HELPER_STDOUT, data, len, err)
 *     if (helped_done(&helped))
 *         helped_record(&helped, &record);
 *     helped_give_back(&helped);
 *     helped_release(&helped);
 *
 * Threads: one at a time. */
#pragma once

#include "engine/engine.h"
#include "helper/helper.h"
#include "helper/reply.h"

#define HELPED_HEAD_SIZE 512

struct helped {
    const struct runnable *runnable;
    struct output *output;
    const struct ctx *ctx; /* bounds the writes to output; see struct output */
    struct buf request;
    struct helper_reply reply;
    const char *not_found;       /* the runnable's, if its argv is what runs; NULL: none */
    bool begun;                  /* said so */
    char head[HELPED_HEAD_SIZE]; /* how standard error begins: the helper's own messages stand
                                  * there */
    size_t head_len;             /* may grow beyond HELPED_HEAD_SIZE, then it is none */
};

/* What only the engine knows of it. */
struct helped_how {
    const char *const *entrypoint;    /* of the image, in front of argv; NULL: none */
    const char *const *arguments;     /* in place of an argv that is NULL */
    const char *workdir;              /* if the runnable names none; NULL: the container's */
    int64_t deadline_ms;              /* from its start, enforced by the helper; 0: none */
    bool bare;                        /* there is no container, and the helper has the runnable's
                                       * environment already … */
    const struct strmap *environment; /* … but for this; NULL: nothing */
};

/* Both are borrowed. */
void helped_init(struct helped *helped, const struct runnable *runnable, struct output *output);
void helped_release(struct helped *helped);
/* Fills helped->request. ERR_LIMIT when that becomes too large. */
int helped_request(struct helped *helped, const struct helped_how *how, struct err *err)
    __attribute__((warn_unused_result));
/* The program has begun to run, as far as we know; tells the output once. */
void helped_begun(struct helped *helped);
int helped_feed(struct helped *helped, enum helper_stream stream, const char *data, size_t len,
                struct err *err) __attribute__((warn_unused_result));
/* When nothing more will come: what was held back goes to the output. */
int helped_flush(struct helped *helped, struct err *err) __attribute__((warn_unused_result));

static inline bool helped_done(const struct helped *helped)
{
    return helper_reply_done(&helped->reply);
}

/* How the program ended; of one that could not be run the helper's words are the detail. `code` is
 * helper_reply_code(), or what is known from elsewhere. */
void helped_record(const struct helped *helped, int code, struct exit_record *ret);
/* The kernel killed something of it for want of memory: reason and detail, such as "killed: out of
 * memory (limit 64 MiB)"; limit_bytes 0: not known. */
void helped_record_oom(int64_t limit_bytes, struct exit_record *ret);
/* Gives what the returned files hold to the output; nothing unless it is done. */
void helped_give_back(struct helped *helped);
