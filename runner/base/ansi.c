#include "base/ansi.h"

#include <string.h>

#include "base/utf8.h"

enum { PARAMS_MAX = 32 };

static size_t token(struct ansi_token *ret, enum ansi_kind kind, size_t used)
{
    ret->kind = kind;
    return used;
}

/* ESC [ parameters intermediates final. A byte that does not belong there ends it. */
static size_t control_sequence(const char *data, size_t size, struct ansi_token *ret)
{
    size_t at = 2;
    bool plain = true;

    while (at < size && data[at] >= 0x20 && data[at] <= 0x3f) {
        plain = plain && ((data[at] >= '0' && data[at] <= '9') || strchr(";:", data[at]));
        at++;
    }
    if (at == size || data[at] < 0x40 || data[at] > 0x7e)
        return token(ret, ANSI_OTHER, at);
    ret->data = data + 2;
    ret->size = at - 2;
    return token(ret, data[at] == 'm' && plain ? ANSI_STYLE : ANSI_OTHER, at + 1);
}

/* ESC ] text BEL, or ESC \ at the end: a title, a link. Without an end only its beginning is
 * dropped, so that it hides nothing of the line. */
static size_t control_string(const char *data, size_t size, struct ansi_token *ret)
{
    for (size_t i = 2; i < size; i++) {
        if (data[i] == '\a')
            return token(ret, ANSI_OTHER, i + 1);
        if (data[i] == '\033')
            return token(ret, ANSI_OTHER, i + 1 < size && data[i + 1] == '\\' ? i + 2 : i);
    }
    return token(ret, ANSI_OTHER, 2);
}

static size_t escape(const char *data, size_t size, struct ansi_token *ret)
{
    size_t at = 1;

    if (size < 2)
        return token(ret, ANSI_OTHER, 1);
    if (data[1] == '[')
        return control_sequence(data, size, ret);
    if (strchr("]PX^_", data[1]) && data[1])
        return control_string(data, size, ret);
    while (at < size && data[at] >= 0x20 && data[at] <= 0x2f)
        at++;
    return token(ret, ANSI_OTHER, at < size && data[at] >= 0x30 && data[at] <= 0x7e ? at + 1 : at);
}

/* Whether a control of C1 begins there, which is two bytes long. */
static bool is_c1(const unsigned char *s, size_t size)
{
    return size > 1 && s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0;
}

/* Length of the text at data: printable ASCII, and UTF-8 without the controls of C1. */
static size_t text_length(const char *data, size_t size)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t at = 0;

    while (at < size) {
        size_t end = at;

        while (end < size && s[end] >= 0x20 && s[end] < 0x7f)
            end++;
        if (end == at) {
            size_t high = at;

            while (high < size && s[high] >= 0x80 && !is_c1(s + high, size - high))
                high++;
            end = at + utf8_valid_prefix(data + at, high - at);
            if (end == at || end < high)
                return end;
        }
        at = end;
    }
    return at;
}

size_t ansi_next(const char *data, size_t size, struct ansi_token *ret)
{
    size_t text = text_length(data, size);

    *ret = (struct ansi_token){.data = data, .size = text};
    if (text)
        return token(ret, ANSI_TEXT, text);
    switch ((unsigned char)*data) {
    case '\t':
        return token(ret, ANSI_TAB, 1);
    case '\r':
        return token(ret, ANSI_RETURN, 1);
    case '\033':
        return escape(data, size, ret);
    default:
        if (is_c1((const unsigned char *)data, size))
            return token(ret, ANSI_OTHER, 2);
        return token(ret, (unsigned char)*data >= 0x80 ? ANSI_INVALID : ANSI_OTHER, 1);
    }
}

/* Reads "1;38:5:7" into numbers; an empty one is 0. */
static size_t read_params(const char *text, size_t size, unsigned values[PARAMS_MAX])
{
    size_t count = 1;

    values[0] = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] >= '0' && text[i] <= '9') {
            unsigned value = values[count - 1] * 10 + (unsigned)(text[i] - '0');

            values[count - 1] = value < 10000 ? value : 10000;
        } else if (count == PARAMS_MAX) {
            break;
        } else {
            values[count++] = 0;
        }
    }
    return count;
}

/* 38;5;N or 38;2;R;G;B, at values[0] being 5 or 2; returns how many values it takes. The form with
 * colons may have a colour space before R, which is empty. */
static size_t extended_color(const unsigned *values, size_t count, struct ansi_color *ret)
{
    if (count >= 2 && values[0] == 5) {
        if (values[1] < 256)
            *ret = (struct ansi_color){.kind = ANSI_INDEX, .r = (uint8_t)values[1]};
        return 2;
    }
    if (count >= 4 && values[0] == 2) {
        if (values[1] < 256 && values[2] < 256 && values[3] < 256)
            *ret = (struct ansi_color){ANSI_RGB, (uint8_t)values[1], (uint8_t)values[2],
                                       (uint8_t)values[3]};
        return 4;
    }
    return count;
}

static void apply_flag(struct ansi_style *style, unsigned value)
{
    static const uint8_t on[] = {[1] = ANSI_BOLD,      [2] = ANSI_DIM,     [3] = ANSI_ITALIC,
                                 [4] = ANSI_UNDERLINE, [7] = ANSI_INVERSE, [9] = ANSI_STRIKE};
    static const uint8_t off[] = {[2] = ANSI_BOLD | ANSI_DIM,
                                  [3] = ANSI_ITALIC,
                                  [4] = ANSI_UNDERLINE,
                                  [7] = ANSI_INVERSE,
                                  [9] = ANSI_STRIKE};

    if (value < 10)
        style->flags |= on[value];
    else if (value == 21)
        style->flags |= ANSI_UNDERLINE;
    else if (value >= 20 && value < 30)
        style->flags &= (uint8_t)~off[value - 20];
}

void ansi_style_apply(struct ansi_style *style, const char *params, size_t size)
{
    unsigned values[PARAMS_MAX];
    size_t count = read_params(params, size, values);
    struct ansi_color ignored; /* of an underline */

    for (size_t i = 0; i < count; i++) {
        unsigned value = values[i];
        struct ansi_color *color = value < 40 ? &style->fg : &style->bg;

        if (value == 0)
            *style = (struct ansi_style){0};
        else if (value < 30)
            apply_flag(style, value);
        else if (value == 38 || value == 48 || value == 58)
            i += extended_color(values + i + 1, count - i - 1, value == 58 ? &ignored : color);
        else if (value == 39 || value == 49)
            *color = (struct ansi_color){0};
        else if (value < 48)
            *color = (struct ansi_color){.kind = ANSI_INDEX, .r = (uint8_t)(value % 10)};
        else if (value >= 90 && value < 98)
            style->fg = (struct ansi_color){.kind = ANSI_INDEX, .r = (uint8_t)(value - 90 + 8)};
        else if (value >= 100 && value < 108)
            style->bg = (struct ansi_color){.kind = ANSI_INDEX, .r = (uint8_t)(value - 100 + 8)};
    }
}

bool ansi_style_is_plain(const struct ansi_style *style)
{
    return !style->fg.kind && !style->bg.kind && !style->flags;
}

bool ansi_style_equal(const struct ansi_style *a, const struct ansi_style *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void write_color(const struct ansi_color *color, unsigned base, struct buf *out)
{
    if (color->kind == ANSI_INDEX && color->r < 8)
        buf_addf(out, ";%u", base + color->r);
    else if (color->kind == ANSI_INDEX && color->r < 16)
        buf_addf(out, ";%u", base + 60 + color->r - 8);
    else if (color->kind == ANSI_INDEX)
        buf_addf(out, ";%u;5;%u", base + 8, color->r);
    else if (color->kind == ANSI_RGB)
        buf_addf(out, ";%u;2;%u;%u;%u", base + 8, color->r, color->g, color->b);
}

void ansi_style_write(const struct ansi_style *style, struct buf *out)
{
    static const char codes[] = {'1', '2', '3', '4', '7', '9'};

    buf_addstr(out, "\033[0");
    for (unsigned i = 0; i < sizeof(codes); i++) {
        if (style->flags & (1u << i)) {
            buf_addch(out, ';');
            buf_addch(out, codes[i]);
        }
    }
    write_color(&style->fg, 30, out);
    write_color(&style->bg, 40, out);
    buf_addch(out, 'm');
}
