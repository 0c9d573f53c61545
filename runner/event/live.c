#include "event/live.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "event/live_area.h"

static const char *const state_styles[STATE_COUNT] = {[STATE_SUCCEEDED] = "32",
                                                      [STATE_FAILED] = "31",
                                                      [STATE_CANCELLED] = "33",
                                                      [STATE_SKIPPED] = "2"};

static const char *icon_of(const struct live *live, const struct node *node)
{
    static const char *const icons[][STATE_COUNT] = {
        {[STATE_SUCCEEDED] = "ok",
         [STATE_FAILED] = "FAIL",
         [STATE_CANCELLED] = "!!",
         [STATE_SKIPPED] = "--"},
        {[STATE_SUCCEEDED] = "✓",
         [STATE_FAILED] = "✕",
         [STATE_CANCELLED] = "■",
         [STATE_SKIPPED] = "–"},
    };

    return icons[live->options.look.utf8][node->state];
}

struct live *live_new(const struct live_options *options)
{
    struct live *live = xcalloc(1, sizeof(*live));

    live->options = *options;
    live->above = (struct buf)BUF_INIT;
    return live;
}

static void tail_line_release(struct live_line *line)
{
    buf_release(&line->text);
}

static void step_free(struct live_step *step)
{
    if (!step)
        return;
    for (uint32_t i = 0; i < step->count; i++)
        tail_line_release(&step->lines[i]);
    free(step->progress);
    free(step);
}

void live_free(struct live *live)
{
    if (!live)
        return;
    vec_foreach (struct live_step **, step, &live->steps)
        step_free(*step);
    vec_release(&live->steps);
    vec_release(&live->widths);
    buf_release(&live->above);
    free(live);
}

struct live_step *live_step_of(const struct live *live, const struct node *node)
{
    return node->number < live->steps.len ? live->steps.items[node->number] : NULL;
}

static struct live_step *step_get(struct live *live, const struct node *node)
{
    while (live->steps.len <= node->number)
        vec_push(&live->steps, NULL);
    if (!live->steps.items[node->number]) {
        live->steps.items[node->number] = xcalloc(1, sizeof(struct live_step));
        live->steps.items[node->number]->node = node;
    }
    return live->steps.items[node->number];
}

/* --- above the live area --- */

void live_style(const struct live *live, struct buf *out, const char *params)
{
    if (live->options.look.color)
        buf_addf(out, "\033[%sm", params);
}

static void add_path(const struct live *live, const struct node *node, struct buf *out)
{
    if (!node->parent) {
        utf8_add_visible(out, node->name);
        return;
    }
    if (node->parent->parent) {
        add_path(live, node->parent, out);
        buf_addstr(out, live->options.look.utf8 ? " › " : " > ");
    }
    utf8_add_visible(out, node->name);
}

static void add_time(const struct live *live, int64_t time_ms, struct buf *out)
{
    char time[CLOCK_RFC3339_SIZE];

    if (!live->options.timestamps)
        return;
    clock_rfc3339(time_ms, time);
    buf_addf(out, "%s ", time);
}

/* "job › step │ ", as long as the text is not. */
static void add_line_above(struct live *live, struct live_step *step, const struct live_line *line)
{
    struct buf *out = &live->above;
    const struct node *node = step->node;

    if (line->elsewhere)
        return;
    add_time(live, line->time_ms, out);
    live_style(live, out, "2");
    if (node->parent && node->parent->parent) {
        utf8_add_visible(out, node->parent->name);
        buf_addstr(out, live->options.look.utf8 ? " › " : " > ");
    }
    utf8_add_visible(out, node->name);
    buf_addstr(out, live->options.look.utf8 ? " │" : " |");
    buf_addch(out, line->continued ? '+' : ' ');
    live_style(live, out, "0");
    cells_add(out, line->text.data, line->text.len, CELLS_ALL, live->options.look,
              &step->styles[line->stream]);
    buf_addch(out, '\n');
}

/* The style that the shown lines begin with is that of the last one above. */
static void drop_first(struct live *live, struct live_step *step)
{
    add_line_above(live, step, &step->lines[0]);
    tail_line_release(&step->lines[0]);
    step->count--;
    memmove(step->lines, step->lines + 1, step->count * sizeof(step->lines[0]));
}

void live_keep_lines(struct live *live, struct live_step *step, uint32_t keep)
{
    while (step->count > keep)
        drop_first(live, step);
}

static void end_step(struct live *live, const struct node *node)
{
    struct live_step *step = live_step_of(live, node);

    if (!step)
        return;
    live_keep_lines(live, step, 0);
    step_free(step);
    live->steps.items[node->number] = NULL;
}

static void begin_remark(struct live *live, const struct event *event, const char *icon,
                         const char *style)
{
    struct buf *out = &live->above;

    add_time(live, event->time_ms, out);
    live_style(live, out, style);
    buf_addf(out, "%s ", icon);
    add_path(live, event->node, out);
    live_style(live, out, "0");
}

static void take_state(struct live *live, const struct event *event)
{
    const struct node *node = event->node;
    struct buf *out = &live->above;
    char duration[CLOCK_DURATION_SIZE];

    if (!state_is_final((enum state)node->state))
        return;
    end_step(live, node);
    begin_remark(live, event, icon_of(live, node), state_styles[node->state]);
    if (node->state != STATE_SUCCEEDED)
        buf_addf(out, " %s%s", state_name((enum state)node->state),
                 node->allowed ? ", which is allowed" : "");
    if (node_message(node)) {
        buf_addstr(out, ": ");
        utf8_add_visible(out, node_message(node));
    }
    if (node->started_at_ms) {
        clock_format_duration(node->duration_ms, duration, sizeof(duration));
        live_style(live, out, "2");
        buf_addf(out, " (%s)", duration);
        live_style(live, out, "0");
    }
    buf_addch(out, '\n');
}

static void take_note(struct live *live, const struct event *event)
{
    begin_remark(live, event, live->options.look.utf8 ? "·" : "-", "2");
    buf_addstr(&live->above, ": ");
    utf8_add_visible(&live->above, event->text);
    buf_addch(&live->above, '\n');
}

static void take_retry(struct live *live, const struct event *event)
{
    struct live_step *step = live_step_of(live, event->node);
    char delay[CLOCK_DURATION_SIZE];

    if (step) {
        live_keep_lines(live, step, 0);
        free(steal_ptr(&step->progress));
        memset(step->styles, 0, sizeof(step->styles));
    }
    begin_remark(live, event, live->options.look.utf8 ? "↻" : "^", "33");
    buf_addf(&live->above, " attempt %u failed: ", event->node->attempt);
    utf8_add_visible(&live->above, event->attempt->error ? event->attempt->error : "");
    clock_format_duration(event->delay_ms, delay, sizeof(delay));
    buf_addf(&live->above, "; trying again%s%s\n", event->delay_ms ? " in " : "",
             event->delay_ms ? delay : "");
}

/* --- lines of steps --- */

/* The last line of the stream if it is still open, or a new one. */
static struct live_line *line_to_go_on(struct live *live, struct live_step *step,
                                       const struct event *event, bool continued)
{
    struct live_line *line;

    if (continued) {
        for (uint32_t i = step->count; i > 0; i--) {
            line = &step->lines[i - 1];
            if (line->stream != event->stream)
                continue;
            if (line->open && line->text.len < LIVE_LINE_MAX)
                return line;
            break;
        }
    }
    if (step->count == LIVE_TAIL_LINES)
        drop_first(live, step);
    line = &step->lines[step->count++];
    *line = (struct live_line){.text = BUF_INIT,
                               .stream = event->stream,
                               .time_ms = event->time_ms,
                               .continued = continued,
                               .elsewhere =
                                   live->options.stdout_elsewhere && event->stream == EVENT_STDOUT};
    return line;
}

static void take_log(struct live *live, const struct event *event)
{
    struct live_step *step = step_get(live, event->node);
    const char *at = event->data;
    const char *end = at + event->size;
    bool continued = event->continued;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        struct live_line *line = line_to_go_on(live, step, event, continued);

        buf_add(&line->text, at, (size_t)(stop - at));
        line->open = !newline;
        continued = false;
        at = stop + 1;
    }
}

/* That of a service goes above at once: it is no part of the tree that is shown below. */
static void take_service_log(struct live *live, const struct event *event)
{
    struct live_step service = {.node = event->node};
    const char *end = event->data + event->size;
    bool continued = event->continued;

    for (const char *at = event->data; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        struct live_line line = {.text = BUF_INIT,
                                 .stream = event->stream,
                                 .time_ms = event->time_ms,
                                 .continued = continued,
                                 .elsewhere = live->options.stdout_elsewhere &&
                                              event->stream == EVENT_STDOUT};

        buf_add(&line.text, at, (size_t)(stop - at));
        add_line_above(live, &service, &line);
        tail_line_release(&line);
        continued = false;
        at = stop + 1;
    }
}

static void take_progress(struct live *live, const struct event *event)
{
    struct live_step *step = step_get(live, event->node);

    free(step->progress);
    step->progress = xstrdup_null(event->text);
    step->done = event->done;
    step->total = event->total;
}

void live_take(struct live *live, const struct event *event)
{
    const struct node *root = event->node;

    while (root->parent)
        root = root->parent;
    live->root = root;
    live->news = true;
    switch (event->type) {
    case EVENT_STATE:
        take_state(live, event);
        break;
    case EVENT_LOG:
        if (event->node->level == NODE_SERVICE)
            take_service_log(live, event);
        else
            take_log(live, event);
        break;
    case EVENT_NOTE:
        take_note(live, event);
        break;
    case EVENT_RETRY:
        take_retry(live, event);
        break;
    case EVENT_PROGRESS:
        if (event->node->level != NODE_SERVICE)
            take_progress(live, event);
        break;
    }
}

void live_say(struct live *live, const char *line, size_t size)
{
    buf_add(&live->above, line, size);
    live->news = true;
}

bool live_has_news(const struct live *live)
{
    return live->news;
}

size_t live_waiting(const struct live *live)
{
    return live->above.len;
}

/* --- frames --- */

/* How many rows the area takes on a terminal of that width: most terminals break lines anew when
 * they get narrower. */
static int rows_taken(const struct live *live, int columns)
{
    int rows = 0;

    vec_foreach (const int *, width, &live->widths)
        rows += *width > columns && columns > 0 ? (*width + columns - 1) / columns : 1;
    return rows;
}

/* Row by row: some terminals keep what is erased all at once as if it had scrolled away. */
static void erase(struct live *live, struct live_size size, struct buf *out)
{
    int rows = rows_taken(live, size.columns);

    buf_addstr(out, "\r\033[K");
    while (rows-- > 0)
        buf_addstr(out, "\033[A\033[2K");
    live->widths.len = 0;
}

static void write_above(struct live *live, struct buf *out)
{
    buf_add(out, live->above.data, live->above.len);
    if (live->above.cap > LIVE_ABOVE_MARK)
        buf_release(&live->above);
    else
        buf_reset(&live->above);
}

void live_frame(struct live *live, struct live_size size, int64_t now_ms, struct buf *out)
{
    CLEANUP_BUF struct buf area = BUF_INIT;

    buf_addstr(out, "\033[?25l");
    erase(live, size, out);
    /* First, because it may put lines above. */
    live_area_draw(live, size, now_ms, &area);
    write_above(live, out);
    buf_addstr(out, "\033[?7l");
    buf_add(out, area.data, area.len);
    buf_addstr(out, "\033[?7h\033[?25h");
    live->news = false;
}

void live_end(struct live *live, struct live_size size, struct buf *out)
{
    vec_foreach (struct live_step **, step, &live->steps) {
        if (*step)
            live_keep_lines(live, *step, 0);
    }
    if (live->widths.len)
        erase(live, size, out);
    write_above(live, out);
    live->news = false;
}

void live_forget(struct live *live)
{
    live->widths.len = 0;
    live->news = true;
}
