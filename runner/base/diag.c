#include "base/diag.h"

#include <stdarg.h>

#include "base/alloc.h"
#include "base/buf.h"

void diag_add(struct diag_list *list, enum diag_severity severity, struct src_pos pos,
              const char *path, const char *fmt, ...)
{
    struct buf message = BUF_INIT;
    va_list args;

    list->error_count += severity == DIAG_ERROR;
    if (list->len == DIAG_MAX) {
        list->dropped_count++;
        return;
    }
    if (list->len == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->items = xreallocarray(list->items, list->cap, sizeof(*list->items));
    }
    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    list->items[list->len++] = (struct diag){severity, pos, xstrdup(path), buf_steal(&message)};
}

static bool before(const struct src_pos *a, const struct src_pos *b)
{
    if (a->file != b->file)
        return a->file < b->file;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

void diag_sort(struct diag_list *list)
{
    /* Insertion sort: at most DIAG_MAX entries, and it is stable. */
    for (size_t i = 1; i < list->len; i++) {
        struct diag moved = list->items[i];
        size_t at = i;

        for (; at > 0 && before(&moved.pos, &list->items[at - 1].pos); at--)
            list->items[at] = list->items[at - 1];
        list->items[at] = moved;
    }
}

void diag_list_release(struct diag_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        free(list->items[i].path);
        free(list->items[i].message);
    }
    free(list->items);
    *list = (struct diag_list){0};
}
