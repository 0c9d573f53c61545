#include "engine/kubernetes/access.h"

#include "apis/kube/object.h"
#include "base/json_at.h"

#define ROLE_FILE "deploy/kubernetes/role.yaml"

#define VERBS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* An exec over WebSocket is a GET, for which every version asks `get`; from 1.35 on `create` is
 * asked for, too. */
const struct kubernetes_permission kubernetes_permissions[] = {
    {"", "pods", NULL, VERBS("create", "delete", "get", "list", "watch"),
     "every job is a pod, and one that is left behind is found and removed", false},
    {"", "pods", "exec", VERBS("create", "get"),
     "steps run, and files come and go, by exec in the pod", false},
    {"", "pods", "log", VERBS("get"), "the output of services", false},
    {"", "configmaps", NULL, VERBS("create", "delete", "get", "list", "patch"),
     "the helper comes into pods by a ConfigMap of the run, which says how long the run is alive",
     false},
    /* Who may list them may read them all. Without, those of a dead run go with its ConfigMap. */
    {"", "secrets", NULL, VERBS("create", "delete"),
     "credentials of registries and the environment of services are in Secrets of the run", false},
    {"", "events", NULL, VERBS("list", "watch"), "why a pod does not start is said at once", true},
    {"", "persistentvolumeclaims", NULL, VERBS("create", "delete", "list"),
     "a workspace may be a volume that is claimed for the job", true},
    {0},
};

static int ask(const struct ctx *ctx, struct kube_client *client, const char *ns,
               const struct kubernetes_permission *permission, const char *verb, bool *ret_allowed,
               struct err *err)
{
    const struct kube_access access = {.ns = ns,
                                       .verb = verb,
                                       .group = *permission->group ? permission->group : NULL,
                                       .resource = permission->resource,
                                       .subresource = permission->subresource};

    if (kube_access_check(ctx, client, &access, ret_allowed, err) < 0)
        return err_wrap(err, "cannot ask for permissions");
    return 0;
}

static void add_rule(const struct kubernetes_permission *permission, const char *verbs,
                     struct buf *rules)
{
    const char *sub = permission->subresource;

    buf_addf(rules, "- {apiGroups: [\"%s\"], resources: [%s%s%s], verbs: [%s]}  # %s%s\n",
             permission->group, permission->resource, sub ? "/" : "", sub ? sub : "", verbs,
             permission->optional ? "optional: " : "", permission->why);
}

int kubernetes_access_check(const struct ctx *ctx, struct kube_client *client, const char *ns,
                            struct buf *rules, struct kubernetes_missing *ret, struct err *err)
{
    struct kubernetes_missing missing = {0};

    for (const struct kubernetes_permission *p = kubernetes_permissions; p->resource; p++) {
        CLEANUP_BUF struct buf verbs = BUF_INIT;

        for (const char *const *verb = p->verbs; *verb; verb++) {
            bool allowed;

            if (ask(ctx, client, ns, p, *verb, &allowed, err) < 0)
                return -1;
            if (allowed)
                continue;
            buf_addf(&verbs, "%s%s", verbs.len ? ", " : "", *verb);
            *(p->optional ? &missing.optional : &missing.required) += 1;
        }
        if (verbs.len)
            add_rule(p, verbs.data, rules);
    }
    *ret = missing;
    return 0;
}

/* Not to be allowed to see it says nothing. */
static int check_namespace(const struct ctx *ctx, struct kube_client *client, const char *ns,
                           struct buf *report, struct err *err)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = "namespaces", .name = ns};
    struct err why = ERR_INIT;

    if (kube_get(ctx, client, &ref, NULL, &why) == 0 || why.code == ERR_DENIED)
        return 0;
    if (why.code == ERR_NOT_FOUND) {
        buf_addf(report,
                 "make it (kubectl create namespace %s), or choose another with --namespace", ns);
        err_set(&why, ERR_INVALID, "%s has no namespace \"%s\"",
                kube_cluster_server(kube_client_cluster(client)), ns);
    }
    if (err)
        *err = why;
    return -1;
}

static int read_version(const struct ctx *ctx, struct kube_client *client, struct buf *out,
                        struct err *err)
{
    json_t *version = NULL;

    if (kube_version(ctx, client, &version, err) < 0)
        return -1;
    buf_addstr(out, json_at_string(version, "gitVersion"));
    json_decref(version);
    return 0;
}

int kubernetes_access_probe(const struct ctx *ctx, struct kube_client *client, struct buf *report,
                            struct err *err)
{
    const struct kube_cluster *cluster = kube_client_cluster(client);
    const char *ns = kube_cluster_namespace(cluster);
    CLEANUP_BUF struct buf version = BUF_INIT;
    CLEANUP_BUF struct buf rules = BUF_INIT;
    struct kubernetes_missing missing;

    if (read_version(ctx, client, &version, err) < 0 ||
        check_namespace(ctx, client, ns, report, err) < 0 ||
        kubernetes_access_check(ctx, client, ns, &rules, &missing, err) < 0)
        return -1;
    if (missing.required) {
        buf_addf(report,
                 "give it a Role with these rules in the namespace (" ROLE_FILE
                 " has all of them):\n%s",
                 rules.data);
        return err_set(err, ERR_DENIED,
                       "%zu of the permissions that jobs need are missing in the "
                       "namespace %s of %s",
                       missing.required, ns, kube_cluster_server(cluster));
    }
    buf_addf(report, "%s at %s, namespace %s", version.data, kube_cluster_server(cluster), ns);
    if (missing.optional)
        buf_addf(report, "\nmore works with these rules in its Role:\n%s", rules.data);
    return 0;
}

const char *kubernetes_access_mend(const struct err *err)
{
    switch (err->code) {
    case ERR_NOT_FOUND:
        return "name a kubeconfig file with --kubeconfig or KUBECONFIG, or put it at "
               "~/.kube/config";
    case ERR_UNAVAILABLE:
        return "see whether the server runs and is reached from here (kubectl get --raw /readyz), "
               "or choose another with --context";
    default:
        return NULL;
    }
}
