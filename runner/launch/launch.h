/* The launcher: a process of one thread that starts a process for each run
 * (docs/adr/0046-a-server-starts-runs-and-reads-their-records.md).
 *
 *     launcher_start(&options, &launcher, err)      before this process has other threads
 *     launcher_run(ctx, launcher, &request, err)    as often as wanted
 *     poll(launcher_fd(launcher)); while (launcher_next(launcher, &event, err) == 1) ...
 *     launcher_stop(launcher)
 *
 * It forks for each run, and executes nothing. That process is a session of its own: it makes the
 * plan, begins the run with the id that it was given, records it, runs it, and ends with its exit
 * status. It does not depend on the launcher, nor on who started that: when these end, or are
 * killed, runs go on to their ends. The launcher ends with its starter, and is not touched by the
 * signals that a terminal sends.
 *
 * For each request that was sent there is either one LAUNCH_REFUSED; or a LAUNCH_BEGAN and later a
 * LAUNCH_ENDED; or a LAUNCH_ENDED alone, for a process that was killed before it could say
 * anything. Nothing has run then: what runs has a record. Events of one run come in this order.
 *
 * Who has been killed and begins anew may not know whether a request was sent. To send it again is
 * safe: LAUNCH_REFUSED with ERR_CONFLICT means that this very run has begun already.
 *
 * Where the starter is in a container that may be killed with all that is in it, the launcher is
 * the first process of another one: it connects to the starter, and all else is the same. What it
 * has forked is killed when it ends; so it ends when the starter is gone *and* all runs have ended.
 *
 *     launcher_serve(&options, socket, err)    there, in a process of one thread
 *     launcher_attach(socket)                  here, instead of launcher_start()
 *
 * Or that process is there anyway, whoever the starter is, as another container of its pod is: it
 * listens, for one starter after the other, and its runs go on from one to the next. What is told
 * of a run is told to the starter that has sent it.
 *
 *     listener = launcher_listen(&place, err)     there, in a process of one thread
 *     launcher_serve_each(&options, &place, listener, drain_ms, err)
 *     launcher_connect(ctx, &place, &launcher, err)       here, instead of launcher_start()
 *
 * Threads: launcher_run() may be called by any number at a time, launcher_next() by one. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/ctx.h"
#include "own/own.h"
#include "prepare/prepare.h"
#include "run/run.h"

struct launcher;

/* The same for all runs. All of it is taken over by the fork, and need not outlive the call. */
struct launcher_options {
    /* Engines, step kinds, daemons, stores; not `id` and `mask`, which are those of each run. */
    struct run_options run;
    const char *history; /* where runs are recorded; NULL: the user's own */
    int64_t log_bytes;   /* how large the log of one may become; 0: the default */
};

struct launch_request {
    const char *run_id; /* own_run_make_id() */
    /* The pipeline file; may be megabytes. */
    const char *text;
    size_t size;
    const char *name;   /* what messages call it; NULL: "pipeline" */
    const char *origin; /* of the record: "server" … */
    const char *user;   /* of the record; NULL: not known */
    /* Absolute; the current directory of the run, made if it is not there. One that was made goes
     * with all that is in it after a success, like a workdir that exec made; NULL: "/". */
    const char *directory;
    /* What is said beside the file; `config` and `directory` do not count. NULL: nothing. Texts
     * must be UTF-8. */
    const struct prepare_args *args;
};

enum launch_kind { LAUNCH_BEGAN, LAUNCH_REFUSED, LAUNCH_ENDED };

enum { LAUNCH_TEXT_MAX = 16 * 1024 };

struct launch_event {
    enum launch_kind kind;
    char run_id[OWN_RUN_ID_SIZE];
    pid_t pid;  /* of the run; 0: none was started */
    int status; /* LAUNCH_ENDED: as waitpid() gives it */
    /* LAUNCH_REFUSED: why it could not begin. ERR_INVALID: what was submitted is wrong, and the
     * text may be lines of diagnostics; else it is one line. ERR_UNAVAILABLE: it may begin when it
     * is asked for again. */
    enum err_code code;
    const char *text; /* until the next call; "" of the other kinds */
};

/* To be called in a process of one thread. */
int launcher_start(const struct launcher_options *options, struct launcher **ret, struct err *err)
    __attribute__((warn_unused_result));
/* With a launcher elsewhere, at the other end of that socket (SOCK_SEQPACKET), which is taken over.
 */
struct launcher *launcher_attach(int socket);
/* Is the launcher at this end, which is taken over; returns when there is nothing to be done any
 * more. SIGTERM, which who stops a container sends, is passed on to all runs, which it cancels, and
 * nothing is started any more. To be called in a process of one thread. */
int launcher_serve(const struct launcher_options *options, int socket, struct err *err)
    __attribute__((warn_unused_result));
/* Where a launcher listens, and what it has in common with its starters: they look at the records
 * of the runs that it starts, and say which directories these get. All paths are absolute. */
struct launcher_place {
    const char *path; /* of the socket */
    const char *history;
    const char *workdir; /* where the directories of runs are */
};

/* Where starters connect, of this user alone; a socket that a launcher which was killed has left is
 * taken over. ERR_CONFLICT: a launcher listens there. */
int launcher_listen(const struct launcher_place *place, struct err *err)
    __attribute__((warn_unused_result));
/* Is the launcher for all that connect there, one after the other, in a process of one thread; the
 * listener is taken over. The first SIGTERM or SIGINT begins its end: nothing is started any more,
 * runs and the starter are waited for so long, and then the runs are cancelled; the second cancels
 * them at once. Returns when they have ended. */
int launcher_serve_each(const struct launcher_options *options, const struct launcher_place *place,
                        int listener, int64_t drain_ms, struct err *err)
    __attribute__((warn_unused_result));
/* With the launcher there; waits until it listens and is free, a minute at most. ERR_UNAVAILABLE:
 * it does not, or has another starter. ERR_CONFLICT: it is another program, of another version, or
 * for another history. */
int launcher_connect(const struct ctx *ctx, const struct launcher_place *place,
                     struct launcher **ret, struct err *err) __attribute__((warn_unused_result));
/* Sends a request; blocks while the launcher is behind with earlier ones. ERR_LOST: there is no
 * launcher any more. ERR_INVALID: the request is not one. */
int launcher_run(const struct ctx *ctx, struct launcher *launcher,
                 const struct launch_request *request, struct err *err)
    __attribute__((warn_unused_result));
/* Readable when there is an event, or when the launcher is gone. */
int launcher_fd(const struct launcher *launcher);
/* 1: *ret is the next event; 0: there is none at the moment; -1: the launcher is gone (ERR_LOST),
 * and nothing more will come: not even the ends of runs that it has started. */
int launcher_next(struct launcher *launcher, struct launch_event *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Its process, for messages and tests; 0: it is elsewhere. */
pid_t launcher_pid(const struct launcher *launcher);
/* Ends the launcher, and not the runs that go on; NULL is fine. */
void launcher_stop(struct launcher *launcher);
