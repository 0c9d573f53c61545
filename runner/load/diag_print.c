#include "load/diag_print.h"

#include <stdint.h>

#include "base/alloc.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "load/override.h"

/* Shown before and behind the caret, in columns. */
#define WINDOW_BEFORE 60
#define WINDOW_AFTER  36
#define TAB_WIDTH     4
#define ELLIPSIS      "..."
/* Bytes looked at on each side of the caret: enough for a window of four-byte characters. */
#define REACH ((size_t)4 * (WINDOW_BEFORE + WINDOW_AFTER))

/* A piece of a source line around a byte of it. */
struct excerpt {
    const char *start;
    const char *caret;
    const char *end;
    bool cut_before;
    bool cut_after;
};

static size_t char_length(const char *s, const char *end)
{
    size_t len = 1;

    while (s + len < end && ((unsigned char)s[len] & 0xc0) == 0x80)
        len++;
    return len;
}

static uint32_t code_point(const char *s, size_t len)
{
    uint32_t value = (unsigned char)*s;

    if (len > 1)
        value &= 0x7fu >> len;
    for (size_t i = 1; i < len; i++)
        value = value << 6 | ((unsigned char)s[i] & 0x3f);
    return value;
}

/* Columns that a character takes on a terminal. A table of the wide blocks is enough here: a wrong
 * guess moves the caret by one. */
static size_t char_width(uint32_t c)
{
    static const struct {
        uint32_t first;
        uint32_t last;
        size_t width;
    } blocks[] = {
        {0x0300, 0x036f, 0}, {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x2e80, 0xa4cf, 2},
        {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };

    for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++) {
        if (c >= blocks[i].first && c <= blocks[i].last)
            return blocks[i].width;
    }
    return 1;
}

static bool find_excerpt(const struct buf *text, struct src_pos pos, struct excerpt *ret)
{
    const char *line = text->data;
    const char *text_end = text->data + text->len;
    const char *line_end;

    if (text->len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
        line += 3;
    for (uint32_t number = 1; number < pos.line; number++) {
        line = memchr(line, '\n', (size_t)(text_end - line));
        if (!line)
            return false;
        line++;
    }
    line_end = memchr(line, '\n', (size_t)(text_end - line));
    if (!line_end)
        line_end = text_end;
    if (line_end > line && line_end[-1] == '\r')
        line_end--;
    ret->caret = pos.column && pos.column <= line_end - line ? line + pos.column - 1 : line_end;
    ret->cut_before = (size_t)(ret->caret - line) > REACH;
    ret->cut_after = (size_t)(line_end - ret->caret) > REACH;
    ret->start = ret->cut_before ? ret->caret - REACH : line;
    ret->end = ret->cut_after ? ret->caret + REACH : line_end;
    while (ret->start < ret->caret && ((unsigned char)*ret->start & 0xc0) == 0x80)
        ret->start++;
    while (ret->end > ret->caret && ret->cut_after && ((unsigned char)*ret->end & 0xc0) == 0x80)
        ret->end--;
    return true;
}

/* Adds the character at s as it is shown; returns its width. */
static size_t show_char(struct buf *out, const char *s, size_t len)
{
    if (*s == '\t') {
        buf_add(out, "    ", TAB_WIDTH);
        return TAB_WIDTH;
    }
    if ((unsigned char)*s < 0x20 || *s == 0x7f || !utf8_valid(s, len)) {
        buf_addch(out, '?');
        return 1;
    }
    buf_add(out, s, len);
    return char_width(code_point(s, len));
}

static size_t width_between(const char *from, const char *to)
{
    CLEANUP_BUF struct buf shown = BUF_INIT;
    size_t width = 0;

    for (size_t len; from < to; from += len) {
        len = char_length(from, to);
        width += show_char(&shown, from, len);
    }
    return width;
}

static void hide(struct buf *out, const char *from, const char *to)
{
    for (; from < to; from++)
        buf_addch(out, '*');
}

/* Whether what stands behind the colon of an authority may be a port. */
static bool is_port(const char *text, const char *end)
{
    text += strspn(text, "0123456789");
    return text >= end || *text == '/' || *text == '?' || *text == '#';
}

static void hide_passphrases(struct buf *shown)
{
    static const char key[] = "passphrase=";
    char *at = strstr(shown->data, key);

    while (at) {
        at += strlen(key);
        for (; *at && !strchr("& \"'", *at); at++)
            *at = '*';
        at = strstr(at, key);
    }
}

/* Hides PASSWORD of "://USER:PASSWORD@" in shown text, which may end before the "@". */
static void hide_passwords(struct buf *shown)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    const char *s = shown->data;
    const char *scheme;

    while ((scheme = strstr(s, "://"))) {
        size_t authority = strcspn(scheme + 3, " \"'");
        const char *colon = memchr(scheme + 3, ':', authority);
        const char *at = memrchr(scheme + 3, '@', authority);

        const char *end = at ? at : scheme + 3 + authority;

        if (colon && colon < end && (at || !is_port(colon + 1, end))) {
            buf_add(&out, s, (size_t)(colon + 1 - s));
            hide(&out, colon + 1, end);
            s = end;
        } else {
            buf_add(&out, s, (size_t)(scheme + 3 - s));
            s = scheme + 3;
        }
    }
    buf_addstr(&out, s);
    buf_reset(shown);
    buf_add(shown, out.data, out.len);
    hide_passphrases(shown);
}

/* Inventories have them under keys such as ansible_password. */
static bool holds_password(const struct excerpt *excerpt)
{
    CLEANUP_FREE char *text = xstrndup(excerpt->start, (size_t)(excerpt->end - excerpt->start));

    return strcasestr(text, "pass") != NULL;
}

static void print_excerpt(struct buf *out, const struct excerpt *excerpt, uint32_t line,
                          bool colour)
{
    CLEANUP_BUF struct buf shown = BUF_INIT;
    const char *start = excerpt->start;
    const char *s;
    size_t before = width_between(start, excerpt->caret);
    bool cut_before = excerpt->cut_before || before > WINDOW_BEFORE;
    size_t behind = 0;

    while (before > WINDOW_BEFORE) {
        size_t len = char_length(start, excerpt->caret);

        before -= width_between(start, start + len);
        start += len;
    }
    for (s = start; s < excerpt->end && behind < WINDOW_AFTER;) {
        size_t len = char_length(s, excerpt->end);
        size_t width = show_char(&shown, s, len);

        behind += s >= excerpt->caret ? width : 0;
        s += len;
    }
    hide_passwords(&shown);
    buf_addf(out, "%6u | %s%s%s\n", line, cut_before ? ELLIPSIS : "", shown.data,
             s < excerpt->end || excerpt->cut_after ? ELLIPSIS : "");
    before += cut_before ? strlen(ELLIPSIS) : 0;
    buf_addf(out, "       | %*s%s^%s\n", (int)before, "", colour ? "\033[1;32m" : "",
             colour ? "\033[0m" : "");
}

char *diag_override(const struct load_source *source, const struct diag *diag)
{
    const char *text;

    if (diag->pos.line || !diag->pos.column || diag->pos.column > source->overrides.len)
        return NULL;
    text = source->overrides.items[diag->pos.column - 1];
    return xstrndup(text, override_path_length(text));
}

static void print_one(struct buf *out, const struct load_source *main, const struct diag *diag,
                      bool colour)
{
    const struct load_source *source = load_source_at(main, diag->pos);
    bool is_error = diag->severity == DIAG_ERROR;
    struct excerpt excerpt;
    CLEANUP_FREE char *override = diag_override(source, diag);

    if (override)
        buf_addstr(out, "--set ");
    utf8_add_visible(out, override ? override : source->name);
    if (diag->pos.line)
        buf_addf(out, ":%u:%u", diag->pos.line, diag->pos.column);
    buf_addf(out, ": %s%s:%s ", colour ? is_error ? "\033[1;31m" : "\033[1;33m" : "",
             is_error ? "error" : "warning", colour ? "\033[0m" : "");
    utf8_add_visible(out, diag->message);
    if (*diag->path) {
        buf_addstr(out, " (at ");
        utf8_add_visible(out, diag->path);
        buf_addch(out, ')');
    }
    buf_addch(out, '\n');
    if (diag->pos.line && find_excerpt(&source->text, diag->pos, &excerpt) &&
        !(source != main && holds_password(&excerpt)))
        print_excerpt(out, &excerpt, diag->pos.line, colour);
}

void diag_print_text(struct buf *out, const struct load_source *source,
                     const struct diag_list *diags, bool colour)
{
    for (size_t i = 0; i < diags->len; i++)
        print_one(out, source, &diags->items[i], colour);
    if (diags->dropped_count)
        buf_addf(out, "%s: and %zu more\n", source->name, diags->dropped_count);
}

void diag_print_json(json_t *array, const struct load_source *source, const struct diag_list *diags)
{
    for (size_t i = 0; i < diags->len; i++) {
        const struct diag *diag = &diags->items[i];
        json_t *object = json_object();
        CLEANUP_FREE char *override = diag_override(source, diag);

        json_object_set_new(object, "file",
                            json_safe_string(load_source_at(source, diag->pos)->name));
        json_object_set_new(object, "line",
                            diag->pos.line ? json_integer(diag->pos.line) : json_null());
        json_object_set_new(object, "column",
                            diag->pos.line ? json_integer(diag->pos.column) : json_null());
        json_object_set_new(object, "severity",
                            json_string(diag->severity == DIAG_ERROR ? "error" : "warning"));
        json_object_set_new(object, "path", json_safe_string(diag->path));
        json_object_set_new(object, "message", json_safe_string(diag->message));
        if (override)
            json_object_set_new(object, "override", json_safe_string(override));
        json_array_append_new(array, object);
    }
}
