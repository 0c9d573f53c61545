/* What is packed comes back as it was, and no archive writes outside of the directory. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/libarchive.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/fs.h"

static char scratch[64];
static char from[96];
static char to[96];
static struct ctx ctx;

static int set_up(void **state)
{
    (void)state;
    snprintf(scratch, sizeof(scratch), "/tmp/runner-test-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    snprintf(from, sizeof(from), "%s/from", scratch);
    snprintf(to, sizeof(to), "%s/to", scratch);
    assert_int_equal(0, mkdir(from, 0755) | mkdir(to, 0755));
    ctx_init_cleanup(&ctx, 60000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ctx_release(&ctx);
    return fs_remove_tree(scratch, NULL);
}

static void make(const char *root, const char *name, const char *content, mode_t mode)
{
    CLEANUP_FREE char *path = fs_join(root, name);

    assert_int_equal(0, fs_write_file(path, content, strlen(content), mode, NULL));
}

static int append(void *arg, const void *data, size_t len, struct err *err)
{
    (void)err;
    buf_add(arg, data, len);
    return 0;
}

static int refuse(void *arg, const void *data, size_t len, struct err *err)
{
    (void)arg;
    (void)data;
    (void)len;
    return err_set(err, ERR_LIMIT, "no more");
}

static struct glob *everything(void)
{
    const char *all = "**";
    struct glob *glob = NULL;

    assert_int_equal(0, glob_parse(&all, 1, GLOB_TREE, &glob, NULL));
    return glob;
}

static void pack(struct buf *out, struct archive_stats *stats)
{
    CLEANUP_GLOB struct glob *glob = everything();
    struct err err = ERR_INIT;

    if (archive_pack(&ctx, from, glob, append, out, stats, &err) < 0)
        fail_msg("%s", err.message);
}

static int unpack(const struct buf *archive, struct archive_stats *stats, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(scratch, "archive");
    CLEANUP_FD int fd = -1;

    assert_int_equal(0, fs_write_file(path, archive->data, archive->len, 0644, NULL));
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    return archive_unpack(&ctx, fd, to, stats, err);
}

static void shell(const char *script)
{
    CLEANUP_FREE char *line = xasprintf("cd %s && %s", scratch, script);
    const char *argv[] = {"/bin/sh", "-ec", line, NULL};
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        execv(argv[0], (char *const *)argv);
        _exit(127);
    }
    {
        int status = -1;

        waitpid(pid, &status, 0);
        if (status)
            fail_msg("%s: %d", script, status);
    }
}

/* Of what was made, in the order of the archive. */
static void test_names(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_STRVEC struct strvec names = {0};
    CLEANUP_FREE char *path = fs_join(scratch, "archive");
    CLEANUP_FD int fd = -1;

    (void)state;
    shell("mkdir -p from/dir/empty && echo x >from/dir/file && ln from/dir/file from/hard && "
          "ln -s dir from/link && mkdir to/dir && echo y >to/dir/other");
    pack(&archive, NULL);
    assert_int_equal(0, fs_write_file(path, archive.data, archive.len, 0644, NULL));
    fd = open(path, O_RDONLY);
    assert_int_equal(0, archive_unpack_names(&ctx, fd, to, &names, NULL, NULL));
    for (size_t i = 0; i < names.len; i++)
        buf_addf(&text, "%s ", names.items[i]);
    assert_string_equal(text.data, "dir/ dir/empty/ dir/file hard link ");
}

static void test_round(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct archive_stats packed = {0};
    struct archive_stats unpacked = {0};
    struct err err = ERR_INIT;

    (void)state;
    shell(
        "cd from && mkdir -p dir/empty locked && echo hello >dir/file && ln dir/file dir/zweiter &&"
        "ln -s ../nowhere dir/link && mkfifo pipe && printf '' >nothing &&"
        "printf 'x%.0s' $(seq 1 100000) >long && echo x >'n\303\244me' && echo y >\"$(printf "
        "'b\\377d')\" &&"
        "mkdir -p \"$(printf 'deep%.0s/' $(seq 1 60))\" && echo z >\"$(printf 'deep%.0s/' $(seq 1 "
        "60))f\" &&"
        "echo s >suid && chmod 4751 suid && chmod 640 dir/file && echo in >locked/in && chmod 555 "
        "locked &&"
        "touch -d '2001-02-03 04:05:06.123456789' long locked dir/empty && touch -hd 2002-01-01 "
        "dir/link");
    pack(&archive, &packed);
    if (unpack(&archive, &unpacked, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(packed.entries, unpacked.entries);
    assert_int_equal(packed.bytes, unpacked.bytes);
    shell("rm from/pipe; touch -r to from; diff -r --no-dereference from to");
    shell("for d in from to; do (cd $d && find . -mindepth 1 -printf '%P %y %m %T@ %n %l %U\\n' | "
          "sort >../$d.list); done;"
          "diff from.list to.list");
    /* Again, over what is there. */
    if (unpack(&archive, &unpacked, &err) < 0)
        fail_msg("%s", err.message);
    shell("(cd to && find . -mindepth 1 -printf '%P %y %m %T@ %n %l %U\\n' | sort >../to.list); "
          "diff from.list to.list;"
          "chmod 755 from/locked to/locked");
}

/* Holes stay holes, wherever they are, and take no room in the archive. */
static void test_sparse(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct archive_stats packed = {0};
    struct archive_stats unpacked = {0};
    struct err err = ERR_INIT;

    (void)state;
    shell("cd from && truncate -s 40M hole && truncate -s 40M end && echo x | dd of=end bs=1 "
          "conv=notrunc status=none && echo y >\"$(printf 'b\\377gin')\" && for i in 1 2 3 4 5; do "
          "echo $i | dd of=\"$(printf 'b\\377gin')\" bs=1M seek=$((i * 8)) conv=notrunc "
          "status=none; done; printf z | dd of=last bs=1 seek=39999999 status=none");
    pack(&archive, &packed);
    assert_true(archive.len < 10000);
    if (unpack(&archive, &unpacked, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(packed.bytes, unpacked.bytes);
    shell("for f in from/*; do cmp \"$f\" \"to/${f#from/}\"; done; ls from >a; ls to >b; cmp a b;"
          "[ $(du -sk to | cut -f1) -lt 2000 ]");
}

static void test_empty(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct archive_stats stats = {.entries = 7};
    struct err err = ERR_INIT;

    (void)state;
    pack(&archive, &stats);
    assert_int_equal(stats.entries, 0);
    assert_true(archive.len > 0);
    assert_int_equal(0, unpack(&archive, &stats, &err));
}

/* --- evil archives --- */

struct member {
    const char *name;
    mode_t type;
    const char *target;   /* of a symbolic link */
    const char *hardlink; /* of a hard link */
};

static ssize_t collect(struct archive *archive, void *arg, const void *data, size_t len)
{
    (void)archive;
    buf_add(arg, data, len);
    return (ssize_t)len;
}

static void forge(const struct member *members, struct buf *out)
{
    const struct libarchive *lib = libarchive_load(NULL);
    struct archive *archive;

    assert_non_null(lib);
    archive = lib->write_new();
    assert_int_equal(ARCHIVE_OK, lib->write_set_format_pax(archive));
    assert_int_equal(ARCHIVE_OK, lib->write_add_filter_zstd(archive));
    lib->write_set_bytes_in_last_block(archive, 1);
    assert_int_equal(ARCHIVE_OK, lib->write_open(archive, out, NULL, collect, NULL));
    for (; members->name; members++) {
        struct archive_entry *entry = lib->entry_new();

        lib->entry_set_pathname(entry, members->name);
        lib->entry_set_mode(entry, members->type | 0755);
        lib->entry_set_uid(entry, geteuid());
        lib->entry_set_gid(entry, getegid());
        if (members->target)
            lib->entry_set_symlink(entry, members->target);
        if (members->hardlink)
            lib->entry_set_hardlink(entry, members->hardlink);
        lib->entry_set_size(entry, members->type == S_IFREG && !members->hardlink ? 4 : 0);
        assert_true(lib->write_header(archive, entry) >= ARCHIVE_WARN);
        if (members->type == S_IFREG && !members->hardlink)
            assert_int_equal(4, lib->write_data(archive, "evil", 4));
        lib->entry_free(entry);
    }
    assert_int_equal(ARCHIVE_OK, lib->write_close(archive));
    lib->write_free(archive);
}

static void test_evil(void **state)
{
    static const struct {
        struct member members[5];
        enum err_code code;
        const char *message;
    } cases[] = {
        {{{"/tmp/runner-evil", S_IFREG, NULL, NULL}},
         ERR_DENIED,
         "the archive has an absolute name: /tmp/runner-evil"},
        {{{"../victim", S_IFREG, NULL, NULL}},
         ERR_DENIED,
         "the archive has a name that leads out of it: ../victim"},
        {{{"a/b/../../../victim", S_IFREG, NULL, NULL}},
         ERR_DENIED,
         "the archive has a name that leads out of it: a/b/../../../victim"},
        {{{"out", S_IFLNK, "..", NULL}, {"out/victim", S_IFREG, NULL, NULL}},
         ERR_CONFLICT,
         "cannot unpack out/victim: \"out\" on the way to it is a link or a file"},
        {{{"out", S_IFLNK, "..", NULL}, {"out", S_IFDIR, NULL, NULL}},
         ERR_CONFLICT,
         "cannot unpack out: \"out\" on the way to it is a link or a file"},
        {{{"a", S_IFDIR, NULL, NULL},
          {"a/up", S_IFLNK, "../..", NULL},
          {"a/up/victim", S_IFDIR, NULL, NULL}},
         ERR_CONFLICT,
         "cannot unpack a/up/victim: \"up\" on the way to it is a link or a file"},
        {{{"hard", S_IFREG, NULL, "../secret"}},
         ERR_DENIED,
         "the archive has a name that leads out of it: ../secret"},
        {{{"hard", S_IFREG, NULL, "/etc/passwd"}},
         ERR_DENIED,
         "the archive has an absolute name: /etc/passwd"},
        {{{"out", S_IFLNK, "..", NULL}, {"hard", S_IFREG, NULL, "out/secret"}},
         ERR_CONFLICT,
         "cannot unpack out/secret: \"out\" on the way to it is a link or a file"},
        {{{"out", S_IFLNK, "../secret", NULL}, {"hard", S_IFREG, NULL, "out"}},
         ERR_PROTOCOL,
         "the archive is damaged: hard is a link to out, which is no file"},
        {{{"self", S_IFREG, NULL, "./self"}},
         ERR_PROTOCOL,
         "the archive is damaged: self links to itself"},
        {{{"there", S_IFREG, NULL, NULL}},
         ERR_CONFLICT,
         "cannot unpack there: a directory is in its place"},
    };

    (void)state;
    make(scratch, "secret", "secret", 0600);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf archive = BUF_INIT;
        struct err err = ERR_INIT;

        shell("rm -rf to && mkdir -p to/there");
        forge(cases[i].members, &archive);
        assert_int_equal(-1, unpack(&archive, NULL, &err));
        assert_string_equal(err.message, cases[i].message);
        assert_int_equal(err.code, cases[i].code);
        shell("[ \"$(ls)\" = \"$(printf 'archive\\nfrom\\nsecret\\nto')\" ] && [ \"$(cat secret)\" "
              "= secret ]"
              " && [ ! -e /tmp/runner-evil ]");
    }
}

/* A link where the archive has a file is replaced, not written through. */
static void test_link_in_the_way(void **state)
{
    static const struct member members[] = {{"file", S_IFREG, NULL, NULL},
                                            {"./x//y", S_IFREG, NULL, NULL},
                                            {0}};
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    shell("echo secret >secret && ln -s ../secret to/file");
    forge(members, &archive);
    if (unpack(&archive, NULL, &err) < 0)
        fail_msg("%s", err.message);
    shell("[ \"$(cat secret)\" = secret ] && [ \"$(cat to/file)\" = evil ] && [ -f to/x/y ]");
}

static void test_damaged(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    shell("head -c 3000000 /dev/urandom >from/random");
    pack(&archive, NULL);
    buf_truncate(&archive, archive.len / 2);
    assert_int_equal(-1, unpack(&archive, NULL, &err));
    assert_int_equal(err.code, ERR_PROTOCOL);
    shell("[ -z \"$(ls to)\" ]"); /* no half of a file */
    buf_reset(&archive);
    buf_addstr(&archive, "this is no archive at all");
    assert_int_equal(-1, unpack(&archive, NULL, &err));
    assert_string_equal(err.message, "the archive is damaged: Unrecognized archive format");
}

/* Puts a link out of the directory in the place of "from/d", as soon as the first bytes come. */
static int swap(void *arg, const void *data, size_t len, struct err *err)
{
    struct buf *archive = arg;

    if (!archive->len)
        shell("mv from/d from/old && ln -s ../outside from/d");
    return append(arg, data, len, err);
}

/* Others may work in the directory while it is packed; what is outside of it stays there. */
static void test_link_while_packing(void **state)
{
    CLEANUP_GLOB struct glob *glob = everything();
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    shell("mkdir from/d from/d/e outside outside/e && head -c 60000000 /dev/urandom >from/a &&"
          "echo mine >from/d/secret && echo mine >from/d/e/secret && ln -s mine from/d/link &&"
          "echo other >outside/secret && echo other >outside/e/secret && ln -s other outside/link");
    assert_int_equal(0, archive_pack(&ctx, from, glob, swap, &archive, NULL, &err));
    shell("[ -h from/d ]");
    if (unpack(&archive, NULL, &err) < 0)
        fail_msg("%s", err.message);
    shell("rm -f to/d && ! grep -rq other to && [ ! -e to/d ]");
}

static void test_stops(void **state)
{
    CLEANUP_GLOB struct glob *glob = everything();
    CLEANUP_BUF struct buf archive = BUF_INIT;
    struct err err = ERR_INIT;
    struct ctx own;

    (void)state;
    shell("head -c 3000000 /dev/urandom >from/random");
    assert_int_equal(-1, archive_pack(&ctx, from, glob, refuse, NULL, NULL, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    assert_string_equal(err.message, "no more");
    pack(&archive, NULL);
    ctx_init_cleanup(&own, 1);
    while (!ctx_done(&own))
        ;
    assert_int_equal(-1, archive_pack(&own, from, glob, append, &archive, NULL, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_int_equal(-1, archive_unpack(&own, -1, to, NULL, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    ctx_release(&own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sparse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evil, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link_in_the_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link_while_packing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
