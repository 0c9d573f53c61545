#include "expr/value.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

/* Fractions as people write them: 17 digits would show 1.1 as 1.1000000000000001. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))
/* Up to here every integer is a double of its own. */
#define EXACT_MAX 9007199254740992.0

void expr_value_release(struct expr_value *value)
{
    if (value->kind == EXPR_JSON)
        json_decref(value->json);
    else if (value->kind == EXPR_STRING && value->owned)
        free((char *)value->text);
    *value = (struct expr_value)EXPR_VALUE_NULL;
}

struct expr_value expr_bool(bool boolean)
{
    return (struct expr_value){.kind = EXPR_BOOL, .boolean = boolean};
}

struct expr_value expr_integer(int64_t integer)
{
    return (struct expr_value){.kind = EXPR_INTEGER, .integer = integer};
}

struct expr_value expr_number(double real)
{
    if (!isfinite(real))
        return (struct expr_value)EXPR_VALUE_NULL;
    if (fabs(real) <= EXACT_MAX && real == (double)(int64_t)real)
        return expr_integer((int64_t)real);
    return (struct expr_value){.kind = EXPR_REAL, .real = real};
}

struct expr_value expr_string(const char *text)
{
    if (!text)
        return (struct expr_value)EXPR_VALUE_NULL;
    return (struct expr_value){.kind = EXPR_STRING, .text = text, .len = strlen(text)};
}

struct expr_value expr_string_steal(struct buf *buf)
{
    size_t len = buf->len;

    return (
        struct expr_value){.kind = EXPR_STRING, .owned = true, .text = buf_steal(buf), .len = len};
}

struct expr_value expr_borrow_json(json_t *json)
{
    struct expr_value value = EXPR_VALUE_NULL;

    switch (json ? json_typeof(json) : JSON_NULL) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        value.kind = EXPR_JSON;
        value.json = json;
        return value;
    case JSON_STRING:
        return expr_string(json_string_value(json));
    case JSON_INTEGER:
        return expr_integer(json_integer_value(json));
    case JSON_REAL:
        return expr_number(json_real_value(json));
    case JSON_TRUE:
    case JSON_FALSE:
        return expr_bool(json_is_true(json));
    case JSON_NULL:
        break;
    }
    return value;
}

struct expr_value expr_from_json(json_t *json)
{
    struct expr_value value = expr_borrow_json(json);

    if (value.kind == EXPR_JSON)
        json_incref(value.json);
    expr_value_own(&value);
    return value;
}

int expr_to_json(const struct expr_value *value, json_t **ret, struct err *err)
{
    json_t *json = NULL;

    switch (value->kind) {
    case EXPR_NULL:
        json = json_null();
        break;
    case EXPR_BOOL:
        json = json_boolean(value->boolean);
        break;
    case EXPR_INTEGER:
        json = json_integer(value->integer);
        break;
    case EXPR_REAL:
        json = json_real(value->real);
        break;
    case EXPR_STRING:
        json = json_stringn(value->text, value->len);
        break;
    case EXPR_JSON:
        json = json_incref(value->json);
        break;
    }
    if (!json)
        return err_set(err, ERR_INVALID, "a text that is not UTF-8 cannot become JSON");
    *ret = json;
    return 0;
}

void expr_value_own(struct expr_value *value)
{
    if (value->kind != EXPR_STRING || value->owned)
        return;
    value->text = xstrndup(value->text, value->len);
    value->owned = true;
}

bool expr_value_truth(const struct expr_value *value)
{
    switch (value->kind) {
    case EXPR_NULL:
        return false;
    case EXPR_BOOL:
        return value->boolean;
    case EXPR_INTEGER:
        return value->integer != 0;
    case EXPR_REAL:
        return value->real != 0;
    case EXPR_STRING:
        return value->len > 0;
    case EXPR_JSON:
        break;
    }
    return true;
}

/* The fewest digits that read back as the same number. */
static size_t format_real(char *out, size_t size, double real)
{
    int len = 0;

    for (int digits = 15; digits <= 17; digits++) {
        len = snprintf(out, size, "%.*g", digits, real);
        if (strtod(out, NULL) == real)
            break;
    }
    return (size_t)len;
}

bool expr_value_text(const struct expr_value *value, struct expr_text *ret)
{
    ret->text = ret->scratch;
    ret->len = 0;
    ret->scratch[0] = '\0';
    switch (value->kind) {
    case EXPR_NULL:
        break;
    case EXPR_BOOL:
        ret->text = value->boolean ? "true" : "false";
        ret->len = value->boolean ? 4 : 5;
        break;
    case EXPR_INTEGER:
        ret->len =
            (size_t)snprintf(ret->scratch, sizeof(ret->scratch), "%lld", (long long)value->integer);
        break;
    case EXPR_REAL:
        ret->len = format_real(ret->scratch, sizeof(ret->scratch), value->real);
        break;
    case EXPR_STRING:
        ret->text = value->text;
        ret->len = value->len;
        break;
    case EXPR_JSON:
        return false;
    }
    return true;
}

static int add_to_buf(const char *data, size_t len, void *buf)
{
    buf_add(buf, data, len);
    return 0;
}

void expr_value_add_text(const struct expr_value *value, struct buf *out)
{
    struct expr_text text;

    if (expr_value_text(value, &text))
        buf_add(out, text.text, text.len);
    else
        (void)json_dump_callback(value->json, add_to_buf, out, DUMP_FLAGS);
}

const char *expr_value_type(const struct expr_value *value)
{
    switch (value->kind) {
    case EXPR_NULL:
        return "null";
    case EXPR_BOOL:
        return "a boolean";
    case EXPR_INTEGER:
    case EXPR_REAL:
        return "a number";
    case EXPR_STRING:
        return "a text";
    case EXPR_JSON:
        break;
    }
    return json_is_array(value->json) ? "a list" : "a map";
}

static size_t digits(const char *text, size_t len, size_t at)
{
    size_t start = at;

    while (at < len && text[at] >= '0' && text[at] <= '9')
        at++;
    return at - start;
}

/* Whether all of the text is a number; *ret_integer: without fraction and exponent. */
static bool is_number(const char *text, size_t len, bool *ret_integer)
{
    size_t at = len && text[0] == '-';
    size_t count = digits(text, len, at);

    if (!count)
        return false;
    at += count;
    *ret_integer = at == len;
    if (at < len && text[at] == '.') {
        count = digits(text, len, at + 1);
        if (!count)
            return false;
        at += 1 + count;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < len && (text[at] == '-' || text[at] == '+'))
            at++;
        count = digits(text, len, at);
        if (!count)
            return false;
        at += count;
    }
    return at == len;
}

static bool parse_integer(const char *text, size_t len, int64_t *ret)
{
    bool negative = text[0] == '-';
    int64_t value = 0;

    for (size_t i = negative; i < len; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text[i] - '0', &value))
            return false;
    }
    return negative ? (*ret = value, true) : !__builtin_sub_overflow(0, value, ret);
}

bool expr_parse_number(const char *text, size_t len, struct expr_value *ret)
{
    char copy[512];
    bool integer = false;
    int64_t value;

    if (!is_number(text, len, &integer))
        return false;
    if (integer && parse_integer(text, len, &value)) {
        *ret = expr_integer(value);
        return true;
    }
    if (len >= sizeof(copy))
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    *ret = expr_number(strtod(copy, NULL));
    return ret->kind != EXPR_NULL;
}
