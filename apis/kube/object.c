#include "apis/kube/object.h"

#include <string.h>

#include "apis/kube/internal.h"
#include "base/json_at.h"

void kube_ref_path(struct buf *out, const struct kube_ref *ref)
{
    const char *slash = strchr(ref->api_version, '/');

    if (slash) {
        CLEANUP_FREE char *group = xstrndup(ref->api_version, (size_t)(slash - ref->api_version));

        buf_addstr(out, "/apis/");
        http_escape(out, group);
        buf_addch(out, '/');
        http_escape(out, slash + 1);
    } else {
        buf_addstr(out, "/api/");
        http_escape(out, ref->api_version);
    }
    const char *const parts[] = {ref->ns ? "namespaces" : NULL, ref->ns, ref->resource, ref->name,
                                 ref->subresource};

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        if (!parts[i])
            continue;
        buf_addch(out, '/');
        http_escape(out, parts[i]);
    }
}

void kube_add_query(struct buf *path, const char *key, const char *value)
{
    if (!value)
        return;
    buf_addf(path, "%c%s=", strchr(path->data, '?') ? '&' : '?', key);
    http_escape(path, value);
}

int kube_get(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
             json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET", .repeat = KUBE_REPEAT_SAFE};

    kube_ref_path(&path, ref);
    request.path = path.data;
    return kube_call(ctx, client, &request, ret, err);
}

/* --- lists --- */

static void add_selector(struct buf *path, const struct kube_selector *selector)
{
    if (!selector)
        return;
    kube_add_query(path, "labelSelector", selector->labels);
    kube_add_query(path, "fieldSelector", selector->fields);
}

static int list_page(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                     const struct kube_selector *selector, int page, const char *next, json_t **ret,
                     struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET", .repeat = KUBE_REPEAT_SAFE};
    char limit[16];

    snprintf(limit, sizeof(limit), "%d", page);
    kube_ref_path(&path, ref);
    add_selector(&path, selector);
    kube_add_query(&path, "limit", page > 0 ? limit : NULL);
    kube_add_query(&path, "continue", next);
    request.path = path.data;
    return kube_call(ctx, client, &request, ret, err);
}

/* Lists leave out what their items are. */
static void name_kinds(json_t *list)
{
    const char *kind = json_at_string(list, "kind");
    const char *version = json_at_string(list, "apiVersion");
    const size_t len = strlen(kind);
    json_t *item;
    size_t i;

    if (len <= 4 || strcmp(kind + len - 4, "List") != 0)
        return;
    json_array_foreach (json_object_get(list, "items"), i, item) {
        if (!json_object_get(item, "kind"))
            json_object_set_new(item, "kind", json_stringn(kind, len - 4));
        if (!json_object_get(item, "apiVersion"))
            json_object_set_new(item, "apiVersion", json_string(version));
    }
}

/* Adds pages to the first one until the last. */
static int add_pages(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                     const struct kube_selector *selector, int page, json_t *list, struct err *err)
{
    json_t *items = json_object_get(list, "items");
    CLEANUP_FREE char *next = xstrdup(json_at_string(list, "metadata.continue"));

    while (*next) {
        json_t *more = NULL;

        if (list_page(ctx, client, ref, selector, page, next, &more, err) < 0)
            return -1;
        json_array_extend(items, json_object_get(more, "items"));
        free(next);
        next = xstrdup(json_at_string(more, "metadata.continue"));
        json_decref(more);
    }
    return 0;
}

int kube_list(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
              const struct kube_selector *selector, int page, json_t **ret, struct err *err)
{
    json_t *list = NULL;
    int result = 0;

    if (page <= 0)
        page = KUBE_PAGE_DEFAULT;
    if (list_page(ctx, client, ref, selector, page, NULL, &list, err) < 0)
        return -1;
    if (json_is_null(json_object_get(list, "items")))
        json_object_set_new(list, "items", json_array());
    if (!json_is_array(json_object_get(list, "items")))
        result = err_set(err, ERR_PROTOCOL, "%s: the answer to a list of %s is none",
                         kube_client_cluster(client)->peer, ref->resource);
    if (result == 0)
        result = add_pages(ctx, client, ref, selector, page, list, err);
    if (result < 0 && kube_client_status(client)->code == 410) {
        /* The server does not remember how the list was when it began: all of it at once. */
        json_decref(list);
        list = NULL;
        result = list_page(ctx, client, ref, selector, 0, NULL, &list, err);
    }
    if (result < 0) {
        json_decref(list);
        return -1;
    }
    name_kinds(list);
    *ret = list;
    return 0;
}

int kube_list_within(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                     int max_items, size_t max_bytes, json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET",
                                   .repeat = KUBE_REPEAT_SAFE,
                                   .max_body = max_bytes};
    char limit[16];
    json_t *list = NULL;

    snprintf(limit, sizeof(limit), "%d", max_items);
    kube_ref_path(&path, ref);
    kube_add_query(&path, "limit", limit);
    request.path = path.data;
    if (kube_call(ctx, client, &request, &list, err) < 0)
        return -1;
    if (*json_at_string(list, "metadata.continue")) {
        json_decref(list);
        return err_set(err, ERR_LIMIT, "%s: there are more than %d %s",
                       kube_client_cluster(client)->peer, max_items, ref->resource);
    }
    *ret = list;
    return 0;
}

int kube_events(const struct ctx *ctx, struct kube_client *client, const char *ns, const char *kind,
                const char *name, const char *uid, json_t **ret, struct err *err)
{
    const struct kube_ref ref = {.api_version = "v1", .resource = "events", .ns = ns};
    CLEANUP_FREE char *fields =
        xasprintf("involvedObject.kind=%s,involvedObject.name=%s", kind, name);
    json_t *items;

    if (kube_list(ctx, client, &ref, &(struct kube_selector){.fields = fields}, 0, ret, err) < 0)
        return -1;
    items = json_object_get(*ret, "items");
    for (size_t i = json_array_size(items); i-- > 0;) {
        const char *of = json_at_string(json_array_get(items, i), "involvedObject.uid");

        if (*of && strcmp(of, uid) != 0)
            json_array_remove(items, i);
    }
    return 0;
}

/* --- changes --- */

int kube_create(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                json_t *object, json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "POST", .body = object, .settle_ms = KUBE_SETTLE_MS};

    kube_ref_path(&path, ref);
    request.path = path.data;
    return kube_call(ctx, client, &request, ret, err);
}

int kube_replace(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                 json_t *object, json_t **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "PUT", .body = object};

    kube_ref_path(&path, ref);
    request.path = path.data;
    return kube_call(ctx, client, &request, ret, err);
}

int kube_patch(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
               enum kube_patch_type type, json_t *patch, const struct kube_patch_options *o,
               json_t **ret, struct err *err)
{
    static const struct {
        const char *content_type;
        enum kube_repeat repeat;
    } types[] = {
        [KUBE_PATCH_JSON] = {"application/json-patch+json", KUBE_REPEAT_UNSENT},
        [KUBE_PATCH_MERGE] = {"application/merge-patch+json", KUBE_REPEAT_SAFE},
        [KUBE_PATCH_STRATEGIC] = {"application/strategic-merge-patch+json", KUBE_REPEAT_UNSENT},
        [KUBE_PATCH_APPLY] = {"application/apply-patch+yaml", KUBE_REPEAT_SAFE},
    };
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "PATCH",
                                   .content_type = types[type].content_type,
                                   .body = patch,
                                   .repeat = types[type].repeat};

    kube_ref_path(&path, ref);
    if (o) {
        kube_add_query(&path, "fieldManager", o->field_manager);
        kube_add_query(&path, "force", o->force ? "true" : NULL);
        kube_add_query(&path, "dryRun", o->dry_run ? "All" : NULL);
    }
    request.path = path.data;
    return kube_call(ctx, client, &request, ret, err);
}

int kube_delete(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                const struct kube_delete_options *o, json_t **ret, struct err *err)
{
    static const char *const propagations[] = {
        [KUBE_PROPAGATION_BACKGROUND] = "Background",
        [KUBE_PROPAGATION_FOREGROUND] = "Foreground",
        [KUBE_PROPAGATION_ORPHAN] = "Orphan",
    };
    CLEANUP_BUF struct buf path = BUF_INIT;
    json_t *body = json_pack("{s:s, s:s, s:s}", "apiVersion", "v1", "kind", "DeleteOptions",
                             "propagationPolicy", propagations[o ? o->propagation : 0]);
    struct kube_request request = {.method = "DELETE", .body = body, .repeat = KUBE_REPEAT_SAFE};
    int result;

    if (o && o->uid)
        json_object_set_new(body, "preconditions", json_pack("{s:s}", "uid", o->uid));
    if (o && o->has_grace)
        json_object_set_new(body, "gracePeriodSeconds", json_integer(o->grace_s));
    kube_ref_path(&path, ref);
    request.path = path.data;
    result = kube_call(ctx, client, &request, ret, err);
    json_decref(body);
    return result;
}
