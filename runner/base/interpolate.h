/* Interpolation of ${…}, and where it is wanted of {{ … }}, in strings. Pure: names come from a
 * callback, and what stands in {{ }} is worked out by another.
 *
 *     ${NAME}            the value; unset: empty, after asking scope->unset
 *     ${NAME:-default}   default if unset or empty      ${NAME-default}   if unset
 *     ${NAME:?message}   an error if unset or empty     ${NAME?message}   if unset
 *     ${NAME:+alt}       alt if set and not empty       ${NAME+alt}       if set
 *     $${                a literal ${
 *     {{ expression }}   its value, if there is scope->expression, else as it is
 *     {{ '{{' }}         a literal {{
 *
 * Defaults, messages and alternatives are interpolated in turn when they are used. A bare $NAME and
 * any other $ stay as they are, unless scope->bare is set: then $NAME is what ${NAME} is, and $$ is
 * a literal $ wherever it stands. Values are never looked at again. The first }} outside of quotes
 * ('',
 * "" with \ before a character) ends an expression; a ${…} within is the expression's affair.
 * Source: pipeline file reference, section 1 (Interpolation, Expressions); Compose Specification,
 * Interpolation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct interpolate_scope {
    /* The value of a name, NULL if it is not set. */
    const char *(*lookup)(void *arg, const char *name);
    /* Told of each ${NAME} without default that is not set; `offset` is that of its `${`. Returns 0
     * to go on with an empty value, -1 with *err filled to stop. NULL: always go on. */
    int (*unset)(void *arg, const char *name, size_t offset, struct err *err);
    /* Appends the value of what stands between {{ and }}; *offset is where that begins. out NULL:
     * only checks it. -1 with *err filled: *offset may have been moved to the byte of the whole
     * text that the error is about. NULL: {{ is nothing special. */
    int (*expression)(void *arg, const char *text, size_t len, size_t *offset, struct buf *out,
                      struct err *err);
    void *arg;
    bool bare;        /* the grammar of Compose files */
    size_t max_bytes; /* of the result; 0: INTERPOLATE_MAX_BYTES */
};

#define INTERPOLATE_MAX_BYTES ((size_t)16 * 1024 * 1024)

/* Adds the expanded text to out. On failure out may hold a part of it, and *ret_offset (may be
 * NULL) is the byte of `text` that the error is about. ERR_INVALID: a syntax error, or what :?
 * said; ERR_LIMIT: the result is too large. */
int interpolate(const char *text, const struct interpolate_scope *scope, struct buf *out,
                size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
/* Checks the syntax only, of every branch; of expressions if there is a scope with that callback,
 * the only one used; by the grammar of scope->bare. */
int interpolate_check(const char *text, const struct interpolate_scope *scope, size_t *ret_offset,
                      struct err *err) __attribute__((warn_unused_result));
/* Whether the text is exactly one ${NAME}; *ret_name and *ret_len are then the name within it. */
bool interpolate_is_name(const char *text, const char **ret_name, size_t *ret_len);
