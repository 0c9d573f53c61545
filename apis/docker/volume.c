#include "apis/docker/volume.h"

#include "apis/docker/body.h"
#include "apis/docker/path.h"
#include "base/json_at.h"

static struct docker_volume read_volume(const json_t *body)
{
    struct docker_volume v = {
        .name = json_at_dup(body, "Name"),
        .driver = json_at_dup(body, "Driver"),
        .mountpoint = json_at_dup(body, "Mountpoint"),
        .created = json_at_dup(body, "CreatedAt"),
    };

    json_at_strmap(body, "Labels", &v.labels);
    return v;
}

int docker_volume_create(const struct ctx *ctx, struct docker_client *docker,
                         const struct docker_volume_create *o, struct docker_volume *ret,
                         struct err *err)
{
    struct body b;
    json_t *body;
    json_t *answer;
    int result;

    body_init(&b);
    body_str(&b, b.root, "Name", o->name);
    body_str(&b, b.root, "Driver", o->driver);
    body_map(&b, NULL, "DriverOpts", o->options);
    body_map(&b, NULL, "Labels", o->labels);
    body = body_done(&b, err);
    if (!body)
        return -1;
    result = docker_call_create(ctx, docker, "/volumes/create", body, &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    *ret = read_volume(answer);
    json_decref(answer);
    return 0;
}

int docker_volume_inspect(const struct ctx *ctx, struct docker_client *docker, const char *volume,
                          struct docker_volume *ret, struct err *err)
{
    json_t *body;

    if (docker_call_inspect(ctx, docker, "volumes", volume, &body, err) < 0)
        return -1;
    *ret = read_volume(body);
    json_decref(body);
    return 0;
}

int docker_volume_list_begin(const struct ctx *ctx, struct docker_client *docker,
                             const struct docker_filter *filters, size_t filter_count,
                             struct docker_pending **ret, struct err *err)
{
    return docker_call_list_begin(ctx, docker, "/volumes", filters, filter_count, ret, err);
}

int docker_volume_list_end(const struct ctx *ctx, struct docker_pending *pending,
                           struct docker_volume_list *ret, struct err *err)
{
    const json_t *volumes;
    json_t *body;
    json_t *entry;
    size_t i;

    if (docker_call_end(ctx, pending, &body, err) < 0)
        return -1;
    volumes = json_at(body, "Volumes");
    ret->items = xcalloc(json_array_size(volumes) + 1, sizeof(*ret->items));
    ret->len = json_array_size(volumes);
    json_array_foreach (volumes, i, entry) {
        ret->items[i] = read_volume(entry);
    }
    json_decref(body);
    return 0;
}

int docker_volume_list(const struct ctx *ctx, struct docker_client *docker,
                       const struct docker_filter *filters, size_t filter_count,
                       struct docker_volume_list *ret, struct err *err)
{
    struct docker_pending *pending;

    if (docker_volume_list_begin(ctx, docker, filters, filter_count, &pending, err) < 0)
        return -1;
    return docker_volume_list_end(ctx, pending, ret, err);
}

int docker_volume_remove(const struct ctx *ctx, struct docker_client *docker, const char *volume,
                         bool force, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "volumes", volume, NULL);
    if (force)
        docker_path_query(&path, "force", "1");
    return docker_call(ctx, docker, "DELETE", path.data, NULL, 0, NULL, err);
}

void docker_volume_release(struct docker_volume *v)
{
    free(v->name);
    free(v->driver);
    free(v->mountpoint);
    free(v->created);
    strmap_release(&v->labels);
    *v = (struct docker_volume){0};
}

void docker_volume_list_release(struct docker_volume_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        docker_volume_release(&list->items[i]);
    free(list->items);
    *list = (struct docker_volume_list){0};
}
