#include "apis/docker/swarm_object.h"

#include "apis/docker/body.h"
#include "apis/docker/parts.h"
#include "apis/docker/path.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/json_at.h"

static const char *const collections[] = {
    [DOCKER_SECRET] = "secrets",
    [DOCKER_CONFIG] = "configs",
};

static json_t *spec_body(const struct docker_swarm_object_spec *spec, struct err *err)
{
    CLEANUP_BUF struct buf data = BUF_INIT;
    struct body b;

    body_init(&b);
    body_str(&b, b.root, "Name", spec->name);
    body_map(&b, NULL, "Labels", spec->labels);
    if (!spec->driver) {
        base64_encode(&data, spec->data, spec->data_len);
        body_str(&b, b.root, "Data", data.data);
    }
    part_driver(&b, b.root, "Driver", "Name", spec->driver, "Options", spec->driver_options);
    part_driver(&b, b.root, "Templating", "Name", spec->template_driver, NULL, NULL);
    return body_done(&b, err);
}

int docker_swarm_object_create(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind,
                               const struct docker_swarm_object_spec *spec, char **ret_id,
                               struct err *err)
{
    json_t *body = spec_body(spec, err);
    json_t *answer;
    int result;

    if (!body)
        return -1;
    result = docker_call_create(ctx, docker,
                                kind == DOCKER_SECRET ? "/secrets/create" : "/configs/create", body,
                                &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    *ret_id = json_at_dup(answer, "ID");
    json_decref(answer);
    return 0;
}

int docker_swarm_object_update(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind, const char *id, int64_t version,
                               const struct docker_swarm_object_spec *spec, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body = spec_body(spec, err);
    int result;

    if (!body)
        return -1;
    docker_path(&path, collections[kind], id, "update");
    buf_addf(&path, "?version=%jd", (intmax_t)version);
    result = docker_call(ctx, docker, "POST", path.data, body, 0, NULL, err);
    json_decref(body);
    return result;
}

static int read_object(const json_t *entry, struct docker_swarm_object *ret, struct err *err)
{
    const char *text = json_at_string(entry, "Spec.Data");
    struct buf data = BUF_INIT;

    *ret = (struct docker_swarm_object){
        .id = json_at_dup(entry, "ID"),
        .name = json_at_dup(entry, "Spec.Name"),
        .version = json_at_int(entry, "Version.Index"),
    };
    json_at_strmap(entry, "Spec.Labels", &ret->labels);
    if (!json_at(entry, "Spec.Data"))
        return 0;
    if (base64_decode(&data, text, NULL) < 0) {
        buf_release(&data);
        return err_set(err, ERR_PROTOCOL, "the data of %s is not base64", ret->name);
    }
    ret->data_len = data.len;
    ret->data = buf_steal(&data);
    return 0;
}

int docker_swarm_object_list(const struct ctx *ctx, struct docker_client *docker,
                             enum docker_swarm_kind kind, const struct docker_filter *filters,
                             size_t filter_count, struct docker_swarm_object_list *ret,
                             struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list list = {0};
    json_t *body;
    json_t *entry;
    size_t i;
    int result = 0;

    buf_addf(&path, "/%s", collections[kind]);
    docker_add_filters(&path, true, filters, filter_count);
    if (docker_call(ctx, docker, "GET", path.data, NULL, 0, &body, err) < 0)
        return -1;
    list.items = xcalloc(json_array_size(body) + 1, sizeof(*list.items));
    list.len = json_array_size(body);
    json_array_foreach (body, i, entry) {
        result = read_object(entry, &list.items[i], err);
        if (result < 0)
            break;
    }
    json_decref(body);
    if (result < 0)
        return -1;
    *ret = list;
    list = (struct docker_swarm_object_list){0};
    return 0;
}

int docker_swarm_object_remove(const struct ctx *ctx, struct docker_client *docker,
                               enum docker_swarm_kind kind, const char *id, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, collections[kind], id, NULL);
    return docker_call(ctx, docker, "DELETE", path.data, NULL, 0, NULL, err);
}

void docker_swarm_object_list_release(struct docker_swarm_object_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        struct docker_swarm_object *o = &list->items[i];

        free(o->id);
        free(o->name);
        strmap_release(&o->labels);
        free(o->data);
    }
    free(list->items);
    *list = (struct docker_swarm_object_list){0};
}
