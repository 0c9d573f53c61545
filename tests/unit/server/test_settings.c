/* Settings: taken from the file and the command line, changed, kept. */
#include "tests/unit/assert_err.h"

#include <sys/stat.h>

#include "base/fs.h"
#include "server/settings.h"

static const struct settings_values none = {-1, -1, -1};

static char *directory(void)
{
    static char path[] = "/tmp/runner-settings.XXXXXX";

    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(path));
    return path;
}

static int change(struct settings *settings, const char *text)
{
    json_t *object = json_loads(text, 0, NULL);
    int result = settings_change(settings, object, &test_err);

    json_decref(object);
    return result;
}

static void test_change(void **state)
{
    char *dir = directory();
    CLEANUP_FREE char *file = fs_join(dir, "settings.json");
    struct settings settings = {0};
    struct stat st;

    (void)state;
    assert_ok(settings_open(&settings, dir, &none, &test_err));
    assert_int_equal(settings_read(&settings).max_concurrent, 2);
    assert_int_equal(settings_read(&settings).max_records, 1000);
    assert_ok(change(&settings, "{\"max_concurrent\": 7}"));
    assert_int_equal(settings_read(&settings).max_concurrent, 7);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    settings_release(&settings);

    assert_ok(settings_open(&settings, dir, &none, &test_err));
    assert_int_equal(settings_read(&settings).max_concurrent, 7);
    settings_release(&settings);
    assert_ok(settings_open(&settings, dir, &(struct settings_values){5, -1, -1}, &test_err));
    assert_int_equal(settings_read(&settings).max_concurrent, 5);
    settings_release(&settings);
    assert_ok(fs_remove_tree(dir, &test_err));
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "{\"max_concurrent\": 0}",     "{\"max_concurrent\": \"3\"}",
        "{\"max_records\": -1}",       "{\"max_concurrent\": 3, \"colour\": 1}",
        "{\"refresh_interval\": 1.5}",
    };
    char *dir = directory();
    CLEANUP_FREE char *file = fs_join(dir, "settings.json");
    struct settings settings = {0};

    (void)state;
    assert_ok(settings_open(&settings, dir, &none, &test_err));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_error(change(&settings, bad[i]), ERR_INVALID);
        assert_int_equal(settings_read(&settings).max_concurrent, 2);
    }
    assert_false(fs_exists(file));
    settings_release(&settings);
    assert_ok(fs_write_file(file, "{oh", 3, 0600, &test_err));
    assert_error(settings_open(&settings, dir, &none, &test_err), ERR_INVALID);
    assert_message("settings.json is no JSON object: mend or remove it");
    assert_ok(fs_remove_tree(dir, &test_err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_change),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
