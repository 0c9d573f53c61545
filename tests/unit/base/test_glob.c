/* Globs: what they match, and what is found with them below a directory. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/glob.h"
#include "base/vec.h"

static char scratch[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(scratch, NULL);
}

/* Patterns are separated by spaces. */
static struct glob *parse(const char *patterns, enum glob_mode mode, struct err *err)
{
    CLEANUP_STRVEC struct strvec list = {0};
    struct glob *glob = NULL;

    for (const char *s = patterns; *s;) {
        size_t len = strcspn(s, " ");

        strvec_push_owned(&list, xstrndup(s, len));
        s += len + (s[len] == ' ');
    }
    return glob_parse((const char *const *)list.items, list.len, mode, &glob, err) < 0 ? NULL
                                                                                       : glob;
}

static void test_match(void **state)
{
    static const struct {
        const char *patterns;
        const char *path;
        bool exact;
        bool tree;
    } cases[] = {
        {"main", "main", true, true},
        {"main", "main2", false, false},
        {"main", "main/x", false, true},
        {"release/*", "release/1", true, true},
        {"release/*", "release/1/2", false, true},
        {"release/**", "release/1/2", true, true},
        {"release/**", "release", false, false},
        {"*.c", "a.c", true, true},
        {"*.c", ".c", true, true},
        {"*.c", "src/a.c", false, false},
        {"**/*.c", "a.c", true, true},
        {"**/*.c", "src/deep/a.c", true, true},
        {"src/**/a.c", "src/a.c", true, true},
        {"src/**/**/a.c", "src/x/a.c", true, true},
        {"src/**/a.c", "lib/a.c", false, false},
        {"a**b", "axxb", true, true},
        {"a**b", "ax/xb", false, false},
        {"?.c", "a.c", true, true},
        {"?.c", "ab.c", false, false},
        {"[a-c].c", "b.c", true, true},
        {"[!a-c].c", "b.c", false, false},
        {"[[:digit:]]", "7", true, true},
        {"{a,b}.c", "b.c", true, true},
        {"{a,b}.c", "c.c", false, false},
        {"{a,b{c,d/e}}.{h,c}", "bd/e.c", true, true},
        {"x{,.bak}", "x", true, true},
        {"x{,.bak}", "x.bak", true, true},
        {"\\{a,b\\}", "{a,b}", true, true},
        {"\\*", "*", true, true},
        {"\\*", "a", false, false},
        {"{a", "{a", true, true},
        {"!main", "dev", true, true},
        {"!main", "main", false, false},
        {"** !doc", "doc", false, false},
        {"** !doc", "doc/a", true, false},
        {"** !doc doc/keep", "doc/keep", true, true},
        {"!a a", "a", true, true},
        {"./a//b/./c", "a/b/c", true, true},
        {".", "anything/at/all", true, true},
        {"dir/", "dir", false, false},
        {"dir/", "dir/x", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        for (int mode = GLOB_EXACT; mode <= GLOB_TREE; mode++) {
            struct err err = ERR_INIT;
            CLEANUP_GLOB struct glob *glob = parse(cases[i].patterns, mode, &err);
            bool expected = mode == GLOB_EXACT ? cases[i].exact : cases[i].tree;

            if (!glob)
                fail_msg("%s: %s", cases[i].patterns, err.message);
            if (glob_match(glob, cases[i].path) != expected)
                fail_msg("\"%s\" %s match \"%s\" in mode %d", cases[i].patterns,
                         expected ? "does not" : "does", cases[i].path, mode);
        }
    }
}

static void refused(const char *pattern, enum err_code code, const char *message)
{
    struct err err = ERR_INIT;

    assert_null(parse(pattern, GLOB_TREE, &err));
    assert_string_equal(err.message, message);
    assert_int_equal(err.code, code);
}

static void test_refused(void **state)
{
    CLEANUP_BUF struct buf many = BUF_INIT;
    CLEANUP_BUF struct buf deep = BUF_INIT;

    (void)state;
    refused("/etc/passwd", ERR_INVALID, "the pattern \"/etc/passwd\" must be relative");
    refused("a/../../b", ERR_INVALID, "the pattern \"a/../../b\" must not leave the directory");
    refused("!..", ERR_INVALID, "the pattern \"..\" must not leave the directory");
    refused("{.,.}./x", ERR_INVALID, "the pattern \"../x\" must not leave the directory");
    refused("!", ERR_INVALID, "a pattern is empty");
    for (int i = 0; i < 11; i++)
        buf_addstr(&many, "{a,b}");
    refused(many.data, ERR_LIMIT, "the patterns have more than 1024 alternatives");
    for (int i = 0; i < 61; i++)
        buf_addstr(&deep, "a/");
    refused(deep.data, ERR_LIMIT, "a pattern has at most 60 parts");
}

/* A pattern that would be tried in as many ways as there are subsets ends soon. */
static void test_many_stars(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_GLOB struct glob *glob = parse("*a*a*a*a*a*a*a*a*a*a*a*a*b", GLOB_EXACT, &err);
    CLEANUP_GLOB struct glob *parts =
        parse("**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/b", GLOB_EXACT, &err);
    CLEANUP_BUF struct buf name = BUF_INIT;
    CLEANUP_BUF struct buf path = BUF_INIT;

    (void)state;
    for (int i = 0; i < 250; i++) {
        buf_addch(&name, 'a');
        buf_addstr(&path, "a/");
    }
    assert_false(glob_match(glob, name.data));
    buf_addch(&path, 'c');
    assert_false(glob_match(parts, path.data));
}

static void make(const char *name)
{
    CLEANUP_FREE char *path = fs_join(scratch, name);
    char *slash = strrchr(path, '/');

    *slash = '\0';
    assert_int_equal(0, fs_mkdir_p(path, 0755, NULL));
    *slash = '/';
    if (slash[1])
        assert_int_equal(0, fs_write_file(path, "x", 1, 0644, NULL));
}

static void link_to(const char *target, const char *name)
{
    CLEANUP_FREE char *path = fs_join(scratch, name);

    assert_int_equal(0, symlink(target, path));
}

static void found_is(const char *patterns, const char *expected)
{
    CLEANUP_GLOB_FOUND struct glob_found found = {0};
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct err err = ERR_INIT;
    CLEANUP_GLOB struct glob *glob = parse(patterns, GLOB_TREE, &err);
    bool any = false;
    struct ctx ctx;

    assert_non_null(glob);
    ctx_init_cleanup(&ctx, 120000);
    if (glob_find(&ctx, scratch, glob, &found, &err) < 0 ||
        glob_exists(&ctx, scratch, glob, &any, &err) < 0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < found.len; i++)
        buf_addf(&text, "%s%s%s", i ? " " : "", found.items[i].path,
                 found.items[i].type == DT_DIR   ? "/"
                 : found.items[i].type == DT_LNK ? "@"
                                                 : "");
    assert_string_equal(text.data, expected);
    assert_int_equal(any, found.len > 0);
    ctx_release(&ctx);
}

static void test_find(void **state)
{
    (void)state;
    make("go.sum");
    make("go.mod");
    make(".hidden/file");
    make("src/a.c");
    make("src/deep/b.c");
    make("src/deep/b.h");
    make("src.c");
    make("empty/");
    found_is("go.sum", "go.sum");
    found_is("go.*", "go.mod go.sum");
    found_is("**/*.c", "src.c src/a.c src/deep/b.c");
    found_is("src*", "src/ src.c src/a.c src/deep/ src/deep/b.c src/deep/b.h");
    found_is("src !**/*.h !src/deep/", "src/ src/a.c");
    found_is("src !src/deep src/deep/b.h", "src/ src/a.c src/deep/b.h");
    found_is("src*/", "src/ src/a.c src/deep/ src/deep/b.c src/deep/b.h");
    found_is("*/file", ".hidden/file");
    found_is("empty", "empty/");
    found_is("empty/**", "");
    found_is("nothing/here", "");
    found_is("*/{a,b}.c", "src/a.c");
}

static void test_links(void **state)
{
    (void)state;
    make("dir/file");
    link_to("..", "dir/loop");
    link_to("/etc", "outside");
    link_to("nowhere", "dangling");
    found_is("**", "dangling@ dir/ dir/file dir/loop@ outside@");
    found_is("outside/*", "");
    found_is("dir/loop/dir/file", "");
}

static void test_root(void **state)
{
    CLEANUP_GLOB_FOUND struct glob_found found = {0};
    CLEANUP_GLOB struct glob *glob = parse("**", GLOB_TREE, NULL);
    CLEANUP_FREE char *missing = fs_join(scratch, "missing");
    CLEANUP_FREE char *link = fs_join(scratch, "link");
    struct err err = ERR_INIT;
    struct ctx ctx;

    (void)state;
    make("dir/file");
    link_to("dir", "link");
    ctx_init_cleanup(&ctx, 120000);
    assert_int_equal(0, glob_find(&ctx, missing, glob, &found, &err));
    assert_int_equal(0, found.len);
    assert_int_equal(0, glob_find(&ctx, link, glob, &found, &err));
    assert_int_equal(1, found.len);
    assert_string_equal(found.items[0].path, "file");
    ctx_release(&ctx);
    ctx_init_cleanup(&ctx, 1);
    while (!ctx_done(&ctx))
        ;
    assert_int_equal(-1, glob_find(&ctx, link, glob, &found, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    ctx_release(&ctx);
}

static void test_starts(void **state)
{
    static const struct {
        const char *patterns, *starts;
    } cases[] = {
        {"dist/app", "dist/app "},
        {"dist/*.o", "dist "},
        {"dist/** !dist/tmp", "dist "},
        {"./a//b/ a", "a "},
        {"a a/b ab", "a ab "},
        {"a/b a/c/d* a", "a "},
        {"{a,b/c}/*", "a b/c "},
        {"a/**/b", "a "},
        {"**/x a", " "},
        {"a *", " "},
        {".", " "},
        {"!a", " "},
        {"a/b\\*/c?", "a/b* "},
        {"a/[b]/c", "a "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_GLOB struct glob *glob = parse(cases[i].patterns, GLOB_TREE, NULL);
        CLEANUP_STRVEC struct strvec starts = {0};
        CLEANUP_BUF struct buf text = BUF_INIT;

        glob_starts(glob, &starts);
        for (size_t j = 0; j < starts.len; j++)
            buf_addf(&text, "%s ", starts.items[j]);
        assert_string_equal(text.data, cases[i].starts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_many_stars),
        cmocka_unit_test(test_starts),
        cmocka_unit_test_setup_teardown(test_find, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_root, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
