/* Bad days of the docker engine, and what is swept up after them. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fs.h"
#include "engine/docker/instance.h"
#include "fixture/docker.h"

static struct docker_fixture fixture;
static struct docker_fixture *const f = &fixture;

static int set_up(void **state)
{
    (void)state;
    docker_fixture_init(f);
    return 0;
}

static int set_up_cable(void **state)
{
    (void)state;
    docker_fixture_init_with_cable(f);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    docker_fixture_release(f);
    return 0;
}

static void fill_step(struct runnable *step, char id[64], int number)
{
    static const char *const argv[] = {"true", NULL};

    *step = f->runnable;
    snprintf(id, 64, "%s.0.0.%d", own_run_id(f->run), number);
    step->id = id;
    step->argv = argv;
}

/* Waits, by the witness, until that many containers of the run are running. */
static void await_running(size_t count)
{
    for (int i = 0; i < 400; i++) {
        if (docker_fixture_running(f) == count)
            return;
        assert_int_equal(0, ctx_sleep(&f->root, 25, &f->err));
    }
    fail_msg("there are never %zu running containers", count);
}

/* A step has run, whose container the daemon may call running for a moment yet, and the next is
 * prepared: the holder's container and its own are running. */
static void prepare_behind_another(struct runnable *step, char id[64])
{
    docker_fixture_expect(f, "true", 0, "", "");
    await_running(1);
    fill_step(step, id, 1);
    docker_engine.prepare(f->place, step);
    await_running(2);
}

static void *plug_in_later(void *arg)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 60000);
    (void)!ctx_sleep(&ctx, 1000, NULL);
    cable_in(arg);
    return NULL;
}

static pthread_t plugger;

static void pull_out(struct collector *collector)
{
    cable_out(collector->arg);
    assert_int_equal(0, pthread_create(&plugger, NULL, plug_in_later, collector->arg));
}

static void run_until_pulled_out(const char *script)
{
    const char *argv[] = {"sh", "-c", script, NULL};

    snprintf(f->id, sizeof(f->id), "%s.0.0.%u", own_run_id(f->run), f->steps++);
    f->runnable.id = f->id;
    f->runnable.argv = argv;
    collector_release(&f->output);
    collector_init(&f->output);
    f->output.trigger = "up";
    f->output.on_trigger = pull_out;
    f->output.arg = f->cable;
    if (docker_engine.run(&f->root, f->place, &f->runnable, &f->output.output, &f->record,
                          &f->err) < 0)
        fail_msg("%s", f->err.message);
}

static void calls_a_step_lost_when_contact_breaks(void **state)
{
    (void)state;
    docker_fixture_expect(f, "echo fine", 0, "fine\n", "");
    f->runnable.returns = returned_files;
    f->runnable.return_count = 2;
    run_until_pulled_out("echo x >$ONE; echo up; sleep 0.5; exit 0");
    pthread_join(plugger, NULL);
    assert_string_equal(f->output.returned.data, "");
    assert_int_equal(f->record.kind, EXIT_LOST);
    assert_int_equal(f->record.reason, REASON_LOST);
    assert_non_null(strstr(f->record.detail, "contact with Docker was lost ("));
    assert_non_null(strstr(f->record.detail, "its container "));
}

static void runs_in_another_container_when_the_prepared_one_is_lost(void **state)
{
    struct runnable step;
    char id[64];

    (void)state;
    prepare_behind_another(&step, id);
    cable_out(f->cable);
    await_running(0);
    cable_in(f->cable);
    /* The lease went with the contact, and the holder with it. */
    docker_fixture_expect(f, "echo anew", 0, "anew\n", "");
}

static void keeps_the_copied_workspace_when_the_holder_is_lost(void **state)
{
    struct docker_instance *instance = (struct docker_instance *)f->instance;

    (void)state;
    instance->self.place = SELF_ELSEWHERE;
    docker_fixture_expect(f, "echo kept > file", 0, "", "");
    cable_out(f->cable);
    await_running(0);
    cable_in(f->cable);
    docker_fixture_expect(f, "cat file", 0, "kept\n", "");
}

/* Somebody has taken the name that the next holder would have. */
static void keeps_the_copied_workspace_when_no_holder_can_be_made(void **state)
{
    struct docker_instance *instance = (struct docker_instance *)f->instance;
    const char *argv[] = {"cat", "file", NULL};
    struct docker_create create = {.image = f->shape.source.image};
    CLEANUP_FREE char *name = xasprintf("runner-%s.0.0-1-holder-2", own_run_id(f->run));
    CLEANUP_FREE char *id = NULL;

    (void)state;
    instance->self.place = SELF_ELSEWHERE;
    docker_fixture_expect(f, "echo kept > file", 0, "", "");
    create.name = name;
    assert_int_equal(0, docker_container_create(&f->root, f->client, &create, &id, &f->err));
    cable_out(f->cable);
    await_running(0);
    cable_in(f->cable);
    assert_int_equal(-1, docker_fixture_run(f, &f->root, argv));
    assert_int_equal(f->err.code, ERR_CONFLICT);
    docker_fixture_expect(f, "cat file", 0, "kept\n", "");
}

/* The daemon is out of reach in the end: what is left there can be found by a sweep. */
/* Others on the machine have journals, too. */
static const struct own_journal *find_journal(const struct own_journal *journals, size_t count,
                                              const char *run_id)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(journals[i].run_id, run_id) == 0)
            return &journals[i];
    }
    return NULL;
}

static void leaves_its_journal_when_it_cannot_clean_up(void **state)
{
    CLEANUP_FREE char *run_id = xstrdup(own_run_id(f->run));
    struct sweep_request request = {.run_id = run_id};
    const struct own_journal *journal;
    struct own_journal *journals;
    size_t journal_count;
    size_t count;

    (void)state;
    docker_fixture_expect(f, "true", 0, "", "");
    docker_engine.close(f->place);
    f->place = NULL;
    assert_int_equal(docker_fixture_volumes(f), 1);
    cable_out(f->cable);
    docker_engine.disconnect(f->instance);
    cable_in(f->cable);
    assert_int_equal(docker_fixture_volumes(f), 1);
    own_run_end(f->run);
    f->instance = NULL;
    assert_int_equal(0, own_run_begin(NULL, &f->run, &f->err));
    f->services.run = f->run;
    assert_int_equal(0, own_journals_read(NULL, &journals, &journal_count, &f->err));
    journal = find_journal(journals, journal_count, run_id);
    assert_non_null(journal);
    assert_false(journal->alive);
    assert_int_equal(journal->endpoint_count, 1);
    assert_int_equal(0, docker_engine.connect(&f->root, &f->services, journal->endpoints[0],
                                              &f->instance, &f->err));
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    assert_int_equal(count, 1);
    own_journals_free(journals, journal_count);
}

static void says_that_there_is_no_daemon(void **state)
{
    struct engine_services services = f->services;
    struct engine_instance *instance;

    (void)state;
    services.docker_host = "unix:///no/such/docker.sock";
    assert_int_equal(-1, docker_engine.connect(&f->root, &services, "docker", &instance, &f->err));
    assert_int_equal(f->err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(f->err.message, "unix:///no/such/docker.sock"));
    cable_out(f->cable);
    services.docker_host = f->url;
    assert_int_equal(-1, docker_engine.connect(&f->root, &services, "docker", &instance, &f->err));
    cable_in(f->cable);
}

static void works_on_a_copy_where_the_daemon_sees_nothing(void **state)
{
    struct docker_instance *instance = (struct docker_instance *)f->instance;
    CLEANUP_FREE char *from = fs_join(f->workspace, "sub/from");
    CLEANUP_FREE char *directory = fs_join(f->workspace, "sub");
    CLEANUP_FREE char *to = fs_join(f->workspace, "to");
    char expected[256];

    (void)state;
    instance->self.place = SELF_ELSEWHERE;
    assert_int_equal(0, fs_mkdir_p(directory, 0755, NULL));
    assert_int_equal(0, fs_write_file(from, "copied\n", 7, 0644, NULL));
    docker_fixture_expect(f, "cat sub/from; echo step > to", 0, "copied\n", "");
    snprintf(expected, sizeof(expected), "the Docker host does not see %s: steps work on a copy\n",
             f->workspace);
    assert_string_equal(f->output.notes.data, expected);
    docker_fixture_expect(f, "cat to", 0, "step\n", "");
    assert_string_equal(f->output.notes.data, "");
    assert_false(fs_exists(to));
    assert_int_equal(docker_fixture_volumes(f), 2);
}

static void checks_a_doubtful_workspace(void **state)
{
    struct docker_instance *instance = (struct docker_instance *)f->instance;

    (void)state;
    instance->self.place = SELF_UNCERTAIN;
    docker_fixture_expect(f, "ls -A", 0, "", "");
    assert_string_equal(f->output.notes.data, "");
    assert_int_equal(docker_fixture_volumes(f), 1);
}

static void keeps_everything_when_told_to(void **state)
{
    struct sweep_request request = {.run_id = own_run_id(f->run)};
    size_t count;

    (void)state;
    f->services.keep = true;
    docker_fixture_expect(f, "true", 0, "", "");
    docker_engine.close(f->place);
    f->place = NULL;
    assert_int_equal(docker_fixture_containers(f), 2);
    assert_int_equal(docker_fixture_volumes(f), 1);
    f->services.keep = false;
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    assert_int_equal(count, 3);
}

static void note_found(void *arg, const char *kind, const char *name, const char *run_id)
{
    (void)name;
    (void)run_id;
    buf_addf(arg, "%s ", kind);
}

#define BE_AN_OWNER "--be-an-owner"

/* What this program does with that argument: it makes a run, tells its id and is killed. */
static void be_an_owner(void **state)
{
    struct runnable step;
    char id[64];

    (void)state;
    docker_fixture_init(f);
    prepare_behind_another(&step, id);
    (void)!write(STDIN_FILENO, own_run_id(f->run), OWN_RUN_ID_SIZE - 1);
    raise(SIGKILL);
}

/* A program of its own, as a fork of one with threads could do little. */
static void leave_things_behind(char run_id[OWN_RUN_ID_SIZE])
{
    int told[2];
    pid_t pid;

    assert_int_equal(0, pipe2(told, O_CLOEXEC));
    pid = fork();
    if (pid == 0) {
        dup2(told[1], STDIN_FILENO);
        execl("/proc/self/exe", "owner", BE_AN_OWNER, NULL);
        _exit(1);
    }
    close(told[1]);
    assert_true(read(told[0], run_id, OWN_RUN_ID_SIZE - 1) > 0);
    close(told[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void sweeps_what_a_dead_owner_left(void **state)
{
    CLEANUP_BUF struct buf found = BUF_INIT;
    char run_id[OWN_RUN_ID_SIZE] = "";
    struct sweep_request request = {.dry_run = true, .found = note_found, .found_arg = &found};
    size_t count;

    (void)state;
    docker_fixture_expect(f, "true", 0, "", "");
    leave_things_behind(run_id);
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    if (count < 3)
        fail_msg("found only %zu: %s", count, found.data);
    buf_reset(&found);
    request.dry_run = false;
    request.run_id = run_id;
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    assert_true(count >= 3);
    assert_non_null(strstr(found.data, "container "));
    assert_non_null(strstr(found.data, "volume "));
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    assert_int_equal(count, 0);
    /* What lives is not touched by a sweep of everything. */
    request.run_id = NULL;
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    docker_fixture_expect(f, "echo alive", 0, "alive\n", "");
}

/* An owner on another machine: its run is left alone while it is young. */
static void leaves_the_young_of_others_alone(void **state)
{
    CLEANUP_STRMAP struct strmap labels = {0};
    struct docker_create create = {.image = f->shape.source.image, .labels = &labels};
    struct sweep_request request = {0};
    CLEANUP_FREE char *id = NULL;
    size_t count;

    (void)state;
    strmap_set(&labels, OWN_LABEL_RUN, "runnertestother");
    strmap_set(&labels, OWN_LABEL_OWNER, "00000000-0000-0000-0000-000000000000/1/2/3");
    strmap_set(&labels, OWN_LABEL_ROLE, "step");
    assert_int_equal(0, docker_container_create(&f->root, f->client, &create, &id, &f->err));
    assert_int_equal(0, docker_engine.sweep(&f->root, f->instance, &request, &count, &f->err));
    assert_int_equal(0, docker_container_remove(&f->root, f->client, id, DOCKER_REMOVE_FORCE,
                                                &f->err));
}

/* Cancelled in every phase, nothing is left: docker_fixture_release() counts. */
static void leaves_nothing_when_cancelled_while_starting(void **state)
{
    static struct runnable steps[12];
    static char ids[12][64];

    (void)state;
    for (int i = 0; i < 12; i++) {
        const char *argv[] = {"sleep", "60", NULL};
        struct ctx ctx;

        fill_step(&steps[i], ids[i], 100 + i);
        docker_engine.prepare(f->place, &steps[i]);
        ctx_init(&ctx, &f->root);
        ctx_set_timeout(&ctx, 1 + i * 15, "step");
        f->runnable.grace_ms = 100;
        assert_int_equal(-1, docker_fixture_run(f, &ctx, argv));
        if (f->err.code != ERR_TIMEOUT)
            fail_msg("%s", f->err.message);
        ctx_release(&ctx);
    }
}

/* A daemon that takes its time creates the container after nobody waits for it any more. */
static void leaves_nothing_when_cancelled_while_creating(void **state)
{
    const char *argv[] = {"true", NULL};
    struct ctx ctx;

    (void)state;
    docker_fixture_expect(f, "true", 0, "", "");
    cable_slow(f->cable, "/containers/create", 2000);
    ctx_init(&ctx, &f->root);
    ctx_set_timeout(&ctx, 200, "step");
    assert_int_equal(-1, docker_fixture_run(f, &ctx, argv));
    assert_int_equal(f->err.code, ERR_TIMEOUT);
    ctx_release(&ctx);
    docker_engine.close(f->place);
    f->place = NULL;
    cable_slow_done(f->cable);
    assert_int_equal(docker_fixture_containers(f), 0);
}

/* The helper has told how the program ended; events of the daemon may be of another. */
static void asks_for_no_events(void **state)
{
    struct spec_resources resources = {.memory_bytes = 64 << 20};

    (void)state;
    f->shape.shared = true;
    f->shape.resources = &resources;
    docker_fixture_expect(f, "true", 0, "", "");
    cable_slow(f->cable, "/events?", 8000);
    docker_fixture_expect(f, "exit 3", 3, "", "");
    assert_false(cable_slow_holds(f->cable));
    assert_int_equal(f->record.reason, REASON_NONE);
    cable_slow_done(f->cable);
}

#define TEST(name)       cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_CABLE(name) cmocka_unit_test_setup_teardown(name, set_up_cable, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST_CABLE(calls_a_step_lost_when_contact_breaks),
        TEST_CABLE(runs_in_another_container_when_the_prepared_one_is_lost),
        TEST_CABLE(keeps_the_copied_workspace_when_the_holder_is_lost),
        TEST_CABLE(keeps_the_copied_workspace_when_no_holder_can_be_made),
        TEST_CABLE(leaves_its_journal_when_it_cannot_clean_up),
        TEST_CABLE(says_that_there_is_no_daemon),
        TEST(works_on_a_copy_where_the_daemon_sees_nothing),
        TEST(checks_a_doubtful_workspace),
        TEST(keeps_everything_when_told_to),
        TEST(sweeps_what_a_dead_owner_left),
        TEST(leaves_the_young_of_others_alone),
        TEST(leaves_nothing_when_cancelled_while_starting),
        TEST_CABLE(leaves_nothing_when_cancelled_while_creating),
        TEST_CABLE(asks_for_no_events),
    };

    const struct CMUnitTest owner[] = {cmocka_unit_test(be_an_owner)};

    if (argc > 1 && strcmp(argv[1], BE_AN_OWNER) == 0)
        return cmocka_run_group_tests(owner, NULL, NULL);
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
