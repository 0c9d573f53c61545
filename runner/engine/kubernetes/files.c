#include "engine/kubernetes/files.h"

#include "base/tar.h"
#include "engine/kubernetes/lanes.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/files.h"

/* What an attempt has left in *why is an error only if it was the last one. */
static struct err *give(const struct err *why, struct err *err)
{
    if (err)
        *err = *why;
    return err;
}

int files_fill(const struct ctx *ctx, struct kubernetes_place *place, const struct remote *remote,
               struct output *output, struct err *err)
{
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    /* Doing it twice does the same. */
    kubernetes_retry_init(&retry);
    do {
        result = remote_fill(ctx, remote, place->workspace, place->workspace, output, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    return result < 0 ? err_wrap(give(&why, err), "cannot copy %s to the pod", place->workspace)
                      : 0;
}

/* --- files at their places --- */

int files_place(const struct ctx *ctx, const struct remote *remote, const struct placed_file *files,
                size_t count, struct err *err)
{
    CLEANUP_BUF struct buf tar = BUF_INIT;
    struct err why = ERR_INIT;
    struct retry retry;
    int result;

    for (size_t i = 0; i < count; i++)
        tar_add_file(&tar, files[i].path + 1, 0444, files[i].data, files[i].size);
    tar_add_end(&tar);
    kubernetes_retry_init(&retry);
    do {
        result = remote_unpack(ctx, remote, "/", &tar, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    if (result < 0)
        give(&why, err);
    return result;
}

/* --- to and from the workspace, later --- */

/* One that runs, and has the workspace; NULL: there is none. Kubelets tell late that it does. */
static const struct remote *find_container(struct kubernetes_place *place)
{
    const struct remote *found = NULL;
    bool gone;
    json_t *pod = pod_object(place->tracked, &gone);

    for (size_t i = 0; i < place->container_count && !found; i++) {
        struct place_container *container = &place->containers[i];
        struct verdict verdict;

        verdict_of(pod, gone, container->pod.name, &verdict);
        if (!container->service_name &&
            (verdict.kind == VERDICT_RUNNING ||
             (verdict.kind == VERDICT_COMING && lane_pool_met(&container->lanes))))
            found = &container->reach.remote;
    }
    json_decref(pod);
    return found;
}

/* 1: there is no pod yet, hence no copy. */
static int begin(const struct ctx *ctx, struct kubernetes_place *place,
                 const struct remote **ret_remote, struct err *err)
{
    bool made;

    if (gate_enter(ctx, &place->making, err) < 0)
        return -1;
    made = place->made;
    gate_leave(&place->making);
    if (!made || place->services)
        return 1;
    *ret_remote = find_container(place);
    return *ret_remote ? 0 : err_set(err, ERR_LOST, "no container of its pod runs any more");
}

int kubernetes_place_get(const struct ctx *ctx, struct place *opaque, const char *path,
                         const char *into, struct err *err)
{
    struct kubernetes_place *place = (struct kubernetes_place *)opaque;
    const struct remote *remote;
    struct err why = ERR_INIT;
    struct retry retry;
    int result = begin(ctx, place, &remote, err);

    if (result == 1)
        return 0;
    if (result < 0)
        return -1;
    kubernetes_retry_init(&retry);
    do {
        result = remote_get(ctx, remote, place->workspace, path, into, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    return result < 0 ? err_wrap(give(&why, err), "cannot bring %s from the pod",
                                 *path ? path : place->workspace)
                      : 0;
}

int kubernetes_place_put(const struct ctx *ctx, struct place *opaque, const char *const *paths,
                         struct err *err)
{
    struct kubernetes_place *place = (struct kubernetes_place *)opaque;
    const struct remote *remote;
    struct err why = ERR_INIT;
    struct retry retry;
    bool filled;
    int result = begin(ctx, place, &remote, err);

    if (result == 1)
        return 0;
    if (result < 0 || gate_enter(ctx, &place->filling, err) < 0)
        return -1;
    filled = place->filled || place->empty;
    gate_leave(&place->filling);
    if (!filled)
        return 0; /* it will be made of what is there by then */
    kubernetes_retry_init(&retry);
    do {
        result = remote_put(ctx, remote, place->workspace, paths, place->workspace, &why);
    } while (result < 0 && kubernetes_again(ctx, &retry, &why));
    return result < 0 ? err_wrap(give(&why, err), "cannot copy %s to the pod", place->workspace)
                      : 0;
}
