/* When the helper cannot be reached any more there is no record, and the state of the pod only says
 * why. */
#include "engine/kubernetes/session.h"

#include <signal.h>

#include "engine/kubernetes/loss.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/session.h"

enum {
    OUT_OF_SIGHT_MS = 3000, /* for a pod's state to tell why its container is gone */
    TOLD_MS = 1500,         /* for it to tell why a step was asked to end */
    LOOK_MS = 3000,
};

struct pod_session {
    struct remote_session session;
    struct kubernetes_place *place;
    const struct place_container *container;
    struct pod_listener listener;
    struct verdict verdict;
};

/* Whether the container has ended, for all that is known. */
static bool has_ended(struct pod_session *session)
{
    bool gone;
    json_t *pod = pod_object(session->place->tracked, &gone);

    verdict_of(pod, gone, session->container->pod.name, &session->verdict);
    json_decref(pod);
    return session->verdict.kind == VERDICT_ENDED &&
           (gone || session->verdict.has_code || session->verdict.reason != REASON_LOST);
}

static bool watched_end(void *arg, struct err *why)
{
    struct pod_session *session = arg;

    if (!has_ended(session))
        return false;
    err_set(why, ERR_LOST, "%s", session->verdict.text);
    return true;
}

static void watch_heard(void *arg)
{
    struct pod_session *session = arg;

    pod_heard(&session->listener);
}

/* The state of a pod follows what happens in it by a second or two. */
static void await_verdict(struct pod_session *session)
{
    struct pollfd fd = {.fd = session->listener.fd, .events = POLLIN};
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, OUT_OF_SIGHT_MS);
    while (!has_ended(session) && ctx_poll(&ctx, &fd, 1, -1, NULL) >= 0)
        pod_heard(&session->listener);
}

static void record_loss(struct pod_session *session, struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = REASON_LOST};
    await_verdict(session);
    loss_explain(session->place, &session->verdict);
    if (session->verdict.kind == VERDICT_ENDED) {
        ret->reason = session->verdict.reason;
        snprintf(ret->detail, sizeof(ret->detail), "%.250s", session->verdict.text);
    } else {
        snprintf(ret->detail, sizeof(ret->detail), "%.250s", session->session.why.message);
    }
}

/* 0: not known. */
static int64_t memory_limit(const struct runnable *runnable)
{
    const struct spec_resources *resources = runnable->container->resources;

    return resources && resources->memory_bytes > 0 ? resources->memory_bytes : 0;
}

/* *ret: why the pod has been told to go. */
static bool is_told_to_go(struct pod_session *session, struct verdict *ret)
{
    bool gone;
    json_t *pod = pod_object(session->place->tracked, &gone);
    bool told = verdict_of_pod(pod, gone, ret);

    json_decref(pod);
    return told;
}

/* A kubelet may hear sooner than the runner that a pod is to go, and sends SIGTERM then. */
static bool await_told_to_go(struct pod_session *session, struct verdict *ret)
{
    struct pollfd fd = {.fd = session->listener.fd, .events = POLLIN};
    CLEANUP_CTX struct ctx ctx;
    bool told;

    ctx_init_cleanup(&ctx, TOLD_MS);
    while (!(told = is_told_to_go(session, ret)) && ctx_poll(&ctx, &fd, 1, -1, NULL) >= 0)
        pod_heard(&session->listener);
    return told;
}

/* Whoever told the pod to go has ended its steps, too. */
static bool was_told_to_go(struct pod_session *session, int code, struct verdict *ret)
{
    struct kubernetes_place *place = session->place;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, LOOK_MS);
    pods_look(&ctx, place->space->pods, place->tracked);
    return is_told_to_go(session, ret) || (code == 128 + SIGTERM && await_told_to_go(session, ret));
}

static void record_exit(struct pod_session *session, struct exit_record *ret)
{
    int code = helper_reply_code(&session->session.helped.reply);
    struct verdict verdict;

    helped_record(&session->session.helped, code, ret);
    if (code == 0)
        return;
    /* Process 1 of the container is the helper and lives on: its status says nothing of this. */
    if (helper_reply_out_of_memory(&session->session.helped.reply))
        helped_record_oom(memory_limit(session->session.helped.runnable), ret);
    if (was_told_to_go(session, code, &verdict)) {
        loss_explain(session->place, &verdict);
        ret->reason = verdict.reason;
        snprintf(ret->detail, sizeof(ret->detail), "%.250s", verdict.text);
    }
}

static int run(const struct ctx *ctx, struct pod_session *session, struct exit_record *ret,
               struct err *err)
{
    switch (remote_session_run(ctx, &session->session, session->place->workspace, err)) {
    case SESSION_EXITED:
        record_exit(session, ret);
        return 0;
    case SESSION_LOST:
        record_loss(session, ret);
        return 0;
    case SESSION_STOPPED:
        remote_session_record_end(&session->session, ret);
        return -1;
    case SESSION_FAILED:
        break;
    }
    return -1;
}

int kubernetes_session_run(const struct ctx *ctx, struct kubernetes_place *place,
                           struct place_container *container, struct lane *lane,
                           const struct runnable *runnable, struct output *output,
                           bool *ret_reusable, struct exit_record *ret, struct err *err)
{
    struct pod_session session = {.place = place, .container = container};
    struct remote_watch watch = {.heard = watch_heard, .ended = watched_end, .arg = &session};
    int result;

    *ret_reusable = true;
    if (pod_listen(place->tracked, &session.listener, err) < 0)
        return -1;
    watch.fd = session.listener.fd;
    remote_session_init(&session.session, lane, &watch, runnable, output);
    result = run(ctx, &session, ret, err);
    *ret_reusable = remote_session_release(&session.session);
    pod_unlisten(place->tracked, &session.listener);
    return result;
}
