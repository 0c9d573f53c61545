/* The executor over an engine that gives what no real one gives on demand: lost records, engines
 * that cannot be reached, failures to open. Everything else is tested end to end. */
#pragma once

#include "tests/unit/test.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "exec/exec.h"
#include "exec/outputs.h"
#include "own/own.h"

/* --- an engine whose steps are scripts like "3", "lost", "signal", "wait", "late", "error",
 *     "fetched": until as many images as are expected have been asked for, "served": until nothing
 *     serves any more, "export": sets a variable for the steps behind it --- */

static atomic_int open_places;
static atomic_int prepared;
static atomic_bool waiting;        /* a "wait" or "late" has begun */
static atomic_int_fast64_t waited; /* when the last "wait" ended */
static atomic_int serving;         /* so many run "serve" */
static int64_t long_ms = 1000;     /* for so long "0.long" takes */

static inline int fake_connect(const struct ctx *ctx, const struct engine_services *services,
                               const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    if (strcmp(url, "fake://away") == 0)
        return err_set(err, ERR_UNAVAILABLE, "nobody answers at %s", url);
    *ret = (struct engine_instance *)&open_places;
    return 0;
}

static inline void fake_disconnect(struct engine_instance *instance)
{
    (void)instance;
}

/* The images that were asked for ahead; "held" stays under way until its context ends. */
static struct {
    pthread_mutex_t mu;
    char images[32][16];
    unsigned count, expected, running, most_running, cancelled;
} fetched = {.mu = PTHREAD_MUTEX_INITIALIZER};

/* They are asked for in pairs: whoever is first waits for the other one, unless there is none. */
static inline void await_pair(const struct ctx *ctx, unsigned number)
{
    const unsigned both = (number + 1) / 2 * 2;
    unsigned count;

    do {
        if (ctx_sleep(ctx, 1, NULL) < 0)
            return;
        pthread_mutex_lock(&fetched.mu);
        count = fetched.count;
        pthread_mutex_unlock(&fetched.mu);
    } while (count < both && count < fetched.expected);
}

static inline void fake_prefetch(const struct ctx *ctx, struct engine_instance *instance,
                                 const struct image_source *source, const char *platform)
{
    int result = 0;
    unsigned number;

    (void)instance;
    (void)platform;
    pthread_mutex_lock(&fetched.mu);
    assert_true(fetched.count < 32);
    snprintf(fetched.images[fetched.count++], sizeof(fetched.images[0]), "%s", source->image);
    if (++fetched.running > fetched.most_running)
        fetched.most_running = fetched.running;
    number = fetched.count;
    pthread_mutex_unlock(&fetched.mu);
    if (strcmp(source->image, "held") == 0)
        result = ctx_sleep(ctx, 60000, NULL);
    else
        await_pair(ctx, number);
    pthread_mutex_lock(&fetched.mu);
    fetched.running--;
    fetched.cancelled += result < 0;
    pthread_mutex_unlock(&fetched.mu);
}

static inline void await_fetched(const struct ctx *ctx)
{
    unsigned count;

    do {
        assert_int_equal(ctx_sleep(ctx, 5, NULL), 0);
        pthread_mutex_lock(&fetched.mu);
        count = fetched.count;
        pthread_mutex_unlock(&fetched.mu);
    } while (count < fetched.expected);
}

static inline int fake_open(const struct ctx *ctx, struct engine_instance *instance,
                            const struct place_options *options, struct place **ret,
                            struct err *err)
{
    (void)ctx;
    (void)instance;
    (void)options;
    (void)err;
    atomic_fetch_add(&open_places, 1);
    *ret = (struct place *)&open_places;
    return 0;
}

static inline void fake_prepare(struct place *place, const struct runnable *next)
{
    (void)place;
    assert_non_null(next->argv[2]);
    atomic_fetch_add(&prepared, 1);
}

static inline int fake_run(const struct ctx *ctx, struct place *place,
                           const struct runnable *runnable, struct output *output,
                           struct exit_record *ret, struct err *err)
{
    const char *script = runnable->argv[2];

    (void)place;
    output->write(output, ctx, OUTPUT_STDOUT, script, strlen(script));
    if (strcmp(script, "wait") == 0) {
        int result;

        atomic_store(&waiting, true);
        result = ctx_sleep(ctx, 600000, err);
        atomic_store(&waited, clock_monotonic_ms());
        return result;
    }
    if (strcmp(script, "1 when another waits") == 0) {
        while (!atomic_load(&waiting))
            assert_int_equal(ctx_sleep(ctx, 1, err), 0);
    }
    if (strcmp(script, "serve") == 0) {
        int result;

        atomic_fetch_add(&serving, 1);
        output->started(output);
        *ret = (struct exit_record){.kind = EXIT_CODE, .code = 143};
        result = ctx_sleep(ctx, 60000, err);
        atomic_fetch_sub(&serving, 1);
        return result;
    }
    if (strcmp(script, "served") == 0) {
        while (atomic_load(&serving))
            assert_int_equal(ctx_sleep(ctx, 1, err), 0);
        script = "0";
    }
    if (script[0] == '0' && script[1] == '.')
        assert_int_equal(ctx_sleep(ctx, strcmp(script, "0.long") == 0 ? long_ms : 200, err), 0);
    if (strcmp(script, "fetched") == 0) {
        await_fetched(ctx);
        script = "0";
    }
    if (strcmp(script, "export") == 0) {
        output->returned(output, &outputs_files[OUTPUTS_ENV], RETURNED_WHOLE, "V=1", 3);
        script = "0";
    }
    if (strcmp(script, "late") == 0) {
        atomic_store(&waiting, true);
        assert_int_equal(ctx_sleep(ctx, 600000, err), -1);
        script = "0";
    }
    if (strcmp(script, "error") == 0)
        return err_set(err, ERR_IMAGE_PULL, "image x cannot be pulled");
    if (strcmp(script, "lost") == 0)
        *ret = (struct exit_record){.kind = EXIT_LOST, .detail = "the daemon went away"};
    else if (strcmp(script, "unschedulable") == 0)
        *ret = (struct exit_record){.kind = EXIT_LOST,
                                    .reason = REASON_UNSCHEDULABLE,
                                    .detail = "no node took it"};
    else if (strcmp(script, "signal") == 0)
        *ret = (struct exit_record){.kind = EXIT_SIGNAL, .signal = 9, .code = 137};
    else if (strcmp(script, "oom") == 0)
        *ret = (struct exit_record){.kind = EXIT_CODE,
                                    .code = 137,
                                    .reason = REASON_OOM,
                                    .detail = "out of memory"};
    else
        *ret = (struct exit_record){.kind = EXIT_CODE, .code = script[0] - '0'};
    return 0;
}

/* What says whether something is ready: how often it is not, and with what error. */
static atomic_int not_ready;
static enum err_code not_ready_code;

static inline int fake_check(const struct ctx *ctx, struct place *place,
                             const struct runnable *running, const struct probe *probe,
                             struct err *err)
{
    (void)ctx;
    (void)place;
    assert_string_equal(running->argv[2], "serve");
    assert_int_equal(probe->port, probe->kind == PROBE_IMAGE ? 0 : 80);
    if (atomic_load(&not_ready) == 0)
        return 0;
    atomic_fetch_sub(&not_ready, 1);
    return err_set(err, not_ready_code, "nobody listens");
}

static inline void fake_close(struct place *place)
{
    (void)place;
    atomic_fetch_sub(&open_places, 1);
}

static const struct engine fake = {.name = "fake",
                                   .connect = fake_connect,
                                   .disconnect = fake_disconnect,
                                   .prefetch = fake_prefetch,
                                   .open = fake_open,
                                   .prepare = fake_prepare,
                                   .run = fake_run,
                                   .check = fake_check,
                                   .close = fake_close};
static const struct engine fake_with_services = {.name = "served",
                                                 .capabilities = ENGINE_SERVICES,
                                                 .connect = fake_connect,
                                                 .disconnect = fake_disconnect,
                                                 .open = fake_open,
                                                 .run = fake_run,
                                                 .check = fake_check,
                                                 .close = fake_close};
static const struct engine *const engines[] = {&fake, &fake_with_services, NULL};
static const struct step_kind *const kinds[] = {&step_kind_command, NULL};

/* --- pipelines --- */

enum { JOBS = 3, STEPS = 9, MANY_STEPS = 24 };

struct fixture {
    struct spec_step steps[JOBS][MANY_STEPS];
    struct spec_job jobs[JOBS];
    struct spec_stage stages[2];
    struct spec_pipeline spec;
    struct node root;
    struct exec_verdict verdict;
    struct ctx ctx;
};

static inline struct spec_str str(const char *text)
{
    return (struct spec_str){.text = (char *)text};
}

/* One stage of `jobs` jobs with `steps` steps each, all "0"; a second stage of the first job. */
static inline void make(struct fixture *f, size_t jobs, size_t steps)
{
    *f = (struct fixture){0};
    for (size_t i = 0; i < jobs; i++) {
        for (size_t j = 0; j < steps; j++) {
            spec_common_init(&f->steps[i][j].common);
            f->steps[i][j].command = str("0");
        }
        f->jobs[i] = (struct spec_job){.steps = f->steps[i], .step_count = steps};
        spec_common_init(&f->jobs[i].common);
    }
    for (size_t i = 0; i < 2; i++) {
        f->stages[i] = (struct spec_stage){.jobs = f->jobs, .job_count = i ? 1 : jobs};
        spec_common_init(&f->stages[i].common);
    }
    f->spec = (struct spec_pipeline){.name = str("p"), .stages = f->stages, .stage_count = 1};
    spec_common_init(&f->spec.common);
    f->spec.common.engine = str("fake");
    assert_int_equal(ctx_init_root(&f->ctx, NULL, NULL), 0);
}

static inline void run(struct fixture *f)
{
    struct event_bus bus = EVENT_BUS_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    struct plan_inputs inputs = {.current_dir = "/tmp"};
    CLEANUP_PLAN struct plan *plan = plan_build(&f->spec, &inputs, &diags);
    struct engine_services services = {0};
    struct exec_options options = {.engines = engines,
                                   .kinds = kinds,
                                   .services = &services,
                                   .bus = &bus};

    assert_non_null(plan);
    assert_int_equal(own_run_begin(NULL, &services.run, NULL), 0);
    exec_run(&f->ctx, plan, &options, &f->root, &f->verdict);
    own_run_end(services.run);
    assert_int_equal(atomic_load(&open_places), 0);
}

static inline bool never_waits(void)
{
    return !atomic_load(&waiting);
}

/* For a limit that is to pass when a step waits, which on a slow machine takes its time to begin:
 * runs what has been made with more and more milliseconds, until it did not come `too_late`. What
 * it returns are those, of which no number is one of seconds. */
static inline int64_t run_in_time(struct fixture *f,
                                  void (*make_with)(struct fixture *f, int64_t limit_ms),
                                  bool (*too_late)(void))
{
    int64_t limit_ms = 100;

    for (;;) {
        atomic_store(&waiting, false);
        make_with(f, limit_ms);
        run(f);
        if (!too_late() || limit_ms > 20000)
            return limit_ms;
        node_release(&f->root);
        ctx_release(&f->ctx);
        limit_ms *= 4;
    }
}

static inline void done(struct fixture *f)
{
    node_release(&f->root);
    ctx_release(&f->ctx);
}

static inline const struct node *step_node(const struct fixture *f, unsigned job, unsigned step)
{
    return &f->root.children[0].children[job].children[step];
}

static inline void assert_ended(const struct node *node, enum state state, enum reason reason,
                                const char *error)
{
    assert_string_equal(state_name((enum state)node->state), state_name(state));
    assert_string_equal(reason_name((enum reason)node->reason), reason_name(reason));
    if (error)
        assert_string_equal(node->error, error);
}
