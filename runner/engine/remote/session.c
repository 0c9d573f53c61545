#include "engine/remote/session.h"

#include <signal.h>

enum {
    DEADLINE_MARGIN_MS = 3000, /* the helper's own deadline is behind the runner's */
    KILL_WAIT_MS = 10000,
};

static int sink(void *arg, enum helper_stream stream, const char *data, size_t len, struct err *err)
{
    struct remote_session *session = arg;

    return helped_feed(&session->helped, stream, data, len, err);
}

void remote_session_init(struct remote_session *session, struct lane *lane,
                         const struct remote_watch *watch, const struct runnable *runnable,
                         struct output *output)
{
    *session = (struct remote_session){.lane = lane, .watch = watch};
    helped_init(&session->helped, runnable, output);
    lane->sink = sink;
    lane->sink_arg = session;
}

bool remote_session_release(struct remote_session *session)
{
    bool reusable = !session->helped.request.len || helped_done(&session->helped);

    session->lane->sink = NULL;
    helped_release(&session->helped);
    return reusable;
}

/* -1 while there is room for more output. */
static int room_fd(const struct remote_session *session)
{
    struct output *output = session->helped.output;

    return output->room_fd ? output->room_fd(output) : -1;
}

static int wait_for(const struct ctx *ctx, struct remote_session *session, bool read, int room,
                    struct err *err)
{
    const struct remote_watch *watch = session->watch;
    struct pollfd fds[] = {{.fd = watch ? watch->fd : -1, .events = POLLIN},
                           {.fd = room, .events = POLLIN}};

    if (lane_wait(ctx, session->lane, read, fds, room < 0 ? 1 : 2, err) < 0)
        return -1;
    if (watch)
        watch->heard(watch->arg);
    return 0;
}

/* Moves everything until the program is over; -1 when ctx has ended, or contact is lost for good.
 */
static int drive(const struct ctx *ctx, struct remote_session *session, struct err *err)
{
    const struct remote_watch *watch = session->watch;

    while (!helped_done(&session->helped)) {
        int room = room_fd(session);
        enum lane_move move = lane_move(ctx, session->lane, room < 0, err);

        if (move == LANE_FAILED)
            return -1;
        if (channel_pending(&session->lane->channel) == 0)
            helped_begun(&session->helped);
        if (move == LANE_MOVED || helped_done(&session->helped))
            continue;
        if (channel_ended(&session->lane->channel))
            return err_set(err, ERR_LOST, "the helper of the %s has ended",
                           session->lane->remote->ops->what);
        if (move == LANE_AWAY && watch && watch->ended(watch->arg, err))
            return -1;
        if (wait_for(ctx, session, room < 0, room, err) < 0)
            return -1;
    }
    return 0;
}

static void send_signal(struct remote_session *session, int number)
{
    char message[HELPER_HEADER_SIZE];

    helper_signal(message, number);
    channel_input(&session->lane->channel, message, sizeof(message));
}

static void kill_program(struct remote_session *session)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, KILL_WAIT_MS);
    send_signal(session, SIGKILL);
    if (drive(&ctx, session, NULL) < 0)
        channel_quit(&session->lane->channel); /* and the rest goes with the job */
}

/* The context ended: TERM, the grace, KILL. */
static void end_program(const struct ctx *ctx, struct remote_session *session)
{
    CLEANUP_CTX struct ctx grace;

    ctx_init_grace(&grace, ctx, session->helped.runnable->grace_ms);
    send_signal(session, SIGTERM);
    if (drive(&grace, session, NULL) < 0)
        kill_program(session);
}

static int make_request(const struct ctx *ctx, struct remote_session *session, const char *workdir,
                        struct err *err)
{
    int left = ctx_remaining_ms(ctx, -1);
    const struct helped_how how = {.workdir = workdir,
                                   .deadline_ms = left < 0 ? 0 : left + DEADLINE_MARGIN_MS};
    struct buf *request = &session->helped.request;
    const struct channel *channel = &session->lane->channel;

    if (helped_request(&session->helped, &how, err) < 0)
        return -1;
    session->request_at = channel->taken + channel_pending(channel);
    channel_input(&session->lane->channel, request->data, request->len);
    return 0;
}

enum remote_session_end remote_session_run(const struct ctx *ctx, struct remote_session *session,
                                           const char *workdir, struct err *err)
{
    /* What has not been asked for is not to begin any more. */
    if (ctx_check(ctx, err) < 0 || make_request(ctx, session, workdir, err) < 0)
        return SESSION_FAILED;
    if (drive(ctx, session, &session->why) == 0 &&
        !helper_reply_timed_out(&session->helped.reply)) {
        helped_give_back(&session->helped);
        return SESSION_EXITED;
    }
    if (!ctx_done(ctx) && !helped_done(&session->helped))
        return SESSION_LOST;
    if (!helped_done(&session->helped))
        end_program(ctx, session);
    helped_give_back(&session->helped);
    (void)(ctx_done(ctx) ? ctx_check(ctx, err) : ctx_timeout_error(ctx, err));
    return SESSION_STOPPED;
}

bool remote_session_unsent(const struct remote_session *session)
{
    return session->lane->channel.written <= session->request_at;
}

void remote_session_record_end(const struct remote_session *session, struct exit_record *ret)
{
    if (helped_done(&session->helped))
        *ret = (struct exit_record){.kind = EXIT_CODE,
                                    .code = helper_reply_code(&session->helped.reply)};
}
