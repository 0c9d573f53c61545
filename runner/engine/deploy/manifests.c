/* Manifests in a Kubernetes cluster. */
#include <string.h>

#include "apis/kube/config.h"
#include "base/alloc.h"
#include "base/interpolate.h"
#include "engine/deploy/kind.h"
#include "engine/kubernetes/address.h"
#include "k8s/apply.h"
#include "k8s/delete.h"
#include "k8s/logs.h"

enum { GONE_MS = 90000, LOG_LINES = 100000, LOGS_MS = 30000 };

static int find_cluster(const struct ctx *ctx, const struct engine_services *services,
                        const char *address, void **ret, char **ret_noted, struct err *err)
{
    CLEANUP_FREE char *url = *address ? xasprintf("k8s://%s", address) : xstrdup("kubernetes");
    CLEANUP_FREE char *endpoint = NULL;
    struct kube_cluster *cluster;
    const char *query;

    (void)ctx;
    if (kubernetes_find_cluster(services, url, &cluster, &endpoint, err) < 0)
        return -1;
    query = strchr(endpoint, '?');
    *ret_noted =
        xasprintf("%.*s/%s%s", (int)(strcspn(endpoint, "?") - strlen("k8s://")),
                  endpoint + strlen("k8s://"), kube_cluster_namespace(cluster), query ? query : "");
    *ret = cluster;
    return 0;
}

static void leave_cluster(void *connection)
{
    kube_cluster_free(connection);
}

/* --- what is to be there --- */

struct reading {
    const struct ctx *ctx;
    struct deployed *deployed;
    const char *name; /* of the file */
    const char *text;
};

static const char *look_up(void *arg, const char *name)
{
    const struct reading *r = arg;

    return strmap_get(r->deployed->runnable->environment, name);
}

static size_t line_of(const char *text, size_t offset)
{
    size_t line = 1;

    for (size_t i = 0; i < offset; i++)
        line += text[i] == '\n';
    return line;
}

/* Scripts and settings in ConfigMaps have dollars of their own. */
static int warn_unset(void *arg, const char *name, size_t offset, struct err *err)
{
    const struct reading *r = arg;

    (void)err;
    deployed_say(r->deployed, r->ctx, OUTPUT_STDERR,
                 "warning: %s:%zu: the variable %s is not set and becomes empty; write ${%s:-} if "
                 "that is meant, or $$ for a dollar",
                 r->name, line_of(r->text, offset), name, name);
    return 0;
}

static int read_manifests(const struct ctx *ctx, struct deployed *deployed,
                          struct manifest_list *list, struct err *err)
{
    struct reading reading = {.ctx = ctx, .deployed = deployed};
    const struct interpolate_scope scope = {.lookup = look_up,
                                            .unset = warn_unset,
                                            .arg = &reading,
                                            .bare = true};
    CLEANUP_BUF struct buf text = BUF_INIT;
    CLEANUP_BUF struct buf expanded = BUF_INIT;
    size_t offset;

    if (deployed_read(deployed, &text, &reading.name, err) < 0)
        return -1;
    reading.text = text.data;
    if (interpolate(text.data, &scope, &expanded, &offset, err) < 0)
        return err_wrap(err, "%s:%zu", reading.name, line_of(text.data, offset));
    if (manifest_list_add_text(list, reading.name, expanded.data, expanded.len, err) < 0)
        return -1;
    /* What is empty by mistake would be pruned to nothing. */
    return list->items.len ? 0 : err_set(err, ERR_INVALID, "%s has no objects in it", reading.name);
}

/* --- objects in the journal: "apps/v1 Deployment NAMESPACE web", "-" for no namespace --- */

static char *object_of(const struct manifest *manifest)
{
    return xasprintf("%s %s %s %s", manifest->api_version, manifest->kind,
                     manifest->namespaced ? manifest->ns : "-", manifest->name);
}

static int read_object(const char *object, struct manifest_list *list, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(object);
    CLEANUP_FREE char *text = NULL;
    const char *words[4];
    char *rest = copy;
    json_t *json;
    int result;

    for (size_t i = 0; i < 4; i++) {
        words[i] = strsep(&rest, " ");
        if (!words[i])
            return err_set(err, ERR_INVALID, "\"%s\" is no object of a cluster", object);
    }
    json = json_pack("{s:s, s:s, s:{s:s}}", "apiVersion", words[0], "kind", words[1], "metadata",
                     "name", words[3]);
    if (json && strcmp(words[2], "-") != 0)
        json_object_set_new(json_object_get(json, "metadata"), "namespace", json_string(words[2]));
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return err_set(err, ERR_INVALID, "\"%s\" is no object of a cluster", object);
    result = manifest_list_add_text(list, object, text, strlen(text), err);
    return result;
}

/* In the order in which `runner delete` removes them. */
static int rank_of(const char *object)
{
    CLEANUP_MANIFEST_LIST struct manifest_list list = {0};

    if (read_object(object, &list, NULL) < 0)
        return RANK_COUNT;
    return RANK_COUNT - (int)manifest_rank(&list.items.items[0]);
}

static int remove_object(const struct ctx *ctx, void *connection, const char *object,
                         struct err *err)
{
    const struct manifest_delete_options options = {.wait = true, .timeout_ms = GONE_MS};
    const struct manifest_sink silent = {0};
    CLEANUP_MANIFEST_LIST struct manifest_list list = {0};

    if (read_object(object, &list, err) < 0)
        return -1;
    /* Only what the runner has applied: somebody else may have been faster, and ours refused. */
    list.items.items[0].state = MANIFEST_CREATING;
    return manifest_take_back(ctx, connection, &list, &options, &silent, err);
}

/* --- applying --- */

struct applying {
    struct deployed *deployed;
    const struct ctx *ctx;
};

static int creating(void *arg, const struct manifest *manifest, struct err *err)
{
    struct applying *a = arg;
    CLEANUP_FREE char *object = object_of(manifest);

    return deployed_note(a->deployed, object, err);
}

static void say(struct applying *a, enum output_stream stream, const struct manifest *manifest,
                const char *text)
{
    CLEANUP_BUF struct buf title = BUF_INIT;

    manifest_add_title(&title, manifest->api_version, manifest->kind, manifest->name);
    deployed_say(a->deployed, a->ctx, stream, "%s: %s", title.data, text);
}

static void done(void *arg, const struct manifest *manifest, const char *what)
{
    say(arg, OUTPUT_STDOUT, manifest, what);
}

static void failed(void *arg, const struct manifest *manifest, const char *text)
{
    say(arg, OUTPUT_STDERR, manifest, text);
}

/* Where a Service is found: web_80=10.0.0.12:80, web=10.0.0.12. */
static void tell_service(struct deployed *deployed, const struct manifest *manifest)
{
    const json_t *spec = json_object_get(manifest->live, "spec");
    const char *address = json_string_value(json_object_get(spec, "clusterIP"));
    const json_t *port;
    size_t i;

    if (!manifest_is(manifest, "", "Service") || !address || strcmp(address, "None") == 0)
        return;
    deployed_tell(deployed, manifest->name, address);
    json_array_foreach (json_object_get(spec, "ports"), i, port) {
        CLEANUP_FREE char *number =
            xasprintf("%lld", (long long)json_integer_value(json_object_get(port, "port")));

        deployed_tell_port(deployed, manifest->name, number, address, number);
    }
}

static void keep_log(void *arg, const char *log, const char *data, size_t len)
{
    deployed_keep(arg, log, data, len);
}

/* Before it is taken back. */
static void keep_logs(struct deployed *deployed, struct kube_cluster *cluster,
                      const struct manifest_list *list)
{
    const struct manifest_logs logs = {.tail_lines = LOG_LINES, .write = keep_log, .arg = deployed};
    struct ctx ctx;

    ctx_init_cleanup(&ctx, LOGS_MS);
    manifest_logs_read(&ctx, cluster, list, &logs);
    ctx_release(&ctx);
}

static int apply(const struct ctx *ctx, void *connection, struct deployed *deployed,
                 struct err *err)
{
    const struct deployment_shape *shape = deployed->runnable->deployment;
    /* ConfigMaps are often called as what they are for. */
    CLEANUP_FREE char *set = xasprintf("runner-%s", shape->name);
    const struct manifest_apply_options options = {.wait = shape->wait,
                                                   .timeout_ms = shape->timeout_ms,
                                                   .set = set,
                                                   .prune = shape->prune};
    struct applying applying = {deployed, ctx};
    const struct manifest_sink sink = {
        .arg = &applying, .creating = creating, .done = done, .note = done, .failed = failed};
    CLEANUP_MANIFEST_LIST struct manifest_list list = {0};

    if (read_manifests(ctx, deployed, &list, err) < 0)
        return 1;
    if (manifest_apply(ctx, connection, &list, &options, &sink, err) < 0) {
        keep_logs(deployed, connection, &list);
        return err->code == ERR_UNAVAILABLE ? -1 : 1;
    }
    for (size_t i = 0; i < list.items.len; i++)
        tell_service(deployed, &list.items.items[i]);
    return 0;
}

const struct deploy_kind manifests_kind = {
    .keeps_time = true,
    .connect = find_cluster,
    .disconnect = leave_cluster,
    .up = apply,
    .rank = rank_of,
    .remove = remove_object,
};
