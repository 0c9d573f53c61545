/* A run as one stream: its events and its log in the order in which they came, from any position.
 *
 *     record_follow_open(record, position, &filter, &follow)
 *     record_follow_next(follow, &item, err)      until RECORD_END; RECORD_NONE_YET: wait (watch.h)
 *
 * An item of the log comes behind the events that came before it, and an event behind all of the
 * log that came before it, whatever of both is in the files at that moment: all who read a record
 * get the same order, and who begins at a position gets exactly what comes behind it. Only what
 * tells of damage and of missing output may come earlier or later.
 *
 * Notes are both items of the log and events, side by side; who wants them once leaves out one kind
 * (record_log_filter, record_event_is_note()). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "record/events.h"
#include "record/log.h"

/* What has been given: the numbers of the last event and of the last item of the log; 0: none. What
 * a filter left out counts as given when something behind it was. */
struct record_position {
    uint64_t event;
    uint64_t item;
};

enum { RECORD_POSITION_SIZE = 48 };

/* "12.3057" */
void record_position_format(struct record_position position, char out[RECORD_POSITION_SIZE]);
int record_position_parse(const char *text, struct record_position *ret, struct err *err)
    __attribute__((warn_unused_result));

struct record_followed {
    bool is_event;
    struct record_event event;       /* if it is one; both until the next call */
    struct record_item item;         /* else */
    struct record_position position; /* with it */
};

struct record_follow;

#define CLEANUP_RECORD_FOLLOW CLEANUP(cleanup_record_follow)

/* From behind the position on. The filter (NULL: none) is copied, the record borrowed. Of events,
 * its node lets through those of the node, of what is below it, and of the run as a whole
 * (record_event_is_of_run()); its streams are those of the log. */
void record_follow_open(const struct record *record, struct record_position position,
                        const struct record_log_filter *filter, struct record_follow **ret);
/* NULL is fine. */
void record_follow_close(struct record_follow *follow);
/* RECORD_END: the writer is gone, and that was all. A run whose RunEnded did not come was lost. */
enum record_got record_follow_next(struct record_follow *follow, struct record_followed *ret,
                                   struct err *err) __attribute__((warn_unused_result));
/* Goes to where the last `lines` lines begin, of those that the filter lets through, and behind the
 * events before that; the first *ret_skip lines of the first item come before them. */
int record_follow_tail(struct record_follow *follow, uint64_t lines, uint64_t *ret_skip,
                       struct err *err) __attribute__((warn_unused_result));
/* Goes almost to the end, so that little is read to get there: behind all but the last item of the
 * log and the events behind it. All that is before that position can be read; while some of it is
 * still being written, that is the beginning. */
void record_follow_end(struct record_follow *follow);
/* Behind what was given last. */
struct record_position record_follow_position(const struct record_follow *follow);

static inline void cleanup_record_follow(struct record_follow **follow)
{
    record_follow_close(*follow);
}
