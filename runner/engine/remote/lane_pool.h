/* The lanes to one remote: who may use which, and which are nobody's and have to be kept alive.
 *
 *     lane = lane_pool_find(pool);             // or, of a relay that was started: lane_pool_add()
 *     lane_pool_enter(ctx, pool, lane, err);   // who keeps it lets go of it soon
 *     ...
 *     lane_pool_give(pool, lane, reusable);
 *
 * Beside that a thread calls lane_pool_keep() again and again.
 *
 * Threads: any, but for init, release and whoever goes through `lanes` without asking. */
#pragma once

#include <pthread.h>

#include "engine/remote/lane.h"

struct lane_pool {
    const struct remote *remote; /* borrowed */
    pthread_mutex_t mu;          /* guards these, and what lane.h says: */
    struct lane *lanes;          /* only ever added to, in front */
    unsigned numbers;            /* that have been given out */
};

void lane_pool_init(struct lane_pool *pool, const struct remote *remote);
/* Frees the lanes; tells their relays nothing. */
void lane_pool_release(struct lane_pool *pool);

/* From 0 on, each once: for the directory of a relay. */
unsigned lane_pool_number(struct lane_pool *pool);
/* The lane to that relay; in use by the caller. No I/O. */
int lane_pool_add(struct lane_pool *pool, const char *directory, struct lane **ret, struct err *err)
    __attribute__((warn_unused_result));
/* One that nobody uses, which the caller does from now on; NULL: there is none. */
struct lane *lane_pool_find(struct lane_pool *pool);
/* Waits for `busy` of a lane that the caller uses. On failure nobody uses it any more. */
int lane_pool_enter(const struct ctx *ctx, struct lane_pool *pool, struct lane *lane,
                    struct err *err) __attribute__((warn_unused_result));
/* The opposite of lane_pool_enter(). */
void lane_pool_give(struct lane_pool *pool, struct lane *lane, bool reusable);
/* The opposite of lane_pool_add(), of what has not been entered. */
void lane_pool_put(struct lane_pool *pool, struct lane *lane);

/* Whether a relay of the remote has answered. */
bool lane_pool_met(struct lane_pool *pool);

typedef void lane_keep_fn(const struct ctx *ctx, void *arg, struct lane *lane);
/* Calls `keep`, in `busy` and with a context that ends soon, for each lane that nobody uses or
 * keeps now, and that is not broken or has still to be told to end. */
void lane_pool_keep(const struct ctx *ctx, struct lane_pool *pool, lane_keep_fn *keep, void *arg);
/* What a lane_keep_fn does: moves it until it has nothing more to say. LANE_MOVED: it had still. */
enum lane_move lane_keep(const struct ctx *ctx, struct lane *lane, struct err *err)
    __attribute__((warn_unused_result));
/* Nobody shall use it or keep it any more. */
void lane_pool_break(struct lane_pool *pool, struct lane *lane);
