#include "record/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/files.h"

struct record_follow {
    const struct record *record;
    struct record_events *events;
    struct record_log *log;
    char *node; /* of the filter; NULL: all */
    size_t node_size;
    /* The next of each kind, read and not given. */
    bool has_event;
    bool has_item;
    struct record_event event;
    struct record_item item;
    struct record_position position;
};

/* --- positions --- */

void record_position_format(struct record_position position, char out[RECORD_POSITION_SIZE])
{
    snprintf(out, RECORD_POSITION_SIZE, "%" PRIu64 ".%" PRIu64, position.event, position.item);
}

static bool parse_number(const char **at, uint64_t *ret)
{
    uint64_t value = 0;
    size_t digits = 0;

    for (; **at >= '0' && **at <= '9' && digits < 19; (*at)++, digits++)
        value = value * 10 + (uint64_t)(**at - '0');
    *ret = value;
    return digits > 0;
}

int record_position_parse(const char *text, struct record_position *ret, struct err *err)
{
    struct record_position position;
    const char *at = text;

    if (!parse_number(&at, &position.event) || *at++ != '.' || !parse_number(&at, &position.item) ||
        *at)
        return err_set(err, ERR_INVALID,
                       "\"%.40s\" is not a position in a run: it is two numbers, as in \"12.3057\"",
                       text);
    *ret = position;
    return 0;
}

/* --- following --- */

void record_follow_open(const struct record *record, struct record_position position,
                        const struct record_log_filter *filter, struct record_follow **ret)
{
    struct record_follow *f = xcalloc(1, sizeof(*f));

    f->record = record;
    f->position = position;
    if (filter && filter->node && *filter->node) {
        f->node = xstrdup(filter->node);
        f->node_size = strlen(f->node);
    }
    record_events_open(record, position.event, &f->events);
    record_log_open(record, filter, &f->log);
    /* Where the index cannot be examined reading it will say so. */
    (void)!record_log_seek_seq(f->log, position.item + 1, NULL);
    *ret = f;
}

void record_follow_close(struct record_follow *f)
{
    if (!f)
        return;
    record_events_close(f->events);
    record_log_close(f->log);
    free(f->node);
    free(f);
}

static enum record_got peek_event(struct record_follow *f, struct err *err)
{
    enum record_got got =
        f->has_event ? RECORD_ITEM : record_events_next(f->events, &f->event, err);

    f->has_event = got == RECORD_ITEM;
    /* Nothing is to wait for it. */
    if (got == RECORD_DAMAGED)
        f->position.event++;
    return got;
}

static enum record_got peek_item(struct record_follow *f, struct err *err)
{
    enum record_got got = f->has_item ? RECORD_ITEM : record_log_next(f->log, &f->item, err);

    f->has_item = got == RECORD_ITEM;
    return got;
}

/* Whether the item comes before the next event, which may not be there yet. */
static bool item_is_next(const struct record_follow *f, enum record_got event)
{
    if (!f->has_item || event == RECORD_END)
        return f->has_item;
    return f->has_event ? f->item.last_event < f->event.seq
                        : f->item.last_event <= f->position.event;
}

static bool wants_event(const struct record_follow *f)
{
    size_t size;
    const char *node;

    if (!f->node || record_event_is_of_run(&f->event))
        return true;
    node = record_event_node(&f->event, &size);
    return size >= f->node_size && memcmp(node, f->node, f->node_size) == 0 &&
           (size == f->node_size || node[f->node_size] == '.');
}

static enum record_got give_item(struct record_follow *f, struct record_followed *ret)
{
    f->has_item = false;
    f->position.item = f->item.seq;
    *ret = (struct record_followed){.item = f->item, .position = f->position};
    return RECORD_ITEM;
}

/* RECORD_NONE_YET: the filter leaves it out. */
static enum record_got give_event(struct record_follow *f, struct record_followed *ret)
{
    f->has_event = false;
    f->position.event = f->event.seq;
    if (!wants_event(f))
        return RECORD_NONE_YET;
    *ret = (struct record_followed){.is_event = true, .event = f->event, .position = f->position};
    return RECORD_ITEM;
}

/* What was written before an event is in the log when the event is in its file: so the log is
 * looked at behind the events, and an event that is there waits for nothing else. */
enum record_got record_follow_next(struct record_follow *f, struct record_followed *ret,
                                   struct err *err)
{
    bool again = false;

    for (;;) {
        enum record_got event = peek_event(f, err);
        enum record_got item = event == RECORD_DAMAGED ? event : peek_item(f, err);

        if (item == RECORD_DAMAGED)
            return RECORD_DAMAGED;
        if (item_is_next(f, event))
            return give_item(f, ret);
        if (f->has_event) {
            if (give_event(f, ret) == RECORD_ITEM)
                return RECORD_ITEM;
            continue;
        }
        if (event == RECORD_END && item == RECORD_END)
            return RECORD_END;
        /* The writer went between the two looks, and its last events may have come. */
        if (item != RECORD_END || again)
            return RECORD_NONE_YET;
        again = true;
    }
}

/* Of those that are there. */
static uint64_t last_event(const struct record *record)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event event;
    enum record_got got;
    uint64_t last = 0;

    record_events_open(record, 0, &events);
    while ((got = record_events_next(events, &event, NULL)) == RECORD_ITEM || got == RECORD_DAMAGED)
        last = got == RECORD_ITEM ? event.seq : last + 1;
    return last;
}

int record_follow_tail(struct record_follow *f, uint64_t lines, uint64_t *ret_skip, struct err *err)
{
    struct record_log_totals totals;
    struct err why = ERR_INIT;
    bool counted = record_log_totals(f->log, &totals, &why) == 0; /* before the look for an item */

    f->has_event = f->has_item = false;
    if (record_log_seek_tail(f->log, lines, ret_skip, err) < 0)
        return -1;
    if (peek_item(f, NULL) == RECORD_ITEM)
        f->position = (struct record_position){f->item.last_event, f->item.seq - 1};
    else if (counted)
        f->position = (struct record_position){last_event(f->record), totals.records};
    else
        return err_set(err, why.code, "%s", why.message);
    record_events_close(f->events);
    record_events_open(f->record, f->position.event, &f->events);
    return 0;
}

/* The position before the last item of the log, whatever the filter is. */
static struct record_position before_last_item(const struct record *record)
{
    CLEANUP_RECORD_LOG struct record_log *log = NULL;
    struct record_log_totals totals;
    struct record_item item;

    record_log_open(record, NULL, &log);
    if (record_log_totals(log, &totals, NULL) < 0 || !totals.records ||
        record_log_seek_seq(log, totals.records, NULL) < 0 ||
        record_log_next(log, &item, NULL) != RECORD_ITEM)
        return (struct record_position){0};
    return (struct record_position){item.last_event, item.seq - 1};
}

static void go_to(struct record_follow *f, struct record_position position)
{
    f->has_event = f->has_item = false;
    f->position = position;
    record_events_close(f->events);
    record_events_open(f->record, position.event, &f->events);
    /* Where the index cannot be examined reading it will say so. */
    (void)!record_log_seek_seq(f->log, position.item + 1, NULL);
}

static bool is_there(const struct record *record, uint64_t event_seq)
{
    CLEANUP_RECORD_EVENTS struct record_events *events = NULL;
    struct record_event event;

    if (!event_seq)
        return true;
    record_events_open(record, event_seq - 1, &events);
    return record_events_next(events, &event, NULL) == RECORD_ITEM && event.seq == event_seq;
}

/* An item is in its file before the events in front of it are in theirs. A position behind events
 * that are not there would promise what nobody can read yet. */
void record_follow_end(struct record_follow *f)
{
    struct record_position position = before_last_item(f->record);

    go_to(f, is_there(f->record, position.event) ? position : (struct record_position){0});
}

struct record_position record_follow_position(const struct record_follow *f)
{
    return f->position;
}
