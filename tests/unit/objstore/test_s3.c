/* Objects in a bucket of a real server: needs RUNNER_TEST_S3 and what else tests/env/s3.sh exports,
 * except for the URLs. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"
#include "objstore/s3.h"

static struct ctx ctx;
static struct err err;
static char *bucket_dir;
static char *url;
static char *key_variable;
static char *secret_variable;

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    if (!value)
        fail_msg("%s is not set: this test needs an S3 server (tests/env/up.sh)", name);
    return value;
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    ctx_init_cleanup(&ctx, 60000);
    bucket_dir = xasprintf("%s/objects-%d", variable("RUNNER_TEST_S3_DATA"), (int)getpid());
    url = xasprintf("s3://objects-%d/some/prefix/?endpoint=%s", (int)getpid(),
                    variable("RUNNER_TEST_S3"));
    key_variable = xasprintf("AWS_ACCESS_KEY_ID=%s", variable("RUNNER_TEST_S3_KEY"));
    secret_variable = xasprintf("AWS_SECRET_ACCESS_KEY=%s", variable("RUNNER_TEST_S3_SECRET"));
    return mkdir(bucket_dir, 0755);
}

static int tear_down(void **state)
{
    int result = fs_remove_tree(bucket_dir, NULL);

    (void)state;
    free(bucket_dir);
    free(url);
    free(key_variable);
    free(secret_variable);
    return result;
}

static struct object_store *open_store(const char *where)
{
    const char *const environment[] = {key_variable, secret_variable, "HOME=/nonexistent", NULL};
    struct object_store *store = NULL;

    if (object_store_s3_open(where, environment, &store, &err) < 0)
        fail_msg("%s", err.message);
    return store;
}

struct text {
    const char *text;
    size_t times;
    bool fails;
};

static int produce(void *arg, const struct ctx *c, struct object_sink *sink, struct err *e)
{
    const struct text *text = arg;

    for (size_t i = 0; i < text->times; i++) {
        if (ctx_check(c, e) < 0 || sink->write(sink, text->text, strlen(text->text), e) < 0)
            return -1;
    }
    return text->fails ? err_set(e, ERR_SYSTEM, "the source fails") : 0;
}

static int put(struct object_store *store, const char *key, struct text content,
               struct object_info *ret)
{
    const struct object_source source = {.produce = produce, .arg = &content};

    return store->ops->put(&ctx, store, key, &source, ret, &err);
}

static void assert_content(struct object_store *store, const char *key, const char *text,
                           size_t times)
{
    CLEANUP_BUF struct buf got = BUF_INIT;
    CLEANUP_BUF struct buf expected = BUF_INIT;
    struct object_info info;
    int fd;

    if (store->ops->get(&ctx, store, key, &fd, &info, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < times; i++)
        buf_addstr(&expected, text);
    assert_int_equal(fs_read_fd(fd, key, 64 << 20, &got, &err), 0);
    close(fd);
    assert_int_equal(got.len, expected.len);
    assert_memory_equal(got.data, expected.data, got.len);
    assert_string_equal(info.key, key);
    assert_int_equal(info.size_bytes, expected.len);
    assert_int_equal(strlen(info.sha256), 64);
    assert_true(info.stored_ms > INT64_C(1700000000000) && info.used_ms == info.stored_ms);
}

static void test_put_and_get(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);
    CLEANUP_FREE char *path = xasprintf("%s/some/prefix/a/b%%2Fc", bucket_dir);
    struct object_info put_info;
    struct object_info head_info;

    (void)state;
    assert_int_equal(put(store, "a/b%2Fc", (struct text){"hello", 1, false}, &put_info), 0);
    assert_true(fs_exists(path));
    assert_content(store, "a/b%2Fc", "hello", 1);
    assert_string_equal(put_info.sha256,
                        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
    assert_int_equal(store->ops->head(&ctx, store, "a/b%2Fc", &head_info, &err), 0);
    assert_string_equal(head_info.sha256, put_info.sha256);
    assert_int_equal(head_info.size_bytes, 5);
    assert_int_equal(put(store, "a/b%2Fc", (struct text){"", 1, false}, NULL), 0);
    assert_content(store, "a/b%2Fc", "", 1);
    /* In three parts. */
    assert_int_equal(put(store, "large", (struct text){"0123456789abcdef", 1100000, false}, NULL),
                     0);
    assert_content(store, "large", "0123456789abcdef", 1100000);
}

static void test_absent(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);
    int fd = -1;

    (void)state;
    for (int i = 0; i < 3; i++) {
        int result = i == 0   ? store->ops->get(&ctx, store, "none", &fd, NULL, &err)
                     : i == 1 ? store->ops->head(&ctx, store, "none", NULL, &err)
                              : store->ops->remove(&ctx, store, "none", &err);

        assert_int_equal(result, -1);
        assert_int_equal(err.code, ERR_NOT_FOUND);
        assert_string_equal(err.message, "there is no object \"none\"");
    }
    assert_int_equal(fd, -1);
    assert_int_equal(store->ops->get(&ctx, store, "a//b", &fd, NULL, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
}

static void test_no_bucket(void **state)
{
    CLEANUP_FREE char *other =
        xasprintf("s3://no-such-bucket?endpoint=%s", variable("RUNNER_TEST_S3"));
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(other);
    struct object_list list = {0};
    int fd;

    (void)state;
    assert_int_equal(put(store, "a", (struct text){"x", 1, false}, NULL), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.message, "NoSuchBucket"));
    assert_int_equal(store->ops->get(&ctx, store, "a", &fd, NULL, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
    assert_int_equal(store->ops->list(&ctx, store, "", &list, &err), -1);
    assert_int_equal(err.code, ERR_UNAVAILABLE);
}

static void test_list_and_remove(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);
    CLEANUP_OBJECT_LIST struct object_list list = {0};
    CLEANUP_OBJECT_LIST struct object_list rest = {0};

    (void)state;
    assert_int_equal(put(store, "list/a", (struct text){"1", 1, false}, NULL), 0);
    assert_int_equal(put(store, "list/b", (struct text){"22", 1, false}, NULL), 0);
    assert_int_equal(put(store, "listed", (struct text){"333", 1, false}, NULL), 0);
    assert_int_equal(store->ops->list(&ctx, store, "list/", &list, &err), 0);
    assert_int_equal(list.len, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(list.items[i].size_bytes, list.items[i].key[5] == 'a' ? 1 : 2);
    assert_int_equal(store->ops->remove(&ctx, store, "list/a", &err), 0);
    assert_int_equal(store->ops->list(&ctx, store, "list", &rest, &err), 0);
    assert_int_equal(rest.len, 2);
}

static void test_source_fails(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);

    (void)state;
    assert_int_equal(put(store, "failing", (struct text){"x", 100, true}, NULL), -1);
    assert_string_equal(err.message, "the source fails");
    assert_int_equal(store->ops->head(&ctx, store, "failing", NULL, &err), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
}

static void test_damage(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);
    CLEANUP_FREE char *path = xasprintf("%s/some/prefix/damaged", bucket_dir);
    int fd;

    (void)state;
    assert_int_equal(put(store, "damaged", (struct text){"hello", 1, false}, NULL), 0);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "j", 1, 0), 1);
    close(fd);
    assert_int_equal(store->ops->get(&ctx, store, "damaged", &fd, NULL, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_string_equal(err.message, "the object \"damaged\" was damaged and has been removed");
    assert_false(fs_exists(path));
}

/* Somebody else's object is refused, and left alone. */
static void test_foreign(void **state)
{
    CLEANUP_OBJECT_STORE struct object_store *store = open_store(url);
    CLEANUP_FREE char *path = xasprintf("%s/some/prefix/foreign", bucket_dir);
    int fd;

    (void)state;
    assert_int_equal(fs_write_file(path, "x", 1, 0644, &err), 0);
    assert_int_equal(store->ops->get(&ctx, store, "foreign", &fd, NULL, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_string_equal(err.message, "the object \"foreign\" has no SHA-256 in its metadata: it is "
                                     "not the runner's");
    assert_true(fs_exists(path));
}

static void test_urls(void **state)
{
    static const struct {
        const char *url;
        const char *message; /* NULL: good */
    } cases[] = {
        {"s3://bucket", NULL},
        {"s3://bucket/", NULL},
        {"s3://bucket/a/b/?endpoint=http%3A%2F%2Fh:1&region=x&path_style=true&profile=p", NULL},
        {"http://bucket", "\"http://bucket\" is not of the form s3://BUCKET/PREFIX"},
        {"s3:///a", "\"s3:///a\" names no bucket: s3://BUCKET/PREFIX"},
        {"s3://bucket/a/../b", "the prefix of \"s3://bucket/a/../b\": the key \"a/../b\" has an "
                               "empty part, \".\" or \"..\""},
        {"s3://bucket?reg=x", "an S3 store takes endpoint=, region=, profile= and path_style=, not "
                              "\"reg\""},
        {"s3://bucket?region", "an S3 store takes endpoint=, region=, profile= and path_style=, "
                               "not \"region\""},
        {"s3://bucket?path_style=yes", "path_style is true or false, not \"yes\""},
        {"s3://bucket?region=%2", "\"%2\" has a \"%\" without two hexadecimal digits"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int result = object_store_s3_check(cases[i].url, &err);

        assert_int_equal(result, cases[i].message ? -1 : 0);
        if (cases[i].message)
            assert_string_equal(err.message, cases[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put_and_get),  cmocka_unit_test(test_absent),
        cmocka_unit_test(test_no_bucket),    cmocka_unit_test(test_list_and_remove),
        cmocka_unit_test(test_source_fails), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_foreign),      cmocka_unit_test(test_urls),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
