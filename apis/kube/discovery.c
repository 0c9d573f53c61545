#include "apis/kube/discovery.h"

#include <string.h>

#include "apis/kube/internal.h"
#include "base/json_at.h"
#include "base/nearest.h"
#include "base/vec.h"

static int fetch(const struct ctx *ctx, struct kube_client *client, const char *api_version,
                 struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET", .repeat = KUBE_REPEAT_SAFE};
    json_t *list = NULL;

    kube_ref_path(&path, &(struct kube_ref){.api_version = api_version});
    request.path = path.data;
    if (kube_call(ctx, client, &request, &list, err) < 0) {
        if (kube_client_status(client)->code == 404)
            return err_set(err, ERR_NOT_FOUND,
                           "%s has no API version %s; is what defines it installed?",
                           kube_client_cluster(client)->peer, api_version);
        return -1;
    }
    json_object_set_new(kube_client_discovered(client), api_version, list);
    return 0;
}

static bool find(struct kube_client *client, const char *api_version, const char *kind,
                 struct kube_resource *ret)
{
    const char *key;
    json_t *list;
    const json_t *item;
    size_t i;

    json_object_foreach (kube_client_discovered(client), key, list) {
        if (strcmp(key, api_version) != 0)
            continue;
        json_array_foreach (json_object_get(list, "resources"), i, item) {
            const char *name = json_at_string(item, "name");

            if (strchr(name, '/') || strcmp(json_at_string(item, "kind"), kind) != 0)
                continue;
            *ret = (struct kube_resource){.api_version = key,
                                          .resource = name,
                                          .kind = json_at_string(item, "kind"),
                                          .namespaced =
                                              json_is_true(json_object_get(item, "namespaced")),
                                          .verbs = json_object_get(item, "verbs")};
            return true;
        }
    }
    return false;
}

static int no_kind(struct kube_client *client, const char *api_version, const char *kind,
                   struct err *err)
{
    const json_t *list = json_object_get(kube_client_discovered(client), api_version);
    struct nearest nearest = {.text = kind};
    const json_t *item;
    size_t i;

    json_array_foreach (json_object_get(list, "resources"), i, item) {
        if (!strchr(json_at_string(item, "name"), '/'))
            nearest_offer(&nearest, json_at_string(item, "kind"));
    }
    if (nearest.best)
        return err_set(err, ERR_NOT_FOUND, "%s has no kind %s in %s; did you mean %s?",
                       kube_client_cluster(client)->peer, kind, api_version, nearest.best);
    return err_set(err, ERR_NOT_FOUND, "%s has no kind %s in %s", kube_client_cluster(client)->peer,
                   kind, api_version);
}

int kube_discover(const struct ctx *ctx, struct kube_client *client, const char *api_version,
                  const char *kind, struct kube_resource *ret, struct err *err)
{
    if (find(client, api_version, kind, ret))
        return 0;
    if (fetch(ctx, client, api_version, err) < 0)
        return -1;
    if (find(client, api_version, kind, ret))
        return 0;
    return no_kind(client, api_version, kind, err);
}

/* The versions of a group, the preferred one first, as "GROUP/VERSION". */
static int group_versions(const struct ctx *ctx, struct kube_client *client, const char *group,
                          struct strvec *ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET", .repeat = KUBE_REPEAT_SAFE};
    json_t *answer = NULL;
    const json_t *item;
    size_t i;

    buf_addstr(&path, "/apis/");
    http_escape(&path, group);
    request.path = path.data;
    if (kube_call(ctx, client, &request, &answer, err) < 0)
        return -1;
    strvec_push(ret, json_at_string(answer, "preferredVersion.groupVersion"));
    json_array_foreach (json_object_get(answer, "versions"), i, item)
        strvec_push(ret, json_at_string(item, "groupVersion"));
    json_decref(answer);
    return 0;
}

int kube_discover_group(const struct ctx *ctx, struct kube_client *client, const char *group,
                        const char *kind, struct kube_resource *ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec versions = {0};
    struct err why = ERR_INIT;

    if (!*group)
        return kube_discover(ctx, client, "v1", kind, ret, err);
    if (group_versions(ctx, client, group, &versions, &why) < 0) {
        if (kube_client_status(client)->code == 404)
            return err_set(err, ERR_NOT_FOUND, "%s has no API group %s",
                           kube_client_cluster(client)->peer, group);
    }
    for (size_t i = 0; i < versions.len; i++) {
        if (kube_discover(ctx, client, versions.items[i], kind, ret, &why) == 0)
            return 0;
        if (why.code != ERR_NOT_FOUND)
            break;
    }
    if (err)
        *err = why;
    return -1;
}

bool kube_resource_can(const struct kube_resource *resource, const char *verb)
{
    const json_t *item;
    size_t i;

    json_array_foreach (resource->verbs, i, item) {
        if (json_is_string(item) && strcmp(json_string_value(item), verb) == 0)
            return true;
    }
    return false;
}

void kube_discovery_forget(struct kube_client *client)
{
    json_object_clear(kube_client_discovered(client));
}
