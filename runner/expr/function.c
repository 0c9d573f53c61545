#include "expr/function.h"

#include <string.h>

#include "base/alloc.h"
#include "base/nearest.h"
#include "expr/compare.h"
#include "expr/expr.h"

static int text_argument(struct expr_call *call, size_t i, struct expr_text *ret, struct err *err)
{
    if (expr_value_text(&call->args[i], ret))
        return 0;
    call->wrong = i;
    return err_set(err, ERR_INVALID, "%s() takes a text here, not %s", call->function->name,
                   expr_value_type(&call->args[i]));
}

static int check_size(const struct expr_call *call, size_t size, struct err *err)
{
    if (size <= EXPR_TEXT_MAX)
        return 0;
    return err_set(err, ERR_LIMIT, "the text that %s() makes is longer than %zu bytes",
                   call->function->name, EXPR_TEXT_MAX);
}

static bool is_list(const struct expr_value *value)
{
    return value->kind == EXPR_JSON && json_is_array(value->json);
}

/* Texts */

static int run_contains(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_text whole;
    struct expr_text part;

    if (is_list(&call->args[0])) {
        *ret = expr_bool(expr_list_contains(call->args[0].json, &call->args[1], false));
        return 0;
    }
    if (call->args[0].kind == EXPR_JSON) {
        call->wrong = 0;
        return err_set(err, ERR_INVALID, "contains() looks into a text or a list, not a map");
    }
    if (text_argument(call, 0, &whole, err) < 0 || text_argument(call, 1, &part, err) < 0)
        return -1;
    *ret = expr_bool(memmem(whole.text, whole.len, part.text, part.len));
    return 0;
}

static int run_starts_with(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_text whole;
    struct expr_text part;

    if (text_argument(call, 0, &whole, err) < 0 || text_argument(call, 1, &part, err) < 0)
        return -1;
    *ret = expr_bool(whole.len >= part.len && memcmp(whole.text, part.text, part.len) == 0);
    return 0;
}

static int run_ends_with(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_text whole;
    struct expr_text part;

    if (text_argument(call, 0, &whole, err) < 0 || text_argument(call, 1, &part, err) < 0)
        return -1;
    *ret = expr_bool(whole.len >= part.len &&
                     memcmp(whole.text + whole.len - part.len, part.text, part.len) == 0);
    return 0;
}

/* Letters from `first` to `last` are moved to the other case; what is not ASCII stays. */
static int change_case(struct expr_call *call, char first, char last, struct expr_value *ret,
                       struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct expr_text text;

    if (text_argument(call, 0, &text, err) < 0 || check_size(call, text.len, err) < 0)
        return -1;
    buf_add(&out, text.text, text.len);
    for (size_t i = 0; i < out.len; i++) {
        if (out.data[i] >= first && out.data[i] <= last)
            out.data[i] ^= 'a' ^ 'A';
    }
    *ret = expr_string_steal(&out);
    return 0;
}

static int run_lower(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    return change_case(call, 'A', 'Z', ret, err);
}

static int run_upper(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    return change_case(call, 'a', 'z', ret, err);
}

static int run_join(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct expr_text separator = {.text = ",", .len = 1};
    json_t *item;
    size_t i;

    if (call->count > 1 && text_argument(call, 1, &separator, err) < 0)
        return -1;
    if (!is_list(&call->args[0])) {
        expr_value_add_text(&call->args[0], &out);
    } else {
        json_array_foreach (call->args[0].json, i, item) {
            struct expr_value element = expr_borrow_json(item);

            if (i)
                buf_add(&out, separator.text, separator.len);
            expr_value_add_text(&element, &out);
            if (check_size(call, out.len, err) < 0)
                return -1;
        }
    }
    if (check_size(call, out.len, err) < 0)
        return -1;
    *ret = expr_string_steal(&out);
    return 0;
}

/* format() */

/* Reads "{N}" at text[*at]; -1: it is none, or N is not below `values`. */
static int read_place(const char *text, size_t len, size_t *at, size_t values, size_t *ret,
                      struct err *err)
{
    size_t i = *at + 1;
    size_t number = 0;

    while (i < len && text[i] >= '0' && text[i] <= '9' && number <= EXPR_MAX_ARGS)
        number = number * 10 + (size_t)(text[i++] - '0');
    if (i == *at + 1 || i == len || text[i] != '}')
        return err_set(err, ERR_INVALID,
                       "format() wants a number in braces, as in {0}; write {{ for a brace");
    if (number >= values)
        return err_set(err, ERR_INVALID, "format() has no value for {%zu}: they are counted from 0",
                       number);
    *at = i;
    *ret = number;
    return 0;
}

/* call NULL: only checks. */
static int format(const struct expr_call *call, const char *text, size_t len, size_t values,
                  struct buf *out, struct err *err)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        size_t place = 0;

        if ((c == '{' || c == '}') && i + 1 < len && text[i + 1] == c) {
            i++;
        } else if (c == '}') {
            return err_set(err, ERR_INVALID,
                           "format() finds a \"}\" without \"{\"; write }} for a brace");
        } else if (c == '{') {
            if (read_place(text, len, &i, values, &place, err) < 0)
                return -1;
            if (call)
                expr_value_add_text(&call->args[1 + place], out);
            if (call && check_size(call, out->len, err) < 0)
                return -1;
            continue;
        }
        if (call)
            buf_addch(out, c);
    }
    return call ? check_size(call, out->len, err) : 0;
}

int expr_format_check(const char *text, size_t len, size_t values, struct err *err)
{
    return format(NULL, text, len, values, NULL, err);
}

static int run_format(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    struct expr_text text;

    if (text_argument(call, 0, &text, err) < 0)
        return -1;
    call->wrong = 0;
    if (format(call, text.text, text.len, call->count - 1, &out, err) < 0)
        return -1;
    *ret = expr_string_steal(&out);
    return 0;
}

/* JSON */

static int run_to_json(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    const struct expr_value *value = &call->args[0];
    json_t *json = NULL;
    char *text;

    if (value->kind == EXPR_STRING) {
        call->wrong = 0;
        if (check_size(call, value->len, err) < 0 || expr_to_json(value, &json, err) < 0)
            return -1;
        text = json_dumps(json, JSON_ENCODE_ANY);
        json_decref(json);
        buf_addstr(&out, text ? text : "");
        free(text);
    } else if (value->kind == EXPR_NULL) {
        buf_addstr(&out, "null");
    } else {
        expr_value_add_text(value, &out);
    }
    if (check_size(call, out.len, err) < 0)
        return -1;
    *ret = expr_string_steal(&out);
    return 0;
}

/* How deep lists and maps stand in one another; what is in quotes does not count. */
static unsigned json_depth(const char *text, size_t len)
{
    unsigned depth = 0;
    unsigned deepest = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            depth++;
            deepest = depth > deepest ? depth : deepest;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return deepest;
}

static int run_from_json(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_text text;
    json_error_t error;
    json_t *json;

    if (text_argument(call, 0, &text, err) < 0)
        return -1;
    call->wrong = 0;
    if (!text.len)
        return err_set(err, ERR_INVALID, "fromJSON() reads no JSON: the text is empty");
    if (text.len > EXPR_TEXT_MAX)
        return err_set(err, ERR_LIMIT, "fromJSON() reads at most %zu bytes, this has %zu",
                       EXPR_TEXT_MAX, text.len);
    if (json_depth(text.text, text.len) > EXPR_JSON_DEPTH)
        return err_set(err, ERR_LIMIT, "fromJSON() reads lists and maps %d levels deep, not more",
                       EXPR_JSON_DEPTH);
    json = json_loadb(text.text, text.len, JSON_DECODE_ANY, &error);
    if (!json) {
        /* "… near 'TEXT'" would show what may be a secret. */
        const char *near = strstr(error.text, " near ");
        int len = (int)(near ? (size_t)(near - error.text) : strlen(error.text));

        return err_set(err, ERR_INVALID, "fromJSON() reads no JSON: line %d, column %d: %.*s",
                       error.line, error.column, len, error.text);
    }
    *ret = expr_from_json(json);
    json_decref(json);
    return 0;
}

/* What the scope knows */

static int run_default(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_value *first = &call->args[0];
    bool empty = first->kind == EXPR_NULL || (first->kind == EXPR_STRING && first->len == 0);
    struct expr_value *chosen = &call->args[empty];

    (void)err;
    *ret = *chosen;
    *chosen = (struct expr_value)EXPR_VALUE_NULL;
    return 0;
}

/* env() of a name that is known only now; the parser makes names of the others. */
static int run_env(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    struct expr_text name;
    const char *path[3] = {"env", NULL, NULL};

    if (text_argument(call, 0, &name, err) < 0)
        return -1;
    if (!call->scope || !call->scope->name)
        return 0;
    path[1] = name.text;
    return call->scope->name(call->scope->arg, path, 2, ret, err);
}

static int ask_scope(struct expr_call *call, struct expr_value *ret, struct err *err)
{
    const struct expr_scope *scope = call->scope;

    for (size_t i = 0; i < call->count; i++) {
        struct expr_text text;

        if (text_argument(call, i, &text, err) < 0)
            return -1;
        if (call->args[i].kind != EXPR_STRING) {
            struct expr_value converted = expr_string(text.text);

            expr_value_own(&converted);
            call->args[i] = converted;
        }
    }
    if (!scope || !scope->call)
        return err_set(err, ERR_UNSUPPORTED, "%s() cannot be used here", call->function->name);
    return scope->call(scope->arg, call->function->name, call->args, call->count, ret, err);
}

#define ANY EXPR_MAX_ARGS

static const struct expr_function functions[] = {
    {"success", 0, 0, FUNCTION_STATUS, ask_scope},
    {"failure", 0, 0, FUNCTION_STATUS, ask_scope},
    {"always", 0, 0, FUNCTION_STATUS, ask_scope},
    {"cancelled", 0, 0, FUNCTION_STATUS, ask_scope},
    {"hashFiles", 1, ANY, FUNCTION_OUTSIDE, ask_scope},
    {"exists", 1, 1, FUNCTION_OUTSIDE, ask_scope},
    {"env", 1, 1, FUNCTION_OUTSIDE, run_env},
    {"contains", 2, 2, FUNCTION_PURE, run_contains},
    {"startsWith", 2, 2, FUNCTION_PURE, run_starts_with},
    {"endsWith", 2, 2, FUNCTION_PURE, run_ends_with},
    {"format", 1, ANY, FUNCTION_PURE, run_format},
    {"join", 1, 2, FUNCTION_PURE, run_join},
    {"lower", 1, 1, FUNCTION_PURE, run_lower},
    {"upper", 1, 1, FUNCTION_PURE, run_upper},
    {"toJSON", 1, 1, FUNCTION_PURE, run_to_json},
    {"fromJSON", 1, 1, FUNCTION_PURE, run_from_json},
    {"default", 2, 2, FUNCTION_PURE, run_default},
};

const struct expr_function *expr_function_find(const char *name, const char **ret_nearest)
{
    struct nearest nearest = {.text = name};

    for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++) {
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
        nearest_offer(&nearest, functions[i].name);
    }
    *ret_nearest = nearest.best;
    return NULL;
}
