/* The host engine: results, output, environment. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../fixture/guard.h"
#include "../fixture/host.h"
#include "base/fs.h"

struct test {
    struct host_fixture f;
    struct collector out;
    struct exit_record record;
    struct err err;
    int held; /* see hold_open() */
};

static int setup(void **state)
{
    struct test *t = xcalloc(1, sizeof(*t));

    host_fixture_scratch(&t->f);
    host_fixture_init(&t->f);
    collector_init(&t->out);
    t->record = (struct exit_record){.kind = EXIT_LOST, .code = -1};
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct test *t = *state;

    assert_int_equal(0, processes_with(t->f.cookie));
    collector_release(&t->out);
    host_fixture_release(&t->f);
    free(t);
    return 0;
}

static void shell(struct test *t, const char *script)
{
    if (host_fixture_shell(&t->f, &t->f.root, script, &t->out, &t->record, &t->err) < 0)
        fail_msg("%s", t->err.message);
}

static void assert_result(const struct test *t, enum exit_kind kind, int code, int sig,
                          const char *detail)
{
    assert_int_equal(kind, t->record.kind);
    assert_int_equal(code, t->record.code);
    assert_int_equal(sig, t->record.signal);
    assert_string_equal(detail, t->record.detail);
}

static void exit_code(void **state)
{
    struct test *t = *state;

    shell(t, "exit 0");
    assert_result(t, EXIT_CODE, 0, 0, "");
    shell(t, "exit 7");
    assert_result(t, EXIT_CODE, 7, 0, "");
    assert_int_equal(REASON_NONE, t->record.reason);
}

static void death_by_signal(void **state)
{
    struct test *t = *state;

    shell(t, "kill -USR1 $$");
    assert_result(t, EXIT_SIGNAL, 138, 10, "killed by signal 10 (User defined signal 1)");
    shell(t, "kill -KILL $$");
    assert_result(t, EXIT_SIGNAL, 137, 9,
                  "killed by signal 9, which the runner did not send; the kernel does so when "
                  "memory runs out");
}

static void command_not_found(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"no-such-program", NULL};
    const char *const path[] = {"/no/such/program", NULL};

    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 127, 0, "no-such-program: command not found");
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, path, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 127, 0, "/no/such/program: command not found");
}

static void not_executable(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *path = fs_join(t->f.scratch, "plain");
    CLEANUP_FREE char *detail = xasprintf("%s: Permission denied", path);
    const char *const argv[] = {path, NULL};

    assert_int_equal(0, fs_write_file(path, "x", 1, 0644, NULL));
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 126, 0, detail);
}

static void argument_too_long(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *big = xmalloc(1 << 20);
    const char *const argv[] = {"true", big, NULL};

    memset(big, 'x', (1 << 20) - 1);
    big[(1 << 20) - 1] = '\0';
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 126, 0,
                  "true: Argument list too long: argument 1 has 1048576 bytes, at most 131072 are "
                  "possible");
}

static void variable_too_long(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"true", NULL};
    CLEANUP_FREE char *big = xmalloc(131072);

    memset(big, 'x', 131071);
    big[131072 - strlen("BIG=") - 1] = '\0';
    strmap_set(&t->f.environment, "BIG", big);
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 0, 0, "");
    big[131072 - strlen("BIG=") - 1] = 'x';
    big[131072 - strlen("BIG=")] = '\0';
    strmap_set(&t->f.environment, "BIG", big);
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_result(t, EXIT_CODE, 126, 0,
                  "true: Argument list too long: the variable BIG has 131073 bytes, at most 131072 "
                  "are possible");
}

static void too_much_in_all(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"true", NULL};
    CLEANUP_FREE char *big = xmalloc(100001);

    memset(big, 'x', 100000);
    for (int i = 0; i < 100; i++) {
        CLEANUP_FREE char *name = xasprintf("BIG%d", i);

        big[i == 50 ? 100000 : 99000] = '\0';
        strmap_set(&t->f.environment, name, big);
        big[99000] = 'x';
    }
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_int_equal(126, t->record.code);
    assert_non_null(strstr(t->record.detail, "true: Argument list too long: arguments and "
                                             "environment have 99"));
    assert_non_null(strstr(t->record.detail, "; the variable BIG50 has the most, 100007"));
}

static void environment_beyond_the_limit(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *big = xmalloc(17 << 20);
    const char *const argv[] = {"true", NULL};

    memset(big, 'x', (17 << 20) - 1);
    big[(17 << 20) - 1] = '\0';
    strmap_set(&t->f.environment, "BIG", big);
    assert_int_equal(-1, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_int_equal(ERR_LIMIT, t->err.code);
    assert_non_null(strstr(t->err.message, "at most 16777216 can be given to a process"));
}

static void working_directory(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"pwd", NULL};
    struct runnable r = {.name = "step", .argv = argv, .environment = &t->f.environment};

    assert_int_equal(0, host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record,
                                        &t->err));
    r.workdir = "/usr/lib";
    assert_int_equal(0, host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record,
                                        &t->err));
    CLEANUP_FREE char *expected = xasprintf("%s\n/usr/lib\n", t->f.scratch);
    assert_string_equal(expected, t->out.streams[0].data);
    r.workdir = "/no/such/place";
    assert_int_equal(-1, host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record,
                                         &t->err));
    assert_int_equal(ERR_NOT_FOUND, t->err.code);
    assert_string_equal("cannot enter the working directory /no/such/place: No such file or "
                        "directory",
                        t->err.message);
    /* The supervisor is still good for another step. */
    shell(t, "exit 3");
    assert_result(t, EXIT_CODE, 3, 0, "");
}

static void other_user(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"sh", "@files@/who", NULL};
    const char script[] = "id -u; id -g; cat \"$0\" | wc -l";
    const struct runnable_file file = {.name = "who", .data = script, .size = strlen(script)};
    struct runnable r = {.name = "step",
                         .argv = argv,
                         .environment = &t->f.environment,
                         .files = &file,
                         .file_count = 1,
                         .user = "65534:65533"};
    int result = host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record, &t->err);

    if (geteuid() != 0) {
        assert_int_equal(-1, result);
        assert_non_null(strstr(t->err.message, "cannot give "));
        return;
    }
    assert_int_equal(0, result);
    assert_string_equal("65534\n65533\n0\n", t->out.streams[0].data);
    r.user = "nobody-of-this-name";
    result = host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record, &t->err);
    assert_int_equal(-1, result);
    assert_string_equal("user \"nobody-of-this-name\" does not exist on this host", t->err.message);
}

/* With returned_files, as USER (NULL: this one); what run() returns. */
static int run_with_files(struct test *t, const struct ctx *ctx, const char *script,
                          const char *user)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    const struct runnable r = {.id = "run.0.0.0",
                               .name = "step",
                               .argv = argv,
                               .environment = &t->f.environment,
                               .returns = returned_files,
                               .return_count = 2,
                               .grace_ms = 3000,
                               .user = user};

    collector_release(&t->out);
    collector_init(&t->out);
    return host_engine.run(ctx, t->f.place, &r, &t->out.output, &t->record, &t->err);
}

static void assert_returned(struct test *t, const char *script, const char *returned)
{
    if (run_with_files(t, &t->f.root, script, NULL) < 0)
        fail_msg("%s", t->err.message);
    assert_string_equal("", t->out.streams[OUTPUT_STDERR].data);
    assert_string_equal(returned, t->out.returned.data);
}

static void gives_files_back(void **state)
{
    struct test *t = *state;

    assert_returned(t, "test -f $ONE && test ! -s $ONE && echo $TWO", "ONE=whole:\nTWO=whole:\n");
    t->out.streams[0].data[t->out.streams[0].len - 1] = '\0';
    assert_int_equal('/', t->out.streams[0].data[0]);
    assert_returned(t, "echo a >>$ONE; echo b >>$ONE; exit 3", "ONE=whole:a\nb\n\nTWO=whole:\n");
    assert_int_equal(3, t->record.code);
    assert_returned(t, "echo x >$TWO; kill -9 $$", "ONE=whole:\nTWO=whole:x\n\n");
    assert_int_equal(SIGKILL, t->record.signal);
    assert_returned(t,
                    "(setsid sh -c 'sleep 0.1; echo late >$ONE' &)\n"
                    "until test -s $ONE; do sleep 0.01; done",
                    "ONE=whole:late\n\nTWO=whole:\n");
    assert_returned(t, "printf 12345678 >$ONE; printf 123456789 >$TWO",
                    "ONE=whole:12345678\nTWO=truncated:12345678\n");
    assert_int_equal(0, entries_in(own_run_temp_dir(t->f.run, &t->err)));
}

/* All that an output gets, in order. */
struct sequence {
    struct output output;
    struct buf text;
};

static void note_write(struct output *output, const struct ctx *ctx, enum output_stream stream,
                       const void *data, size_t len)
{
    (void)ctx;
    (void)stream;
    buf_add(&((struct sequence *)output)->text, data, len);
}

static void note_returned(struct output *output, const struct runnable_return *file,
                          enum returned_state state, const void *data, size_t size)
{
    (void)state;
    buf_addf(&((struct sequence *)output)->text, "<%s:%.*s>", file->variable, (int)size,
             (const char *)data);
}

static void live_files_come_before_what_follows(void **state)
{
    struct test *t = *state;
    const struct runnable_return files[] = {
        {.name = "a", .variable = "LIVE", .max_bytes = 8, .live = true},
        {.name = "b", .variable = "LATE", .max_bytes = 8},
    };
    const char *const argv[] = {
        "sh", "-c",
        "echo x >$LATE; echo one >>$LIVE; echo 1; sleep 0.1; printf two >>$LIVE; echo 2; sleep "
        "0.1; echo 3; sleep 0.1; rm $LIVE; echo 4; sleep 0.1; mkfifo $LIVE; echo 5; sleep 0.1; rm "
        "$LIVE; printf 123456789 >$LIVE; echo 6",
        NULL};
    const struct runnable r = {.id = "run.0.0.0",
                               .name = "step",
                               .argv = argv,
                               .environment = &t->f.environment,
                               .returns = files,
                               .return_count = 2,
                               .grace_ms = 200};
    struct sequence sequence = {{.write = note_write, .returned = note_returned}, BUF_INIT};

    if (host_engine.run(&t->f.root, t->f.place, &r, &sequence.output, &t->record, &t->err) < 0)
        fail_msg("%s", t->err.message);
    assert_string_equal(sequence.text.data,
                        "<LIVE:one\n>1\n<LIVE:one\ntwo>2\n3\n4\n5\n<LIVE:12345678>6\n"
                        "<LIVE:12345678><LATE:x\n>");
    buf_release(&sequence.text);
}

/* What the script did to its files must not be seen by the next step, which tells where its own
 * are. Returns that, for the caller to free. */
static char *next_place(struct test *t, const char *script)
{
    assert_int_equal(0, run_with_files(t, &t->f.root, script, NULL));
    assert_int_equal(0, t->record.code);
    assert_int_equal(
        0, run_with_files(t, &t->f.root,
                          "cd ${ONE%/*} && test \"$(ls -A | tr '\\n' ' ')\" = 'one two ' && "
                          "test ! -s one && test ! -s two && pwd",
                          NULL));
    assert_int_equal(0, t->record.code);
    assert_string_equal("ONE=whole:\nTWO=whole:\n", t->out.returned.data);
    return xstrdup(t->out.streams[0].data);
}

static void files_serve_the_next_step_if_untouched(void **state)
{
    static const char *const scripts[] = {
        "echo x >$ONE",
        "rm $TWO",
        "touch ${TWO}x",
        "mkdir ${TWO%/*}/.d",
        "ln $TWO ../linked-$$ || ln $TWO ${TWO%/*}/../../linked-$$",
        "rm $TWO; mkfifo $TWO",
        "rm $TWO; ln -s one $TWO",
        "chmod 666 $TWO",
        "chmod 777 ${TWO%/*}",
    };
    struct test *t = *state;
    CLEANUP_FREE char *first = next_place(t, "true");

    for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
        CLEANUP_FREE char *before = next_place(t, "echo nothing");
        CLEANUP_FREE char *after = next_place(t, scripts[i]);

        if (i == 0)
            assert_string_equal(first, before);
        if (strcmp(before, after) == 0)
            fail_msg("used again: %s", scripts[i]);
    }
    assert_int_equal(1, entries_in(own_run_temp_dir(t->f.run, &t->err)));
}

static void files_that_are_none_any_more(void **state)
{
    struct test *t = *state;

    assert_returned(t, "rm $ONE; echo x >$TWO.new; mv $TWO.new $TWO",
                    "ONE=whole:\nTWO=whole:x\n\n");
    assert_returned(t, "rm $ONE $TWO; ln -s /etc/passwd $ONE; mkdir $TWO",
                    "ONE=unreadable:\nTWO=unreadable:\n");
    assert_returned(t, "rm $ONE $TWO; mkfifo $ONE; ln -s /dev/zero $TWO",
                    "ONE=unreadable:\nTWO=unreadable:\n");
}

static void files_of_another_user(void **state)
{
    struct test *t = *state;
    CLEANUP_FREE char *secret = fs_join(t->f.scratch, "secret");
    CLEANUP_FREE char *script = xasprintf("id -u >$ONE; rm $TWO; ln %s $TWO", secret);
    CLEANUP_BUF struct buf protected = BUF_INIT;

    if (geteuid() != 0)
        skip();
    assert_int_equal(0, run_with_files(t, &t->f.root, "id -u >$ONE", "65534:65533"));
    assert_string_equal("ONE=whole:65534\n\nTWO=whole:\n", t->out.returned.data);
    assert_int_equal(0, fs_read_file("/proc/sys/fs/protected_hardlinks", 10, &protected, NULL));
    if (*protected.data != '0')
        return; /* the kernel does not let it link to what it cannot write to */
    assert_int_equal(0, fs_write_file(secret, "root's", 6, 0600, NULL));
    assert_int_equal(0, run_with_files(t, &t->f.root, script, "65534:65533"));
    assert_string_equal("ONE=whole:65534\n\nTWO=unreadable:\n", t->out.returned.data);
}

static void files_of_a_step_that_timed_out(void **state)
{
    struct test *t = *state;

    /* It has to have begun by then. */
    for (int ms = 300; ms < 30000; ms *= 3) {
        struct ctx ctx;

        ctx_init(&ctx, &t->f.root);
        ctx_set_timeout(&ctx, ms, "step \"x\"");
        assert_int_equal(-1, run_with_files(t, &ctx,
                                            "trap 'echo y >$TWO; exit' TERM; echo x >$ONE\n"
                                            "while :; do sleep 0.01; done",
                                            NULL));
        assert_int_equal(ERR_TIMEOUT, t->err.code);
        ctx_release(&ctx);
        if (strstr(t->out.returned.data, "whole:x"))
            break;
    }
    assert_string_equal("ONE=whole:x\n\nTWO=whole:y\n\n", t->out.returned.data);
}

static void no_files_without_a_program(void **state)
{
    struct test *t = *state;

    assert_int_equal(-1, run_with_files(t, &t->f.root, "true", "nobody-of-this-name"));
    assert_string_equal("", t->out.returned.data);
}

static void exact_environment(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"env", NULL};
    CLEANUP_BUF struct buf expected = BUF_INIT;

    strmap_set(&t->f.environment, "EMPTY", "");
    strmap_set(&t->f.environment, "LINES", "a\nb=c");
    strmap_foreach (entry, &t->f.environment)
        buf_addf(&expected, "%s=%s\n", entry->key, entry->value);
    assert_int_equal(0, host_fixture_run(&t->f, &t->f.root, argv, &t->out, &t->record, &t->err));
    assert_string_equal(expected.data, t->out.streams[0].data);
}

static void surroundings(void **state)
{
    struct test *t = *state;

    /* No input, no terminal, no foreign descriptors (3 is that of ls itself), no ignored or
     * blocked signals, a session of its own. */
    shell(t, "cat; ls /proc/self/fd; (: </dev/tty) 2>/dev/null || echo no tty; "
             "grep -E '^Sig(Blk|Ign)' /proc/self/status; "
             "set -- $(cat /proc/$$/stat); test $1 = $6 && echo leads");
    assert_string_equal("0\n1\n2\n3\nno tty\nSigBlk:\t0000000000000000\n"
                        "SigIgn:\t0000000000000000\nleads\n",
                        t->out.streams[0].data);
    assert_string_equal("", t->out.streams[1].data);
}

static void binary_output_complete_and_apart(void **state)
{
    enum { SIZE = 10 * 1000 * 1000 };
    struct test *t = *state;
    CLEANUP_FREE char *path = fs_join(t->f.scratch, "data");
    CLEANUP_FREE unsigned char *data = xmalloc(SIZE);
    uint32_t x = 1;

    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (unsigned char)(x >> 24);
    }
    assert_non_null(memchr(data, '\0', 1000));
    assert_int_equal(0, fs_write_file(path, data, SIZE, 0600, NULL));
    shell(t, "cat data & tail -c +2 data >&2; wait");
    assert_result(t, EXIT_CODE, 0, 0, "");
    assert_int_equal(SIZE, t->out.streams[0].len);
    assert_int_equal(SIZE - 1, t->out.streams[1].len);
    assert_int_equal(0, memcmp(t->out.streams[0].data, data, SIZE));
    assert_int_equal(0, memcmp(t->out.streams[1].data, data + 1, SIZE - 1));
}

static void last_line_without_newline(void **state)
{
    struct test *t = *state;

    shell(t, "printf 'a\\nb'; printf 'c' >&2");
    assert_string_equal("a\nb", t->out.streams[0].data);
    assert_string_equal("c", t->out.streams[1].data);
}

static void closes_its_output_and_goes_on(void **state)
{
    struct test *t = *state;

    shell(t, "echo out; exec >&-; mkfifo f; (echo >f) & read x <f; echo err >&2; exit 3");
    assert_result(t, EXIT_CODE, 3, 0, "");
    assert_string_equal("out\n", t->out.streams[0].data);
    assert_string_equal("err\n", t->out.streams[1].data);
    shell(t, "exec >&- 2>&-; (: >f) & read x <f; exit 4");
    assert_result(t, EXIT_CODE, 4, 0, "");
}

static void hold_open(struct collector *collector)
{
    struct test *t = collector->arg;
    CLEANUP_FREE char *gate = fs_join(t->f.scratch, "f");
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/fd/1", strtol(collector->streams[0].data, NULL, 10));
    t->held = open(path, O_WRONLY | O_CLOEXEC);
    CLEANUP_FD int fd = open(gate, O_WRONLY | O_CLOEXEC);
    assert_int_equal(1, write(fd, "\n", 1));
}

/* Somebody who is no part of the tree holds the pipe: everything printed comes, and run() ends. */
static void output_held_open_by_a_stranger(void **state)
{
    struct test *t = *state;

    t->out.trigger = "\n";
    t->out.on_trigger = hold_open;
    t->out.arg = t;
    shell(t, "mkfifo f; echo $$; read x < f; echo last");
    assert_true(t->held >= 0);
    close(t->held);
    assert_non_null(strstr(t->out.streams[0].data, "\nlast\n"));
}

static void files_of_a_runnable(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"@files@/run.sh", "@files", NULL};
    const char script[] = "#!/bin/sh\ndir=${0%/*}\nstat -c %a $dir $0 $dir/data; od -An -c "
                          "$dir/data; echo $1; echo $dir";
    const struct runnable_file files[] = {
        {.name = "run.sh", .data = script, .size = strlen(script), .executable = true},
        {.name = "data", .data = "a\0b", .size = 3}};
    struct runnable r = {.name = "step",
                         .argv = argv,
                         .environment = &t->f.environment,
                         .files = files,
                         .file_count = 2};
    const char expected[] = "700\n700\n600\n   a  \\0   b\n@files\n";
    char *dir;

    assert_int_equal(0, host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record,
                                        &t->err));
    assert_result(t, EXIT_CODE, 0, 0, "");
    assert_memory_equal(expected, t->out.streams[0].data, strlen(expected));
    dir = t->out.streams[0].data + strlen(expected);
    dir[strlen(dir) - 1] = '\0';
    assert_non_null(strstr(dir, own_run_id(t->f.run)));
    assert_false(fs_exists(dir));
}

static void file_name_with_a_slash(void **state)
{
    struct test *t = *state;
    const char *const argv[] = {"true", NULL};
    const struct runnable_file file = {.name = "../x", .data = "", .size = 0};
    struct runnable r = {.name = "step",
                         .argv = argv,
                         .environment = &t->f.environment,
                         .files = &file,
                         .file_count = 1};

    assert_int_equal(-1, host_engine.run(&t->f.root, t->f.place, &r, &t->out.output, &t->record,
                                         &t->err));
    assert_string_equal("file name \"../x\" holds a slash", t->err.message);
}

static void supervisors_are_reused(void **state)
{
    struct test *t = *state;

    for (int i = 0; i < 3; i++)
        shell(t, "echo $PPID");
    char *line = t->out.streams[0].data;
    size_t len = strcspn(line, "\n") + 1;
    assert_int_equal(3 * len, t->out.streams[0].len);
    assert_memory_equal(line, line + len, len);
    assert_memory_equal(line, line + 2 * len, len);
}

static void probe(void **state)
{
    struct test *t = *state;
    CLEANUP_BUF struct buf report = BUF_INIT;

    assert_int_equal(0, host_engine.probe(&t->f.root, t->f.instance, &report, &t->err));
    assert_string_equal(geteuid() == 0
                            ? "local processes, whole trees ended; steps run as root or any user"
                            : "local processes, whole trees ended; steps run as this user only",
                        report.data);
}

static void without_a_keeper(void **state)
{
    struct test *t = *state;

    t->f.services.supervisor = NULL;
    assert_int_equal(-1,
                     host_fixture_shell(&t->f, &t->f.root, "true", &t->out, &t->record, &t->err));
    assert_string_equal("steps cannot be run here: there is no keeper", t->err.message);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int tests(void)
{
    const struct CMUnitTest all[] = {
        TEST(exit_code),
        TEST(death_by_signal),
        TEST(command_not_found),
        TEST(not_executable),
        TEST(argument_too_long),
        TEST(variable_too_long),
        TEST(too_much_in_all),
        TEST(environment_beyond_the_limit),
        TEST(working_directory),
        TEST(other_user),
        TEST(gives_files_back),
        TEST(live_files_come_before_what_follows),
        TEST(files_that_are_none_any_more),
        TEST(files_serve_the_next_step_if_untouched),
        TEST(files_of_another_user),
        TEST(files_of_a_step_that_timed_out),
        TEST(no_files_without_a_program),
        TEST(exact_environment),
        TEST(surroundings),
        TEST(binary_output_complete_and_apart),
        TEST(last_line_without_newline),
        TEST(closes_its_output_and_goes_on),
        TEST(output_held_open_by_a_stranger),
        TEST(files_of_a_runnable),
        TEST(file_name_with_a_slash),
        TEST(supervisors_are_reused),
        TEST(probe),
        TEST(without_a_keeper),
    };

    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(void)
{
    return guarded(tests);
}
