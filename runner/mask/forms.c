#include "mask/forms.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"
#include "base/buf.h"
#include "base/utf8.h"

enum { WRAPPED_MIN = 8 }; /* six bytes */

struct forms {
    size_t min;
    mask_form_fn add;
    void *arg;
};

static void add(const struct forms *f, const char *form, size_t len)
{
    if (len >= f->min)
        f->add(f->arg, form, len);
}

/* --- base64 --- */

typedef void (*encode_fn)(struct buf *out, const void *data, size_t len);

/* Of the value with `before` bytes in front of it, what no byte around it has a part in. */
static void add_aligned(const struct forms *f, const char *value, size_t len, size_t before,
                        encode_fn encode)
{
    CLEANUP_BUF struct buf padded = BUF_INIT;
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    size_t from = (before * 8 + 5) / 6;
    size_t to = (before + len) * 8 / 6;

    buf_add(&padded, "\0\0", before);
    buf_add(&padded, value, len);
    encode(&encoded, padded.data, padded.len);
    add(f, encoded.data + from, to - from);
}

/* The lines, as many characters long as tools make them, that depend on the value alone. A last one
 * that is shorter than WRAPPED_MIN gives next to nothing away, but would be found, and hidden, in
 * what has nothing to do with it. */
static void add_wrapped(const struct forms *f, const char *value, size_t len, size_t width)
{
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    size_t whole = len * 8 / 6;

    if (whole <= width)
        return;
    base64_encode(&encoded, value, len);
    for (size_t at = 0; at + WRAPPED_MIN <= whole; at += width)
        add(f, encoded.data + at, whole - at < width ? whole - at : width);
}

static void add_base64(const struct forms *f, const char *value, size_t len)
{
    for (size_t before = 0; before < 3; before++) {
        add_aligned(f, value, len, before, base64_encode);
        add_aligned(f, value, len, before, base64url_encode);
    }
    add_wrapped(f, value, len, 76);
    add_wrapped(f, value, len, 64);
}

/* --- percent-encoding --- */

static void add_percent(const struct forms *f, const char *value, size_t len, const char *kept,
                        const char *digits, bool plus)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];

        if (isalnum(c) || (c && strchr(kept, c))) {
            buf_addch(&out, (char)c);
        } else if (c == ' ' && plus) {
            buf_addch(&out, '+');
        } else {
            buf_addch(&out, '%');
            buf_addch(&out, digits[c >> 4]);
            buf_addch(&out, digits[c & 15]);
        }
    }
    add(f, out.data, out.len);
}

static void add_urls(const struct forms *f, const char *value, size_t len)
{
    static const char upper[] = "0123456789ABCDEF";
    static const char lower[] = "0123456789abcdef";
    static const struct {
        const char *kept;
        const char *digits;
        bool plus;
    } kinds[] = {
        {"-._~", upper, false},
        {"-._~", lower, false},
        {"-._~", upper, true},
        {"-._*", upper, true},
        {"-._~/", upper, false},
        {"-._~!*'()", upper, false},
        {"-._~!$&'()*+,;=:@", upper, false},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        add_percent(f, value, len, kinds[i].kept, kinds[i].digits, kinds[i].plus);
}

/* --- JSON --- */

struct json_style {
    bool slash; /* "\/" */
    bool ascii; /* nothing beyond ASCII as it is */
    bool html;  /* <, > and & as numbers */
};

static uint32_t code_point(const unsigned char *at, size_t *len)
{
    size_t more = *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc0 ? 1 : 0;
    uint32_t c = more ? *at & (0x3fu >> more) : *at;

    for (size_t i = 1; i <= more; i++)
        c = c << 6 | (at[i] & 0x3f);
    *len = more + 1;
    return c;
}

static void add_number(struct buf *out, uint32_t c)
{
    if (c >= 0x10000) {
        buf_addf(out, "\\u%04x", 0xd800 + ((c - 0x10000) >> 10));
        c = 0xdc00 + ((c - 0x10000) & 0x3ff);
    }
    buf_addf(out, "\\u%04x", c);
}

static void add_json(const struct forms *f, const char *value, size_t len, struct json_style style)
{
    static const char escaped[] = "\"\\\b\f\n\r\t";
    static const char letters[] = "\"\\bfnrt";
    CLEANUP_BUF struct buf out = BUF_INIT;
    size_t width;

    for (size_t i = 0; i < len; i += width) {
        uint32_t c = code_point((const unsigned char *)value + i, &width);
        const char *at = c && c < 0x80 ? strchr(escaped, (int)c) : NULL;

        if (at) {
            buf_addch(&out, '\\');
            buf_addch(&out, letters[at - escaped]);
        } else if (c == '/' && style.slash) {
            buf_addstr(&out, "\\/");
        } else if (c < 0x20 || (c >= 0x7f && style.ascii) ||
                   (style.html && (c == '<' || c == '>' || c == '&'))) {
            add_number(&out, c);
        } else {
            buf_add(&out, value + i, width);
        }
    }
    add(f, out.data, out.len);
}

static void add_jsons(const struct forms *f, const char *value, size_t len)
{
    if (!utf8_valid(value, len))
        return; /* JSON cannot hold it */
    add_json(f, value, len, (struct json_style){0});
    add_json(f, value, len, (struct json_style){.slash = true});
    add_json(f, value, len, (struct json_style){.ascii = true});
    add_json(f, value, len, (struct json_style){.html = true});
}

/* --- shells --- */

static void add_quoted(const struct forms *f, const char *value, size_t len, const char *quote)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (size_t i = 0; i < len; i++) {
        if (value[i] == '\'')
            buf_addstr(&out, quote);
        else
            buf_addch(&out, value[i]);
    }
    add(f, out.data, out.len);
}

/* --- all of them --- */

static void add_all(const struct forms *f, const char *value, size_t len)
{
    add(f, value, len);
    add_base64(f, value, len);
    add_urls(f, value, len);
    add_jsons(f, value, len);
    add_quoted(f, value, len, "'\\''");
    add_quoted(f, value, len, "'\"'\"'");
}

static void trim(const char **value, size_t *len)
{
    while (*len && isspace((unsigned char)**value)) {
        (*value)++;
        (*len)--;
    }
    while (*len && isspace((unsigned char)(*value)[*len - 1]))
        (*len)--;
}

void mask_forms(const char *value, size_t len, size_t min, mask_form_fn add_form, void *arg)
{
    const struct forms f = {min, add_form, arg};
    const char *end = value + len;

    add_all(&f, value, len);
    if (!memchr(value, '\n', len))
        return;
    for (const char *at = value; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line = at;
        size_t size = newline ? (size_t)(newline - at) : (size_t)(end - at);

        at += size + 1;
        trim(&line, &size);
        if (size >= min)
            add_all(&f, line, size);
    }
    trim(&value, &len);
    if (len >= min)
        add_all(&f, value, len);
}
