#include "base/map.h"

#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"

enum { LINEAR_MAX = 12 };

static uint32_t hash(const char *s)
{
    uint32_t h = 2166136261u; /* FNV-1a */

    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* The slot that holds `key`, or the empty one where it belongs. */
static uint32_t index_slot(const struct strmap *m, const char *key)
{
    uint32_t mask = m->index_cap - 1;
    uint32_t slot = hash(key) & mask;

    while (m->index[slot] && strcmp(m->entries[m->index[slot] - 1].key, key) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static void index_rebuild(struct strmap *m)
{
    free(m->index);
    m->index = NULL;
    m->index_cap = 0;
    if (m->len <= LINEAR_MAX)
        return;
    m->index_cap = 32;
    while (m->index_cap < m->cap * 2)
        m->index_cap *= 2;
    m->index = xcalloc(m->index_cap, sizeof(*m->index));
    for (uint32_t i = 0; i < m->len; i++)
        m->index[index_slot(m, m->entries[i].key)] = i + 1;
}

static struct strmap_entry *find(const struct strmap *m, const char *key)
{
    if (m->index) {
        uint32_t number = m->index[index_slot(m, key)];
        return number ? &m->entries[number - 1] : NULL;
    }
    for (uint32_t i = 0; i < m->len; i++) {
        if (strcmp(m->entries[i].key, key) == 0)
            return &m->entries[i];
    }
    return NULL;
}

static void set_owned(struct strmap *m, const char *key, char *value)
{
    struct strmap_entry *entry = find(m, key);

    if (entry) {
        free(entry->value);
        entry->value = value;
        return;
    }
    if (m->len == m->cap) {
        m->cap = m->cap ? m->cap * 2 : 4;
        m->entries = xreallocarray(m->entries, m->cap, sizeof(*m->entries));
    }
    m->entries[m->len++] = (struct strmap_entry){xstrdup(key), value};
    if (m->index && m->len * 2 <= m->index_cap)
        m->index[index_slot(m, key)] = m->len;
    else
        index_rebuild(m);
}

void strmap_set(struct strmap *m, const char *key, const char *value)
{
    set_owned(m, key, xstrdup(value));
}

void strmap_setf(struct strmap *m, const char *key, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&b, fmt, args);
    va_end(args);
    set_owned(m, key, buf_steal(&b));
}

const char *strmap_get(const struct strmap *m, const char *key)
{
    const struct strmap_entry *entry = find(m, key);

    return entry ? entry->value : NULL;
}

bool strmap_has(const struct strmap *m, const char *key)
{
    return find(m, key) != NULL;
}

bool strmap_remove(struct strmap *m, const char *key)
{
    struct strmap_entry *entry = find(m, key);

    if (!entry)
        return false;
    free(entry->key);
    free(entry->value);
    memmove(entry, entry + 1, (size_t)(m->entries + m->len - entry - 1) * sizeof(*entry));
    m->len--;
    index_rebuild(m);
    return true;
}

void strmap_merge(struct strmap *m, const struct strmap *from)
{
    strmap_foreach (it, from)
        strmap_set(m, it->key, it->value);
}

void strmap_release(struct strmap *m)
{
    for (uint32_t i = 0; i < m->len; i++) {
        free(m->entries[i].key);
        free(m->entries[i].value);
    }
    free(m->entries);
    free(m->index);
    *m = (struct strmap){0};
}
