#include "engine/remote/lane_pool.h"

#define KEEP_MS   5000 /* for one lane, which its user may be waiting for */
#define MOVES_MAX 16

void lane_pool_init(struct lane_pool *pool, const struct remote *remote)
{
    *pool = (struct lane_pool){.remote = remote};
    pthread_mutex_init(&pool->mu, NULL);
}

void lane_pool_release(struct lane_pool *pool)
{
    while (pool->lanes) {
        struct lane *lane = pool->lanes;

        pool->lanes = lane->next;
        lane_free(lane);
    }
    pthread_mutex_destroy(&pool->mu);
}

unsigned lane_pool_number(struct lane_pool *pool)
{
    unsigned number;

    pthread_mutex_lock(&pool->mu);
    number = pool->numbers++;
    pthread_mutex_unlock(&pool->mu);
    return number;
}

int lane_pool_add(struct lane_pool *pool, const char *directory, struct lane **ret, struct err *err)
{
    if (lane_new(pool->remote, directory, ret, err) < 0)
        return -1;
    (*ret)->used = true;
    pthread_mutex_lock(&pool->mu);
    (*ret)->next = pool->lanes;
    pool->lanes = *ret;
    pthread_mutex_unlock(&pool->mu);
    return 0;
}

struct lane *lane_pool_find(struct lane_pool *pool)
{
    struct lane *lane;

    pthread_mutex_lock(&pool->mu);
    for (lane = pool->lanes; lane && (lane->used || lane->broken);)
        lane = lane->next;
    if (lane)
        lane->used = true;
    pthread_mutex_unlock(&pool->mu);
    return lane;
}

static void set_free(struct lane_pool *pool, struct lane *lane, bool reusable)
{
    pthread_mutex_lock(&pool->mu);
    lane->used = false;
    lane->broken = lane->broken || !reusable;
    pthread_mutex_unlock(&pool->mu);
}

int lane_pool_enter(const struct ctx *ctx, struct lane_pool *pool, struct lane *lane,
                    struct err *err)
{
    if (gate_enter(ctx, &lane->busy, err) == 0)
        return 0;
    set_free(pool, lane, true);
    return -1;
}

void lane_pool_give(struct lane_pool *pool, struct lane *lane, bool reusable)
{
    gate_leave(&lane->busy);
    set_free(pool, lane, reusable);
}

void lane_pool_put(struct lane_pool *pool, struct lane *lane)
{
    set_free(pool, lane, true);
}

bool lane_pool_met(struct lane_pool *pool)
{
    bool met = false;

    pthread_mutex_lock(&pool->mu);
    for (const struct lane *lane = pool->lanes; lane && !met; lane = lane->next)
        met = lane->met;
    pthread_mutex_unlock(&pool->mu);
    return met;
}

/* --- keeping --- */

static bool is_to_be_kept(const struct lane *lane)
{
    return !lane->used && (!lane->broken || lane->quitting);
}

/* The one behind `after`. */
static struct lane *next_kept(struct lane_pool *pool, const struct lane *after)
{
    struct lane *lane;

    pthread_mutex_lock(&pool->mu);
    lane = after ? after->next : pool->lanes;
    while (lane && !is_to_be_kept(lane))
        lane = lane->next;
    pthread_mutex_unlock(&pool->mu);
    return lane;
}

static void keep_one(const struct ctx *ctx, lane_keep_fn *keep, void *arg, struct lane *lane)
{
    CLEANUP_CTX struct ctx soon;

    ctx_init(&soon, ctx);
    ctx_set_timeout(&soon, KEEP_MS, "lane");
    keep(&soon, arg, lane);
}

void lane_pool_keep(const struct ctx *ctx, struct lane_pool *pool, lane_keep_fn *keep, void *arg)
{
    for (struct lane *lane = next_kept(pool, NULL); lane; lane = next_kept(pool, lane)) {
        if (gate_enter_within(ctx, &lane->busy, 0, NULL) <= 0)
            continue;
        keep_one(ctx, keep, arg, lane);
        gate_leave(&lane->busy);
    }
}

enum lane_move lane_keep(const struct ctx *ctx, struct lane *lane, struct err *err)
{
    enum lane_move move = LANE_MOVED;

    for (int i = 0; i < MOVES_MAX && move == LANE_MOVED; i++)
        move = lane_move(ctx, lane, true, err);
    return move;
}

void lane_pool_break(struct lane_pool *pool, struct lane *lane)
{
    pthread_mutex_lock(&pool->mu);
    lane->broken = true;
    lane->quitting = false;
    pthread_mutex_unlock(&pool->mu);
}
