/* Typed growing arrays.
 *
 *     VEC(struct point) points = {0};
 *     vec_push(&points, ((struct point){1, 2}));
 *     vec_foreach(struct point *, p, &points) ...
 *     vec_release(&points);
 *
 * The elements belong to whoever declares the vector; vec_release() frees only the array. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/cleanup.h"

#define VEC(type)                                                                                  \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t len;                                                                                \
        size_t cap;                                                                                \
    }

#define vec_push(v, item)                                                                          \
    do {                                                                                           \
        if ((v)->len == (v)->cap) {                                                                \
            (v)->cap = (v)->cap ? (v)->cap * 2 : 4;                                                \
            (v)->items = xreallocarray((v)->items, (v)->cap, sizeof(*(v)->items));                 \
        }                                                                                          \
        (v)->items[(v)->len++] = (item);                                                           \
    } while (0)

#define vec_foreach(type, it, v)                                                                   \
    for (type it = (v)->items; (v)->len && it < (v)->items + (v)->len; it++)

#define vec_release(v)                                                                             \
    do {                                                                                           \
        free((v)->items);                                                                          \
        (v)->items = NULL;                                                                         \
        (v)->len = (v)->cap = 0;                                                                   \
    } while (0)

/* An owning vector of strings, for argument lists and the like. items[len] is NULL, so that
 * `items` can be passed as argv; items itself is NULL only while the vector is empty. */
struct strvec {
    char **items;
    size_t len;
    size_t cap;
};

#define CLEANUP_STRVEC CLEANUP(strvec_release)

void strvec_push(struct strvec *v, const char *s);
void strvec_pushf(struct strvec *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strvec_push_owned(struct strvec *v, char *s);
void strvec_extend(struct strvec *v, char *const *items); /* NULL-terminated; NULL adds nothing */
bool strvec_has(const struct strvec *v, const char *s);
void strvec_release(struct strvec *v);
