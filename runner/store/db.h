/* What the store asks of a database: statements with bound parameters in transactions. SQLite and
 * PostgreSQL implement it; the statements are the same but for what its db_ops name.
 *
 * Threads: one at a time; store.c sees to that. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"

struct db;

/* A parameter, and a column of a row. What has a text is one; `number` counts otherwise. */
struct db_value {
    int64_t number;
    const char *text; /* NUL-terminated; valid in UTF-8 */
    size_t len;
};

#define DB_NUMBER(value) ((struct db_value){.number = (value)})
#define DB_TEXT(value)   db_text(value)
struct db_value db_text(const char *text);

struct db_query {
    const char *sql; /* $1, $2 … are the parameters */
    bool keep;       /* a constant that comes again: prepared once */
    const struct db_value *params;
    size_t param_count;
    /* May be NULL. The row lives until it returns: 0, or 1 if that was enough, or -1. */
    int (*row)(void *arg, const struct db_value *row, struct err *err);
    void *arg;
};

enum db_mode {
    DB_READ,  /* one statement */
    DB_READS, /* several that see the same */
    DB_WRITE,
    DB_WRITE_SYNCED, /* on the disk when it returns, not only in the system's memory */
};

struct db_work {
    enum db_mode mode;
    /* `again`: an attempt before may have been written, nobody knows. What it leaves behind of an
     * attempt that failed must not matter to the next. */
    int (*body)(const struct ctx *ctx, struct db *db, void *arg, bool again, struct err *err);
    void *arg;
};

static inline bool db_mode_writes(enum db_mode mode)
{
    return mode == DB_WRITE || mode == DB_WRITE_SYNCED;
}

struct db_ops {
    const char *contains; /* the function of (text, part) that is more than 0 if it does */
    const char *moment;   /* the statement that gives a store_moment (store/submissions.h) */
    /* Returns the number of rows, -1 on failure. Only inside of a body. */
    int64_t (*run)(const struct ctx *ctx, struct db *db, const struct db_query *query,
                   struct err *err);
    /* All of the body, or nothing. */
    int (*transact)(const struct ctx *ctx, struct db *db, const struct db_work *work,
                    struct err *err);
    void (*close)(struct db *db);
};

/* A database's own struct begins with this. */
struct db {
    const struct db_ops *ops;
};

int db_sqlite_open(const struct ctx *ctx, const char *path, int64_t wait_ms, struct db **ret,
                   struct err *err) __attribute__((warn_unused_result));
int db_postgresql_open(const struct ctx *ctx, const char *url, int64_t wait_ms, struct db **ret,
                       struct err *err) __attribute__((warn_unused_result));

/* Brings the tables up to date: migrations[0 …] lead to version 1, 2 …, and are never changed once
 * they were released. */
extern const char *const db_sqlite_migrations[];
extern const int db_sqlite_version;
extern const char *const db_postgresql_migrations[];
extern const int db_postgresql_version;
