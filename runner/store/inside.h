/* What the parts of the store share. */
#pragma once

#include "base/gate.h"
#include "base/vec.h"
#include "store/db.h"
#include "store/row.h"
#include "store/store.h"

struct store {
    struct db *db;
    struct gate turn;
};

typedef int (*store_body)(const struct ctx *ctx, struct db *db, void *arg, bool again,
                          struct err *err);

/* Runs the body when it is this thread's turn. */
int store_work(const struct ctx *ctx, struct store *store, enum db_mode mode, store_body body,
               void *arg, struct err *err);
bool store_id_valid(const char *id);

/* For the inside of a body: runs a statement that gives one number (`ret` may be NULL), or nothing:
 * then *ret stays and 0 is returned. */
int64_t store_run_for_number(const struct ctx *ctx, struct db *db, const char *sql,
                             const struct db_value *params, size_t count, int64_t *ret,
                             struct err *err);
/* Adds a row, at version 0; 0 if there is one with that id, else 1 and its key. */
int64_t store_add_row(const struct ctx *ctx, struct db *db, const struct store_run *run,
                      int64_t *ret_key, struct err *err);
/* Longer texts are refused. */
#define STORE_TEXT_MAX ((size_t)256 * 1024 * 1024)
