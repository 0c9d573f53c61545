/* The run of this process in a history. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "history/history.h"
#include "history/mark.h"
#include "record/record.h"

/* So many runs may wait for the store to follow them. */
enum {
    OPEN_MAX = 256,
    WAIT_MS = 100, /* for the store, which others may have locked */
};

struct recording {
    char *dir;
    char *run_id;
    struct record_writer *writer;
};

static void release(struct recording *recording)
{
    free(recording->dir);
    free(recording->run_id);
    free(recording);
}

int recording_begin(const char *dir, const struct record_options *options, struct recording **ret,
                    struct err *err)
{
    struct recording *recording = xcalloc(1, sizeof(*recording));
    struct record_options own = *options;
    CLEANUP_FREE char *runs = NULL;
    CLEANUP_FD int mark = -1;
    struct err why = ERR_INIT;

    recording->dir = history_dir(dir, &why);
    recording->run_id = xstrdup(options->run_id);
    if (recording->dir)
        mark = mark_add(recording->dir, MARKS_OPEN, own.run_id, &why);
    if (mark >= 0) {
        own.runs_dir = runs = fs_join(recording->dir, "runs");
        if (record_create(&own, &recording->writer, &why) == 0) {
            *ret = recording;
            return 0;
        }
        /* That of a record which is there is not ours. */
        if (why.code != ERR_CONFLICT)
            mark_remove(recording->dir, MARKS_OPEN, own.run_id);
    }
    if (err)
        *err = why;
    release(recording);
    return -1;
}

struct event_sink *recording_sink(struct recording *recording)
{
    return record_sink(recording->writer);
}

void recording_discard(struct recording *recording)
{
    if (!recording)
        return;
    record_discard(recording->writer);
    mark_remove(recording->dir, MARKS_OPEN, recording->run_id);
    release(recording);
}

/* Runs that have ended, and that the store may not know. */
static size_t count_ended(const struct recording *recording)
{
    CLEANUP_STRVEC struct strvec open = {0};
    CLEANUP_FREE char *runs = fs_join(recording->dir, "runs");
    size_t ended = 0;

    if (marks_list(recording->dir, MARKS_OPEN, &open, NULL) < 0 || open.len < OPEN_MAX)
        return 0;
    for (size_t i = 0; i < open.len; i++) {
        CLEANUP_RECORD struct record *record = NULL;

        ended += record_open(runs, open.items[i], &record, NULL) < 0 || !record_is_written(record);
    }
    return ended;
}

/* One of many brings the store up to date, for all of them: to open it costs more than a short run
 * does. What cannot be done at once the next one does. */
static void follow(const struct ctx *ctx, const struct recording *recording,
                   const struct store_retention *keep)
{
    CLEANUP_HISTORY struct history *history = NULL;
    struct err err = ERR_INIT;

    if (count_ended(recording) < OPEN_MAX)
        return;
    if (history_open(ctx, recording->dir, &(struct store_options){.wait_ms = WAIT_MS}, &history,
                     &err) < 0 ||
        history_update(ctx, history, &err) < 0 || history_prune(ctx, history, keep, NULL, &err) < 0)
        log_debug("history", "the store does not follow: %s", err.message);
}

int recording_end(const struct ctx *ctx, struct recording *recording, const struct record_end *end,
                  const struct store_retention *keep, struct err *err)
{
    int result = record_finish(recording->writer, end, err);

    if (keep)
        follow(ctx, recording, keep);
    release(recording);
    return result;
}
