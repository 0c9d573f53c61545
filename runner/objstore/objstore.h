/* Object stores: where caches and artifacts are kept between runs.
 *
 * A store maps keys to immutable contents. An object is there as a whole or not at all, and what is
 * read is what was written: each carries its SHA-256, which get() has verified before it returns.
 *
 *     object_store_local_open(&(struct object_store_local_options){.root = dir}, &store)
 *     store->ops->put(ctx, store, "cache/abc", &source, &info, err)
 *     store->ops->get(ctx, store, "cache/abc", &fd, &info, err)
 *     object_store_close(store)
 *
 * Keys are 1 to 512 bytes of [A-Za-z0-9._%=+@-] in parts between single slashes; a part has at most
 * 254 bytes, and is not "." or "..". object_key_check() says so, and every operation calls it
 * first.
 *
 * Errors. ERR_NOT_FOUND: there is no such object. ERR_PROTOCOL, of get(): there was one, but it was
 * damaged; it has been removed if that was possible. ERR_LIMIT: it does not fit into the store.
 * ERR_DENIED, ERR_UNAVAILABLE, ERR_SYSTEM: the store does not work. ERR_CANCELLED, ERR_TIMEOUT: the
 * context ended. A caller for whom the store is a convenience treats all of them as a miss, and
 * says every one but the first.
 *
 * Threads: any number may use one store, and any number of processes the same place. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/sha256.h"

#define OBJECT_KEY_MAX      512
#define OBJECT_KEY_PART_MAX 254 /* with a mark behind it a file's name */

struct object_info {
    char key[OBJECT_KEY_MAX + 1];
    int64_t size_bytes;
    int64_t stored_ms; /* wall time */
    int64_t used_ms;   /* wall time of the last get(), as far as the store knows; else stored_ms */
    char sha256[SHA256_HEX_SIZE]; /* in hexadecimal; empty where only get() would tell */
};

/* Where a producer writes the content of a new object. */
struct object_sink {
    int (*write)(struct object_sink *sink, const void *data, size_t len, struct err *err);
};

/* The content of a new object. `produce` writes all of it to the sink; -1 gives the object up. It
 * may be called again when an attempt to send it has failed. */
struct object_source {
    int (*produce)(void *arg, const struct ctx *ctx, struct object_sink *sink, struct err *err);
    void *arg;
};

struct object_list {
    struct object_info *items; /* the last used first */
    size_t len;
    size_t cap;
};

struct object_store;

struct object_store_ops {
    const char *name; /* "local", "s3" */
    /* Stores, replacing what has that key. *ret may be NULL. */
    int (*put)(const struct ctx *ctx, struct object_store *store, const char *key,
               const struct object_source *source, struct object_info *ret, struct err *err);
    /* *ret_fd is the caller's: open for reading at the first byte of the content, which goes on to
     * the end of the file, verified. *ret may be NULL. */
    int (*get)(const struct ctx *ctx, struct object_store *store, const char *key, int *ret_fd,
               struct object_info *ret, struct err *err);
    /* Whether there is one, without looking at the content. *ret may be NULL. */
    int (*head)(const struct ctx *ctx, struct object_store *store, const char *key,
                struct object_info *ret, struct err *err);
    /* Adds all objects whose keys begin with `prefix`, which may be "" or end within a part. */
    int (*list)(const struct ctx *ctx, struct object_store *store, const char *prefix,
                struct object_list *ret, struct err *err);
    /* Of an object that is not there: ERR_NOT_FOUND. */
    int (*remove)(const struct ctx *ctx, struct object_store *store, const char *key,
                  struct err *err);
    void (*close)(struct object_store *store);
};

/* A store's own struct begins with this. */
struct object_store {
    const struct object_store_ops *ops;
};

#define CLEANUP_OBJECT_STORE CLEANUP(object_store_cleanup)
#define CLEANUP_OBJECT_LIST  CLEANUP(object_list_release)

/* NULL is fine. */
void object_store_close(struct object_store *store);

static inline void object_store_cleanup(struct object_store **store)
{
    object_store_close(*store);
}

void object_list_release(struct object_list *list);
/* Puts the last used first; those of the same time by key. */
void object_list_sort(struct object_list *list);

int object_key_check(const char *key, struct err *err) __attribute__((warn_unused_result));
/* Appends `text` with every byte that a part of a key cannot hold as %XX; a text that would be "",
 * "." or ".." begins with "%". */
struct buf;
void object_key_add_escaped(struct buf *out, const char *text);
/* The opposite; what is no escape stays. */
void object_key_add_plain(struct buf *out, const char *escaped, size_t len);

struct object_trim {
    int64_t max_bytes; /* of all together; -1: no limit */
    int64_t unused_ms; /* remove what has not been used for so long; -1: no limit */
    const char *keep;  /* a key that stays in any case; NULL: none */
    bool dry_run;
    void (*removed)(void *arg, const struct object_info *info); /* may be NULL */
    void *arg;
};

/* Removes the objects below `prefix` that have not been used for the longest time. */
int object_store_trim(const struct ctx *ctx, struct object_store *store, const char *prefix,
                      const struct object_trim *trim, struct err *err)
    __attribute__((warn_unused_result));
