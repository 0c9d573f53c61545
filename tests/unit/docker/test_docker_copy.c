/* Files of a copy of the workspace, brought from the daemon and sent there. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "engine/docker/instance.h"
#include "engine/docker/place.h"
#include "fixture/docker.h"

static struct docker_fixture fixture;
static struct docker_fixture *const f = &fixture;
static char into[96];

static int prepare(void)
{
    ((struct docker_instance *)f->instance)->self.place = SELF_ELSEWHERE;
    snprintf(into, sizeof(into), "%s/into", f->scratch);
    return fs_mkdir_p(into, 0700, NULL);
}

static int set_up(void **state)
{
    (void)state;
    docker_fixture_init(f);
    return prepare();
}

static int set_up_cable(void **state)
{
    (void)state;
    docker_fixture_init_with_cable(f);
    return prepare();
}

static int tear_down(void **state)
{
    (void)state;
    docker_fixture_release(f);
    return 0;
}

static int get(const char *path)
{
    f->err = (struct err)ERR_INIT;
    return docker_engine.get(&f->root, f->place, path, into, &f->err);
}

static void assert_file(const char *path, const char *expected)
{
    CLEANUP_FREE char *whole = fs_join(into, path);
    CLEANUP_BUF struct buf text = BUF_INIT;

    assert_int_equal(fs_read_file(whole, 4096, &text, NULL), 0);
    assert_string_equal(text.data, expected);
}

/* Also of names that begin with a dot. */
static size_t count_files(const char *path)
{
    CLEANUP_FREE char *whole = fs_join(into, path);
    DIR *dir = opendir(whole);
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

static void brings_a_path(void **state)
{
    CLEANUP_FREE char *file = fs_join(into, "d/sub/f");
    struct stat st;

    (void)state;
    docker_fixture_expect(f,
                          "mkdir -p d/sub; echo one >d/sub/f; chmod 640 d/sub/f; echo two >g; "
                          "touch -d '2001-02-03 04:05:06' d/sub/f; ln -s d link; ln -s / d/out",
                          0, "", "");
    assert_int_equal(get("d/sub"), 0);
    assert_file("d/sub/f", "one\n");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(st.st_mtime, 981173106);
    assert_int_equal(count_files(""), 1);
    assert_int_equal(count_files("d"), 1);
    assert_int_equal(get("g"), 0);
    assert_file("g", "two\n");
    assert_int_equal(get("none"), 0);
    assert_int_equal(get("link/sub/f"), 0);
    assert_int_equal(get("d/out/proc/version"), 0);
    assert_int_equal(count_files(""), 2);
    assert_int_equal(get(""), 0);
    assert_int_equal(count_files(""), 3);
    assert_int_equal(count_files("d"), 2);
}

static void sends_what_is_named(void **state)
{
    static const char *const paths[] = {"new/f", "link", NULL};
    CLEANUP_FREE char *directory = fs_join(f->workspace, "new");
    CLEANUP_FREE char *named = fs_join(directory, "f");
    CLEANUP_FREE char *other = fs_join(directory, "other");
    CLEANUP_FREE char *link = fs_join(f->workspace, "link");

    (void)state;
    assert_int_equal(docker_engine.put(&f->root, f->place, paths, &f->err), 0); /* no copy yet */
    docker_fixture_expect(f, "mkdir -p new; echo theirs >new/other; echo theirs >new/f", 0, "", "");
    assert_int_equal(fs_mkdir_p(directory, 0755, NULL), 0);
    assert_int_equal(fs_write_file(named, "ours\n", 5, 0755, NULL), 0);
    assert_int_equal(fs_write_file(other, "ours\n", 5, 0644, NULL), 0);
    assert_int_equal(symlink("new/f", link), 0);
    assert_int_equal(docker_engine.put(&f->root, f->place, paths, &f->err), 0);
    docker_fixture_expect(f, "cat new/f new/other; stat -c %a new/f; readlink link", 0,
                          "ours\ntheirs\n755\nnew/f\n", "");
}

static void brings_nothing_where_the_workspace_is_shared(void **state)
{
    (void)state;
    ((struct docker_instance *)f->instance)->self.place = SELF_ON_HOST;
    docker_fixture_expect(f, "echo one >here", 0, "", "");
    assert_int_equal(get("here"), 0);
    assert_int_equal(count_files(""), 0);
}

/* --- breaking off --- */

/* Bytes in the file without a name that an archive goes to; 0: there is none. */
static off_t spooled(void)
{
    for (int fd = 3; fd < 256; fd++) {
        char link[32];
        char name[512] = "";
        struct stat st;

        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, name, sizeof(name) - 1) > 0 && strstr(name, "/into/.archive-") &&
            stat(link, &st) == 0)
            return st.st_size;
    }
    return 0;
}

static void await_spooled(struct ctx *ctx)
{
    while (spooled() < 1 << 20 && ctx_sleep(ctx, 1, NULL) == 0)
        continue;
}

static void *kill_holder(void *arg)
{
    CLEANUP_FREE char *holder = arg;
    struct err err = ERR_INIT;
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 60000);
    await_spooled(&ctx);
    if (docker_container_kill(&ctx, f->client, holder, NULL, &err) < 0)
        fprintf(stderr, "%s\n", err.message);
    ctx_release(&ctx);
    return NULL;
}

static void *pull_out(void *arg)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 60000);
    await_spooled(&ctx);
    cable_out(arg);
    ctx_release(&ctx);
    return NULL;
}

/* `size` is too much to have come before somebody breaks it off. */
static int get_while(const struct ctx *ctx, const char *size, void *(*breaker)(void *), void *arg)
{
    CLEANUP_FREE char *script = xasprintf("mkdir d; echo x >d/a; truncate -s %s d/b", size);
    pthread_t thread;
    int result;

    docker_fixture_expect(f, script, 0, "", "");
    if (!arg)
        arg = place_holder_name(&f->root, (struct docker_place *)f->place);
    assert_int_equal(pthread_create(&thread, NULL, breaker, arg), 0);
    result = docker_engine.get(ctx, f->place, "d", into, &f->err);
    pthread_join(thread, NULL);
    return result;
}

static void assert_broken_off(void)
{
    assert_non_null(strstr(f->err.message, "cannot bring d from the Docker host: "));
    assert_int_equal(count_files(""), 0);
}

/* All of it comes when that is done once more. */
static void tries_again_when_the_holder_is_killed(void **state)
{
    CLEANUP_FREE char *file = fs_join(into, "d/b");
    struct stat st;

    (void)state;
    if (get_while(&f->root, "300M", kill_holder, NULL) < 0)
        fail_msg("%s", f->err.message);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 300 << 20);
    assert_file("d/a", "x\n");
}

static void brings_nothing_when_contact_breaks(void **state)
{
    (void)state;
    assert_int_equal(get_while(&f->root, "20G", pull_out, f->cable), -1);
    assert_broken_off();
    while (docker_fixture_running(f) > 0)
        assert_int_equal(ctx_sleep(&f->root, 25, NULL), 0);
    cable_in(f->cable);
    if (get("d/a") < 0)
        fail_msg("%s", f->err.message);
    assert_file("d/a", "x\n");
}

static void *cancel(void *arg)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, 60000);
    await_spooled(&ctx);
    ctx_cancel(arg, CTX_CAUSE_USER);
    ctx_release(&ctx);
    return NULL;
}

static void brings_nothing_when_cancelled(void **state)
{
    struct ctx ctx;

    (void)state;
    assert_int_equal(ctx_init_cancel(&ctx, &f->root, NULL), 0);
    assert_int_equal(get_while(&ctx, "20G", cancel, &ctx), -1);
    assert_broken_off();
    assert_int_equal(f->err.code, ERR_CANCELLED);
    ctx_release(&ctx);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(brings_a_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sends_what_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(brings_nothing_where_the_workspace_is_shared, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tries_again_when_the_holder_is_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(brings_nothing_when_contact_breaks, set_up_cable,
                                        tear_down),
        cmocka_unit_test_setup_teardown(brings_nothing_when_cancelled, set_up, tear_down),
    };

    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
