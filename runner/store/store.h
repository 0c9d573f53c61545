/* The index of all runs (docs/adr/0044-a-run-is-a-record-that-the-store-follows.md): a row for each
 * run, its events, and now and then a snapshot of its whole tree, in a SQLite file or in a
 * PostgreSQL database. It can be searched, sorted and paged through; logs stay in the records.
 *
 *     store_open(ctx, "/var/lib/runner/runs.db", NULL, &store, err)     a file
 *     store_open(ctx, "postgresql://user@host/database", NULL, …)       or a database, see libpq
 *     store_add(ctx, store, &run, err)
 *     store_append(ctx, store, &change, err)
 *     store_list(ctx, store, &query, &runs, err)
 *     store_close(store)
 *
 * The version of a run is the number of the last of its events that the store knows. Who appends
 * names the version that the new events stand on; if another was faster that is stale, and nothing
 * of the change is written. Events and snapshots are texts of one line, JSON, which nothing here
 * reads.
 *
 * Texts are UTF-8: bytes that are not are stored as U+FFFD. Times are milliseconds since the epoch,
 * 0: not yet.
 *
 * Errors: ERR_CONFLICT, a run that is there already, or a stale version; ERR_NOT_FOUND, no such
 * run; ERR_INVALID, a file that is no store; ERR_UNSUPPORTED, a store of a newer version;
 * ERR_UNAVAILABLE, locked by another process for too long, or a database that does not answer;
 * ERR_DENIED, ERR_SYSTEM. ERR_CANCELLED, ERR_TIMEOUT: the context ended. After an error nothing is
 * written, unless a database did not get to answer any more; the store can be used on.
 *
 * Threads: any number may use one store; they take turns. Processes: any number may use the same
 * file or database, but a store does not survive fork(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ctx.h"
#include "base/err.h"
#include "spec/state.h"

/* [A-Za-z0-9_-]; what own_run_id() gives, and more. */
#define STORE_ID_MAX 64

struct store;

struct store_options {
    /* For locks of others, and for a server that went away; 0: 5 seconds. One that stands still is
     * given up after three times that. */
    int64_t wait_ms;
};

/* Opens, or makes, the file with the directories above it, or the tables in the database; brings an
 * older store up to date. `options` may be NULL. */
int store_open(const struct ctx *ctx, const char *where, const struct store_options *options,
               struct store **ret, struct err *err) __attribute__((warn_unused_result));
/* NULL is fine. */
void store_close(struct store *store);

#define CLEANUP_STORE CLEANUP(store_cleanup)
static inline void store_cleanup(struct store **store)
{
    store_close(*store);
}

/* Whether `where` names a PostgreSQL database: postgresql:// or postgres://. */
bool store_is_url(const char *where);

/* A row. Texts that are NULL are stored as "", and are never NULL in what is read. */
struct store_run {
    const char *id;
    const char *name;
    enum state state;
    enum reason reason;
    const char *origin; /* "exec", "server" */
    const char *owner;  /* own_owner_format() of the process that writes the record */
    int64_t submitted_ms;
    int64_t started_ms;
    int64_t ended_ms;
    const char *error;
    int64_t exit_status; /* -1: none */
    int64_t version;     /* when written: that of the change */
    int64_t log_bytes;
    const char *directory; /* the record; "": there is none here */
    const char *client;    /* who submitted it */
    int64_t priority;
};

/* Adds a run with version 0. ERR_CONFLICT if it is there. */
int store_add(const struct ctx *ctx, struct store *store, const struct store_run *run,
              struct err *err) __attribute__((warn_unused_result));

/* What is to become of one run. */
struct store_change {
    const char *id;
    /* Adds it; `version` is 0 and `run` is there. */
    bool add;
    /* The version that the events stand on. */
    int64_t version;
    /* The events version + 1, version + 2 …, each of one line. */
    const char *const *events;
    size_t event_count;
    /* The columns from now on; id and version do not count. NULL: they stay. */
    const struct store_run *run;
    /* The whole tree at version + event_count, or NULL. */
    const char *snapshot;
    /* The events up to the snapshot of this change go; it tells what they did. Those of the change
     * are only counted then, and may be NULL. */
    bool drop_events;
    /* Set by store_write(): ERR_NONE, written; ERR_CONFLICT, it is there already or the version is
     * stale; ERR_NOT_FOUND, no such run. */
    enum err_code result;
};

/* One change; what `result` would say is the error. */
int store_append(const struct ctx *ctx, struct store *store, struct store_change *change,
                 struct err *err) __attribute__((warn_unused_result));
/* Many changes, in one transaction. One that is refused is marked and does not keep the others from
 * being written: 0 is returned. After -1 nothing is written. */
int store_write(const struct ctx *ctx, struct store *store, struct store_change *changes,
                size_t count, struct err *err) __attribute__((warn_unused_result));

/* Removes rows, events and snapshots, running or not; what is not there does not count. */
int store_delete(const struct ctx *ctx, struct store *store, const char *const *ids, size_t count,
                 int64_t *ret_deleted, struct err *err) __attribute__((warn_unused_result));

/* Rows; the texts live as long as the list. */
struct store_runs {
    struct store_run *items;
    size_t len;
    size_t cap;
    int64_t total;    /* how many there are without limit and offset */
    int64_t left_out; /* rows that this program cannot make sense of: a newer one wrote them */
    struct arena arena;
};

#define CLEANUP_STORE_RUNS CLEANUP(store_runs_release)
void store_runs_release(struct store_runs *runs);

/* The run with that id, or the only one whose id begins so, as ret->items[0]. ERR_NOT_FOUND;
 * ERR_INVALID, with some of them, if there are several; ERR_PROTOCOL: its row makes no sense. */
int store_get(const struct ctx *ctx, struct store *store, const char *id, struct store_runs *ret,
              struct err *err) __attribute__((warn_unused_result));

struct store_query {
    const char *search; /* in name or id, upper or lower case; plain text. NULL, "": all */
    unsigned states;    /* STORE_STATE(STATE_FAILED) | …; 0: all */
    const char *origin; /* NULL, "": all */
    int64_t from_ms;    /* submitted then or later; 0: at any time */
    int64_t until_ms;   /* submitted before; 0: at any time */
    int64_t limit;      /* 0: 100 */
    int64_t offset;
};

#define STORE_STATE(state) (1u << (state))
/* Most rows that are given at once, whatever the limit. */
#define STORE_LIST_MAX 10000

/* The newest first, by the time of submission. */
int store_list(const struct ctx *ctx, struct store *store, const struct store_query *query,
               struct store_runs *ret, struct err *err) __attribute__((warn_unused_result));

/* How many there are of each state. */
int store_count(const struct ctx *ctx, struct store *store, int64_t ret_counts[STATE_COUNT],
                struct err *err) __attribute__((warn_unused_result));

struct store_events {
    int64_t version;          /* of the run */
    const char *snapshot;     /* NULL: none is needed or wanted */
    int64_t snapshot_version; /* where it stands; 0 without one */
    int64_t first;            /* the number of items[0], the others follow */
    const char **items;
    size_t len; /* if first + len - 1 < version there are more: ask again */
    size_t cap;
    struct arena arena;
};

#define CLEANUP_STORE_EVENTS CLEANUP(store_events_release)
void store_events_release(struct store_events *events);

/* The events of a run (by its whole id) behind number `after`. If some of those are dropped, or if
 * `want_snapshot` says so and there is one that is newer than `after`, the snapshot comes with the
 * events behind it. Some megabytes at once. */
int store_read_events(const struct ctx *ctx, struct store *store, const char *id, int64_t after,
                      bool want_snapshot, struct store_events *ret, struct err *err)
    __attribute__((warn_unused_result));

/* What is kept. The newest run is kept in any case. */
struct store_retention {
    int64_t ended_before_ms; /* what ended before goes; 0: no limit */
    int64_t max_runs;        /* -1: no limit */
    int64_t max_log_bytes;   /* of all together; -1: no limit */
};

/* The runs that are too many, the oldest first, `limit` (0: 1000) at most: id, directory and all.
 * Those that have not ended count, and are never among them. */
int store_list_excess(const struct ctx *ctx, struct store *store,
                      const struct store_retention *keep, int64_t limit, struct store_runs *ret,
                      struct err *err) __attribute__((warn_unused_result));
