#include "k8s/order.h"

#include <string.h>

#include "base/json_at.h"

enum manifest_rank manifest_rank(const struct manifest *m)
{
    static const struct {
        const char *kind;
        enum manifest_rank rank;
    } kinds[] = {
        {"Namespace", RANK_NAMESPACE},
        {"CustomResourceDefinition", RANK_DEFINITION},
        {"PriorityClass", RANK_BASE},
        {"StorageClass", RANK_BASE},
        {"CSIDriver", RANK_BASE},
        {"RuntimeClass", RANK_BASE},
        {"IngressClass", RANK_BASE},
        {"ServiceAccount", RANK_ACCOUNT},
        {"Secret", RANK_BASE},
        {"ConfigMap", RANK_BASE},
        {"PersistentVolume", RANK_BASE},
        {"PersistentVolumeClaim", RANK_BASE},
        {"ResourceQuota", RANK_BASE},
        {"LimitRange", RANK_BASE},
        {"NetworkPolicy", RANK_BASE},
        {"PodSecurityPolicy", RANK_BASE},
        {"PodDisruptionBudget", RANK_BASE},
        {"ClusterRole", RANK_BASE},
        {"Role", RANK_BASE},
        {"ClusterRoleBinding", RANK_BINDING},
        {"RoleBinding", RANK_BINDING},
        {"Service", RANK_SERVICE},
        {"Endpoints", RANK_SERVICE},
        {"EndpointSlice", RANK_SERVICE},
        {"APIService", RANK_REGISTER},
        {"MutatingWebhookConfiguration", RANK_REGISTER},
        {"ValidatingWebhookConfiguration", RANK_REGISTER},
        {"ValidatingAdmissionPolicy", RANK_REGISTER},
        {"ValidatingAdmissionPolicyBinding", RANK_REGISTER},
    };

    if (!manifest_is_builtin(m))
        return RANK_CUSTOM;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(kinds[i].kind, m->kind) == 0)
            return kinds[i].rank;
    }
    return RANK_WORKLOAD;
}

struct kube_ref manifest_ref(const struct manifest *m)
{
    return (struct kube_ref){.api_version = m->api_version,
                             .resource = m->resource,
                             .ns = m->ns,
                             .name = m->name};
}

bool manifest_is_defined_in(const struct manifest *m, const struct manifest_list *list)
{
    vec_foreach (const struct manifest *, it, &list->items) {
        if (manifest_is(it, "apiextensions.k8s.io", "CustomResourceDefinition") &&
            manifest_is(m, json_at_string(it->object, "spec.group"),
                        json_at_string(it->object, "spec.names.kind")))
            return true;
    }
    return false;
}

static int resolve_one(const struct ctx *ctx, struct kube_client *client,
                       const struct manifest_list *list, struct manifest *m, const char *ns,
                       struct err *err)
{
    struct kube_resource resource;
    struct err why = ERR_INIT;

    if (kube_discover(ctx, client, m->api_version, m->kind, &resource, &why) < 0) {
        if (why.code == ERR_NOT_FOUND && manifest_is_defined_in(m, list))
            return 0;
        if (why.code == ERR_NOT_FOUND)
            return manifest_error(m, err, ERR_NOT_FOUND, "%s", why.message);
        if (err)
            *err = why;
        return -1;
    }
    m->resource = xstrdup(resource.resource);
    m->namespaced = resource.namespaced;
    if (!m->namespaced)
        free(steal_ptr(&m->ns));
    else if (!m->ns)
        m->ns = xstrdup(ns);
    return 0;
}

/* Names without a namespace have got one: some may be those of others now. */
static int check_twins(const struct manifest_list *list, struct err *err)
{
    CLEANUP_TEXT_INDEX struct text_index index = {0};
    CLEANUP_STRVEC struct strvec names = {0};
    uint32_t number;

    for (size_t i = 0; i < list->items.len; i++) {
        const struct manifest *m = &list->items.items[i];
        size_t group_len;
        const char *group = manifest_group(m->api_version, &group_len);
        const char *name;

        strvec_pushf(&names, "%.*s %s %s/%s", (int)group_len, group, m->kind, m->ns ? m->ns : "",
                     m->name);
        name = names.items[names.len - 1];
        if (m->resource && text_index_find(&index, name, strlen(name), &number)) {
            const struct manifest *twin = &list->items.items[number];

            return manifest_error(m, err, ERR_INVALID, "is also in %s:%u; leave one of them out",
                                  twin->source, twin->pos.line);
        }
        if (m->resource)
            text_index_set(&index, name, strlen(name), (uint32_t)i);
    }
    return 0;
}

int manifest_resolve(const struct ctx *ctx, struct kube_client *client, struct manifest_list *list,
                     const char *ns, struct err *err)
{
    vec_foreach (struct manifest *, m, &list->items) {
        if (!m->resource && resolve_one(ctx, client, list, m, ns, err) < 0)
            return -1;
    }
    return check_twins(list, err);
}
