#include "store/row.h"

#include <string.h>

#include "base/buf.h"
#include "base/fold.h"
#include "base/utf8.h"
#include "spec/state.h"
#include "store/inside.h"

static const struct column {
    enum { TEXT, NUMBER, STATE, REASON } kind;
    size_t offset;
} columns[ROW_COLUMN_COUNT] = {
    {TEXT, offsetof(struct store_run, id)},
    {TEXT, offsetof(struct store_run, name)},
    {STATE, offsetof(struct store_run, state)},
    {REASON, offsetof(struct store_run, reason)},
    {TEXT, offsetof(struct store_run, origin)},
    {TEXT, offsetof(struct store_run, owner)},
    {NUMBER, offsetof(struct store_run, submitted_ms)},
    {NUMBER, offsetof(struct store_run, started_ms)},
    {NUMBER, offsetof(struct store_run, ended_ms)},
    {TEXT, offsetof(struct store_run, error)},
    {NUMBER, offsetof(struct store_run, exit_status)},
    {NUMBER, offsetof(struct store_run, version)},
    {NUMBER, offsetof(struct store_run, log_bytes)},
    {TEXT, offsetof(struct store_run, directory)},
    {TEXT, offsetof(struct store_run, client)},
    {NUMBER, offsetof(struct store_run, priority)},
};

struct db_value db_text(const char *text)
{
    return (struct db_value){.text = text ? text : "", .len = text ? strlen(text) : 0};
}

struct db_value row_text(const char *text, size_t len, struct arena *arena)
{
    CLEANUP_BUF struct buf valid = BUF_INIT;

    if (utf8_valid(text, len))
        return (struct db_value){.text = text, .len = len};
    utf8_add_valid(&valid, text, len);
    return (struct db_value){.text = arena_strndup(arena, valid.data, valid.len), .len = valid.len};
}

void row_params(const struct store_run *run, struct arena *arena,
                struct db_value params[ROW_COLUMN_COUNT])
{
    for (size_t i = 0; i < ROW_COLUMN_COUNT; i++) {
        const void *field = (const char *)run + columns[i].offset;
        const char *text;

        switch (columns[i].kind) {
        case TEXT:
            text = *(const char *const *)field;
            params[i] = row_text(text ? text : "", text ? strlen(text) : 0, arena);
            break;
        case NUMBER:
            params[i] = DB_NUMBER(*(const int64_t *)field);
            break;
        case STATE:
            params[i] = DB_TEXT(state_name(*(const enum state *)field));
            break;
        case REASON:
            params[i] = DB_TEXT(reason_name(*(const enum reason *)field));
            break;
        }
    }
}

static int read_state(const char *name, enum state *ret)
{
    for (int state = 0; state < STATE_COUNT; state++) {
        if (strcmp(name, state_name((enum state)state)) == 0) {
            *ret = (enum state)state;
            return 0;
        }
    }
    return -1;
}

static int read_reason(const char *name, enum reason *ret)
{
    for (int reason = 0; reason < REASON_COUNT; reason++) {
        if (strcmp(name, reason_name((enum reason)reason)) == 0) {
            *ret = (enum reason)reason;
            return 0;
        }
    }
    return -1;
}

int row_read(const struct db_value *row, struct arena *arena, struct store_run *ret,
             struct err *err)
{
    struct store_run run = {0};

    for (size_t i = 0; i < ROW_COLUMN_COUNT; i++) {
        void *field = (char *)&run + columns[i].offset;
        int status = 0;

        switch (columns[i].kind) {
        case TEXT:
            *(const char **)field = arena_strndup(arena, row[i].text, row[i].len);
            break;
        case NUMBER:
            *(int64_t *)field = row[i].number;
            break;
        case STATE:
            status = read_state(row[i].text, field);
            break;
        case REASON:
            status = read_reason(row[i].text, field);
            break;
        }
        if (status < 0)
            return err_set(err, ERR_PROTOCOL,
                           "run %s is \"%s\" in the store, which this program does not know; use a "
                           "newer one",
                           run.id, row[i].text);
    }
    if (!store_id_valid(run.id))
        return err_set(err, ERR_PROTOCOL, "\"%s\" in the store is not the id of a run", run.id);
    *ret = run;
    return 0;
}

const char *row_fold(const char *text, struct arena *arena)
{
    CLEANUP_BUF struct buf folded = BUF_INIT;

    fold_add(&folded, text, strlen(text));
    return arena_strndup(arena, folded.data, folded.len);
}
