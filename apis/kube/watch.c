/* `known` says of each object that was given out which version of it that was. Whatever comes, from
 * a list or from the stream, is held against it when it is given out, which makes events of one
 * object follow each other as they must, and gives nothing twice.
 *
 * The queue holds what has come and was not given out; a new connection is made, and a list read,
 * only when it is empty, so that `version` is always where to go on. */
#include "apis/kube/watch.h"

#include <string.h>

#include "apis/http/retry.h"
#include "apis/kube/internal.h"
#include "base/clock.h"
#include "base/json_at.h"

enum {
    LINE_MAX_BYTES = 16 << 20,
    WATCH_S = 290, /* how long the server is asked to keep it up */
    STALL_S = 330, /* a server that has not ended it by then is dead */
    ALIVE_MS = 1000,
};

enum entry_type {
    ENTRY_OBJECT,
    ENTRY_DELETED,
    ENTRY_UNSEEN,
    ENTRY_BOOKMARK,
    ENTRY_ERROR,
    ENTRY_SYNCED
};

struct entry {
    enum entry_type type;
    json_t *object;
};

struct kube_watch {
    struct kube_cluster *cluster;
    struct kube_client *client; /* for lists */
    char *api_version;
    char *resource;
    char *ns;
    char *labels;
    char *fields;
    struct http_client *http; /* for the stream */
    struct http_call *call;
    unsigned generation; /* of the credentials that the call has */
    bool renewed;        /* they were, since anything came */
    unsigned barren;     /* lists that had to be read, since anything came */
    int64_t since_ms;    /* monotonic: when the call began */
    bool fruitful;       /* something came by it */
    struct retry retry;
    struct buf partial;
    VEC(struct entry)
    queue;
    size_t first;
    json_t *given; /* the object of the last event */
    json_t *known; /* "NS/NAME" → {"uid", "version"} */
    char *version; /* where the stream goes on; NULL: a list is needed */
};

static void drop_stream(struct kube_watch *w)
{
    http_call_free(steal_ptr(&w->call));
    http_client_free(steal_ptr(&w->http));
    buf_reset(&w->partial);
}

static void reset_queue(struct kube_watch *w)
{
    for (size_t i = w->first; i < w->queue.len; i++)
        json_decref(w->queue.items[i].object);
    w->first = w->queue.len = 0;
}

struct kube_watch *kube_watch_new(struct kube_cluster *cluster, const struct kube_ref *ref,
                                  const struct kube_selector *selector)
{
    struct kube_watch *w = xcalloc(1, sizeof(*w));

    w->cluster = cluster;
    w->client = kube_client_new(cluster);
    w->api_version = xstrdup(ref->api_version);
    w->resource = xstrdup(ref->resource);
    w->ns = xstrdup_null(ref->ns);
    w->labels = xstrdup_null(selector ? selector->labels : NULL);
    w->fields = xstrdup_null(selector ? selector->fields : NULL);
    w->partial = (struct buf)BUF_INIT;
    w->known = json_object();
    retry_init(&w->retry, &(struct retry_policy){0});
    return w;
}

void kube_watch_free(struct kube_watch *w)
{
    if (!w)
        return;
    drop_stream(w);
    reset_queue(w);
    vec_release(&w->queue);
    buf_release(&w->partial);
    kube_client_free(w->client);
    json_decref(w->given);
    json_decref(w->known);
    free(w->api_version);
    free(w->resource);
    free(w->ns);
    free(w->labels);
    free(w->fields);
    free(w->version);
    free(w);
}

/* Takes the object over. */
static void enqueue(struct kube_watch *w, enum entry_type type, json_t *object)
{
    vec_push(&w->queue, ((struct entry){.type = type, .object = object}));
}

static char *key_of(const json_t *object)
{
    return xasprintf("%s/%s", json_at_string(object, "metadata.namespace"),
                     json_at_string(object, "metadata.name"));
}

static void set_version(struct kube_watch *w, const json_t *object)
{
    const char *version = json_at_string(object, "metadata.resourceVersion");

    if (*version) {
        free(w->version);
        w->version = xstrdup(version);
    }
}

/* --- the list --- */

static json_t *unseen_object(const char *key, const json_t *known)
{
    const char *slash = strchr(key, '/');
    CLEANUP_FREE char *ns = xstrndup(key, (size_t)(slash - key));

    return json_pack("{s:{s:s, s:s, s:s}}", "metadata", "name", slash + 1, "namespace", ns, "uid",
                     json_at_string(known, "uid"));
}

static void enqueue_gone(struct kube_watch *w, const json_t *items)
{
    json_t *present = json_object();
    const char *key;
    json_t *value;
    size_t i;

    json_array_foreach (items, i, value) {
        CLEANUP_FREE char *name = key_of(value);

        json_object_set_new(present, name, json_true());
    }
    json_object_foreach (w->known, key, value) {
        if (!json_object_get(present, key))
            enqueue(w, ENTRY_UNSEEN, unseen_object(key, value));
    }
    json_decref(present);
}

static int read_list(const struct ctx *ctx, struct kube_watch *w, struct err *err)
{
    const struct kube_ref ref = {.api_version = w->api_version,
                                 .resource = w->resource,
                                 .ns = w->ns};
    const struct kube_selector selector = {.labels = w->labels, .fields = w->fields};
    json_t *list = NULL;
    json_t *item;
    size_t i;

    if (kube_list(ctx, w->client, &ref, &selector, 0, &list, err) < 0)
        return -1;
    enqueue_gone(w, json_object_get(list, "items"));
    json_array_foreach (json_object_get(list, "items"), i, item) {
        enqueue(w, ENTRY_OBJECT, json_incref(item));
    }
    set_version(w, list);
    enqueue(w, ENTRY_SYNCED, NULL);
    json_decref(list);
    if (!w->version) {
        reset_queue(w);
        return err_set(err, ERR_PROTOCOL, "%s: a list of %s has no resourceVersion",
                       w->cluster->peer, w->resource);
    }
    return 0;
}

/* --- the stream --- */

static int take_line(struct kube_watch *w, const char *text, size_t len, struct err *err)
{
    static const struct {
        const char *name;
        enum entry_type type;
    } types[] = {{"ADDED", ENTRY_OBJECT},
                 {"MODIFIED", ENTRY_OBJECT},
                 {"DELETED", ENTRY_DELETED},
                 {"BOOKMARK", ENTRY_BOOKMARK},
                 {"ERROR", ENTRY_ERROR}};
    json_error_t where;
    json_t *event = json_loadb(text, len, JSON_ALLOW_NUL, &where);
    const char *type = json_at_string(event, "type");

    if (!event)
        return err_set(err, ERR_PROTOCOL, "%s: what a watch of %s gives is not JSON: %s",
                       w->cluster->peer, w->resource, where.text);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (strcmp(types[i].name, type) == 0)
            enqueue(w, types[i].type, json_incref(json_object_get(event, "object")));
    }
    json_decref(event);
    return 0;
}

static int on_bytes(void *arg, const char *data, size_t len, struct err *err)
{
    struct kube_watch *w = arg;

    while (len) {
        const char *end = memchr(data, '\n', len);
        const size_t take = end ? (size_t)(end - data) : len;

        if (w->partial.len + take > LINE_MAX_BYTES)
            return err_set(err, ERR_LIMIT, "%s: an event of %s is larger than %d bytes",
                           w->cluster->peer, w->resource, LINE_MAX_BYTES);
        buf_add(&w->partial, data, take);
        if (!end)
            return 0;
        if (w->partial.len && take_line(w, w->partial.data, w->partial.len, err) < 0)
            return -1;
        buf_reset(&w->partial);
        data += take + 1;
        len -= take + 1;
    }
    return 0;
}

static int begin_stream(const struct ctx *ctx, struct kube_watch *w, struct err *err)
{
    static const char *const keep[] = {"retry-after", NULL};
    const struct kube_ref ref = {.api_version = w->api_version,
                                 .resource = w->resource,
                                 .ns = w->ns};
    CLEANUP_KUBE_AUTH struct kube_auth auth = {0};
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct http_request request = {.method = "GET",
                                   .write = on_bytes,
                                   .write_arg = w,
                                   .keep = keep};
    char seconds[16];

    if (kube_credentials_get(ctx, w->cluster->credentials, &auth, err) < 0 ||
        kube_http_new(w->cluster, &auth, STALL_S, &w->http, err) < 0)
        return -1;
    snprintf(seconds, sizeof(seconds), "%d", WATCH_S);
    kube_ref_path(&path, &ref);
    kube_add_query(&path, "watch", "true");
    kube_add_query(&path, "allowWatchBookmarks", "true");
    kube_add_query(&path, "timeoutSeconds", seconds);
    kube_add_query(&path, "resourceVersion", w->version);
    kube_add_query(&path, "labelSelector", w->labels);
    kube_add_query(&path, "fieldSelector", w->fields);
    request.path = path.data;
    request.headers = (const char *const *)auth.headers.items;
    w->generation = auth.generation;
    w->since_ms = clock_monotonic_ms();
    w->fruitful = false;
    return http_start(w->http, &request, &w->call, err);
}

/* Before trying again; -1 with *err as it is when that has been done often enough. */
static int pause_before_retry(const struct ctx *ctx, struct kube_watch *w, int64_t retry_after_ms,
                              struct err *err)
{
    if (retry_wait(ctx, &w->retry, retry_after_ms, err) == 0)
        return 0;
    retry_init(&w->retry, &(struct retry_policy){0}); /* for the next call */
    return -1;
}

/* What a refusal asks for: 0 when the stream is to be begun anew. */
static int refused(const struct ctx *ctx, struct kube_watch *w, const struct kube_status *status,
                   struct err *err)
{
    bool changed = false;

    if (status->code == 410) {
        free(steal_ptr(&w->version));
        return w->barren++ ? pause_before_retry(ctx, w, -1, err) : 0;
    }
    if (status->code == 401 && !w->renewed) {
        struct err why = *err;

        w->renewed = true;
        if (kube_credentials_renew(ctx, w->cluster->credentials, w->generation, &changed, err) < 0)
            return -1;
        if (changed)
            return 0;
        *err = why;
    }
    if (!kube_status_is_transient(status) && !retry_is_transient(err))
        return -1;
    return pause_before_retry(ctx, w, status->retry_after_ms, err);
}

/* The stream is over, one way or another: 0 when it is to be begun anew. */
static int end_stream(const struct ctx *ctx, struct kube_watch *w, struct err *err)
{
    const struct http_response *response = http_call_response(w->call);
    const bool lived = w->fruitful || clock_monotonic_ms() - w->since_ms >= ALIVE_MS;
    struct kube_status status = {.retry_after_ms = -1};
    int result = http_call_result(w->call, err);

    if (result == 0 && response->status != 200) {
        kube_response_error(w->cluster, response, &status, err);
        drop_stream(w);
        return refused(ctx, w, &status, err);
    }
    drop_stream(w);
    if (result < 0 && err->code != ERR_LOST && err->code != ERR_UNAVAILABLE)
        return -1;
    if (lived)
        return 0;
    if (result == 0)
        err_set(err, ERR_LOST, "%s ends each watch of %s at once", w->cluster->peer, w->resource);
    return pause_before_retry(ctx, w, -1, err);
}

/* --- giving out --- */

enum verdict { SKIP, GIVE, GIVE_AND_KEEP };

/* Holds an object against what was given before. */
static enum verdict judge_object(struct kube_watch *w, struct entry *entry,
                                 struct kube_watch_event *ret)
{
    CLEANUP_FREE char *key = key_of(entry->object);
    const char *uid = json_at_string(entry->object, "metadata.uid");
    const char *version = json_at_string(entry->object, "metadata.resourceVersion");
    const json_t *known = json_object_get(w->known, key);

    if (known && strcmp(json_at_string(known, "uid"), uid) != 0) {
        /* Another one of that name: the end of the first comes before it. */
        json_decref(w->given);
        w->given = unseen_object(key, known);
        json_object_del(w->known, key);
        *ret = (struct kube_watch_event){.type = KUBE_WATCH_DELETED,
                                         .object = w->given,
                                         .unseen = true};
        return GIVE_AND_KEEP;
    }
    if (known && strcmp(json_at_string(known, "version"), version) == 0)
        return SKIP;
    ret->type = known ? KUBE_WATCH_MODIFIED : KUBE_WATCH_ADDED;
    json_object_set_new(w->known, key, json_pack("{s:s, s:s}", "uid", uid, "version", version));
    return GIVE;
}

static enum verdict judge_deleted(struct kube_watch *w, struct entry *entry,
                                  struct kube_watch_event *ret)
{
    CLEANUP_FREE char *key = key_of(entry->object);
    const json_t *known = json_object_get(w->known, key);

    if (!known ||
        strcmp(json_at_string(known, "uid"), json_at_string(entry->object, "metadata.uid")) != 0)
        return SKIP;
    json_object_del(w->known, key);
    ret->type = KUBE_WATCH_DELETED;
    ret->unseen = entry->type == ENTRY_UNSEEN;
    return GIVE;
}

static enum verdict judge(struct kube_watch *w, struct entry *entry, struct kube_watch_event *ret)
{
    switch (entry->type) {
    case ENTRY_OBJECT:
        return judge_object(w, entry, ret);
    case ENTRY_DELETED:
    case ENTRY_UNSEEN:
        return judge_deleted(w, entry, ret);
    case ENTRY_SYNCED:
        ret->type = KUBE_WATCH_SYNCED;
        return GIVE;
    default:
        return SKIP;
    }
}

/* An error within the stream: 0 when that is to be begun anew. */
static int error_entry(const struct ctx *ctx, struct kube_watch *w, json_t *object, struct err *err)
{
    struct kube_status status = {.retry_after_ms = -1};

    kube_status_error(w->cluster, object, 500, &status, err);
    json_decref(object);
    reset_queue(w);
    drop_stream(w);
    return refused(ctx, w, &status, err);
}

/* The next of the queue: 1 when there is one to give out, 0 when the queue is empty. */
static int give(const struct ctx *ctx, struct kube_watch *w, struct kube_watch_event *ret,
                struct err *err)
{
    while (w->first < w->queue.len) {
        struct entry entry = w->queue.items[w->first];
        struct kube_watch_event event = {0};
        enum verdict verdict = judge(w, &entry, &event);

        if (verdict == GIVE_AND_KEEP) {
            *ret = event;
            return 1;
        }
        w->first++;
        if (entry.type == ENTRY_ERROR && error_entry(ctx, w, entry.object, err) < 0)
            return -1;
        if (entry.type == ENTRY_ERROR)
            return 0;
        if (w->call) { /* what a list has is not in the order of its versions */
            set_version(w, entry.object);
            w->fruitful = true;
            w->renewed = false;
            w->barren = 0;
            retry_init(&w->retry, &(struct retry_policy){0});
        }
        json_decref(w->given);
        w->given = entry.object;
        if (verdict == GIVE) {
            event.object = w->given;
            *ret = event;
            return 1;
        }
    }
    reset_queue(w);
    return 0;
}

int kube_watch_next(const struct ctx *ctx, struct kube_watch *w, int timeout_ms,
                    struct kube_watch_event *ret, struct err *err)
{
    const int64_t end = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ms() + timeout_ms;
    struct err own = ERR_INIT;
    int result = 0;

    while (result == 0) {
        int64_t left;

        result = ctx_check(ctx, &own) < 0 ? -1 : give(ctx, w, ret, &own);
        if (result != 0)
            break;
        if (!w->version) {
            result = read_list(ctx, w, &own);
            continue;
        }
        if (!w->call) {
            result = begin_stream(ctx, w, &own);
            continue;
        }
        if (http_call_done(w->call)) {
            result = end_stream(ctx, w, &own);
            continue;
        }
        left = end == INT64_MAX ? -1 : end - clock_monotonic_ms();
        if (end != INT64_MAX && left <= 0)
            return 0;
        result = http_client_poll(ctx, w->http, NULL, 0, (int)left, &own) < 0 ? -1 : 0;
    }
    if (result < 0 && err)
        *err = own;
    return result;
}
