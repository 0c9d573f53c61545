#include "base/resolve.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"

static const struct addrinfo any = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
static const struct addrinfo numeric = {.ai_socktype = SOCK_STREAM,
                                        .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};

/* Of the thread that asks and of the one that waits; the last to leave frees it. */
struct query {
    atomic_int users;
    atomic_bool done; /* what follows is set */
    int error;        /* of getaddrinfo() */
    struct addrinfo *list;
    int event_fd; /* readable then */
    char *host;
    char *service;
};

static void leave(struct query *q)
{
    if (atomic_fetch_sub(&q->users, 1) > 1)
        return;
    if (q->list)
        freeaddrinfo(q->list);
    close(q->event_fd);
    free(q->host);
    free(q->service);
    free(q);
}

static void *ask(void *arg)
{
    struct query *q = arg;

    q->error = getaddrinfo(q->host, q->service, &any, &q->list);
    if (q->error)
        q->list = NULL;
    atomic_store(&q->done, true);
    eventfd_write(q->event_fd, 1);
    leave(q);
    return NULL;
}

static int start(struct query *q, struct err *err)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    int error;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&q->users, 2);
    error = pthread_create(&thread, &attr, ask, q);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (!error)
        return 0;
    atomic_store(&q->users, 1);
    return err_set(err, ERR_SYSTEM, "no thread can be started: %s", strerror(error));
}

static int wait_for(const struct ctx *ctx, struct query *q, struct err *err)
{
    struct pollfd fd = {.fd = q->event_fd, .events = POLLIN};

    while (!atomic_load(&q->done)) {
        if (ctx_poll(ctx, &fd, 1, -1, err) < 0)
            return -1;
    }
    if (q->error)
        return err_set(err, ERR_NOT_FOUND, "%s", gai_strerror(q->error));
    return 0;
}

int resolve_host(const struct ctx *ctx, const char *host, const char *service,
                 struct addrinfo **ret, struct err *err)
{
    struct addrinfo *list;
    struct query *q;
    int result;

    if (ctx_check(ctx, err) < 0)
        return -1;
    if (getaddrinfo(host, service, &numeric, &list) == 0) {
        *ret = list;
        return 0;
    }
    q = xcalloc(1, sizeof(*q));
    atomic_store(&q->users, 1);
    q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (q->event_fd < 0) {
        free(q);
        return err_errno(err, "cannot create an eventfd");
    }
    q->host = xstrdup(host);
    q->service = xstrdup_null(service);
    result = start(q, err) < 0 || wait_for(ctx, q, err) < 0 ? -1 : 0;
    if (result == 0) {
        *ret = q->list;
        q->list = NULL;
    }
    leave(q);
    return result;
}
