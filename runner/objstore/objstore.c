#include "objstore/objstore.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/vec.h"

void object_store_close(struct object_store *store)
{
    if (store)
        store->ops->close(store);
}

void object_list_release(struct object_list *list)
{
    vec_release(list);
}

static int by_use(const void *a, const void *b)
{
    const struct object_info *x = a;
    const struct object_info *y = b;

    if (x->used_ms != y->used_ms)
        return x->used_ms < y->used_ms ? 1 : -1;
    return strcmp(x->key, y->key);
}

void object_list_sort(struct object_list *list)
{
    if (list->len)
        qsort(list->items, list->len, sizeof(*list->items), by_use);
}

/* --- keys --- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("._=+@-", c));
}

static bool is_dots(const char *text, size_t len)
{
    return len <= 2 && strncmp(text, "..", len) == 0;
}

int object_key_check(const char *key, struct err *err)
{
    size_t whole = strlen(key);

    if (whole > OBJECT_KEY_MAX)
        return err_set(err, ERR_INVALID, "a key has at most %d bytes, not %zu", OBJECT_KEY_MAX,
                       whole);
    for (const char *part = key;; part++) {
        size_t len = strcspn(part, "/");

        if (is_dots(part, len))
            return err_set(err, ERR_INVALID, "the key \"%s\" has an empty part, \".\" or \"..\"",
                           key);
        if (len > OBJECT_KEY_PART_MAX)
            return err_set(err, ERR_INVALID, "a part of a key has at most %d bytes, not %zu",
                           OBJECT_KEY_PART_MAX, len);
        for (size_t i = 0; i < len; i++) {
            if (!is_plain(part[i]) && part[i] != '%')
                return err_set(err, ERR_INVALID, "the key \"%s\" has a character that no key can",
                               key);
        }
        part += len;
        if (!*part)
            return 0;
    }
}

void object_key_add_escaped(struct buf *out, const char *text)
{
    bool dots = is_dots(text, strlen(text));

    if (!*text)
        buf_addch(out, '%');
    for (; *text; text++) {
        if (is_plain(*text) && !dots)
            buf_addch(out, *text);
        else
            buf_addf(out, "%%%02X", (unsigned char)*text);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void object_key_add_plain(struct buf *out, const char *escaped, size_t len)
{
    if (len == 1 && *escaped == '%')
        return;
    for (size_t i = 0; i < len; i++) {
        if (escaped[i] == '%' && i + 2 < len && hex_digit(escaped[i + 1]) >= 0 &&
            hex_digit(escaped[i + 2]) >= 0) {
            buf_addch(out, (char)(hex_digit(escaped[i + 1]) << 4 | hex_digit(escaped[i + 2])));
            i += 2;
        } else {
            buf_addch(out, escaped[i]);
        }
    }
}

/* --- trimming --- */

static bool is_kept(const struct object_trim *trim, const struct object_info *info)
{
    return trim->keep && strcmp(trim->keep, info->key) == 0;
}

int object_store_trim(const struct ctx *ctx, struct object_store *store, const char *prefix,
                      const struct object_trim *trim, struct err *err)
{
    CLEANUP_OBJECT_LIST struct object_list list = {0};
    int64_t now_ms = clock_wall_ms();
    int64_t kept_bytes = 0;
    bool full = false;

    if (store->ops->list(ctx, store, prefix, &list, err) < 0)
        return -1;
    object_list_sort(&list);
    for (size_t i = 0; i < list.len; i++) {
        if (is_kept(trim, &list.items[i]))
            kept_bytes += list.items[i].size_bytes;
    }
    for (size_t i = 0; i < list.len; i++) {
        const struct object_info *info = &list.items[i];
        bool too_old = trim->unused_ms >= 0 && now_ms - info->used_ms > trim->unused_ms;
        struct err local = ERR_INIT;

        if (is_kept(trim, info))
            continue;
        full = full || (trim->max_bytes >= 0 && kept_bytes + info->size_bytes > trim->max_bytes);
        if (!too_old && !full) {
            kept_bytes += info->size_bytes;
            continue;
        }
        if (!trim->dry_run && store->ops->remove(ctx, store, info->key, &local) < 0 &&
            local.code != ERR_NOT_FOUND)
            return err_set(err, local.code, "%s", local.message);
        if (trim->removed)
            trim->removed(trim->arg, info);
    }
    return 0;
}
