#include "engine/kubernetes/pods.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apis/kube/watch.h"
#include "base/alloc.h"
#include "base/logger.h"

enum {
    THREAD_STACK = 512 * 1024,
    PAUSE_MS = 1000, /* after a failure, and between lists where there can be no watch */
    REPORTS_MAX = 200,
};

struct tracked_pod {
    char *name;
    pthread_mutex_t *mu; /* of all of them; guards the rest */
    json_t *object;
    bool gone;
    bool due; /* in the list that is on its way, unless it is gone */
    struct strvec reports;
    struct pod_listener *listeners;
    struct tracked_pod *next;
};

struct pods {
    struct kube_cluster *cluster;
    char *ns;
    char *labels;
    struct ctx ctx; /* cancelled to end the threads */
    pthread_mutex_t mu;
    struct tracked_pod *first; /* guarded by mu */
    bool polled;               /* likewise: there can be no watch */
    pthread_t threads[2];
    size_t thread_count;
};

/* --- what is known --- */

static struct tracked_pod *find(struct pods *pods, const char *name)
{
    for (struct tracked_pod *pod = pods->first; pod && name; pod = pod->next) {
        if (strcmp(pod->name, name) == 0)
            return pod;
    }
    return NULL;
}

static void tell(struct tracked_pod *pod)
{
    for (struct pod_listener *listener = pod->listeners; listener; listener = listener->next)
        eventfd_write(listener->fd, 1);
}

static const char *name_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "name"));
}

static const char *uid_of(const json_t *object)
{
    return json_string_value(json_object_get(json_object_get(object, "metadata"), "uid"));
}

/* Whether somebody else has made one of the same name since. */
static bool is_another(const struct tracked_pod *pod, const json_t *object)
{
    const char *known = uid_of(pod->object);
    const char *uid = uid_of(object);

    return known && uid && strcmp(known, uid) != 0;
}

/* NULL object: it is gone, and what is known is its last state. */
static void update(struct pods *pods, const char *name, const json_t *object, bool gone)
{
    struct tracked_pod *pod;

    pthread_mutex_lock(&pods->mu);
    pod = find(pods, name);
    if (pod) {
        if (is_another(pod, object)) {
            gone = true;
        } else if (object) {
            json_decref(pod->object);
            pod->object = json_deep_copy(object);
        }
        pod->gone = gone;
        tell(pod);
    }
    pthread_mutex_unlock(&pods->mu);
}

static void on_pod(struct pods *pods, const struct kube_watch_event *event)
{
    if (event->type == KUBE_WATCH_SYNCED)
        return;
    update(pods, name_of(event->object), event->unseen ? NULL : event->object,
           event->type == KUBE_WATCH_DELETED);
}

static bool is_reported(const struct tracked_pod *pod, const char *text)
{
    for (size_t i = 0; i < pod->reports.len; i++) {
        if (strcmp(pod->reports.items[i], text) == 0)
            return true;
    }
    return false;
}

static void on_event(struct pods *pods, const struct kube_watch_event *event)
{
    const char *name;
    const char *reason = json_string_value(json_object_get(event->object, "reason"));
    const char *message = json_string_value(json_object_get(event->object, "message"));
    CLEANUP_FREE char *text = NULL;
    struct tracked_pod *pod;

    if (event->type == KUBE_WATCH_SYNCED || event->type == KUBE_WATCH_DELETED || !reason)
        return;
    name = json_string_value(
        json_object_get(json_object_get(event->object, "involvedObject"), "name"));
    text = xasprintf("%s: %s", reason, message ? message : "");
    pthread_mutex_lock(&pods->mu);
    pod = find(pods, name);
    if (pod && pod->reports.len < REPORTS_MAX && !is_reported(pod, text)) {
        strvec_push(&pod->reports, text);
        tell(pod);
    }
    pthread_mutex_unlock(&pods->mu);
}

/* --- watching --- */

static const struct kube_ref *ref_of(const struct pods *pods, const char *resource,
                                     struct kube_ref *ret)
{
    *ret = (struct kube_ref){.api_version = "v1", .resource = resource, .ns = pods->ns};
    return ret;
}

/* 0 when ctx ended, -1 when watching is forbidden. */
static int follow(struct pods *pods, const char *resource, const struct kube_selector *selector,
                  void (*on)(struct pods *, const struct kube_watch_event *), struct err *err)
{
    struct kube_ref ref;
    CLEANUP_KUBE_WATCH struct kube_watch *watch =
        kube_watch_new(pods->cluster, ref_of(pods, resource, &ref), selector);
    struct kube_watch_event event;

    while (!ctx_done(&pods->ctx)) {
        int got = kube_watch_next(&pods->ctx, watch, -1, &event, err);

        if (got > 0)
            on(pods, &event);
        if (got >= 0 || ctx_done(&pods->ctx))
            continue;
        log_debug("kubernetes", "the watch on %s: %s", resource, err->message);
        if (err->code == ERR_DENIED)
            return -1;
        if (ctx_sleep(&pods->ctx, PAUSE_MS, NULL) < 0)
            return 0;
    }
    return 0;
}

/* One that is created while a list is on its way may be in it or not. */
static void mark_due(struct pods *pods)
{
    pthread_mutex_lock(&pods->mu);
    for (struct tracked_pod *pod = pods->first; pod; pod = pod->next)
        pod->due = pod->object && !pod->gone;
    pthread_mutex_unlock(&pods->mu);
}

/* Those that are not in the list any more are gone. */
static void mark_missing(struct pods *pods, const json_t *items)
{
    pthread_mutex_lock(&pods->mu);
    for (struct tracked_pod *pod = pods->first; pod; pod = pod->next) {
        bool found = !pod->due;
        const json_t *item;
        size_t i;

        json_array_foreach (items, i, item) {
            const char *name = name_of(item);

            found = found || (name && strcmp(name, pod->name) == 0);
        }
        if (!found) {
            pod->gone = true;
            tell(pod);
        }
    }
    pthread_mutex_unlock(&pods->mu);
}

static void poll_pods(struct pods *pods)
{
    CLEANUP_KUBE_CLIENT struct kube_client *client = kube_client_new(pods->cluster);
    const struct kube_selector selector = {.labels = pods->labels};
    struct kube_ref ref;
    bool said = false;

    pthread_mutex_lock(&pods->mu);
    pods->polled = true;
    pthread_mutex_unlock(&pods->mu);
    do {
        struct err err = ERR_INIT;
        json_t *list = NULL;

        mark_due(pods);
        if (kube_list(&pods->ctx, client, ref_of(pods, "pods", &ref), &selector, 0, &list, &err) <
            0) {
            if (!said && err.code == ERR_DENIED)
                log_warn("kubernetes", "how pods are doing cannot be seen: %s", err.message);
            said = said || err.code == ERR_DENIED;
            log_debug("kubernetes", "the pods cannot be listed: %s", err.message);
        } else {
            const json_t *items = json_object_get(list, "items");
            const json_t *item;
            size_t i;

            json_array_foreach (items, i, item)
                update(pods, name_of(item), item, false);
            mark_missing(pods, items);
        }
        json_decref(list);
    } while (ctx_sleep(&pods->ctx, PAUSE_MS, NULL) == 0);
}

static void *watch_pods(void *arg)
{
    struct pods *pods = arg;
    const struct kube_selector selector = {.labels = pods->labels};
    struct err err = ERR_INIT;

    if (follow(pods, "pods", &selector, on_pod, &err) < 0)
        poll_pods(pods);
    return NULL;
}

static void *watch_events(void *arg)
{
    static const struct kube_selector selector = {.fields = "involvedObject.kind=Pod,type=Warning"};
    struct pods *pods = arg;
    struct err err = ERR_INIT;

    if (follow(pods, "events", &selector, on_event, &err) < 0)
        log_info("kubernetes", "what is reported about pods is not shown: %s", err.message);
    return NULL;
}

static int start_thread(struct pods *pods, void *(*run)(void *), struct err *err)
{
    pthread_attr_t attr;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    error = pthread_create(&pods->threads[pods->thread_count], &attr, run, pods);
    pthread_attr_destroy(&attr);
    if (error)
        return err_set(err, ERR_SYSTEM, "cannot start a thread: %s", strerror(error));
    pods->thread_count++;
    return 0;
}

int pods_start(struct kube_cluster *cluster, const char *ns, const char *labels, struct pods **ret,
               struct err *err)
{
    struct pods *pods = xcalloc(1, sizeof(*pods));

    if (ctx_init_root(&pods->ctx, NULL, err) < 0) {
        free(pods);
        return -1;
    }
    pods->cluster = cluster;
    pods->ns = xstrdup(ns);
    pods->labels = xstrdup(labels);
    pthread_mutex_init(&pods->mu, NULL);
    if (start_thread(pods, watch_pods, err) < 0 || start_thread(pods, watch_events, err) < 0) {
        pods_stop(pods);
        return -1;
    }
    *ret = pods;
    return 0;
}

static void free_pod(struct tracked_pod *pod)
{
    json_decref(pod->object);
    strvec_release(&pod->reports);
    free(pod->name);
    free(pod);
}

void pods_stop(struct pods *pods)
{
    if (!pods)
        return;
    ctx_cancel(&pods->ctx, CTX_CAUSE_USER);
    for (size_t i = 0; i < pods->thread_count; i++)
        pthread_join(pods->threads[i], NULL);
    while (pods->first) {
        struct tracked_pod *pod = pods->first;

        pods->first = pod->next;
        free_pod(pod);
    }
    pthread_mutex_destroy(&pods->mu);
    ctx_release(&pods->ctx);
    free(pods->ns);
    free(pods->labels);
    free(pods);
}

/* --- looking --- */

struct tracked_pod *pods_track(struct pods *pods, const char *name)
{
    struct tracked_pod *pod = xcalloc(1, sizeof(*pod));

    pod->name = xstrdup(name);
    pod->mu = &pods->mu;
    pthread_mutex_lock(&pods->mu);
    pod->next = pods->first;
    pods->first = pod;
    pthread_mutex_unlock(&pods->mu);
    return pod;
}

void pods_untrack(struct pods *pods, struct tracked_pod *pod)
{
    if (!pod)
        return;
    pthread_mutex_lock(&pods->mu);
    for (struct tracked_pod **at = &pods->first; *at; at = &(*at)->next) {
        if (*at == pod) {
            *at = pod->next;
            break;
        }
    }
    pthread_mutex_unlock(&pods->mu);
    free_pod(pod);
}

const char *pod_name(const struct tracked_pod *pod)
{
    return pod->name;
}

int pod_listen(struct tracked_pod *pod, struct pod_listener *listener, struct err *err)
{
    listener->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->fd < 0)
        return err_errno(err, "cannot make an eventfd");
    pthread_mutex_lock(pod->mu);
    listener->next = pod->listeners;
    pod->listeners = listener;
    pthread_mutex_unlock(pod->mu);
    return 0;
}

void pod_unlisten(struct tracked_pod *pod, struct pod_listener *listener)
{
    pthread_mutex_lock(pod->mu);
    for (struct pod_listener **at = &pod->listeners; *at; at = &(*at)->next) {
        if (*at == listener) {
            *at = listener->next;
            break;
        }
    }
    pthread_mutex_unlock(pod->mu);
    close(listener->fd);
}

void pod_heard(struct pod_listener *listener)
{
    eventfd_t count;

    if (eventfd_read(listener->fd, &count) < 0)
        return; /* nothing new */
}

json_t *pod_object(struct tracked_pod *pod, bool *ret_gone)
{
    json_t *object;

    pthread_mutex_lock(pod->mu);
    object = json_deep_copy(pod->object);
    *ret_gone = pod->gone;
    pthread_mutex_unlock(pod->mu);
    return object;
}

void pods_look(const struct ctx *ctx, struct pods *pods, struct tracked_pod *pod)
{
    CLEANUP_KUBE_CLIENT struct kube_client *client = NULL;
    struct kube_ref ref;
    struct err err = ERR_INIT;
    json_t *object = NULL;
    bool polled;

    pthread_mutex_lock(&pods->mu);
    polled = pods->polled;
    pthread_mutex_unlock(&pods->mu);
    if (!polled)
        return;
    client = kube_client_new(pods->cluster);
    ref_of(pods, "pods", &ref);
    ref.name = pod->name;
    if (kube_get(ctx, client, &ref, &object, &err) == 0 || err.code == ERR_NOT_FOUND)
        update(pods, pod->name, object, !object);
    json_decref(object);
}

void pod_set_object(struct tracked_pod *pod, json_t *object)
{
    pthread_mutex_lock(pod->mu);
    if (!pod->object && !pod->gone)
        pod->object = json_deep_copy(object);
    tell(pod);
    pthread_mutex_unlock(pod->mu);
}

void pod_nudge(struct tracked_pod *pod)
{
    pthread_mutex_lock(pod->mu);
    tell(pod);
    pthread_mutex_unlock(pod->mu);
}

void pod_reports(struct tracked_pod *pod, size_t *seen, struct strvec *ret)
{
    pthread_mutex_lock(pod->mu);
    for (; *seen < pod->reports.len; (*seen)++)
        strvec_push(ret, pod->reports.items[*seen]);
    pthread_mutex_unlock(pod->mu);
}
