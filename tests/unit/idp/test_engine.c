/* The engine with an agent in this process, which runs commands and has faults. */
#include "tests/unit/test.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "engine/idp/instance.h"
#include "fixture/agent.h"

static struct agent agent;
static char directory[] = "/tmp/test-idp-XXXXXX";

/* --- what a step gives --- */

struct seen {
    struct output output;
    struct buf streams[2];
    struct buf returned;
    enum returned_state state;
    int returned_count;
    bool started;
    struct ctx *cancel; /* cancelled at the first output */
};

static void seen_write(struct output *output, const struct ctx *ctx, enum output_stream stream,
                       const void *data, size_t len)
{
    struct seen *seen = (struct seen *)output;

    (void)ctx;
    buf_add(&seen->streams[stream], data, len);
    if (seen->cancel && memmem(seen->streams[stream].data, seen->streams[stream].len, "ready", 5))
        ctx_cancel(seen->cancel, CTX_CAUSE_USER);
}

static void seen_returned(struct output *output, const struct runnable_return *file,
                          enum returned_state state, const void *data, size_t size)
{
    struct seen *seen = (struct seen *)output;

    (void)file;
    seen->returned_count++;
    seen->state = state;
    buf_reset(&seen->returned);
    buf_add(&seen->returned, data, size);
}

static void seen_started(struct output *output)
{
    ((struct seen *)output)->started = true;
}

static void seen_note(struct output *output, const char *text)
{
    (void)output;
    (void)text;
}

static void seen_release(struct seen *seen)
{
    buf_release(&seen->streams[0]);
    buf_release(&seen->streams[1]);
    buf_release(&seen->returned);
}

#define SEEN_INIT                                                                                  \
    {                                                                                              \
        .output = {.write = seen_write,                                                            \
                   .note = seen_note,                                                              \
                   .returned = seen_returned,                                                      \
                   .started = seen_started},                                                       \
        .streams = {BUF_INIT, BUF_INIT}, .returned = BUF_INIT                                      \
    }
#define CLEANUP_SEEN CLEANUP(seen_release)

/* --- a step --- */

static const struct runnable_return returned_file = {.name = "output",
                                                     .variable = "THE_OUTPUT",
                                                     .max_bytes = 1 << 20};

struct rig {
    struct ctx ctx;
    struct engine_instance *instance;
    struct place *place;
    struct strmap environment;
    struct runnable runnable;
    const char *argv[5];
};

static void rig_open(struct rig *rig, const char *path)
{
    static const struct engine_services services = {0};
    const struct place_options options = {.id = "run.0.0", .name = "job", .empty = true};
    CLEANUP_FREE char *url = xasprintf("idp://%s@127.0.0.1:%u%s", AGENT_LOGIN, agent.port, path);
    struct err err = ERR_INIT;

    memset(rig, 0, sizeof(*rig));
    assert_int_equal(ctx_init_root(&rig->ctx, NULL, &err), 0);
    if (idp_engine.connect(&rig->ctx, &services, url, &rig->instance, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(idp_engine.open(&rig->ctx, rig->instance, &options, &rig->place, &err), 0);
}

static void rig_close(struct rig *rig)
{
    idp_engine.close(rig->place);
    idp_engine.disconnect(rig->instance);
    strmap_release(&rig->environment);
    ctx_release(&rig->ctx);
}

static const struct runnable *rig_runnable(struct rig *rig, const char *script)
{
    static int count;
    static char id[64];

    snprintf(id, sizeof(id), "test-idp-%d.%d", (int)getpid(), count++);
    rig->argv[0] = "sh";
    rig->argv[1] = "-c";
    rig->argv[2] = script;
    rig->runnable.id = id;
    rig->runnable.name = "step";
    rig->runnable.argv = rig->argv;
    rig->runnable.environment = &rig->environment;
    rig->runnable.returns = &returned_file;
    rig->runnable.return_count = 1;
    if (!rig->runnable.grace_ms)
        rig->runnable.grace_ms = 20000;
    return &rig->runnable;
}

static int rig_run(struct rig *rig, const char *script, struct seen *seen, struct exit_record *ret,
                   struct err *err)
{
    memset(ret, 0, sizeof(*ret));
    return idp_engine.run(&rig->ctx, rig->place, rig_runnable(rig, script), &seen->output, ret,
                          err);
}

/* Where the agent has such faults. */
static void assert_record(const char *path, const char *script, enum exit_kind kind, int code,
                          const char *detail)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    int commands = atomic_load(&agent.commands);

    rig_open(&rig, path);
    assert_int_equal(rig_run(&rig, script, &seen, &record, &err), 0);
    assert_string_equal(record.detail, detail);
    assert_int_equal(record.kind, kind);
    assert_int_equal(record.code, code);
    assert_int_equal(record.reason, kind == EXIT_LOST ? REASON_LOST : REASON_NONE);
    if (kind == EXIT_LOST)
        assert_int_equal(seen.returned_count, 0);
    /* Never sent again. */
    assert_int_equal(atomic_load(&agent.commands), commands + 1);
    rig_close(&rig);
}

#define PEER "the IDP agent at 127.0.0.1:"

static char *with_port(const char *format)
{
    return xasprintf(format, agent.port);
}

static void assert_lost(const char *path, const char *format)
{
    CLEANUP_FREE char *detail = with_port(format);

    assert_record(path, "echo ready; exec sleep 1000", EXIT_LOST, 0, detail);
}

/* --- tests --- */

static void exit_codes_are_those_of_the_program(void **state)
{
    static const int codes[] = {0, 1, 127, 200, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++) {
        CLEANUP_FREE char *script = xasprintf("exit %d", codes[i]);

        assert_record("/", script, EXIT_CODE, codes[i], "");
    }
}

static void output_is_passed_byte_by_byte(void **state)
{
    static const char *const paths[] = {"/", "/odd"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_SEEN struct seen seen = SEEN_INIT;
        struct exit_record record;
        struct err err = ERR_INIT;
        struct rig rig;

        rig_open(&rig, paths[i]);
        assert_int_equal(rig_run(&rig,
                                 "printf 'a\\000\\377\\036b'; printf '\\200e' >&2; "
                                 "printf 'x=1\\n' >>\"$THE_OUTPUT\"",
                                 &seen, &record, &err),
                         0);
        assert_int_equal(record.code, 0);
        assert_true(seen.started);
        assert_int_equal(seen.streams[0].len, 5);
        assert_memory_equal(seen.streams[0].data,
                            "a\0\xff\x1e"
                            "b",
                            5);
        assert_int_equal(seen.streams[1].len, 2);
        assert_memory_equal(seen.streams[1].data,
                            "\x80"
                            "e",
                            2);
        assert_int_equal(seen.returned_count, 1);
        assert_string_equal(seen.returned.data, "x=1\n");
        rig_close(&rig);
    }
}

static void a_program_gets_what_it_is_given(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    CLEANUP_FREE char *large = xcalloc(1, (100 << 10) + 1);
    struct runnable_file files[] = {{.name = "script", .data = large, .size = 100 << 10}};
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    memset(large, 'x', 100 << 10);
    rig_open(&rig, "/");
    strmap_set(&rig.environment, "LINES", "one\n\"two\" 'three'\n");
    strmap_set(&rig.environment, "BYTES", "\xff\xfe");
    strmap_set(&rig.environment, "dotted.name", "kept");
    strmap_set(&rig.environment, "LARGE", large);
    strmap_set(&rig.environment, "PATH", "/bin:/usr/bin:/nowhere");
    rig_runnable(&rig, "");
    rig.runnable.files = files;
    rig.runnable.file_count = 1;
    rig.argv[3] = RUNNABLE_FILES "script";
    rig.runnable.workdir = directory;
    assert_int_equal(rig_run(&rig,
                             "pwd; printf '%s' \"$LINES\"; printf '%s\\n' \"$BYTES\"; "
                             "tr '\\000' '\\n' </proc/$$/environ | grep dotted; echo ${#LARGE} "
                             "$PATH; env | grep -c 'RUNNER_IDP\\|"
                             "GO_ZOOX'; wc -c <\"$0\"; kill -INT $$; echo not ended",
                             &seen, &record, &err),
                     0);
    assert_int_equal(record.code, 130);
    assert_non_null(strstr(seen.streams[0].data,
                           "\none\n\"two\" 'three'\n\xff\xfe\n"
                           "dotted.name=kept\n102400 /bin:/usr/bin:/nowhere\n0\n102400\n"));
    assert_memory_equal(seen.streams[0].data, directory, strlen(directory));
    assert_null(strstr(seen.streams[0].data, "not ended"));
    rig_close(&rig);
}

static void too_much_is_refused_before_anything_is_sent(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    CLEANUP_FREE char *large = xcalloc(1, (2 << 20) + 1);
    struct runnable_file files[] = {{.name = "script", .data = large, .size = 2 << 20}};
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    int commands = atomic_load(&agent.commands);

    (void)state;
    rig_open(&rig, "/");
    rig_runnable(&rig, "");
    rig.runnable.files = files;
    rig.runnable.file_count = 1;
    assert_int_equal(rig_run(&rig, "true", &seen, &record, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_non_null(strstr(err.message, "and an IDP agent takes 1536"));
    rig.runnable.file_count = 0;
    memset(large, 'x', 128 << 10);
    strmap_set(&rig.environment, "LARGE", large);
    assert_int_equal(rig_run(&rig, "true", &seen, &record, &err), -1);
    assert_string_equal(err.message, "the variable LARGE has more than 128 KiB, which no program "
                                     "can be given");
    assert_int_equal(atomic_load(&agent.commands), commands);
    rig_close(&rig);
}

static void a_lost_connection_is_a_lost_step(void **state)
{
    (void)state;
    assert_lost("/vanish", PEER "%u ended the WebSocket without closing it");
    assert_lost("/bye", PEER "%u has closed the connection: going down");
    assert_lost("/cut", PEER "%u ended the WebSocket without closing it");
    assert_lost("/huge", PEER "%u: the other side breaks the WebSocket protocol: "
                              "a message is larger than what is taken");
    assert_lost("/short", "the agent says that a command has ended, not how");
}

static void an_end_without_the_helpers_word_is_no_success(void **state)
{
    CLEANUP_FREE char *told = with_port(PEER "%u: no such user");

    (void)state;
    assert_lost("/canned", PEER "%u says that the command has ended with 0, but not what became "
                                "of the step");
    assert_record("/code", "true", EXIT_CODE, 200, told);
}

static void an_agent_that_kills_a_step_is_named(void **state)
{
    CLEANUP_FREE char *detail = with_port(PEER "%u has killed it: its own --timeout is over");

    (void)state;
    assert_record("/killer", "echo running; exec sleep 1000", EXIT_CODE, 137, detail);
}

static void an_agent_that_hangs_is_noticed(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    rig_open(&rig, "/freeze");
    ((struct idp_instance *)rig.instance)->patience_ms = 50;
    ((struct idp_instance *)rig.instance)->options.auth_wait_ms = 3000;
    assert_int_equal(rig_run(&rig, "true", &seen, &record, &err), 0);
    assert_int_equal(record.kind, EXIT_LOST);
    assert_non_null(strstr(record.detail, "does not answer any more"));
    rig_close(&rig);
    atomic_store(&agent.frozen, 0);
}

/* A step that has nothing to say for long is not one whose agent hangs. */
static void a_silent_step_is_let_alone(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    int logins;

    (void)state;
    rig_open(&rig, "/");
    logins = atomic_load(&agent.logins);
    ((struct idp_instance *)rig.instance)->patience_ms = 500;
    assert_int_equal(rig_run(&rig, "sleep 1.6", &seen, &record, &err), 0);
    assert_int_equal(record.kind, EXIT_CODE);
    assert_int_equal(record.code, 0);
    assert_true(atomic_load(&agent.logins) > logins + 1);
    rig_close(&rig);
}

static bool is_there(const char *name)
{
    CLEANUP_FREE char *path = fs_join(directory, name);

    return fs_exists(path);
}

static void a_cancelled_step_gets_its_grace(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    int cancels = atomic_load(&agent.cancels);

    (void)state;
    rig_open(&rig, "/");
    seen.cancel = &rig.ctx;
    rig_runnable(&rig, "");
    rig.runnable.workdir = directory;
    assert_int_equal(rig_run(&rig,
                             "trap 'echo bye; touch ended; exit 9' TERM; echo ready; "
                             "while :; do sleep 0.05; done",
                             &seen, &record, &err),
                     -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(record.kind, EXIT_CODE);
    assert_int_equal(record.code, 9);
    assert_non_null(strstr(seen.streams[0].data, "ready\nbye\n"));
    assert_true(is_there("ended"));
    assert_int_equal(seen.returned_count, 1);
    assert_int_equal(atomic_load(&agent.cancels), cancels);
    rig_close(&rig);
}

/* The pids that a step has written to a file, of processes that should be gone. */
static void assert_none_alive(const char *name)
{
    CLEANUP_FREE char *path = fs_join(directory, name);
    FILE *file = fopen(path, "r");
    int count = 0;
    int pid;

    assert_non_null(file);
    for (; fscanf(file, "%d", &pid) == 1; count++)
        assert_int_equal(kill(pid, 0), -1);
    fclose(file);
    assert_true(count >= 2);
}

static void a_step_that_does_not_end_is_killed_with_all_it_has_started(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    int cancels = atomic_load(&agent.cancels);

    (void)state;
    rig_open(&rig, "/");
    seen.cancel = &rig.ctx;
    rig_runnable(&rig, "");
    rig.runnable.workdir = directory;
    rig.runnable.grace_ms = 100;
    assert_int_equal(rig_run(&rig,
                             "trap '' TERM; setsid sh -c 'echo $$ >>pids; echo ready; "
                             "exec sleep 1000' & echo $$ >>pids; exec sleep 1000",
                             &seen, &record, &err),
                     -1);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(record.code, 137);
    assert_none_alive("pids");
    assert_int_equal(atomic_load(&agent.cancels), cancels + 1);
    rig_close(&rig);
}

/* Then nobody is left who would end the step. The agent's thread waits for its shell. */
static void a_step_ends_with_its_agent(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    rig_open(&rig, "/die");
    assert_int_equal(rig_run(&rig, "echo running; exec sleep 1000", &seen, &record, &err), 0);
    assert_int_equal(record.kind, EXIT_LOST);
    rig_close(&rig);
    agent_stop(&agent);
    agent_start(&agent);
}

static int commands_before;

static void *cancel_once_begun(void *ctx)
{
    while (atomic_load(&agent.commands) == commands_before)
        poll(NULL, 0, 5);
    ctx_cancel(ctx, CTX_CAUSE_USER);
    return NULL;
}

/* After an 8, a 7 with 0 is no success. */
static void a_cancelled_command_has_no_exit_code(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;
    pthread_t thread;
    int cancels = atomic_load(&agent.cancels);

    (void)state;
    rig_open(&rig, "/stubborn");
    commands_before = atomic_load(&agent.commands);
    assert_int_equal(pthread_create(&thread, NULL, cancel_once_begun, &rig.ctx), 0);
    assert_int_equal(rig_run(&rig, "true", &seen, &record, &err), -1);
    pthread_join(thread, NULL);
    assert_int_equal(err.code, ERR_CANCELLED);
    assert_int_equal(record.kind, EXIT_LOST);
    assert_int_equal(atomic_load(&agent.cancels), cancels + 1);
    rig_close(&rig);
}

static void connections_are_tried_again(void **state)
{
    CLEANUP_SEEN struct seen seen = SEEN_INIT;
    struct exit_record record;
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    rig_open(&rig, "/");
    ((struct idp_instance *)rig.instance)->patient = true;
    atomic_store(&agent.refuse, 2);
    assert_int_equal(rig_run(&rig, "exit 3", &seen, &record, &err), 0);
    assert_int_equal(record.code, 3);
    rig_close(&rig);
}

static void what_works_is_told(void **state)
{
    CLEANUP_BUF struct buf report = BUF_INIT;
    CLEANUP_FREE char *peer = with_port(PEER "%u, on Linux ");
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    rig_open(&rig, "/");
    assert_int_equal(idp_engine.probe(&rig.ctx, rig.instance, &report, &err), 0);
    assert_memory_equal(report.data, peer, strlen(peer));
    rig_close(&rig);
}

static void assert_no_instance(const char *url, enum err_code code, const char *message)
{
    static const struct engine_services services = {0};
    struct engine_instance *instance = NULL;
    struct err err = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, 60000);
    assert_int_equal(idp_engine.connect(&ctx, &services, url, &instance, &err), -1);
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
    assert_null(instance);
}

static void wrong_urls_are_refused(void **state)
{
    (void)state;
    assert_no_instance("idp", ERR_NOT_FOUND,
                       "no agent is named: idp://CLIENT_ID:CLIENT_SECRET@HOST:PORT");
    assert_no_instance("idp://a:b@h?insecure=true", ERR_INVALID,
                       "the engine \"idp\": the URL has an unknown parameter \"insecure\"");
    assert_no_instance("idps://a:b@h?x=1", ERR_INVALID,
                       "the engine \"idps\": the URL has an unknown parameter \"x\"; "
                       "known are ca and insecure");
}

static void files_are_not_taken_along(void **state)
{
    const struct place_options options = {.id = "run.0.0", .name = "job", .workspace = "/tmp"};
    struct place *place = NULL;
    struct err err = ERR_INIT;
    struct rig rig;

    (void)state;
    rig_open(&rig, "/");
    assert_int_equal(idp_engine.open(&rig.ctx, rig.instance, &options, &place, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_null(place);
    rig_close(&rig);
}

static int set_up(void **state)
{
    (void)state;
    agent_start(&agent);
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    agent_stop(&agent);
    return fs_remove_tree(directory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes_are_those_of_the_program),
        cmocka_unit_test(output_is_passed_byte_by_byte),
        cmocka_unit_test(a_program_gets_what_it_is_given),
        cmocka_unit_test(too_much_is_refused_before_anything_is_sent),
        cmocka_unit_test(a_lost_connection_is_a_lost_step),
        cmocka_unit_test(an_end_without_the_helpers_word_is_no_success),
        cmocka_unit_test(an_agent_that_kills_a_step_is_named),
        cmocka_unit_test(an_agent_that_hangs_is_noticed),
        cmocka_unit_test(a_silent_step_is_let_alone),
        cmocka_unit_test(a_cancelled_step_gets_its_grace),
        cmocka_unit_test(a_step_that_does_not_end_is_killed_with_all_it_has_started),
        cmocka_unit_test(a_step_ends_with_its_agent),
        cmocka_unit_test(a_cancelled_command_has_no_exit_code),
        cmocka_unit_test(connections_are_tried_again),
        cmocka_unit_test(what_works_is_told),
        cmocka_unit_test(wrong_urls_are_refused),
        cmocka_unit_test(files_are_not_taken_along),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
