#include "base/dotenv.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

struct reader {
    const char *at;
    size_t line;
    struct err *err;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
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

/* Letters, digits and "_", no digit first; the length. */
static size_t name_length(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    static const char others[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

    return *text && strchr(letters, *text) ? strspn(text, others) : 0;
}

static int read_name(struct reader *r, struct buf *name)
{
    size_t len;

    if (strncmp(r->at, "export", 6) == 0 && is_blank(r->at[6])) {
        r->at += 6;
        skip_blanks(r);
    }
    len = name_length(r->at);
    buf_add(name, r->at, len);
    r->at += len;
    skip_blanks(r);
    if (!len)
        return err_set(r->err, ERR_INVALID, "this is not NAME=VALUE");
    if (*r->at != '=')
        return err_set(r->err, ERR_INVALID, "there is no \"=\" behind \"%s\"", name->data);
    r->at++;
    skip_blanks(r);
    return 0;
}

/* A dollar that is only that, also before a brace. */
static void add_dollar(struct reader *r, struct buf *value)
{
    buf_addstr(value, r->at[0] == '{' ? "$$" : "$");
}

static void read_escape(struct reader *r, struct buf *value)
{
    static const char escapes[] = "nrt\"\\";
    static const char meanings[] = "\n\r\t\"\\";
    const char *known = *r->at ? strchr(escapes, *r->at) : NULL;

    if (known) {
        buf_addch(value, meanings[known - escapes]);
        r->at++;
    } else if (*r->at == '$') {
        r->at++;
        add_dollar(r, value);
    } else {
        buf_addch(value, '\\');
    }
}

static int read_quoted(struct reader *r, struct buf *value)
{
    char quote = *r->at++;
    size_t begun = r->line;

    while (*r->at != quote) {
        char c = *r->at;

        if (!c) {
            r->line = begun;
            return err_set(r->err, ERR_INVALID, "the quote is not closed");
        }
        r->at++;
        r->line += c == '\n';
        if (c == '\\' && quote == '"')
            read_escape(r, value);
        else if (c == '$' && quote == '\'')
            add_dollar(r, value);
        else if (c != '\r' || *r->at != '\n')
            buf_addch(value, c);
    }
    r->at++;
    skip_blanks(r);
    if (*r->at && *r->at != '\n' && *r->at != '#')
        return err_set(r->err, ERR_INVALID, "there is something behind the closing quote");
    skip_line(r);
    return 0;
}

static void read_plain(struct reader *r, struct buf *value)
{
    const char *start = r->at;

    while (*r->at && *r->at != '\n' && !(*r->at == '#' && (r->at == start || is_blank(r->at[-1]))))
        r->at++;
    buf_add(value, start, (size_t)(r->at - start));
    while (value->len && is_blank(value->data[value->len - 1]))
        buf_truncate(value, value->len - 1);
    skip_line(r);
}

static int read_entry(struct reader *r, dotenv_fn entry, void *arg)
{
    CLEANUP_BUF struct buf name = BUF_INIT;
    CLEANUP_BUF struct buf value = BUF_INIT;

    if (read_name(r, &name) < 0)
        return -1;
    if (*r->at != '"' && *r->at != '\'')
        read_plain(r, &value);
    else if (read_quoted(r, &value) < 0)
        return -1;
    return entry(arg, name.data, value.data, r->err);
}

int dotenv_read(const char *text, size_t len, dotenv_fn entry, void *arg, size_t *ret_line,
                struct err *err)
{
    struct reader r = {.at = text, .line = 1, .err = err};
    const char *nul = memchr(text, '\0', len);

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        r.at += 3;
    for (; *r.at; r.line += *r.at == '\n', r.at += *r.at == '\n') {
        skip_blanks(&r);
        if (*r.at == '#')
            skip_line(&r);
        if (*r.at && *r.at != '\n' && read_entry(&r, entry, arg) < 0) {
            *ret_line = r.line;
            return -1;
        }
    }
    if (!nul)
        return 0;
    *ret_line = r.line;
    return err_set(err, ERR_INVALID, "there is a NUL byte");
}
