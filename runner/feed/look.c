/* The thread that looks at all runs for those who are at their heads. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/json_at.h"
#include "base/vec.h"
#include "feed/inside.h"

enum {
    /* What comes meanwhile is sent together. */
    INTERVAL_MS = 100,
    /* Where nobody tells, and on file systems of other machines, which tell nothing. */
    POLL_MS = 100,
    LOOK_MS = 1000,
    /* The kernel tells that a file was closed an instant before it gives up its lock. */
    CLOSING_MS = 2,
    CLOSING_LOOKS = 100,
    /* Of one run, before the others have their turn. */
    BUDGET = 512 * 1024,
    /* What is told is taken so often at most: each line of each run would be a wakeup. */
    DRAIN_MS = 10,
};

struct runs {
    struct feed_run **items;
    size_t len;
    size_t cap;
};

/* --- the end of a run --- */

static const char *first_of(const json_t *object, const char *const *keys)
{
    const char *text = "";

    for (; *keys && !*text; keys++)
        text = json_at_string(object, *keys);
    return text;
}

/* What RunEnded says. A run without a tree has no status: it did not begin. */
static void read_end(struct feed_run *run, const struct record_event *event)
{
    static const char *const errors[] = {"text", "tree.message", "error", NULL};
    json_t *object = json_loadb(event->json, event->size, JSON_ALLOW_NUL, NULL);
    int exit_code = (int)json_at_int(object, "exit_code");
    struct feed_done done = {.status = json_at_string(object, "status"),
                             .reason = json_at_string(object, "reason"),
                             .exit_code = json_at(object, "exit_code") ? &exit_code : NULL};

    if (strcmp(done.status, "succeeded") != 0) {
        done.error = first_of(object, errors);
        if (!*done.error)
            done.error = strcmp(done.status, "cancelled") == 0 ? "the run was cancelled"
                                                               : "the run has failed";
    }
    if (!*done.status)
        done.status = "failed";
    feed_outcome_set(&run->outcome, &done);
    json_decref(object);
}

static bool is_end(const struct record_event *event)
{
    size_t size;
    const char *name = record_event_name(event, &size);

    return size == strlen("RunEnded") && memcmp(name, "RunEnded", size) == 0;
}

/* --- reading --- */

static bool is_below(const struct feed_channel *channel, const struct record_followed *f)
{
    size_t node_size = channel->node ? strlen(channel->node) : 0;
    const char *node = f->item.node;
    size_t size = node && !f->is_event ? strlen(node) : 0;

    if (!node_size || (f->is_event && record_event_is_of_run(&f->event)) ||
        (!f->is_event && f->item.stream == RECORD_MISSING))
        return true;
    if (f->is_event)
        node = record_event_node(&f->event, &size);
    return size >= node_size && memcmp(node, channel->node, node_size) == 0 &&
           (size == node_size || node[node_size] == '.');
}

static void take_fresh(struct feed_channel *channel, struct record_position end)
{
    struct feed_chunk *chunk = feed_formatter_take(&channel->formatter, end);

    if (chunk)
        vec_push(&channel->fresh, chunk);
}

static void format_for_all(struct feed_run *run, const struct record_followed *f)
{
    for (struct feed_channel *channel = run->formatting; channel;
         channel = channel->next_formatting) {
        if (!is_below(channel, f))
            continue;
        feed_format(&channel->formatter, f);
        if (feed_formatter_size(&channel->formatter) >= FEED_CHUNK_SIZE)
            take_fresh(channel, f->position);
    }
}

static void remark_for_all(struct feed_run *run, const char *text)
{
    for (struct feed_channel *channel = run->formatting; channel;
         channel = channel->next_formatting)
        feed_format_remark(&channel->formatter, text);
}

static void end_for_all(struct feed_run *run, struct record_position end)
{
    struct feed_done done;

    feed_outcome_done(&run->outcome, &done);
    for (struct feed_channel *channel = run->formatting; channel;
         channel = channel->next_formatting) {
        channel->formatter.position = end;
        feed_format_done(&channel->formatter, &done);
    }
}

/* Reads until there is no more, or it was enough for now: RECORD_ITEM. */
static enum record_got read_new(struct feed_run *run)
{
    size_t read = 0;

    while (read < BUDGET) {
        struct record_followed f;
        enum record_got got = record_follow_next(run->follow, &f, NULL);

        if (got == RECORD_NONE_YET || got == RECORD_END)
            return got;
        if (got == RECORD_DAMAGED) {
            remark_for_all(run, FEED_DAMAGED);
            read += FEED_CHUNK_SIZE;
            continue;
        }
        if (f.is_event && is_end(&f.event))
            read_end(run, &f.event);
        format_for_all(run, &f);
        read += 64 + (f.is_event ? f.event.size : f.item.size);
    }
    return RECORD_ITEM;
}

/* --- giving it --- */

static void begin_look(struct feed_run *run)
{
    run->looks_begun++;
    run->wanted = false;
    run->formatting = NULL;
    for (struct feed_channel *channel = run->channels; channel; channel = channel->next) {
        channel->formatting = channel->at_head > 0;
        if (!channel->formatting)
            continue;
        channel->next_formatting = run->formatting;
        run->formatting = channel;
        feed_formatter_init(&channel->formatter, channel->format, run->id, run->feed->headroom);
    }
}

/* Who lets too much pile up is not waited for. */
static void deliver(struct feed_subscriber *s, const struct feed_channel *channel)
{
    for (size_t i = 0; i < channel->fresh.len; i++) {
        struct feed_chunk *chunk = channel->fresh.items[i];

        if (s->queued + chunk->bytes.len > FEED_BACKLOG) {
            feed_fall_behind(s);
            return;
        }
        feed_chunk_ref(chunk);
        feed_push(s, chunk);
    }
}

/* Those who have joined where nothing was written for anybody missed what has been read. */
static void deliver_all(struct feed_run *run, struct feed_channel *channel, bool moved)
{
    for (struct feed_subscriber *s = channel->subscribers; s; s = s->next) {
        if (s->gone)
            continue;
        if (s->at_head && channel->formatting)
            deliver(s, channel);
        else if (s->at_head && moved)
            feed_fall_behind(s);
        if (s->at_head && run->ended)
            feed_end(s);
        else
            feed_tell(s);
        feed_kick(s);
    }
}

static void publish(struct feed_run *run, enum record_got got)
{
    struct record_position head = record_follow_position(run->follow);
    bool moved = head.event != run->head.event || head.item != run->head.item || got == RECORD_END;

    run->head = head;
    run->ended = got == RECORD_END;
    if (got != RECORD_ITEM)
        run->looks_done = run->looks_begun;
    for (struct feed_channel *channel = run->channels; channel; channel = channel->next) {
        deliver_all(run, channel, moved);
        vec_foreach (struct feed_chunk **, chunk, &channel->fresh)
            feed_chunk_unref(*chunk);
        vec_release(&channel->fresh);
        if (channel->formatting)
            feed_formatter_release(&channel->formatter);
        channel->formatting = false;
    }
}

/* --- one look --- */

static void set_times(struct feed_run *run, enum record_got got)
{
    int64_t now = clock_monotonic_ms();

    run->told = got == RECORD_ITEM || run->closing_left > 0;
    run->next_ms = now + (got == RECORD_ITEM      ? 0
                          : run->closing_left > 0 ? CLOSING_MS
                                                  : INTERVAL_MS);
    run->poll_ms = now + (run->watched.active ? LOOK_MS : POLL_MS);
    if (run->closing_left > 0)
        run->closing_left--;
}

/* Closes what is only needed while it goes on. */
static void end_looking(struct feed_run *run)
{
    feed_watch_remove(&run->feed->watch, &run->watched);
    record_follow_close(run->follow);
    run->follow = NULL;
}

static void look_at(struct feed_run *run)
{
    struct feed *feed = run->feed;
    enum record_got got;

    pthread_mutex_lock(&feed->mu);
    begin_look(run);
    pthread_mutex_unlock(&feed->mu);
    got = read_new(run);
    if (got == RECORD_END)
        end_for_all(run, record_follow_position(run->follow));
    for (struct feed_channel *channel = run->formatting; channel;
         channel = channel->next_formatting)
        take_fresh(channel, record_follow_position(run->follow));
    set_times(run, got);
    pthread_mutex_lock(&feed->mu);
    publish(run, got);
    pthread_mutex_unlock(&feed->mu);
    if (got == RECORD_END)
        end_looking(run);
}

/* --- beginning --- */

/* There is none yet: those who wait get all of it. */
static void wait_for_record(struct feed_run *run)
{
    struct feed *feed = run->feed;
    int64_t now = clock_monotonic_ms();

    run->told = false;
    run->next_ms = now;
    run->poll_ms = now + (feed_watch_tells_new(&feed->watch) ? LOOK_MS : POLL_MS);
    pthread_mutex_lock(&feed->mu);
    run->wanted = false;
    for (struct feed_channel *channel = run->channels; channel; channel = channel->next) {
        for (struct feed_subscriber *s = channel->subscribers; s; s = s->next)
            s->tail = -1;
    }
    pthread_mutex_unlock(&feed->mu);
}

static bool may_pass(const struct err *why)
{
    return why->code == ERR_NOT_FOUND || err_is_short(why);
}

/* What is there cannot be followed: that is its end. */
static void give_up(struct feed_run *run)
{
    const struct feed_done done = {.status = "failed",
                                   .reason = "lost",
                                   .error = "the record of the run cannot be read"};

    feed_conclude(run->feed, run->id, &done);
}

/* The head is near the end: who begins further back is behind. */
static bool take_record(struct feed_run *run, struct record *record)
{
    const struct record_log_filter filter = feed_filter(NULL);
    struct feed *feed = run->feed;
    const struct feed_done lost = {.status = "failed",
                                   .reason = "lost",
                                   .error = "the process that ran it is gone"};
    bool concluded;

    feed_watch_add(&feed->watch, &run->watched, run, record);
    record_follow_open(record, (struct record_position){0}, &filter, &run->follow);
    record_follow_end(run->follow);
    pthread_mutex_lock(&feed->mu);
    concluded = run->ended;
    if (!concluded) {
        run->record = record;
        run->head = record_follow_position(run->follow);
        feed_outcome_set(&run->outcome, &lost); /* unless it says something else at its end */
    }
    pthread_mutex_unlock(&feed->mu);
    if (!concluded)
        return true;
    end_looking(run);
    record_close(record);
    return false;
}

static bool open_record(struct feed_run *run)
{
    struct record *record = NULL;
    struct err why = ERR_INIT;

    if (record_open(run->feed->runs_dir, run->id, &record, &why) == 0)
        return take_record(run, record);
    wait_for_record(run);
    if (!may_pass(&why))
        give_up(run);
    return false;
}

/* --- all runs --- */

static void free_channel(struct feed_channel *channel)
{
    free(channel->node);
    free(channel);
}

void feed_run_free(struct feed_run *run)
{
    end_looking(run);
    record_close(run->record);
    for (struct feed_channel *channel = run->channels, *next; channel; channel = next) {
        next = channel->next;
        free_channel(channel);
    }
    free(run->outcome.error);
    free(run->id);
    free(run);
}

static void drop_channels(struct feed_run *run)
{
    for (struct feed_channel **at = &run->channels; *at;) {
        struct feed_channel *channel = *at;

        if (channel->subscribers) {
            at = &channel->next;
            continue;
        }
        *at = channel->next;
        free_channel(channel);
    }
}

static bool is_due(const struct feed_run *run, int64_t now)
{
    if (run->ended)
        return false;
    return (run->told || run->wanted) ? now >= run->next_ms : now >= run->poll_ms;
}

static int64_t due_ms(const struct feed_run *run)
{
    if (run->ended)
        return INT64_MAX;
    return run->told || run->wanted ? run->next_ms : run->poll_ms;
}

/* Takes out what nobody follows, and adds what is due; returns when the next one is. */
static int64_t sort_out(struct feed *feed, struct runs *due, struct runs *gone)
{
    int64_t now = clock_monotonic_ms();
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < FEED_BUCKETS; i++) {
        for (struct feed_run **at = &feed->runs[i]; *at;) {
            struct feed_run *run = *at;

            if (!run->subscriber_count) {
                *at = run->next;
                vec_push(gone, run);
                continue;
            }
            drop_channels(run);
            if (is_due(run, now))
                vec_push(due, run);
            else if (due_ms(run) < next)
                next = due_ms(run);
            at = &run->next;
        }
    }
    return due->len ? now : next;
}

static void hear(void *arg, struct feed_run *told, bool closed, const char *name)
{
    struct feed *feed = arg;

    if (told) {
        told->told = true;
        told->closing_left = closed ? CLOSING_LOOKS : told->closing_left;
        return;
    }
    pthread_mutex_lock(&feed->mu);
    for (size_t i = 0; i < FEED_BUCKETS; i++) {
        for (struct feed_run *run = feed->runs[i]; run; run = run->next)
            run->told = run->told || !name || strcmp(run->id, name) == 0;
    }
    pthread_mutex_unlock(&feed->mu);
}

/* Until something is due, or has been told. */
static void wait_until(struct feed *feed, int64_t next, int64_t *drained)
{
    struct pollfd fds[] = {{.fd = feed->wake_fd, .events = POLLIN},
                           {.fd = feed->watch.fd, .events = POLLIN}};
    int64_t now = clock_monotonic_ms();
    int64_t timeout = next == INT64_MAX ? -1 : next > now ? next - now : 0;
    eventfd_t ignored;

    if (now - *drained < DRAIN_MS) {
        fds[1].fd = -1;
        if (timeout < 0 || timeout > DRAIN_MS)
            timeout = DRAIN_MS;
    }
    (void)!poll(fds, 2, (int)timeout);
    if (fds[0].revents)
        eventfd_read(feed->wake_fd, &ignored);
    if (fds[1].fd >= 0 && fds[1].revents) {
        *drained = clock_monotonic_ms();
        feed_watch_drain(&feed->watch, hear, feed);
    }
}

void *feed_look(void *arg)
{
    struct feed *feed = arg;
    int64_t drained = 0;
    struct runs due = {0};
    struct runs gone = {0};

    for (;;) {
        int64_t next;
        bool stop;

        due.len = gone.len = 0;
        pthread_mutex_lock(&feed->mu);
        stop = feed->stop;
        next = sort_out(feed, &due, &gone);
        pthread_mutex_unlock(&feed->mu);
        vec_foreach (struct feed_run **, run, &gone)
            feed_run_free(*run);
        if (stop)
            break;
        vec_foreach (struct feed_run **, run, &due) {
            if ((*run)->record || open_record(*run))
                look_at(*run);
        }
        wait_until(feed, next, &drained);
    }
    vec_release(&due);
    vec_release(&gone);
    return NULL;
}
