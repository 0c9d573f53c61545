/* What was submitted to be run: file and options of a run, beside its row, and who has taken it.
 *
 *     store_submit(ctx, store, submissions, count, err)      rows that wait, on the disk
 *     store_waiting(ctx, store, 0, &runs, err)               those that nobody has taken
 *     store_take(ctx, store, id, me, &submitted, err)        one of several gets it
 *     store_give_back(ctx, store, id, who, err)              it waits again
 *     store_drop(ctx, store, &drop, err)                     it has ended without having begun
 *     store_held(ctx, store, &runs, err)                     those whose clients wait for them
 *
 * Who has taken a run is the one thing that decides: what waits is taken, or dropped, by a change
 * of that alone, so only one of all that try at the same moment does it. From then on its row has
 * two that may change it: the record's followers (store_write), which begin at version 1, and
 * store_drop(), for a run that has no record, at version 0.
 *
 * File and options stay until the row goes (store_delete): a run can be run again.
 *
 * Errors as in store/store.h. What is written here is on the disk when it returns, unlike what can
 * be found again in records. Threads as there. */
#pragma once

#include "base/vec.h"
#include "store/store.h"

struct store_submission {
    /* Pending; `id` is that of the run, version does not count. */
    const struct store_run *run;
    const char *file;
    const char *options;  /* JSON, which nothing here reads */
    const char *taken_by; /* own_owner_format() of the server that runs it; NULL, "": it waits */
    const char *held_by;  /* that of the server at which its client is; NULL, "": it needs none */
    /* Set by store_submit(): ERR_NONE, or ERR_CONFLICT, there is a run with that id. */
    enum err_code result;
};

/* All of them in one transaction. One that is refused does not keep the others from being written.
 */
int store_submit(const struct ctx *ctx, struct store *store, struct store_submission *submissions,
                 size_t count, struct err *err) __attribute__((warn_unused_result));

/* The runs that wait: higher priorities first, then the older ones, as they came; `limit` at most
 * (0: all). */
int store_waiting(const struct ctx *ctx, struct store *store, int64_t limit, struct store_runs *ret,
                  struct err *err) __attribute__((warn_unused_result));
/* The runs that were taken and have not ended; `owner` of each is who took it, whatever its row
 * says. */
int store_taken(const struct ctx *ctx, struct store *store, struct store_runs *ret, struct err *err)
    __attribute__((warn_unused_result));

struct store_submitted {
    const char *name; /* as it was submitted, or what the run says since */
    const char *file;
    const char *options;
    const char *taken_by; /* "": it waits; "-": it ended before it had begun */
    struct arena arena;
};

#define CLEANUP_STORE_SUBMITTED CLEANUP(store_submitted_release)
void store_submitted_release(struct store_submitted *submitted);

/* ERR_NOT_FOUND: there is no such run, or it was not submitted. */
int store_read_submitted(const struct ctx *ctx, struct store *store, const char *id,
                         struct store_submitted *ret, struct err *err)
    __attribute__((warn_unused_result));

/* Makes a run that waits that of `taken_by`, who may ask again. ERR_CONFLICT: another has it, or it
 * waits no more; ERR_NOT_FOUND. */
int store_take(const struct ctx *ctx, struct store *store, const char *id, const char *taken_by,
               struct store_submitted *ret, struct err *err) __attribute__((warn_unused_result));
/* A run that `taken_by` has waits again. ERR_CONFLICT: it is not taken by that one, or has begun.
 */
int store_give_back(const struct ctx *ctx, struct store *store, const char *id,
                    const char *taken_by, struct err *err) __attribute__((warn_unused_result));

/* The end of a run that has not begun. */
struct store_drop {
    const char *id;
    const char *taken_by; /* who has it; "": nobody */
    enum state state;
    enum reason reason;
    const char *error;
    int64_t ended_ms;
    int64_t exit_status; /* -1: none */
    const char *event;   /* the one that says so, number 1 of the run */
};

/* ERR_CONFLICT: another has it, it has begun, or it has ended; ERR_NOT_FOUND. */
int store_drop(const struct ctx *ctx, struct store *store, const struct store_drop *drop,
               struct err *err) __attribute__((warn_unused_result));

/* The runs that have not ended and are held, in the order of submission; `owner` of each is who
 * holds it, whatever its row says. */
int store_held(const struct ctx *ctx, struct store *store, struct store_runs *ret, struct err *err)
    __attribute__((warn_unused_result));
/* What `from` holds of these runs is held by `to` from now on, who may ask again. Adds those to
 * `ret`: not what has ended, and not what another has. */
int store_pass_held(const struct ctx *ctx, struct store *store, const char *const *ids,
                    size_t count, const char *from, const char *to, struct strvec *ret,
                    struct err *err) __attribute__((warn_unused_result));

/* A database may come to do what a process has asked of it that is gone, and was there when others
 * looked last: a commit that is on its way. What was asked before one moment is in the store, or
 * never will be, at any later one whose `settled` is not less than the `begun` of the first. */
struct store_moment {
    int64_t begun;
    int64_t settled;
};

int store_moment(const struct ctx *ctx, struct store *store, struct store_moment *ret,
                 struct err *err) __attribute__((warn_unused_result));
