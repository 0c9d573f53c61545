/* The queue of a server: what is submitted is written into the store, started when it is its turn,
 * and followed until it has ended (docs/adr/0046-a-server-starts-runs-and-reads-their-records.md).
 *
 *     queue_open(ctx, history, &launcher, &options, &queue, err)   finds what earlier servers left
 *     queue_submit(ctx, queue, &submission, id, err)               is on the disk when it returns
 *     queue_cancel(ctx, queue, id, &cancel, err)
 *     queue_drain(queue), queue_wait_idle(ctx, queue, err)         before the end, if wanted
 *     queue_close(queue)                                           runs go on
 *
 * The store decides who starts a run; what is in memory is a copy of what waits there. A submission
 * waits until one server has taken it, by a change that only one can make; it runs once the process
 * that the launcher forks for it has made the record. A server that dies in between leaves a row
 * that is taken, by nobody who lives, without a record: it waits again. Whether a server lives
 * tells a file that it keeps locked, DIR/servers/NAME in the history; what was taken by one that
 * has no such file here is another machine's.
 *
 * Order: by priority; among those of the same, clients take turns; for each client by time. At most
 * max_concurrent runs go on at once, and per_client of one client. Runs that a server before this
 * one has started count; those of another that lives, and of other machines, do not.
 *
 * A run has these states in the store: pending (waiting, or being started), running, and how it
 * ended. What a record says is in the store some 100 ms later.
 *
 * Threads: any number may use one queue, until queue_close() begins. It has a thread of its own,
 * which calls back, and which alone uses the launcher but for `cancel`, and another one, which
 * writes what is submitted. The history must outlive it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"
#include "history/history.h"
#include "own/own.h"
#include "queue/submission.h"

#define QUEUE_MAX_CONCURRENT 2
#define QUEUE_MAX_WAITING    100000

/* --- the launcher, as the queue sees it --- */

struct queue_start {
    const char *id;
    const char *file;
    const char *name;
    const char *client;
    const struct submission_options *options;
};

struct queue_cancel {
    const char *reason; /* NULL: none */
    const char *by;     /* who asks */
    bool hurry;         /* what runs is not given time to end by itself */
};

enum queue_told_kind {
    QUEUE_BEGUN, /* its record is there */
    /* It could not begin. ERR_CONFLICT: it has begun before, and has a record; ERR_UNAVAILABLE: it
     * may another time, and is started again. */
    QUEUE_REFUSED,
    QUEUE_ENDED, /* its process has ended, whatever the record says */
};

struct queue_told {
    enum queue_told_kind kind;
    char id[OWN_RUN_ID_SIZE];
    enum err_code code; /* of QUEUE_REFUSED */
    const char *text;   /* of QUEUE_REFUSED: why, in one line or several; until the next call */
    int wait_status;    /* of QUEUE_ENDED, as waitpid() gives it */
};

struct queue_launcher {
    /* Has a process begin that run; what comes of it is told later. ERR_LOST, ERR_UNAVAILABLE: the
     * launcher is gone; what err_is_short() knows: another time it may; others: this run cannot be
     * started. */
    int (*start)(const struct ctx *ctx, void *arg, const struct queue_start *start,
                 struct err *err);
    /* Readable when there is something to be told. */
    int (*fd)(void *arg);
    /* 1: *ret is what was told; 0: nothing now; -1: the launcher is gone, and no run can be started
     * any more. */
    int (*next)(void *arg, struct queue_told *ret, struct err *err);
    /* Has a run that has begun end, whoever started it, and waits for its answer. From any thread.
     * ERR_CONFLICT: it has ended. */
    int (*cancel)(const struct ctx *ctx, void *arg, const char *id,
                  const struct queue_cancel *cancel, struct err *err);
    void *arg;
};

/* --- the queue --- */

struct queue_options {
    unsigned max_concurrent; /* 0: QUEUE_MAX_CONCURRENT */
    unsigned per_client;     /* 0: no limit but that */
    size_t max_waiting;      /* more are refused; 0: QUEUE_MAX_WAITING */
    /* A run has another state: it waits, is started, has ended. May be NULL. No lock is held;
     * queue_*() may be called, but for queue_close(). */
    void (*changed)(void *arg, const char *id, enum state state);
    /* A run that has not ended was held at a server that is gone: from now on this one has to see
     * to it that its client comes back. Once, while queue_open() is going on or later; as with
     * `changed` no lock is held. May be NULL. */
    void (*left)(void *arg, const char *id);
    /* Nothing can be started any more, because the launcher is gone; once. What has been begun is
     * still followed. May be NULL. */
    void (*fatal)(void *arg, const struct err *err);
    void *arg;
};

struct queue;

/* `options` may be NULL; what it and the launcher point to must outlive the queue. */
int queue_open(const struct ctx *ctx, struct history *history,
               const struct queue_launcher *launcher, const struct queue_options *options,
               struct queue **ret, struct err *err) __attribute__((warn_unused_result));
/* Starts nothing and follows nothing any more, and refuses what is submitted; who is in a call
 * comes back soon. For owners that can only then await the end of their other threads. NULL is
 * fine. */
void queue_stop(struct queue *queue);
/* Stops it if it has not been. What is taken and has not been handed to the launcher waits again.
 * NULL is fine. */
void queue_close(struct queue *queue);

#define CLEANUP_QUEUE CLEANUP(queue_cleanup)
static inline void queue_cleanup(struct queue **queue)
{
    queue_close(*queue);
}

/* ERR_LIMIT: a pipeline file of so many bytes is too large, which needs no look into it. */
int queue_check_size(size_t size, struct err *err) __attribute__((warn_unused_result));
/* ERR_LIMIT: too many wait already, or queue_check_size(); ERR_UNAVAILABLE: the queue is draining,
 * or the store does not answer; others of the store. ERR_CANCELLED, ERR_TIMEOUT: the context ended,
 * which is not waited beyond, whatever the store does. After an error nothing is run: what the
 * store comes to write later is taken back, and who asks again submits another run. Unless this
 * process ends before the store could be told so, or a server elsewhere took the run before that.
 */
int queue_submit(const struct ctx *ctx, struct queue *queue, const struct submission *submission,
                 char ret_id[OWN_RUN_ID_SIZE], struct err *err) __attribute__((warn_unused_result));
/* The same file and options as a run of this store had; `client` and `priority` are those of who
 * asks. ERR_NOT_FOUND; ERR_UNSUPPORTED, for a run that was not submitted. */
int queue_rerun(const struct ctx *ctx, struct queue *queue, const char *id, const char *client,
                int64_t priority, char ret_id[OWN_RUN_ID_SIZE], struct err *err)
    __attribute__((warn_unused_result));

/* What waits is cancelled when it returns; what runs has been told. ERR_NOT_FOUND; ERR_CONFLICT: it
 * has ended already; ERR_UNSUPPORTED: it runs on another machine. */
int queue_cancel(const struct ctx *ctx, struct queue *queue, const char *id,
                 const struct queue_cancel *cancel, struct err *err)
    __attribute__((warn_unused_result));

/* Its place among those that wait here, from 1; 0: it does not wait (any more). */
size_t queue_position(struct queue *queue, const char *id);

struct queue_item {
    char id[OWN_RUN_ID_SIZE];
    size_t position; /* 0: it is being started, or runs */
    bool running;    /* it has begun */
    int64_t priority;
    int64_t submitted_ms;
};

struct queue_items {
    struct queue_item *items;
    size_t len;
    size_t cap;
    size_t total;
};

#define CLEANUP_QUEUE_ITEMS CLEANUP(queue_items_release)
void queue_items_release(struct queue_items *items);

/* What runs, and then what waits, in the order of starting. `ret` is zeroed, and the caller's. */
void queue_list(struct queue *queue, size_t offset, size_t limit, struct queue_items *ret);

struct queue_stats {
    int64_t total; /* of all runs in the store */
    int64_t pending;
    int64_t running;
    int64_t succeeded;
    int64_t failed;
    int64_t cancelled;
    int64_t skipped;
    size_t waiting; /* here, not started */
    size_t max_concurrent;
    size_t current_concurrent; /* started here, or by a server before, and not ended */
};

int queue_stats(const struct ctx *ctx, struct queue *queue, struct queue_stats *ret,
                struct err *err) __attribute__((warn_unused_result));

/* From now on; runs that go on do not end because there are fewer. 0: QUEUE_MAX_CONCURRENT. */
void queue_set_max_concurrent(struct queue *queue, unsigned max_concurrent);

/* Nothing is accepted and nothing started any more; what waits stays in the store. */
void queue_drain(struct queue *queue);
/* Until no run is being started or goes on; with nothing that drains that may be only for a moment.
 */
int queue_wait_idle(const struct ctx *ctx, struct queue *queue, struct err *err)
    __attribute__((warn_unused_result));
