#include "event/cells.h"

#include <locale.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

enum { TAB_STOP = 8 };

static locale_t unicode; /* made once, kept */
static pthread_once_t unicode_once = PTHREAD_ONCE_INIT;

static void make_unicode(void)
{
    unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void cells_begin_thread(void)
{
    pthread_once(&unicode_once, make_unicode);
    if (unicode)
        uselocale(unicode);
}

/* Of valid UTF-8. */
static size_t decode(const char *data, uint32_t *ret)
{
    const unsigned char *s = (const unsigned char *)data;
    size_t size = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};

    *ret = s[0] & masks[size];
    for (size_t i = 1; i < size; i++)
        *ret = *ret << 6 | (s[i] & 0x3f);
    return size;
}

static int width_of(uint32_t character)
{
    int width;

    if (character < 0x7f)
        return 1;
    width = wcwidth((wchar_t)character);
    return width < 0 ? 1 : width;
}

/* A line while it is made. */
struct line {
    struct buf *out;
    size_t begun_at;
    int columns;
    int used;
    struct cells_look look;
    struct ansi_style *style;
    struct ansi_style shown; /* what the terminal has now */
    bool cut;
    bool returned;
    /* Where the mark of a cut would stand, and what it would find there. */
    size_t mark_at;
    int mark_used;
    struct ansi_style mark_shown;
};

static void use_style(struct line *line, const struct ansi_style *style)
{
    if (!line->look.color || ansi_style_equal(style, &line->shown))
        return;
    ansi_style_write(style, line->out);
    line->shown = *style;
}

static void start_over(struct line *line)
{
    buf_truncate(line->out, line->begun_at);
    line->used = 0;
    line->cut = false;
    line->returned = false;
    line->shown = (struct ansi_style){0};
    line->mark_at = line->begun_at;
    line->mark_used = 0;
    line->mark_shown = line->shown;
}

/* One character, or a tab as blanks. */
static void add_character(struct line *line, const char *data, size_t size, int width)
{
    if (line->cut)
        return;
    if (line->used < line->columns) {
        line->mark_at = line->out->len;
        line->mark_used = line->used;
        line->mark_shown = line->shown;
    }
    if (width > line->columns - line->used) {
        line->cut = true;
        return;
    }
    buf_add(line->out, data, size);
    line->used += width;
}

static void add_text(struct line *line, const char *data, size_t size)
{
    if (line->returned)
        start_over(line);
    if (line->cut)
        return;
    use_style(line, line->style);
    if (line->columns == CELLS_ALL) {
        buf_add(line->out, data, size);
        return;
    }
    while (size > 0) {
        uint32_t character;
        size_t step = decode(data, &character);

        add_character(line, data, step, width_of(character));
        data += step;
        size -= step;
    }
}

static void add_tab(struct line *line)
{
    int blanks = TAB_STOP - line->used % TAB_STOP;

    if (line->columns == CELLS_ALL) {
        add_text(line, "\t", 1);
        return;
    }
    while (blanks-- > 0)
        add_text(line, " ", 1);
}

/* Puts the mark behind the last character that leaves it a column. */
static void mark_cut(struct line *line)
{
    if (!line->columns)
        return;
    buf_truncate(line->out, line->mark_at);
    line->used = line->mark_used;
    line->shown = line->mark_shown;
    buf_addstr(line->out, line->look.utf8 ? "…" : "~");
    line->used++;
}

int cells_add(struct buf *out, const char *data, size_t size, int columns, struct cells_look look,
              struct ansi_style *style)
{
    struct line line = {.out = out,
                        .begun_at = out->len,
                        .mark_at = out->len,
                        .columns = columns < 0 ? 0 : columns,
                        .look = look,
                        .style = style};
    const struct ansi_style plain = {0};

    while (size > 0) {
        struct ansi_token token;
        size_t used = ansi_next(data, size, &token);

        if (token.kind == ANSI_TEXT)
            add_text(&line, token.data, token.size);
        else if (token.kind == ANSI_INVALID)
            add_text(&line, "\xef\xbf\xbd", 3);
        else if (token.kind == ANSI_TAB)
            add_tab(&line);
        else if (token.kind == ANSI_STYLE)
            ansi_style_apply(style, token.data, token.size);
        else if (token.kind == ANSI_RETURN)
            line.returned = true;
        data += used;
        size -= used;
    }
    if (line.cut)
        mark_cut(&line);
    use_style(&line, &plain);
    return columns == CELLS_ALL ? 0 : line.used;
}
