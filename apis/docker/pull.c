/* Pulling an image: the daemon answers with a stream of JSON lines, one or more for each change of
 * a layer. A failure is either a status of the call or, once the stream has begun, an `error` line.
 * In both cases the registry's HTTP status is lost in the words of the daemon, so that what may
 * pass by itself has to be told by them: see `words`. */
#include "apis/docker/image.h"
#include "apis/docker/image_ref.h"
#include "apis/docker/lines.h"
#include "apis/docker/path.h"
#include "apis/docker/pull_internal.h"
#include "base/json_at.h"

enum { LAYER_MAX = 4096 };

/* First match wins. Status 0: lasting, but of no HTTP status. */
static const struct {
    const char *text;
    int status;
} words[] = {
    {"toomanyrequests", 429},
    {"too many requests", 429},
    {"no matching manifest", 404},
    {"manifest unknown", 404},
    {"name unknown", 404},
    {"unauthorized", 401},
    {"authentication required", 401},
    {"no basic auth credentials", 401},
    {"requested access to the resource is denied", 403},
    {"access denied", 403},
    {"denied:", 403},
    {"forbidden", 403},
    {"x509:", 0},
    {"server gave http response to https client", 0},
    {"no such host", 0},
    {"no space left on device", 0},
    {"invalid reference format", 0},
    {"not found", 404},
    {"500 internal server error", 500},
    {"502 bad gateway", 502},
    {"503 service unavailable", 503},
    {"504 gateway time", 504},
    {"received unexpected http status: 5", 500},
    {"connection reset by peer", 503},
    {"connection refused", 503},
    {"broken pipe", 503},
    {"tls handshake timeout", 503},
    {"i/o timeout", 503},
    {"client.timeout exceeded", 503},
    {"context deadline exceeded", 503},
    {"request canceled while waiting", 503},
    {"temporary failure in name resolution", 503},
    {"server misbehaving", 503},
    {"unexpected eof", 503},
    {": eof", 503},
    {"filesystem layer verification failed", 503},
};

int docker_pull_status_of(const char *message, int fallback)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasestr(message, words[i].text))
            return words[i].status;
    }
    return fallback;
}

static int refused(const char *message, int fallback, struct err *err)
{
    err_set(err, ERR_IMAGE_PULL, "%s", message);
    if (err)
        err->errnum = docker_pull_status_of(message, fallback);
    return -1;
}

static struct docker_pull_layer *layer_of(struct docker_pull_state *state, const char *id)
{
    vec_foreach (struct docker_pull_layer *, layer, &state->layers) {
        if (strcmp(layer->id, id) == 0)
            return layer;
    }
    if (state->layers.len == LAYER_MAX)
        return NULL;
    vec_push(&state->layers, ((struct docker_pull_layer){.id = xstrdup(id)}));
    return &state->layers.items[state->layers.len - 1];
}

static void update_layer(struct docker_pull_layer *layer, const char *status, const json_t *value)
{
    int64_t current = json_at_int(value, "progressDetail.current");
    int64_t total = json_at_int(value, "progressDetail.total");

    if (strcmp(status, "Downloading") == 0) {
        layer->bytes = current;
        if (total > 0)
            layer->bytes_total = total;
    } else if (strcmp(status, "Pull complete") == 0 || strcmp(status, "Already exists") == 0) {
        layer->done = true;
        layer->bytes = layer->bytes_total;
    } else if (strcmp(status, "Download complete") == 0 || strcmp(status, "Extracting") == 0) {
        layer->bytes = layer->bytes_total;
    }
}

/* Whether the line is about a layer: others have the tag as their id ("Pulling from …"). */
static bool about_layer(const char *status)
{
    static const char *const states[] = {
        "Pulling fs layer",   "Waiting",           "Downloading",
        "Verifying Checksum", "Download complete", "Extracting",
        "Retrying in",        "Pull complete",     "Already exists",
    };

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strncmp(status, states[i], strlen(states[i])) == 0)
            return true;
    }
    return false;
}

static void report(struct docker_pull_state *state, const char *status, const char *layer)
{
    struct docker_pull_progress p = {.status = status, .layer = layer};

    vec_foreach (struct docker_pull_layer *, l, &state->layers) {
        p.layer_count++;
        p.layer_done_count += l->done;
        p.bytes += l->bytes;
        p.bytes_total += l->bytes_total;
    }
    if (state->progress)
        state->progress(state->arg, &p);
}

int docker_pull_line(void *arg, const json_t *value, struct err *err)
{
    struct docker_pull_state *state = arg;
    const char *status = json_at_string(value, "status");
    const char *id = json_at_string(value, "id");
    const char *error = json_at_string(value, "errorDetail.message");

    if (!*error)
        error = json_at_string(value, "error");
    if (*error)
        return refused(error, 0, err);
    if (!*status)
        return 0;
    if (*id && about_layer(status)) {
        struct docker_pull_layer *layer = layer_of(state, id);

        if (layer)
            update_layer(layer, status, value);
        report(state, status, id);
    } else {
        report(state, status, "");
    }
    return 0;
}

void docker_pull_state_release(struct docker_pull_state *state)
{
    vec_foreach (struct docker_pull_layer *, layer, &state->layers) {
        free(layer->id);
    }
    vec_release(&state->layers);
}

static int pull_once(const struct ctx *ctx, struct docker_client *docker, const char *path,
                     const char *auth, const struct docker_pull *pull, struct err *err)
{
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP_FREE char *header = auth ? xasprintf("X-Registry-Auth: %s", auth) : NULL;
    const char *const headers[] = {header, NULL};
    struct docker_pull_state state = {.progress = pull->progress, .arg = pull->progress_arg};
    struct docker_lines lines = {.partial = BUF_INIT, .line = docker_pull_line, .arg = &state};
    struct http_request request = {.method = "POST",
                                   .path = path,
                                   .headers = headers,
                                   .once = true,
                                   .write = docker_lines_feed,
                                   .write_arg = &lines};
    int result = docker_call_raw(ctx, docker, &request, &response, err);

    if (result == 0 && response.status != 200) {
        struct err why = ERR_INIT;

        docker_response_error(&response, &why);
        result = refused(why.message, response.status, err);
    } else if (result == 0) {
        result = docker_lines_end(&lines, err);
    }
    buf_release(&lines.partial);
    docker_pull_state_release(&state);
    if (header)
        explicit_bzero(header, strlen(header));
    return result;
}

static int make_path(const struct docker_pull *pull, struct buf *path, struct err *err)
{
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
    CLEANUP_FREE char *name = NULL;

    if (docker_image_ref_parse(pull->image, &ref, err) < 0)
        return -1;
    name = docker_image_ref_name(&ref);
    buf_addstr(path, "/images/create");
    docker_path_query(path, "fromImage", name);
    docker_path_query(path, "tag", ref.digest ? ref.digest : ref.tag ? ref.tag : "latest");
    docker_path_query(path, "platform", pull->platform);
    return 0;
}

int docker_image_pull(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_pull *pull, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_FREE char *auth = pull->auth ? docker_credentials_header(pull->auth) : NULL;
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    if (make_path(pull, &path, err) < 0)
        return -1;
    retry_init(&retry, &pull->retry);
    for (;;) {
        result = pull_once(ctx, docker, path.data, auth, pull, &why);
        if (result == 0 || !retry_is_transient(&why) || !retry_left(&retry))
            break;
        if (pull->retrying)
            pull->retrying(pull->progress_arg, retry.attempt + 1, &why);
        if (retry_wait(ctx, &retry, docker_client_retry_after_ms(docker), &why) < 0)
            break;
    }
    if (auth)
        explicit_bzero(auth, strlen(auth));
    if (result < 0 && err)
        *err = why;
    return result;
}
