/* What the files of the SQLite implementation share. */
#pragma once

#include <sqlite3.h>

#include "store/db.h"

/* Statements that come again. */
#define SQLITE_DB_KEPT 32

struct sqlite_db {
    struct db db;
    sqlite3 *handle;
    char *path;      /* absolute */
    int64_t wait_ms; /* for locks of others */
    /* Of the operation that goes on, or NULL: nothing is to end it. */
    const struct ctx *ctx;
    int64_t waiting_since_ms; /* for a lock; 0: not */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } kept[SQLITE_DB_KEPT];
    size_t kept_count;
};

/* Says what went wrong with the code that SQLite gave; returns -1. */
int sqlite_db_error(const struct sqlite_db *db, int code, struct err *err);
/* Runs statements without parameters and rows. */
int sqlite_db_exec(struct sqlite_db *db, const char *sql, struct err *err);
/* Runs one that gives a number. */
int sqlite_db_number(struct sqlite_db *db, const char *sql, int64_t *ret, struct err *err);
/* Makes the file if there is none, and says what is wrong with one that is. */
int sqlite_db_make(const char *path, struct err *err);
/* Brings the tables to the version of this program. */
int sqlite_db_migrate(struct sqlite_db *db, struct err *err);
/* What takes a lock and needs no ctx of SQLite: tried until there is one. */
int sqlite_db_begin(struct sqlite_db *db, const char *sql, struct err *err);
void sqlite_db_rollback(struct sqlite_db *db);
