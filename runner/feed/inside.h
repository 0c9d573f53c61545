/* What the parts of feed/ share.
 *
 * Each run that somebody follows has a head: how far its record has been read for all. A subscriber
 * is at the head, and is given what comes as it comes; or it is behind, and readers read for it
 * from its position on, a chunk whenever it asks for one, until it has all that is before the head.
 * It joins with the feed locked, so that the head stands still: what is before it has been given,
 * what is behind it will be. Whoever lets more than a backlog of chunks pile up loses them, and is
 * behind from where it stopped to take them. So chunks are kept only as far back from the head as a
 * backlog goes, besides one for each who has asked.
 *
 * Positions are compared as one is said to be within another: both are numbers of what has been
 * given of one order, so that it means the same for filtered and unfiltered reading. */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "feed/chunk.h"
#include "feed/feed.h"
#include "feed/format.h"
#include "feed/watch.h"

enum {
    FEED_BUCKETS = 256,
    FEED_READERS = 2,
    /* Of messages: about so much. */
    FEED_CHUNK_SIZE = 64 * 1024,
    FEED_BACKLOG = 2 << 20,
};

/* What is told of damage: where it is in which file is nothing for followers. */
#define FEED_DAMAGED "a part of the record of this run is damaged, and left out here"

struct feed_outcome {
    char status[16];
    char reason[32];
    char *error;
    bool has_exit_code;
    int exit_code;
};

struct feed_subscriber {
    struct feed_channel *channel;
    struct feed_subscriber *prev, *next; /* in it */
    void (*wake)(void *arg);
    void *wake_arg;
    struct record_position position; /* behind the last chunk that was given */
    int64_t tail;                    /* where to begin, once that is known a position; -1 */
    uint64_t skip;                   /* lines of the next item that are left out */
    uint64_t skip_behind;            /* likewise, behind what is in the queue */
    bool at_head;
    bool busy;  /* a reader has it, or it is among the jobs */
    bool gone;  /* unsubscribed while it was busy */
    bool ended; /* the last chunk is in its queue, or has been given */
    bool asked; /* and there was nothing */
    bool ahead; /* of the head: waits for one look that begins behind wait_since */
    uint64_t wait_since;
    VEC(struct feed_chunk *)
    queue;
    size_t queue_at; /* the next of it */
    size_t queued;   /* bytes */
    struct feed_subscriber *next_job;
};

/* What subscribers of a run share who want the same. */
struct feed_channel {
    struct feed_channel *next;
    struct feed_run *run;
    enum feed_format format;
    char *node; /* NULL: all */
    struct feed_subscriber *subscribers;
    size_t at_head;
    /* Of the thread that looks. */
    bool formatting;
    struct feed_channel *next_formatting;
    struct feed_formatter formatter;
    VEC(struct feed_chunk *)
    fresh;
};

struct feed_run {
    struct feed_run *next; /* of the same bucket */
    struct feed *feed;
    char *id;
    size_t subscriber_count;
    struct feed_channel *channels;
    struct record *record; /* NULL: there is none yet */
    struct record_position head;
    bool ended; /* the head is at the end */
    struct feed_outcome outcome;
    struct feed_channel *formatting; /* those of the look that goes on */
    uint64_t looks_begun;
    uint64_t looks_done; /* the last that got to the end of what there was */
    bool wanted;         /* a look */
    /* Of the thread that looks. */
    struct record_follow *follow;
    struct feed_watched watched;
    bool told;       /* there may be more */
    int64_t next_ms; /* not before */
    int64_t poll_ms; /* told or not */
    int closing_left;
};

struct feed {
    char *runs_dir;
    size_t headroom;
    pthread_mutex_t mu; /* guards what is not somebody's, here and above */
    pthread_cond_t work;
    struct feed_run *runs[FEED_BUCKETS]; /* taken out by the thread that looks alone */
    struct feed_subscriber *jobs;
    struct feed_subscriber **jobs_end;
    bool stop;
    int wake_fd;
    pthread_t looker;
    pthread_t readers[FEED_READERS];
    size_t thread_count;
    struct feed_watch watch; /* of the thread that looks */
};

static inline bool feed_is_within(struct record_position a, struct record_position b)
{
    return a.event <= b.event && a.item <= b.item;
}

/* --- feed.c; all with the feed locked --- */

void feed_wake_looker(struct feed *feed);
/* Has it read for, if it needs that now. */
void feed_kick(struct feed_subscriber *s);
/* Gives it a chunk (its own reference) and tells it. */
void feed_push(struct feed_subscriber *s, struct feed_chunk *chunk);
void feed_tell(struct feed_subscriber *s);
/* It is at the head from now on, or not any more. */
void feed_join(struct feed_subscriber *s);
void feed_fall_behind(struct feed_subscriber *s);
/* The last chunk has been given. */
void feed_end(struct feed_subscriber *s);
/* Gives it that, too. */
void feed_give_done(struct feed_subscriber *s);
void feed_subscriber_free(struct feed_subscriber *s);
/* What `done` says is copied. */
void feed_outcome_set(struct feed_outcome *outcome, const struct feed_done *done);
void feed_outcome_done(const struct feed_outcome *outcome, struct feed_done *ret);
struct record_log_filter feed_filter(const struct feed_channel *channel);

/* --- look.c --- */

/* The thread that looks. */
void *feed_look(void *feed);
/* Frees a run that nobody follows. */
void feed_run_free(struct feed_run *run);

/* --- catch_up.c --- */

/* A thread that reads for those who are behind. */
void *feed_read(void *feed);
