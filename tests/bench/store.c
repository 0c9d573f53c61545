/* How long the store takes for what it is asked most.
 *
 *     store FILE|URL [RUNS]
 *
 * Prints milliseconds, the median of several, in a store that it fills with RUNS runs (100,000): a
 * page of 100 with the total; the same of a state, of two, and of a search; a batch of 500 submits;
 * the end of an `exec` with 3 events and with 2,000, from opening to closing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/store.h"

enum { BATCH = 500, ROUNDS = 21, EVENTS = 2000 };

static struct err err;
static struct ctx ctx;
static char ids[BATCH][32];
static char names[BATCH][64];
static struct store_run runs[BATCH];
static struct store_change changes[BATCH];
static int64_t added;

static int64_t monotonic_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void must(int status)
{
    if (status < 0) {
        fprintf(stderr, "store: %s\n", err.message);
        exit(1);
    }
}

static struct store_change next_change(size_t slot)
{
    int64_t number = added++;

    snprintf(ids[slot], sizeof(ids[slot]), "run%014lld%05d", (long long)clock_wall_ms(),
             (int)(number % 100000));
    snprintf(names[slot], sizeof(names[slot]), "build of branch feature-%lld",
             (long long)(number % 1000));
    runs[slot] = (struct store_run){
        .name = names[slot],
        .state = number % 10 == 0 ? STATE_FAILED : STATE_SUCCEEDED,
        .origin = "server",
        .owner = "0f5c5ab6-5a8d-4f30-bd5c-000000000000/4026531836/12345/678901",
        .submitted_ms = 1700000000000 + number * 1000,
        .started_ms = 1700000000000 + number * 1000 + 5,
        .ended_ms = 1700000000000 + number * 1000 + 60000,
        .log_bytes = 1 << 20,
        .directory = "/var/lib/runner/runs/20260101-000000-0000",
        .client = "somebody",
    };
    return (struct store_change){.id = ids[slot], .add = true, .run = &runs[slot]};
}

static void batch(struct store *store)
{
    for (size_t i = 0; i < BATCH; i++)
        changes[i] = next_change(i);
    must(store_write(&ctx, store, changes, BATCH, &err));
}

static void page(struct store *store, const struct store_query *query)
{
    CLEANUP_STORE_RUNS struct store_runs found = {0};

    must(store_list(&ctx, store, query, &found, &err));
}

static void end_exec(const char *where, size_t event_count)
{
    static const char *events[EVENTS];
    static const char event[] =
        "{\"n\":1234,\"at\":\"2026-01-02T03:04:05.678Z\",\"type\":\"step_ended\",\"id\":\"0.1.2\","
        "\"name\":\"unit tests of the engine\",\"state\":\"succeeded\",\"exit\":0,\"ms\":1234}";
    CLEANUP_STORE struct store *store = NULL;

    for (size_t i = 0; i < event_count; i++)
        events[i] = event;
    must(store_open(&ctx, where, NULL, &store, &err));
    changes[0] = next_change(0);
    changes[0].events = events;
    changes[0].event_count = event_count;
    must(store_append(&ctx, store, &changes[0], &err));
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

#define MEASURE(what, statement)                                                                   \
    do {                                                                                           \
        int64_t taken[ROUNDS];                                                                     \
        for (int round = 0; round < ROUNDS; round++) {                                             \
            int64_t start = monotonic_ns();                                                        \
            statement;                                                                             \
            taken[round] = monotonic_ns() - start;                                                 \
        }                                                                                          \
        qsort(taken, ROUNDS, sizeof(*taken), compare);                                             \
        printf("%-28s %8.2f (%.2f to %.2f)\n", what, (double)taken[ROUNDS / 2] / 1e6,              \
               (double)taken[0] / 1e6, (double)taken[ROUNDS - 1] / 1e6);                           \
    } while (0)

int main(int argc, char **argv)
{
    struct store *store;
    int64_t wanted = argc > 2 ? strtoll(argv[2], NULL, 10) : 100000;

    if (argc < 2) {
        fprintf(stderr, "usage: store FILE|URL [RUNS]\n");
        return 2;
    }
    must(ctx_init_root(&ctx, NULL, &err));
    must(store_open(&ctx, argv[1], NULL, &store, &err));
    while (added < wanted)
        batch(store);
    MEASURE("a page of 100", page(store, &(struct store_query){.limit = 100}));
    MEASURE("a page at the end",
            page(store, &(struct store_query){.limit = 100, .offset = wanted - 100}));
    MEASURE("a page of a state",
            page(store, &(struct store_query){.states = STORE_STATE(STATE_FAILED)}));
    MEASURE("a page of two states",
            page(store, &(struct store_query){.states = STORE_STATE(STATE_FAILED) |
                                                        STORE_STATE(STATE_SUCCEEDED)}));
    MEASURE("a page of a search", page(store, &(struct store_query){.search = "Feature-77"}));
    MEASURE("a search for nothing", page(store, &(struct store_query){.search = "no such"}));
    MEASURE("500 submits", batch(store));
    MEASURE("an exec of 3 events", end_exec(argv[1], 3));
    MEASURE("an exec of 2,000 events", end_exec(argv[1], EVENTS));
    store_close(store);
    MEASURE("alone: 3 events", end_exec(argv[1], 3));
    MEASURE("alone: 2,000 events", end_exec(argv[1], EVENTS));
    ctx_release(&ctx);
    return 0;
}
