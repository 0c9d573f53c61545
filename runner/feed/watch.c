#include "feed/watch.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "record/files.h"

void feed_watch_init(struct feed_watch *w, const char *runs_dir)
{
    *w = (struct feed_watch){.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), .dir_wd = -1};
    if (w->fd >= 0)
        w->dir_wd = inotify_add_watch(w->fd, runs_dir, IN_MOVED_TO | IN_ONLYDIR);
}

void feed_watch_release(struct feed_watch *w)
{
    cleanup_fd(&w->fd);
}

bool feed_watch_tells_new(const struct feed_watch *w)
{
    return w->dir_wd >= 0;
}

static int add(struct feed_watch *w, int file_fd, uint32_t events)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
    return w->fd < 0 ? -1 : inotify_add_watch(w->fd, path, events);
}

static struct feed_watched **bucket(struct feed_watch *w, int which, int wd)
{
    return &w->buckets[which][(unsigned)wd % FEED_WATCH_BUCKETS];
}

void feed_watch_add(struct feed_watch *w, struct feed_watched *watched, struct feed_run *run,
                    const struct record *record)
{
    *watched = (struct feed_watched){.run = run, .active = true};
    watched->wds[0] = add(w, record->events_fd, IN_MODIFY | IN_CLOSE_WRITE);
    watched->wds[1] = add(w, record->index_fd, IN_MODIFY);
    for (int i = 0; i < 2; i++) {
        struct feed_watched **first = bucket(w, i, watched->wds[i]);

        if (watched->wds[i] < 0) {
            watched->active = false;
            continue;
        }
        watched->next[i] = *first;
        *first = watched;
    }
}

void feed_watch_remove(struct feed_watch *w, struct feed_watched *watched)
{
    for (int i = 0; watched->run && i < 2; i++) {
        struct feed_watched **at = bucket(w, i, watched->wds[i]);

        if (watched->wds[i] < 0)
            continue;
        while (*at != watched)
            at = &(*at)->next[i];
        *at = watched->next[i];
        inotify_rm_watch(w->fd, watched->wds[i]);
    }
    *watched = (struct feed_watched){0};
}

static struct feed_run *find(struct feed_watch *w, int wd)
{
    for (int i = 0; i < 2; i++) {
        for (struct feed_watched *at = *bucket(w, i, wd); at; at = at->next[i]) {
            if (at->wds[i] == wd)
                return at->run;
        }
    }
    return NULL;
}

void feed_watch_drain(struct feed_watch *w,
                      void (*told)(void *arg, struct feed_run *run, bool closed, const char *name),
                      void *arg)
{
    char events[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t got;

    while ((got = read(w->fd, events, sizeof(events))) > 0) {
        for (const char *at = events; at < events + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            struct feed_run *run = find(w, event->wd);

            at += sizeof(*event) + event->len;
            if (event->wd == w->dir_wd && event->mask & IN_IGNORED)
                w->dir_wd = -1;
            else if (event->wd == w->dir_wd && event->len)
                told(arg, NULL, false, event->name);
            else if (run)
                told(arg, run, event->mask & IN_CLOSE_WRITE, NULL);
            else if (event->mask & IN_Q_OVERFLOW)
                told(arg, NULL, false, NULL);
        }
    }
}
