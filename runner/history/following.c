#include "history/following.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "event/json.h"
#include "history/mark.h"
#include "history/tree.h"

/* What the store has. */
struct known {
    int64_t version; /* -1: not even the run */
    char *name;
    char *client;
    char *origin;
    char *owner;
    int64_t priority;
    int64_t submitted_ms;
    int64_t started_ms;
    bool ended;
};

struct following {
    char *dir; /* of the history */
    struct record *record;
    struct told told;
    bool lost;
    bool written; /* when it was read last */
    struct store_run row;
    struct known known;
    /* Reads what the store has not got, and stands behind number `unknown_after`; NULL: not yet. */
    struct record_events *unknown;
    uint64_t unknown_after;
    /* Of the last change. */
    struct strvec lines;
    struct buf snapshot;
};

static void forget(struct known *known)
{
    free(known->name);
    free(known->client);
    free(known->origin);
    free(known->owner);
    *known = (struct known){.version = -1};
}

int following_open(const struct history *history, const char *run_id, struct following **ret,
                   struct err *err)
{
    CLEANUP_FOLLOWING struct following *following = xcalloc(1, sizeof(*following));

    following->snapshot = (struct buf)BUF_INIT;
    following->known.version = -1;
    following->dir = xstrdup(history->dir);
    if (record_open(history->runs, run_id, &following->record, err) < 0)
        return -1;
    *ret = steal_ptr(&following);
    return 0;
}

void following_close(struct following *following)
{
    if (!following)
        return;
    forget(&following->known);
    record_events_close(following->unknown);
    strvec_release(&following->lines);
    buf_release(&following->snapshot);
    told_release(&following->told);
    record_close(following->record);
    free(following->dir);
    free(following);
}

/* --- reading --- */

/* What a run that goes on has not come to yet: its states may be final before it has ended, while
 * it cleans up. */
static void still_runs(struct store_run *row)
{
    if (!state_is_final(row->state))
        return;
    row->state = STATE_RUNNING;
    row->reason = REASON_NONE;
    row->ended_ms = 0;
}

/* What the first lines of a record say, which were lost. */
static void keep_beginning(const struct known *known, struct store_run *row)
{
    row->origin = known->origin;
    row->owner = known->owner;
    row->started_ms = known->started_ms;
}

static void keep_known(const struct known *known, struct store_run *row)
{
    if (known->version < 0)
        return;
    row->client = known->client;
    row->priority = known->priority;
    row->submitted_ms = known->submitted_ms;
    if (!row->name || !*row->name)
        row->name = known->name;
}

static void make_row(struct following *following)
{
    told_row(&following->told, following->record, &following->row);
    if (!following->told.ended && !following->lost)
        still_runs(&following->row);
    keep_known(&following->known, &following->row);
    if (!following->told.began && following->known.version >= 0)
        keep_beginning(&following->known, &following->row);
}

void following_set_known(struct following *following, const struct store_run *row)
{
    struct known *known = &following->known;

    forget(known);
    *known = (struct known){
        .version = row->version,
        .name = xstrdup(row->name ? row->name : ""),
        .client = xstrdup(row->client ? row->client : ""),
        .origin = xstrdup(row->origin ? row->origin : ""),
        .owner = xstrdup(row->owner ? row->owner : ""),
        .priority = row->priority,
        .submitted_ms = row->submitted_ms,
        .started_ms = row->started_ms,
        .ended = state_is_final(row->state),
    };
    if (following->told.last)
        make_row(following);
}

void following_read(struct following *following)
{
    struct told *told = &following->told;

    if (following->lost)
        return;
    following->written =
        record_is_written(following->record); /* what it wrote last is read behind it */
    told_read(following->record, told);
    if (!told->ended && !following->written) {
        told_lost(told, following->record);
        following->lost = true;
    }
    make_row(following);
}

bool following_has_ended(const struct following *following)
{
    return state_is_final(following->row.state);
}

const struct store_run *following_row(const struct following *following)
{
    return &following->row;
}

bool following_is_written(const struct following *following)
{
    return following->written;
}

const char *following_directory(const struct following *following)
{
    return record_path(following->record);
}

/* --- writing --- */

/* That tells all that the events did. */
static void add_snapshot(struct following *following, struct store_change *change)
{
    buf_reset(&following->snapshot);
    node_tree_write(&following->told.root, following->row.id, &following->snapshot);
    change->snapshot = following->snapshot.data;
    change->drop_events = true;
}

static void add_lines(struct following *following, uint64_t known, struct store_change *change)
{
    strvec_release(&following->lines);
    if (!following->unknown || following->unknown_after != known) {
        record_events_close(following->unknown);
        record_events_open(following->record, known, &following->unknown);
    }
    following->unknown_after = following->told.last;
    told_lines(&following->told, following->unknown, known, &following->lines);
    change->events = (const char *const *)following->lines.items;
    change->event_count = following->lines.len;
}

/* A machine that lost its power may have lost what the store had read before. The loss of the run
 * is then what comes behind that. */
static void lose_behind(struct following *following, uint64_t known)
{
    if (following->lost && !following->known.ended && known >= following->told.last)
        following->told.last = known + 1;
}

int following_change(struct following *following, struct store_change *ret, struct err *err)
{
    bool add = following->known.version < 0;
    uint64_t known = add ? 0 : (uint64_t)following->known.version;

    lose_behind(following, known);
    if (known > following->told.last)
        return err_set(err, ERR_PROTOCOL, "the store knows more of run %s than its record",
                       record_run_id(following->record));
    if (!add && known == following->told.last)
        return 0;
    *ret = (struct store_change){
        .id = following->row.id,
        .add = add,
        .version = (int64_t)known,
        .event_count = following->told.last - known,
        .run = &following->row,
    };
    if (following_has_ended(following))
        add_snapshot(following, ret);
    else
        add_lines(following, known, ret);
    return 1;
}

void following_written(struct following *following)
{
    struct known *known = &following->known;

    if (known->version < 0)
        following_set_known(following, &following->row);
    known->version = (int64_t)following->told.last;
    known->ended = following_has_ended(following);
}

void following_finish(const struct following *following)
{
    mark_remove(following->dir, MARKS_OPEN, record_run_id(following->record));
}
