#include "apis/docker/container.h"

#include "apis/docker/path.h"
#include "base/json_at.h"

int docker_container_create(const struct ctx *ctx, struct docker_client *docker,
                            const struct docker_create *create, char **ret_id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body;
    json_t *answer;
    int result;

    /* The body depends on the version, so that it has to be known before. */
    if (!docker_client_api_minor(docker) && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    body = docker_create_body(create, docker_client_api_minor(docker), err);
    if (!body)
        return -1;
    buf_addstr(&path, "/containers/create");
    docker_path_query(&path, "name", create->name);
    if (docker_client_api_minor(docker) >= 41)
        docker_path_query(&path, "platform", create->platform);
    result = docker_call_create(ctx, docker, path.data, body, &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    if (*json_at_string(answer, "Id"))
        *ret_id = json_at_dup(answer, "Id");
    else
        result = err_set(err, ERR_PROTOCOL, "the daemon created a container but gave no id");
    json_decref(answer);
    return result;
}

/* METHOD /containers/ID/action?query without body or answer. */
static int simple(const struct ctx *ctx, struct docker_client *docker, const char *method,
                  const char *container, const char *action, struct buf *query, int ok_also,
                  struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "containers", container, action);
    if (query)
        buf_add(&path, query->data, query->len);
    return docker_call(ctx, docker, method, path.data, NULL, ok_also, NULL, err);
}

int docker_container_start(const struct ctx *ctx, struct docker_client *docker,
                           const char *container, struct err *err)
{
    return simple(ctx, docker, "POST", container, "start", NULL, 304, err);
}

int docker_container_stop(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const char *signal, int timeout_s, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT;

    if (!docker_client_api_minor(docker) && docker_client_ping(ctx, docker, err) < 0)
        return -1;
    if (timeout_s >= 0)
        buf_addf(&query, "?t=%d", timeout_s);
    if (docker_client_api_minor(docker) >= 42)
        docker_path_query(&query, "signal", signal);
    return simple(ctx, docker, "POST", container, "stop", &query, 304, err);
}

int docker_container_restart(const struct ctx *ctx, struct docker_client *docker,
                             const char *container, int timeout_s, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT;

    if (timeout_s >= 0)
        buf_addf(&query, "?t=%d", timeout_s);
    return simple(ctx, docker, "POST", container, "restart", &query, 0, err);
}

int docker_container_kill(const struct ctx *ctx, struct docker_client *docker,
                          const char *container, const char *signal, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT;

    docker_path_query(&query, "signal", signal);
    return simple(ctx, docker, "POST", container, "kill", &query, 0, err);
}

int docker_container_remove(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, unsigned flags, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT;

    if (flags & DOCKER_REMOVE_FORCE)
        docker_path_query(&query, "force", "1");
    if (flags & DOCKER_REMOVE_VOLUMES)
        docker_path_query(&query, "v", "1");
    return simple(ctx, docker, "DELETE", container, NULL, &query, 0, err);
}

int docker_container_rename(const struct ctx *ctx, struct docker_client *docker,
                            const char *container, const char *name, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT;

    docker_path_query(&query, "name", name);
    return simple(ctx, docker, "POST", container, "rename", &query, 0, err);
}
