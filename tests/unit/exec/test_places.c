/* What engines whose places are pods are told when one is opened, and what runs in it. The engine
 * here writes down what it is asked. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "exec/exec.h"
#include "exec/outputs.h"
#include "load/load.h"
#include "objstore/local.h"
#include "own/own.h"

/* A line for each call, in the order of the calls. */
static struct {
    pthread_mutex_t mu;
    struct buf text;
    char *run_id;
    unsigned places;
} told = {.mu = PTHREAD_MUTEX_INITIALIZER, .text = BUF_INIT};

struct place {
    unsigned number;
    atomic_int running;
};

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    pthread_mutex_lock(&told.mu);
    buf_addf(&told.text, "%s\n", line);
    pthread_mutex_unlock(&told.mu);
}

/* "0.0.1" of "RUN.0.0.1", "services" of "RUN-services". */
static const char *short_id(const char *id)
{
    return id + strlen(told.run_id) + 1;
}

static int pods_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    (void)err;
    *ret = (struct engine_instance *)xstrdup(url);
    return 0;
}

static void pods_disconnect(struct engine_instance *instance)
{
    free(instance);
}

static void add_json(struct buf *line, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    buf_addf(line, ", %s", text);
    free(text);
}

static int pods_open(const struct ctx *ctx, struct engine_instance *instance,
                     const struct place_options *options, struct place **ret, struct err *err)
{
    CLEANUP_BUF struct buf line = BUF_INIT;
    struct place *place = xcalloc(1, sizeof(*place));

    (void)ctx;
    (void)err;
    place->number = ++told.places;
    buf_addf(&line, "open %u: %s", place->number, short_id(options->id));
    for (size_t i = 0; i < options->expected_count; i++) {
        const struct runnable *r = options->expected[i];

        buf_addf(&line, " %s%s%s=%s", r->service ? "service " : "", short_id(r->id),
                 r->placed_count ? "+" : "", r->container->source.image);
        if (r->container->kubernetes)
            add_json(&line, r->container->kubernetes);
    }
    if (strcmp((char *)instance, "kubernetes") != 0)
        buf_addf(&line, ", at %s", (char *)instance);
    if (options->empty)
        buf_addstr(&line, ", empty");
    if (options->services)
        buf_addstr(&line, ", for services");
    if (options->overlapping)
        buf_addstr(&line, ", overlapping");
    if (options->timeout_ms)
        buf_addf(&line, ", %lld ms", (long long)options->timeout_ms);
    if (options->schedule_timeout_ms)
        buf_addf(&line, ", a machine in %lld ms", (long long)options->schedule_timeout_ms);
    if (options->kubernetes)
        add_json(&line, options->kubernetes);
    for (size_t i = 0; i < options->services_of_count; i++)
        buf_addf(&line, ", services of %u", options->services_of[i]->number);
    tell("%s", line.data);
    *ret = place;
    return 0;
}

/* A program is "serve", "export", which sets X to "found" for the steps behind it, or one that
 * ends with the code that it is. */
static int pods_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err)
{
    const char *script = runnable->service ? "serve" : runnable->argv[1] ? runnable->argv[2] : "0";
    int result = 0;

    atomic_fetch_add(&place->running, 1);
    tell("%u runs %s", place->number, short_id(runnable->id));
    *ret = (struct exit_record){.kind = EXIT_CODE, .code = script[0] == '3' ? 3 : 0};
    if (strcmp(script, "serve") == 0) {
        if (output->started)
            output->started(output);
        result = ctx_sleep(ctx, 60000, err);
        tell("%u ends %s", place->number, short_id(runnable->id));
    } else if (strcmp(script, "export") == 0) {
        output->returned(output, &outputs_files[OUTPUTS_OUTPUT], RETURNED_WHOLE, "X=found", 7);
    }
    atomic_fetch_sub(&place->running, 1);
    return result;
}

static int pods_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
                      const struct probe *probe, struct err *err)
{
    (void)ctx;
    (void)place;
    (void)running;
    (void)probe;
    (void)err;
    return 0;
}

/* What is asked for is a file with the number of the place. */
static int pods_get(const struct ctx *ctx, struct place *place, const char *path, const char *into,
                    struct err *err)
{
    CLEANUP_FREE char *file = fs_join(into, *path ? path : "all");
    CLEANUP_BUF struct buf text = BUF_INIT;
    char *slash = strrchr(file, '/');

    (void)ctx;
    tell("%u gets %s", place->number, path);
    if (strcmp(path, "broken") == 0)
        return err_set(err, ERR_LOST, "it breaks off");
    buf_addf(&text, "%u", place->number);
    *slash = '\0';
    assert_int_equal(fs_mkdir_p(file, 0700, NULL), 0);
    *slash = '/';
    return fs_write_file(file, text.data, text.len, 0600, err);
}

static int pods_put(const struct ctx *ctx, struct place *place, const char *const *paths,
                    struct err *err)
{
    (void)ctx;
    (void)err;
    for (; *paths; paths++)
        tell("%u is given %s", place->number, *paths);
    return 0;
}

static void pods_close(struct place *place)
{
    tell("close %u", place->number);
    assert_int_equal(atomic_load(&place->running), 0);
    free(place);
}

static const struct engine pods = {.name = "kubernetes",
                                   .capabilities =
                                       ENGINE_CONTAINERS | ENGINE_SERVICES | ENGINE_PODS,
                                   .connect = pods_connect,
                                   .disconnect = pods_disconnect,
                                   .open = pods_open,
                                   .run = pods_run,
                                   .check = pods_check,
                                   .get = pods_get,
                                   .put = pods_put,
                                   .close = pods_close};
static const struct engine containers = {.name = "docker",
                                         .capabilities = ENGINE_CONTAINERS | ENGINE_SERVICES,
                                         .connect = pods_connect,
                                         .disconnect = pods_disconnect,
                                         .open = pods_open,
                                         .run = pods_run,
                                         .check = pods_check,
                                         .close = pods_close};
/* Another address of the first. */
static const struct engine other_pods = {.name = "host",
                                         .capabilities =
                                             ENGINE_CONTAINERS | ENGINE_SERVICES | ENGINE_PODS,
                                         .connect = pods_connect,
                                         .disconnect = pods_disconnect,
                                         .open = pods_open,
                                         .run = pods_run,
                                         .check = pods_check,
                                         .close = pods_close};
static const struct engine *const engines[] = {&pods, &containers, &other_pods, NULL};
static const struct step_kind *const kinds[] = {&step_kind_plugin, &step_kind_command, NULL};

static char scratch[32]; /* stores, and the workdir */

static int open_store(void *arg, const char *url, struct object_store **ret, struct err *err)
{
    CLEANUP_FREE char *root = fs_join(scratch, "store");
    const struct object_store_local_options options = {.root = root};

    (void)arg;
    (void)url;
    (void)err;
    object_store_local_open(&options, ret);
    return 0;
}

static int set_up(void **state)
{
    CLEANUP_FREE char *workdir = NULL;

    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/test-places-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    assert_int_equal(setenv("XDG_STATE_HOME", scratch, 1), 0);
    workdir = fs_join(scratch, "w");
    return fs_mkdir_p(workdir, 0700, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(scratch, NULL);
}

/* Runs one job with these keys; told.text has what the engine was told. */
static enum state run_job(const char *keys)
{
    CLEANUP_LOAD_SOURCE struct load_source source = LOAD_SOURCE_INIT;
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_FREE char *workdir = fs_join(scratch, "w");
    struct plan_inputs inputs = {.current_dir = workdir, .engine = "kubernetes", .image = "box"};
    struct event_bus bus = EVENT_BUS_INIT;
    struct engine_services services = {0};
    const struct exec_options options = {.engines = engines,
                                         .kinds = kinds,
                                         .services = &services,
                                         .bus = &bus,
                                         .open_store = open_store};
    struct exec_verdict verdict;
    struct spec_pipeline *spec;
    struct plan *plan;
    struct node root = {0};
    struct ctx ctx;

    buf_addf(&text, "name: p\n%s", keys);
    load_source_init(&source, "p.yaml", text.data, text.len);
    spec = load_pipeline(&source, NULL, &diags);
    if (!spec)
        fail_msg("%s", diags.items[0].message);
    plan = plan_build(spec, &inputs, &diags);
    assert_non_null(plan);
    buf_reset(&told.text);
    told.places = 0;
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    assert_int_equal(own_run_begin(NULL, &services.run, NULL), 0);
    told.run_id = xstrdup(own_run_id(services.run));
    exec_run(&ctx, plan, &options, &root, &verdict);
    own_run_end(services.run);
    ctx_release(&ctx);
    node_release(&root);
    plan_free(plan);
    spec_pipeline_free(spec);
    free(told.run_id);
    return verdict.state;
}

static void assert_told(const char *keys, const char *expected)
{
    assert_string_equal(state_name(run_job(keys)), "succeeded");
    assert_string_equal(told.text.data, expected);
}

/* The line that tells of the first place that was opened. */
static void assert_opened(const char *keys, const char *expected)
{
    run_job(keys);
    buf_truncate(&told.text, strcspn(told.text.data, "\n"));
    told.text.data[told.text.len] = '\0';
    assert_string_equal(told.text.data, expected);
}

#define JOB(keys) "stages:\n- name: s\n  jobs:\n  - name: j\n" keys

static void all_steps_are_expected(void **state)
{
    (void)state;
    assert_told(JOB("    timeout: 50s\n"
                    "    steps:\n"
                    "    - {name: a, command: '0'}\n"
                    "    - {name: b, command: '0', image: other, user: me}\n"),
                "open 1: 0.0 0.0.0=box 0.0.1=other, 50000 ms\n"
                "1 runs 0.0.0\n"
                "1 runs 0.0.1\n"
                "close 1\n");
}

static void pods_have_the_shape_of_their_job(void **state)
{
    (void)state;
    assert_told("kubernetes: {labels: {a: b}}\n"
                "schedule_timeout: 5m\n"
                "services: {db: {image: base, kubernetes: {volumes: []}}}\n" JOB(
                    "    kubernetes: {labels: {job: '${NAME}'}, namespace: n}\n"
                    "    environment: {NAME: j}\n"
                    "    steps:\n"
                    "    - name: a\n"
                    "      command: '0'\n"
                    "      schedule_timeout: 7m\n"
                    "      kubernetes: {security_context: {a: '${NAME}'}}\n"
                    "    - {name: b, command: '0'}\n"),
                "open 1: services service services.db=base, {\"volumes\":[]}, for services, "
                "a machine in 300000 ms, {\"labels\":{\"a\":\"b\"}}\n"
                "1 runs services.db\n"
                "open 2: 0.0 0.0.0=box, {\"security_context\":{\"a\":\"j\"}} 0.0.1=box, "
                "a machine in 420000 ms, "
                "{\"labels\":{\"a\":\"b\",\"job\":\"j\"},\"namespace\":\"n\"}, services of 1\n"
                "2 runs 0.0.0\n"
                "2 runs 0.0.1\n"
                "close 2\n"
                "1 ends services.db\n"
                "close 1\n");
}

static void hooks_are_expected_with_the_outcomes_that_they_are_for(void **state)
{
    (void)state;
    assert_opened(JOB("    pre: '0'\n"
                      "    post: {always: '0', failure: '0'}\n"
                      "    steps:\n"
                      "    - {name: a, command: '0'}\n"),
                  "open 1: 0.0 0.0.0=box 0.0.1=box 0.0.2=box 0.0.3=box");
    /* Of those of the pipeline it is known which will run. */
    run_job(
        "post: {always: '0', failure: '0', success: '0'}\n" JOB("    engine: docker\n"
                                                                "    steps:\n"
                                                                "    - {name: a, command: '0'}\n"));
    assert_non_null(strstr(told.text.data, "open 2: 1.0 1.0.0=box 1.0.2=box\n"));
}

static void other_places_expect_their_own_steps(void **state)
{
    (void)state;
    assert_told(JOB("    steps:\n"
                    "    - {name: a, command: '0'}\n"
                    "    - {name: b, command: '0', engine: docker}\n"
                    "    - {name: c, command: '0', engine: host}\n"
                    "    - {name: d, command: '0', checkout: none}\n"
                    "    - {name: e, command: '0'}\n"
                    "    - {name: f, command: '0', checkout: none}\n"),
                "open 1: 0.0 0.0.0=box 0.0.4=box\n"
                "1 runs 0.0.0\n"
                "open 2: 0.0, at docker\n"
                "2 runs 0.0.1\n"
                "open 3: 0.0 0.0.2=box, at host\n"
                "3 runs 0.0.2\n"
                "open 4: 0.0 0.0.3=box 0.0.5=box, empty\n"
                "4 runs 0.0.3\n"
                "1 runs 0.0.4\n"
                "4 runs 0.0.5\n"
                "close 1\nclose 2\nclose 3\nclose 4\n");
}

static void steps_overlap_in_graphs_and_with_the_background(void **state)
{
    (void)state;
    assert_opened(JOB("    steps:\n"
                      "    - {name: a, command: '0'}\n"
                      "    - {name: b, command: '0', depends_on: [a]}\n"),
                  "open 1: 0.0 0.0.0=box 0.0.1=box, overlapping");
    assert_opened(JOB("    steps:\n"
                      "    - {name: a, command: '0'}\n"
                      "    - {name: b, command: serve, background: true}\n"),
                  "open 1: 0.0 0.0.0=box 0.0.1=box, overlapping");
    assert_opened(JOB("    steps:\n"
                      "    - {name: a, command: '0'}\n"
                      "    - {name: b, command: serve, background: true, engine: docker}\n"),
                  "open 1: 0.0 0.0.0=box");
}

/* What is not known yet matters if the container is made of it, and not in the environment. */
static void nothing_is_guessed(void **state)
{
    (void)state;
    assert_opened(
        JOB("    environment: {V: above}\n"
            "    steps:\n"
            "    - {name: a, command: export}\n"
            "    - {name: b, command: '0', environment: {V: '{{ steps.a.outputs.X }}'}}\n"
            "    - {name: c, command: '0', image: '{{ steps.a.outputs.X }}'}\n"
            "    - name: d\n"
            "      command: '0'\n"
            "      environment: {V: '{{ steps.a.outputs.X }}'}\n"
            "      image: 'd${V}'\n"
            "    - {name: e, command: '0', image: 'e${V}'}\n"
            "    - {name: f, command: '0', user: \"{{ success() && 'you' || 'me' }}\"}\n"
            "    - {name: g, command: '0', image: 'g${EXPORTED}'}\n"
            "    - {name: h, plugin: {image: h, settings: {a: '{{ steps.a.outputs.X }}'}}}\n"
            "    - {name: i, command: '0', image: 'i{{ pipeline.status }}'}\n"),
        "open 1: 0.0 0.0.0=box 0.0.1=box 0.0.4=eabove 0.0.7+=h");
    /* When the first one has run elsewhere, that is known. */
    run_job(JOB("    steps:\n"
                "    - {name: a, command: export, engine: docker}\n"
                "    - {name: b, command: '0'}\n"
                "    - {name: c, command: '0', image: '{{ steps.a.outputs.X }}'}\n"));
    assert_non_null(strstr(told.text.data, "open 2: 0.0 0.0.1=box 0.0.2=found\n"));
}

#define SERVICE "    services: {db: {image: base}}\n"

static void services_run_beside_the_steps_of_their_job(void **state)
{
    (void)state;
    assert_told(JOB(SERVICE "    steps:\n"
                            "    - {name: a, command: '0'}\n"
                            "    - {name: b, command: '0', checkout: none}\n"),
                "open 1: 0.0 service 0.0-services.db=base 0.0.0=box\n"
                "1 runs 0.0-services.db\n"
                "1 runs 0.0.0\n"
                "open 2: 0.0 0.0.1=box, empty, services of 1\n"
                "2 runs 0.0.1\n"
                "1 ends 0.0-services.db\n"
                "close 1\nclose 2\n");
    /* The first step decides which place that is. */
    assert_opened(JOB(SERVICE "    steps:\n"
                              "    - {name: a, command: '0', engine: docker}\n"
                              "    - {name: b, command: '0', checkout: none}\n"
                              "    - {name: c, command: '0'}\n"),
                  "open 1: 0.0 service 0.0-services.db=base 0.0.1=box, empty");
}

static void services_without_a_step_have_their_own_place(void **state)
{
    (void)state;
    assert_told(JOB(SERVICE "    steps:\n"
                            "    - {name: a, command: '0', engine: host}\n"),
                "open 1: 0.0-services service 0.0-services.db=base, for services\n"
                "1 runs 0.0-services.db\n"
                "open 2: 0.0 0.0.0=box, at host\n"
                "2 runs 0.0.0\n"
                "1 ends 0.0-services.db\n"
                "close 2\nclose 1\n");
}

static void services_of_the_pipeline_have_their_own_place(void **state)
{
    (void)state;
    assert_told("services: {cache: {image: keys}}\n" JOB(SERVICE "    steps:\n"
                                                                 "    - {name: a, "
                                                                 "command: '0'}\n"),
                "open 1: services service services.cache=keys, for services\n"
                "1 runs services.cache\n"
                "open 2: 0.0 service 0.0-services.db=base 0.0.0=box, services of 1\n"
                "2 runs 0.0-services.db\n"
                "2 runs 0.0.0\n"
                "2 ends 0.0-services.db\n"
                "close 2\n"
                "1 ends services.cache\n"
                "close 1\n");
}

/* What `paths` begin with, of the place of a step, and of all places of a job. */
static void files_are_asked_of_their_places(void **state)
{
    (void)state;
    assert_told(JOB("    artifacts: {name: all, paths: ['d/*.x', 'd/deep/f', f]}\n"
                    "    steps:\n"
                    "    - {name: a, command: '0'}\n"
                    "    - name: b\n"
                    "      command: '0'\n"
                    "      checkout: none\n"
                    "      artifacts: [{name: one, paths: g}, {name: two, paths: '**', "
                    "when: on_failure}]\n"),
                "open 1: 0.0 0.0.0=box\n"
                "1 runs 0.0.0\n"
                "open 2: 0.0 0.0.1=box, empty\n"
                "2 runs 0.0.1\n"
                "2 gets g\n"
                "1 gets d\n1 gets f\n"
                "2 gets d\n2 gets f\n"
                "close 1\nclose 2\n");
}

static void what_does_not_come_back_is_not_kept(void **state)
{
    static const char keys[] = JOB("    artifacts: {name: n, paths: [f, broken]}\n"
                                   "    steps: [{name: a, command: '0'}]\n");

    (void)state;
    assert_string_equal(state_name(run_job(keys)), "failed");
    assert_non_null(strstr(told.text.data, "1 gets f\n1 gets broken\nclose 1\n"));
}

/* Saved from the place; restored in the copy that is made, and in one that is there already. */
static void caches_go_to_their_places(void **state)
{
    static const char of_job[] = JOB("    cache: {key: k, paths: [deps/all]}\n"
                                     "    steps: [{name: a, command: '0'}]\n");
    static const char of_steps[] =
        JOB("    steps:\n"
            "    - {name: a, command: '0', cache: {key: a, paths: a}}\n"
            "    - {name: b, command: '0', cache: {key: b, paths: b}}\n");

    (void)state;
    assert_told(of_job, "open 1: 0.0 0.0.0=box\n1 runs 0.0.0\n1 gets deps/all\nclose 1\n");
    assert_told(of_job, "open 1: 0.0 0.0.0=box\n1 runs 0.0.0\nclose 1\n");
    assert_told(of_steps, "open 1: 0.0 0.0.0=box 0.0.1=box\n"
                          "1 runs 0.0.0\n1 gets a\n"
                          "1 runs 0.0.1\n1 gets b\nclose 1\n");
    assert_told(of_steps, "open 1: 0.0 0.0.0=box 0.0.1=box\n"
                          "1 runs 0.0.0\n"
                          "1 is given b\n1 runs 0.0.1\nclose 1\n");
}

/* The place with the services is open before its first step. */
static void caches_of_a_step_beside_services(void **state)
{
    static const char keys[] = JOB(SERVICE "    steps: [{name: a, command: '0', cache: "
                                           "{key: s, paths: s}}]\n");

    (void)state;
    run_job(keys);
    run_job(keys);
    assert_non_null(strstr(told.text.data, "1 is given s\n1 runs 0.0.0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_steps_are_expected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pods_have_the_shape_of_their_job, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hooks_are_expected_with_the_outcomes_that_they_are_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_places_expect_their_own_steps, set_up, tear_down),
        cmocka_unit_test_setup_teardown(steps_overlap_in_graphs_and_with_the_background, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_guessed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(services_run_beside_the_steps_of_their_job, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(services_without_a_step_have_their_own_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(services_of_the_pipeline_have_their_own_place, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(files_are_asked_of_their_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_come_back_is_not_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(caches_go_to_their_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(caches_of_a_step_beside_services, set_up, tear_down),
    };
    int result = cmocka_run_group_tests(tests, NULL, NULL);

    buf_release(&told.text);
    return result;
}
