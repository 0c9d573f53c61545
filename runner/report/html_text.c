#include "report/html_text.h"

#include <string.h>

#include "base/ansi.h"
#include "base/utf8.h"

static void add_escaped(struct buf *out, const char *data, size_t size)
{
    const char *end = data + size;

    while (data < end) {
        const char *at = data;

        while (at < end && !strchr("&<>\"'", *at))
            at++;
        buf_add(out, data, (size_t)(at - data));
        if (at < end)
            buf_addf(out, "&#%d;", *at++);
        data = at;
    }
}

void html_add(struct buf *out, const char *text)
{
    CLEANUP_BUF struct buf visible = BUF_INIT;

    utf8_add_visible(&visible, text);
    add_escaped(out, visible.data, visible.len);
}

/* The log while it is written. */
struct log {
    struct fs_writer *out;
    bool begun;              /* there has been a line */
    enum log_record_kind of; /* the kind of the open line */
    size_t line_at;          /* where its text begins */
    bool returned;           /* what comes overwrites it */
    struct ansi_style styles[2];
};

static void add_color(struct buf *out, const char *property, const struct ansi_color *color)
{
    static const uint8_t levels[] = {0, 95, 135, 175, 215, 255};
    unsigned r = color->r;
    unsigned g = color->g;
    unsigned b = color->b;

    if (color->kind == ANSI_INDEX && color->r >= 232) {
        r = g = b = 8 + 10 * (color->r - 232u);
    } else if (color->kind == ANSI_INDEX) {
        unsigned cube = color->r - 16u;

        r = levels[cube / 36];
        g = levels[cube / 6 % 6];
        b = levels[cube % 6];
    }
    buf_addf(out, "%s:#%02x%02x%02x;", property, r, g, b);
}

static bool has_class(const struct ansi_color *color)
{
    return color->kind == ANSI_INDEX && color->r < 16;
}

static void add_classes(struct buf *out, const struct ansi_style *style)
{
    static const struct {
        uint8_t flag;
        const char *name;
    } flags[] = {{ANSI_BOLD, "bo"},      {ANSI_DIM, "di"},     {ANSI_ITALIC, "it"},
                 {ANSI_UNDERLINE, "un"}, {ANSI_INVERSE, "iv"}, {ANSI_STRIKE, "st"}};

    for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
        if (style->flags & flags[i].flag)
            buf_addf(out, "%s ", flags[i].name);
    }
    if (has_class(&style->fg))
        buf_addf(out, "f%u ", style->fg.r);
    if (has_class(&style->bg))
        buf_addf(out, "b%u ", style->bg.r);
}

/* Colours of an inverse style change places, where they are given. */
static void open_span(struct buf *out, const struct ansi_style *given)
{
    struct ansi_style style = *given;

    if (style.flags & ANSI_INVERSE && (style.fg.kind || style.bg.kind)) {
        style.fg = given->bg.kind ? given->bg : (struct ansi_color){ANSI_RGB, 15, 20, 32};
        style.bg = given->fg.kind ? given->fg : (struct ansi_color){ANSI_RGB, 213, 219, 232};
        style.flags &= (uint8_t)~ANSI_INVERSE;
    }
    buf_addstr(out, "<span class=\"");
    add_classes(out, &style);
    buf_addstr(out, "\" style=\"");
    if (style.fg.kind && !has_class(&style.fg))
        add_color(out, "color", &style.fg);
    if (style.bg.kind && !has_class(&style.bg))
        add_color(out, "background", &style.bg);
    buf_addstr(out, "\">");
}

static void add_styled(struct log *log, const struct ansi_style *style, const char *data,
                       size_t size)
{
    struct buf *out = &log->out->buf;

    if (log->returned)
        buf_truncate(out, log->line_at);
    log->returned = false;
    if (ansi_style_is_plain(style)) {
        add_escaped(out, data, size);
        return;
    }
    open_span(out, style);
    add_escaped(out, data, size);
    buf_addstr(out, "</span>");
}

static void add_output(struct log *log, struct ansi_style *style, const char *data, size_t size)
{
    while (size > 0) {
        struct ansi_token token;
        size_t used = ansi_next(data, size, &token);

        if (token.kind == ANSI_TEXT)
            add_styled(log, style, token.data, token.size);
        else if (token.kind == ANSI_TAB)
            add_styled(log, style, "\t", 1);
        else if (token.kind == ANSI_INVALID)
            add_styled(log, style, "\xef\xbf\xbd", 3);
        else if (token.kind == ANSI_STYLE)
            ansi_style_apply(style, token.data, token.size);
        else if (token.kind == ANSI_RETURN)
            log->returned = true;
        data += used;
        size -= used;
    }
}

static void begin_line(struct log *log, const struct log_record *record)
{
    static const char *const tags[] = {[LOG_RECORD_STDOUT] = "<div>",
                                       [LOG_RECORD_STDERR] = "<div class=e>",
                                       [LOG_RECORD_NOTE] = "<div class=n>",
                                       [LOG_RECORD_CUT] = "<div class=cut>"};

    buf_addstr(&log->out->buf, log->begun ? "</div>" : "<div class=log>");
    fs_writer_spill(log->out);
    buf_addstr(&log->out->buf, tags[record->kind]);
    log->line_at = log->out->buf.len;
    log->begun = true;
    log->returned = false;
    log->of = record->kind;
}

static void add_record(void *arg, const struct log_record *record)
{
    struct log *log = arg;
    CLEANUP_BUF struct buf note = BUF_INIT;

    if (!record->continued || !log->begun || log->of != record->kind)
        begin_line(log, record);
    if (record->kind == LOG_RECORD_CUT) {
        buf_addf(&log->out->buf,
                 "%.1f MB of output are not in this report, which keeps the first %d MiB and the "
                 "last %d MiB of each step",
                 (double)record->lost / 1e6, LOG_SPOOL_HEAD >> 20, LOG_SPOOL_TAIL >> 20);
    } else if (record->kind == LOG_RECORD_NOTE) {
        buf_add(&note, record->data, record->size);
        html_add(&log->out->buf, note.data);
    } else {
        add_output(log, &log->styles[record->kind == LOG_RECORD_STDERR], record->data,
                   record->size);
    }
}

int html_add_log(const struct report_source *source, const struct node *node, struct fs_writer *out,
                 struct err *err)
{
    struct log log = {.out = out};
    int result = log_spool_read(source->logs, node, add_record, &log, err);

    if (log.begun)
        buf_addstr(&out->buf, "</div></div>\n");
    return result;
}
