/* From the top: what runs as a tree, below each step what it fetches and what it said last; then a
 * row with the progress of the whole. When rows are scarce, first the lines of the steps go, then
 * the tree becomes a list of steps, then a row says how many more there are. */
#include "event/live_area.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/utf8.h"

enum {
    BAR_COLUMNS = 30,
    BAR_COLUMNS_MIN = 6,
    AREA_ROWS_MIN = 2,
    CLOCK_COLUMNS = 7,
    COLUMNS_FOR_CLOCK = 24
};

struct counts {
    uint32_t steps, done, failed;
    uint32_t running;  /* steps */
    uint32_t groups;   /* stages and jobs above them */
    uint32_t progress; /* rows for what they fetch */
};

struct area {
    struct live *live;
    struct live_size size;
    int64_t now_ms;
    struct buf *out;
    struct counts counts;
    uint32_t rows;      /* all */
    bool tree;          /* with rows for stages and jobs */
    bool show_progress; /* with rows for what is fetched */
    uint32_t rows_left; /* for steps */
    uint32_t lines;     /* most for what each of them said */
    uint32_t hidden;
};

static void count(const struct live *live, const struct node *node, struct counts *counts)
{
    const struct live_step *step;

    if (node->level != NODE_STEP) {
        counts->groups += node->parent && node->state == STATE_RUNNING;
        for (uint32_t i = 0; i < node->child_count; i++)
            count(live, &node->children[i], counts);
        return;
    }
    counts->steps++;
    counts->done += state_is_final((enum state)node->state);
    counts->failed += node_has_failed(node);
    if (node->state != STATE_RUNNING)
        return;
    step = live_step_of(live, node);
    counts->running++;
    counts->progress += step && step->progress;
}

/* "12s", "1m05s" */
static void format_elapsed(int64_t elapsed_ms, char *out, size_t size)
{
    if (elapsed_ms < 60000)
        snprintf(out, size, "%" PRId64 "s", elapsed_ms > 0 ? elapsed_ms / 1000 : 0);
    else
        clock_format_duration(elapsed_ms, out, size);
}

static void end_row(struct area *area, int width)
{
    buf_addstr(area->out, "\n");
    vec_push(&area->live->widths, width);
}

/* The columns in front of the names: "1m05s ". On the left, so that rows stay short, which does not
 * break them when the terminal gets narrower. */
static int clock_columns(const struct area *area)
{
    return area->size.columns >= COLUMNS_FOR_CLOCK ? CLOCK_COLUMNS : 0;
}

static void add_row(struct area *area, const char *text, const char *style, int64_t since_ms)
{
    char elapsed[CLOCK_DURATION_SIZE];
    struct ansi_style plain = {0};
    int clock = clock_columns(area);
    int used;

    if (clock) {
        format_elapsed(area->now_ms - since_ms, elapsed, sizeof(elapsed));
        live_style(area->live, area->out, "2");
        buf_addf(area->out, "%*s ", clock - 1, elapsed);
        live_style(area->live, area->out, "0");
    }
    live_style(area->live, area->out, style);
    used = cells_add(area->out, text, strlen(text), area->size.columns - clock,
                     area->live->options.look, &plain);
    live_style(area->live, area->out, "0");
    end_row(area, clock + used);
}

static const char *arrow(const struct area *area)
{
    return area->live->options.look.utf8 ? "▸" : ">";
}

static void add_group(struct area *area, const struct node *node)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addf(&text, "%*s%s ", 2 * (node->level - 1), "", arrow(area));
    utf8_add_visible(&text, node->name);
    if (node->parent->child_count > 1)
        buf_addf(&text, " (%u/%u)", node->index + 1, node->parent->child_count);
    if (node->attempt > 1)
        buf_addf(&text, " attempt %u", node->attempt);
    add_row(area, text.data, node->level == NODE_STAGE ? "1" : "0", node->started_mono_ms);
}

static void add_step(struct area *area, const struct node *node)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (area->tree) {
        buf_addf(&text, "    %s ", arrow(area));
    } else {
        buf_addf(&text, "%s ", arrow(area));
        utf8_add_visible(&text, node->parent->name);
        buf_addstr(&text, area->live->options.look.utf8 ? " › " : " > ");
    }
    utf8_add_visible(&text, node->name);
    if (node->parent->child_count > 1)
        buf_addf(&text, " (%u/%u)", node->index + 1, node->parent->child_count);
    if (node->attempt > 1)
        buf_addf(&text, " attempt %u", node->attempt);
    add_row(area, text.data, "36", node->started_mono_ms);
}

static void add_bar(struct area *area, struct buf *out, int columns, int64_t done, int64_t total)
{
    bool utf8 = area->live->options.look.utf8;
    int full = total > 0 && done > 0 ? (int)(done >= total ? columns : columns * done / total) : 0;

    for (int i = 0; i < columns; i++)
        buf_addstr(out, i < full ? utf8 ? "█" : "#" : utf8 ? "░" : "-");
}

/* Of what stands below the name of a step. */
static int indent_of(const struct area *area)
{
    return clock_columns(area) + (area->tree ? 6 : 2);
}

static void add_progress(struct area *area, const struct live_step *step)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct ansi_style plain = {0};

    buf_addf(&text, "%*s", indent_of(area), "");
    if (step->total > 0 && area->size.columns > 3 * BAR_COLUMNS_MIN + 20) {
        add_bar(area, &text, 2 * BAR_COLUMNS_MIN, step->done, step->total);
        buf_addch(&text, ' ');
    }
    utf8_add_visible(&text, step->progress);
    end_row(area, cells_add(area->out, text.data, text.len, area->size.columns,
                            area->live->options.look, &plain));
}

static void add_lines(struct area *area, struct live_step *step)
{
    struct ansi_style styles[2];
    int indent = indent_of(area);

    live_keep_lines(area->live, step, area->lines);
    memcpy(styles, step->styles, sizeof(styles));
    for (uint32_t i = 0; i < step->count; i++) {
        const struct live_line *line = &step->lines[i];
        int columns = area->size.columns - indent - 2;
        int used = 0;

        if (columns > 0) {
            buf_addf(area->out, "%*s", indent, "");
            live_style(area->live, area->out, "2");
            buf_addstr(area->out, area->live->options.look.utf8 ? "│ " : "| ");
            live_style(area->live, area->out, "0");
            used = indent + 2;
            used += cells_add(area->out, line->text.data, line->text.len, columns,
                              area->live->options.look, &styles[line->stream]);
        }
        end_row(area, used);
    }
}

static void draw_step(struct area *area, const struct node *node)
{
    struct live_step *step = live_step_of(area->live, node);

    if (area->rows_left == 0) {
        area->hidden++;
        if (step)
            live_keep_lines(area->live, step, 0);
        return;
    }
    area->rows_left--;
    add_step(area, node);
    if (step && step->progress && area->show_progress)
        add_progress(area, step);
    if (step)
        add_lines(area, step);
}

static void draw(struct area *area, const struct node *node)
{
    if (node->state != STATE_RUNNING)
        return;
    if (node->level == NODE_STEP) {
        draw_step(area, node);
        return;
    }
    if (area->tree && node->parent)
        add_group(area, node);
    for (uint32_t i = 0; i < node->child_count; i++)
        draw(area, &node->children[i]);
}

static void draw_hidden(struct area *area)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct ansi_style plain = {0};

    buf_addf(&text, "%s %u more running", area->live->options.look.utf8 ? "…" : "...",
             area->hidden);
    end_row(area, cells_add(area->out, text.data, text.len, area->size.columns,
                            area->live->options.look, &plain));
}

/* "██████░░░░ 3/12 steps, 1 failed 1m05s" */
static void draw_total(struct area *area)
{
    const struct node *root = area->live->root;
    CLEANUP_BUF struct buf words = BUF_INIT;
    CLEANUP_BUF struct buf bar = BUF_INIT;
    char elapsed[CLOCK_DURATION_SIZE];
    struct ansi_style plain = {0};
    int room;
    int used;

    format_elapsed(area->now_ms - root->started_mono_ms, elapsed, sizeof(elapsed));
    buf_addf(&words, "%u/%u steps", area->counts.done, area->counts.steps);
    if (area->counts.failed)
        buf_addf(&words, ", %u failed", area->counts.failed);
    buf_addf(&words, ", %s", elapsed);
    room = area->size.columns - (int)words.len - 1;
    if (room > BAR_COLUMNS)
        room = BAR_COLUMNS;
    if (room >= BAR_COLUMNS_MIN) {
        add_bar(area, &bar, room, area->counts.done, area->counts.steps);
        live_style(area->live, area->out, area->counts.failed ? "31" : "32");
        used = cells_add(area->out, bar.data, bar.len, room, area->live->options.look, &plain);
        live_style(area->live, area->out, "0");
        buf_addf(area->out, " %s", words.data);
        end_row(area, used + 1 + (int)words.len);
        return;
    }
    end_row(area, cells_add(area->out, words.data, words.len, area->size.columns,
                            area->live->options.look, &plain));
}

/* How many lines there would be with at most `most` for each step. */
static uint32_t lines_shown(const struct live *live, const struct node *node, uint32_t most)
{
    const struct live_step *step = node->level == NODE_STEP ? live_step_of(live, node) : NULL;
    uint32_t lines = step ? step->count < most ? step->count : most : 0;

    for (uint32_t i = 0; node->state == STATE_RUNNING && i < node->child_count; i++)
        lines += lines_shown(live, &node->children[i], most);
    return lines;
}

/* Decides what gets rows. The area leaves a third of the screen, and the row of the cursor, to what
 * is above. */
static void share_rows(struct area *area)
{
    const struct counts *counts = &area->counts;
    uint32_t rows = area->size.rows > 0 ? (uint32_t)area->size.rows * 2 / 3 : AREA_ROWS_MIN;
    uint32_t wanted;

    if (rows < AREA_ROWS_MIN)
        rows = AREA_ROWS_MIN;
    /* What is higher than the screen could not be erased again. */
    if (area->size.rows > 0 && rows >= (uint32_t)area->size.rows)
        rows = (uint32_t)area->size.rows - 1;
    area->rows = rows;
    if (!rows)
        return;
    rows--; /* the total */
    area->tree = counts->groups + counts->running + counts->progress <= rows;
    area->show_progress = counts->running + counts->progress <= rows;
    wanted = counts->running + (area->tree ? counts->groups : 0) +
             (area->show_progress ? counts->progress : 0);
    area->rows_left = counts->running <= rows ? counts->running : rows ? rows - 1 : 0;
    while (area->lines < LIVE_TAIL_LINES && wanted < rows &&
           lines_shown(area->live, area->live->root, area->lines + 1) <= rows - wanted)
        area->lines++;
}

void live_area_draw(struct live *live, struct live_size size, int64_t now_ms, struct buf *out)
{
    struct area area = {.live = live, .size = size, .now_ms = now_ms, .out = out};

    if (!live->root || live->root->state != STATE_RUNNING)
        return;
    count(live, live->root, &area.counts);
    share_rows(&area);
    draw(&area, live->root);
    if (area.hidden && area.rows > 1)
        draw_hidden(&area);
    if (area.rows)
        draw_total(&area);
}
