/* One step: a connection, a command on it, and what comes until both the helper has told how the
 * program ended and the agent has. The helper's word counts: agents give 127 for every failure, and
 * 0 for what they have been asked to cancel. An agent that ends, or breaks off, before that is the
 * loss of the step, whatever its last word was; a command is never sent twice.
 *
 * What is sent to a running program goes over another connection (script.h). */
#include <signal.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "engine/helped.h"
#include "engine/idp/instance.h"
#include "engine/idp/script.h"

enum {
    DEADLINE_MARGIN_MS = 3000, /* the helper's own deadline is behind the runner's */
    AGENT_MARGIN_MS = 30000,   /* and the agent's behind that, with the grace between */
    SIGNAL_WAIT_MS = 5000,
    KILL_WAIT_MS = 15000,
    /* The shell has ended, or the program: the other follows unless something is wrong. */
    FOLLOW_WAIT_MS = 5000,
    LOOK_WAIT_MS = 15000, /* for an agent that was silent; below its own patience of 30 s */
    HEAD_MAX = 64 << 10,
    WORDS_MAX = 200,
};

struct session {
    const struct idp_instance *instance;
    const struct runnable *runnable;
    struct helped helped;
    struct idp *idp;
    char token[40];
    struct buf head;   /* standard output until the shell has spoken */
    unsigned long pid; /* of the shell; 0: it has not */
    bool exited;
    int exit_code;    /* the agent's word */
    bool overdue;     /* the agent has killed it, as its own limit of time was over */
    struct buf words; /* what the agent itself says, for all that is known */
    int64_t heard_ms; /* monotonic */
};

/* --- what comes --- */

static void add_words(struct session *session, const char *data, size_t len)
{
    size_t room = WORDS_MAX - session->words.len;

    buf_add(&session->words, data, len < room ? len : room);
}

/* Looks for what the shell says first; what an agent may have put in front of it is output. */
static int take_head(struct session *session, const char *data, size_t len, struct err *err)
{
    CLEANUP_FREE char *mark = xasprintf("\x1e%s ", session->token);
    const char *found;
    const char *end = NULL;
    size_t before;

    buf_add(&session->head, data, len);
    found = memmem(session->head.data, session->head.len, mark, strlen(mark));
    if (found)
        end = memchr(found, '\n', session->head.len - (size_t)(found - session->head.data));
    if (!end)
        return session->head.len <= HEAD_MAX
                   ? 0
                   : err_set(err, ERR_PROTOCOL,
                             "the agent runs something else than what it was "
                             "sent");
    session->pid = strtoul(found + strlen(mark), NULL, 10);
    if (!session->pid)
        return err_set(err, ERR_PROTOCOL, "the agent says what it was not sent");
    before = (size_t)(found - session->head.data);
    helped_begun(&session->helped);
    if (helped_feed(&session->helped, HELPER_STDOUT, session->head.data, before, err) < 0)
        return -1;
    return helped_feed(&session->helped, HELPER_STDOUT, end + 1,
                       session->head.len - (size_t)(end + 1 - session->head.data), err);
}

/* In a message of its own, with the whole script, while the helper still ends the rest. */
static bool says_overdue(const struct idp_message *message)
{
    static const char words[] = "failed to run command: timeout to run command";

    return message->len >= strlen(words) && memcmp(message->data, words, strlen(words)) == 0;
}

/* Behind the helper's last word on a stream comes only what the agent says. */
static int take_output(struct session *session, enum helper_stream stream,
                       const struct idp_message *message, struct err *err)
{
    if (stream == HELPER_STDERR && says_overdue(message)) {
        session->overdue = true;
        return 0;
    }
    if (session->helped.reply.scans[stream].done) {
        add_words(session, message->data, message->len);
        return 0;
    }
    if (!session->pid && stream == HELPER_STDOUT)
        return take_head(session, message->data, message->len, err);
    if (!session->pid)
        add_words(session, message->data, message->len);
    return helped_feed(&session->helped, stream, message->data, message->len, err);
}

static int take(struct session *session, const struct idp_message *message, struct err *err)
{
    switch (message->type) {
    case IDP_STDOUT:
        return take_output(session, HELPER_STDOUT, message, err);
    case IDP_STDERR:
        return take_output(session, HELPER_STDERR, message, err);
    case IDP_EXIT:
        session->exited = true;
        session->exit_code = message->exit_code;
        return 0;
    default:
        return 0;
    }
}

/* -1 while there is room for more output. */
static int room_fd(const struct session *session)
{
    struct output *output = session->helped.output;

    return output->room_fd ? output->room_fd(output) : -1;
}

/* A silent agent may hang, or have been replaced by another. */
static int look_at_agent(const struct ctx *above, struct session *session, struct err *err)
{
    int64_t now = clock_monotonic_ms();
    CLEANUP_IDP struct idp *idp = NULL;
    struct err why = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init(&ctx, above);
    if (now - session->heard_ms < session->instance->patience_ms)
        return 0;
    ctx_set_timeout(&ctx, LOOK_WAIT_MS, "the agent's");
    if (idp_open(&ctx, &session->instance->options, &idp, &why) < 0 && !ctx_done(above) &&
        (why.code == ERR_UNAVAILABLE || why.code == ERR_TIMEOUT))
        return err_set(err, ERR_LOST, "%s does not answer any more", session->instance->peer);
    session->heard_ms = clock_monotonic_ms();
    return 0;
}

static int wait_for(const struct ctx *ctx, struct session *session, int room, struct err *err)
{
    struct pollfd fd = {.fd = room, .events = POLLIN};
    int64_t left = session->heard_ms + session->instance->patience_ms - clock_monotonic_ms();

    if (room < 0 && look_at_agent(ctx, session, err) < 0)
        return -1;
    return idp_wait(ctx, session->idp, &fd, room < 0 ? 0 : 1, room < 0, left < 0 ? 0 : (int)left,
                    err) < 0
               ? -1
               : 0;
}

static bool is_over(const struct session *session)
{
    return session->exited && (helped_done(&session->helped) || !session->pid);
}

/* Takes all that is there without waiting. */
static int read_all(struct session *session, struct err *err)
{
    struct idp_message message;

    while (!is_over(session) && room_fd(session) < 0) {
        switch (idp_read(session->idp, &message, err)) {
        case IDP_READ_ERROR:
            return -1;
        case IDP_READ_AGAIN:
            return 0;
        case IDP_READ_MESSAGE:
            session->heard_ms = clock_monotonic_ms();
            if (take(session, &message, err) < 0)
                return -1;
        }
    }
    return 0;
}

/* Until the command is over; -1 when ctx has ended, or contact is lost. */
static int drive(const struct ctx *above, struct session *session, struct err *err)
{
    bool follows = false;
    CLEANUP_CTX struct ctx follow;

    ctx_init(&follow, above);
    for (;;) {
        if (ctx_check(above, err) < 0 || read_all(session, err) < 0)
            return -1;
        if (is_over(session))
            return 0;
        if (!follows && (session->exited || helped_done(&session->helped))) {
            follows = true;
            ctx_set_timeout(&follow, FOLLOW_WAIT_MS, "the agent's");
        }
        if (wait_for(&follow, session, room_fd(session), err) < 0)
            return -1;
    }
}

/* --- an end before its time --- */

static void send_signal(struct session *session, int number)
{
    CLEANUP_IDP_ANSWER struct idp_answer answer = IDP_ANSWER_INIT;
    CLEANUP_BUF struct buf script = BUF_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, SIGNAL_WAIT_MS);
    idp_script_signal(&script, session->token, session->pid, number);
    /* When that fails there is the agent's own way, which kills. */
    (void)!idp_instance_ask(&ctx, session->instance, script.data, session->runnable->user, &answer,
                            NULL);
}

static void kill_program(struct session *session)
{
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, KILL_WAIT_MS);
    if (idp_cancel(session->idp, NULL) == 0)
        (void)!drive(&ctx, session, NULL);
}

/* The context ended: TERM, the grace, KILL. */
static void end_program(const struct ctx *ctx, struct session *session)
{
    CLEANUP_CTX struct ctx grace;

    ctx_init_grace(&grace, ctx, session->runnable->grace_ms);
    if (session->pid) {
        send_signal(session, SIGTERM);
        (void)!drive(&grace, session, NULL);
    }
    if (!helped_done(&session->helped))
        kill_program(session);
}

/* --- the record --- */

/* The first line of what the agent has said, if it has. */
static void add_agents_words(const struct session *session, char *detail, size_t size)
{
    size_t len = strcspn(session->words.data, "\r\n");

    if (len)
        snprintf(detail, size, "%s: %.*s", session->instance->peer, (int)len, session->words.data);
}

static void record_loss(const struct session *session, const struct err *why,
                        struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
    snprintf(ret->detail, sizeof(ret->detail), "%.250s",
             why->code ? why->message : "the agent gave no word of how the step ended");
    (void)session;
}

/* The agent has ended the command, and the helper has not said how it did. */
static void record_silence(const struct session *session, struct exit_record *ret)
{
    struct err why = ERR_INIT;

    if (!session->pid && session->exit_code != 0) {
        helped_record(&session->helped, session->exit_code, ret);
        if (!*ret->detail)
            add_agents_words(session, ret->detail, sizeof(ret->detail));
        return;
    }
    err_set(&why, ERR_LOST,
            "%s says that the command has ended with %d, but not what became of the step",
            session->instance->peer, session->exit_code);
    record_loss(session, &why, ret);
}

static void record_exit(struct session *session, struct exit_record *ret)
{
    const struct helped *helped = &session->helped;
    helped_record(helped, helper_reply_code(&helped->reply), ret);
    if (ret->code == 128 + SIGKILL && session->overdue)
        snprintf(ret->detail, sizeof(ret->detail), "%s has killed it: its own --timeout is over",
                 session->instance->peer);
}

/* --- all --- */

static void init(struct session *session, const struct idp_instance *instance,
                 const struct runnable *runnable, struct output *output)
{
    CLEANUP_BUF struct buf token = BUF_INIT;

    *session = (struct session){.instance = instance,
                                .runnable = runnable,
                                .head = BUF_INIT,
                                .words = BUF_INIT,
                                .heard_ms = clock_monotonic_ms()};
    idp_unique(&token);
    snprintf(session->token, sizeof(session->token), "%s", token.data);
    helped_init(&session->helped, runnable, output);
}

static void release(struct session *session)
{
    idp_free(session->idp);
    helped_release(&session->helped);
    buf_release(&session->head);
    buf_release(&session->words);
}

static int make_script(const struct ctx *ctx, struct session *session, struct idp_script *script,
                       struct err *err)
{
    int left = ctx_remaining_ms(ctx, -1);
    struct helped_how how = {.bare = true,
                             .environment = &script->rest,
                             .deadline_ms = left < 0 ? 0 : left + DEADLINE_MARGIN_MS};

    if (idp_script_environment(script, session->runnable, err) < 0 ||
        helped_request(&session->helped, &how, err) < 0)
        return -1;
    return idp_script_make(script, session->token, &session->instance->helper, session->runnable,
                           &session->helped.request, err);
}

/* *ret_sent: it may have begun. */
static int start(const struct ctx *ctx, struct session *session, bool *ret_sent, struct err *err)
{
    CLEANUP_IDP_SCRIPT struct idp_script script = IDP_SCRIPT_INIT;
    int left = ctx_remaining_ms(ctx, -1);
    struct idp_command command = {.id = session->token,
                                  .environment = &script.environment,
                                  .shell = "/bin/sh",
                                  .user = session->runnable->user,
                                  .timeout_ms = left < 0 ? 0
                                                         : left + session->runnable->grace_ms +
                                                               AGENT_MARGIN_MS,
                                  .clean_workdir = true};

    if (make_script(ctx, session, &script, err) < 0 ||
        idp_instance_open(ctx, session->instance, &session->idp, err) < 0)
        return -1;
    command.script = script.text.data;
    *ret_sent = true;
    return idp_run(session->idp, &command, err);
}

static int run(const struct ctx *ctx, struct session *session, struct exit_record *ret,
               struct err *err)
{
    struct err why = ERR_INIT;
    bool sent = false;
    int result = start(ctx, session, &sent, &why);

    if (!sent || why.code == ERR_INVALID) {
        if (err)
            *err = why;
        return -1;
    }
    if (result == 0)
        (void)!drive(ctx, session, &why);
    if (!helped_done(&session->helped) && ctx_done(ctx))
        end_program(ctx, session);
    (void)!helped_flush(&session->helped, NULL);
    helped_give_back(&session->helped);
    if (helped_done(&session->helped))
        record_exit(session, ret);
    if (ctx_done(ctx))
        return ctx_check(ctx, err);
    if (!helped_done(&session->helped)) {
        if (session->exited)
            record_silence(session, ret);
        else
            record_loss(session, &why, ret);
    }
    return helped_done(&session->helped) && helper_reply_timed_out(&session->helped.reply)
               ? ctx_timeout_error(ctx, err)
               : 0;
}

int idp_session_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err)
{
    struct session session;
    int result;

    init(&session, ((struct idp_place *)place)->instance, runnable, output);
    result = run(ctx, &session, ret, err);
    release(&session);
    return result;
}
