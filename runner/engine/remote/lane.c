#include "engine/remote/lane.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"

enum {
    ANSWER_MS = 10000,  /* for a request for more time; then the connection is taken for dead */
    CONNECT_MS = 15000, /* for one attempt */
    PAUSE_MS = 100,     /* between attempts: doubles, up to PAUSE_MAX_MS */
    PAUSE_MAX_MS = 3000,
    /* In one go, so that the other direction gets its turn: the relay has to hear what has been
     * received before all that it holds for that is on its way. */
    READ_BYTES_MAX = 384 << 10,
    READ_BYTES_MIN = 4 << 10, /* a read counts as at least so much */
    TELL_MS = 10,   /* from then on what has been received is told, however little it is */
    FAULTS_MAX = 4, /* without any output between them; then another connection is no remedy */
};

static int deliver(void *arg, enum helper_stream stream, const char *data, size_t len,
                   struct err *err)
{
    struct lane *lane = arg;

    return lane->sink ? lane->sink(lane->sink_arg, stream, data, len, err) : 0;
}

int lane_new(const struct remote *remote, const char *directory, struct lane **ret, struct err *err)
{
    struct lane *lane = xcalloc(1, sizeof(*lane));

    if (gate_init(&lane->busy, 1, err) < 0) {
        free(lane);
        return -1;
    }
    if (channel_init(&lane->channel, deliver, lane, err) < 0) {
        gate_release(&lane->busy);
        free(lane);
        return -1;
    }
    lane->remote = remote;
    lane->directory = xstrdup(directory);
    lane->heard_ms = clock_monotonic_ms();
    *ret = lane;
    return 0;
}

void lane_disconnect(struct lane *lane)
{
    if (lane->command)
        lane->remote->ops->free(steal_ptr(&lane->command));
}

void lane_free(struct lane *lane)
{
    if (!lane)
        return;
    lane_disconnect(lane);
    channel_release(&lane->channel);
    gate_release(&lane->busy);
    free(lane->directory);
    free(lane);
}

/* --- connections --- */

static void pause_after_failure(struct lane *lane)
{
    int64_t pause = PAUSE_MS;

    for (unsigned i = 0; i < lane->failures && pause < PAUSE_MAX_MS; i++)
        pause *= 2;
    lane->failures++;
    lane->attempt_ms = clock_monotonic_ms() + (pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS);
}

static enum lane_move broken(struct lane *lane)
{
    log_debug("remote", "the connection to %s is broken: %s", lane->remote->name,
              lane->why.message);
    lane_disconnect(lane);
    pause_after_failure(lane);
    return LANE_AWAY;
}

static enum lane_move connect_lane(const struct ctx *ctx, struct lane *lane, struct err *err)
{
    const char *const argv[] = {lane->remote->helper, "attach", lane->directory, NULL};
    struct ctx attempt;
    int result;

    if (clock_monotonic_ms() < lane->attempt_ms)
        return LANE_AWAY;
    err_clear(&lane->why);
    ctx_init(&attempt, ctx);
    ctx_set_timeout(&attempt, CONNECT_MS, "connection");
    result =
        lane->remote->ops->start(&attempt, lane->remote, argv, true, &lane->command, &lane->why);
    ctx_release(&attempt);
    if (result == 0) {
        channel_connected(&lane->channel);
        lane->renewed_ms = clock_monotonic_ms();
        channel_renew(&lane->channel, LANE_LEASE_MS);
        return LANE_MOVED;
    }
    if (ctx_check(ctx, err) < 0)
        return LANE_FAILED;
    return broken(lane);
}

/* --- both directions --- */

static int send_all(struct lane *lane, bool *moved)
{
    const char *data;
    size_t len;

    while ((len = channel_output(&lane->channel, &data)) > 0) {
        ssize_t n = lane->remote->ops->write(lane->command, data, len, &lane->why);

        if (n < 0)
            return -1;
        if (n == 0)
            return 0;
        channel_sent(&lane->channel, (size_t)n);
        *moved = true;
    }
    return 0;
}

/* What the bridge on the other side says of itself. */
static void note_message(struct lane *lane, const char *data, size_t len)
{
    log_debug("remote", "%s: %.*s", lane->remote->name, (int)(len < 300 ? len : 300), data);
}

/* Of the same output again: a welcome in front of it is no progress. */
static void note_fault(struct lane *lane)
{
    lane->faults = lane->faults_at == lane->channel.received ? lane->faults + 1 : 1;
    lane->faults_at = lane->channel.received;
}

static int take(struct lane *lane, const struct remote_output *output)
{
    if (output->stream != HELPER_STDOUT) {
        note_message(lane, output->data, output->len);
        return 0;
    }
    if (channel_feed(&lane->channel, output->data, output->len, &lane->why) < 0) {
        note_fault(lane);
        return -1;
    }
    lane->heard_ms = clock_monotonic_ms();
    lane->met = true;
    lane->unreachable = false;
    lane->failures = 0;
    return 0;
}

static int connection_ended(struct lane *lane)
{
    int code;

    if (lane->remote->ops->exit_code(lane->command, &code, &lane->why) < 0)
        return -1;
    lane->unreachable = code == HELPER_EXIT_NO_RELAY || code == HELPER_EXIT_NOT_FOUND;
    return err_set(&lane->why, ERR_LOST, "its relay cannot be reached (exit code %d)", code);
}

static int receive_all(struct lane *lane, bool *moved)
{
    size_t bytes = 0;

    while (bytes < READ_BYTES_MAX) {
        struct remote_output output;

        switch (lane->remote->ops->read(lane->command, &output, &lane->why)) {
        case REMOTE_OUTPUT:
            *moved = true;
            bytes += output.len > READ_BYTES_MIN ? output.len : READ_BYTES_MIN;
            if (take(lane, &output) < 0)
                return -1;
            continue;
        case REMOTE_AGAIN:
            return 0;
        case REMOTE_ENDED:
            return connection_ended(lane);
        case REMOTE_ERROR:
            return -1;
        }
    }
    return 0;
}

/* A connection that is silent although it was asked is one that broke unnoticed. */
static int renew(struct lane *lane, bool read)
{
    int64_t now = clock_monotonic_ms();

    if (!read)
        lane->heard_ms = now; /* whoever does not listen cannot say that it is silent */
    if (lane->heard_ms < lane->renewed_ms && now - lane->renewed_ms > ANSWER_MS)
        return err_set(&lane->why, ERR_LOST, "no answer for %d seconds", ANSWER_MS / 1000);
    if (now - lane->renewed_ms >= LANE_RENEW_MS) {
        channel_renew(&lane->channel, LANE_LEASE_MS);
        lane->renewed_ms = now;
    }
    return 0;
}

static void tell_in_time(struct lane *lane)
{
    int64_t now = clock_monotonic_ms();

    if (!channel_untold(&lane->channel))
        lane->untold_ms = 0;
    else if (!lane->untold_ms)
        lane->untold_ms = now;
    if (lane->untold_ms && now - lane->untold_ms >= TELL_MS)
        channel_tell(&lane->channel);
}

static enum lane_move give_up_or(struct lane *lane, enum lane_move move, struct err *err)
{
    if (lane->why.code == ERR_DENIED && lane->why.errnum == 0) {
        if (err)
            *err = lane->why;
        return LANE_FAILED;
    }
    if (lane->faults >= FAULTS_MAX) {
        err_set(err, ERR_LOST, "what comes from the %s makes no sense, %u times: %s",
                lane->remote->ops->what, lane->faults, lane->why.message);
        return LANE_FAILED;
    }
    if (clock_monotonic_ms() - lane->heard_ms < LANE_LEASE_MS)
        return move;
    err_set(err, ERR_LOST, "no contact for %d seconds, after which the %s ends by itself: %s",
            LANE_LEASE_MS / 1000, lane->remote->ops->what, lane->why.message);
    return LANE_FAILED;
}

enum lane_move lane_move(const struct ctx *ctx, struct lane *lane, bool read, struct err *err)
{
    bool moved = false;

    if (ctx_check(ctx, err) < 0)
        return LANE_FAILED;
    if (!lane->command) {
        enum lane_move move = connect_lane(ctx, lane, err);

        if (move == LANE_AWAY)
            return give_up_or(lane, move, err);
        if (move == LANE_FAILED)
            return move;
    }
    /* What has come is heard before anything is called silent. */
    if (send_all(lane, &moved) < 0 || (read && receive_all(lane, &moved) < 0) ||
        renew(lane, read) < 0)
        return give_up_or(lane, broken(lane), err);
    tell_in_time(lane);
    if (send_all(lane, &moved) < 0)
        return give_up_or(lane, broken(lane), err);
    return moved ? LANE_MOVED : LANE_IDLE;
}

static int ms_until(int64_t when_ms)
{
    int64_t left = when_ms - clock_monotonic_ms();

    return left < 0 ? 0 : (int)left;
}

int lane_wait(const struct ctx *ctx, struct lane *lane, bool read, struct pollfd *fds, size_t count,
              struct err *err)
{
    int64_t due = lane->renewed_ms + LANE_RENEW_MS;

    if (!lane->command)
        return ctx_poll(ctx, fds, count, ms_until(lane->attempt_ms), err) < 0 ? -1 : 0;
    /* What is to be told already, and is not, waits for room, not for a time. */
    if (channel_untold(&lane->channel) && !lane->channel.tell && lane->untold_ms + TELL_MS < due)
        due = lane->untold_ms + TELL_MS;
    if (!read)
        return ctx_poll(ctx, fds, count, ms_until(due), err) < 0 ? -1 : 0;
    if (lane->heard_ms < lane->renewed_ms && lane->renewed_ms + ANSWER_MS < due)
        due = lane->renewed_ms + ANSWER_MS;
    return lane->remote->ops->wait(ctx, lane->command, fds, count, ms_until(due) + 1, err) < 0 ? -1
                                                                                               : 0;
}

void lane_quit(const struct ctx *ctx, struct lane *lane)
{
    const struct remote_ops *ops = lane->remote->ops;
    enum lane_move move = LANE_MOVED;

    if (!lane->command)
        return;
    channel_quit(&lane->channel);
    while (move == LANE_MOVED && lane->command)
        move = lane_move(ctx, lane, false, NULL);
    while (lane->command && ops->queued(lane->command) > 0) {
        if (ops->wait(ctx, lane->command, NULL, 0, 100, NULL) < 0 ||
            lane_move(ctx, lane, true, NULL) < LANE_IDLE)
            return;
    }
}

bool lane_await_end(const struct ctx *ctx, struct lane *lane)
{
    bool connected = lane->command != NULL;

    while (lane->command) {
        enum lane_move move = lane_move(ctx, lane, true, NULL);

        if (move == LANE_FAILED ||
            (move == LANE_IDLE && lane_wait(ctx, lane, true, NULL, 0, NULL) < 0))
            return false;
    }
    return connected && !lane->unreachable;
}
