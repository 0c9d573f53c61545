/* Reading for those who are behind, until they are at the head. */
#include <stdlib.h>

#include "feed/inside.h"

struct reading {
    struct record_position from;
    uint64_t from_skip;              /* lines of the first item that are left out */
    struct record_position position; /* so far it has been read, */
    uint64_t skip;                   /* and so many lines of the next item are still left out */
    struct record_position limit;    /* what is behind it comes from the head */
    int64_t tail;
    bool reached;             /* the limit */
    struct feed_chunk *chunk; /* NULL: there was nothing */
};

/* --- reading, with the feed unlocked --- */

static void skip_lines(struct reading *r, struct record_item *item)
{
    struct record_line line;
    size_t at = 0;

    while (r->skip > 0 && record_log_line(item, &at, &line))
        r->skip--;
    r->skip = 0;
    item->continued = item->continued && at == 0;
    item->data += at;
    item->size -= at;
}

static void take(struct reading *r, struct record_followed *f, struct feed_formatter *formatter)
{
    if (!f->is_event && r->skip && f->item.stream != RECORD_MISSING)
        skip_lines(r, &f->item);
    feed_format(formatter, f);
    r->position = f->position;
}

static void read_some(struct reading *r, struct record_follow *follow,
                      struct feed_formatter *formatter)
{
    while (!r->reached && feed_formatter_size(formatter) < FEED_CHUNK_SIZE) {
        struct record_followed f;

        switch (record_follow_next(follow, &f, NULL)) {
        case RECORD_ITEM:
            if (feed_is_within(f.position, r->limit))
                take(r, &f, formatter);
            else
                r->reached = true;
            break;
        case RECORD_DAMAGED:
            feed_format_remark(formatter, FEED_DAMAGED);
            break;
        case RECORD_NONE_YET:
        case RECORD_END:
            r->reached = true;
            break;
        }
    }
    /* All before the limit has been read, whatever of it was asked for. */
    if (r->reached && feed_is_within(r->position, r->limit))
        r->position = r->limit;
}

static void read_chunk(const struct feed_channel *channel, struct reading *r)
{
    struct feed_run *run = channel->run;
    const struct record_log_filter filter = feed_filter(channel);
    CLEANUP_RECORD_FOLLOW struct record_follow *follow = NULL;
    struct feed_formatter formatter;

    feed_formatter_init(&formatter, channel->format, run->id, run->feed->headroom);
    record_follow_open(run->record, r->from, &filter, &follow);
    if (r->tail >= 0 && record_follow_tail(follow, (uint64_t)r->tail, &r->from_skip, NULL) == 0)
        r->from = record_follow_position(follow);
    formatter.position = r->position = r->from;
    r->skip = r->from_skip;
    read_some(r, follow, &formatter);
    r->chunk = feed_formatter_take(&formatter, r->position);
    feed_formatter_release(&formatter);
}

/* --- joining, with the feed locked --- */

/* It begins where the head has not got to, or where nothing will ever be: one look tells. */
static bool must_wait(struct feed_subscriber *s, const struct reading *r)
{
    struct feed_run *run = s->channel->run;

    if ((feed_is_within(r->position, run->head) && !r->skip) || run->ended ||
        (s->ahead && run->looks_done > s->wait_since))
        return false;
    if (!s->ahead)
        s->wait_since = run->looks_begun;
    s->ahead = true;
    run->wanted = true;
    feed_wake_looker(run->feed);
    return true;
}

static void join(struct feed_subscriber *s)
{
    if (s->channel->run->ended)
        feed_give_done(s);
    else
        feed_join(s);
}

/* What has been read counts once it has been taken. */
static void keep(struct feed_subscriber *s, const struct reading *r)
{
    s->tail = -1;
    s->position = r->chunk ? r->from : r->position;
    s->skip = r->chunk ? r->from_skip : r->skip;
    s->skip_behind = r->skip;
    if (r->chunk)
        feed_push(s, r->chunk);
}

/* Reads until there is a chunk, or it is at the head, or it has to wait. */
static void catch_up(struct feed_subscriber *s)
{
    struct feed_run *run = s->channel->run;
    struct feed *feed = run->feed;

    while (!s->gone) {
        struct reading r = {.from = s->position,
                            .from_skip = s->skip,
                            .limit = run->head,
                            .tail = s->tail};
        bool at_head = false;

        pthread_mutex_unlock(&feed->mu);
        read_chunk(s->channel, &r);
        pthread_mutex_lock(&feed->mu);
        keep(s, &r);
        at_head = r.reached && r.limit.event == run->head.event && r.limit.item == run->head.item;
        if (at_head && !must_wait(s, &r))
            join(s);
        if (at_head || r.chunk)
            break;
    }
}

void *feed_read(void *arg)
{
    struct feed *feed = arg;

    pthread_mutex_lock(&feed->mu);
    for (;;) {
        struct feed_subscriber *s;

        while (!feed->jobs && !feed->stop)
            pthread_cond_wait(&feed->work, &feed->mu);
        s = feed->jobs;
        if (!s)
            break;
        feed->jobs = s->next_job;
        if (!feed->jobs)
            feed->jobs_end = &feed->jobs;
        catch_up(s);
        s->busy = false;
        if (s->gone)
            feed_subscriber_free(s);
        else
            feed_tell(s);
    }
    pthread_mutex_unlock(&feed->mu);
    return NULL;
}
