#include "apis/docker/image.h"

#include <string.h>
#include <strings.h>

#include "apis/docker/lines.h"
#include "apis/docker/path.h"
#include "apis/docker/stream.h"
#include "apis/docker/timestamp.h"
#include "base/alloc.h"
#include "base/json_at.h"

int docker_image_inspect(const struct ctx *ctx, struct docker_client *docker, const char *image,
                         struct docker_image *ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct docker_image i;
    const char *check;
    json_t *body;

    docker_path(&path, "images", image, "json");
    if (docker_call(ctx, docker, "GET", path.data, NULL, 0, &body, err) < 0)
        return -1;
    i = (struct docker_image){
        .id = json_at_dup(body, "Id"),
        .os = json_at_dup(body, "Os"),
        .architecture = json_at_dup(body, "Architecture"),
        .variant = json_at_dup(body, "Variant"),
        .size_bytes = json_at_int(body, "Size"),
        .last_tagged_ns = timestamp_ns(json_at_string(body, "Metadata.LastTagTime")),
        .user = json_at_dup(body, "Config.User"),
        .workdir = json_at_dup(body, "Config.WorkingDir"),
    };
    json_at_strvec(body, "Config.Entrypoint", &i.entrypoint);
    json_at_strvec(body, "Config.Cmd", &i.cmd);
    json_at_strvec(body, "Config.Env", &i.env);
    json_at_keys(body, "Config.Volumes", &i.volumes);
    json_at_strvec(body, "RepoTags", &i.repo_tags);
    json_at_strvec(body, "RepoDigests", &i.repo_digests);
    json_at_strmap(body, "Config.Labels", &i.labels);
    check = json_string_value(json_array_get(json_at(body, "Config.Healthcheck.Test"), 0));
    i.has_healthcheck = check && strcmp(check, "NONE") != 0;
    json_decref(body);
    *ret = i;
    return 0;
}

void docker_image_release(struct docker_image *i)
{
    free(i->id);
    free(i->os);
    free(i->architecture);
    free(i->variant);
    free(i->user);
    free(i->workdir);
    strvec_release(&i->entrypoint);
    strvec_release(&i->cmd);
    strvec_release(&i->env);
    strvec_release(&i->volumes);
    strvec_release(&i->repo_tags);
    strvec_release(&i->repo_digests);
    strmap_release(&i->labels);
    *i = (struct docker_image){0};
}

struct load_state {
    char *last_status;
    struct err error;
};

static int on_load_line(void *arg, const json_t *value, struct err *err)
{
    struct load_state *state = arg;
    const char *error = json_at_string(value, "error");

    (void)err;
    if (*error)
        err_set(&state->error, ERR_INVALID, "%s", error);
    if (*json_at_string(value, "status")) {
        free(state->last_status);
        state->last_status = json_at_dup(value, "status");
    }
    return 0;
}

/* Sends a tar and reads the progress stream that answers; its last status goes to *ret_status. */
static int send_and_follow(const struct ctx *ctx, struct docker_client *docker, const char *path,
                           const struct docker_tar *tar, char **ret_status, struct err *err)
{
    CLEANUP_HTTP_RESPONSE struct http_response response = HTTP_RESPONSE_INIT;
    struct load_state state = {.error = ERR_INIT};
    struct docker_lines lines = {.partial = BUF_INIT, .line = on_load_line, .arg = &state};
    int result =
        docker_tar_send(ctx, docker, "POST", path, tar, &response, docker_lines_feed, &lines, err);

    if (result == 0)
        result = docker_lines_end(&lines, err);
    buf_release(&lines.partial);
    if (result == 0 && state.error.code != ERR_NONE) {
        if (err)
            *err = state.error;
        result = -1;
    }
    if (result == 0 && ret_status)
        *ret_status = state.last_status ? state.last_status : xstrdup("");
    else
        free(state.last_status);
    return result;
}

int docker_image_import(const struct ctx *ctx, struct docker_client *docker, const char *repository,
                        const char *tag, const struct docker_tar *tar, const char *const *changes,
                        char **ret_id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_BUF struct buf name = BUF_INIT;

    buf_addstr(&name, repository);
    /* Podman does not look at a tag parameter here. */
    if (tag)
        buf_addf(&name, ":%s", tag);
    buf_addstr(&path, "/images/create?fromSrc=-");
    docker_path_query(&path, "repo", name.data);
    for (; changes && *changes; changes++)
        docker_path_query(&path, "changes", *changes);
    return send_and_follow(ctx, docker, path.data, tar, ret_id, err);
}

int docker_image_load(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_tar *tar, struct err *err)
{
    return send_and_follow(ctx, docker, "/images/load?quiet=1", tar, NULL, err);
}

static bool same_architecture(const char *a, const char *b)
{
    static const char *const aliases[][2] = {{"x86_64", "amd64"},
                                             {"x86-64", "amd64"},
                                             {"aarch64", "arm64"},
                                             {"i386", "386"}};

    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
        if (strcasecmp(a, aliases[i][0]) == 0)
            a = aliases[i][1];
    }
    return strcasecmp(a, b) == 0;
}

bool docker_image_is_of(const struct docker_image *image, const char *platform)
{
    const char *slash = platform ? strchr(platform, '/') : NULL;
    CLEANUP_FREE char *os = NULL;
    CLEANUP_FREE char *architecture = NULL;

    if (!slash || !image->os || !image->architecture)
        return true;
    os = xstrndup(platform, (size_t)(slash - platform));
    architecture = xstrndup(slash + 1, strcspn(slash + 1, "/"));
    return strcasecmp(os, image->os) == 0 && same_architecture(architecture, image->architecture);
}

int docker_image_tag(const struct ctx *ctx, struct docker_client *docker, const char *image,
                     const char *repository, const char *tag, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "images", image, "tag");
    docker_path_query(&path, "repo", repository);
    docker_path_query(&path, "tag", tag);
    return docker_call(ctx, docker, "POST", path.data, NULL, 0, NULL, err);
}

int docker_image_remove(const struct ctx *ctx, struct docker_client *docker, const char *image,
                        bool force, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "images", image, NULL);
    if (force)
        docker_path_query(&path, "force", "1");
    return docker_call(ctx, docker, "DELETE", path.data, NULL, 0, NULL, err);
}
