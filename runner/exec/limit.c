#include "exec/limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/cleanup.h"

/* Somebody who waits, in its own frame. */
struct waiter {
    struct waiter *next;
    int event_fd; /* readable once it is in */
};

struct limit {
    pthread_mutex_t mu;
    uint32_t free; /* guarded by mu, as all below; 0 while somebody waits */
    struct waiter *first;
    struct waiter **end;
};

struct limit *limit_new(uint32_t count)
{
    struct limit *limit = xcalloc(1, sizeof(*limit));

    pthread_mutex_init(&limit->mu, NULL);
    limit->free = count;
    limit->end = &limit->first;
    return limit;
}

void limit_free(struct limit *limit)
{
    if (!limit)
        return;
    pthread_mutex_destroy(&limit->mu);
    free(limit);
}

static bool enter_at_once(struct limit *limit)
{
    bool entered;

    pthread_mutex_lock(&limit->mu);
    entered = limit->free > 0;
    limit->free -= entered;
    pthread_mutex_unlock(&limit->mu);
    return entered;
}

/* Takes the waiter out of the queue; false if it is in already. */
static bool withdraw(struct limit *limit, struct waiter *waiter)
{
    bool found = false;

    pthread_mutex_lock(&limit->mu);
    for (struct waiter **at = &limit->first; *at; at = &(*at)->next) {
        if (*at != waiter)
            continue;
        found = true;
        *at = waiter->next;
        if (!*at)
            limit->end = at;
        break;
    }
    pthread_mutex_unlock(&limit->mu);
    return found;
}

int limit_enter(struct limit *limit, const struct ctx *ctx, struct err *err)
{
    CLEANUP_FD int event_fd = -1;
    struct waiter waiter = {0};
    struct pollfd fd = {.events = POLLIN};

    if (enter_at_once(limit))
        return 0;
    event_fd = fd.fd = waiter.event_fd = eventfd(0, EFD_CLOEXEC);
    if (event_fd < 0)
        return err_errno(err, "cannot make an eventfd");
    pthread_mutex_lock(&limit->mu);
    if (limit->free > 0) {
        limit->free--;
        pthread_mutex_unlock(&limit->mu);
        return 0;
    }
    *limit->end = &waiter;
    limit->end = &waiter.next;
    pthread_mutex_unlock(&limit->mu);
    if (ctx_poll(ctx, &fd, 1, -1, err) > 0) {
        /* Who has let it in may still be at the descriptor, which goes away now. */
        pthread_mutex_lock(&limit->mu);
        pthread_mutex_unlock(&limit->mu);
        return 0;
    }
    if (!withdraw(limit, &waiter))
        limit_leave(limit);
    return -1;
}

void limit_leave(struct limit *limit)
{
    pthread_mutex_lock(&limit->mu);
    if (limit->first) {
        struct waiter *next = limit->first;

        limit->first = next->next;
        if (!limit->first)
            limit->end = &limit->first;
        eventfd_write(next->event_fd, 1);
    } else {
        limit->free++;
    }
    pthread_mutex_unlock(&limit->mu);
}
