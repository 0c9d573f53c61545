/* reap_run() on real processes and directories, and with an engine that fails. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../fixture/host.h"
#include "base/fs.h"
#include "base/vec.h"
#include "reap/reap.h"

struct test {
    struct host_fixture f;
    struct ctx ctx;
    struct engine_services services;
    struct reap_result result;
    struct strvec found; /* "KIND NAME RUN" with the number of a process cut off */
    struct strvec failed;
};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));

    alarm(100);
    host_fixture_scratch(&t->f);
    assert_int_equal(0, ctx_init_root(&t->ctx, NULL, NULL));
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    ctx_release(&t->ctx);
    strvec_release(&t->found);
    strvec_release(&t->failed);
    strmap_release(&t->f.environment);
    assert_int_equal(0, fs_remove_tree(t->f.scratch, NULL));
    free(t);
    return 0;
}

static void on_found(void *arg, const char *kind, const char *name, const char *run_id)
{
    struct test *t = arg;
    const char *comm = strcmp(kind, "process") == 0 ? strchr(name, '(') : name;

    strvec_pushf(&t->found, "%s %s %s", kind, comm ? comm : name, run_id);
}

static void on_failed(void *arg, const char *what, const struct err *err)
{
    struct test *t = arg;

    strvec_pushf(&t->failed, "%s: %s", what, err->message);
}

static void reap_with(struct test *t, const struct engine *const *engines, bool dry_run, bool all)
{
    const struct reap_request request = {
        .dry_run = dry_run, .all = all, .found = on_found, .failed = on_failed, .arg = t};
    struct err err = ERR_INIT;

    strvec_release(&t->found);
    strvec_release(&t->failed);
    if (reap_run(&t->ctx, engines, &t->services, &request, &t->result, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(t->found.len, t->result.found);
    assert_int_equal(t->failed.len, t->result.failed);
}

static const struct engine *const host_only[] = {&host_engine, NULL};

/* Whether the child has executed its program. Asked of that very process: others with the same
 * cookie may be there, and a child before its exec still holds the locks of all journals. */
static bool has_cookie(pid_t pid, const char *cookie)
{
    CLEANUP_BUF struct buf environment = BUF_INIT;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    return fs_read_file(path, 65536, &environment, NULL) == 0 &&
           strcmp(environment.data, cookie) == 0;
}

/* A process with the cookie of the run, as if it had escaped everybody. */
static pid_t start_with_cookie(const char *run_id)
{
    char cookie[64];
    char *const argv[] = {"sleep", "1000", NULL};
    char *const envp[] = {cookie, NULL};
    pid_t pid;

    snprintf(cookie, sizeof(cookie), "PIPELINE_ID=%s", run_id);
    pid = fork();
    if (pid == 0) {
        /* A test that is stopped must not leave it holding ctest's pipe. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execve("/bin/sleep", argv, envp);
        _exit(127);
    }
    while (!has_cookie(pid, cookie))
        sched_yield();
    return pid;
}

static int ending(pid_t pid)
{
    int status = 0;

    assert_int_equal(pid, waitpid(pid, &status, 0));
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct own_run *begin(const char *endpoint)
{
    struct own_run *run;

    assert_int_equal(0, own_run_begin(NULL, &run, NULL));
    assert_int_equal(0, own_run_note(run, OWN_ENDPOINT, endpoint, NULL));
    return run;
}

static void dead_run_goes_living_run_stays(void **state)
{
    struct test *t = *state;
    struct own_run *living = begin("host");
    struct own_run *dead = begin("host");
    CLEANUP_FREE char *id = xstrdup(own_run_id(dead));
    CLEANUP_FREE char *temp = xstrdup(own_run_temp_dir(dead, NULL));
    CLEANUP_FREE char *process_line = xasprintf("process (sleep) %s", id);
    CLEANUP_FREE char *directory_line = xasprintf("directory %s %s", temp, id);
    CLEANUP_FREE char *journal = xasprintf("%s/runner/%s.journal", t->f.scratch, id);
    CLEANUP_FREE char *journal_line = xasprintf("journal %s %s", journal, id);
    pid_t of_living = start_with_cookie(own_run_id(living));
    pid_t of_dead = start_with_cookie(id);
    pid_t of_nobody = start_with_cookie("00000000000000000000zz");

    own_run_abandon(dead);
    reap_with(t, host_only, true, false);
    assert_int_equal(3, t->found.len);
    assert_string_equal(process_line, t->found.items[0]);
    assert_string_equal(directory_line, t->found.items[1]);
    assert_string_equal(journal_line, t->found.items[2]);
    assert_int_equal(0, kill(of_dead, 0));
    assert_true(fs_exists(temp));
    assert_true(fs_exists(journal));

    reap_with(t, host_only, false, false);
    assert_int_equal(3, t->found.len);
    assert_string_equal(process_line, t->found.items[0]);
    assert_int_equal(SIGKILL, ending(of_dead));
    assert_false(fs_exists(temp));
    assert_false(fs_exists(journal));
    assert_int_equal(0, waitpid(of_living, NULL, WNOHANG));
    assert_int_equal(0, waitpid(of_nobody, NULL, WNOHANG));

    reap_with(t, host_only, false, false);
    assert_int_equal(0, t->found.len);
    kill(of_living, SIGKILL);
    kill(of_nobody, SIGKILL);
    assert_int_equal(SIGKILL, ending(of_living));
    assert_int_equal(SIGKILL, ending(of_nobody));
    own_run_end(living);
}

/* More than one batch of them. */
static void many_processes(void **state)
{
    enum { COUNT = 150 };
    struct test *t = *state;
    struct own_run *run = begin("host");
    CLEANUP_FREE char *id = xstrdup(own_run_id(run));
    pid_t pids[COUNT];

    own_run_abandon(run);
    for (int i = 0; i < COUNT; i++)
        pids[i] = start_with_cookie(id);
    reap_with(t, host_only, false, false);
    assert_int_equal(COUNT + 1, t->found.len);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(SIGKILL, ending(pids[i]));
}

/* A step that calls `runner reap` must not be ended by it. */
static void ancestors_are_spared(void **state)
{
    struct test *t = *state;
    struct own_run *run = begin("host");
    char cookie[64];
    pid_t pid;
    int status;

    snprintf(cookie, sizeof(cookie), "%s", own_run_id(run));
    own_run_abandon(run);
    pid = fork();
    if (pid == 0) {
        /* Its environment as the kernel shows it is that of its exec: so execute a shell, which
         * starts what reaps. */
        CLEANUP_FREE char *self = xasprintf("/proc/%d/exe", (int)getpid());
        char *const argv[] = {"sh", "-c", "\"$0\" reap; exit $?", realpath(self, NULL), NULL};

        setenv(OWN_COOKIE, cookie, 1);
        execv("/bin/sh", argv);
        _exit(127);
    }
    assert_int_equal(pid, waitpid(pid, &status, 0));
    assert_true(WIFEXITED(status));
    assert_int_equal(1, WEXITSTATUS(status)); /* found the journal, and no process */
    reap_with(t, host_only, false, false);
    assert_int_equal(0, t->found.len);
}

/* Plays `runner reap`: exits with how much it found. */
static int play_reap(void)
{
    const struct engine_services services = {0};
    const struct reap_request request = {0};
    struct reap_result result;
    struct ctx ctx;

    if (ctx_init_root(&ctx, NULL, NULL) < 0 ||
        reap_run(&ctx, host_only, &services, &request, &result, NULL) < 0)
        return 99;
    ctx_release(&ctx);
    return (int)result.found;
}

static bool fake_away;

static int fake_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    (void)url;
    *ret = NULL;
    return fake_away ? err_set(err, ERR_UNAVAILABLE, "nobody there") : 0;
}

static void fake_disconnect(struct engine_instance *instance)
{
    (void)instance;
}

static char fake_asked_for[OWN_RUN_ID_SIZE];

/* The same thing in every sweep of a dry run, and once otherwise. */
static int fake_sweep(const struct ctx *ctx, struct engine_instance *instance,
                      const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    static int sweeps;

    (void)ctx;
    (void)instance;
    (void)err;
    snprintf(fake_asked_for, sizeof(fake_asked_for), "%s",
             request->run_id ? request->run_id : "any dead");
    *ret_count = request->dry_run || sweeps++ < 2;
    if (*ret_count)
        request->found(request->found_arg, "thing", "x", "run");
    return 0;
}

static const struct engine fake_engine = {.name = "fake",
                                          .connect = fake_connect,
                                          .disconnect = fake_disconnect,
                                          .sweep = fake_sweep};

static void journal_stays_while_an_endpoint_is_away(void **state)
{
    static const struct engine *const engines[] = {&host_engine, &fake_engine, NULL};
    struct test *t = *state;
    struct own_run *run = begin("fake://there");
    CLEANUP_FREE char *journal = xasprintf("%s/runner/%s.journal", t->f.scratch, own_run_id(run));

    own_run_abandon(run);
    fake_away = true;
    reap_with(t, engines, false, false);
    assert_int_equal(0, t->found.len);
    assert_int_equal(1, t->failed.len);
    assert_string_equal("fake://there: nobody there", t->failed.items[0]);
    assert_true(fs_exists(journal));

    fake_away = false;
    reap_with(t, engines, false, false);
    assert_int_equal(0, t->failed.len);
    assert_int_equal(2, t->found.len); /* the thing once, although two sweeps met it */
    assert_string_equal("thing x run", t->found.items[0]);
    assert_false(fs_exists(journal));
}

/* An engine may take an owner for alive whom the lock of the journal shows to be dead. */
static void runs_of_dead_journals_are_asked_for(void **state)
{
    static const struct engine *const engines[] = {&host_engine, &fake_engine, NULL};
    struct test *t = *state;
    struct own_run *living = begin("fake://there");
    struct own_run *dead = begin("fake://there");
    char id[OWN_RUN_ID_SIZE];

    snprintf(id, sizeof(id), "%s", own_run_id(dead));
    own_run_abandon(dead);
    reap_with(t, engines, false, false);
    assert_string_equal(fake_asked_for, id);
    reap_with(t, engines, false, true);
    assert_string_equal(fake_asked_for, "any dead");
    own_run_end(living);
}

static void unknown_engine(void **state)
{
    struct test *t = *state;
    struct own_run *run = begin("moon://base");

    own_run_abandon(run);
    reap_with(t, host_only, false, false);
    assert_int_equal(1, t->failed.len);
    assert_string_equal("moon://base: no engine of this program can sweep moon://base",
                        t->failed.items[0]);
    assert_int_equal(0, t->found.len);
}

static void all_asks_every_engine(void **state)
{
    static const struct engine *const engines[] = {&host_engine, &fake_engine, NULL};
    struct test *t = *state;

    fake_away = false;
    reap_with(t, engines, true, false);
    assert_int_equal(0, t->found.len);
    reap_with(t, engines, true, true);
    assert_int_equal(1, t->found.len);
    assert_string_equal("thing x run", t->found.items[0]);
}

static void ended_context(void **state)
{
    struct test *t = *state;
    const struct reap_request request = {.all = true};
    struct err err = ERR_INIT;

    ctx_cancel(&t->ctx, CTX_CAUSE_USER);
    assert_int_equal(-1, reap_run(&t->ctx, host_only, &t->services, &request, &t->result, &err));
    assert_int_equal(ERR_CANCELLED, err.code);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(dead_run_goes_living_run_stays),
        TEST(many_processes),
        TEST(ancestors_are_spared),
        TEST(journal_stays_while_an_endpoint_is_away),
        TEST(runs_of_dead_journals_are_asked_for),
        TEST(unknown_engine),
        TEST(all_asks_every_engine),
        TEST(ended_context),
    };

    if (argc > 1 && strcmp(argv[1], "reap") == 0)
        return play_reap();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
