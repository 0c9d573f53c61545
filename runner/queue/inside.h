/* What the parts of the queue share.
 *
 *     submit.c    many submissions become one transaction, by a thread of its own
 *     order.c     whose turn it is
 *     start.c     taking, handing to the launcher, and what it tells
 *     follow.c    what the records of runs that go on say, into the store
 *     recover.c   what servers before this one have left
 *     cancel.c    in every state
 *     thread.c    the thread that does all of this, but for submitting and cancelling
 *
 * A run that waits is in the order. One that does not any more, and has not ended, is active. `mu`
 * guards both; it is held for moments, never over a call of the store, the launcher or the owner.
 */
#pragma once

#include <pthread.h>

#include "base/vec.h"

#include "history/following.h"
#include "queue/order.h"
#include "queue/queue.h"
#include "queue/unsettled.h"
#include "store/submissions.h"

enum active_stage {
    ACTIVE_RESERVED, /* in the transaction that submits it, as taken */
    ACTIVE_LEAVING,  /* out of the order, to be taken or dropped in the store */
    ACTIVE_TAKEN,    /* this server's; not handed to the launcher */
    ACTIVE_STARTING, /* handed to the launcher */
    ACTIVE_FAILED,   /* ended without having begun; the store is to know */
    ACTIVE_RUNNING,  /* has a record */
    ACTIVE_STAGES,
};

/* A run that has been started, or is about to be. Whoever has made it LEAVING or RESERVED owns it
 * until it is TAKEN or gone; the thread does from then on. */
struct active {
    char id[OWN_RUN_ID_SIZE];
    char *client;
    int64_t priority;
    int64_t submitted_ms;
    enum active_stage stage; /* guarded by mu */
    char *cancel_text;       /* it is to end before it begins, and why; guarded by mu */
    bool over;               /* its process has ended: its place is free; guarded by mu */

    /* From here on the thread's, once it is TAKEN. */
    char *file; /* until it is started */
    char *name;
    struct submission_options options;
    bool of_launcher;        /* whose word is that its process has ended */
    bool sought;             /* while it is started: its record is looked for */
    char *end_text;          /* what it has failed with if it has no record; NULL: it may come */
    enum state failed_state; /* of ACTIVE_FAILED */
    char *failed_text;
    struct following *following;
    int watch;        /* of inotify; -1: none */
    bool seen;        /* its record has been read */
    bool dirty;       /* the record may have more than the store */
    bool written;     /* all of it is in the store, the end included */
    enum state told;  /* to the owner */
    int closing_left; /* looks since its record was closed */
};

struct waiter {
    int event_fd;
    struct waiter *next;
};

struct change {
    char id[OWN_RUN_ID_SIZE];
    enum state state;
};

struct request; /* submit.c */

struct queue {
    struct history *history;
    struct store *store; /* that of the history */
    struct queue_launcher launcher;
    struct queue_options options;
    char *owner; /* what the rows are taken by */
    int owner_fd;

    struct ctx ctx; /* ends with the queue */
    pthread_t thread;
    bool has_thread;
    bool stopped; /* its thread has ended */
    int wake_fd;
    int submit_fd; /* readable when there are requests */
    pthread_t writer;
    bool has_writer;

    pthread_mutex_t mu;
    /* Guarded by mu: */
    struct order order;
    VEC(struct active *)
    active;
    struct waiter *waiters;   /* for any change of what is active */
    struct request *requests; /* that wait to be written, the oldest first */
    struct request **requests_end;
    struct strvec writing; /* submissions that are being written: the store may have them */
    VEC(struct change)
    changes;                 /* that the owner is to be told */
    struct unsettled doubts; /* submissions that failed, and may have been written */
    struct unsettled gone;   /* servers whose marks nobody holds any more */
    struct strvec late;      /* they wait, and a server that is gone may have begun them */
    bool took;               /* rows may have been taken, or are held, by this server */
    bool doubted;            /* and nobody knows whether one of them was */
    bool draining;
    bool closing;
    bool launcher_gone;
    unsigned max_concurrent;

    /* The thread's: */
    VEC(struct active *)
    followed;               /* those that have a record */
    int inotify_fd;         /* -1: nothing tells */
    int64_t flushed_ms;     /* when records were written into the store last */
    int64_t store_retry_ms; /* it did not answer; not before then. 0: it did */
    int64_t doubts_ms;      /* when doubts that are left are looked at again; 0: none is */
    int64_t looked_ms;      /* at all records, whatever has been told */
    int64_t others_ms;      /* at what other servers have left */
    int64_t search_ms;      /* when records are looked for that nobody tells of; 0: none is */
    int64_t hand_over_ms;   /* the launcher could take none; not before then. 0: it did */
};

/* --- queue.c --- */

/* Has the thread look at everything. */
void queue_wake(struct queue *queue);
/* These need mu. */
void queue_notify(struct queue *queue);
void queue_changed(struct queue *queue, const char *id, enum state state);
struct active *queue_find_active(const struct queue *queue, const char *id);
struct active *queue_add_active(struct queue *queue, const char *id, const char *client,
                                int64_t priority, int64_t submitted_ms, enum active_stage stage);
void queue_remove_active(struct queue *queue, struct active *active);
/* It waits, and may have, or get, a record: that is looked for. */
void queue_add_late(struct queue *queue, const char *id);
/* Whether another run of that client may be started now. */
bool queue_has_room(struct queue *queue, const char *client);
/* Waits until something of what is active has changed; mu is released meanwhile. */
int queue_wait_change(const struct ctx *ctx, struct queue *queue, struct err *err);

/* 1: it has a record; 0: it has none; -1: that cannot be seen now. */
int queue_has_record(const struct queue *queue, const char *id, struct err *err);
/* Ends a run in the store that has not begun. */
int queue_drop(const struct ctx *ctx, struct queue *queue, const char *id, const char *taken_by,
               enum state state, const char *error, struct err *err);

/* --- submit.c --- */

void *queue_writer(void *arg);

/* --- start.c: of the thread --- */

/* Whether the store did not answer: then it is asked again later. */
bool queue_store_is_away(struct queue *queue, const struct err *err);
void queue_start_what_can(struct queue *queue);
/* All that the launcher tells now. */
void queue_hear_launcher(struct queue *queue);
void queue_launcher_is_gone(struct queue *queue, const struct err *err);
/* Whether that was said. */
bool queue_lost_launcher(struct queue *queue);
/* Looks for the records of runs that were handed over, here or by a server that is gone, as far as
 * it is time. */
void queue_search_records(struct queue *queue);
/* Milliseconds until something of this is to be tried again; -1: nothing is. */
int queue_start_wait_ms(struct queue *queue);

/* --- follow.c: of the thread --- */

void queue_follow_init(struct queue *queue);
/* It has a record: follows it from now on. -1, ERR_NOT_FOUND: it has none. */
int queue_follow(struct queue *queue, struct active *active, const struct store_run *known,
                 struct err *err);
/* What inotify tells. */
void queue_hear_records(struct queue *queue);
/* Reads what is new, writes it into the store and removes what has ended, as far as it is time. */
void queue_follow_all(struct queue *queue);
/* Milliseconds until it is; -1: nothing is to be done until something is told. */
int queue_follow_wait_ms(const struct queue *queue);

/* --- recover.c --- */

int queue_lock_owner(struct queue *queue, struct err *err);
void queue_unlock_owner(struct queue *queue);
/* Finds what waits, and what servers have left that are gone. */
int queue_recover(const struct ctx *ctx, struct queue *queue, struct err *err);
/* Of the thread, or behind its end: submissions that were answered with an error must not run.
 * Returns of how many that is not sure yet, as the store does not answer, or may come to write
 * them. */
size_t queue_settle_doubts(const struct ctx *ctx, struct queue *queue);

/* --- thread.c --- */

void *queue_thread(void *arg);
