/* The local object store: what is put is what is got, whatever dies or breaks in between. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "objstore/local.h"

static char scratch[64];
static struct ctx ctx;

static int set_up(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    ctx_init_cleanup(&ctx, 60000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ctx_release(&ctx);
    return fs_remove_tree(scratch, NULL);
}

static struct object_store *open_store(int64_t max_bytes)
{
    struct object_store *store = NULL;

    object_store_local_open(&(struct object_store_local_options){.root = scratch,
                                                                 .max_bytes = max_bytes},
                            &store);
    return store;
}

struct text {
    const char *text;
    size_t times;
};

static int produce(void *arg, const struct ctx *c, struct object_sink *sink, struct err *err)
{
    const struct text *text = arg;

    for (size_t i = 0; i < text->times; i++) {
        if (ctx_check(c, err) < 0 || sink->write(sink, text->text, strlen(text->text), err) < 0)
            return -1;
    }
    return 0;
}

static int put(struct object_store *store, const char *key, const char *text, size_t times,
               struct err *err)
{
    struct text content = {text, times};
    const struct object_source source = {.produce = produce, .arg = &content};

    return store->ops->put(&ctx, store, key, &source, NULL, err);
}

static void put_well(struct object_store *store, const char *key, const char *text)
{
    struct err err = ERR_INIT;

    if (put(store, key, text, 1, &err) < 0)
        fail_msg("%s", err.message);
}

static void assert_content(struct object_store *store, const char *key, const char *expected)
{
    CLEANUP_BUF struct buf content = BUF_INIT;
    CLEANUP_FD int fd = -1;
    struct object_info info;
    struct err err = ERR_INIT;

    if (store->ops->get(&ctx, store, key, &fd, &info, &err) < 0 ||
        fs_read_fd(fd, key, 1 << 20, &content, &err) < 0)
        fail_msg("%s", err.message);
    assert_string_equal(content.data, expected);
    assert_int_equal(info.size_bytes, strlen(expected));
    assert_string_equal(info.key, key);
}

static void assert_get(struct object_store *store, const char *key, enum err_code code,
                       const char *message)
{
    struct err err = ERR_INIT;
    int fd = -1;

    assert_int_equal(-1, store->ops->get(&ctx, store, key, &fd, NULL, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
    assert_int_equal(fd, -1);
}

static unsigned count_files(const char *name)
{
    CLEANUP_FREE char *path = fs_join(scratch, name);
    DIR *dir = opendir(path);
    unsigned count = 0;
    struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

static void test_round(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    struct object_info info;
    struct err err = ERR_INIT;

    (void)state;
    assert_get(store, "a", ERR_NOT_FOUND, "there is no object \"a\"");
    assert_int_equal(-1, store->ops->head(&ctx, store, "a", NULL, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    put_well(store, "a", "one");
    put_well(store, "a/b", "two");
    put_well(store, "a/b/c", "");
    assert_content(store, "a", "one");
    assert_content(store, "a/b", "two");
    assert_content(store, "a/b/c", "");
    put_well(store, "a", "other");
    assert_content(store, "a", "other");
    assert_int_equal(0, store->ops->head(&ctx, store, "a", &info, &err));
    assert_int_equal(info.size_bytes, 5);
    assert_string_equal(info.sha256,
                        "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa");
    assert_int_equal(0, store->ops->remove(&ctx, store, "a/b/c", &err));
    assert_int_equal(-1, store->ops->remove(&ctx, store, "a/b/c", &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_content(store, "a/b", "two");
    assert_int_equal(count_files("tmp"), 0);
}

static void list_is(struct object_store *store, const char *prefix, const char *expected)
{
    CLEANUP_OBJECT_LIST struct object_list list = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;

    assert_int_equal(0, store->ops->list(&ctx, store, prefix, &list, &err));
    for (size_t i = 0; i < list.len; i++)
        buf_addf(&text, "%s%s", i ? " " : "", list.items[i].key);
    assert_string_equal(text.data, expected);
}

/* As if it had last been used so many seconds ago. */
static void used_ago(const char *key, long seconds)
{
    CLEANUP_FREE char *path = xasprintf("%s/objects/%s~", scratch, key);
    struct timespec times[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};

    assert_int_equal(0, utimensat(AT_FDCWD, path, times, 0));
}

static void test_list(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    static const char *const keys[] = {"p/deps-1", "p/deps-2", "p/deps-2/x", "p/other", "q/deps-1"};

    (void)state;
    list_is(store, "", "");
    for (size_t i = 0; i < 5; i++) {
        put_well(store, keys[i], keys[i]);
        used_ago(keys[i], 100 - (long)i);
    }
    list_is(store, "p/deps", "p/deps-2/x p/deps-2 p/deps-1");
    list_is(store, "p/deps-2", "p/deps-2/x p/deps-2");
    list_is(store, "q/", "q/deps-1");
    list_is(store, "nothing", "");
    assert_content(store, "p/deps-1", "p/deps-1");
    list_is(store, "p/", "p/deps-1 p/other p/deps-2/x p/deps-2");
}

static void test_least_recently_used_goes(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(30);
    struct err err = ERR_INIT;

    (void)state;
    put_well(store, "a", "0123456789");
    put_well(store, "b", "0123456789");
    put_well(store, "c", "0123456789");
    used_ago("a", 30);
    used_ago("b", 20);
    used_ago("c", 10);
    assert_content(store, "a", "0123456789");
    put_well(store, "d", "0123456789");
    list_is(store, "b", "");
    assert_content(store, "a", "0123456789");
    assert_content(store, "c", "0123456789");
    assert_int_equal(-1, put(store, "e", "0123456789", 4, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "it has more than the 30 bytes of the whole store");
    assert_content(store, "d", "0123456789");
    assert_int_equal(count_files("tmp"), 0);
}

/* The oldest go, also where a younger one alone would make room enough. */
static void test_trim(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    struct object_trim trim = {.max_bytes = 25, .unused_ms = -1, .dry_run = true};
    struct err err = ERR_INIT;

    (void)state;
    put_well(store, "p/new", "0123456789");
    put_well(store, "p/mid", "0123456789abcdefghij");
    put_well(store, "p/old", "012");
    put_well(store, "q/x", "0123456789abcdefghij");
    used_ago("p/new", 10);
    used_ago("p/mid", 20);
    used_ago("p/old", 30);
    assert_int_equal(0, object_store_trim(&ctx, store, "p/", &trim, &err));
    list_is(store, "p/", "p/new p/mid p/old");
    trim.dry_run = false;
    assert_int_equal(0, object_store_trim(&ctx, store, "p/", &trim, &err));
    list_is(store, "", "q/x p/new");
    trim = (struct object_trim){.max_bytes = -1, .unused_ms = 5000};
    assert_int_equal(0, object_store_trim(&ctx, store, "", &trim, &err));
    list_is(store, "", "q/x");
    trim = (struct object_trim){.max_bytes = 0, .unused_ms = -1, .keep = "q/x"};
    assert_int_equal(0, object_store_trim(&ctx, store, "", &trim, &err));
    list_is(store, "", "q/x");
}

static void spoil(const char *key, off_t at, const char *with, off_t cut)
{
    CLEANUP_FREE char *path = xasprintf("%s/objects/%s~", scratch, key);
    CLEANUP_FD int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, with, strlen(with), at), (ssize_t)strlen(with));
    if (cut >= 0)
        assert_int_equal(0, ftruncate(fd, cut));
}

static void test_damage(void **state)
{
    static const struct {
        const char *with;
        off_t at, cut;
    } cases[] = {{"x", 256, -1}, {"x", 3, -1}, {"", 0, 258}, {"", 0, 100}, {"", 0, 0}};
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        put_well(store, "k/x", "content");
        spoil("k/x", cases[i].at, cases[i].with, cases[i].cut);
        assert_get(store, "k/x", ERR_PROTOCOL,
                   "the object \"k/x\" was damaged and has been removed");
        assert_get(store, "k/x", ERR_NOT_FOUND, "there is no object \"k/x\"");
    }
    assert_int_equal(count_files("objects"), 0);
}

/* Whatever byte of the file is another one, and whatever number the header claims. */
static void test_damage_anywhere(void **state)
{
    static const char *const sizes[] = {"9223372036854775807 1\n", "-1 1\n", "+7 1\n",
                                        "99999999999999999999 1\n"};
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);

    (void)state;
    for (off_t at = 0; at < 256 + 7; at++) {
        put_well(store, "k", "content");
        spoil("k", at, "x", -1);
        assert_get(store, "k", ERR_PROTOCOL, "the object \"k\" was damaged and has been removed");
    }
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        put_well(store, "k", "content");
        spoil("k", (off_t)strlen("runner-object 1 ") + 65, sizes[i], -1);
        assert_get(store, "k", ERR_PROTOCOL, "the object \"k\" was damaged and has been removed");
    }
}

static void test_keys(void **state)
{
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "a/../b", "a b", "a~", "\xc3"};
    CLEANUP_BUF struct buf out = BUF_INIT;
    CLEANUP_BUF struct buf plain = BUF_INIT;
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_equal(-1, object_key_check(bad[i], NULL));
    assert_int_equal(0, object_key_check("a/.b/c..d/e%2F+=@-_", NULL));
    for (int i = 0; i < OBJECT_KEY_PART_MAX; i++)
        buf_addch(&out, 'x');
    put_well(store, out.data, "content");
    buf_addch(&out, 'x');
    assert_int_equal(-1, object_key_check(out.data, &err));
    assert_string_equal(err.message, "a part of a key has at most 254 bytes, not 255");
    buf_reset(&out);
    object_key_add_escaped(&out, "deps-ä/~ 1%");
    assert_string_equal(out.data, "deps-%C3%A4%2F%7E%201%25");
    object_key_add_plain(&plain, out.data, out.len);
    assert_string_equal(plain.data, "deps-ä/~ 1%");
    for (size_t i = 0; i < 3; i++) {
        buf_reset(&out);
        buf_reset(&plain);
        object_key_add_escaped(&out, &".."[i]);
        assert_int_equal(0, object_key_check(out.data, NULL));
        object_key_add_plain(&plain, out.data, out.len);
        assert_string_equal(plain.data, &".."[i]);
    }
}

/* A writer that is killed leaves a temporary file; one that lives keeps its own. */
static void test_killed_writers(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    CLEANUP_FREE char *mine = xasprintf("%s/tmp/alive", scratch);
    CLEANUP_FD int fd = -1;

    (void)state;
    put_well(store, "a", "old");
    fd = open(mine, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            close(fd);
            for (;;)
                (void)!put(store, "a", "0123456789abcdef", 2000, NULL);
        }
        usleep((useconds_t)(500 + i * 700));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        {
            CLEANUP_FD int got = -1;
            struct err err = ERR_INIT;

            if (store->ops->get(&ctx, store, "a", &got, NULL, &err) < 0)
                fail_msg("%s", err.message);
        }
    }
    put_well(store, "b", "x");
    assert_int_equal(count_files("tmp"), 1);
    close(steal_fd(&fd));
    put_well(store, "b", "x");
    assert_int_equal(count_files("tmp"), 0);
}

static void test_two_writers(void **state)
{
    pid_t pids[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            CLEANUP_OBJECT_STORE struct object_store *store = open_store(100000);
            int bad = 0;

            for (int j = 0; j < 50 && !bad; j++) {
                char key[32];
                int fd = -1;

                snprintf(key, sizeof(key), "k%d/x", j % 3);
                bad = put(store, key, "0123456789abcdef", 3000, NULL) < 0;
                if (store->ops->get(&ctx, store, key, &fd, NULL, NULL) == 0)
                    close(fd);
            }
            _exit(bad);
        }
    }
    for (int i = 0; i < 4; i++) {
        int status = -1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(count_files("tmp"), 0);
}

static void test_cancelled(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(0);
    struct text content = {"x", SIZE_MAX};
    const struct object_source source = {.produce = produce, .arg = &content};
    struct err err = ERR_INIT;
    struct ctx own;

    (void)state;
    ctx_init_cleanup(&own, 50);
    assert_int_equal(-1, store->ops->put(&own, store, "a", &source, NULL, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    ctx_release(&own);
    assert_int_equal(count_files("tmp"), 0);
    assert_get(store, "a", ERR_NOT_FOUND, "there is no object \"a\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_least_recently_used_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trim, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_writers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_two_writers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancelled, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
