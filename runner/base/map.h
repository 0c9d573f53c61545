/* Ordered map from string to string; the order is that of first insertion.
 *
 * Made for environments: small maps are searched linearly, larger ones through a hash index that
 * is built when they grow. Keys and values are copied and owned by the map. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct strmap_entry {
    char *key;
    char *value;
};

struct strmap {
    struct strmap_entry *entries;
    uint32_t len;
    uint32_t cap;
    uint32_t *index; /* NULL while small; slots hold entry number + 1 */
    uint32_t index_cap;
};

#define CLEANUP_STRMAP CLEANUP(strmap_release)
#define strmap_foreach(it, m)                                                                      \
    for (const struct strmap_entry *it = (m)->entries; (m)->len && it < (m)->entries + (m)->len;   \
         it++)

/* Adds or replaces. */
void strmap_set(struct strmap *m, const char *key, const char *value);
void strmap_setf(struct strmap *m, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Returns the value, which the map keeps, or NULL. */
const char *strmap_get(const struct strmap *m, const char *key);
bool strmap_has(const struct strmap *m, const char *key);
/* Returns whether the key was there; the order of the others stays. */
bool strmap_remove(struct strmap *m, const char *key);
/* Sets every entry of `from` in `m`. */
void strmap_merge(struct strmap *m, const struct strmap *from);
void strmap_release(struct strmap *m);
