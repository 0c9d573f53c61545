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
