/* What moves bytes or time between a container and us: attach, logs, wait, archive. */
#include "apis/docker/container.h"

#include "apis/docker/path.h"
#include "apis/docker/stream.h"
#include "base/json_at.h"

int docker_stream_open(const struct ctx *ctx, struct docker_client *docker, const char *path,
                       const char *body, struct http_stream **ret, struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/json", "Connection: Upgrade",
                                          "Upgrade: tcp", NULL};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP_FREE char *versioned = NULL;
    struct http_stream *stream = NULL;

    if (!docker_client_api_minor(docker) && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    versioned = xasprintf("/v1.%d%s", docker_client_api_minor(docker), path);
    if (http_stream_open(ctx, docker_client_http(docker),
                         &(struct http_request){.method = "POST",
                                                .path = versioned,
                                                .headers = headers,
                                                .body = body,
                                                .body_len = body ? strlen(body) : 0},
                         &response, &stream, err) < 0)
        return -1;
    if (!stream && response.status == 200)
        return err_set(err, ERR_PROTOCOL, "%s does not hand the connection over for %s",
                       http_client_peer(docker_client_http(docker)), path);
    if (!stream)
        return docker_response_error(&response, err);
    *ret = stream;
    return 0;
}

static void add_streams(struct buf *path, unsigned flags)
{
    docker_path_query(path, "stdout", flags & DOCKER_ATTACH_STDOUT ? "1" : "0");
    docker_path_query(path, "stderr", flags & DOCKER_ATTACH_STDERR ? "1" : "0");
}

int docker_container_attach(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, unsigned flags, struct http_stream **ret,
                            struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "containers", container, "attach?stream=1");
    if (flags & DOCKER_ATTACH_STDIN)
        docker_path_query(&path, "stdin", "1");
    add_streams(&path, flags);
    if (flags & DOCKER_ATTACH_LOGS)
        docker_path_query(&path, "logs", "1");
    return docker_stream_open(ctx, docker, path.data, NULL, ret, err);
}

static int feed_frames(void *arg, const char *data, size_t len, struct err *err)
{
    return docker_frames_feed(arg, data, len, err);
}

int docker_logs_of(const struct ctx *ctx, struct docker_client *docker, const char *collection,
                   const char *name, const struct docker_logs *o, struct docker_frames *frames,
                   struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = {.method = "GET", .write = feed_frames, .write_arg = frames};

    docker_path(&path, collection, name, "logs");
    buf_addf(&path, "?follow=%d&timestamps=%d", o->follow, o->timestamps);
    add_streams(&path, o->flags);
    if (o->since_s)
        buf_addf(&path, "&since=%jd", (intmax_t)o->since_s);
    if (o->tail)
        buf_addf(&path, "&tail=%jd", (intmax_t)o->tail);
    request.path = path.data;
    if (docker_call_raw(ctx, docker, &request, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return docker_response_error(&response, err);
    return docker_frames_end(frames, err);
}

static void logs_path(const char *container, const struct docker_logs *o, struct buf *path)
{
    docker_path(path, "containers", container, "logs");
    buf_addf(path, "?follow=%d&timestamps=%d", o->follow, o->timestamps);
    add_streams(path, o->flags);
    if (o->since_s)
        buf_addf(path, "&since=%jd", (intmax_t)o->since_s);
    if (o->tail)
        buf_addf(path, "&tail=%jd", (intmax_t)o->tail);
}

int docker_container_logs(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const struct docker_logs *o,
                          struct docker_frames *frames, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = {.method = "GET", .write = feed_frames, .write_arg = frames};

    logs_path(container, o, &path);
    request.path = path.data;
    if (docker_call_raw(ctx, docker, &request, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return docker_response_error(&response, err);
    return docker_frames_end(frames, err);
}

int docker_container_logs_start(const struct ctx *ctx, struct docker_client *docker,
                                const char *container, const struct docker_logs *options,
                                struct docker_frames *frames, struct http_call **ret,
                                struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    logs_path(container, options, &path);
    return docker_call_start(ctx, docker,
                             &(struct http_request){.method = "GET",
                                                    .path = path.data,
                                                    .write = feed_frames,
                                                    .write_arg = frames},
                             ret, err);
}

struct docker_wait {
    struct http_call *call;
};

int docker_container_wait_start(const struct ctx *ctx, struct docker_client *docker,
                                const char *container, enum docker_wait_condition condition,
                                struct docker_wait **ret, struct err *err)
{
    static const char *const conditions[] = {
        [DOCKER_WAIT_NOT_RUNNING] = "wait?condition=not-running",
        [DOCKER_WAIT_NEXT_EXIT] = "wait?condition=next-exit",
        [DOCKER_WAIT_REMOVED] = "wait?condition=removed",
    };
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct http_call *call;

    docker_path(&path, "containers", container, conditions[condition]);
    if (docker_call_start(ctx, docker, &(struct http_request){.method = "POST", .path = path.data},
                          &call, err) < 0)
        return -1;
    *ret = xmalloc(sizeof(**ret));
    (*ret)->call = call;
    return 0;
}

bool docker_wait_done(const struct docker_wait *wait)
{
    return http_call_done(wait->call);
}

int docker_wait_result(const struct ctx *ctx, struct docker_wait *wait, int64_t *ret_exit_code,
                       struct err *err)
{
    const struct buf *text = &http_call_response(wait->call)->body;
    const json_t *code;
    json_t *body;
    int result = 0;

    if (http_call_wait(ctx, wait->call, err) < 0)
        return -1;
    body = json_loadb(text->data, text->len, JSON_ALLOW_NUL, NULL);
    code = json_at(body, "StatusCode");
    if (*json_at_string(body, "Error.Message"))
        result = err_set(err, ERR_LOST, "the daemon could not tell the exit code: %s",
                         json_at_string(body, "Error.Message"));
    else if (!json_is_integer(code))
        result = err_set(err, ERR_LOST, "the daemon's answer has no exit code: %.100s", text->data);
    else
        *ret_exit_code = json_integer_value(code);
    json_decref(body);
    return result;
}

void docker_wait_free(struct docker_wait *wait)
{
    if (!wait)
        return;
    http_call_free(wait->call);
    free(wait);
}

int docker_tar_send(const struct ctx *ctx, struct docker_client *docker, const char *method,
                    const char *path, const struct docker_tar *tar, struct http_response *response,
                    http_write_fn *write, void *write_arg, struct err *err)
{
    static const char *const headers[] = {"Content-Type: application/x-tar", NULL};
    struct http_request request = {.method = method,
                                   .path = path,
                                   .headers = headers,
                                   .body = tar->read ? NULL : tar->data,
                                   .body_len = tar->read ? 0 : tar->len,
                                   .read = tar->read,
                                   .read_arg = tar->arg,
                                   .write = write,
                                   .write_arg = write_arg,
                                   .once = strcmp(method, "POST") == 0};

    if (docker_call_raw(ctx, docker, &request, response, err) < 0)
        return -1;
    return response->status == 200 ? 0 : docker_response_error(response, err);
}

int docker_container_archive_put(const struct ctx *ctx, struct docker_client *docker,
                                 const char *container, const char *path,
                                 const struct docker_tar *tar, struct err *err)
{
    CLEANUP_BUF struct buf url = BUF_INIT;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;

    docker_path(&url, "containers", container, "archive");
    docker_path_query(&url, "path", path);
    docker_path_query(&url, "noOverwriteDirNonDir", "1");
    return docker_tar_send(ctx, docker, "PUT", url.data, tar, &response, NULL, NULL, err);
}

int docker_container_archive_get(const struct ctx *ctx, struct docker_client *docker,
                                 const char *container, const char *path, http_write_fn *write,
                                 void *arg, struct err *err)
{
    CLEANUP_BUF struct buf url = BUF_INIT;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct http_request request = {.method = "GET", .write = write, .write_arg = arg};

    docker_path(&url, "containers", container, "archive");
    docker_path_query(&url, "path", path);
    request.path = url.data;
    if (docker_call_raw(ctx, docker, &request, &response, err) < 0)
        return -1;
    return response.status == 200 ? 0 : docker_response_error(&response, err);
}
