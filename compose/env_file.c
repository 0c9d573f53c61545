#include "compose/env_file.h"

#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/interpolate.h"
#include "base/utf8.h"

struct reader {
    const char *at;
    size_t line;
    const char *name; /* of the file */
    const struct compose_env_lookup *lookup;
    struct strmap *out;
    struct err *err;
};

static const char *find_outside(const struct reader *r, const char *name)
{
    const char *value = r->lookup->first ? strmap_get(r->lookup->first, name) : NULL;

    if (!value && r->lookup->second)
        value = strmap_get(r->lookup->second, name);
    return value;
}

static const char *find(void *arg, const char *name)
{
    const struct reader *r = arg;
    const char *value = find_outside(r, name);

    return value ? value : strmap_get(r->out, name);
}

static int fail(struct reader *r, const char *message)
{
    return err_set(r->err, ERR_INVALID, "%s:%zu: %s", r->name, r->line, message);
}

/* Expands variables into the map. */
static int set(struct reader *r, const char *name, const char *value)
{
    const struct interpolate_scope scope = {.lookup = find, .arg = r, .bare = true};
    CLEANUP_BUF struct buf expanded = BUF_INIT;
    struct err err = ERR_INIT;

    if (interpolate(value, &scope, &expanded, NULL, &err) < 0)
        return fail(r, err.message);
    strmap_set(r->out, name, expanded.data);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

static void skip_blanks(struct reader *r)
{
    while (is_blank(*r->at))
        r->at++;
}

static void skip_line(struct reader *r)
{
    r->at += strcspn(r->at, "\n");
}

static size_t name_length(const char *s)
{
    size_t len = 0;

    while ((s[len] & 0x80) || strchr("_.-[]", s[len]) || (s[len] >= '0' && s[len] <= '9') ||
           (s[len] >= 'a' && s[len] <= 'z') || (s[len] >= 'A' && s[len] <= 'Z')) {
        if (!s[len])
            break;
        len++;
    }
    return len;
}

static void read_octal(const char **text, struct buf *out)
{
    unsigned value = 0;

    for (int i = 0; i < 3 && **text >= '0' && **text <= '7'; i++)
        value = value * 8 + (unsigned)(*(*text)++ - '0');
    buf_addch(out, (char)value);
}

/* Escapes of a double-quoted value, from what stands between the quotes. */
static void unescape(const char *text, struct buf *out)
{
    static const char escapes[] = "abfnrtv\\\"";
    static const char meanings[] = "\a\b\f\n\r\t\v\\\"";

    while (*text) {
        const char *known = text[0] == '\\' && text[1] ? strchr(escapes, text[1]) : NULL;

        if (known) {
            buf_addch(out, meanings[known - escapes]);
            text += 2;
        } else if (text[0] == '\\' && text[1] == '$') {
            buf_addstr(out, "$$");
            text += 2;
        } else if (text[0] == '\\' && text[1] == '0') {
            text += 2;
            read_octal(&text, out);
        } else {
            buf_addch(out, *text++);
        }
    }
}

/* Between quotes; an escaped quote becomes a quote, other backslashes stay. */
static int read_quoted(struct reader *r, struct buf *value)
{
    const size_t begun = r->line;
    const char quote = *r->at++;

    for (; *r->at != quote; r->at++) {
        if (!*r->at) {
            r->line = begun;
            return fail(r, "the quote is not closed");
        }
        r->line += *r->at == '\n';
        if (*r->at == '\\' && r->at[1]) {
            r->at++;
            r->line += *r->at == '\n';
            if (*r->at != quote)
                buf_addch(value, '\\');
        }
        buf_addch(value, *r->at);
    }
    r->at++;
    return 0;
}

static int read_value(struct reader *r, const char *name)
{
    CLEANUP_BUF struct buf value = BUF_INIT;
    CLEANUP_BUF struct buf plain = BUF_INIT;
    const char quote = *r->at;
    const char *start = r->at;

    if (quote == '\'' || quote == '"') {
        if (read_quoted(r, &value) < 0)
            return -1;
        if (quote == '\'') {
            strmap_set(r->out, name, value.data);
            return 0;
        }
        unescape(value.data, &plain);
        return set(r, name, plain.data);
    }
    while (*r->at && *r->at != '\n' && strncmp(r->at, " #", 2) != 0)
        r->at++;
    buf_add(&plain, start, (size_t)(r->at - start));
    while (plain.len && is_blank(plain.data[plain.len - 1]))
        buf_truncate(&plain, plain.len - 1);
    skip_line(r);
    return set(r, name, plain.data);
}

static int read_entry(struct reader *r)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    const char *value;
    size_t len;

    if (strncmp(r->at, "export", 6) == 0 && is_blank(r->at[6])) {
        r->at += 6;
        skip_blanks(r);
    }
    len = name_length(r->at);
    if (!len)
        return fail(r, "this is not NAME=VALUE");
    buf_add(&name, r->at, len);
    r->at += len;
    skip_blanks(r);
    if (*r->at == '\n' || !*r->at) {
        value = find_outside(r, name.data);
        if (value)
            strmap_set(r->out, name.data, value);
        return 0;
    }
    if (*r->at != '=' && *r->at != ':')
        return fail(r,
                    "a name has only letters, digits, \".\", \"_\" and \"-\", and \"=\" behind it");
    r->at++;
    skip_blanks(r);
    return read_value(r, name.data);
}

static int read_entries(struct reader *r)
{
    while (*r->at) {
        skip_blanks(r);
        if (*r->at == '#') {
            skip_line(r);
        } else if (*r->at == '\n') {
            r->line++;
            r->at++;
        } else if (*r->at && read_entry(r) < 0) {
            return -1;
        }
    }
    return 0;
}

static int read_raw(struct reader *r)
{
    for (; *r->at; r->at += *r->at == '\n', r->line++) {
        CLEANUP_BUF struct buf text = BUF_INIT;
        const char *start = r->at;
        char *equals;

        skip_line(r);
        buf_add(&text, start, (size_t)(r->at - start));
        if (text.len && text.data[text.len - 1] == '\r')
            buf_truncate(&text, text.len - 1);
        equals = strchr(text.data, '=');
        if (!text.len || *text.data == '#')
            continue;
        if (equals) {
            *equals = '\0';
            strmap_set(r->out, text.data, equals + 1);
        } else if (find_outside(r, text.data)) {
            strmap_set(r->out, text.data, find_outside(r, text.data));
        }
    }
    return 0;
}

int compose_env_file_parse(const char *name, const char *text, size_t len, bool raw,
                           const struct compose_env_lookup *lookup, struct strmap *out,
                           struct err *err)
{
    struct reader r = {
        .at = text, .line = 1, .name = name, .lookup = lookup, .out = out, .err = err};

    if (memchr(text, '\0', len) || !utf8_valid(text, len))
        return err_set(err, ERR_INVALID, "%s: this is not text in UTF-8", name);
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        r.at += 3;
    return raw ? read_raw(&r) : read_entries(&r);
}

int compose_env_file_read(const char *path, bool raw, const struct compose_env_lookup *lookup,
                          struct strmap *out, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (fs_read_file(path, COMPOSE_ENV_FILE_MAX, &text, err) < 0)
        return -1;
    return compose_env_file_parse(path, text.data, text.len, raw, lookup, out, err);
}
