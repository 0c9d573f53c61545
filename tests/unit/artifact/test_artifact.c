/* Artifacts in a local store. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "artifact/artifact.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "objstore/local.h"

#define DAY_MS INT64_C(86400000)

static char scratch[64];
static char *store_dir;
static char *work;
static struct object_store *store;
static struct ctx ctx;
static struct err err;

#define assert_ok(expression)                                                                      \
    do {                                                                                           \
        if ((expression) < 0)                                                                      \
            fail_msg("%s: %s", #expression, err.message);                                          \
    } while (0)

static void file(const char *name, const char *text)
{
    CLEANUP_FREE char *path = fs_join(work, name);
    CLEANUP_FREE char *dir = xstrdup(path);

    *strrchr(dir, '/') = '\0';
    assert_ok(fs_mkdir_p(dir, 0755, &err));
    assert_ok(fs_write_file(path, text, strlen(text), 0640, &err));
}

static int set_up(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    ctx_init_cleanup(&ctx, 60000);
    store_dir = fs_join(scratch, "store");
    work = fs_join(scratch, "work");
    object_store_local_open(&(struct object_store_local_options){.root = store_dir}, &store);
    file("dist/a.txt", "hello");
    file("dist/sub/b.txt", "world!");
    file("dist/x.log", "noise");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    object_store_close(store);
    free(store_dir);
    free(work);
    ctx_release(&ctx);
    return fs_remove_tree(scratch, NULL);
}

/* Patterns are those of one artifact, ended by NULL. */
static int save(const char *run, const char *job, const char *job_id, const char *name,
                int64_t expire_ms, const char *const *patterns, struct artifact *ret)
{
    CLEANUP_GLOB struct glob *glob = NULL;
    struct artifact_request request = {.run = run,
                                       .pipeline = "p",
                                       .job = job,
                                       .job_id = job_id,
                                       .name = name,
                                       .root = work,
                                       .expire_ms = expire_ms};
    size_t count = 0;

    while (patterns[count])
        count++;
    assert_ok(glob_parse(patterns, count, GLOB_TREE, &glob, &err));
    request.glob = glob;
    return artifact_save(&ctx, store, &request, ret, &err);
}

#define PATTERNS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void save_well(const char *run, const char *job, const char *job_id, const char *name,
                      int64_t expire_ms)
{
    CLEANUP_ARTIFACT struct artifact a = {0};

    assert_ok(save(run, job, job_id, name, expire_ms, PATTERNS("dist"), &a));
}

static char *object_path(const char *key)
{
    return xasprintf("%s/objects/%s~", store_dir, key);
}

static void test_save_and_fetch(void **state)
{
    CLEANUP_ARTIFACT struct artifact a = {0};
    CLEANUP_FREE char *out = fs_join(scratch, "out");
    CLEANUP_FREE char *b = fs_join(out, "dist/sub/b.txt");
    CLEANUP_FREE char *log = fs_join(out, "dist/x.log");
    CLEANUP_BUF struct buf got = BUF_INIT;
    struct stat st;

    (void)state;
    assert_ok(
        save("run1", "build it", "0.1", "dist", 7 * DAY_MS, PATTERNS("dist", "!**/*.log"), &a));
    assert_string_equal(a.archive, "run1/0.1-build%20it/dist.tar.zst");
    assert_string_equal(a.manifest, "run1/0.1-build%20it/dist.json");
    assert_int_equal(a.file_count, 2);
    assert_int_equal(a.bytes, 11);
    assert_int_equal(a.expires_ms - a.created_ms, 7 * DAY_MS);
    assert_int_equal(strlen(a.sha256), 64);
    assert_ok(fs_mkdir_p(out, 0755, &err));
    assert_ok(artifact_fetch(&ctx, store, &a, out, &err));
    assert_ok(fs_read_file(b, 100, &got, &err));
    assert_string_equal(got.data, "world!");
    assert_int_equal(stat(b, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_false(fs_exists(log));
}

static void test_nothing_matches(void **state)
{
    CLEANUP_ARTIFACT struct artifact a = {0};
    CLEANUP_FREE char *empty = fs_join(work, "empty/dir");
    CLEANUP_BUF struct buf expected = BUF_INIT;

    (void)state;
    assert_ok(fs_mkdir_p(empty, 0755, &err));
    buf_addf(&expected, "no file matches in %s", work);
    assert_int_equal(save("r", "j", "0.0", "n", 0, PATTERNS("none", "empty"), &a), -1);
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_string_equal(err.message, expected.data);
    assert_false(fs_exists(store_dir));
}

static char *listed(const char *run)
{
    CLEANUP_ARTIFACT_LIST struct artifact_list list = {0};
    struct buf out = BUF_INIT;

    assert_ok(artifact_list(&ctx, store, run, &list, &err));
    for (size_t i = 0; i < list.len; i++)
        buf_addf(&out, "%s/%s/%s ", list.items[i].run, list.items[i].job, list.items[i].name);
    return buf_steal(&out);
}

static void assert_listed(const char *run, const char *expected)
{
    CLEANUP_FREE char *got = listed(run);

    assert_string_equal(got, expected);
}

static void test_list(void **state)
{
    CLEANUP_FREE char *broken = NULL;

    (void)state;
    assert_listed(NULL, "");
    save_well("run1", "a", "0.0", "x", 0);
    save_well("run2", "b", "0.1", "y", 0);
    save_well("run2", "a", "0.0", "y", 0);
    save_well("run22", "a", "0.0", "z", 0);
    assert_listed(NULL, "run22/a/z run2/a/y run2/b/y run1/a/x ");
    assert_listed("run2", "run2/a/y run2/b/y ");
    assert_listed("run3", "");
    /* A manifest that is damaged is not listed, and does not hide the others. */
    broken = object_path("run2/0.0-a/y.json");
    assert_int_equal(truncate(broken, 300), 0);
    assert_listed("run2", "run2/b/y ");
}

/* A bucket may hold anything: what is at no artifact's place is not one, whatever it says. */
static void test_foreign_manifests(void **state)
{
    static const char *const others[] = {"y.json", "run1/y.json", "run1/0.0-a/b/y.json",
                                         "run1/0.0-a/.json"};
    CLEANUP_FREE char *manifest = object_path("run1/0.0-a/x.json");

    (void)state;
    save_well("run1", "a", "0.0", "x", 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        CLEANUP_FREE char *other = object_path(others[i]);
        CLEANUP_FREE char *dir = xstrndup(other, (size_t)(strrchr(other, '/') - other));

        assert_ok(fs_mkdir_p(dir, 0700, &err));
        assert_int_equal(link(manifest, other), 0);
        assert_listed(NULL, "run1/a/x ");
    }
}

static void test_names(void **state)
{
    CLEANUP_ARTIFACT struct artifact a = {0};
    CLEANUP_BUF struct buf plain = BUF_INIT;
    CLEANUP_BUF struct buf other = BUF_INIT;

    (void)state;
    for (int i = 0; i < ARTIFACT_NAME_MAX; i++)
        buf_addch(&plain, 'x');
    for (int i = 0; i < 82; i++)
        buf_addch(&other, ' ');
    save_well("run1", "a", "0.0", plain.data, 0);
    save_well("run1", "b", "0.1", other.data, 0);
    buf_addch(&plain, 'x');
    assert_int_equal(save("run1", "a", "0.0", plain.data, 0, PATTERNS("dist"), &a), -1);
    assert_non_null(strstr(err.message, "has more than 100 bytes"));
    buf_addch(&other, ' ');
    assert_int_equal(save("run1", "a", "0.0", other.data, 0, PATTERNS("dist"), &a), -1);
    assert_non_null(strstr(err.message, "\" is too long: what is not of A-Z, a-z, 0-9"));
    assert_int_equal(err.code, ERR_INVALID);
}

static void note_removed(void *arg, const struct artifact *a)
{
    buf_addf(arg, "%s/%s ", a->job, a->name);
}

static void prune(int64_t now_ms, bool dry_run, const char *expected)
{
    CLEANUP_BUF struct buf removed = BUF_INIT;
    const struct artifact_prune options = {.now_ms = now_ms,
                                           .dry_run = dry_run,
                                           .removed = note_removed,
                                           .arg = &removed};

    assert_ok(artifact_prune(&ctx, store, &options, &err));
    assert_string_equal(removed.data, expected);
}

static void test_prune(void **state)
{
    int64_t now_ms = clock_wall_ms();
    CLEANUP_FREE char *archive = object_path("run1/0.0-a/day.tar.zst");
    CLEANUP_FREE char *orphan = object_path("run1/0.0-a/orphan.tar.zst");
    CLEANUP_FREE char *manifest = object_path("run1/0.0-a/orphan.json");

    (void)state;
    save_well("run1", "a", "0.0", "day", DAY_MS);
    save_well("run1", "a", "0.0", "week", 7 * DAY_MS);
    save_well("run1", "a", "0.0", "ever", 0);
    prune(now_ms, false, "");
    prune(now_ms + 2 * DAY_MS, true, "a/day ");
    assert_true(fs_exists(archive));
    prune(now_ms + 2 * DAY_MS, false, "a/day ");
    assert_false(fs_exists(archive));
    assert_listed(NULL, "run1/a/ever run1/a/week ");
    prune(now_ms + 365 * DAY_MS, false, "a/week ");
    assert_listed(NULL, "run1/a/ever ");
    /* A dead run's archive goes after a day, and not before. */
    save_well("run1", "a", "0.0", "orphan", 0);
    assert_int_equal(unlink(manifest), 0);
    prune(now_ms + DAY_MS / 2, false, "");
    assert_true(fs_exists(orphan));
    prune(now_ms + 2 * DAY_MS, false, "");
    assert_false(fs_exists(orphan));
    assert_listed(NULL, "run1/a/ever ");
}

static void test_expiry(void **state)
{
    int64_t ms = -1;

    (void)state;
    assert_ok(artifact_parse_expiry("1 week", &ms, &err));
    assert_int_equal(ms, 7 * DAY_MS);
    assert_ok(artifact_parse_expiry("never", &ms, &err));
    assert_int_equal(ms, 0);
    assert_int_equal(artifact_parse_expiry("0", &ms, &err), -1);
    assert_int_equal(artifact_parse_expiry("-1d", &ms, &err), -1);
    assert_int_equal(artifact_parse_expiry("soon", &ms, &err), -1);
    assert_ok(artifact_parse_expiry("365000 days", &ms, &err));
    assert_int_equal(artifact_parse_expiry("9223372036854775s", &ms, &err), -1);
    assert_string_equal(err.message, "artifacts are kept for 1000 years at most, or \"never\" "
                                     "expire; not \"9223372036854775s\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_save_and_fetch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_matches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_manifests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prune, set_up, tear_down),
        cmocka_unit_test(test_expiry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
