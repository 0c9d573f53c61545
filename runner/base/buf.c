#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

char buf_empty[1];

void buf_release(struct buf *b)
{
    if (b->cap)
        free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more + 1;
    size_t cap = b->cap ? b->cap : 32;

    if (need <= b->cap)
        return;
    while (cap < need)
        cap += cap / 2 + 16;
    if (b->cap) {
        b->data = xreallocarray(b->data, cap, 1);
    } else {
        b->data = xmalloc(cap);
        b->data[0] = '\0';
    }
    b->cap = cap;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (!len)
        return;
    buf_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_addstr(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_addch(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    int len;

    va_copy(again, args);
    buf_reserve(b, 64);
    len = vsnprintf(b->data + b->len, b->cap - b->len, fmt, args);
    if (len > 0 && (size_t)len >= b->cap - b->len) {
        buf_reserve(b, (size_t)len);
        vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
    }
    if (len > 0)
        b->len += (size_t)len;
    va_end(again);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vaddf(b, fmt, args);
    va_end(args);
}

void buf_consume(struct buf *b, size_t len)
{
    if (!len)
        return;
    memmove(b->data, b->data + len, b->len - len + 1);
    b->len -= len;
}

void buf_truncate(struct buf *b, size_t len)
{
    if (len == b->len)
        return;
    b->len = len;
    b->data[len] = '\0';
}

void buf_reset(struct buf *b)
{
    buf_truncate(b, 0);
}

char *buf_steal(struct buf *b)
{
    char *data = b->cap ? b->data : xstrdup("");

    *b = (struct buf)BUF_INIT;
    return data;
}
