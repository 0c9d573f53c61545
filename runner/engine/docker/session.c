/* Contact with the daemon can be lost at any point. Then nothing is known for sure: the container's
 * state may still be had, but its output may lack its end. So the record says EXIT_LOST, whatever
 * the container's exit code may be. Only when the request cannot have arrived whole has the program
 * not begun, and the caller may use another container. */
#include "engine/docker/session.h"

#include <signal.h>
#include <string.h>

#include "apis/http/retry.h"
#include "base/alloc.h"
#include "engine/docker/instance.h"
#include "engine/docker/oom.h"
#include "engine/helped.h"

#define KILL_WAIT_MS   15000 /* from SIGKILL to the end of the output */
#define SIGNAL_WAIT_MS 2000
#define DRAIN_WAIT_MS  5000 /* for the end of the output behind the exit */
#define LOST_WAIT_MS   12000

struct session {
    struct step_container *container;
    struct helped helped;
    size_t sent; /* of the request */
    bool stream_ended;
};

static int on_output(void *arg, enum docker_output stream, const char *data, size_t len,
                     struct err *err)
{
    struct session *session = arg;

    return helped_feed(&session->helped,
                       stream == DOCKER_OUTPUT_STDOUT ? HELPER_STDOUT : HELPER_STDERR, data, len,
                       err);
}

/* As much as goes in without waiting. */
static int send_request(struct session *session, struct err *err)
{
    while (session->sent < session->helped.request.len) {
        ssize_t n = http_stream_write(session->container->stream,
                                      session->helped.request.data + session->sent,
                                      session->helped.request.len - session->sent, err);

        if (n == HTTP_STREAM_AGAIN)
            return 0;
        if (n < 0)
            return -1;
        session->sent += (size_t)n;
    }
    return 0;
}

static bool is_over(const struct session *session)
{
    return session->stream_ended || helped_done(&session->helped);
}

/* Waits until something can be read, written, or the container has exited. */
static int idle(const struct ctx *ctx, struct session *session, struct err *err)
{
    struct step_container *container = session->container;
    bool exited = container->wait && docker_wait_done(container->wait);
    struct pollfd pollfd = {.fd = http_stream_fd(container->stream), .events = POLLIN};
    int ready;

    if (session->sent < session->helped.request.len)
        pollfd.events |= POLLOUT;
    ready =
        docker_client_poll(ctx, container->client, &pollfd, 1, exited ? DRAIN_WAIT_MS : -1, err);
    /* Something else holds the stream open. Nothing of the container can write any more. */
    if (ready == 0 && exited)
        session->stream_ended = true;
    return ready < 0 ? -1 : 0;
}

/* Moves everything until the program is over; -1 when the context ended or contact was lost. */
static int drive(const struct ctx *ctx, struct session *session, struct err *err)
{
    struct step_container *container = session->container;

    session->helped.ctx = ctx;
    while (!is_over(session)) {
        if (ctx_check(ctx, err) < 0 || send_request(session, err) < 0)
            return -1;
        if (session->sent == session->helped.request.len)
            helped_begun(&session->helped);
        switch (docker_frames_pump(&container->frames, container->stream, err)) {
        case DOCKER_PUMP_ERROR:
            return -1;
        case DOCKER_PUMP_END:
            session->stream_ended = true;
            break;
        case DOCKER_PUMP_MORE:
            break;
        case DOCKER_PUMP_IDLE:
            /* It may have given the last bytes and said so at once. */
            if (!is_over(session) && idle(ctx, session, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* To the whole tree, through the helper; a helper that does not listen is killed with it. */
static void send_signal(struct session *session, int number)
{
    struct step_container *container = session->container;
    char message[HELPER_HEADER_SIZE];
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, SIGNAL_WAIT_MS);
    helper_signal(message, number);
    if (session->sent == session->helped.request.len &&
        http_stream_write_all(&ctx, container->stream, message, sizeof(message), NULL) == 0)
        return;
    if (docker_container_kill(&ctx, container->client, container->id, NULL, NULL) < 0)
        return; /* not running any more, or out of reach: the removal follows */
}

static void kill_container(struct session *session)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, KILL_WAIT_MS);
    if (docker_container_kill(&ctx, session->container->client, session->container->id, NULL,
                              NULL) == 0 &&
        drive(&ctx, session, NULL) < 0)
        return; /* its output has no end: nothing more can be done */
}

/* Through the helper, which has files to remove; else past it. */
static void kill_program(struct session *session)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, DRAIN_WAIT_MS);
    send_signal(session, SIGKILL);
    if (drive(&ctx, session, NULL) < 0)
        kill_container(session);
}

/* The context ended: TERM, the grace, KILL. */
static void end_program(const struct ctx *ctx, struct session *session, int64_t grace_ms)
{
    CLEANUP_CTX struct ctx grace;

    ctx_init_grace(&grace, ctx, grace_ms);
    send_signal(session, SIGTERM);
    if (drive(&grace, session, NULL) < 0)
        kill_program(session);
}

/* What the container's state says now, for people. */
static void describe_container(struct session *session, char *text, size_t size)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    struct step_container *container = session->container;
    struct err err = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;
    struct retry retry;
    int result;

    ctx_init_cleanup(&ctx, LOST_WAIT_MS);
    retry_init(&retry,
               &(struct retry_policy){.attempts = 20, .base_ms = 200, .max_delay_ms = 1000});
    do {
        result = docker_container_inspect(&ctx, container->client, container->id, &found, &err);
    } while (result < 0 && retry_is_transient(&err) &&
             !instance_is_away(container->instance, &err) &&
             retry_wait(&ctx, &retry, -1, NULL) == 0);
    if (result == 0)
        instance_answered(container->instance);
    if (result < 0 && err.code == ERR_NOT_FOUND)
        snprintf(text, size, "its container is gone");
    else if (result < 0)
        snprintf(text, size, "the daemon does not come back");
    else if (found.running)
        snprintf(text, size, "its container still ran, and is removed");
    else
        snprintf(text, size, "its container has ended with code %lld, maybe not by itself",
                 (long long)found.exit_code);
}

static void record_loss(struct session *session, const struct err *why, struct exit_record *ret)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    char state[112];

    buf_addf(&text, "contact with Docker is lost, trying to get it back: %s", why->message);
    session->helped.output->note(session->helped.output, text.data);
    describe_container(session, state, sizeof(state));
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
    snprintf(ret->detail, sizeof(ret->detail), "contact with Docker was lost (%.100s); %.110s",
             why->message, state);
}

static void record_exit(const struct ctx *ctx, struct session *session, int code,
                        struct exit_record *ret)
{
    helped_record(&session->helped, code, ret);
    if (code != 0 && oom_killed(ctx, session->container, &session->helped.reply, code))
        helped_record_oom(session->container->memory_bytes, ret);
}

/* The container ended and nobody has told how the program did. Either the helper could not go on,
 * and has said why, or everything was killed; with any other code it is the end of the output that
 * is missing, and then no code counts. */
static int find_code_of_container(const struct ctx *ctx, struct session *session, int *ret,
                                  struct err *err)
{
    struct step_container *container = session->container;
    int64_t code;

    if (container->shared)
        return err_set(err, ERR_LOST, "the container that the steps share ended");
    if (docker_frames_end(&container->frames, err) < 0 || helped_flush(&session->helped, err) < 0 ||
        docker_wait_result(ctx, container->wait, &code, err) < 0)
        return -1;
    if (session->sent < session->helped.request.len)
        return err_set(err, ERR_LOST, "the container ended before the step began");
    if (code != HELPER_EXIT_CANNOT && code <= 128)
        return err_set(err, ERR_LOST, "the end of its output is missing");
    *ret = (int)code;
    return 0;
}

static int find_code(const struct ctx *ctx, struct session *session, int *ret, struct err *err)
{
    if (!helped_done(&session->helped))
        return find_code_of_container(ctx, session, ret, err);
    *ret = helper_reply_code(&session->helped.reply);
    return 0;
}

/* How the program ended that was to end; nothing if that cannot be had. */
static void record_end(struct session *session, struct exit_record *ret)
{
    CLEANUP_CTX struct ctx ctx;
    int code;

    ctx_init_cleanup(&ctx, SIGNAL_WAIT_MS);
    if (is_over(session) && find_code(&ctx, session, &code, NULL) == 0)
        *ret = (struct exit_record){.kind = EXIT_CODE, .code = code};
}

static void init(struct session *session, struct step_container *container,
                 const struct runnable *runnable, struct output *output)
{
    *session = (struct session){.container = container};
    helped_init(&session->helped, runnable, output);
    docker_frames_init(&container->frames, false, on_output, session);
}

/* What the image has is kept where nothing else is said. */
static int make_request(struct session *session, const struct docker_image *image, struct err *err)
{
    const struct helped_how how = {
        .entrypoint = (const char *const *)image->entrypoint.items,
        .arguments = session->helped.runnable->container->entrypoint
                         ? NULL
                         : (const char *const *)image->cmd.items,
    };

    return helped_request(&session->helped, &how, err);
}

enum session_end session_run(const struct ctx *ctx, struct step_container *container,
                             const struct runnable *runnable, const struct docker_image *image,
                             struct output *output, bool *ret_reusable, struct exit_record *ret,
                             struct err *err)
{
    enum session_end end = SESSION_OVER;
    struct session session;
    struct err why = ERR_INIT;
    int code = -1;

    *ret_reusable = false;
    init(&session, container, runnable, output);
    if (make_request(&session, image, err) < 0) {
        end = SESSION_FAILED;
    } else if (drive(ctx, &session, &why) == 0 && find_code(ctx, &session, &code, &why) == 0) {
        record_exit(ctx, &session, code, ret);
        helped_give_back(&session.helped);
        *ret_reusable = container->shared;
    } else if (ctx_done(ctx)) {
        end_program(ctx, &session, runnable->grace_ms);
        helped_give_back(&session.helped);
        *ret_reusable = container->shared && helped_done(&session.helped);
        record_end(&session, ret);
        ctx_check(ctx, err);
        end = SESSION_FAILED;
    } else if (session.sent < session.helped.request.len) {
        end = SESSION_NOT_BEGUN;
    } else {
        record_loss(&session, &why, ret);
    }
    helped_release(&session.helped);
    return end;
}
