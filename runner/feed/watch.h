/* One instance of inotify for many records: internal to feed/.
 *
 * Threads: one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "record/record.h"

struct feed_run;

/* What is watched of a run. */
struct feed_watched {
    struct feed_run *run;
    int wds[2];
    struct feed_watched *next[2]; /* of the same buckets */
    bool active;                  /* false: nobody tells of it */
};

enum { FEED_WATCH_BUCKETS = 256 };

struct feed_watch {
    int fd; /* -1: nobody tells */
    int dir_wd;
    struct feed_watched *buckets[2][FEED_WATCH_BUCKETS];
};

/* With the directory of records: tells of those that come into it. */
void feed_watch_init(struct feed_watch *watch, const char *runs_dir);
void feed_watch_release(struct feed_watch *watch);
/* Whether new records are told. */
bool feed_watch_tells_new(const struct feed_watch *watch);
void feed_watch_add(struct feed_watch *watch, struct feed_watched *watched, struct feed_run *run,
                    const struct record *record);
void feed_watch_remove(struct feed_watch *watch, struct feed_watched *watched);
/* Calls for all that has been told: of a run, or of a record that has come (its name), or of
 * something (neither). */
void feed_watch_drain(struct feed_watch *watch,
                      void (*told)(void *arg, struct feed_run *run, bool closed, const char *name),
                      void *arg);
