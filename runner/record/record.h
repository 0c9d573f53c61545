/* Records of runs: where they are, and reading them
 * (docs/adr/0044-a-run-is-a-record-that-the-store- follows.md).
 *
 *     RUNS/RUNID/events          one JSON object a line, numbered from 1 (record/events.h)
 *     RUNS/RUNID/log, log.index  output and notes in compressed blocks (record/log.h)
 *     RUNS/RUNID/pipeline.yaml   the file as it was given
 *
 * One process writes a record (record/writer.h), and holds a lock on `events` as long as it lives;
 * any number read it at any time, and always see a prefix of what will be there. A record without a
 * last event, that nobody writes, is of a run that was lost.
 *
 *     record_open(NULL, run_id, &record, err)
 *     record_log_open(record, NULL, &log, err)
 *     while ((got = record_log_next(log, &item, err)) != RECORD_END)
 *         if (got == RECORD_ITEM) ...
 *         else if (got == RECORD_NONE_YET) record_watch_wait(watch, ctx, -1, err)
 *
 * RUNS is `runs` in the first of state_dirs() that can be used: not in the one of a login session,
 * with which records would go. Who reads looks into all of them.
 *
 * Threads: any number may use one open record; what is opened on it belongs to one at a time, and
 * must be closed before it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#define RECORD_RUN_ID_SIZE 32

/* What the next item of an events file or a log is. */
enum record_got {
    RECORD_DAMAGED = -1, /* err says what and where; the next call goes on behind it */
    RECORD_NONE_YET = 0, /* the writer lives: there may be more later */
    RECORD_ITEM = 1,
    RECORD_END = 2, /* that was all, for ever */
};

struct record;

#define CLEANUP_RECORD CLEANUP(cleanup_record)

/* Adds the directories that may hold records, best first; `runs_dir` (NULL: not given) alone if it
 * is given. */
void record_dirs(const char *runs_dir, struct strvec *out);
/* Whether it has the form of a run's id, and so can be the name of a record. */
bool record_id_is_valid(const char *run_id);

/* Opens for reading. ERR_NOT_FOUND: there is no such record; ERR_INVALID: there can be none. */
int record_open(const char *runs_dir, const char *run_id, struct record **ret, struct err *err)
    __attribute__((warn_unused_result));
/* NULL is fine. */
void record_close(struct record *record);
const char *record_run_id(const struct record *record);
/* "RUNS/RUNID" */
const char *record_path(const struct record *record);
/* Whether its writer lives. Once false, it stays so. */
bool record_is_written(const struct record *record);
/* Adds the text of pipeline.yaml. ERR_NOT_FOUND: the run was given none. */
int record_read_pipeline(const struct record *record, struct buf *out, struct err *err)
    __attribute__((warn_unused_result));

struct record_entry {
    char run_id[RECORD_RUN_ID_SIZE];
    char *runs_dir;     /* owned: for record_open() and record_remove() */
    bool written;       /* its writer lives */
    int64_t size_bytes; /* what its files occupy on the disk */
};

struct record_list {
    struct record_entry *items;
    size_t len;
    size_t cap;
};

#define CLEANUP_RECORD_LIST CLEANUP(record_list_release)

/* Adds all records, sorted by id, which is by the time of their beginning. A directory that cannot
 * be used is an error only if it was given. */
int record_list_add(struct record_list *list, const char *runs_dir, struct err *err)
    __attribute__((warn_unused_result));
void record_list_release(struct record_list *list);

/* Removes a record; who has it open can read on. ERR_CONFLICT: its writer lives. */
int record_remove(const char *runs_dir, const char *run_id, struct err *err)
    __attribute__((warn_unused_result));

static inline void cleanup_record(struct record **record)
{
    record_close(*record);
}
