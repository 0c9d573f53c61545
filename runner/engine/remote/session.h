/* Running one program by the helper that a lane leads to.
 *
 * A connection may break at any moment, and is made again; the lane sees to it that no byte is lost
 * or comes twice. When the helper cannot be reached any more, because what it runs in has ended or
 * nothing was heard of it for the length of its lease, there is no record.
 *
 *     remote_session_init(&session, lane, &watch, runnable, output);
 *     switch (remote_session_run(ctx, &session, workdir, err)) {
 *     case SESSION_EXITED:  helped_record(&session.helped, …)
 *     case SESSION_LOST:    session.why says why
 *     case SESSION_STOPPED: ctx has ended, or the deadline has struck there; err
 *     case SESSION_FAILED:  it has not begun; err
 *     }
 *     reusable = remote_session_release(&session);
 *
 * Threads: one at a time. */
#pragma once

#include "engine/helped.h"
#include "engine/remote/lane.h"

/* Who hears in another way what becomes of the machine behind the lane. */
struct remote_watch {
    int fd; /* readable when there is news */
    void (*heard)(void *arg);
    /* Whether it has ended, for all that is known, and how. Asked while there is no connection. */
    bool (*ended)(void *arg, struct err *why);
    void *arg;
};

struct remote_session {
    struct lane *lane;
    const struct remote_watch *watch;
    struct helped helped;
    uint64_t request_at; /* where the request begins in the input of the channel */
    struct err why;      /* of SESSION_LOST */
};

enum remote_session_end { SESSION_FAILED = -1, SESSION_EXITED, SESSION_LOST, SESSION_STOPPED };

/* The lane is the caller's alone; all are borrowed. watch NULL: there is none. */
void remote_session_init(struct remote_session *session, struct lane *lane,
                         const struct remote_watch *watch, const struct runnable *runnable,
                         struct output *output);
/* Whether the lane can be used again. */
bool remote_session_release(struct remote_session *session);

/* `workdir` is for a runnable that names none. When ctx ends first the program gets SIGTERM, and
 * SIGKILL after the grace; SESSION_STOPPED is returned once it has ended, or the helper has been
 * told to end everything. What came back of the returned files is given to the output. */
enum remote_session_end remote_session_run(const struct ctx *ctx, struct remote_session *session,
                                           const char *workdir, struct err *err)
    __attribute__((warn_unused_result));

/* Whether nothing of the request has left this machine: then the program has not begun. */
bool remote_session_unsent(const struct remote_session *session);

/* How the program ended that was to end; nothing if that cannot be had. */
void remote_session_record_end(const struct remote_session *session, struct exit_record *ret);
