/* libFuzzer harness: any bytes as an expression, and as a text with expressions in {{ }}. Each is
 * parsed, checked, and evaluated twice, with a scope that knows every name and with one that knows
 * none; the results must be the same each time, and errors must be within the text.
 *
 *     build/fuzz/tests/fuzz_expr -max_len=512 -timeout=5 corpus/ */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/interpolate.h"
#include "base/utf8.h"
#include "expr/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static json_t *list;

/* The value is chosen by the first letter of the last part. */
static int name(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                struct err *err)
{
    const char *last = path[len - 1];

    (void)arg;
    if (!list)
        list = json_loads("[\"a\", 1, 1.5, null, true, {\"a\": [\"b\"], \"0\": 2}]", 0, NULL);
    switch (last[0]) {
    case 'a':
    case 'A':
        *ret = expr_string("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        return 0;
    case 'b':
        *ret = expr_from_json(list);
        return 0;
    case 'c':
        *ret = expr_from_json(json_array_get(list, 5));
        return 0;
    case 'd':
        *ret = expr_integer(INT64_MIN);
        return 0;
    case 'e':
        *ret = expr_number(-0.1);
        return 0;
    case 'f':
        return err_set(err, ERR_NOT_FOUND, "no such name");
    case 'g':
        *ret = expr_string("\xff[1,2]");
        return 0;
    default:
        *ret = expr_string(last);
        expr_value_own(ret);
        return 0;
    }
}

static int call(void *arg, const char *function, const struct expr_value *args, size_t count,
                struct expr_value *ret, struct err *err)
{
    (void)arg;
    for (size_t i = 0; i < count; i++) {
        if (args[i].kind != EXPR_STRING || strlen(args[i].text) != args[i].len)
            abort();
    }
    if (function[0] == 'c')
        return err_set(err, ERR_UNSUPPORTED, "not here");
    *ret = expr_bool(function[0] == 's');
    return 0;
}

static int visit(void *arg, const char *const *path, size_t len, size_t offset, struct err *err)
{
    (void)err;
    if (!len || len > EXPR_MAX_NAME || path[len] || offset >= *(size_t *)arg)
        abort();
    for (size_t i = 0; i < len; i++) {
        if (strlen(path[i]) > *(size_t *)arg + strlen("env"))
            abort();
    }
    return 0;
}

static void check_error(const struct err *err, size_t offset, size_t len)
{
    if (err->code == ERR_NONE || !err->message[0] || offset > len)
        abort();
}

/* What an expression's error says is ours, and so one line; ${A?…} says what the text says. */
static void check_expr_error(const struct err *err, size_t offset, size_t len)
{
    check_error(err, offset, len);
    if (strchr(err->message, '\n') || !utf8_valid(err->message, strlen(err->message)))
        abort();
}

static void evaluate(const struct expr *expr, const struct expr_scope *scope, size_t len)
{
    struct err errs[2] = {ERR_INIT, ERR_INIT};
    struct buf texts[2] = {BUF_INIT, BUF_INIT};
    size_t offsets[2] = {0, 0};
    int results[2];

    for (int i = 0; i < 2; i++) {
        struct expr_value value = EXPR_VALUE_NULL;

        results[i] = expr_eval(expr, scope, &value, &offsets[i], &errs[i]);
        if (results[i] == 0)
            expr_value_add_text(&value, &texts[i]);
        else
            check_expr_error(&errs[i], offsets[i], len);
        expr_value_release(&value);
    }
    if (results[0] != results[1] || strcmp(texts[0].data, texts[1].data) != 0 ||
        offsets[0] != offsets[1])
        abort();
    buf_release(&texts[0]);
    buf_release(&texts[1]);
}

static int expression(void *arg, const char *text, size_t len, size_t *offset, struct buf *out,
                      struct err *err)
{
    static const struct expr_scope scope = {.name = name, .call = call};
    CLEANUP_EXPR struct expr *expr = NULL;
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    size_t within = 0;

    (void)arg;
    if (expr_parse(text, len, &expr, &within, err) < 0 ||
        (out && expr_eval(expr, &scope, &value, &within, err) < 0)) {
        *offset += within;
        return -1;
    }
    if (out)
        expr_value_add_text(&value, out);
    return 0;
}

static const char *lookup(void *arg, const char *variable)
{
    (void)arg;
    return variable[0] == 'A' ? "{{ a }}" : NULL;
}

static void interpolate_text(const char *text)
{
    const struct interpolate_scope scope = {.lookup = lookup, .expression = expression};
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    size_t offset = 0;

    if (interpolate_check(text, &scope, &offset, &err) < 0)
        check_error(&err, offset, strlen(text));
    else if (interpolate(text, &scope, &out, &offset, &err) < 0)
        check_error(&err, offset, strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct expr_scope full = {.name = name, .call = call};
    char *text = xmalloc(len + 1);
    struct expr *expr = NULL;
    struct err err = ERR_INIT;
    size_t offset = 0;

    if (len)
        memcpy(text, data, len);
    text[len] = '\0';
    if (expr_parse(text, len, &expr, &offset, &err) == 0) {
        if (expr_check(expr, visit, &len, NULL, &err) < 0)
            abort();
        evaluate(expr, &full, len);
        evaluate(expr, NULL, len);
    } else {
        check_expr_error(&err, offset, len);
    }
    interpolate_text(text);
    expr_free(expr);
    free(text);
    return 0;
}
