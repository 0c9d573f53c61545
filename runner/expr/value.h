/* Values of expressions.
 *
 * A value is small and passed by value. Text is borrowed where it can be (literals of the
 * expression, what a scope hands out), so that simple conditions allocate nothing; `owned` says
 * that it is released with the value. Lists and maps are JSON, of which a value always holds a
 * reference of its own. Numbers and texts out of JSON become numbers and texts.
 *
 *     CLEANUP_EXPR_VALUE struct expr_value v = expr_string("main");
 *
 * Source: docs/expressions.md (Types). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* No value that an expression makes, and no JSON text that it reads, is longer. */
#define EXPR_TEXT_MAX ((size_t)1024 * 1024)
/* Lists in lists in …, in what fromJSON() reads. */
#define EXPR_JSON_DEPTH 64

enum expr_kind {
    EXPR_NULL,
    EXPR_BOOL,
    EXPR_INTEGER, /* a number without a fraction; exact */
    EXPR_REAL,    /* any other number; finite */
    EXPR_STRING,
    EXPR_JSON, /* a list or a map */
};

struct expr_value {
    enum expr_kind kind;
    bool owned; /* EXPR_STRING: text is freed with the value */
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct {
            const char *text; /* holds no NUL but the one behind it */
            size_t len;
        };
        json_t *json;
    };
};

#define EXPR_VALUE_NULL                                                                            \
    {                                                                                              \
        .kind = EXPR_NULL                                                                          \
    }
#define CLEANUP_EXPR_VALUE CLEANUP(expr_value_release)

/* Leaves null. */
void expr_value_release(struct expr_value *value);

struct expr_value expr_bool(bool boolean);
struct expr_value expr_integer(int64_t integer);
/* An EXPR_INTEGER if there is no fraction; null if it is not finite. */
struct expr_value expr_number(double real);
/* Borrowed; NULL gives null. */
struct expr_value expr_string(const char *text);
/* Takes the contents of the buf and leaves it empty. */
struct expr_value expr_string_steal(struct buf *buf);
/* A copy; of a list or map a reference, and it must not change any more. NULL gives null. */
struct expr_value expr_from_json(json_t *json);
/* The same without a copy or reference: not to be released, and no longer alive than `json`. */
struct expr_value expr_borrow_json(json_t *json);
/* A new reference. ERR_INVALID: a text is not UTF-8. */
int expr_to_json(const struct expr_value *value, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* Makes the value independent of what it borrows from. */
void expr_value_own(struct expr_value *value);
/* False: null, false, 0 and the empty text. Everything else is true, also the text 'false'. */
bool expr_value_truth(const struct expr_value *value);
/* Appends what {{ }} shows: null as nothing, numbers as short as they can be, lists and maps as
 * JSON. */
void expr_value_add_text(const struct expr_value *value, struct buf *out);
/* "null", "a boolean", "a number", "a text", "a list", "a map". */
const char *expr_value_type(const struct expr_value *value);

/* Reads a decimal number, nothing before or behind it: -12, 1.5, 2e3. false: it is none, or too
 * large. */
bool expr_parse_number(const char *text, size_t len, struct expr_value *ret);

/* A value that is no list or map, as text: borrowed, or written into `scratch`. */
struct expr_text {
    const char *text;
    size_t len;
    char scratch[32];
};

/* false: it is a list or a map. */
bool expr_value_text(const struct expr_value *value, struct expr_text *ret);
