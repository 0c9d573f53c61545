#include "store/store.h"

#include <string.h>

#include "base/alloc.h"
#include "store/inside.h"

enum { WAIT_MS = 5000 };

bool store_is_url(const char *where)
{
    return strncmp(where, "postgresql://", 13) == 0 || strncmp(where, "postgres://", 11) == 0;
}

int store_open(const struct ctx *ctx, const char *where, const struct store_options *options,
               struct store **ret, struct err *err)
{
    int64_t wait_ms = options && options->wait_ms > 0 ? options->wait_ms : WAIT_MS;
    struct store *store = xcalloc(1, sizeof(*store));
    int status;

    if (gate_init(&store->turn, 1, err) < 0) {
        free(store);
        return -1;
    }
    status = store_is_url(where) ? db_postgresql_open(ctx, where, wait_ms, &store->db, err)
                                 : db_sqlite_open(ctx, where, wait_ms, &store->db, err);
    if (status < 0) {
        store_close(store);
        return -1;
    }
    *ret = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->db)
        store->db->ops->close(store->db);
    gate_release(&store->turn);
    free(store);
}

int store_work(const struct ctx *ctx, struct store *store, enum db_mode mode, store_body body,
               void *arg, struct err *err)
{
    const struct db_work work = {.mode = mode, .body = body, .arg = arg};
    int status;

    if (gate_enter(ctx, &store->turn, err) < 0)
        return -1;
    status = ctx_check(ctx, err);
    if (status == 0)
        status = store->db->ops->transact(ctx, store->db, &work, err);
    gate_leave(&store->turn);
    return status;
}

bool store_id_valid(const char *id)
{
    size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return len > 0 && len <= STORE_ID_MAX && !id[len];
}

void store_runs_release(struct store_runs *runs)
{
    vec_release(runs);
    arena_release(&runs->arena);
}

void store_events_release(struct store_events *events)
{
    vec_release(events);
    arena_release(&events->arena);
}
