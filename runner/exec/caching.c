/* The key of an object is cache/PIPELINE/PATHS/KEY. PATHS is a hash of the globs, so that an entry
 * with other files in it is another entry; the name of the pipeline keeps apart what only happens
 * to have the same key. */
#include "exec/caching.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/glob.h"
#include "base/vec.h"
#include "exec/collection.h"
#include "exec/stores.h"

enum { PATHS_HASH_DIGITS = 12, CANDIDATES_MAX = 3 };

struct cache_entry {
    char *key;    /* as the file says it; NULL: this cache takes no part */
    char *object; /* what the store calls it */
    struct strvec paths;
    struct object_store *store;
    bool is_there; /* restored by this very key */
};

static void note_error(const struct caching *c, const char *what, const char *key,
                       const struct err *err)
{
    event_bus_note(c->run->bus, c->node, "warning: cache %s not %s: %s", key, what, err->message);
}

/* "12 B", "1.5 KB", "200 MB", in powers of 1000 as people count them. */
static void format_bytes(int64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
    double amount = (double)bytes;
    unsigned unit = 0;

    while (amount >= 999.5 && unit < 4) {
        amount /= 1000;
        unit++;
    }
    snprintf(out, 32, unit && amount < 9.95 ? "%.1f %s" : "%.0f %s", amount, units[unit]);
}

/* --- keys --- */

static void add_prefix(const struct caching *c, const struct cache_entry *entry, struct buf *out)
{
    char hex[SHA256_HEX_SIZE];
    struct sha256 hash;

    sha256_begin(&hash);
    for (size_t i = 0; i < entry->paths.len; i++)
        sha256_add(&hash, entry->paths.items[i], strlen(entry->paths.items[i]) + 1);
    sha256_hex(&hash, hex);
    buf_addstr(out, "cache/");
    object_key_add_escaped(out, c->run->plan->name);
    buf_addf(out, "/%.*s/", PATHS_HASH_DIGITS, hex);
}

/* The key again, as it was written. */
static void add_key_of(const char *object, struct buf *out)
{
    const char *last = strrchr(object, '/');

    object_key_add_plain(out, last + 1, strlen(last + 1));
}

static int expand_all(const struct caching *c, const struct plan_settings *settings,
                      const struct spec_strs *from, struct strvec *ret, struct err *err)
{
    for (size_t i = 0; i < from->len; i++) {
        char *expanded = NULL;

        if (plan_expand(c->run->plan, settings, &from->items[i], &expanded, NULL, NULL, err) < 0)
            return -1;
        strvec_push_owned(ret, expanded);
    }
    return 0;
}

/* Leaves entry->key NULL, and says so, where there is nothing to be done with the cache. */
static int prepare(const struct caching *c, const struct plan_settings *settings,
                   const struct spec_cache *spec, struct cache_entry *entry, struct err *err)
{
    CLEANUP_BUF struct buf object = BUF_INIT;
    CLEANUP_FREE char *key = NULL;
    CLEANUP_FREE char *store = NULL;
    CLEANUP_GLOB struct glob *glob = NULL;
    struct err local = ERR_INIT;

    if (plan_expand(c->run->plan, settings, &spec->key, &key, NULL, NULL, err) < 0 ||
        plan_expand(c->run->plan, settings, &spec->store, &store, NULL, NULL, err) < 0 ||
        expand_all(c, settings, &spec->paths, &entry->paths, err) < 0)
        return err_wrap(err, "\"cache\"");
    if (glob_parse((const char *const *)entry->paths.items, entry->paths.len, GLOB_TREE, &glob,
                   err) < 0)
        return err_wrap(err, "\"cache.paths\"");
    if (!*key) {
        event_bus_note(c->run->bus, c->node, "warning: no cache, as its key is empty");
        return 0;
    }
    add_prefix(c, entry, &object);
    object_key_add_escaped(&object, key);
    if (object_key_check(object.data, &local) < 0 ||
        stores_get(c->run->stores, store, &entry->store, &local) < 0) {
        note_error(c, "used", key, &local);
        return 0;
    }
    entry->key = steal_ptr(&key);
    entry->object = buf_steal(&object);
    return 0;
}

/* --- restoring --- */

/* 1: restored, 0: it is not there. */
static int restore_object(struct caching *c, const struct ctx *ctx, const struct cache_entry *entry,
                          const char *object, struct err *err)
{
    int64_t begin_ms = clock_monotonic_ms();
    CLEANUP_BUF struct buf from = BUF_INIT;
    CLEANUP_FD int fd = -1;
    struct archive_stats stats;
    char duration[CLOCK_DURATION_SIZE];
    char size[32];

    if (entry->store->ops->get(ctx, entry->store, object, &fd, NULL, err) < 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    if (archive_unpack_names(ctx, fd, c->run->plan->workdir, c->of_step ? &c->restored : NULL,
                             &stats, err) < 0)
        return -1;
    format_bytes(stats.bytes, size);
    clock_format_duration(clock_monotonic_ms() - begin_ms, duration, sizeof(duration));
    if (strcmp(object, entry->object) != 0) {
        buf_addstr(&from, " from ");
        add_key_of(object, &from);
    }
    event_bus_note(c->run->bus, c->node, "cache %s restored%s: %s in %s", entry->key, from.data,
                   size, duration);
    return 1;
}

static int by_age(const void *a, const void *b)
{
    const struct object_info *x = a;
    const struct object_info *y = b;

    if (x->stored_ms != y->stored_ms)
        return x->stored_ms < y->stored_ms ? 1 : -1;
    return strcmp(x->key, y->key);
}

/* The newest whose key begins so; one that turns out to be damaged gives way to the next. */
static int restore_beginning(struct caching *c, const struct ctx *ctx,
                             const struct cache_entry *entry, const char *beginning,
                             struct err *err)
{
    CLEANUP_OBJECT_LIST struct object_list list = {0};
    CLEANUP_BUF struct buf prefix = BUF_INIT;

    add_prefix(c, entry, &prefix);
    if (*beginning)
        object_key_add_escaped(&prefix, beginning);
    if (entry->store->ops->list(ctx, entry->store, prefix.data, &list, err) < 0)
        return -1;
    if (list.len)
        qsort(list.items, list.len, sizeof(*list.items), by_age);
    for (size_t i = 0; i < list.len && i < CANDIDATES_MAX; i++) {
        int found = restore_object(c, ctx, entry, list.items[i].key, err);

        if (found > 0)
            return 1;
        if (found < 0 && err->code != ERR_PROTOCOL)
            return -1;
        if (found < 0)
            note_error(c, "restored", beginning, err);
    }
    return 0;
}

static int restore_any(struct caching *c, const struct ctx *ctx,
                       const struct plan_settings *settings, const struct spec_cache *spec,
                       const struct cache_entry *entry)
{
    CLEANUP_STRVEC struct strvec beginnings = {0};
    struct err err = ERR_INIT;
    int found = expand_all(c, settings, &spec->restore_keys, &beginnings, &err);

    for (size_t i = 0; found == 0 && i < beginnings.len; i++)
        found = restore_beginning(c, ctx, entry, beginnings.items[i], &err);
    if (found < 0)
        note_error(c, "restored", entry->key, &err);
    return found;
}

static void restore_one(struct caching *c, const struct ctx *ctx,
                        const struct plan_settings *settings, const struct spec_cache *spec,
                        struct cache_entry *entry)
{
    struct err err = ERR_INIT;
    int found = restore_object(c, ctx, entry, entry->object, &err);

    entry->is_there = found > 0;
    if (found < 0) {
        note_error(c, "restored", entry->key, &err);
        if (err.code != ERR_PROTOCOL)
            return;
    }
    if (found <= 0 && restore_any(c, ctx, settings, spec, entry) == 0)
        event_bus_note(c->run->bus, c->node, "no cache for %s", entry->key);
}

static int check_engine(const struct caching *c, const struct plan_settings *settings,
                        struct err *err)
{
    const struct engine *engine = engine_find(c->run->options->engines, settings->engine);

    if (settings->checkout == SPEC_CHECKOUT_NONE)
        return err_set(err, ERR_UNSUPPORTED,
                       "\"cache\" is about the workdir, which nothing sees with checkout: none");
    if (!engine || engine->shares_workspace || engine->get)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "\"cache\" does not work with the engine %s yet: its workspace is not the "
                   "workdir, and nothing comes back from it",
                   engine->name);
}

int caching_restore(struct caching *c, const struct ctx *ctx, const struct plan_scope *scope,
                    const struct plan_runtime *runtime, struct err *err)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};

    if (!c->count)
        return 0;
    if (plan_settings_resolve(c->run->plan, scope, runtime, &settings, NULL, NULL, err) < 0 ||
        check_engine(c, &settings, err) < 0)
        return -1;
    c->entries = xcalloc(c->count, sizeof(*c->entries));
    for (size_t i = 0; i < c->count; i++) {
        if (prepare(c, &settings, &c->specs[i], &c->entries[i], err) < 0)
            return -1;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].key && c->specs[i].policy != SPEC_CACHE_PUSH)
            restore_one(c, ctx, &settings, &c->specs[i], &c->entries[i]);
    }
    return 0;
}

/* Files and links, and of directories those in which nothing came. */
static void list_paths(const struct strvec *names, struct strvec *ret)
{
    for (size_t i = 0; i < names->len; i++) {
        const char *name = names->items[i];
        size_t len = strlen(name);

        if (name[len - 1] != '/')
            strvec_push(ret, name);
        else if (i + 1 == names->len || strncmp(names->items[i + 1], name, len) != 0)
            strvec_push_owned(ret, xstrndup(name, len - 1));
    }
}

void caching_deliver(struct caching *c, const struct ctx *ctx, const struct open_place *place)
{
    CLEANUP_STRVEC struct strvec paths = {0};
    struct err err = ERR_INIT;

    if (c->restored.len && !place->fresh && !open_place_shares_workdir(place, ctx)) {
        list_paths(&c->restored, &paths);
        if (!place->engine->put)
            err_set(&err, ERR_UNSUPPORTED, "the engine %s has a copy of the workdir already",
                    place->engine->name);
        else if (place->engine->put(ctx, place->place, (const char *const *)paths.items, &err) < 0)
            err_wrap(&err, "%s", place->engine->name);
        if (err.code != ERR_NONE)
            event_bus_note(c->run->bus, c->node,
                           "warning: what caches have restored is missing: %s", err.message);
    }
    strvec_release(&c->restored);
}

/* --- saving --- */

struct packing {
    const char *root;
    const struct glob *glob;
    struct archive_stats stats;
};

static int write_sink(void *arg, const void *data, size_t len, struct err *err)
{
    struct object_sink *sink = arg;

    return sink->write(sink, data, len, err);
}

static int produce(void *arg, const struct ctx *ctx, struct object_sink *sink, struct err *err)
{
    struct packing *packing = arg;

    if (archive_pack(ctx, packing->root, packing->glob, write_sink, sink, &packing->stats, err) < 0)
        return -1;
    if (!packing->stats.entries)
        return err_set(err, ERR_NOT_FOUND, "no file matches its paths");
    return 0;
}

/* Packs what the places have. */
static int store_files(const struct ctx *ctx, const struct cache_entry *entry,
                       struct collection *files, int64_t *ret_bytes, struct object_info *ret_info,
                       struct err *err)
{
    const struct strvec *paths = &entry->paths;
    CLEANUP_GLOB struct glob *glob = NULL;
    struct packing packing = {0};
    const struct object_source source = {.produce = produce, .arg = &packing};

    if (glob_parse((const char *const *)paths->items, paths->len, GLOB_TREE, &glob, err) < 0 ||
        collection_bring(files, ctx, glob, err) < 0)
        return -1;
    packing.root = files->root;
    packing.glob = glob;
    if (entry->store->ops->put(ctx, entry->store, entry->object, &source, ret_info, err) < 0)
        return -1;
    *ret_bytes = packing.stats.bytes;
    return 0;
}

static void save_one(const struct caching *c, const struct ctx *ctx,
                     const struct cache_entry *entry, struct collection *files)
{
    int64_t begin_ms = clock_monotonic_ms();
    struct object_info info;
    struct err err = ERR_INIT;
    char duration[CLOCK_DURATION_SIZE];
    char size[32];
    char packed[32];
    int64_t bytes;

    if (entry->store->ops->head(ctx, entry->store, entry->object, NULL, &err) == 0) {
        event_bus_note(c->run->bus, c->node, "cache %s not saved: it is there already", entry->key);
        return;
    }
    if (err.code != ERR_NOT_FOUND || store_files(ctx, entry, files, &bytes, &info, &err) < 0) {
        note_error(c, "saved", entry->key, &err);
        return;
    }
    format_bytes(bytes, size);
    format_bytes(info.size_bytes, packed);
    clock_format_duration(clock_monotonic_ms() - begin_ms, duration, sizeof(duration));
    event_bus_note(c->run->bus, c->node, "cache %s saved: %s, packed %s, in %s", entry->key, size,
                   packed, duration);
}

static bool wants_save(const struct spec_cache *spec, const struct cache_entry *entry, bool failed)
{
    if (!entry->key || entry->is_there || spec->policy == SPEC_CACHE_PULL)
        return false;
    return spec->when == SPEC_ALWAYS || failed == (spec->when == SPEC_ON_FAILURE);
}

static void save_all(const struct caching *c, const struct ctx *ctx, struct collection *files,
                     bool failed)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct cache_entry *entry = &c->entries[i];

        if (!wants_save(&c->specs[i], entry, failed))
            continue;
        if (files->unable)
            event_bus_note(c->run->bus, c->node,
                           "warning: cache %s not saved: steps on the engine %s worked on a copy "
                           "of the workdir",
                           entry->key, files->unable);
        else
            save_one(c, ctx, entry, files);
    }
}

void caching_save(struct caching *c, const struct ctx *ctx, struct places *places,
                  const struct open_place *place, bool failed)
{
    struct collection files;
    struct ctx grace;

    if (!c->entries)
        return;
    ctx_init_grace(&grace, ctx, EXEC_POST_BUDGET_MS);
    collection_begin(&files, c->run, places, place, &grace);
    save_all(c, ctx_done(ctx) ? &grace : ctx, &files, failed);
    collection_end(&files);
    ctx_release(&grace);
}

void caching_release(struct caching *c)
{
    for (size_t i = 0; c->entries && i < c->count; i++) {
        free(c->entries[i].key);
        free(c->entries[i].object);
        strvec_release(&c->entries[i].paths);
    }
    free(c->entries);
    strvec_release(&c->restored);
    c->entries = NULL;
}
