/* `helper pack` and `helper unpack`, against each other, the runner's archives and tar(1). */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "archive/archive.h"
#include "archive/decompress.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "fixture/program.h"
#include "helper/helper.h"

#include "helper/static/tar.h"

enum { ALL = 64 << 20 };

static char scratch[32];
static char program[32];
static char from[64], to[64];
static const char *emulator;
static struct ctx ctx;

static int set_up_as(const char *architecture)
{
    snprintf(scratch, sizeof(scratch), "/tmp/test-tar-XXXXXX");
    snprintf(program, sizeof(program), "/tmp/test-tar-XXXXXX");
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(scratch));
    snprintf(from, sizeof(from), "%s/from", scratch);
    snprintf(to, sizeof(to), "%s/to", scratch);
    assert_int_equal(0, mkdir(from, 0755) | mkdir(to, 0755));
    ctx_init_cleanup(&ctx, 60000);
    emulator = program_emulator(architecture);
    return program_write(program, architecture);
}

static int set_up(void **state)
{
    (void)state;
    return set_up_as(helper_architecture());
}

static int tear_down(void **state)
{
    (void)state;
    ctx_release(&ctx);
    return unlink(program) | fs_remove_tree(scratch, NULL);
}

/* --- processes --- */

static int exit_code(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Feeds it `in`, whose end it does not see, and reads `out`; either can be NULL. What it says on
 * standard error goes to `said`. */
static int run_on(const char *command, const char *directory, const char *path,
                  const struct buf *in, struct buf *out, struct buf *said)
{
    CLEANUP_FREE char *log = xasprintf("%s.log", program);
    char *const own[] = {program, (char *)command, (char *)directory, (char *)path, NULL};
    char *const emulated[] = {"qemu",       program, (char *)command, (char *)directory,
                              (char *)path, NULL};
    int input[2], output[2];
    pid_t pid, feeder;
    int code;

    assert_int_equal(pipe2(input, O_CLOEXEC) | pipe2(output, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        dup2(input[0], 0);
        dup2(output[1], 1);
        dup2(open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
        execve(emulator ? emulator : program, emulator ? emulated : own, NULL);
        _exit(99);
    }
    close(input[0]);
    close(output[1]);
    feeder = fork();
    if (feeder == 0) {
        close(output[0]);
        if (in)
            (void)!fs_write_all(input[1], in->data, in->len, NULL);
        _exit(0);
    }
    if (out)
        assert_int_equal(fs_read_fd(output[0], "archive", ALL, out, NULL), 0);
    code = exit_code(pid);
    assert_int_equal(exit_code(feeder), 0);
    close(input[1]);
    close(output[0]);
    if (said)
        assert_int_equal(fs_read_file(log, 4096, said, NULL), 0);
    unlink(log);
    return code;
}

static int run(const char *command, const char *directory, const struct buf *in, struct buf *out,
               struct buf *said)
{
    return run_on(command, directory, NULL, in, out, said);
}

/* The input ends behind what is given. */
static int run_to_the_end(const char *directory, const struct buf *in, struct buf *said)
{
    CLEANUP_FREE char *log = xasprintf("%s.log", program);
    CLEANUP_FREE char *path = xasprintf("%s.in", program);
    pid_t pid;
    int code;

    assert_int_equal(fs_write_file(path, in->data, in->len, 0600, NULL), 0);
    pid = fork();
    if (pid == 0) {
        dup2(open(path, O_RDONLY), 0);
        dup2(open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
        execve(program, (char *[]){program, "unpack", (char *)directory, NULL}, NULL);
        _exit(99);
    }
    code = exit_code(pid);
    buf_reset(said);
    assert_int_equal(fs_read_file(log, 4096, said, NULL), 0);
    unlink(log);
    unlink(path);
    return code;
}

static void shell(struct buf *out, const char *directory, const char *script)
{
    int output[2];
    pid_t pid;

    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    pid = fork();
    if (pid == 0) {
        dup2(output[1], 1);
        if (chdir(directory) == 0)
            execl("/bin/sh", "sh", "-ec", script, NULL);
        _exit(99);
    }
    close(output[1]);
    assert_int_equal(fs_read_fd(output[0], "output", ALL, out, NULL), 0);
    close(output[0]);
    assert_int_equal(exit_code(pid), 0);
}

/* All that there is to know of a tree. */
static void describe(const char *root, struct buf *out)
{
    shell(out, root,
          "export LC_ALL=C\n"
          "find . -mindepth 1 -type d -printf '%P|%y|%m|%T@|%U:%G\\n' | sort\n"
          "find . -mindepth 1 ! -type d -printf '%P|%y|%m|%T@|%U:%G|%l|%n|%s\\n' | sort\n"
          "find . -type f -print0 | sort -z | xargs -0 -r cksum");
}

static void assert_same_trees(void)
{
    CLEANUP_BUF struct buf a = BUF_INIT;
    CLEANUP_BUF struct buf b = BUF_INIT;

    describe(from, &a);
    describe(to, &b);
    assert_true(a.len > 0);
    assert_string_equal(a.data, b.data);
}

static void clear(const char *root)
{
    assert_int_equal(fs_remove_tree(root, NULL), 0);
    assert_int_equal(mkdir(root, 0755), 0);
}

static void make_tree(void)
{
    CLEANUP_BUF struct buf nothing = BUF_INIT;

    clear(from);
    shell(
        &nothing, from,
        "umask 022\n"
        "mkdir -p plain empty 'a b'/c; : >plain/empty; echo text >plain/text\n"
        "printf '#!/bin/sh\\n' >plain/script; chmod 755 plain/script\n"
        "echo secret >plain/secret; chmod 600 plain/secret\n"
        "echo own >plain/setuid; chmod 4711 plain/setuid\n"
        "seq 1 300000 >'a b/c/large'\n"
        "long=$(printf %0100d 1); mkdir -p $long/$long/$long; echo deep >$long/$long/$long/$long\n"
        "echo 100 >$(printf %0100d 2); echo 101 >$(printf %0101d 3)\n"
        "echo bytes >\"$(printf 'a\\377\\303\\244')\"; ln -s \"$(printf '\\377')\" bytes\n"
        "echo long >\"$(printf 'l\\377')$(printf %0150d 4)\"\n"
        "ln -s plain/text link; ln -s ../../nowhere dangling; ln -s $long$long far\n"
        "ln plain/text hard; ln plain/text empty/hard; ln $long/$long/$long/$long deep\n"
        "i=980; while [ $i -lt 1000 ]; do ln -s $(printf %0${i}d 5) link$i; i=$((i + 1)); done\n"
        "mkfifo plain/fifo\n"
        "touch -d '2001-02-03 04:05:06.123456789' plain/text; touch -d '1960-01-01 00:00:00' "
        "plain/empty; touch -d '1999-01-01' plain/script; touch -h -d '2005-05-05 05:05:05' link\n"
        "chmod 750 'a b'; touch -d '2010-01-01 01:01:01.5' 'a b'; chmod 555 empty\n"
        "rm plain/fifo");
}

static void pack(struct buf *out)
{
    CLEANUP_BUF struct buf said = BUF_INIT;

    assert_int_equal(run("pack", from, NULL, out, &said), 0);
    assert_string_equal(said.data, "");
    assert_true(out->len > sizeof(HELPER_DONE) - 1);
    assert_string_equal(out->data + out->len - (sizeof(HELPER_DONE) - 1), HELPER_DONE);
}

static void unpack(const struct buf *archive)
{
    CLEANUP_BUF struct buf said = BUF_INIT;
    CLEANUP_BUF struct buf output = BUF_INIT;
    int code = run("unpack", to, archive, &output, &said);

    assert_string_equal(said.data, "");
    assert_string_equal(output.data, HELPER_DONE);
    assert_int_equal(code, 0);
}

/* --- round trips --- */

static void what_it_packs_it_unpacks(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;

    (void)state;
    make_tree();
    clear(to);
    pack(&archive);
    unpack(&archive);
    assert_same_trees();
    /* What is there is replaced. */
    unpack(&archive);
    assert_same_trees();
}

static int temporary(void)
{
    char path[] = "/tmp/test-tar-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void the_runner_unpacks_it(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_FD int fd = temporary();
    struct err err = ERR_INIT;

    (void)state;
    make_tree();
    clear(to);
    pack(&archive);
    assert_int_equal(fs_write_all(fd, archive.data, archive.len, NULL), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    if (archive_unpack(&ctx, fd, to, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_same_trees();
}

static int to_fd(void *arg, const void *data, size_t len, struct err *err)
{
    return fs_write_all(*(int *)arg, data, len, err);
}

/* Without its compression. */
static void pack_by_runner(struct buf *out)
{
    const char *all = "**";
    CLEANUP_GLOB struct glob *glob = NULL;
    CLEANUP_FD int fd = temporary();
    struct err err = ERR_INIT;
    struct decompress *d;
    const void *data;
    ssize_t n;

    assert_int_equal(glob_parse(&all, 1, GLOB_TREE, &glob, NULL), 0);
    if (archive_pack(&ctx, from, glob, to_fd, &fd, NULL, &err) < 0)
        fail_msg("%s", err.message);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(decompress_start(&ctx, libarchive_load(NULL), fd, &d, NULL), 0);
    while ((n = decompress_read(d, &data, NULL)) > 0)
        buf_add(out, data, (size_t)n);
    assert_int_equal(n, 0);
    decompress_stop(d);
}

static void it_unpacks_what_the_runner_packs(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;

    (void)state;
    make_tree();
    clear(to);
    pack_by_runner(&archive);
    unpack(&archive);
    assert_same_trees();
}

static void holes_stay_holes(void **state)
{
    static const char *const tars[] = {NULL, "tar -cSf - --format=posix ."};
    CLEANUP_FREE char *path = fs_join(to, "sparse");
    CLEANUP_BUF struct buf nothing = BUF_INIT;
    struct stat st;

    (void)state;
    clear(from);
    shell(&nothing, from,
          "truncate -s 50M sparse; printf data | dd of=sparse bs=1 seek=20000000 conv=notrunc "
          "status=none; printf end | dd of=sparse bs=1 seek=40000000 conv=notrunc status=none; "
          "truncate -s 3M hole; echo after >z; touch -d '2020-02-02 02:02:02' . *");
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf archive = BUF_INIT;

        clear(to);
        if (tars[i])
            shell(&archive, from, tars[i]);
        else
            pack_by_runner(&archive);
        unpack(&archive);
        assert_same_trees();
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_blocks * 512 < 1 << 20);
    }
}

static void it_understands_tar_and_tar_it(void **state)
{
    static const char *const formats[] = {"tar -cf - --format=gnu .", "tar -cf - --format=posix .",
                                          "tar -cf - --format=posix -b 1 *"};

    CLEANUP_BUF struct buf packed = BUF_INIT;
    CLEANUP_BUF struct buf nothing = BUF_INIT;
    CLEANUP_FREE char *script = xasprintf("tar -xpf %s/packed -C %s", scratch, to);
    CLEANUP_FREE char *path = fs_join(scratch, "packed");

    (void)state;
    make_tree();
    /* GNU's own format has whole seconds. */
    shell(&nothing, from, "find . -exec touch -h -d '2002-02-02 02:02:02' {} +");
    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        CLEANUP_BUF struct buf archive = BUF_INIT;

        clear(to);
        shell(&archive, from, formats[i]);
        unpack(&archive);
        assert_same_trees();
    }
    clear(to);
    pack(&packed);
    assert_int_equal(fs_write_file(path, packed.data, packed.len, 0600, NULL), 0);
    shell(&nothing, scratch, script);
    assert_same_trees();
    unlink(path);
}

/* With names in two parts. */
static void it_understands_old_tar(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf nothing = BUF_INIT;

    (void)state;
    clear(from);
    clear(to);
    shell(&nothing, from,
          "d=$(printf %080d 1); mkdir -p $d/b; echo text >$d/b/$(printf %090d 2); ln -s b c; "
          "find . -exec touch -h -d '2002-02-02 02:02:02' {} +");
    shell(&archive, from, "tar -cf - --format=ustar .");
    unpack(&archive);
    assert_same_trees();
}

static void packs_into_a_new_directory(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_FREE char *inner = fs_join(to, "new/inner");
    CLEANUP_FREE char *path = fs_join(inner, "plain/secret");

    (void)state;
    make_tree();
    clear(to);
    pack(&archive);
    assert_int_equal(run("unpack", inner, &archive, NULL, NULL), 0);
    assert_true(fs_exists(path));
}

/* By its path, which no link is followed on; what is not there is not packed. */
static void packs_one_path(void **state)
{
    static const struct {
        const char *path, *found;
    } cases[] = {
        {"", ". ./a ./a/b ./a/b/f ./a/c ./link "},
        {"a/b", ". ./a ./a/b ./a/b/f "},
        {"a//b/", ". ./a ./a/b ./a/b/f "},
        {"a/b/f", ". ./a ./a/b ./a/b/f "},
        {"link", ". ./link "},
        {"link/b", ". "},
        {"a/c/f", ". "},
        {"none", ". "},
        {"none/f", ". "},
    };
    CLEANUP_BUF struct buf nothing = BUF_INIT;
    CLEANUP_BUF struct buf said = BUF_INIT;

    (void)state;
    clear(from);
    shell(&nothing, from, "mkdir -p a/b; echo x >a/b/f; echo x >a/c; ln -s a link");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        CLEANUP_BUF struct buf archive = BUF_INIT;
        CLEANUP_BUF struct buf found = BUF_INIT;

        clear(to);
        assert_int_equal(run_on("pack", from, cases[i].path, NULL, &archive, NULL), 0);
        unpack(&archive);
        shell(&found, to, "find . | LC_ALL=C sort | tr '\\n' ' '");
        assert_string_equal(found.data, cases[i].found);
    }
    assert_int_equal(run_on("pack", from, "a/../..", NULL, &nothing, &said), HELPER_EXIT_CANNOT);
    assert_non_null(strstr(said.data, "it leads out of the directory"));
}

/* --- what others could write --- */

static void add_block(struct buf *out, const char *name, char type, const char *link, size_t size)
{
    struct tar_header header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    char checksum[8];

    memcpy(header.name, name, strlen(name));
    memcpy(header.link, link, strlen(link));
    memcpy(header.mode, "0000644", 8);
    memcpy(header.uid, "0000000", 8);
    memcpy(header.gid, "0000000", 8);
    memcpy(header.mtime, "00000000000", 12);
    snprintf(header.size, sizeof(header.size), "%011o", (unsigned)size);
    snprintf(checksum, sizeof(checksum), "%06o", tar_checksum(&header));
    memcpy(header.checksum, checksum, 7);
    header.checksum[7] = ' ';
    buf_add(out, &header, sizeof(header));
}

static void add_entry(struct buf *out, const char *name, char type, const char *link,
                      const char *data)
{
    static const char zeros[TAR_BLOCK];

    add_block(out, name, type, link, strlen(data));
    buf_add(out, data, strlen(data));
    buf_add(out, zeros, -strlen(data) % TAR_BLOCK);
}

static void add_end(struct buf *out)
{
    static const char zeros[2 * TAR_BLOCK];

    buf_add(out, zeros, sizeof(zeros));
}

struct entry {
    const char *name;
    char type;
    const char *link;
    const char *data;
};

static void assert_refused(const struct entry *entries, size_t count, const char *message)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf said = BUF_INIT;
    CLEANUP_BUF struct buf outside = BUF_INIT;

    clear(to);
    for (size_t i = 0; i < count && entries[i].name; i++)
        add_entry(&archive, entries[i].name, entries[i].type, entries[i].link, entries[i].data);
    add_end(&archive);
    assert_int_equal(run_to_the_end(to, &archive, &said), HELPER_EXIT_CANNOT);
    assert_string_equal(said.data, message);
    shell(&outside, scratch, "ls; cat victim");
    assert_string_equal(outside.data, "from\nto\nvictim\nuntouched\n");
}

static void nothing_leads_out_of_the_directory(void **state)
{
    static const struct {
        struct entry entries[3];
        const char *message;
    } cases[] = {
        {{{"/tmp/x", '0', "", "a"}}, "runner: cannot unpack /tmp/x: the name is absolute\n"},
        {{{"../victim", '0', "", "a"}},
         "runner: cannot unpack ../victim: the name leads out of the directory\n"},
        {{{"a/../../victim", '0', "", "a"}},
         "runner: cannot unpack a/../../victim: the name leads out of the directory\n"},
        {{{"a/..", '5', "", ""}},
         "runner: cannot unpack a/..: the name leads out of the directory\n"},
        {{{"a", '2', "..", ""}, {"a/victim", '0', "", "a"}},
         "runner: cannot unpack a/victim: a link or a file is in the way\n"},
        {{{"a", '2', "..", ""}, {"a/b/victim", '0', "", "a"}},
         "runner: cannot unpack a/b/victim: a link or a file is in the way\n"},
        {{{"a", '2', "..", ""}, {"a/", '5', "", ""}},
         "runner: cannot unpack a: a link or a file is in the way\n"},
        {{{"a", '2', "../victim", ""}, {"b", '1', "a", ""}},
         "runner: cannot unpack b: it is a link to what is no file\n"},
        {{{"b", '1', "../victim", ""}},
         "runner: cannot unpack ../victim: the name leads out of the directory\n"},
        {{{"a", '2', "..", ""}, {"b", '1', "a/victim", ""}},
         "runner: cannot unpack a/victim: a link or a file is in the way\n"},
        {{{"pax", 'x', "", "18 path=../victim\n"}, {"a", '0', "", "a"}},
         "runner: cannot unpack ../victim: the name leads out of the directory\n"},
        {{{"pax", 'x', "", "20 linkpath=/victim\n"}, {"a", '1', "", ""}},
         "runner: cannot unpack /victim: the name is absolute\n"},
        {{{"name", 'L', "", "../victim"}, {"a", '0', "", "a"}},
         "runner: cannot unpack ../victim: the name leads out of the directory\n"},
        {{{"d", '5', "", ""}, {"d", '0', "", "a"}},
         "runner: cannot unpack d: a directory is in its place\n"},
        {{{"f", '0', "", "a"}, {"f/g", '0', "", "a"}},
         "runner: cannot unpack f/g: a link or a file is in the way\n"},
        {{{"f", '?', "", "a"}},
         "runner: cannot unpack f: it is of a kind that is not known here\n"},
    };
    CLEANUP_FREE char *victim = fs_join(scratch, "victim");

    (void)state;
    assert_int_equal(fs_write_file(victim, "untouched\n", 10, 0644, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_refused(cases[i].entries, 3, cases[i].message);
    unlink(victim);
}

/* A link that was there before is replaced, not followed. */
static void a_link_in_the_place_of_a_file_goes(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf got = BUF_INIT;
    CLEANUP_BUF struct buf nothing = BUF_INIT;

    (void)state;
    clear(to);
    clear(from);
    shell(&nothing, to, "echo untouched >../from/victim; ln -s ../from/victim a");
    add_entry(&archive, "a", '0', "", "mine\n");
    add_end(&archive);
    unpack(&archive);
    shell(&got, to, "cat ../from/victim a");
    assert_string_equal(got.data, "untouched\nmine\n");
}

static void refuses_what_is_damaged(void **state)
{
    static const char *const records[] = {
        "x",
        "9 path=a",
        "99 path=a\n",
        "8path=a\n",
        "10 size=x\n",
        "9 path=aX9 path=b\n",
        "9 patha\n",
        "11 mtime=x\n",
        "3 \n",
        "18446744073709551 path=a\n",
        "0 path=a\n",
        "\n",
        "12 size=9999999999999999999999\n",
    };
    static const char message[] = "runner: cannot unpack the archive: it is damaged\n";
    CLEANUP_BUF struct buf said = BUF_INIT;
    CLEANUP_BUF struct buf archive = BUF_INIT;

    (void)state;
    clear(to);
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        buf_reset(&archive);
        add_entry(&archive, "pax", 'x', "", records[i]);
        add_entry(&archive, "a", '0', "", "a");
        add_end(&archive);
        assert_int_equal(run_to_the_end(to, &archive, &said), HELPER_EXIT_CANNOT);
        assert_string_equal(said.data, message);
    }
    buf_reset(&archive);
    add_entry(&archive, "a", '0', "", "a");
    add_end(&archive);
    archive.data[3] ^= 1; /* of the name: the sum is wrong */
    assert_int_equal(run_to_the_end(to, &archive, &said), HELPER_EXIT_CANNOT);
    assert_string_equal(said.data, message);
}

static void refuses_what_is_cut_off(void **state)
{
    CLEANUP_BUF struct buf archive = BUF_INIT;
    CLEANUP_BUF struct buf said = BUF_INIT;

    (void)state;
    add_entry(&archive, "pax", 'x', "", "10 path=b\n");
    add_entry(&archive, "a", '0', "", "some data");
    add_end(&archive);
    for (size_t len = 0; len < archive.len; len += 101) {
        struct buf cut = {.data = archive.data, .len = len};

        clear(to);
        assert_int_equal(run_to_the_end(to, &cut, &said), HELPER_EXIT_CANNOT);
        assert_string_equal(said.data, "runner: cannot unpack the archive: it is cut off\n");
    }
}

static void packing_says_what_is_wrong(void **state)
{
    CLEANUP_BUF struct buf said = BUF_INIT;
    CLEANUP_BUF struct buf out = BUF_INIT;

    (void)state;
    assert_int_equal(run("pack", "/nowhere", NULL, &out, &said), HELPER_EXIT_CANNOT);
    assert_string_equal(said.data, "runner: cannot open the directory /nowhere: not found\n");
    assert_int_equal(out.len, 0);
}

/* --- another architecture --- */

static int set_up_foreign(void **state)
{
    const char *architecture = strcmp(helper_architecture(), "amd64") == 0 ? "arm64" : "amd64";
    int made = set_up_as(architecture);

    *state = made == 0 && *emulator ? program : NULL;
    return 0;
}

static int tear_down_foreign(void **state)
{
    (void)state;
    ctx_release(&ctx);
    unlink(program);
    return fs_remove_tree(scratch, NULL);
}

static void works_on_another_architecture(void **state)
{
    if (!*state)
        skip();
    what_it_packs_it_unpacks(NULL);
    the_runner_unpacks_it(NULL);
    it_unpacks_what_the_runner_packs(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_packs_it_unpacks),
        cmocka_unit_test(the_runner_unpacks_it),
        cmocka_unit_test(it_unpacks_what_the_runner_packs),
        cmocka_unit_test(holes_stay_holes),
        cmocka_unit_test(it_understands_tar_and_tar_it),
        cmocka_unit_test(it_understands_old_tar),
        cmocka_unit_test(packs_into_a_new_directory),
        cmocka_unit_test(packs_one_path),
        cmocka_unit_test(nothing_leads_out_of_the_directory),
        cmocka_unit_test(a_link_in_the_place_of_a_file_goes),
        cmocka_unit_test(refuses_what_is_damaged),
        cmocka_unit_test(refuses_what_is_cut_off),
        cmocka_unit_test(packing_says_what_is_wrong),
    };
    const struct CMUnitTest foreign[] = {
        cmocka_unit_test(works_on_another_architecture),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);

    return failed + cmocka_run_group_tests(foreign, set_up_foreign, tear_down_foreign);
}
