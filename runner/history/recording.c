/* The run of this process in a history. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "history/history.h"
#include "history/mark.h"

/* So many runs may wait for the store to follow them. */
enum { OPEN_MAX = 32 };

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

    recording->dir = history_dir(dir, err);
    recording->run_id = xstrdup(options->run_id);
    if (recording->dir && mark_add(recording->dir, own.run_id, err) == 0) {
        own.runs_dir = runs = fs_join(recording->dir, "runs");
        if (record_create(&own, &recording->writer, err) == 0) {
            *ret = recording;
            return 0;
        }
        mark_remove(recording->dir, own.run_id);
    }
    release(recording);
    return -1;
}

struct event_sink *recording_sink(struct recording *recording)
{
    return record_sink(recording->writer);
}

/* One of many brings the store up to date, for all of them: to open it costs more than a short run.
 */
static int follow(const struct ctx *ctx, const struct recording *recording,
                  const struct store_retention *keep, struct err *err)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STRVEC struct strvec open = {0};

    if (marks_list(recording->dir, &open, err) < 0)
        return -1;
    if (open.len < OPEN_MAX)
        return 0;
    if (history_open(ctx, recording->dir, &history, err) < 0 ||
        history_update(ctx, history, err) < 0)
        return -1;
    return keep ? history_prune(ctx, history, keep, NULL, err) : 0;
}

int recording_end(const struct ctx *ctx, struct recording *recording, const struct record_end *end,
                  const struct store_retention *keep, struct err *err)
{
    int written = record_finish(recording->writer, end, err);
    int followed = follow(ctx, recording, keep, written < 0 ? NULL : err);

    release(recording);
    return written < 0 || followed < 0 ? -1 : 0;
}

void recording_discard(struct recording *recording)
{
    if (!recording)
        return;
    record_discard(recording->writer);
    mark_remove(recording->dir, recording->run_id);
    release(recording);
}
