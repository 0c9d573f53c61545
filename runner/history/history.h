/* What is known of all runs: their records, and the store that follows them
 * (docs/adr/0044-a-run-is-a-record-that-the-store-follows.md).
 *
 *     DIR/runs/RUNID/   the records
 *     DIR/runs.db       the store, unless another is named (store_open())
 *     DIR/open/RUNID    a mark: the store may not know the end of this run yet
 *     DIR/servers/NAME  a mark: this server has taken runs from the store
 *     DIR/launchers/ID  a mark: a server is making a container for its launcher, which it is to be
 *                       reached from at DIR/launchers/.ID, a socket
 *
 * DIR is that of --history, else the first of state_dirs() that can be used.
 *
 *     history_open(ctx, NULL, NULL, &history, err)
 *     history_update(ctx, history, err)              what others have left to do
 *     store_list(ctx, history->store, &query, …)     look around
 *     history_tree(ctx, history, run, &root, err)    one run, as its displays want it
 *     history_close(history)
 *
 * Threads: any number may use one history. */
#pragma once

#include "base/ctx.h"
#include "event/node.h"
#include "record/writer.h"
#include "store/store.h"

struct history {
    char *dir;
    char *runs; /* DIR/runs */
    struct store *store;
    /* Where runs have directories that are named after them, and are removed with them, beside
     * those that their records name; NULL: nowhere. May be set by who opened it; freed with it. */
    char *work;
};

#define CLEANUP_HISTORY CLEANUP(history_cleanup)

/* The directory that is used, made if need be; the caller's. `given` NULL: the user's own. It must
 * be one that nobody else can change. */
char *history_dir(const char *given, struct err *err);

/* `options` of the store may be NULL. */
int history_open_at(const struct ctx *ctx, const char *dir, const char *where,
                    const struct store_options *options, struct history **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The same with the store that is in DIR. */
int history_open(const struct ctx *ctx, const char *dir, const struct store_options *options,
                 struct history **ret, struct err *err) __attribute__((warn_unused_result));
/* NULL is fine. */
void history_close(struct history *history);
static inline void history_cleanup(struct history **history)
{
    history_close(*history);
}

/* Has the store know what the record of a run says by now. A run that did not say how it ended, and
 * whose process is gone, has failed: its outcome is lost. */
int history_follow(const struct ctx *ctx, struct history *history, const char *run_id,
                   struct err *err) __attribute__((warn_unused_result));
/* The same for all runs that the store may not know the end of. What keeps one of them from being
 * followed is said in the log, and is nothing to the others, unless it is the store itself. */
int history_update(const struct ctx *ctx, struct history *history, struct err *err)
    __attribute__((warn_unused_result));

/* The record of a run is gone: its row can get no other end than that it is lost, if it has begun
 * and not ended. */
int history_lose(const struct ctx *ctx, struct history *history, const char *run_id,
                 struct err *err) __attribute__((warn_unused_result));

/* The tree of a run; `ret` is zeroed, and the caller's to release. */
int history_tree(const struct ctx *ctx, struct history *history, const struct store_run *run,
                 struct node *ret, struct err *err) __attribute__((warn_unused_result));

/* Removes a run that has ended, with its record, and with the directory in which it ran if that is
 * its own: named after it. ERR_CONFLICT: it has not. */
int history_remove(const struct ctx *ctx, struct history *history, const struct store_run *run,
                   struct err *err) __attribute__((warn_unused_result));
/* Removes the runs that are too many, all that can be: the first failure is the error. *ret_removed
 * (may be NULL) counts them. */
int history_prune(const struct ctx *ctx, struct history *history,
                  const struct store_retention *keep, int64_t *ret_removed, struct err *err)
    __attribute__((warn_unused_result));

/* --- the run of this process --- */

struct recording;

/* Begins the record of a run in a history: marks it as open, then makes it. `options->runs_dir`
 * does not count; nor is there a store needed for it. ERR_CONFLICT: there is one already. */
int recording_begin(const char *dir, const struct record_options *options, struct recording **ret,
                    struct err *err) __attribute__((warn_unused_result));
struct event_sink *recording_sink(struct recording *recording);
/* Ends the record and frees; -1: something is missing in it. One call in many has the store follow
 * all that has ended, and removes what is too many by `keep`; NULL: somebody else sees to that. */
int recording_end(const struct ctx *ctx, struct recording *recording, const struct record_end *end,
                  const struct store_retention *keep, struct err *err)
    __attribute__((warn_unused_result));
/* Instead of that: nothing has begun, and the record is removed. NULL is fine. */
void recording_discard(struct recording *recording);

/* --- servers that take runs from the store, and have their records here --- */

enum history_server {
    HISTORY_SERVER_LIVES,
    HISTORY_SERVER_GONE,
    HISTORY_SERVER_ELSEWHERE, /* none with that name was ever here */
};

/* Returns a descriptor, as long as which is open the server lives; -1. `name` is that of a file. */
int history_server_begin(const struct history *history, const char *name, struct err *err)
    __attribute__((warn_unused_result));
/* Closes it; nothing of it is left. */
void history_server_end(const struct history *history, const char *name, int fd);
enum history_server history_server_find(const struct history *history, const char *name);
/* Adds the names of the servers that are gone: they take nothing any more. */
void history_servers_gone(const struct history *history, struct strvec *ret);
/* Forgets one of them, which must have nothing left that was taken. */
void history_server_forget(const struct history *history, const char *name);

/* Somebody follows that run at the server of that name, whose clients it does not depend on.
 * Returns a descriptor, as long as which is open that is so; -1. */
int history_follower_begin(const struct history *history, const char *id, const char *server,
                           struct err *err) __attribute__((warn_unused_result));
/* Closes it; nothing of it is left. */
void history_follower_end(const struct history *history, const char *id, const char *server,
                          int fd);
/* Removes what servers that were killed have left of it. */
void history_followers_clean(const struct history *history);
/* Whether somebody does so at another server than that. */
bool history_is_followed(const struct history *history, const char *id, const char *server);

/* --- launchers in containers of their own, while they are being made --- */

/* Returns a descriptor that is to be open until the launcher is there, or has been given up; -1.
 * *ret_listener (SOCK_SEQPACKET, not blocking) is where it connects to. */
int history_launcher_begin(const char *dir, const char *id, int *ret_listener, struct err *err);
/* It is there, or nothing is left of it: closes the descriptor, and removes what is in DIR. */
void history_launcher_end(const char *dir, const char *id, int fd);
/* The launcher's side. ERR_LOST: nobody waits for it any more. */
int history_launcher_join(const char *dir, const char *id, int *ret_fd, struct err *err)
    __attribute__((warn_unused_result));
/* Adds the ids of all that are being made, or were left by a server that was killed meanwhile. */
void history_launchers(const char *dir, struct strvec *ret);
/* A descriptor of one that was left, for history_launcher_end(); -1: somebody makes it, or it is
 * not there any more. */
int history_launcher_take(const char *dir, const char *id);
