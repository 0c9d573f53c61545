/* process, fs */
#include "tests/unit/test.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"

static char dir[] = "/tmp/runner-unit.XXXXXX";
static struct ctx root;

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) && ctx_init_root(&root, NULL, NULL) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ctx_release(&root);
    return fs_remove_tree(dir, NULL);
}

static const char *const environment[] = {"PATH=/usr/bin:/bin", "X=y", NULL};

static int run(const char *script, const char *input, size_t max, struct buf *out,
               struct buf *err_out, struct err *err)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    int status = -1;

    options.argv = argv;
    options.envp = environment;
    return process_run(&root, &options, input, out, max, err_out, &status, err) < 0 ? -1 : status;
}

static void output_input_and_status(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf err_out = BUF_INIT;
    int status = run("cat; echo \"$X\"; echo oops >&2; exit 3", "in-", 1000, &out, &err_out, NULL);

    (void)state;
    assert_int_equal(WEXITSTATUS(status), 3);
    assert_string_equal(out.data, "in-y\n");
    assert_string_equal(err_out.data, "oops\n");
}

static void too_much_output_is_an_error(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(run("yes", NULL, 1000, &out, NULL, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "it printed more than 1000 bytes");
}

static void failures_to_start_are_told(void **state)
{
    const char *argv[] = {"no-such-program", NULL};
    struct process_options options = {.argv = argv, .envp = environment};
    CLEANUP_FREE char *file = fs_join(dir, "plain");
    struct err err = ERR_INIT;
    pid_t pid;

    (void)state;
    assert_int_equal(process_spawn(&options, &pid, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, "no-such-program: command not found");
    assert_int_equal(fs_write_file(file, "x", 1, 0644, NULL), 0);
    argv[0] = file;
    assert_int_equal(process_spawn(&options, &pid, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    argv[0] = "true";
    options.cwd = "/no/such/dir";
    assert_int_equal(process_spawn(&options, &pid, &err), -1);
    assert_string_equal(err.message, "cannot enter the working directory /no/such/dir: No such "
                                     "file or directory");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void deadline_ends_the_process(void **state)
{
    static const char *const scripts[] = {"sleep 100 & sleep 100", "exec >&- 2>&-; sleep 100"};

    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
        const char *const argv[] = {"sh", "-c", scripts[i], NULL};
        struct process_options options = {.argv = argv, .envp = environment};
        struct err err = ERR_INIT;
        struct ctx ctx;
        int status;

        ctx_init(&ctx, &root);
        ctx_set_timeout(&ctx, 50, "test");
        assert_int_equal(process_run(&ctx, &options, NULL, NULL, 100, NULL, &status, &err), -1);
        assert_int_equal(err.code, ERR_TIMEOUT);
    }
}

static void other_descriptors_are_not_inherited(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_FREE char *script = NULL;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0); /* as a library makes it */
    script = xasprintf("test -e /proc/self/fd/0 && test ! -e /proc/self/fd/%d", ends[1]);
    assert_int_equal(run(script, NULL, 100, &out, NULL, NULL), 0);
    close(ends[0]);
    close(ends[1]);
}

static void directories_in_path_are_no_programs(void **state)
{
    CLEANUP_FREE char *directory = fs_join(dir, "sh");
    CLEANUP_FREE char *path = xasprintf("PATH=%s:/usr/bin:/bin", dir);
    const char *const argv[] = {"sh", "-c", "exit 4", NULL};
    const char *const env[] = {path, NULL};
    struct process_options options = {.argv = argv, .envp = env};
    struct err err = ERR_INIT;
    int status = 0;

    (void)state;
    assert_int_equal(mkdir(directory, 0755), 0);
    assert_int_equal(process_run(&root, &options, NULL, NULL, 100, NULL, &status, &err), 0);
    assert_int_equal(WEXITSTATUS(status), 4);
}

int __real_getgrnam_r(const char *name, struct group *entry, char *space, size_t size,
                      struct group **ret);
int __wrap_getgrnam_r(const char *name, struct group *entry, char *space, size_t size,
                      struct group **ret);

/* "crowd" has more members than a usual buffer holds. */
int __wrap_getgrnam_r(const char *name, struct group *entry, char *space, size_t size,
                      struct group **ret)
{
    *ret = NULL;
    if (strcmp(name, "crowd") != 0)
        return __real_getgrnam_r(name, entry, space, size, ret);
    if (size < 100000)
        return ERANGE;
    *entry = (struct group){.gr_gid = 77};
    *ret = entry;
    return 0;
}

static void users(void **state)
{
    struct process_user user;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(process_user_lookup("root", &user, &err), 0);
    assert_int_equal(user.uid, 0);
    assert_int_equal(process_user_lookup("4321:99", &user, &err), 0);
    assert_int_equal(user.uid, 4321);
    assert_int_equal(user.gid, 99);
    assert_int_equal(process_user_lookup("4321:crowd", &user, &err), 0);
    assert_int_equal(user.gid, 77);
    assert_int_equal(process_user_lookup("nobody-such", &user, &err), -1);
    assert_string_equal(err.message, "user \"nobody-such\" does not exist on this host");
    assert_int_equal(process_user_lookup("root:nogroup-such", &user, &err), -1);
    assert_string_equal(err.message, "group \"nogroup-such\" does not exist on this host");
}

static void trees_are_made_and_removed(void **state)
{
    CLEANUP_FREE char *deep = fs_join(dir, "a/b/c");
    CLEANUP_FREE char *top = fs_join(dir, "a");
    CLEANUP_FREE char *link_path = fs_join(dir, "a/link");
    CLEANUP_FREE char *file = fs_join(dir, "a/b/c/file");
    CLEANUP_FREE char *outside = fs_join(dir, "outside");
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(fs_mkdir_p(deep, 0755, &err), 0);
    assert_true(fs_is_directory(deep));
    assert_int_equal(fs_mkdir_p(deep, 0755, &err), 0);
    assert_int_equal(fs_write_file(file, "x", 1, 0600, &err), 0);
    assert_int_equal(fs_write_file(outside, "x", 1, 0600, &err), 0);
    assert_int_equal(symlink("../outside", link_path), 0);
    assert_int_equal(fs_mkdir_p(file, 0755, &err), -1);
    assert_int_equal(err.code, ERR_CONFLICT);
    chmod(deep, 0500);
    assert_int_equal(fs_remove_tree(top, &err), 0);
    assert_false(fs_exists(top));
    assert_true(fs_exists(outside));
    assert_int_equal(fs_remove_tree(top, &err), 0);
}

static void files_are_read_within_bounds(void **state)
{
    CLEANUP_FREE char *file = fs_join(dir, "file");
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(fs_write_file(file, "12345", 5, 0600, &err), 0);
    assert_int_equal(fs_read_file(file, 5, &out, &err), 0);
    assert_string_equal(out.data, "12345");
    buf_reset(&out);
    assert_int_equal(fs_read_file(file, 4, &out, &err), -1);
    assert_int_equal(err.code, ERR_LIMIT);
    assert_int_equal(fs_read_file(dir, 4, &out, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_int_equal(fs_read_file("/no/such", 4, &out, &err), -1);
    assert_string_equal(err.message, "/no/such does not exist");
}

static void paths(void **state)
{
    static const char *const cases[][2] = {{"/", "/"},
                                           {"/a/../..", "/"},
                                           {"/a/./b//c/", "/a/b/c"},
                                           {"/a/b/../c", "/a/c"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_FREE char *path = fs_absolute(cases[i][0]);

        assert_string_equal(path, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_input_and_status),
        cmocka_unit_test(too_much_output_is_an_error),
        cmocka_unit_test(failures_to_start_are_told),
        cmocka_unit_test(deadline_ends_the_process),
        cmocka_unit_test(other_descriptors_are_not_inherited),
        cmocka_unit_test(directories_in_path_are_no_programs),
        cmocka_unit_test(users),
        cmocka_unit_test(trees_are_made_and_removed),
        cmocka_unit_test(files_are_read_within_bounds),
        cmocka_unit_test(paths),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
