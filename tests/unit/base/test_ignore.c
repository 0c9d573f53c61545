/* Which files are left out of a copy: patterns as gitignore(5) has them. */
#include "tests/unit/test.h"

#include <string.h>

#include "base/fs.h"
#include "base/ignore.h"

static char directory[] = "/tmp/test-ignore-XXXXXX";

static int read_text(const char *text, struct ignore **ret, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(directory, IGNORE_FILE);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return ignore_read(directory, ret, err);
}

static const struct row {
    const char *text;
    const char *path;
    bool is_directory;
    bool out;
} rows[] = {
    {"build", "build", true, true},
    {"build", "a/b/build", false, true},
    {"build", "building", false, false},
    {"/build", "build", true, true},
    {"/build", "a/build", true, false},
    {"a/build", "a/build", true, true},
    {"a/build", "b/a/build", true, false},
    {"build/", "build", false, false},
    {"build/", "a/build", true, true},
    {"*.o", "src/x.o", false, true},
    {"*.o\n!keep.o", "src/keep.o", false, false},
    {"*.o\n!keep.o", "src/other.o", false, true},
    {"!keep.o\n*.o", "keep.o", false, true},
    {"doc/**/*.txt", "doc/a/b/x.txt", false, true},
    {"doc/**/*.txt", "x.txt", false, false},
    {"**/logs", "a/logs", true, true},
    {"a/**", "a/x/y", false, true},
    {"# comment\n\n  \nx", "x", false, true},
    {"# comment", "# comment", false, false},
    {"\\#x", "#x", false, true},
    {"\\!x", "!x", false, true},
    {"x  ", "x", false, true},
    {"x\\ ", "x ", false, true},
    {"x\r\n", "x", false, true},
    {"{a,b}", "a", false, false},
    {"{a,b}", "{a,b}", false, true},
    {"[ab].c", "b.c", false, true},
    {"", "anything", false, false},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_IGNORE struct ignore *ignore = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(read_text(rows[i].text, &ignore, &err), 0);
        if (ignore_match(ignore, rows[i].path, rows[i].is_directory) != rows[i].out)
            fail_msg("\"%s\" and %s", rows[i].text, rows[i].path);
    }
}

/* As builders of images read it. */
static const struct row docker_rows[] = {
    {"build", "build", true, true},
    {"build", "build/deep/file", false, true},
    {"build", "a/build", false, false},
    {"/build/", "build", false, true},
    {"./a/./b", "a/b", false, true},
    {"**/*.o", "x.o", false, true},
    {"**/*.o", "a/b/x.o", false, true},
    {"*.o", "a/x.o", false, false},
    {"*\n!src", "src/a/b", false, false},
    {"*\n!src\nsrc/a", "src/a/b", false, true},
    {"a\n!a/b", "a/b/c", false, false},
    {"a\n!a/b", "a/c", false, true},
    {"a/*\n!a/keep*", "a/keep.txt", false, false},
    {"  x  ", "x", false, true},
    {"# x\n.\n\n", "x", false, false},
    {"*", "Dockerfile", false, false}, /* is among what is kept */
    {"*", "other", false, true},
};

static void test_docker(void **state)
{
    static const char *const keep[] = {"Dockerfile", NULL};
    CLEANUP_FREE char *path = fs_join(directory, ".dockerignore");

    (void)state;
    for (size_t i = 0; i < sizeof(docker_rows) / sizeof(*docker_rows); i++) {
        const struct row *row = &docker_rows[i];
        CLEANUP_IGNORE struct ignore *ignore = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(fs_write_file(path, row->text, strlen(row->text), 0600, &err), 0);
        assert_int_equal(ignore_read_docker(directory, keep, &ignore, &err), 0);
        if (ignore_match(ignore, row->path, row->is_directory) != row->out)
            fail_msg("\"%s\" and %s", row->text, row->path);
        assert_true(ignore_looks_inside(ignore));
    }
}

static void test_mistakes(void **state)
{
    struct ignore *ignore = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(read_text("x\n!\n", &ignore, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    assert_non_null(strstr(err.message, IGNORE_FILE ":2: there is no pattern"));
    assert_int_equal(read_text("../x\n", &ignore, &err), -1);
    assert_non_null(strstr(err.message, IGNORE_FILE ":1: "));
    assert_null(ignore);
}

static void test_no_file(void **state)
{
    struct ignore *ignore = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(ignore_read("/nowhere/at/all", &ignore, &err), 0);
    assert_null(ignore);
    assert_false(ignore_match(NULL, "x", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_docker),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_no_file),
    };
    int failed;

    if (!mkdtemp(directory))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return fs_remove_tree(directory, NULL) < 0 ? 1 : failed;
}
