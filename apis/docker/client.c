#include "apis/docker/client.h"

#include "apis/docker/path.h"
#include "base/alloc.h"
#include "base/json_at.h"
#include "base/parse.h"

struct docker_client {
    struct http_client *http;
    int api_minor;
    bool podman;
    int64_t retry_after_ms;
};

int docker_client_new(const struct docker_endpoint *endpoint, int api_minor,
                      struct docker_client **ret, struct err *err)
{
    CLEANUP_DOCKER_CLIENT struct docker_client *docker = xcalloc(1, sizeof(*docker));
    CLEANUP_FREE char *peer = xasprintf("the Docker daemon at %s", endpoint->url);
    static const char *const headers[] = {"User-Agent: runner/" RUNNER_VERSION, NULL};
    struct http_client_options options = {
        .base_url = endpoint->base_url,
        .unix_socket = endpoint->unix_socket,
        .peer = peer,
        .tls = {.ca_file = endpoint->ca_file,
                .cert_file = endpoint->cert_file,
                .key_file = endpoint->key_file,
                .insecure = endpoint->insecure},
        .headers = headers,
    };

    docker->api_minor = api_minor;
    docker->retry_after_ms = -1;
    if (http_client_new(&options, &docker->http, err) < 0)
        return -1;
    *ret = steal_ptr(&docker);
    return 0;
}

void docker_client_free(struct docker_client *docker)
{
    if (!docker)
        return;
    http_client_free(docker->http);
    free(docker);
}

int docker_client_api_minor(const struct docker_client *docker)
{
    return docker->api_minor;
}

bool docker_client_is_podman(const struct docker_client *docker)
{
    return docker->podman;
}

int64_t docker_client_retry_after_ms(const struct docker_client *docker)
{
    return docker->retry_after_ms;
}

struct http_client *docker_client_http(struct docker_client *docker)
{
    return docker->http;
}

int docker_client_poll(const struct ctx *ctx, struct docker_client *docker, struct pollfd *fds,
                       size_t count, int timeout_ms, struct err *err)
{
    return http_client_poll(ctx, docker->http, fds, count, timeout_ms, err);
}

static enum err_code status_code(int status)
{
    switch (status) {
    case 400:
        return ERR_INVALID;
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 501:
        return ERR_UNSUPPORTED;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504:
        return ERR_UNAVAILABLE;
    default:
        return ERR_PROTOCOL;
    }
}

/* Podman answers 500 where Docker answers 409. */
static enum err_code refusal_code(int status, const char *message)
{
    static const char *const conflicts[] = {"already exists", "already in use", "state improper"};

    for (size_t i = 0; status == 500 && i < sizeof(conflicts) / sizeof(*conflicts); i++) {
        if (strstr(message, conflicts[i]))
            return ERR_CONFLICT;
    }
    return status_code(status);
}

int docker_response_error(const struct http_response *response, struct err *err)
{
    json_t *body = json_loadb(response->body.data, response->body.len, JSON_ALLOW_NUL, NULL);
    const char *message = json_at_string(body, "message");
    CLEANUP_FREE char *line = NULL;

    if (!*message)
        message = response->body.data;
    /* Errors are one line; runc's and the registries' have several. */
    line =
        xstrndup(message, strlen(message) < ERR_MESSAGE_SIZE ? strlen(message) : ERR_MESSAGE_SIZE);
    for (char *c = line; *c; c++) {
        if ((unsigned char)*c < ' ')
            *c = ' ';
    }
    for (size_t len = strlen(line); len && line[len - 1] == ' ';)
        line[--len] = '\0';
    if (*line)
        err_set(err, refusal_code(response->status, line), "%s", line);
    else
        err_set(err, status_code(response->status),
                "the Docker daemon answered with HTTP status %d", response->status);
    if (err)
        err->errnum = response->status;
    json_decref(body);
    return -1;
}

static int negotiate(struct docker_client *docker, const struct http_response *response,
                     struct err *err)
{
    const char *version = strmap_get(&response->headers, "api-version");
    int64_t minor = 0;

    docker->podman = strmap_has(&response->headers, "libpod-api-version");
    if (!version || strncmp(version, "1.", 2) != 0 || parse_int64(version + 2, &minor, NULL) < 0)
        return err_set(err, ERR_PROTOCOL, "%s does not name its API version: is it Docker?",
                       http_client_peer(docker->http));
    if (minor < DOCKER_API_MINOR_MIN)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s has API version %s, but 1.%d is needed; install a newer Docker",
                       http_client_peer(docker->http), version, DOCKER_API_MINOR_MIN);
    docker->api_minor = minor < DOCKER_API_MINOR_MAX ? (int)minor : DOCKER_API_MINOR_MAX;
    return 0;
}

int docker_client_ping(const struct ctx *ctx, struct docker_client *docker, struct err *err)
{
    static const char *const keep[] = {"api-version", "libpod-api-version", NULL};
    struct http_request request = {.method = "GET", .path = "/_ping", .keep = keep};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;

    if (http_perform(ctx, docker->http, &request, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return docker_response_error(&response, err);
    return negotiate(docker, &response, err);
}

/* The request with the version prefix in its path, and Retry-After kept. */
static int versioned(const struct ctx *ctx, struct docker_client *docker,
                     const struct http_request *request, struct http_request *ret, char **ret_path,
                     struct err *err)
{
    static const char *const keep[] = {"retry-after", NULL};

    if (!docker->api_minor && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    *ret_path = xasprintf("/v1.%d%s", docker->api_minor, request->path);
    *ret = *request;
    ret->path = *ret_path;
    if (!ret->keep)
        ret->keep = keep;
    return 0;
}

static bool success(int status)
{
    return status >= 200 && status <= 299;
}

int docker_call_raw(const struct ctx *ctx, struct docker_client *docker,
                    const struct http_request *request, struct http_response *response,
                    struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    struct http_request actual;

    if (versioned(ctx, docker, request, &actual, &path, err) < 0)
        return -1;
    docker->retry_after_ms = -1;
    if (http_perform(ctx, docker->http, &actual, response, err) < 0)
        return -1;
    if (!success(response->status))
        docker->retry_after_ms = http_response_retry_after_ms(response);
    return 0;
}

int docker_call_start(const struct ctx *ctx, struct docker_client *docker,
                      const struct http_request *request, struct http_call **ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_HTTP_CALL struct http_call *call = NULL;
    struct http_request actual;

    if (versioned(ctx, docker, request, &actual, &path, err) < 0 ||
        http_start(docker->http, &actual, &call, err) < 0 ||
        http_call_wait_started(ctx, call, err) < 0)
        return -1;
    if (!success(http_call_response(call)->status)) {
        if (http_call_wait(ctx, call, err) < 0)
            return -1;
        docker->retry_after_ms = http_response_retry_after_ms(http_call_response(call));
        return docker_response_error(http_call_response(call), err);
    }
    *ret = steal_ptr(&call);
    return 0;
}

static void cleanup_string(char **text)
{
    free(*text);
}

/* Of an answer that is a success; ret may be NULL. */
static int read_json(struct docker_client *docker, const char *method, const char *path,
                     const struct http_response *response, json_t **ret, struct err *err)
{
    json_error_t where;
    json_t *value;

    if (!ret)
        return 0;
    value = response->body.len ? json_loadb(response->body.data, response->body.len,
                                            JSON_ALLOW_NUL | JSON_DECODE_ANY, &where)
                               : json_null();
    if (!value)
        return err_set(err, ERR_PROTOCOL, "%s: the answer to %s %s is not JSON: %s",
                       http_client_peer(docker->http), method, path, where.text);
    *ret = value;
    return 0;
}

static int call_json(const struct ctx *ctx, struct docker_client *docker, const char *method,
                     const char *path, json_t *body, int64_t settle_ms, int ok_also, json_t **ret,
                     struct err *err)
{
    static const char *const json_headers[] = {"Content-Type: application/json", NULL};
    CLEANUP(cleanup_string) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_request request = {.method = method,
                                   .path = path,
                                   .headers = body ? json_headers : NULL,
                                   .body = text,
                                   .body_len = text ? strlen(text) : 0,
                                   .once = strcmp(method, "POST") == 0,
                                   .settle_ms = settle_ms};
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;

    if (body && !text)
        return err_set(err, ERR_INVALID, "a name or value for Docker is not valid UTF-8");
    if (docker_call_raw(ctx, docker, &request, &response, err) < 0)
        return -1;
    if (!success(response.status) && response.status != ok_also)
        return docker_response_error(&response, err);
    return read_json(docker, method, path, &response, ret, err);
}

int docker_call(const struct ctx *ctx, struct docker_client *docker, const char *method,
                const char *path, json_t *body, int ok_also, json_t **ret, struct err *err)
{
    return call_json(ctx, docker, method, path, body, 0, ok_also, ret, err);
}

int docker_call_create(const struct ctx *ctx, struct docker_client *docker, const char *path,
                       json_t *body, json_t **ret, struct err *err)
{
    return call_json(ctx, docker, "POST", path, body, DOCKER_SETTLE_MS, 0, ret, err);
}

struct docker_pending {
    struct docker_client *docker;
    struct http_call *call;
    const char *method; /* a literal */
    char *path;
    char *text;
};

int docker_call_begin(const struct ctx *ctx, struct docker_client *docker, const char *method,
                      const char *path, json_t *body, const char *registry_auth,
                      struct docker_pending **ret, struct err *err)
{
    CLEANUP_FREE char *auth =
        registry_auth ? xasprintf("X-Registry-Auth: %s", registry_auth) : NULL;
    const char *headers[] = {auth ? auth : "Content-Type: application/json",
                             auth ? "Content-Type: application/json" : NULL, NULL};
    CLEANUP_DOCKER_PENDING struct docker_pending *pending = xcalloc(1, sizeof(*pending));
    struct http_request request = {.method = method,
                                   .path = path,
                                   .headers = headers,
                                   .once = strcmp(method, "POST") == 0};
    struct http_request actual;

    *pending = (struct docker_pending){.docker = docker, .method = method};
    pending->text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !pending->text)
        return err_set(err, ERR_INVALID, "a name or value for Docker is not valid UTF-8");
    request.body = pending->text;
    request.body_len = pending->text ? strlen(pending->text) : 0;
    if (versioned(ctx, docker, &request, &actual, &pending->path, err) < 0 ||
        http_start(docker->http, &actual, &pending->call, err) < 0)
        return -1;
    *ret = steal_ptr(&pending);
    return 0;
}

/* A POST goes on in the daemon when ctx has ended: its answer says what there is now. */
static int wait_settled(const struct ctx *ctx, struct docker_pending *pending, struct err *err)
{
    struct ctx settle;
    int result = http_call_wait(ctx, pending->call, err);

    if (result == 0 || http_call_done(pending->call) || strcmp(pending->method, "POST") != 0)
        return result;
    ctx_init_cleanup(&settle, DOCKER_SETTLE_MS);
    result = http_call_wait(&settle, pending->call, NULL);
    ctx_release(&settle);
    return result;
}

int docker_call_end(const struct ctx *ctx, struct docker_pending *pending, json_t **ret,
                    struct err *err)
{
    const struct http_response *response = http_call_response(pending->call);
    int result = wait_settled(ctx, pending, err);

    if (result == 0 && !success(response->status))
        result = docker_response_error(response, err);
    else if (result == 0)
        result = read_json(pending->docker, pending->method, pending->path, response, ret, err);
    docker_pending_free(pending);
    return result;
}

void docker_pending_free(struct docker_pending *pending)
{
    if (!pending)
        return;
    http_call_free(pending->call);
    free(pending->path);
    free(pending->text);
    free(pending);
}

void docker_add_filters(struct buf *path, bool first, const struct docker_filter *filters,
                        size_t count)
{
    json_t *object;
    char *text;

    if (!count)
        return;
    object = json_object();
    for (size_t i = 0; i < count; i++) {
        json_t *list = json_object_get(object, filters[i].key);
        json_t *value;

        if (!list) {
            list = json_array();
            json_object_set_new(object, filters[i].key, list);
        }
        value = json_string(filters[i].value);
        /* What is no UTF-8 fits nothing; a condition less would fit everything. */
        json_array_append_new(list, value ? value : json_string("\xef\xbf\xbd"));
    }
    text = json_dumps(object, JSON_COMPACT);
    buf_addstr(path, first ? "?filters=" : "&filters=");
    http_escape(path, text ? text : "{}");
    free(text);
    json_decref(object);
}

int docker_call_list_begin(const struct ctx *ctx, struct docker_client *docker, const char *path,
                           const struct docker_filter *filters, size_t filter_count,
                           struct docker_pending **ret, struct err *err)
{
    CLEANUP_BUF struct buf whole = BUF_INIT;

    buf_addstr(&whole, path);
    docker_add_filters(&whole, !strchr(path, '?'), filters, filter_count);
    return docker_call_begin(ctx, docker, "GET", whole.data, NULL, NULL, ret, err);
}

int docker_call_list(const struct ctx *ctx, struct docker_client *docker, const char *path,
                     const struct docker_filter *filters, size_t filter_count, json_t **ret,
                     struct err *err)
{
    struct docker_pending *pending;

    if (docker_call_list_begin(ctx, docker, path, filters, filter_count, &pending, err) < 0)
        return -1;
    return docker_call_end(ctx, pending, ret, err);
}

int docker_call_inspect(const struct ctx *ctx, struct docker_client *docker, const char *collection,
                        const char *name, json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, collection, name, NULL);
    return docker_call(ctx, docker, "GET", path.data, NULL, 0, ret, err);
}
