#include "base/vec.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"

void strvec_push_owned(struct strvec *v, char *s)
{
    if (v->len + 1 >= v->cap) {
        v->cap = v->cap ? v->cap * 2 : 8;
        v->items = xreallocarray(v->items, v->cap, sizeof(*v->items));
    }
    v->items[v->len++] = s;
    v->items[v->len] = NULL;
}

void strvec_push(struct strvec *v, const char *s)
{
    strvec_push_owned(v, xstrdup(s));
}

void strvec_pushf(struct strvec *v, const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&b, fmt, args);
    va_end(args);
    strvec_push_owned(v, buf_steal(&b));
}

void strvec_extend(struct strvec *v, char *const *items)
{
    for (; items && *items; items++)
        strvec_push(v, *items);
}

bool strvec_has(const struct strvec *v, const char *s)
{
    for (size_t i = 0; i < v->len; i++) {
        if (strcmp(v->items[i], s) == 0)
            return true;
    }
    return false;
}

void strvec_release(struct strvec *v)
{
    for (size_t i = 0; i < v->len; i++)
        free(v->items[i]);
    free(v->items);
    *v = (struct strvec){0};
}
