/* Order, limits and fairness of the scheduler, the limit of the pipeline, and pauses of retries. */
#include "tests/unit/test.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/retry.h"
#include "exec/schedule.h"
#include "exec/siblings.h"

enum { ITEMS = 60, PATIENCE_S = 60 };

struct trace {
    pthread_mutex_t mu;
    uint32_t order[ITEMS]; /* by end */
    uint32_t ended;
    uint32_t running, most;
    uint32_t together; /* the first ones wait until so many run */
    pthread_cond_t met;
    uint32_t group_running, group_most;
    struct plan_flow flows[ITEMS];
    struct plan_edge edges[ITEMS][2];
    bool done[ITEMS];
    bool broken; /* an item ran before one that it depends on had ended */
};

static const struct plan_flow *flow(void *arg, uint32_t index)
{
    struct trace *t = arg;

    return &t->flows[index];
}

/* Every third item is of the group. */
static uint32_t group(void *arg, uint32_t index)
{
    (void)arg;
    return index % 3 == 0;
}

/* With it locked. */
static void await_company(struct trace *t)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (t->most < t->together && pthread_cond_timedwait(&t->met, &t->mu, &until) != ETIMEDOUT)
        continue;
    pthread_cond_broadcast(&t->met);
}

static void run(void *arg, uint32_t index)
{
    struct trace *t = arg;

    pthread_mutex_lock(&t->mu);
    t->running++;
    t->group_running += group(t, index);
    t->most = t->running > t->most ? t->running : t->most;
    t->group_most = t->group_running > t->group_most ? t->group_running : t->group_most;
    for (uint32_t i = 0; i < t->flows[index].edge_count; i++)
        t->broken = t->broken || !t->done[t->flows[index].edges[i].from];
    await_company(t);
    pthread_mutex_unlock(&t->mu);
    poll(NULL, 0, 2);
    pthread_mutex_lock(&t->mu);
    t->running--;
    t->group_running -= group(t, index);
    t->done[index] = true;
    t->order[t->ended++] = index;
    pthread_mutex_unlock(&t->mu);
}

static void runs_each_item_once_within_the_limits(void **state)
{
    struct trace t = {.mu = PTHREAD_MUTEX_INITIALIZER,
                      .met = PTHREAD_COND_INITIALIZER,
                      .together = 2};
    const uint32_t limits[] = {2};
    const struct schedule schedule = {.count = ITEMS,
                                      .order = PLAN_ORDER_FREE,
                                      .max_parallel = 8,
                                      .group = group,
                                      .group_limits = limits,
                                      .group_count = 1,
                                      .run = run,
                                      .arg = &t};

    (void)state;
    schedule_run(&schedule);
    assert_int_equal(t.ended, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_true(t.done[i]);
    /* How many more came together is a matter of time. */
    assert_in_range(t.most, 2, 8);
    assert_in_range(t.group_most, 1, 2);
}

static void one_at_a_time_keeps_the_order(void **state)
{
    struct trace t = {.mu = PTHREAD_MUTEX_INITIALIZER, .met = PTHREAD_COND_INITIALIZER};
    struct schedule schedule = {
        .count = ITEMS, .order = PLAN_ORDER_FREE, .max_parallel = 1, .run = run, .arg = &t};

    (void)state;
    schedule_run(&schedule);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(t.order[i], i);
    t.ended = 0;
    schedule.order = PLAN_ORDER_SERIAL;
    schedule.max_parallel = 8;
    schedule_run(&schedule);
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_int_equal(t.order[i], i);
    assert_int_equal(t.most, 1);
}

/* A tree that stands on its head: each needs two that stand behind it in the list. */
static void a_graph_waits_for_what_it_needs(void **state)
{
    struct trace t = {.mu = PTHREAD_MUTEX_INITIALIZER,
                      .met = PTHREAD_COND_INITIALIZER,
                      .together = 2};
    const struct schedule schedule = {.count = ITEMS,
                                      .order = PLAN_ORDER_GRAPH,
                                      .flow = flow,
                                      .max_parallel = 16,
                                      .run = run,
                                      .arg = &t};

    (void)state;
    for (uint32_t i = 0; i < ITEMS; i++) {
        t.flows[i].edges = t.edges[i];
        for (uint32_t j = 2 * i + 1; j <= 2 * i + 2 && j < ITEMS; j++)
            t.edges[i][t.flows[i].edge_count++].from = j;
    }
    schedule_run(&schedule);
    assert_int_equal(t.ended, ITEMS);
    assert_false(t.broken);
    assert_int_equal(t.order[ITEMS - 1], 0);
    assert_in_range(t.most, 2, 16);
}

/* --- limit --- */

struct entrant {
    struct limit *limit;
    const struct ctx *ctx;
    uint32_t number;
    struct trace *trace;
    struct err err;
    int result;
    pthread_t thread;
    atomic_int tid;
};

static void *enter(void *arg)
{
    struct entrant *e = arg;

    atomic_store(&e->tid, gettid());
    e->result = limit_enter(e->limit, e->ctx, &e->err);
    if (e->result < 0)
        return NULL;
    pthread_mutex_lock(&e->trace->mu);
    e->trace->order[e->trace->ended++] = e->number;
    pthread_mutex_unlock(&e->trace->mu);
    limit_leave(e->limit);
    return NULL;
}

/* Until the thread has nothing to do but to wait, or has ended. */
static void await_asleep(struct entrant *e)
{
    char path[64], stat[512] = "";

    while (!strstr(stat, ") S ")) {
        int tid = atomic_load(&e->tid);
        FILE *file;

        poll(NULL, 0, 1);
        snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
        file = fopen(path, "re");
        if (!file && tid)
            return;
        if (file && !fgets(stat, sizeof(stat), file))
            stat[0] = '\0';
        if (file)
            fclose(file);
    }
}

static void who_waits_longest_gets_in_first(void **state)
{
    struct trace t = {.mu = PTHREAD_MUTEX_INITIALIZER, .met = PTHREAD_COND_INITIALIZER};
    struct limit *limit = limit_new(1);
    struct entrant entrants[5];
    struct ctx ctx;
    struct ctx short_ctx;

    (void)state;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    ctx_init(&short_ctx, &ctx);
    assert_int_equal(limit_enter(limit, &ctx, NULL), 0);
    for (uint32_t i = 0; i < 5; i++) {
        if (i == 2)
            ctx_set_timeout(&short_ctx, 300, "step \"x\"");
        entrants[i] = (struct entrant){.limit = limit,
                                       .ctx = i == 2 ? &short_ctx : &ctx,
                                       .number = i,
                                       .trace = &t};
        assert_int_equal(pthread_create(&entrants[i].thread, NULL, enter, &entrants[i]), 0);
        await_asleep(&entrants[i]);
    }
    pthread_join(entrants[2].thread, NULL);
    assert_int_equal(entrants[2].result, -1);
    assert_int_equal(entrants[2].err.code, ERR_TIMEOUT);
    limit_leave(limit);
    for (uint32_t i = 0; i < 5; i++) {
        if (i != 2)
            pthread_join(entrants[i].thread, NULL);
    }
    assert_int_equal(t.ended, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(t.order[i], i < 2 ? i : i + 1);
    assert_int_equal(limit_enter(limit, &ctx, NULL), 0);
    limit_free(limit);
    ctx_release(&short_ctx);
    ctx_release(&ctx);
}

/* --- retry --- */

static struct spec_retry retry_with(enum spec_backoff backoff, int64_t delay_ms, int64_t max_ms)
{
    struct spec_retry retry;

    spec_retry_init(&retry);
    retry.backoff = backoff;
    retry.delay_ms = delay_ms;
    retry.max_delay_ms = max_ms;
    return retry;
}

static void pauses_grow_up_to_their_limit(void **state)
{
    static const struct {
        enum spec_backoff backoff;
        int64_t delay_ms, max_ms;
        int64_t pauses[4];
    } cases[] = {
        {SPEC_BACKOFF_UNSET, 100, SPEC_UNSET, {100, 100, 100, 100}},
        {SPEC_BACKOFF_LINEAR, 100, SPEC_UNSET, {100, 200, 300, 400}},
        {SPEC_BACKOFF_EXPONENTIAL, 100, SPEC_UNSET, {100, 200, 400, 800}},
        {SPEC_BACKOFF_EXPONENTIAL, 100, 350, {100, 200, 350, 350}},
        {SPEC_BACKOFF_UNSET, 100, 50, {50, 50, 50, 50}},
        {SPEC_BACKOFF_UNSET, 600000, SPEC_UNSET, {600000, 600000, 600000, 600000}},
        {SPEC_BACKOFF_LINEAR, INT64_MAX / 2, SPEC_UNSET, {INT64_MAX / 2, INT64_MAX / 2}},
        {SPEC_BACKOFF_EXPONENTIAL, SPEC_UNSET, SPEC_UNSET, {0, 0, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec_retry retry = retry_with(cases[i].backoff, cases[i].delay_ms, cases[i].max_ms);

        for (uint32_t j = 0; j < 4 && (j == 0 || cases[i].pauses[j]); j++)
            assert_int_equal(exec_retry_delay_ms(&retry, j + 1), cases[i].pauses[j]);
        retry.jitter = SPEC_TRUE;
        assert_in_range(exec_retry_delay_ms(&retry, 1), cases[i].pauses[0] / 2, cases[i].pauses[0]);
    }
}

static void causes_decide(void **state)
{
    struct spec_str on[] = {{.text = (char *)"7"}, {.text = (char *)"timeout"}};
    struct spec_str engine[] = {{.text = (char *)"engine"}};
    struct spec_retry retry;
    struct outcome seven = {.state = STATE_FAILED,
                            .result = {.reason = REASON_ERROR,
                                       .has_exit_code = true,
                                       .exit_code = 7}};
    struct outcome timeout = {.state = STATE_FAILED, .result = {.reason = REASON_TIMEOUT}};
    struct outcome broken = {.state = STATE_FAILED,
                             .result = {.reason = REASON_ERROR, .by_engine = true}};
    struct outcome cancelled = {.state = STATE_CANCELLED};
    struct outcome succeeded = {.state = STATE_SUCCEEDED};

    (void)state;
    spec_retry_init(&retry);
    assert_false(exec_retry_follows(NULL, 1, &seven));
    assert_true(exec_retry_follows(&retry, 1, &seven));
    assert_false(exec_retry_follows(&retry, 2, &seven));
    assert_false(exec_retry_follows(&retry, 1, &cancelled));
    assert_false(exec_retry_follows(&retry, 1, &succeeded));
    retry.again = 3;
    assert_true(exec_retry_follows(&retry, 3, &seven));
    assert_false(exec_retry_follows(&retry, 4, &seven));
    retry.attempts = 2;
    assert_false(exec_retry_follows(&retry, 2, &seven));
    retry.on = (struct spec_strs){on, 2};
    assert_true(exec_retry_follows(&retry, 1, &seven));
    assert_true(exec_retry_follows(&retry, 1, &timeout));
    assert_false(exec_retry_follows(&retry, 1, &broken));
    retry.not_on = (struct spec_strs){on, 1};
    assert_false(exec_retry_follows(&retry, 1, &seven));
    retry.on = (struct spec_strs){engine, 1};
    assert_true(exec_retry_follows(&retry, 1, &broken));
    assert_false(exec_retry_follows(&retry, 1, &timeout));
}

/* A job can be cancelled between two steps, when none of them is. */
static void what_a_cancel_left_out_is_cancelled_for_hooks(void **state)
{
    struct node nodes[] = {{.state = STATE_SUCCEEDED},
                           {.state = STATE_SKIPPED, .reason = REASON_DEPENDENCY},
                           {.state = STATE_PENDING, .is_post = true}};
    const struct siblings siblings = {.nodes = nodes, .count = 3};
    struct err err = ERR_INIT;
    struct ctx root;
    struct ctx ctx;

    (void)state;
    assert_int_equal(ctx_init_root(&root, NULL, &err), 0);
    assert_int_equal(ctx_init_cancel(&ctx, &root, &err), 0);
    assert_int_equal(siblings_outcome(&siblings, 3, &ctx), PLAN_POST_SUCCESS);
    ctx_cancel(&ctx, CTX_CAUSE_FAIL_FAST);
    assert_int_equal(siblings_outcome(&siblings, 3, &ctx), PLAN_POST_CANCELLED);
    nodes[1].reason = REASON_NONE;
    assert_int_equal(siblings_outcome(&siblings, 3, &ctx), PLAN_POST_SUCCESS);
    ctx_release(&ctx);
    ctx_release(&root);
}

static const struct plan_flow *chain(void *arg, uint32_t index)
{
    static const struct plan_edge edges[] = {{.from = 0}, {.from = 1}, {.from = 2}};
    static struct plan_flow flows[3];

    (void)arg;
    if (!index)
        return NULL;
    flows[index - 1] =
        (struct plan_flow){.edges = (struct plan_edge *)&edges[index - 1], .edge_count = 1};
    return &flows[index - 1];
}

/* 0 <- 1 <- 2 <- 3. */
static struct siblings chain_of(const struct node nodes[4])
{
    return (struct siblings){.nodes = nodes, .count = 4, .order = PLAN_ORDER_GRAPH, .flow = chain};
}

static void what_is_behind_a_failure_knows_it(void **state)
{
    struct node nodes[] = {{.state = STATE_FAILED},
                           {.state = STATE_SKIPPED},
                           {.state = STATE_CANCELLED},
                           {.state = STATE_PENDING}};
    struct siblings siblings = chain_of(nodes);

    (void)state;
    siblings_begin(&siblings);
    assert_false(siblings_before(&siblings, 0).failed);
    siblings_ended(&siblings, 0);
    assert_true(siblings_before(&siblings, 1).failed);
    siblings_ended(&siblings, 1);
    assert_true(siblings_before(&siblings, 2).failed);
    assert_false(siblings_before(&siblings, 2).cancelled);
    siblings_ended(&siblings, 2);
    assert_true(siblings_before(&siblings, 3).failed);
    assert_true(siblings_before(&siblings, 3).cancelled);
    siblings_end(&siblings);
}

/* The first is in the background: it fails when others behind it have long ended. */
static void a_failure_may_come_late(void **state)
{
    struct node nodes[] = {{.state = STATE_RUNNING},
                           {.state = STATE_SUCCEEDED},
                           {.state = STATE_SUCCEEDED},
                           {.state = STATE_PENDING}};
    struct siblings siblings = chain_of(nodes);

    (void)state;
    siblings_begin(&siblings);
    for (uint32_t i = 0; i < 3; i++)
        siblings_ended(&siblings, i);
    assert_false(siblings_before(&siblings, 3).failed);
    nodes[0].state = STATE_FAILED;
    assert_true(siblings_before(&siblings, 3).failed);
    siblings_end(&siblings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_each_item_once_within_the_limits),
        cmocka_unit_test(one_at_a_time_keeps_the_order),
        cmocka_unit_test(a_graph_waits_for_what_it_needs),
        cmocka_unit_test(who_waits_longest_gets_in_first),
        cmocka_unit_test(pauses_grow_up_to_their_limit),
        cmocka_unit_test(causes_decide),
        cmocka_unit_test(what_is_behind_a_failure_knows_it),
        cmocka_unit_test(a_failure_may_come_late),
        cmocka_unit_test(what_a_cancel_left_out_is_cancelled_for_hooks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
