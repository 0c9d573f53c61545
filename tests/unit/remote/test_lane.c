/* A lane whose connections deliver what no relay says. */
#include "tests/unit/test.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/remote/lane.h"

/* What comes over each connection, all at once; then nothing. */
struct script {
    const char *const *connections; /* each is `lens` long; the last one again and again */
    const size_t *lens;
    unsigned count;
    unsigned made;
    size_t piece; /* so much in one read; 0: all of it */
};

struct fake_command {
    struct remote_command command;
    const char *data; /* that has not been given */
    size_t len;
};

static struct script script;

static int fake_start(const struct ctx *ctx, const struct remote *remote, const char *const *argv,
                      bool with_stdin, struct remote_command **ret, struct err *err)
{
    struct fake_command *command = xcalloc(1, sizeof(*command));
    unsigned which = script.made < script.count ? script.made : script.count - 1;

    (void)ctx;
    (void)argv;
    (void)with_stdin;
    (void)err;
    script.made++;
    command->command.ops = remote->ops;
    command->data = script.connections[which];
    command->len = script.lens[which];
    *ret = &command->command;
    return 0;
}

static enum remote_read fake_read(struct remote_command *command, struct remote_output *ret,
                                  struct err *err)
{
    struct fake_command *own = (struct fake_command *)command;

    (void)err;
    if (!own->len)
        return REMOTE_AGAIN;
    *ret = (struct remote_output){HELPER_STDOUT, own->data, own->len};
    if (script.piece && script.piece < own->len)
        ret->len = script.piece;
    own->data += ret->len;
    own->len -= ret->len;
    return REMOTE_OUTPUT;
}

static ssize_t fake_write(struct remote_command *command, const void *data, size_t len,
                          struct err *err)
{
    (void)command;
    (void)data;
    (void)err;
    return (ssize_t)len;
}

static size_t fake_queued(const struct remote_command *command)
{
    (void)command;
    return 0;
}

static int fake_wait(const struct ctx *ctx, struct remote_command *command, struct pollfd *fds,
                     size_t count, int timeout_ms, struct err *err)
{
    (void)command;
    return ctx_poll(ctx, fds, count, timeout_ms, err) < 0 ? -1 : 0;
}

static void fake_free(struct remote_command *command)
{
    free(command);
}

static const struct remote_ops ops = {
    .what = "relay of the test",
    .start = fake_start,
    .read = fake_read,
    .write = fake_write,
    .queued = fake_queued,
    .wait = fake_wait,
    .free = fake_free,
};

static const struct remote remote = {.ops = &ops, .name = "a test", .helper = "/helper"};

#define CONNECTIONS_MAX 20

/* Until the lane fails, or has been connected too often. */
static enum lane_move drive(struct lane *lane, struct err *err)
{
    enum lane_move move = LANE_MOVED;
    struct ctx ctx;

    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    while (move != LANE_FAILED && script.made < CONNECTIONS_MAX) {
        move = lane_move(&ctx, lane, true, err);
        if (move == LANE_AWAY)
            lane->attempt_ms = 0; /* nobody waits here */
        if (move == LANE_IDLE)
            break;
    }
    ctx_release(&ctx);
    return move;
}

#define ZERO8 "\0\0\0\0\0\0\0\0"

static const char noise[] = "Welcome to this machine!";
/* A welcome, and then a frame of a kind that there is not. */
static const char confused[] = HELPER_RELAY_WELCOME ZERO8 "?";
/* A welcome, a record with four bytes of output, and then such a frame. */
static const char some[] = HELPER_RELAY_WELCOME ZERO8 "\x4f\x09\0\0\0"
                                                      "1\x04\0\0\0text"
                                                      "?";

static void assert_given_up(const char *text, size_t len)
{
    const char *const connections[] = {text};
    struct err err = ERR_INIT;
    struct lane *lane;

    script = (struct script){connections, &len, 1, 0, 0};
    assert_int_equal(lane_new(&remote, "/lane", &lane, &err), 0);
    assert_int_equal(drive(lane, &err), LANE_FAILED);
    assert_int_equal(err.code, ERR_LOST);
    assert_string_equal(err.message, "what comes from the relay of the test makes no sense, 4 "
                                     "times: the relay in the container is confused");
    assert_int_equal(script.made, 4);
    lane_free(lane);
}

static void what_makes_no_sense_is_not_asked_for_for_ever(void **state)
{
    (void)state;
    assert_given_up(noise, sizeof(noise) - 1);
    assert_given_up(confused, sizeof(confused) - 1);
}

/* Noise that passes is what connections are made again for. */
static void noise_that_passes_is_no_end(void **state)
{
    const size_t n = sizeof(noise) - 1;
    const char *const connections[] = {
        noise, noise, noise, some, noise, noise, HELPER_RELAY_WELCOME ZERO8};
    const size_t lens[] = {n, n, n, sizeof(some) - 1, n, n, HELPER_RELAY_WELCOME_SIZE};
    struct err err = ERR_INIT;
    struct lane *lane;

    (void)state;
    script = (struct script){connections, lens, 7, 0, 0};
    assert_int_equal(lane_new(&remote, "/lane", &lane, &err), 0);
    assert_int_equal(drive(lane, &err), LANE_IDLE);
    assert_int_equal(script.made, 7);
    assert_int_equal(lane->channel.received, 9);
    lane_free(lane);
}

/* What one lane_move() takes of a megabyte of output that comes in such pieces. */
static uint64_t taken_at_once(size_t piece)
{
    enum { FRAMES = 16, FRAME = 65536, HEAD = 5 };
    CLEANUP_BUF struct buf text = BUF_INIT;
    static char zeros[FRAME - HEAD];
    const char *connection;
    struct err err = ERR_INIT;
    struct lane *lane;
    uint64_t received;
    struct ctx ctx;

    buf_add(&text, HELPER_RELAY_WELCOME ZERO8, HELPER_RELAY_WELCOME_SIZE);
    for (int i = 0; i < FRAMES; i++) {
        buf_add(&text, "O\0\0\x01\0", HEAD);
        buf_add(&text, "1\xfb\xff\0\0", HEAD);
        buf_add(&text, zeros, sizeof(zeros));
    }
    connection = text.data;
    script = (struct script){&connection, &text.len, 1, 0, piece};
    assert_int_equal(ctx_init_root(&ctx, NULL, NULL), 0);
    assert_int_equal(lane_new(&remote, "/lane", &lane, &err), 0);
    assert_int_equal(lane_move(&ctx, lane, true, &err), LANE_MOVED);
    received = lane->channel.received;
    lane_free(lane);
    ctx_release(&ctx);
    return received;
}

/* The other direction gets its turn after so much, in whatever pieces it comes. */
static void output_comes_in_turns_of_bytes(void **state)
{
    (void)state;
    assert_in_range(taken_at_once(65536), 300 << 10, 400 << 10);
    assert_in_range(taken_at_once(8192), 300 << 10, 400 << 10);
    assert_in_range(taken_at_once(0), 1000 << 10, 1 << 20);
    /* Nor is it many reads of little. */
    assert_in_range(taken_at_once(16), 0, 8 << 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_not_asked_for_for_ever),
        cmocka_unit_test(noise_that_passes_is_no_end),
        cmocka_unit_test(output_comes_in_turns_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
