#include "apis/kube/exec.h"

#include <string.h>

#include "apis/kube/internal.h"
#include "apis/ws/ws.h"
#include "base/json_at.h"
#include "base/parse.h"

enum {
    CHANNEL_STDIN = 0,
    CHANNEL_STATUS = 3,
    CHANNEL_RESIZE = 4,
    CHANNEL_CLOSE = 255, /* v5: ends the channel that the next byte names */
    FRAME_BYTES = 32 << 10,
    QUEUE_BYTES = 1 << 20,
    STATUS_MAX_BYTES = 1 << 20,
};

#define PROTOCOL_V5 "v5.channel.k8s.io"
#define PROTOCOL_V4 "v4.channel.k8s.io"

struct kube_exec {
    struct http_client *http;
    struct ws *ws;
    char *peer;
    bool can_close;
    bool stdin_open;
    struct buf status;
    bool ended;
    struct kube_exec_result result;
};

void kube_exec_free(struct kube_exec *exec)
{
    if (!exec)
        return;
    ws_free(exec->ws);
    http_client_free(exec->http);
    buf_release(&exec->status);
    free(exec->peer);
    free(exec);
}

static void add_path(const struct kube_exec_options *o, struct buf *path)
{
    const struct kube_ref ref = {.api_version = "v1",
                                 .resource = "pods",
                                 .ns = o->ns,
                                 .name = o->pod,
                                 .subresource = "exec"};

    kube_ref_path(path, &ref);
    kube_add_query(path, "container", o->container);
    kube_add_query(path, "stdin", o->with_stdin ? "true" : NULL);
    kube_add_query(path, "stdout", o->no_stdout ? NULL : "true");
    kube_add_query(path, "stderr", o->no_stderr ? NULL : "true");
    kube_add_query(path, "tty", o->tty ? "true" : NULL);
    for (const char *const *word = o->command; *word; word++)
        kube_add_query(path, "command", *word);
}

/* One attempt; *ret_generation as in client.c. */
static int open_once(const struct ctx *ctx, struct kube_cluster *cluster,
                     const struct kube_exec_options *o, struct kube_exec *exec,
                     struct kube_status *ret_status, unsigned *ret_generation, struct err *err)
{
    static const char *const protocols[] = {PROTOCOL_V5, PROTOCOL_V4, NULL};
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct ws_options options = {.protocols = protocols, .ping_interval_ms = o->ping_interval_ms};

    http_client_free(steal_ptr(&exec->http));
    if (kube_credentials_get(ctx, cluster->credentials, &auth, err) < 0 ||
        kube_http_new(cluster, &auth, 0, &exec->http, err) < 0)
        return -1;
    *ret_generation = auth.generation;
    add_path(o, &path);
    options.path = path.data;
    options.headers = (const char *const *)auth.headers.items;
    if (ws_open(ctx, exec->http, &options, &response, &exec->ws, err) < 0)
        return -1;
    return exec->ws ? 0 : kube_response_error(cluster, &response, ret_status, err);
}

int kube_exec_open(const struct ctx *ctx, struct kube_cluster *cluster,
                   const struct kube_exec_options *o, struct kube_exec **ret, struct err *err)
{
    CLEANUP_KUBE_EXEC struct kube_exec *exec = xcalloc(1, sizeof(*exec));
    struct kube_status status = {0};
    unsigned generation = 0;
    bool changed = false;
    int result;

    exec->peer = xstrdup(cluster->peer);
    exec->status = (struct buf)BUF_INIT;
    exec->stdin_open = o->with_stdin;
    result = open_once(ctx, cluster, o, exec, &status, &generation, err);
    if (result < 0 && status.code == 401) {
        if (kube_credentials_renew(ctx, cluster->credentials, generation, &changed, NULL) == 0 &&
            changed)
            result = open_once(ctx, cluster, o, exec, &status, &generation, err);
    }
    if (result < 0)
        return -1;
    if (!ws_protocol(exec->ws))
        return err_set(err, ERR_UNSUPPORTED, "%s runs commands by none of the protocols %s and %s",
                       exec->peer, PROTOCOL_V5, PROTOCOL_V4);
    exec->can_close = strcmp(ws_protocol(exec->ws), PROTOCOL_V5) == 0;
    *ret = steal_ptr(&exec);
    return 0;
}

/* --- what comes --- */

static int exit_code_of(const json_t *status, int *ret)
{
    const json_t *cause;
    size_t i;

    json_array_foreach (json_at(status, "details.causes"), i, cause) {
        int64_t code;

        if (strcmp(json_at_string(cause, "reason"), "ExitCode") == 0 &&
            parse_int64(json_at_string(cause, "message"), &code, NULL) == 0) {
            *ret = (int)code;
            return 0;
        }
    }
    return -1;
}

int kube_exec_parse_status(const char *text, size_t len, struct kube_exec_result *ret,
                           struct err *err)
{
    json_t *status = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    const char *word = json_at_string(status, "status");
    struct kube_exec_result result = {0};
    int code = 0;

    if (strcmp(word, "Success") != 0 && strcmp(word, "Failure") != 0) {
        json_decref(status);
        return err_set(err, ERR_PROTOCOL, "what says how a command ended is no Status: %.*s",
                       len < 200 ? (int)len : 200, text);
    }
    snprintf(result.reason, sizeof(result.reason), "%s", json_at_string(status, "reason"));
    result.exited = strcmp(word, "Success") == 0 || exit_code_of(status, &code) == 0;
    result.exit_code = code;
    if (!result.exited) {
        const char *message = json_at_string(status, "message");

        err_set(&result.error, ERR_UNAVAILABLE, "%s",
                *message ? message : "the command could not be run");
        result.error.errnum = (int)json_at_int(status, "code");
    }
    json_decref(status);
    *ret = result;
    return 0;
}

/* At the end of the connection: what has come on the channel of the Status. */
static enum kube_exec_read finish(struct kube_exec *exec, const struct ws_message *close,
                                  struct err *err)
{
    if (!exec->status.len) {
        err_set(err, ERR_LOST, "%s ended the connection without saying how the command did%s%s",
                exec->peer, close->len ? ": " : "", close->data);
        return KUBE_EXEC_ERROR;
    }
    if (kube_exec_parse_status(exec->status.data, exec->status.len, &exec->result, err) < 0) {
        err_wrap(err, "%s", exec->peer);
        return KUBE_EXEC_ERROR;
    }
    exec->ended = true;
    return KUBE_EXEC_ENDED;
}

/* KUBE_EXEC_AGAIN: the message was not for the caller. */
static enum kube_exec_read take(struct kube_exec *exec, const struct ws_message *message,
                                struct kube_exec_output *ret, struct err *err)
{
    const unsigned char channel = message->len ? (unsigned char)message->data[0] : CHANNEL_CLOSE;

    switch (channel) {
    case KUBE_EXEC_STDOUT:
    case KUBE_EXEC_STDERR:
        if (message->len == 1) /* how servers begin */
            return KUBE_EXEC_AGAIN;
        *ret = (struct kube_exec_output){.channel = (enum kube_exec_channel)channel,
                                         .data = message->data + 1,
                                         .len = message->len - 1};
        return KUBE_EXEC_OUTPUT;
    case CHANNEL_STATUS:
        if (exec->status.len + message->len > STATUS_MAX_BYTES) {
            err_set(err, ERR_LIMIT, "%s: a Status is larger than %d bytes", exec->peer,
                    STATUS_MAX_BYTES);
            return KUBE_EXEC_ERROR;
        }
        buf_add(&exec->status, message->data + 1, message->len - 1);
        return KUBE_EXEC_AGAIN;
    default:
        return KUBE_EXEC_AGAIN;
    }
}

enum kube_exec_read kube_exec_read(struct kube_exec *exec, struct kube_exec_output *ret,
                                   struct err *err)
{
    struct ws_message message = {.data = ""};

    while (!exec->ended) {
        enum kube_exec_read taken;
        struct err own = ERR_INIT;

        switch (ws_recv(exec->ws, &message, &own)) {
        case WS_RECV_MESSAGE:
            taken = take(exec, &message, ret, err);
            if (taken != KUBE_EXEC_AGAIN)
                return taken;
            break;
        case WS_RECV_AGAIN:
            return KUBE_EXEC_AGAIN;
        case WS_RECV_CLOSED:
            return finish(exec, &message, err);
        case WS_RECV_ERROR:
            /* Some proxies end the connection without a Close frame: the Status is what counts. */
            if (own.code == ERR_LOST && exec->status.len)
                return finish(exec, &(struct ws_message){.data = ""}, err);
            if (err)
                *err = own;
            return KUBE_EXEC_ERROR;
        }
    }
    return KUBE_EXEC_ENDED;
}

const struct kube_exec_result *kube_exec_result(const struct kube_exec *exec)
{
    return &exec->result;
}

/* --- what goes --- */

static int send_channel(struct kube_exec *exec, uint8_t channel, const void *data, size_t len,
                        struct err *err)
{
    CLEANUP_BUF struct buf message = BUF_INIT;

    buf_addch(&message, (char)channel);
    buf_add(&message, data, len);
    return ws_send(exec->ws, WS_BINARY, message.data, message.len, err);
}

ssize_t kube_exec_write(struct kube_exec *exec, const void *data, size_t len, struct err *err)
{
    const char *at = data;
    size_t taken = 0;

    if (!exec->stdin_open)
        return err_set(err, ERR_CONFLICT, "the command's standard input is closed");
    while (taken < len && ws_queued(exec->ws) < QUEUE_BYTES) {
        size_t part = len - taken < FRAME_BYTES ? len - taken : FRAME_BYTES;

        if (send_channel(exec, CHANNEL_STDIN, at + taken, part, err) < 0)
            return -1;
        taken += part;
    }
    return (ssize_t)taken;
}

bool kube_exec_can_close_stdin(const struct kube_exec *exec)
{
    return exec->can_close;
}

int kube_exec_close_stdin(struct kube_exec *exec, struct err *err)
{
    const char channel = CHANNEL_STDIN;

    if (!exec->can_close)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s cannot end the standard input of a command (%s does not)", exec->peer,
                       PROTOCOL_V4);
    if (!exec->stdin_open)
        return 0;
    exec->stdin_open = false;
    return send_channel(exec, CHANNEL_CLOSE, &channel, 1, err);
}

int kube_exec_resize(struct kube_exec *exec, int columns, int rows, struct err *err)
{
    CLEANUP_FREE char *text = xasprintf("{\"Width\":%d,\"Height\":%d}", columns, rows);

    return send_channel(exec, CHANNEL_RESIZE, text, strlen(text), err);
}

size_t kube_exec_queued(const struct kube_exec *exec)
{
    return ws_queued(exec->ws);
}

int kube_exec_fd(const struct kube_exec *exec)
{
    return ws_fd(exec->ws);
}

short kube_exec_events(const struct kube_exec *exec)
{
    return ws_events(exec->ws);
}

int kube_exec_timeout_ms(const struct kube_exec *exec)
{
    return ws_timeout_ms(exec->ws);
}

int kube_exec_wait(const struct ctx *ctx, struct kube_exec *exec, struct pollfd *fds, size_t count,
                   int timeout_ms, struct err *err)
{
    return ws_wait(ctx, exec->ws, fds, count, timeout_ms, err);
}
