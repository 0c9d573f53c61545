/* Rows of runner_runs as parameters and back. */
#pragma once

#include "base/arena.h"
#include "store/db.h"
#include "store/store.h"

/* In the order of ROW_COLUMNS. */
#define ROW_COLUMNS                                                                                \
    "id, name, state, reason, origin, owner, submitted_ms, started_ms, ended_ms, error, "          \
    "exit_status, version, log_bytes, directory, client, priority"
enum { ROW_COLUMN_COUNT = 16, ROW_VERSION = 11 };

/* Texts that had to be changed are in the arena. */
void row_params(const struct store_run *run, struct arena *arena,
                struct db_value params[ROW_COLUMN_COUNT]);
/* ERR_PROTOCOL for a state or reason that this program does not know, and for what is no id. */
int row_read(const struct db_value *row, struct arena *arena, struct store_run *ret,
             struct err *err);
/* A parameter of text that is valid UTF-8, whatever it was. */
struct db_value row_text(const char *text, size_t len, struct arena *arena);
/* Lower case of Latin, Greek and Cyrillic letters, for searching. */
const char *row_fold(const char *text, struct arena *arena);
