/* `helper relay` and `helper attach` as processes of this host, and the runner's side of them, over
 * connections that are cut. */
#include "../test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "fixture/rig.h"

static int set_up(void **state)
{
    (void)state;
    return rig_set_up(helper_architecture());
}

static int tear_down(void **state)
{
    (void)state;
    return rig_tear_down();
}

/* --- over one connection --- */

static void carries_programs_one_after_the_other(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, "echo one; echo two >&2; exit 3");
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "one\n");
    assert_string_equal(rig.output[1].data, "two\n");
    assert_int_equal(helper_reply_code(&rig.reply), 3);
    rig_run(&rig, "cat; printf three");
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "three");
    assert_int_equal(helper_reply_code(&rig.reply), 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void tells_how_serve_has_ended(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    channel_input(&rig.channel, "nonsense", 8);
    while (!channel_ended(&rig.channel))
        assert_true(rig_move_all(&rig));
    assert_int_equal(channel_code(&rig.channel), HELPER_EXIT_CANNOT);
    assert_string_equal(rig.output[1].data,
                        "runner: cannot understand the request of the runner\n");
    /* It stays, for those who have not read that yet, and takes input for nobody. */
    channel_input(&rig.channel, rig.output[1].data, rig.output[1].len);
    while (channel_pending(&rig.channel))
        assert_true(rig_move_all(&rig));
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void a_signal_lets_the_program_end(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, "trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.01; done");
    while (!rig.output[0].len)
        assert_true(rig_move_all(&rig));
    assert_int_equal(kill(rig.relay, SIGTERM), 0);
    while (rig_move_all(&rig))
        ;
    assert_true(helper_reply_done(&rig.reply));
    assert_string_equal(rig.output[0].data, "ready\nbye\n");
    assert_int_equal(helper_reply_code(&rig.reply), 5);
    assert_true(channel_ended(&rig.channel));
    assert_int_equal(rig_wait_for(rig.relay), 128 + SIGTERM);
    rig_release(&rig);
}

static void a_signal_ends_what_does_nothing(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_sync(&rig);
    assert_int_equal(kill(rig.relay, SIGTERM), 0);
    while (rig_move_all(&rig))
        ;
    assert_int_equal(rig_wait_for(rig.relay), 128 + SIGTERM);
    rig_release(&rig);
}

static void says_why_it_cannot_begin(void **state)
{
    char *const cases[][5] = {
        {rig_program, "relay", "/tmp", NULL},
        {rig_program, "relay", "/tmp", "1s", NULL},
        {rig_program, "relay", "/nowhere/at/all", "1", NULL},
        {rig_program, "attach", NULL},
    };
    char *const nobody[] = {rig_program, "attach", "/nowhere", NULL};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        assert_int_equal(rig_wait_for(rig_start_program(cases[i], NULL)), HELPER_EXIT_CANNOT);
    assert_int_equal(rig_wait_for(rig_start_program(nobody, NULL)), HELPER_EXIT_NO_RELAY);
}

/* Of the program whose process group leader says its number first. */
static int open_output_of(const struct rig *rig, int stream)
{
    CLEANUP_FREE char *path =
        xasprintf("/proc/%ld/fd/%d", strtol(rig->output[0].data, NULL, 10), stream);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void await_bytes(int pipe, int least)
{
    int size = 0;

    for (;;) {
        assert_int_equal(ioctl(pipe, FIONREAD, &size), 0);
        if (size >= least)
            return;
        usleep(200);
    }
}

/* So many times there is room in the relay for one more record; meanwhile the pipe is full. */
static void make_room(struct rig *rig, int pipe, int rounds)
{
    for (int i = 0; i < rounds && !rig->output[1].len; i++) {
        const size_t until = rig->output[0].len + HELPER_RELAY_DATA_MAX;

        await_bytes(pipe, HELPER_RELAY_DATA_MAX);
        channel_tell(&rig->channel);
        while (rig->output[0].len < until && !rig->output[1].len) {
            size_t to = SIZE_MAX, from = until - rig->output[0].len;

            assert_true(rig_move(rig, &to, &from));
        }
    }
}

enum { ROUNDS = 2 * HELPER_RELAY_MEMORY / HELPER_RELAY_DATA_MAX };

static void a_flood_lets_the_other_stream_through(void **state)
{
    CLEANUP_FREE char *go = xasprintf("%s.go", rig_program);
    CLEANUP_FREE char *script = xasprintf("echo $$; cat /dev/urandom & until [ -e %s ]; do sleep "
                                          "0.01; done; echo late >&2; wait",
                                          go);
    CLEANUP_FD int output = -1;
    CLEANUP_FD int errors = -1;
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, script);
    while (!rig.output[0].len)
        assert_true(rig_move_all(&rig));
    output = open_output_of(&rig, 1);
    errors = open_output_of(&rig, 2);
    make_room(&rig, output, ROUNDS);
    assert_int_equal(rig.output[1].len, 0);
    assert_int_equal(fs_write_file(go, "", 0, 0600, NULL), 0);
    await_bytes(errors, 5);
    make_room(&rig, output, ROUNDS);
    /* It is there, if maybe in part: what comes in is cut anywhere. */
    assert_int_not_equal(rig.output[1].len, 0);
    while (rig.output[1].len < 5)
        assert_true(rig_move_all(&rig));
    assert_string_equal(rig.output[1].data, "late\n");
    assert_int_equal(unlink(go), 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* Pipes of one that says little stay small: there is a limit for all of a user. */
static void a_pipe_that_was_full_is_made_larger(void **state)
{
    CLEANUP_FREE char *go = xasprintf("%s.go", rig_program);
    CLEANUP_FREE char *script =
        xasprintf("echo $$; until [ -e %s ]; do sleep 0.01; done; head -c 500000 /dev/zero", go);
    CLEANUP_FD int fd = -1;
    struct rig rig;
    int usual[2], full;

    (void)state;
    assert_int_equal(pipe2(usual, O_CLOEXEC), 0);
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, script);
    while (!rig.output[0].len)
        assert_true(rig_move_all(&rig));
    fd = open_output_of(&rig, 1);
    full = fcntl(usual[0], F_GETPIPE_SZ);
    assert_int_equal(fcntl(fd, F_GETPIPE_SZ), full);
    /* Until it is full, nobody reads. */
    assert_int_equal(kill(rig.relay, SIGSTOP), 0);
    assert_int_equal(fs_write_file(go, "", 0, 0600, NULL), 0);
    await_bytes(fd, full);
    assert_int_equal(kill(rig.relay, SIGCONT), 0);
    rig_finish(&rig);
    assert_true(rig.output[0].len > (size_t)full);
    assert_int_equal(fcntl(fd, F_GETPIPE_SZ), 256 << 10);
    close(usual[0]);
    close(usual[1]);
    assert_int_equal(unlink(go), 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* --- over many --- */

static void loses_and_repeats_no_output(void **state)
{
    CLEANUP_BUF struct buf expected = BUF_INIT;
    struct rig rig;

    (void)state;
    for (int i = 0; i < 40000; i++)
        buf_addf(&expected, "line %d\n", i);
    rig_start(&rig, RIG_LONG_MS);
    rig_run(&rig, "i=0; while [ $i -lt 40000 ]; do echo \"line $i\"; echo \"line $i\" >&2; "
                  "i=$((i+1)); done");
    assert_int_equal(rig_finish_with_cuts(&rig, 100, 5000), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig.output[i].len, expected.len);
        assert_memory_equal(rig.output[i].data, expected.data, expected.len);
    }
    assert_int_equal(helper_reply_code(&rig.reply), 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

enum { LARGE = 1500000 };

static void add_lines(struct buf *to)
{
    for (int i = 0; to->len < LARGE; i++)
        buf_addf(to, "2026-03-01T00:00:%02d PASS tests/net/test_%d.c\n", i % 60, i * 7919 % 400);
}

static void add_noise(struct buf *to)
{
    uint64_t word = 1;

    while (to->len < LARGE) {
        word = word * 6364136223846793005 + 1442695040888963407;
        buf_add(to, (char *)&word + 3, 5);
    }
}

static void add_zeros(struct buf *to)
{
    static const char zeros[4096];

    while (to->len < LARGE)
        buf_add(to, zeros, sizeof(zeros));
}

/* From one to the other and back. */
static void add_turns(struct buf *to)
{
    CLEANUP_BUF struct buf lines = BUF_INIT;
    CLEANUP_BUF struct buf noise = BUF_INIT;

    add_lines(&lines);
    add_noise(&noise);
    for (size_t at = 0; at < LARGE / 2; at += 70000) {
        buf_add(to, lines.data + at, 70000);
        buf_add(to, noise.data + at, 70000);
    }
}

/* Its output, over one connection or many. */
static void run_cat(struct rig *rig, const struct buf *content, int cuts, size_t bytes)
{
    CLEANUP_FREE char *path = xasprintf("%s.output", rig_program);
    CLEANUP_FREE char *script = xasprintf("exec cat %s", path);

    assert_int_equal(fs_write_file(path, content->data, content->len, 0600, NULL), 0);
    rig->carried = 0;
    rig_run(rig, script);
    if (cuts)
        assert_int_equal(rig_finish_with_cuts(rig, cuts, bytes), 0);
    else
        rig_finish(rig);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rig->output[0].len, content->len);
    assert_memory_equal(rig->output[0].data, content->data, content->len);
}

static const struct packing {
    void (*add)(struct buf *to);
    size_t least, most; /* that is carried, in parts of a hundred */
    size_t bytes;       /* of a connection, at most */
} packings[] = {
    {add_lines, 1, 60, 8000},
    {add_zeros, 0, 20, 1000},
    {add_noise, 100, 101, 60000},
    {add_turns, 20, 90, 40000},
};

enum { PACKINGS = sizeof(packings) / sizeof(*packings) };

static void try_packing(const struct packing *packing)
{
    CLEANUP_BUF struct buf content = BUF_INIT;
    struct rig rig;

    packing->add(&content);
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    run_cat(&rig, &content, 0, 0);
    assert_in_range(rig.carried, content.len / 100 * packing->least,
                    content.len / 100 * packing->most);
    rig_cut(&rig);
    run_cat(&rig, &content, 20, packing->bytes);
    if (rig.attach)
        rig_cut(&rig);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void packs_what_gets_smaller(void **state)
{
    (void)state;
    for (size_t i = 0; i < PACKINGS; i++)
        try_packing(&packings[i]);
}

enum { SHORT_LINE = 6000, SHORT_LINES_MAX = 100 };

/* A packed frame is of use when all of it has come. */
static void gets_further_on_lines_that_break_soon(void **state)
{
    CLEANUP_BUF struct buf content = BUF_INIT;
    CLEANUP_FREE char *path = xasprintf("%s.output", rig_program);
    CLEANUP_FREE char *script = xasprintf("exec cat %s", path);
    struct rig rig;
    int lines = 0;

    (void)state;
    add_lines(&content);
    buf_truncate(&content, LARGE / 5);
    assert_int_equal(fs_write_file(path, content.data, content.len, 0600, NULL), 0);
    rig_start(&rig, RIG_LONG_MS);
    rig_run(&rig, script);
    while (!helper_reply_done(&rig.reply)) {
        size_t to = SIZE_MAX, from = SHORT_LINE;

        assert_true(++lines <= SHORT_LINES_MAX);
        rig_connect(&rig);
        while (from > 0 && !helper_reply_done(&rig.reply))
            assert_true(rig_move(&rig, &to, &from));
        rig_cut(&rig);
    }
    assert_true(lines > 2);
    assert_int_equal(rig.output[0].len, content.len);
    assert_memory_equal(rig.output[0].data, content.data, content.len);
    assert_int_equal(rig_quit(&rig), 0);
    assert_int_equal(unlink(path), 0);
    rig_release(&rig);
}

static void gives_large_input_once(void **state)
{
    CLEANUP_BUF struct buf content = BUF_INIT;
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct rig rig;

    (void)state;
    for (int i = 0; content.len < 3000000; i++)
        buf_addf(&content, "%d ", i);
    rig_start(&rig, RIG_LONG_MS);
    rig_begin_reply(&rig);
    helper_request_begin(&request);
    helper_request_string(&request, HELPER_DIRECTORY, rig_files_name());
    helper_request_file(&request, "data", content.data, content.len, false);
    helper_request_string(&request, HELPER_ARG, "cat");
    helper_request_string(&request, HELPER_ARG, HELPER_FILES_MARK "data");
    rig_ask(&rig, &request);
    assert_int_equal(rig_finish_with_cuts(&rig, 100, 60000), 0);
    assert_int_equal(rig.output[0].len, content.len);
    assert_memory_equal(rig.output[0].data, content.data, content.len);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static pid_t child_of(pid_t pid)
{
    CLEANUP_FREE char *path = xasprintf("/proc/%d/task/%d/children", (int)pid, (int)pid);
    CLEANUP_BUF struct buf children = BUF_INIT;

    assert_int_equal(fs_read_file(path, RIG_ALL, &children, NULL), 0);
    return (pid_t)strtol(children.data, NULL, 10);
}

/* What it took from one connection and `serve` did not read goes with that. */
static void gives_input_once_that_was_held_back(void **state)
{
    CLEANUP_BUF struct buf content = BUF_INIT;
    CLEANUP_BUF struct buf request = BUF_INIT;
    struct rig rig;
    pid_t serve;

    (void)state;
    for (int i = 0; content.len < 500000; i++)
        buf_addf(&content, "%d ", i);
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_sync(&rig);
    serve = child_of(rig.relay);
    assert_int_equal(kill(serve, SIGSTOP), 0);
    rig_begin_reply(&rig);
    helper_request_begin(&request);
    helper_request_string(&request, HELPER_DIRECTORY, rig_files_name());
    helper_request_file(&request, "data", content.data, content.len, false);
    helper_request_string(&request, HELPER_ARG, "cat");
    helper_request_string(&request, HELPER_ARG, HELPER_FILES_MARK "data");
    rig_ask(&rig, &request);
    for (int i = 0; i < 3; i++) {
        /* The window is full, and the lease is answered all the same. */
        rig_sync(&rig);
        assert_true(channel_pending(&rig.channel) >= content.len - 65536);
        rig_cut(&rig);
        rig_connect(&rig);
    }
    assert_int_equal(kill(serve, SIGCONT), 0);
    rig_finish(&rig);
    assert_int_equal(rig.output[0].len, content.len);
    assert_memory_equal(rig.output[0].data, content.data, content.len);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void runs_every_request_once(void **state)
{
    CLEANUP_BUF struct buf expected = BUF_INIT;
    CLEANUP_BUF struct buf got = BUF_INIT;
    CLEANUP_FREE char *path = xasprintf("%s.runs", rig_program);
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    for (int i = 0; i < 30; i++) {
        CLEANUP_FREE char *script = xasprintf("echo %d >>%s; echo done", i, path);

        buf_addf(&expected, "%d\n", i);
        rig_run(&rig, script);
        rig_finish_with_cuts(&rig, 4, 120);
        assert_string_equal(rig.output[0].data, "done\n");
        if (rig.attach)
            rig_cut(&rig);
    }
    assert_int_equal(fs_read_file(path, RIG_ALL, &got, NULL), 0);
    assert_string_equal(got.data, expected.data);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void refuses_another_runner(void **state)
{
    struct channel other;
    struct rig rig;
    struct err err = ERR_INIT;
    char refusal[64];
    const char *out;
    int to, from;
    pid_t attach;
    size_t len;
    ssize_t n;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_sync(&rig);
    assert_int_equal(channel_init(&other, rig_deliver, &rig, NULL), 0);
    rig_open_line(&rig, &to, &from, &attach);
    channel_connected(&other);
    len = channel_output(&other, &out);
    assert_int_equal(write(to, out, len), len);
    n = read(from, refusal, sizeof(refusal));
    assert_int_equal(n, HELPER_RELAY_WELCOME_SIZE);
    assert_int_equal(channel_feed(&other, refusal, (size_t)n, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    assert_string_equal(err.message, "the relay in the container belongs to another runner");
    assert_int_equal(read(from, refusal, 1), 0);
    assert_int_equal(rig_wait_for(attach), 0);
    close(to);
    close(from);
    channel_release(&other);
    rig_run(&rig, "echo mine");
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "mine\n");
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void refuses_what_is_not_a_hello(void **state)
{
    static const char text[] = "GET / HTTP/1.1 and more of the kind that is no hello at all";
    struct rig rig;
    char refusal[64];
    int to, from;
    pid_t attach;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_open_line(&rig, &to, &from, &attach);
    assert_int_equal(write(to, text, HELPER_RELAY_HELLO_SIZE), HELPER_RELAY_HELLO_SIZE);
    assert_int_equal(read(from, refusal, sizeof(refusal)), HELPER_RELAY_WELCOME_SIZE);
    assert_memory_equal(refusal, HELPER_RELAY_REFUSAL "\3\0\0\0\0\0\0\0",
                        HELPER_RELAY_WELCOME_SIZE);
    assert_int_equal(rig_wait_for(attach), 0);
    close(to);
    close(from);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

static void a_newer_connection_replaces_the_older(void **state)
{
    struct rig rig;
    int to, from;
    pid_t attach;
    char byte;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, "echo one; sleep 0.2; echo two");
    while (!rig.output[0].len)
        assert_true(rig_move_all(&rig));
    to = rig.to;
    from = rig.from;
    attach = rig.attach;
    rig_connect(&rig);
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "one\ntwo\n");
    while (read(from, &byte, 1) > 0)
        ;
    assert_int_equal(rig_wait_for(attach), 0);
    close(to);
    close(from);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
}

/* Who connects and says nothing does not keep others out. */
static void silent_connections_do_no_harm(void **state)
{
    enum { COUNT = 12 };
    int to[COUNT], from[COUNT];
    pid_t attach[COUNT];
    struct rig rig;

    (void)state;
    rig_start(&rig, RIG_LONG_MS);
    for (int i = 0; i < COUNT; i++)
        rig_open_line(&rig, &to[i], &from[i], &attach[i]);
    rig_connect(&rig);
    rig_run(&rig, "echo one");
    /* Those that come later may push it out before it has said hello. */
    while (!rig.channel.welcome) {
        if (rig_move_all(&rig))
            continue;
        rig_cut(&rig);
        rig_connect(&rig);
    }
    rig_finish(&rig);
    assert_string_equal(rig.output[0].data, "one\n");
    assert_int_equal(rig_quit(&rig), 0);
    for (int i = 0; i < COUNT; i++) {
        rig_wait_for(attach[i]);
        close(to[i]);
        close(from[i]);
    }
    rig_release(&rig);
}

static bool exists(const char *directory, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", directory, name);

    return access(path, F_OK) == 0;
}

/* What was written while there was no connection takes its time; what comes then need not wait. */
static void a_backlog_does_not_hold_a_program_up(void **state)
{
    enum { HALF = 6000000, PIECE = 16384 };
    char directory[] = "/tmp/runner-test-XXXXXX";
    CLEANUP_FREE char *script = NULL;
    CLEANUP_FREE char *go = NULL;
    struct rig rig;

    (void)state;
    assert_non_null(mkdtemp(directory));
    go = xasprintf("%s/go", directory);
    script = xasprintf("cd %s; head -c %d /dev/urandom; touch first; "
                       "while [ ! -e go ]; do sleep 0.01; done; "
                       "head -c %d /dev/urandom; touch second",
                       directory, HALF, HALF);
    rig_start(&rig, RIG_LONG_MS);
    rig_connect(&rig);
    rig_run(&rig, script);
    rig_sync(&rig);
    rig_cut(&rig);
    while (!exists(directory, "first"))
        usleep(10000);
    rig_connect(&rig);
    assert_int_equal(fs_write_file(go, "", 0, 0600, NULL), 0);
    while (!exists(directory, "second")) {
        size_t to = RIG_ALL, from = PIECE;

        if (rig.channel.received < HALF / 2)
            assert_true(rig_move(&rig, &to, &from));
        usleep(10000);
    }
    assert_true(rig.channel.received < HALF);
    rig_finish(&rig);
    assert_int_equal(rig.output[0].len, 2 * HALF);
    assert_int_equal(rig_quit(&rig), 0);
    rig_release(&rig);
    assert_int_equal(fs_remove_tree(directory, NULL), 0);
}

/* --- another architecture --- */

static void works_on_another_architecture(void **state)
{
    if (!*state)
        skip();
    carries_programs_one_after_the_other(NULL);
    loses_and_repeats_no_output(NULL);
    try_packing(&packings[PACKINGS - 1]);
    gives_large_input_once(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_programs_one_after_the_other),
        cmocka_unit_test(tells_how_serve_has_ended),
        cmocka_unit_test(a_signal_lets_the_program_end),
        cmocka_unit_test(a_signal_ends_what_does_nothing),
        cmocka_unit_test(says_why_it_cannot_begin),
        cmocka_unit_test(a_flood_lets_the_other_stream_through),
        cmocka_unit_test(a_pipe_that_was_full_is_made_larger),
        cmocka_unit_test(loses_and_repeats_no_output),
        cmocka_unit_test(packs_what_gets_smaller),
        cmocka_unit_test(gets_further_on_lines_that_break_soon),
        cmocka_unit_test(gives_large_input_once),
        cmocka_unit_test(gives_input_once_that_was_held_back),
        cmocka_unit_test(runs_every_request_once),
        cmocka_unit_test(refuses_another_runner),
        cmocka_unit_test(refuses_what_is_not_a_hello),
        cmocka_unit_test(a_newer_connection_replaces_the_older),
        cmocka_unit_test(silent_connections_do_no_harm),
        cmocka_unit_test(a_backlog_does_not_hold_a_program_up),
    };
    const struct CMUnitTest foreign[] = {
        cmocka_unit_test(works_on_another_architecture),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);

    return failed + cmocka_run_group_tests(foreign, rig_set_up_foreign, rig_tear_down_foreign);
}
