/* What runs in the background: a thread of its own has an engine run it, while the one that started
 * it waits, for a group of such things at once, until they are ready for others.
 *
 *     backgrounds_init(&group, run, err)
 *     backgrounds_start(&group, …)              for each
 *     backgrounds_await(&group, ctx, …)         all are ready, or one of them will not be
 *     backgrounds_cancel(&group)                SIGTERM, grace, SIGKILL
 *     backgrounds_join(&group)                  now each has its result
 *     backgrounds_release(&group)
 *
 * Threads: a group is used by one at a time. */
#pragma once

#include <pthread.h>

#include "exec/output.h"
#include "exec/places.h"
#include "step/ready.h"

/* What to run; all borrowed until the group is joined. */
struct background_what {
    const struct node *node; /* whose output it is */
    struct open_place open;
    const struct runnable *runnable;
    const struct readiness *ready; /* NULL: ready as soon as it runs */
    int64_t timeout_ms;            /* 0: none of its own */
    const char *label;             /* of that limit */
};

struct background {
    struct background_what what;
    struct run *run;
    struct ctx ctx; /* ends it */
    struct step_output out;
    pthread_t thread;
    bool joined;
    atomic_bool up;       /* it was ready */
    atomic_bool stopping; /* its end is wanted */
    atomic_bool ended;    /* the rest is filled */
    atomic_bool told;     /* that it has ended too early */
    int result;           /* as run() returned */
    struct exit_record record;
    struct err err;
    char *tail; /* its last output, or NULL */
    /* Of the one who waits. */
    int64_t deadline_ms; /* monotonic; 0: not started yet */
    int64_t look_ms;     /* when to look the next time */
    int64_t pause_ms;
    size_t held; /* probes that have held */
    struct err why;
};

struct background_group {
    struct run *run;
    VEC(struct background *)
    items;
    int changed_fd; /* eventfd: something has happened to one of them */
};

int backgrounds_init(struct background_group *group, struct run *run, struct err *err)
    __attribute__((warn_unused_result));
/* It ends with ctx, too. *ret is the group's. */
int backgrounds_start(struct background_group *group, const struct ctx *ctx,
                      const struct background_what *what, struct background **ret, struct err *err)
    __attribute__((warn_unused_result));
/* -1 with *ret_failed when one will not be ready: it has ended, or takes longer than it may; NULL
 * when ctx ended. */
int backgrounds_await(struct background_group *group, const struct ctx *ctx,
                      const struct background **ret_failed, struct err *err)
    __attribute__((warn_unused_result));
void backgrounds_cancel(struct background_group *group);
void backgrounds_join(struct background_group *group);
/* Joined, or never started. */
void backgrounds_release(struct background_group *group);

/* "exit code 3": how one has ended by itself; the caller frees. */
char *background_end_text(const struct background *b);
