#include "exec/schedule.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Enough for the deepest path of an engine under a sanitizer; only what is touched is resident. */
enum { WORKER_STACK = 512 * 1024 };

#define NONE UINT32_MAX

struct scheduler {
    const struct schedule *plan;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    uint32_t *queue; /* guarded by mu, as all below: items that could start, in order */
    uint32_t queue_first;
    uint32_t queue_end;
    uint32_t left; /* items that have not ended */
    uint32_t idle; /* threads that wait */
    uint32_t started;
    pthread_t *threads;
    uint32_t *group_running;
    /* Of a graph: how many edges into an item are open, and the edges the other way around:
     * dependents[first[i]] to dependents[first[i + 1] - 1] depend on i. */
    uint32_t *open;
    uint32_t *first;
    uint32_t *dependents;
};

static const struct plan_flow *flow_of(const struct scheduler *s, uint32_t index)
{
    return s->plan->flow(s->plan->arg, index);
}

static void enqueue(struct scheduler *s, uint32_t index)
{
    s->queue[s->queue_end++] = index;
}

static void build_graph(struct scheduler *s)
{
    uint32_t count = s->plan->count;
    uint32_t *fill;

    s->open = xcalloc(count, sizeof(*s->open));
    s->first = xcalloc((size_t)count + 1, sizeof(*s->first));
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_flow *flow = flow_of(s, i);

        for (uint32_t j = 0; flow && j < flow->edge_count; j++)
            s->first[flow->edges[j].from + 1]++;
    }
    for (uint32_t i = 0; i < count; i++)
        s->first[i + 1] += s->first[i];
    s->dependents = xcalloc(s->first[count], sizeof(*s->dependents));
    fill = xcalloc(count, sizeof(*fill));
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_flow *flow = flow_of(s, i);

        s->open[i] = flow ? flow->edge_count : 0;
        for (uint32_t j = 0; j < s->open[i]; j++) {
            uint32_t from = flow->edges[j].from;

            s->dependents[s->first[from] + fill[from]++] = i;
        }
        if (!s->open[i])
            enqueue(s, i);
    }
    free(fill);
}

static uint32_t group_of(const struct scheduler *s, uint32_t index)
{
    return s->plan->group ? s->plan->group(s->plan->arg, index) : 0;
}

static bool group_is_full(const struct scheduler *s, uint32_t group)
{
    return group && s->plan->group_limits[group - 1] &&
           s->group_running[group - 1] >= s->plan->group_limits[group - 1];
}

/* The first item that may start now; NONE: all that could are of groups that are full. */
static uint32_t dequeue(struct scheduler *s)
{
    for (uint32_t at = s->queue_first; at < s->queue_end; at++) {
        uint32_t index = s->queue[at];

        if (group_is_full(s, group_of(s, index)))
            continue;
        for (; at > s->queue_first; at--)
            s->queue[at] = s->queue[at - 1];
        s->queue_first++;
        return index;
    }
    return NONE;
}

static void end_item(struct scheduler *s, uint32_t index)
{
    uint32_t group = group_of(s, index);

    s->left--;
    if (group)
        s->group_running[group - 1]--;
    for (uint32_t i = s->first ? s->first[index] : 0; s->first && i < s->first[index + 1]; i++) {
        if (--s->open[s->dependents[i]] == 0)
            enqueue(s, s->dependents[i]);
    }
}

static void *worker_main(void *arg);

/* Another thread for what waits, if there may be one more. Fewer threads than wanted make it
 * slower, not wrong: there is always the caller's. */
static void add_worker(struct scheduler *s)
{
    pthread_attr_t attr;

    if (s->queue_first == s->queue_end || s->idle || s->started + 1 >= s->plan->max_parallel)
        return;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    if (pthread_create(&s->threads[s->started], &attr, worker_main, s) == 0)
        s->started++;
    pthread_attr_destroy(&attr);
}

static void *worker_main(void *arg)
{
    struct scheduler *s = arg;

    pthread_mutex_lock(&s->mu);
    while (s->left > 0) {
        uint32_t index = dequeue(s);

        if (index == NONE) {
            s->idle++;
            pthread_cond_wait(&s->changed, &s->mu);
            s->idle--;
            continue;
        }
        if (group_of(s, index))
            s->group_running[group_of(s, index) - 1]++;
        add_worker(s);
        pthread_mutex_unlock(&s->mu);
        s->plan->run(s->plan->arg, index);
        pthread_mutex_lock(&s->mu);
        end_item(s, index);
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

static void run_free_or_graph(const struct schedule *plan)
{
    struct scheduler s = {.plan = plan,
                          .mu = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER,
                          .left = plan->count};
    uint32_t threads = plan->max_parallel < plan->count ? plan->max_parallel : plan->count;

    s.queue = xcalloc(plan->count, sizeof(*s.queue));
    s.threads = xcalloc(threads, sizeof(*s.threads));
    s.group_running = xcalloc(plan->group_count, sizeof(*s.group_running));
    if (plan->order == PLAN_ORDER_GRAPH)
        build_graph(&s);
    else
        for (uint32_t i = 0; i < plan->count; i++)
            enqueue(&s, i);
    worker_main(&s);
    for (uint32_t i = 0; i < s.started; i++)
        pthread_join(s.threads[i], NULL);
    pthread_cond_destroy(&s.changed);
    pthread_mutex_destroy(&s.mu);
    free(s.queue);
    free(s.threads);
    free(s.group_running);
    free(s.open);
    free(s.first);
    free(s.dependents);
}

void schedule_run(const struct schedule *plan)
{
    if (plan->order != PLAN_ORDER_SERIAL) {
        run_free_or_graph(plan);
        return;
    }
    for (uint32_t i = 0; i < plan->count; i++)
        plan->run(plan->arg, i);
}
