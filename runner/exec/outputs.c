#include "exec/outputs.h"

#include <ctype.h>
#include <string.h>

#include "base/alloc.h"
#include "mask/mask.h"

#define RESERVED "PIPELINE_"

const struct runnable_return outputs_files[OUTPUTS_FILES] = {
    [OUTPUTS_OUTPUT] = {"output", "PIPELINE_OUTPUT", OUTPUTS_FILE_MAX, false},
    [OUTPUTS_ENV] = {"env", "PIPELINE_ENV", OUTPUTS_FILE_MAX, false},
    [OUTPUTS_MASK] = {"mask", "PIPELINE_MASK", MASK_TOTAL_MAX, true},
};

struct parser {
    enum outputs_kind kind;
    const char *at;
    const char *end;
    size_t line_number; /* of the last line taken, from 1 */
    const char *line;   /* that line, without its end */
    size_t len;
    size_t keys;
    struct strmap *map;
    struct err *err;
};

static bool next_line(struct parser *p)
{
    const char *newline;

    if (p->at == p->end)
        return false;
    newline = memchr(p->at, '\n', (size_t)(p->end - p->at));
    p->line = p->at;
    p->len = (size_t)((newline ? newline : p->end) - p->at);
    p->at = newline ? newline + 1 : p->end;
    if (p->len > 0 && p->line[p->len - 1] == '\r')
        p->len--;
    p->line_number++;
    return true;
}

#define wrong(p, code, line_number, fmt, ...)                                                      \
    err_set((p)->err, code, "line %zu of $%s" fmt, line_number, outputs_files[(p)->kind].variable, \
            ##__VA_ARGS__)

static bool is_key_character(enum outputs_kind kind, char c, bool first)
{
    if (isalpha((unsigned char)c) || c == '_')
        return true;
    if (first)
        return false;
    return isdigit((unsigned char)c) || (c == '-' && kind == OUTPUTS_OUTPUT);
}

static size_t key_length(const struct parser *p)
{
    size_t len = 0;

    while (len < p->len && is_key_character(p->kind, p->line[len], len == 0))
        len++;
    return len;
}

static int set(struct parser *p, size_t line_number, const char *key, const struct buf *value)
{
    size_t variable = strlen(key) + 1 + value->len;

    if (memchr(value->data, '\0', value->len))
        return wrong(p, ERR_INVALID, line_number, ": the value of \"%s\" holds a NUL byte", key);
    if (p->kind == OUTPUTS_ENV && strncmp(key, RESERVED, strlen(RESERVED)) == 0)
        return wrong(p, ERR_INVALID, line_number,
                     ": \"%s\" cannot be set: names that begin with " RESERVED
                     " belong to the runner",
                     key);
    if (p->kind == OUTPUTS_ENV && variable > OUTPUTS_VARIABLE_MAX)
        return wrong(p, ERR_LIMIT, line_number,
                     ": \"%s\" has more than the 128 KiB that a variable can have", key);
    if (++p->keys > OUTPUTS_KEYS_MAX)
        return wrong(p, ERR_LIMIT, line_number, " is beyond the %d that can be set",
                     OUTPUTS_KEYS_MAX);
    strmap_set(p->map, key, value->data);
    return 0;
}

static int check_size(struct parser *p, size_t line_number, const char *key, size_t size)
{
    if (size <= OUTPUTS_VALUE_MAX)
        return 0;
    return wrong(p, ERR_LIMIT, line_number, ": the value of \"%s\" has more than 1 MiB", key);
}

/* The lines behind KEY<<END. */
static int take_block(struct parser *p, const char *key, const char *end, size_t end_len)
{
    CLEANUP_BUF struct buf value = BUF_INIT;
    size_t first = p->line_number;
    bool empty = true;

    while (next_line(p)) {
        if (p->len == end_len && memcmp(p->line, end, end_len) == 0)
            return set(p, first, key, &value);
        if (check_size(p, first, key, value.len + p->len + !empty) < 0)
            return -1;
        if (!empty)
            buf_addch(&value, '\n');
        buf_add(&value, p->line, p->len);
        empty = false;
    }
    return wrong(p, ERR_INVALID, first, ": no line ends the value of \"%s\" that begins there",
                 key);
}

static int take_line(struct parser *p)
{
    size_t key_len = key_length(p);
    const char *rest = p->line + key_len;
    size_t rest_len = p->len - key_len;
    CLEANUP_FREE char *key = xstrndup(p->line, key_len);

    if (key_len > 0 && rest_len > 0 && *rest == '=') {
        CLEANUP_BUF struct buf value = BUF_INIT;

        if (check_size(p, p->line_number, key, rest_len - 1) < 0)
            return -1;
        buf_add(&value, rest + 1, rest_len - 1);
        return set(p, p->line_number, key, &value);
    }
    if (key_len > 0 && rest_len > 2 && memcmp(rest, "<<", 2) == 0)
        return take_block(p, key, rest + 2, rest_len - 2);
    return wrong(p, ERR_INVALID, p->line_number,
                 " is neither KEY=VALUE nor the KEY<<END that a value of several lines needs");
}

int outputs_parse(enum outputs_kind kind, const char *data, size_t size, struct strmap *ret,
                  struct err *err)
{
    CLEANUP_STRMAP struct strmap map = {0};
    struct parser p = {.kind = kind, .at = data, .end = data + size, .map = &map, .err = err};

    if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
        p.at += 3; /* some editors and shells put it in front of all text */
    while (next_line(&p)) {
        if (p.len > 0 && take_line(&p) < 0)
            return -1;
    }
    strmap_merge(ret, &map);
    return 0;
}

static enum outputs_kind kind_of(const struct runnable_return *file)
{
    for (int kind = 0; kind < OUTPUTS_KINDS; kind++) {
        if (strcmp(outputs_files[kind].variable, file->variable) == 0)
            return (enum outputs_kind)kind;
    }
    return OUTPUTS_KINDS;
}

void outputs_take(struct outputs *outputs, const struct runnable_return *file,
                  enum returned_state state, const void *data, size_t size)
{
    enum outputs_kind kind = kind_of(file);
    struct err err = ERR_INIT;

    if (kind == OUTPUTS_KINDS)
        return;
    switch (state) {
    case RETURNED_WHOLE:
        if (outputs_parse(kind, data, size, &outputs->maps[kind], &err) == 0)
            return;
        break;
    case RETURNED_TRUNCATED:
        err_set(&err, ERR_LIMIT, "$%s holds more than 4 MiB; what is larger belongs in a file",
                file->variable);
        break;
    case RETURNED_UNREADABLE:
        err_set(&err, ERR_INVALID, "$%s is no regular file any more", file->variable);
        break;
    }
    if (outputs->err.code == ERR_NONE)
        outputs->err = err;
}

void outputs_release(struct outputs *outputs)
{
    for (int kind = 0; kind < OUTPUTS_KINDS; kind++)
        strmap_release(&outputs->maps[kind]);
    *outputs = (struct outputs){0};
}
