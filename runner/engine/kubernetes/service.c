#include "engine/kubernetes/service.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apis/kube/log.h"
#include "base/alloc.h"
#include "base/logger.h"
#include "engine/kubernetes/loss.h"
#include "engine/kubernetes/verdict.h"
#include "engine/remote/program.h"

enum {
    THREAD_STACK = 512 * 1024,
    TERM_MS = 5000,
    LOG_END_MS = 3000, /* for the rest of the log, once the container has ended */
    LOG_PAUSE_MS = 500,
    ENDED_MS = 3000,
};

/* Follows the log, in a thread of its own, and is the only one who writes to the output. */
struct following {
    struct kubernetes_place *place;
    const char *container;
    struct output *output;
    struct ctx ctx; /* cancelled to end it */
    int64_t bytes;  /* given */
    int64_t skip;   /* of what comes, as it was given before */
    int end_fd;     /* readable when the log has ended */
};

static int write_log(void *arg, const char *data, size_t len, struct err *err)
{
    struct following *f = arg;
    size_t skip = f->skip < (int64_t)len ? (size_t)f->skip : len;

    (void)err;
    f->skip -= (int64_t)skip;
    if (len > skip)
        f->output->write(f->output, &f->ctx, OUTPUT_STDOUT, data + skip, len - skip);
    f->bytes += (int64_t)(len - skip);
    return 0;
}

static void look(struct kubernetes_place *place, const char *container, struct verdict *ret)
{
    bool gone;
    json_t *pod = pod_object(place->tracked, &gone);

    verdict_of(pod, gone, container, ret);
    json_decref(pod);
}

/* 0 when the container has ended, -1 with ctx. */
static int await_end(const struct ctx *ctx, struct kubernetes_place *place, const char *container,
                     struct verdict *ret, struct err *err)
{
    struct pod_listener listener;
    struct pollfd fd;
    int result = 0;

    if (pod_listen(place->tracked, &listener, err) < 0)
        return -1;
    fd = (struct pollfd){.fd = listener.fd, .events = POLLIN};
    for (;;) {
        look(place, container, ret);
        if (ret->kind == VERDICT_ENDED)
            break;
        result = ctx_poll(ctx, &fd, 1, -1, err);
        if (result < 0)
            break;
        pod_heard(&listener);
    }
    pod_unlisten(place->tracked, &listener);
    return result < 0 ? -1 : 0;
}

/* An API server that loses its kubelet ends the log as if that were all of it. The cluster says
 * that a container has ended a second or two after its log does. */
static bool is_complete(struct following *f)
{
    struct verdict verdict;
    struct ctx ctx;
    bool ended;

    ctx_init(&ctx, &f->ctx);
    ctx_set_timeout(&ctx, ENDED_MS, "log");
    ended = await_end(&ctx, f->place, f->container, &verdict, NULL) == 0;
    ctx_release(&ctx);
    return ended;
}

/* Kubelets that have just begun do not find their pods. */
static bool may_come_again(struct following *f, const struct err *err)
{
    struct verdict verdict;

    if (err->code == ERR_DENIED)
        return false;
    look(f->place, f->container, &verdict);
    return err->code != ERR_NOT_FOUND || verdict.kind != VERDICT_ENDED;
}

/* Until the container has ended. A connection that breaks is made again, from the beginning. */
static void *follow(void *arg)
{
    struct following *f = arg;
    struct kube_client *client = kubernetes_client_take(f->place->instance);
    const struct kube_log_options options = {.container = f->container, .follow = true};

    while (!ctx_done(&f->ctx)) {
        struct err err = ERR_INIT;

        f->skip = f->bytes;
        if (kube_log(&f->ctx, client, f->place->space->ns, f->place->pod, &options, write_log, f,
                     &err) == 0 &&
            is_complete(f))
            break;
        log_debug("kubernetes", "the log of %s/%s breaks off: %s", f->place->pod, f->container,
                  err.message);
        if (!may_come_again(f, &err) || ctx_sleep(&f->ctx, LOG_PAUSE_MS, NULL) < 0)
            break;
    }
    kubernetes_client_give(f->place->instance, client);
    eventfd_write(f->end_fd, 1);
    return NULL;
}

static void record(const struct verdict *verdict, struct exit_record *ret)
{
    *ret = (struct exit_record){.kind = EXIT_LOST, .reason = verdict->reason};
    snprintf(ret->detail, sizeof(ret->detail), "%.250s", verdict->text);
    if (!verdict->has_code)
        return;
    ret->kind = EXIT_CODE;
    ret->code = verdict->code;
    if (verdict->reason == REASON_LOST) {
        ret->reason = REASON_NONE;
        ret->detail[0] = '\0';
    }
}

/* Its process 1, as the end of the pod would. False: it will not end for that: it cannot be told,
 * or does not care. */
static bool terminate(const struct remote *remote)
{
    const char *const argv[] = {POD_HELPER, "signal", "1", "15", NULL};
    const struct remote_program program = {.argv = argv};
    struct err err = ERR_INIT;
    CLEANUP_CTX struct ctx ctx;

    ctx_init_cleanup(&ctx, TERM_MS);
    if (remote_do(&ctx, remote, &program, &err) == 0)
        return true;
    log_debug("kubernetes", "%s gets no SIGTERM: %s", remote->name, err.message);
    return false;
}

static void end_service(const struct ctx *ctx, struct kubernetes_place *place,
                        struct place_container *container, int64_t grace_ms,
                        struct exit_record *ret)
{
    CLEANUP_CTX struct ctx grace;
    struct verdict verdict;

    ctx_init_grace(&grace, ctx, grace_ms);
    if (terminate(&container->reach.remote) &&
        await_end(&grace, place, container->pod.name, &verdict, NULL) == 0)
        record(&verdict, ret);
}

static int run(const struct ctx *ctx, struct kubernetes_place *place,
               struct place_container *container, const struct runnable *service,
               struct exit_record *ret, struct err *err)
{
    struct verdict verdict;

    if (await_end(ctx, place, container->pod.name, &verdict, err) < 0) {
        end_service(ctx, place, container, service->grace_ms, ret);
        return -1;
    }
    loss_explain(place, &verdict);
    record(&verdict, ret);
    return 0;
}

static int start_following(struct following *f, pthread_t *ret_thread, struct err *err)
{
    pthread_attr_t attr;
    int error;

    if (ctx_init_root(&f->ctx, NULL, err) < 0)
        return -1;
    f->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error = f->end_fd < 0 ? errno : 0;
    if (!error) {
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, THREAD_STACK);
        error = pthread_create(ret_thread, &attr, follow, f);
        pthread_attr_destroy(&attr);
    }
    if (!error)
        return 0;
    cleanup_fd(&f->end_fd);
    ctx_release(&f->ctx);
    return err_set(err, ERR_SYSTEM, "cannot follow the log of %s: %s", f->container,
                   strerror(error));
}

/* The log of a container that goes on has no end. */
static void end_following(struct following *f, pthread_t thread, bool ended)
{
    struct pollfd end = {.fd = f->end_fd, .events = POLLIN};
    CLEANUP_CTX struct ctx rest;

    ctx_init_cleanup(&rest, LOG_END_MS);
    if (!ended || ctx_poll(&rest, &end, 1, -1, NULL) < 0)
        ctx_cancel(&f->ctx, CTX_CAUSE_USER);
    pthread_join(thread, NULL);
    cleanup_fd(&f->end_fd);
    ctx_release(&f->ctx);
}

int kubernetes_service_run(const struct ctx *ctx, struct kubernetes_place *place,
                           struct place_container *container, const struct runnable *service,
                           struct output *output, struct exit_record *ret, struct err *err)
{
    struct following f = {.place = place, .container = container->pod.name, .output = output};
    struct verdict verdict;
    pthread_t thread;
    int result;

    if (output->started)
        output->started(output);
    if (start_following(&f, &thread, err) < 0)
        return -1;
    result = run(ctx, place, container, service, ret, err);
    look(place, container->pod.name, &verdict);
    end_following(&f, thread, verdict.kind == VERDICT_ENDED);
    return result;
}
