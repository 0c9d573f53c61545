#include "record/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "record/files.h"

enum {
    /* File systems of other machines tell nothing of what is written there. */
    LOOK_MS = 1000,
    /* Without any telling. */
    POLL_MS = 100,
    /* The kernel tells that a file was closed an instant before it gives up its lock: looks again
     * so soon, and so often. */
    CLOSING_MS = 2,
    CLOSING_LOOKS = 100,
};

struct record_watch {
    const struct record *record;
    int fd;           /* -1: nothing tells */
    int closing_left; /* looks since the writer has been seen to go */
};

static void add(struct record_watch *w, int file_fd, uint32_t events)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
    if (w->fd >= 0 && inotify_add_watch(w->fd, path, events) < 0) {
        close(w->fd);
        w->fd = -1;
    }
}

void record_watch_open(const struct record *record, struct record_watch **ret)
{
    struct record_watch *w = xmalloc(sizeof(*w));

    *w = (struct record_watch){.record = record, .fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    add(w, record->events_fd, IN_MODIFY | IN_CLOSE_WRITE);
    add(w, record->index_fd, IN_MODIFY);
    *ret = w;
}

void record_watch_close(struct record_watch *w)
{
    if (!w)
        return;
    cleanup_fd(&w->fd);
    free(w);
}

/* Takes what has been told; true: the writer has closed a file. */
static bool drain(int fd)
{
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    bool closed = false;
    ssize_t got;

    while ((got = read(fd, events, sizeof(events))) > 0) {
        for (const char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;

            closed = closed || event->mask & IN_CLOSE_WRITE;
            at += sizeof(*event) + event->len;
        }
    }
    return closed;
}

static int wait_ms(const struct record_watch *w)
{
    if (w->closing_left)
        return CLOSING_MS;
    return w->fd < 0 ? POLL_MS : LOOK_MS;
}

int record_watch_wait(struct record_watch *w, const struct ctx *ctx, int timeout_ms,
                      struct err *err)
{
    struct pollfd told = {.fd = w->fd, .events = POLLIN};
    int longest = wait_ms(w);
    bool look = timeout_ms < 0 || longest <= timeout_ms;
    int ready = ctx_poll(ctx, &told, w->fd < 0 ? 0 : 1, look ? longest : timeout_ms, err);

    if (ready < 0)
        return -1;
    if (w->closing_left)
        w->closing_left--;
    if (ready > 0 && drain(w->fd) && record_is_written(w->record))
        w->closing_left = CLOSING_LOOKS;
    return ready > 0 || look;
}
