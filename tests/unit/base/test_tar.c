/* What tar.h writes, read back by tar(1). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/process.h"
#include "base/tar.h"

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

static void shell(const char *script, struct buf *output)
{
    const char *argv[] = {"/bin/sh", "-ec", script, NULL};
    const char *envp[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct err err = ERR_INIT;
    int status = -1;
    struct ctx ctx;

    options.argv = argv;
    options.envp = envp;
    options.cwd = scratch;
    ctx_init_cleanup(&ctx, 120000);
    if (process_run(&ctx, &options, NULL, output, 1 << 20, NULL, &status, &err) < 0)
        fail_msg("%s", err.message);
    ctx_release(&ctx);
    assert_int_equal(status, 0);
}

static void write_archive(const struct buf *archive)
{
    CLEANUP_FREE char *path = fs_join(scratch, "a.tar");

    assert_int_equal(0, fs_write_file(path, archive->data, archive->len, 0644, NULL));
}

/* In pieces of `piece` bytes. */
static void archive_opened(struct tar_tree *tree, size_t piece)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;
    ssize_t n;

    do {
        buf_reserve(&archive, piece);
        n = tar_tree_read(tree, archive.data + archive.len, piece, &err);
        assert_true(n >= 0);
        archive.len += (size_t)n;
    } while (n > 0);
    tar_tree_close(tree);
    assert_int_equal(archive.len % 512, 0);
    write_archive(&archive);
}

static void archive_tree(const char *name, size_t piece)
{
    CLEANUP_FREE char *path = fs_join(scratch, name);
    struct tar_tree *tree;
    struct err err = ERR_INIT;

    assert_int_equal(0, tar_tree_open(path, &tree, &err));
    archive_opened(tree, piece);
}

static void writes_from_memory(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    tar_add_directory(&archive, "d", 0750);
    tar_add_file(&archive, "d/f", 0755, "content\n", 8);
    tar_add_file(&archive, "empty", 0644, "", 0);
    tar_add_file_owned(&archive, "owned", 0400, 5, 6, "", 0);
    tar_add_end(&archive);
    write_archive(&archive);
    shell("tar -tvf a.tar --numeric-owner | tr -s ' '; tar -xOf a.tar d/f", &output);
    assert_string_equal(output.data, "drwxr-x--- 0/0 0 1970-01-01 00:00 d\n"
                                     "-rwxr-xr-x 0/0 8 1970-01-01 00:00 d/f\n"
                                     "-rw-r--r-- 0/0 0 1970-01-01 00:00 empty\n"
                                     "-r-------- 5/6 0 1970-01-01 00:00 owned\n"
                                     "content\n");
}

static void copies_a_tree(void **state)
{
    static const size_t pieces[] = {1, 511, 65536};

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        CLEANUP_BUF struct buf output = BUF_INIT;

        shell("rm -rf t u; mkdir -p t/sub/empty t/'with space' u; echo one > t/one\n"
              "head -c 1537 /dev/urandom > t/sub/data; chmod 4711 t/sub/data; : > t/none\n"
              "ln -s one t/link; ln -s /no/where t/dangling; ln t/one t/hard; mkfifo t/pipe\n"
              "chmod 700 t/sub; touch -d '2001-02-03 04:05:06' t/one t/sub",
              &output);
        archive_tree("t", pieces[i]);
        shell("tar -C u -xf a.tar; rm t/pipe; diff -r --no-dereference t u\n"
              "list() { (cd $1; find . -mindepth 1 -printf '%y %m %p %l\\n' | sort;\n"
              "stat -c '%n %Y %s' one sub/data); stat -c %Y $1/sub; }\n"
              "list t > l1; list u > l2; diff l1 l2",
              &output);
        assert_string_equal(output.data, "");
    }
}

static void follows_a_link_to_the_tree_only(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    shell("rm -rf t u; mkdir -p t/sub u; echo one > t/sub/one; ln -s sub t/link; ln -sfn t way",
          &output);
    archive_tree("way", 4096);
    shell("tar -C u -xf a.tar; diff -r --no-dereference t u; cat u/link/one", &output);
    assert_string_equal(output.data, "one\n");
}

static void copies_single_paths(void **state)
{
    static const char *const paths[] = {"one", "sub/in", "link", "gone", NULL};
    CLEANUP_FREE char *path = fs_join(scratch, "t");
    CLEANUP_BUF struct buf output = BUF_INIT;
    struct tar_tree *tree;
    struct err err = ERR_INIT;

    (void)state;
    shell("rm -rf t; mkdir -p t/sub/in; echo one >t/one; echo no >t/sub/no; echo yes >t/sub/in/yes;"
          "ln -s sub t/link",
          &output);
    assert_int_equal(0, tar_tree_open_paths(path, paths, &tree, &err));
    archive_opened(tree, 4096);
    shell("tar -tf a.tar | sort", &output);
    assert_string_equal(output.data, "link\none\nsub/in/\nsub/in/yes\n");
}

static void keeps_long_names(void **state)
{
    CLEANUP_BUF struct buf output = BUF_INIT;

    (void)state;
    shell("a=$(printf 'a%.0s' $(seq 200)); mkdir -p t/$a/$a u; echo x > t/$a/$a/f\n"
          "ln -s $a/$a/f t/link",
          &output);
    archive_tree("t", 4096);
    shell("tar -C u -xf a.tar; diff -r --no-dereference t u; cat u/link", &output);
    assert_string_equal(output.data, "x\n");
}

static void says_what_cannot_be_read(void **state)
{
    struct tar_tree *tree;
    struct err err = ERR_INIT;
    char data[512];

    (void)state;
    assert_int_equal(0, tar_tree_open("/no/such/tree", &tree, &err));
    assert_int_equal(-1, tar_tree_read(tree, data, sizeof(data), &err));
    assert_string_equal(err.message, "cannot read /no/such/tree: No such file or directory");
    tar_tree_close(tree);
}

/* What the C library leaves then, a sanitizer sees. */
static void is_closed_unread(void **state)
{
    struct tar_tree *tree;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(0, tar_tree_open(scratch, &tree, &err));
    tar_tree_close(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_from_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_a_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follows_a_link_to_the_tree_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copies_single_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_long_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_what_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_closed_unread, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
