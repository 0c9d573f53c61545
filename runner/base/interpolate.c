#include "base/interpolate.h"

#include "base/alloc.h"

/* Deepest nesting of ${A:-${B:-…}}. */
#define DEPTH_MAX 32

struct expansion {
    const char *text;                      /* the start of the whole, for offsets */
    const struct interpolate_scope *scope; /* NULL: check only */
    const struct interpolate_scope *hook;  /* the scope if it has `expression`, else NULL */
    bool bare;
    struct buf *out;
    size_t out_start; /* length of out before anything was added */
    size_t max_bytes;
    size_t error_at;
    struct err *err;
};

static int fail(struct expansion *e, const char *at, const char *message)
{
    e->error_at = (size_t)(at - e->text);
    return err_set(e->err, ERR_INVALID, "%s", message);
}

static int emit(struct expansion *e, const char *at, const char *data, size_t len)
{
    if (!e->out)
        return 0;
    if (len > e->max_bytes || e->out->len - e->out_start > e->max_bytes - len) {
        e->error_at = (size_t)(at - e->text);
        return err_set(e->err, ERR_LIMIT, "the text grows beyond %zu bytes when it is expanded",
                       e->max_bytes);
    }
    buf_add(e->out, data, len);
    return 0;
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static size_t name_length(const char *s)
{
    size_t len = 0;

    if (!is_name_start(*s))
        return 0;
    while (is_name_start(s[len]) || (s[len] >= '0' && s[len] <= '9'))
        len++;
    return len;
}

static int expand(struct expansion *e, const char **text, bool nested, unsigned depth);

/* Reads the word of an operator up to the closing brace; expanded only when `wanted`. */
static int expand_word(struct expansion *e, const char **text, bool wanted, unsigned depth)
{
    struct buf *out = e->out;
    const struct interpolate_scope *scope = e->scope;
    int result;

    if (!wanted) {
        e->out = NULL;
        e->scope = NULL;
    }
    result = expand(e, text, true, depth + 1);
    e->out = out;
    e->scope = scope;
    return result;
}

/* The error of ${NAME:?message}: the message is whatever the word expands to. */
static int fail_required(struct expansion *e, const char *start, const char *name,
                         const char **text, unsigned depth)
{
    CLEANUP_BUF struct buf message = BUF_INIT;
    struct buf *out = e->out;
    int result;

    e->out = &message;
    e->out_start = 0;
    result = expand(e, text, true, depth + 1);
    e->out = out;
    if (result < 0)
        return -1;
    e->error_at = (size_t)(start - e->text);
    return err_set(e->err, ERR_INVALID, "%s: %s", name,
                   message.len ? message.data : "it is not set");
}

/* Adds the value of a name without operator; start is where its `$` is. */
static int expand_name(struct expansion *e, const char *start, const char *name)
{
    const char *value = e->scope->lookup(e->scope->arg, name);

    if (!value && e->scope->unset &&
        e->scope->unset(e->scope->arg, name, (size_t)(start - e->text), e->err) < 0) {
        e->error_at = (size_t)(start - e->text);
        return -1;
    }
    return value ? emit(e, start, value, strlen(value)) : 0;
}

static int expand_operator(struct expansion *e, const char *start, const char *name,
                           const char **text, unsigned depth)
{
    const char *value = e->scope ? e->scope->lookup(e->scope->arg, name) : NULL;
    bool colon = **text == ':';
    char op = (*text)[colon];
    bool has = value && !(colon && !*value);

    if (op != '-' && op != '?' && op != '+')
        return fail(e, *text, "expected \"}\", \":-\", \"-\", \":?\" or \":+\" behind the name");
    *text += 1 + colon;
    if (op == '?' && !has && e->scope)
        return fail_required(e, start, name, text, depth);
    if (op != '+' && has && emit(e, start, value, strlen(value)) < 0)
        return -1;
    return expand_word(e, text, e->scope && (op == '+' ? has : op == '-' && !has), depth);
}

/* *text is at "${"; left behind the closing brace. */
static int expand_reference(struct expansion *e, const char **text, unsigned depth)
{
    const char *start = *text;
    size_t len = name_length(start + 2);
    CLEANUP_FREE char *name = xstrndup(start + 2, len);
    const char *s = start + 2 + len;

    if (depth >= DEPTH_MAX)
        return fail(e, start, "\"${\" is nested too deeply");
    if (!len && e->hook && start[2] == '{')
        return fail(e, start, "an expression stands in {{ }} without \"$\" before it");
    if (!len)
        return fail(e, start, "expected a name behind \"${\"; write \"$${\" for a literal \"${\"");
    if (*s && *s != '}') {
        if (expand_operator(e, start, name, &s, depth) < 0)
            return -1;
    } else if (e->scope && expand_name(e, start, name) < 0) {
        return -1;
    }
    if (*s != '}')
        return fail(e, start, "\"${\" has no closing \"}\"");
    *text = s + 1;
    return 0;
}

/* *text is at a `$` that may begin a name or be doubled; left behind what it was. */
static int expand_bare(struct expansion *e, const char **text)
{
    const char *start = *text;
    size_t len = name_length(start + 1);
    CLEANUP_FREE char *name = NULL;

    *text = start + 1 + (start[1] == '$' ? 1 : len);
    if (!len)
        return emit(e, start, "$", 1);
    name = xstrndup(start + 1, len);
    return e->scope ? expand_name(e, start, name) : 0;
}

/* The }} that ends the expression whose text begins at s. */
static const char *expression_end(struct expansion *e, const char *s)
{
    const char *start = s;
    const char *quote = NULL;

    for (; *s; s++) {
        if (!quote && strncmp(s, "}}", 2) == 0)
            return s;
        if (!quote && (*s == '\'' || *s == '"'))
            quote = s;
        else if (quote && *quote == '"' && *s == '\\' && s[1])
            s++;
        else if (quote && *s == *quote)
            quote = NULL;
    }
    if (quote && strstr(quote, "}}"))
        fail(e, quote, "the quote that begins here has no end before \"}}\"");
    else
        fail(e, start - 2, "\"{{\" has no closing \"}}\"; write {{ '{{' }} for a literal \"{{\"");
    return NULL;
}

/* *text is at "{{"; left behind "}}". */
static int expand_expression(struct expansion *e, const char **text)
{
    CLEANUP_BUF struct buf value = BUF_INIT;
    const char *start = *text + 2;
    const char *end = expression_end(e, start);
    size_t offset = (size_t)(start - e->text);

    if (!end)
        return -1;
    if (e->hook->expression(e->hook->arg, start, (size_t)(end - start), &offset,
                            e->scope ? &value : NULL, e->err) < 0) {
        e->error_at = offset;
        return -1;
    }
    *text = end + 2;
    return emit(e, start - 2, value.data, value.len);
}

/* Up to the end, or when nested to the brace that closes the surrounding reference. */
static int expand(struct expansion *e, const char **text, bool nested, unsigned depth)
{
    const char *special = nested ? "$}{" : "${";
    const char *s = *text;

    while (*s && !(nested && *s == '}')) {
        size_t plain = strcspn(s, special);

        if (plain) {
            if (emit(e, s, s, plain) < 0)
                return -1;
            s += plain;
        } else if (e->bare && *s == '$' && s[1] != '{') {
            if (expand_bare(e, &s) < 0)
                return -1;
        } else if (strncmp(s, "$${", 3) == 0) {
            if (emit(e, s, "${", 2) < 0)
                return -1;
            s += 3;
        } else if (strncmp(s, "${", 2) == 0) {
            if (expand_reference(e, &s, depth) < 0)
                return -1;
        } else if (e->hook && strncmp(s, "{{", 2) == 0) {
            if (expand_expression(e, &s) < 0)
                return -1;
        } else {
            if (emit(e, s, s, 1) < 0)
                return -1;
            s++;
        }
    }
    *text = s;
    return 0;
}

static int run(struct expansion *e, size_t *ret_offset)
{
    const char *s = e->text;

    if (expand(e, &s, false, 0) == 0)
        return 0;
    if (ret_offset)
        *ret_offset = e->error_at;
    return -1;
}

int interpolate(const char *text, const struct interpolate_scope *scope, struct buf *out,
                size_t *ret_offset, struct err *err)
{
    struct expansion e = {.text = text,
                          .scope = scope,
                          .hook = scope->expression ? scope : NULL,
                          .bare = scope->bare,
                          .out = out,
                          .out_start = out->len,
                          .max_bytes = scope->max_bytes ? scope->max_bytes : INTERPOLATE_MAX_BYTES,
                          .err = err};

    return run(&e, ret_offset);
}

int interpolate_check(const char *text, const struct interpolate_scope *scope, size_t *ret_offset,
                      struct err *err)
{
    struct expansion e = {.text = text,
                          .hook = scope && scope->expression ? scope : NULL,
                          .bare = scope && scope->bare,
                          .err = err};

    return run(&e, ret_offset);
}

bool interpolate_is_name(const char *text, const char **ret_name, size_t *ret_len)
{
    size_t len;

    if (strncmp(text, "${", 2) != 0)
        return false;
    len = name_length(text + 2);
    if (!len || strcmp(text + 2 + len, "}") != 0)
        return false;
    *ret_name = text + 2;
    *ret_len = len;
    return true;
}
