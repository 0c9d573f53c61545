#include "apis/docker/build.h"

#include "apis/docker/body.h"
#include "apis/docker/lines.h"
#include "apis/docker/path.h"
#include "apis/docker/pull_internal.h"
#include "base/base64.h"
#include "base/json_at.h"

struct build_state {
    const struct docker_build *build;
    struct docker_pull_state pull;
    char *image_id;
};

static int on_line(void *arg, const json_t *value, struct err *err)
{
    struct build_state *state = arg;
    const char *error = json_at_string(value, "errorDetail.message");
    const char *text = json_at_string(value, "stream");
    const char *id = json_at_string(value, "aux.ID");

    if (!*error)
        error = json_at_string(value, "error");
    if (*error)
        return err_set(err, ERR_INVALID, "%s", error);
    if (*id) {
        free(state->image_id);
        state->image_id = xstrdup(id);
    }
    if (*text && state->build->output)
        state->build->output(state->build->arg, text);
    return *json_at_string(value, "status") ? docker_pull_line(&state->pull, value, err) : 0;
}

/* "&key={…}" or "&key=[…]" */
static int add_json(struct buf *path, const char *key, const struct strmap *map,
                    const char *const *list, struct err *err)
{
    struct body b;
    json_t *root;
    char *text;

    if (!(map && map->len) && !(list && *list))
        return 0;
    body_init(&b);
    body_map(&b, NULL, key, map);
    body_list(&b, b.root, key, list);
    root = body_done(&b, err);
    if (!root)
        return -1;
    text = json_dumps(json_object_get(root, key), JSON_COMPACT);
    docker_path_query(path, key, text);
    free(text);
    json_decref(root);
    return 0;
}

static int make_path(const struct docker_build *build, struct buf *path, struct err *err)
{
    CLEANUP_BUF struct buf hosts = BUF_INIT;

    buf_addstr(path, "/build?rm=1&forcerm=1");
    docker_path_query(path, "remote", build->remote);
    docker_path_query(path, "dockerfile", build->dockerfile);
    for (const char *const *tag = build->tags; tag && *tag; tag++)
        docker_path_query(path, "t", *tag);
    docker_path_query(path, "target", build->target);
    docker_path_query(path, "networkmode", build->network);
    docker_path_query(path, "platform", build->platform);
    docker_path_query(path, "isolation", build->isolation);
    for (const char *const *host = build->extra_hosts; host && *host; host++)
        buf_addf(&hosts, "%s%s", hosts.len ? "," : "", *host);
    if (hosts.len)
        docker_path_query(path, "extrahosts", hosts.data);
    if (build->shm_bytes)
        buf_addf(path, "&shmsize=%jd", (intmax_t)build->shm_bytes);
    if (build->pull)
        buf_addstr(path, "&pull=1");
    if (build->no_cache)
        buf_addstr(path, "&nocache=1");
    if (add_json(path, "buildargs", build->args, NULL, err) < 0 ||
        add_json(path, "labels", build->labels, NULL, err) < 0 ||
        add_json(path, "cachefrom", NULL, build->cache_from, err) < 0)
        return -1;
    return 0;
}

/* The value of X-Registry-Config: registry → credentials. */
static char *registry_config(const struct docker_build *build)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    json_t *config = json_object();
    char *text;

    for (size_t i = 0; i < build->auth_count; i++) {
        const struct docker_credentials *c = &build->auths[i];

        if (!c->server_address)
            continue;
        json_object_set_new(config, c->server_address,
                            json_pack("{s:s*, s:s*, s:s*, s:s}", "username", c->username,
                                      "password", c->password, "identitytoken", c->identity_token,
                                      "serveraddress", c->server_address));
    }
    text = json_dumps(config, JSON_COMPACT);
    json_decref(config);
    base64url_encode(&out, text, strlen(text));
    explicit_bzero(text, strlen(text));
    free(text);
    return buf_steal(&out);
}

static int send(const struct ctx *ctx, struct docker_client *docker, const char *path,
                struct build_state *state, struct err *err)
{
    const struct docker_build *build = state->build;
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    CLEANUP_FREE char *config = registry_config(build);
    CLEANUP_FREE char *header = xasprintf("X-Registry-Config: %s", config);
    const char *const headers[] = {"Content-Type: application/x-tar", header, NULL};
    struct docker_lines lines = {.partial = BUF_INIT, .line = on_line, .arg = state};
    struct http_request request = {.method = "POST",
                                   .path = path,
                                   .headers = headers,
                                   .body = build->context.read ? NULL : build->context.data,
                                   .body_len = build->context.read ? 0 : build->context.len,
                                   .read = build->context.read,
                                   .read_arg = build->context.arg,
                                   .write = docker_lines_feed,
                                   .write_arg = &lines,
                                   .once = true};
    int result = docker_call_raw(ctx, docker, &request, &response, err);

    if (result == 0 && response.status != 200)
        result = docker_response_error(&response, err);
    else if (result == 0)
        result = docker_lines_end(&lines, err);
    buf_release(&lines.partial);
    explicit_bzero(config, strlen(config));
    explicit_bzero(header, strlen(header));
    return result;
}

int docker_image_build(const struct ctx *ctx, struct docker_client *docker,
                       const struct docker_build *build, char **ret_id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct build_state state = {.build = build,
                                .pull = {.progress = build->progress, .arg = build->arg}};
    int result;

    if (make_path(build, &path, err) < 0)
        return -1;
    result = send(ctx, docker, path.data, &state, err);
    if (result == 0 && !state.image_id)
        result = err_set(err, ERR_LOST, "the builder ended without an image");
    if (result == 0)
        *ret_id = steal_ptr(&state.image_id);
    free(state.image_id);
    docker_pull_state_release(&state.pull);
    return result;
}
