/* The executor over an engine that gives what no real one gives on demand: lost records, engines
 * that cannot be reached, failures to open. Everything else is tested end to end. */
#include "tests/unit/test.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "exec/exec.h"
#include "exec/outputs.h"
#include "own/own.h"

/* --- an engine whose steps are scripts like "3", "lost", "signal", "wait", "late", "error",
 *     "fetched": until as many images as are expected have been asked for, "export": sets a
 *     variable for the steps behind it --- */

static atomic_int open_places;
static atomic_int prepared;
static atomic_bool waiting; /* a "wait" has begun */

static int fake_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    if (strcmp(url, "fake://away") == 0)
        return err_set(err, ERR_UNAVAILABLE, "nobody answers at %s", url);
    *ret = (struct engine_instance *)&open_places;
    return 0;
}

static void fake_disconnect(struct engine_instance *instance)
{
    (void)instance;
}

/* The images that were asked for ahead; "held" stays under way until its context ends. */
static struct {
    pthread_mutex_t mu;
    char images[32][16];
    unsigned count, expected, running, most_running, cancelled;
} fetched = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void fake_prefetch(const struct ctx *ctx, struct engine_instance *instance,
                          const struct image_source *source, const char *platform)
{
    int result;

    (void)instance;
    (void)platform;
    pthread_mutex_lock(&fetched.mu);
    assert_true(fetched.count < 32);
    snprintf(fetched.images[fetched.count++], sizeof(fetched.images[0]), "%s", source->image);
    if (++fetched.running > fetched.most_running)
        fetched.most_running = fetched.running;
    pthread_mutex_unlock(&fetched.mu);
    result = ctx_sleep(ctx, strcmp(source->image, "held") == 0 ? 60000 : 20, NULL);
    pthread_mutex_lock(&fetched.mu);
    fetched.running--;
    fetched.cancelled += result < 0;
    pthread_mutex_unlock(&fetched.mu);
}

static void await_fetched(const struct ctx *ctx)
{
    unsigned count;

    do {
        assert_int_equal(ctx_sleep(ctx, 5, NULL), 0);
        pthread_mutex_lock(&fetched.mu);
        count = fetched.count;
        pthread_mutex_unlock(&fetched.mu);
    } while (count < fetched.expected);
}

static int fake_open(const struct ctx *ctx, struct engine_instance *instance,
                     const struct place_options *options, struct place **ret, struct err *err)
{
    (void)ctx;
    (void)instance;
    (void)options;
    (void)err;
    atomic_fetch_add(&open_places, 1);
    *ret = (struct place *)&open_places;
    return 0;
}

static void fake_prepare(struct place *place, const struct runnable *next)
{
    (void)place;
    assert_non_null(next->argv[2]);
    atomic_fetch_add(&prepared, 1);
}

static int fake_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err)
{
    const char *script = runnable->argv[2];

    (void)place;
    output->write(output, ctx, OUTPUT_STDOUT, script, strlen(script));
    if (strcmp(script, "wait") == 0) {
        atomic_store(&waiting, true);
        return ctx_sleep(ctx, 60000, err);
    }
    if (strcmp(script, "1 when another waits") == 0) {
        while (!atomic_load(&waiting))
            assert_int_equal(ctx_sleep(ctx, 1, err), 0);
    }
    if (strcmp(script, "serve") == 0) {
        output->started(output);
        *ret = (struct exit_record){.kind = EXIT_CODE, .code = 143};
        return ctx_sleep(ctx, 60000, err);
    }
    if (script[0] == '0' && script[1] == '.')
        assert_int_equal(ctx_sleep(ctx, strcmp(script, "0.long") == 0 ? 1000 : 200, err), 0);
    if (strcmp(script, "fetched") == 0) {
        await_fetched(ctx);
        script = "0";
    }
    if (strcmp(script, "export") == 0) {
        output->returned(output, &outputs_files[OUTPUTS_ENV], RETURNED_WHOLE, "V=1", 3);
        script = "0";
    }
    if (strcmp(script, "late") == 0) {
        assert_int_equal(ctx_sleep(ctx, 60000, err), -1);
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

static int fake_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
                      const struct probe *probe, struct err *err)
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

static void fake_close(struct place *place)
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

static struct spec_str str(const char *text)
{
    return (struct spec_str){.text = (char *)text};
}

/* One stage of `jobs` jobs with `steps` steps each, all "0"; a second stage of the first job. */
static void make(struct fixture *f, size_t jobs, size_t steps)
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

static void run(struct fixture *f)
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

static void done(struct fixture *f)
{
    node_release(&f->root);
    ctx_release(&f->ctx);
}

static const struct node *step_node(const struct fixture *f, unsigned job, unsigned step)
{
    return &f->root.children[0].children[job].children[step];
}

static void assert_ended(const struct node *node, enum state state, enum reason reason,
                         const char *error)
{
    assert_string_equal(state_name((enum state)node->state), state_name(state));
    assert_string_equal(reason_name((enum reason)node->reason), reason_name(reason));
    if (error)
        assert_string_equal(node->error, error);
}

static void success(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 2, 3);
    atomic_store(&prepared, 0);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 1, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_int_equal(atomic_load(&prepared), 4);
    done(&f);
}

/* Each step makes what was announced of the next ones useless. */
static void steps_are_not_announced_in_vain_for_ever(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, MANY_STEPS);
    for (unsigned i = 0; i < MANY_STEPS; i++)
        f.steps[0][i].command = str("export");
    atomic_store(&prepared, 0);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(atomic_load(&prepared), 17); /* and 6 less than without a limit */
    done(&f);
}

static void failures_tell_what_happened(void **state)
{
    static const struct {
        const char *script;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"3", REASON_ERROR, "exit code 3"},
        {"lost", REASON_LOST, "lost: no exit record: the daemon went away"},
        {"unschedulable", REASON_UNSCHEDULABLE, "no node took it"},
        {"signal", REASON_ERROR, "ended by signal 9 (SIGKILL)"},
        {"oom", REASON_OOM, "exit code 137: out of memory"},
        {"error", REASON_IMAGE_PULL, "image x cannot be pulled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;

        make(&f, 1, 3);
        f.steps[0][1].command = str(cases[i].script);
        run(&f);
        assert_int_equal(f.verdict.state, STATE_FAILED);
        assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
        assert_ended(step_node(&f, 0, 1), STATE_FAILED, cases[i].reason, cases[i].error);
        assert_ended(step_node(&f, 0, 2), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        assert_int_equal(f.root.reason, cases[i].reason);
        assert_string_equal(step_node(&f, 0, 1)->tail, cases[i].script);
        done(&f);
    }
}

static void unavailable_engine_is_told_apart(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    f.spec.common.engine = str("fake://away");
    run(&f);
    assert_true(f.verdict.engine_unavailable);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_ERROR, "nobody answers at fake://away");
    done(&f);
    make(&f, 1, 2);
    f.steps[0][1].common.engine = str("fake://away");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_FAILED);
    assert_false(f.verdict.engine_unavailable);
    done(&f);
}

static void tighter_deadline_is_named_at_every_level(void **state)
{
    struct fixture f;
    const char *error = "stage timeout after 500 milliseconds: context deadline exceeded";

    (void)state;
    make(&f, 1, 2);
    f.spec.stage_count = 2;
    f.stages[0].name = str("build");
    f.stages[0].common.timeout_ms = 500;
    f.steps[0][0].command = str("wait");
    f.steps[0][0].common.timeout_ms = 60000;
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_TIMEOUT, error);
    assert_string_equal(step_node(&f, 0, 0)->message,
                        "stage \"build\" timeout after 500 milliseconds");
    assert_ended(step_node(&f, 0, 1), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, error);
    assert_ended(&f.root.children[0], STATE_FAILED, REASON_TIMEOUT, error);
    assert_ended(&f.root.children[1], STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_false(f.verdict.own_deadline);
    done(&f);
}

static void own_deadline_of_the_pipeline(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 1);
    f.spec.common.timeout_ms = 20;
    f.steps[0][0].command = str("wait");
    run(&f);
    assert_true(f.verdict.own_deadline);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT,
                 "pipeline timeout after 20 milliseconds: context deadline exceeded");
    done(&f);
}

/* The time can be up when no step runs. */
static void deadline_between_children(void **state)
{
    struct fixture f;
    const char *error = "job timeout after 500 milliseconds: context deadline exceeded";

    (void)state;
    make(&f, 1, 2);
    f.jobs[0].common.timeout_ms = 500;
    f.steps[0][0].command = str("late");
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, error);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_false(f.verdict.own_deadline);
    done(&f);

    make(&f, 1, 1);
    f.spec.stage_count = 2;
    f.spec.post.failure = str("5");
    f.spec.post.cancelled = str("6");
    f.spec.common.timeout_ms = 500;
    f.steps[0][0].command = str("late");
    run(&f);
    assert_ended(&f.root.children[0], STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(&f.root.children[1], STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(&f.root.children[2].children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "exit code 5");
    assert_true(f.verdict.own_deadline);
    done(&f);

    make(&f, 1, 1);
    f.spec.stage_count = 2;
    f.spec.common.timeout_ms = 500;
    f.steps[0][0].command = str("late");
    run(&f);
    assert_true(f.verdict.own_deadline);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT,
                 "pipeline timeout after 500 milliseconds: context deadline exceeded");
    done(&f);
}

/* What ended a step stays the reason when the limit of a level above passes afterwards. */
static void later_deadline_is_not_blamed(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 1);
    f.spec.common.timeout_ms = 700;
    f.spec.post.always = str("0.long");
    f.steps[0][0].command = str("wait");
    f.steps[0][0].common.timeout_ms = 20;
    run(&f);
    assert_ended(&f.root, STATE_FAILED, REASON_TIMEOUT,
                 "stage \"stage-1\" failed: job \"job-1\" failed: step \"step-1\" failed: "
                 "step timeout after 20 milliseconds: context deadline exceeded");
    assert_string_equal(f.root.message,
                        "stage \"stage-1\" failed: job \"job-1\" failed: step \"step-1\" failed: "
                        "step \"step-1\" timeout after 20 milliseconds");
    assert_false(f.verdict.own_deadline);
    done(&f);
}

static void cancelled_before_it_starts(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 2, 2);
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    assert_ended(step_node(&f, 1, 1), STATE_CANCELLED, REASON_NONE, NULL);
    done(&f);
    make(&f, 1, 1);
    f.spec.post.always = str("5");
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.root.children[1].state, STATE_FAILED);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    done(&f);
}

/* A sibling's failure can come when a job has started but none of its steps has: what did not run
 * is not a success. */
static void skipped_for_a_sibling_is_no_success(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    ctx_cancel(&f.ctx, CTX_CAUSE_FAIL_FAST);
    run(&f);
    assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    done(&f);
}

/* What was made ready for a step that is skipped in the end must not run in another's place. */
static void skipped_steps_leave_nothing_behind(void **state)
{
    struct spec_flow flow = {.condition = str("env.NOT_SET == 'x'")};
    struct fixture f;

    (void)state;
    make(&f, 1, STEPS);
    for (unsigned i = 0; i < STEPS; i++)
        f.steps[0][i].command = str(i == STEPS - 1 ? "4" : i % 2 ? "3" : "0");
    for (unsigned i = 1; i < STEPS; i += 2)
        f.steps[0][i].flow = &flow;
    run(&f);
    for (unsigned i = 0; i + 1 < STEPS; i++)
        assert_ended(step_node(&f, 0, i), i % 2 ? STATE_SKIPPED : STATE_SUCCEEDED, REASON_NONE,
                     NULL);
    assert_ended(step_node(&f, 0, STEPS - 1), STATE_FAILED, REASON_ERROR, "exit code 4");
    done(&f);
}

static void first_failure_cancels_siblings(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 3, 1);
    f.stages[0].max_parallel = 2;
    f.steps[0][0].command = str("wait");
    f.steps[1][0].command = str("1 when another waits");
    atomic_store(&waiting, false);
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 2, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    assert_ended(&f.root.children[0], STATE_FAILED, REASON_ERROR,
                 "job \"job-2\" failed: step \"step-1\" failed: exit code 1");
    done(&f);
}

static void expect_fetched(unsigned expected)
{
    fetched.count = fetched.most_running = fetched.cancelled = 0;
    fetched.expected = expected;
}

static bool was_fetched(const char *image)
{
    for (unsigned i = 0; i < fetched.count; i++) {
        if (strcmp(fetched.images[i], image) == 0)
            return true;
    }
    return false;
}

static void set_image(struct spec_common *common, const char *image)
{
    common->image = str(image);
    common->engine = str("fake");
}

static void images_are_fetched_ahead_two_at_a_time(void **state)
{
    static const char *const images[JOBS][STEPS] = {{"0-0", "0-1", "0-2"},
                                                    {"1-0", "1-1", "1-2"},
                                                    {"2-0", "2-1", "2-2"}};
    struct fixture f;

    (void)state;
    make(&f, JOBS, STEPS);
    for (size_t i = 0; i < JOBS; i++) {
        for (size_t j = 0; j < STEPS; j++)
            set_image(&f.steps[i][j].common, images[i][j]);
    }
    f.stages[0].run_mode = SPEC_RUN_MODE_SERIAL;
    f.spec.stage_count = 2;
    f.steps[0][0].command = str("fetched");
    expect_fetched(8 + 3);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(fetched.count, 8 + 3);
    assert_int_equal(fetched.most_running, 2);
    /* Nearly in the order of need: the two threads may overtake one another. */
    assert_true(strcmp(fetched.images[0], "1-0") == 0 || strcmp(fetched.images[0], "2-0") == 0);
    assert_int_equal(fetched.images[3][2], '1');
    assert_int_equal(fetched.images[6][2], '2');
    /* The first step begins at once; its image is on the list for the second stage alone. */
    assert_true(was_fetched("0-0"));
    assert_string_not_equal(fetched.images[0], "0-0");
    done(&f);
}

static void images_that_may_not_be_wanted_are_not_fetched(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 3);
    set_image(&f.spec.common, "post");
    f.spec.post.failure = str("0");
    set_image(&f.steps[0][1].common, "a${NOT_SET}");
    set_image(&f.steps[0][2].common, "last");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_int_equal(fetched.count, 1);
    assert_true(was_fetched("last"));
    done(&f);
    make(&f, 1, 1);
    set_image(&f.spec.common, "post");
    f.spec.post.success = str("0");
    f.steps[0][0].command = str("fetched");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
}

static void fetching_ends_with_the_run(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    set_image(&f.steps[0][0].common, "held");
    set_image(&f.steps[0][1].common, "held");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(fetched.cancelled, 1);
    assert_int_equal(fetched.running, 0);
    done(&f);
    make(&f, 1, 2);
    set_image(&f.steps[0][1].common, "held");
    f.spec.post.always = str("0");
    f.steps[0][0].command = str("wait");
    expect_fetched(1);
    ctx_cancel(&f.ctx, CTX_CAUSE_USER);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_CANCELLED);
    assert_int_equal(fetched.running, 0);
    done(&f);
}

static void engine_out_of_reach_fails_the_step_not_the_prefetch(void **state)
{
    struct fixture f;

    (void)state;
    make(&f, 1, 3);
    set_image(&f.steps[0][1].common, "x");
    f.steps[0][1].common.engine = str("fake://away");
    set_image(&f.steps[0][2].common, "last");
    f.steps[0][0].command = str("fetched");
    expect_fetched(1);
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_ERROR, "nobody answers at fake://away");
    assert_true(was_fetched("last"));
    assert_false(f.verdict.engine_unavailable);
    done(&f);
}

/* --- steps in the background --- */

static void make_background(struct fixture *f, const char *script, struct spec_ready *ready)
{
    make(f, 1, 3);
    f->steps[0][0].command = str(script);
    f->steps[0][0].background = SPEC_TRUE;
    f->steps[0][0].ready = ready;
    if (ready)
        spec_ready_init(ready);
}

static void background_step_ends_with_its_job(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "serve", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_true(step_node(&f, 0, 0)->has_exit_code);
    assert_int_equal(step_node(&f, 0, 0)->exit_code, 143);
    assert_ended(step_node(&f, 0, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void failure_in_the_background_does_not_count(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "3", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_ERROR, "exit code 3");
    assert_true(step_node(&f, 0, 0)->allowed);
    assert_ended(step_node(&f, 0, 2), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void background_step_that_cannot_start_fails_its_job(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "error", NULL);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_FAILED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_IMAGE_PULL, "image x cannot be pulled");
    assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
}

static void next_step_waits_until_it_is_ready(void **state)
{
    struct spec_ready ready;
    struct fixture f;

    (void)state;
    make_background(&f, "serve", &ready);
    ready.tcp = str("80");
    ready.interval_ms = 1;
    ready.log = str("^ser.e$");
    atomic_store(&not_ready, 3);
    not_ready_code = ERR_UNAVAILABLE;
    run(&f);
    assert_int_equal(atomic_load(&not_ready), 0);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
}

static void what_is_never_ready_fails(void **state)
{
    static const struct {
        const char *script, *tcp, *log;
        int not_ready;
        enum err_code code;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"serve", "80", NULL, INT_MAX, ERR_UNAVAILABLE, REASON_TIMEOUT,
         "it was not ready after 300 milliseconds: nobody listens"},
        {"serve", NULL, "^up$", 0, ERR_NONE, REASON_TIMEOUT,
         "it was not ready after 300 milliseconds: no line of its output matches \"^up$\""},
        {"serve", "80", NULL, INT_MAX, ERR_UNSUPPORTED, REASON_ERROR,
         "it cannot be told whether it is ready: nobody listens"},
        {"0", "80", NULL, 0, ERR_NONE, REASON_ERROR, "ended before it was ready: exit code 0"},
        {"4", NULL, "^up$", 0, ERR_NONE, REASON_ERROR, "ended before it was ready: exit code 4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec_ready ready;
        struct fixture f;

        make_background(&f, cases[i].script, &ready);
        ready.tcp = str(cases[i].tcp);
        ready.log = str(cases[i].log);
        ready.timeout_ms = 300;
        atomic_store(&not_ready, cases[i].not_ready);
        not_ready_code = cases[i].code;
        run(&f);
        assert_int_equal(f.verdict.state, STATE_FAILED);
        assert_ended(step_node(&f, 0, 0), STATE_FAILED, cases[i].reason, cases[i].error);
        assert_string_equal(step_node(&f, 0, 0)->tail, cases[i].script);
        assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        done(&f);
    }
}

static void end_of_the_job_cancels_what_is_in_the_background(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "serve", NULL);
    f.jobs[0].common.timeout_ms = 500;
    f.steps[0][1].command = str("wait");
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_CANCELLED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_TIMEOUT, NULL);
    done(&f);
}

static void own_limit_ends_a_background_step_alone(void **state)
{
    struct fixture f;

    (void)state;
    make_background(&f, "serve", NULL);
    f.steps[0][0].common.timeout_ms = 20;
    f.steps[0][1].command = str("0.long");
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_ended(step_node(&f, 0, 0), STATE_FAILED, REASON_TIMEOUT, NULL);
    assert_true(step_node(&f, 0, 0)->allowed);
    done(&f);
}

/* An engine from whose workspace nothing comes back refuses caches, and the job says why. */
static void caches_need_the_workdir(void **state)
{
    struct spec_str path = str("deps");
    struct spec_cache cache = {.key = str("k"), .paths = {&path, 1}};
    struct fixture f;

    (void)state;
    make(&f, 1, 2);
    f.jobs[0].caches = &cache;
    f.jobs[0].cache_count = 1;
    run(&f);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "\"cache\" does not work with the engine fake yet: its workspace is not the "
                 "workdir, and nothing comes back from it");
    assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
    make(&f, 1, 2);
    f.steps[0][1].caches = &cache;
    f.steps[0][1].cache_count = 1;
    run(&f);
    assert_ended(step_node(&f, 0, 0), STATE_SUCCEEDED, REASON_NONE, NULL);
    assert_ended(step_node(&f, 0, 1), STATE_FAILED, REASON_ERROR, NULL);
    done(&f);
}

/* --- services --- */

/* A service "db" on the first job of a stage of one, whose program is the script; `ready` stays
 * the caller's. */
static void make_service(struct fixture *f, struct spec_service *service, const char *script)
{
    static struct spec_str words[3];

    make(f, 1, 2);
    f->spec.common.engine = str("served");
    *service = (struct spec_service){.name = str("db")};
    spec_service_init(service);
    service->image = str("image");
    words[0] = words[1] = str("-");
    words[2] = str(script);
    service->command = (struct spec_strs){words, 3};
    f->jobs[0].services = (struct spec_services){service, 1};
    atomic_store(&not_ready, 0);
    not_ready_code = ERR_UNAVAILABLE;
}

static void services_run_beside_the_steps(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    atomic_store(&not_ready, 2);
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    assert_int_equal(atomic_load(&not_ready), 0);
    assert_ended(step_node(&f, 0, 1), STATE_SUCCEEDED, REASON_NONE, NULL);
    done(&f);
}

static void service_of_the_pipeline_runs_beside_all_stages(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    f.spec.services = f.jobs[0].services;
    f.jobs[0].services = (struct spec_services){0};
    f.spec.stage_count = 2;
    run(&f);
    assert_int_equal(f.verdict.state, STATE_SUCCEEDED);
    done(&f);
    make_service(&f, &service, "error");
    f.spec.services = f.jobs[0].services;
    f.jobs[0].services = (struct spec_services){0};
    run(&f);
    assert_ended(&f.root, STATE_FAILED, REASON_IMAGE_PULL,
                 "service \"db\": image x cannot be pulled");
    assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
    done(&f);
}

static void service_that_is_not_ready_fails_its_job(void **state)
{
    static const struct {
        const char *script;
        enum reason reason;
        const char *error;
    } cases[] = {
        {"serve", REASON_TIMEOUT,
         "service \"db\": it was not ready after 300 milliseconds: nobody listens"},
        {"3", REASON_ERROR, "service \"db\": it ended before it was ready: exit code 3"},
        {"error", REASON_IMAGE_PULL, "service \"db\": image x cannot be pulled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct spec_service service;
        struct spec_ready ready;
        struct fixture f;

        make_service(&f, &service, cases[i].script);
        spec_ready_init(&ready);
        ready.tcp = str("80");
        ready.timeout_ms = 300;
        service.ready = &ready;
        atomic_store(&not_ready, INT_MAX);
        run(&f);
        assert_ended(&f.root.children[0].children[0], STATE_FAILED, cases[i].reason,
                     cases[i].error);
        assert_string_equal(f.root.children[0].children[0].tail, cases[i].script);
        assert_ended(step_node(&f, 0, 0), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        assert_ended(step_node(&f, 0, 1), STATE_SKIPPED, REASON_DEPENDENCY, NULL);
        done(&f);
    }
}

static void engine_without_services_says_so(void **state)
{
    struct spec_service service;
    struct fixture f;

    (void)state;
    make_service(&f, &service, "serve");
    f.spec.common.engine = str("fake");
    run(&f);
    assert_ended(&f.root.children[0].children[0], STATE_FAILED, REASON_ERROR,
                 "services: the engine fake has no services");
    done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_run_beside_the_steps),
        cmocka_unit_test(service_of_the_pipeline_runs_beside_all_stages),
        cmocka_unit_test(service_that_is_not_ready_fails_its_job),
        cmocka_unit_test(engine_without_services_says_so),
        cmocka_unit_test(background_step_ends_with_its_job),
        cmocka_unit_test(failure_in_the_background_does_not_count),
        cmocka_unit_test(background_step_that_cannot_start_fails_its_job),
        cmocka_unit_test(next_step_waits_until_it_is_ready),
        cmocka_unit_test(what_is_never_ready_fails),
        cmocka_unit_test(end_of_the_job_cancels_what_is_in_the_background),
        cmocka_unit_test(own_limit_ends_a_background_step_alone),
        cmocka_unit_test(success),
        cmocka_unit_test(skipped_steps_leave_nothing_behind),
        cmocka_unit_test(steps_are_not_announced_in_vain_for_ever),
        cmocka_unit_test(failures_tell_what_happened),
        cmocka_unit_test(unavailable_engine_is_told_apart),
        cmocka_unit_test(tighter_deadline_is_named_at_every_level),
        cmocka_unit_test(own_deadline_of_the_pipeline),
        cmocka_unit_test(deadline_between_children),
        cmocka_unit_test(later_deadline_is_not_blamed),
        cmocka_unit_test(cancelled_before_it_starts),
        cmocka_unit_test(skipped_for_a_sibling_is_no_success),
        cmocka_unit_test(first_failure_cancels_siblings),
        cmocka_unit_test(images_are_fetched_ahead_two_at_a_time),
        cmocka_unit_test(images_that_may_not_be_wanted_are_not_fetched),
        cmocka_unit_test(fetching_ends_with_the_run),
        cmocka_unit_test(engine_out_of_reach_fails_the_step_not_the_prefetch),
        cmocka_unit_test(caches_need_the_workdir),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
