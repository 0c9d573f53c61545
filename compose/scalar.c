/* What a scalar is, and its variables. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "compose/reader.h"

static void report(struct compose_reader *r, enum diag_severity severity,
                   const struct node_path *path, struct src_pos pos, const char *message)
{
    CLEANUP_BUF struct buf where = BUF_INIT;

    node_path_format(&where, path);
    diag_add(&r->file->diags, severity, pos, where.data, "%s", message);
}

void compose_reader_error(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, const char *fmt, ...)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    report(r, DIAG_ERROR, path, node->pos, message.data);
}

void compose_reader_warn(struct compose_reader *r, const struct node_path *path,
                         const struct yaml_node *node, const char *fmt, ...)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&message, fmt, args);
    va_end(args);
    report(r, DIAG_WARNING, path, node->pos, message.data);
}

static const char *lookup(void *arg, const char *name)
{
    const struct compose_reader *r = arg;

    return strmap_get(r->environment, name);
}

static int warn_unset(void *arg, const char *name, size_t offset, struct err *err)
{
    struct compose_reader *r = arg;
    CLEANUP_BUF struct buf message = BUF_INIT;

    (void)err;
    buf_addf(&message,
             "the variable %s is not set and becomes empty; write ${%s:-} if that is meant", name,
             name);
    report(r, DIAG_WARNING, r->path, yaml_node_locate(r->tree, r->node, offset), message.data);
    return 0;
}

/* Of one document. */
#define EXPANDED_BYTES_MAX ((size_t)64 * 1024 * 1024)

static int expand(struct compose_reader *r, const struct node_path *path,
                  const struct yaml_node *node, struct buf *out)
{
    const struct interpolate_scope scope = {.lookup = lookup,
                                            .unset = warn_unset,
                                            .arg = r,
                                            .bare = true};
    struct err err = ERR_INIT;
    size_t offset = 0;

    r->node = node;
    r->path = path;
    if (interpolate(node->text, &scope, out, &offset, &err) == 0) {
        r->expanded += out->len;
        if (r->expanded > EXPANDED_BYTES_MAX)
            err_set(&err, ERR_LIMIT, "what variables expand to is more than %zu bytes",
                    EXPANDED_BYTES_MAX);
        else if (utf8_valid(out->data, out->len))
            return 0;
        else
            err_set(&err, ERR_INVALID, "the value of a variable in it is not valid UTF-8");
    }
    report(r, DIAG_ERROR, path, yaml_node_locate(r->tree, node, offset), err.message);
    return -1;
}

static bool is_word(const char *text, const char *const *words)
{
    for (; *words; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

/* Without underscores; NULL if the text is longer than any number. */
static const char *plain_digits(const char *text, char *out, size_t size)
{
    size_t len = 0;

    for (; *text; text++) {
        if (len + 1 == size)
            return NULL;
        if (*text != '_')
            out[len++] = *text;
    }
    out[len] = '\0';
    return out;
}

/* "0x1f", "0o17", "017", "0b11", "12". */
static bool parse_unsigned(const char *s, uint64_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    unsigned base = 10;
    uint64_t value = 0;

    if (s[0] == '0' && s[1]) {
        char mark = s[1] | 0x20;

        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        s += mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1;
    }
    if (!*s)
        return false;
    for (; *s; s++) {
        const char *digit = strchr(digits, *s >= 'A' && *s <= 'F' ? *s | 0x20 : *s);

        if (!digit || (unsigned)(digit - digits) >= base ||
            __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (uint64_t)(digit - digits), &value))
            return false;
    }
    *ret = value;
    return true;
}

/* With a sign or without. */
static bool parse_integer(const char *text, int64_t *ret)
{
    uint64_t value;

    if (!parse_unsigned(text + (*text == '-' || *text == '+'), &value) ||
        value > (uint64_t)INT64_MAX)
        return false;
    *ret = *text == '-' ? -(int64_t)value : (int64_t)value;
    return true;
}

static size_t count_digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Sign, digits with or without a point, exponent. */
static bool parse_number(const char *text, double *ret)
{
    const char *s = text + (*text == '-' || *text == '+');
    size_t whole = count_digits(s);
    size_t fraction = s[whole] == '.' ? count_digits(s + whole + 1) : 0;

    if (!whole && !fraction)
        return false;
    s += whole;
    s += *s == '.' ? 1 + fraction : 0;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        if (!count_digits(s))
            return false;
        s += count_digits(s);
    }
    if (*s)
        return false;
    *ret = strtod(text, NULL);
    return isfinite(*ret);
}

static void resolve(struct compose_scalar *scalar)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const truths[] = {"true", "True", "TRUE", NULL};
    static const char *const lies[] = {"false", "False", "FALSE", NULL};
    char digits[64];
    const char *text = scalar->text.data;
    const char *number = plain_digits(text, digits, sizeof(digits));
    uint64_t large;

    scalar->kind = SCALAR_STRING;
    if (is_word(text, nulls)) {
        scalar->kind = SCALAR_NULL;
    } else if (is_word(text, truths) || is_word(text, lies)) {
        scalar->kind = SCALAR_BOOL;
        scalar->boolean = is_word(text, truths);
        buf_reset(&scalar->text);
        buf_addstr(&scalar->text, scalar->boolean ? "true" : "false");
    } else if (number && strchr("+-0123456789", *text) && parse_integer(number, &scalar->integer)) {
        scalar->kind = SCALAR_INTEGER;
        scalar->number = (double)scalar->integer;
        buf_reset(&scalar->text);
        buf_addf(&scalar->text, "%lld", (long long)scalar->integer);
    } else if (number && strchr("0123456789", *text) && parse_unsigned(number, &large)) {
        scalar->kind = SCALAR_NUMBER;
        scalar->number = (double)large;
        buf_reset(&scalar->text);
        buf_addf(&scalar->text, "%llu", (unsigned long long)large);
    } else if (number && parse_number(*text == '.' ? text : number, &scalar->number)) {
        scalar->kind = SCALAR_NUMBER;
        buf_reset(&scalar->text);
        compose_add_number(&scalar->text, scalar->number);
    }
}

void compose_add_number(struct buf *out, double number)
{
    char shortest[40];
    const char *exponent;
    int decimals = 0;
    int power;

    for (; decimals < 17; decimals++) {
        snprintf(shortest, sizeof(shortest), "%.*e", decimals, number);
        if (strtod(shortest, NULL) == number)
            break;
    }
    exponent = strchr(shortest, 'e');
    if (!exponent)
        return;
    power = (int)strtol(exponent + 1, NULL, 10);
    if (power < -4 || power >= 6)
        buf_addstr(out, shortest);
    else
        buf_addf(out, "%.*f", decimals > power ? decimals - power : 0, number);
}

int compose_scalar_read(struct compose_reader *r, const struct node_path *path,
                        const struct yaml_node *node, struct compose_scalar *ret)
{
    if (node->kind != YAML_KIND_SCALAR) {
        compose_reader_error(r, path, node, "expected a single value, not %s",
                             yaml_kind_name(node->kind));
        return -1;
    }
    ret->kind = SCALAR_STRING;
    if (memchr(node->text, '$', node->len))
        return expand(r, path, node, &ret->text);
    buf_add(&ret->text, node->text, node->len);
    if (node->style == YAML_STYLE_PLAIN && (!node->tag || *node->tag == '!'))
        resolve(ret);
    return 0;
}

void compose_scalar_release(struct compose_scalar *scalar)
{
    buf_release(&scalar->text);
}

json_t *compose_scalar_json(const struct compose_scalar *scalar)
{
    switch (scalar->kind) {
    case SCALAR_NULL:
        return json_null();
    case SCALAR_BOOL:
        return json_boolean(scalar->boolean);
    case SCALAR_INTEGER:
        return json_integer(scalar->integer);
    case SCALAR_NUMBER:
        return json_real(scalar->number);
    case SCALAR_STRING:
        break;
    }
    return json_stringn_nocheck(scalar->text.data, scalar->text.len);
}

char *compose_read_string(struct compose_reader *r, const struct node_path *path,
                          const struct yaml_node *node, bool texts)
{
    CLEANUP_COMPOSE_SCALAR struct compose_scalar scalar = COMPOSE_SCALAR_INIT;

    if (compose_scalar_read(r, path, node, &scalar) < 0)
        return NULL;
    if (scalar.kind != SCALAR_STRING &&
        !(texts && (scalar.kind == SCALAR_INTEGER || scalar.kind == SCALAR_NUMBER))) {
        compose_reader_error(r, path, node, "must be a string; put quotes around it");
        return NULL;
    }
    return buf_steal(&scalar.text);
}

bool compose_parse_bool(const char *text, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true}, {"no", false},
                 {"on", true},   {"off", false},   {"y", true},   {"n", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}
