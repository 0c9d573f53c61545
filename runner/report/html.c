/* One page that holds everything: style, script and logs. Without its script it still shows all;
 * the script searches, filters and folds. A policy in the page itself lets nothing be loaded and no
 * other script run, whatever the logs hold. */
#include <inttypes.h>
#include <sys/random.h>

#include "base/clock.h"
#include "event/advice.h"
#include "report/html_text.h"
#include "report/page.h"
#include "report/report.h"

enum { TICKS_MAX = 8 };

struct page {
    const struct report_source *source;
    struct fs_writer *writer;
    struct buf *out; /* the writer's */
    struct err *err;
    int64_t start_ms; /* wall time of the whole run */
    int64_t span_ms;  /* at least 1 */
};

/* --- words --- */

/* Also a class of the style sheet. */
static const char *state_class(const struct node *node)
{
    return node->state == STATE_FAILED && node->allowed ? "allowed"
                                                        : state_name((enum state)node->state);
}

static const char *state_words(const struct node *node)
{
    return node->state == STATE_FAILED && node->allowed ? "failed, which is allowed"
                                                        : state_name((enum state)node->state);
}

static const char *state_icon(const struct node *node)
{
    static const char *const icons[STATE_COUNT] = {
        [STATE_PENDING] = "·", [STATE_RUNNING] = "·",   [STATE_SUCCEEDED] = "✓",
        [STATE_FAILED] = "✕",  [STATE_CANCELLED] = "■", [STATE_SKIPPED] = "–",
    };

    return node->state == STATE_FAILED && node->allowed ? "!" : icons[node->state];
}

static void add_duration(struct buf *out, int64_t duration_ms)
{
    char text[CLOCK_DURATION_SIZE];

    clock_format_duration(duration_ms, text, sizeof(text));
    buf_addstr(out, text);
}

static void add_node_duration(struct buf *out, const struct node *node)
{
    buf_addstr(out, "<span class=dur>");
    if (node->started_at_ms)
        add_duration(out, node->duration_ms);
    buf_addstr(out, "</span>");
}

/* "build › unit › compile" */
static void add_path(struct buf *out, const struct node *node)
{
    if (node->parent && node->parent->parent) {
        add_path(out, node->parent);
        buf_addstr(out, " › ");
    }
    html_add(out, node->name);
}

/* --- the head --- */

/* Steps by their state; failures that are allowed are apart. */
struct counts {
    uint32_t of[STATE_COUNT];
    uint32_t allowed;
};

static void count_steps(const struct node *node, struct counts *counts)
{
    if (node->level == NODE_STEP && node->state == STATE_FAILED && node->allowed)
        counts->allowed++;
    else if (node->level == NODE_STEP)
        counts->of[node->state]++;
    for (uint32_t i = 0; i < node->child_count; i++)
        count_steps(&node->children[i], counts);
}

static void add_fact(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "<div><dt>%s</dt><dd>", name);
    html_add(out, value);
    buf_addstr(out, "</dd></div>");
}

static void add_time_fact(struct buf *out, const char *name, int64_t wall_ms)
{
    char time[CLOCK_RFC3339_SIZE];

    clock_rfc3339(wall_ms, time);
    buf_addf(out, "<div><dt>%s</dt><dd><time datetime=\"%s\">%s</time></dd></div>", name, time,
             time);
}

static void add_steps_fact(struct buf *out, const struct counts *counts)
{
    const char *comma = "";

    buf_addstr(out, "<div><dt>Steps</dt><dd>");
    for (int state = 0; state < STATE_COUNT; state++) {
        if (!counts->of[state])
            continue;
        buf_addf(out, "%s%u %s", comma, counts->of[state], state_name((enum state)state));
        comma = ", ";
    }
    if (counts->allowed)
        buf_addf(out, "%s%u failed as allowed", comma, counts->allowed);
    buf_addstr(out, "</dd></div>");
}

static void add_share(struct buf *out, const struct counts *counts)
{
    buf_addstr(out, "<div class=share>");
    for (int state = 0; state < STATE_COUNT; state++) {
        if (counts->of[state])
            buf_addf(out, "<i class=%s style=\"flex:%u\"></i>", state_name((enum state)state),
                     counts->of[state]);
    }
    if (counts->allowed)
        buf_addf(out, "<i class=allowed style=\"flex:%u\"></i>", counts->allowed);
    buf_addstr(out, "</div>");
}

static void add_head(struct page *page)
{
    const struct node *root = page->source->root;
    struct buf *out = page->out;
    struct counts counts = {0};
    char duration[CLOCK_DURATION_SIZE];

    count_steps(root, &counts);
    clock_format_duration(root->duration_ms, duration, sizeof(duration));
    buf_addf(out, "<header class=\"head %s\"><div class=top><h1>", state_class(root));
    html_add(out, root->name);
    buf_addf(out, "</h1><span class=badge>%s %s</span></div><dl class=facts>", state_icon(root),
             state_words(root));
    add_fact(out, "Duration", duration);
    add_time_fact(out, "Started", root->started_at_ms);
    add_time_fact(out, "Ended", root->ended_at_ms);
    add_steps_fact(out, &counts);
    add_fact(out, "Run", page->source->run_id);
    buf_addstr(out, "</dl>");
    add_share(out, &counts);
    buf_addstr(out, "</header>\n");
}

static void add_tools(struct page *page)
{
    static const enum state shown[] = {STATE_FAILED, STATE_SUCCEEDED, STATE_CANCELLED,
                                       STATE_SKIPPED};
    struct counts counts = {0};

    count_steps(page->source->root, &counts);
    counts.of[STATE_FAILED] += counts.allowed;
    buf_addstr(page->out,
               "<div class=bar hidden><input type=search placeholder=\"Search steps and logs   "
               "( / )\" aria-label=Search><output></output>"
               "<label><input type=checkbox> only lines found</label>");
    for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++) {
        const char *name = state_name(shown[i]);

        if (counts.of[shown[i]])
            buf_addf(page->out, "<button class=%s data-show=%s aria-pressed=false>%s %u</button>",
                     name, name, name, counts.of[shown[i]]);
    }
    buf_addstr(page->out, "<button data-fold>Unfold steps</button>"
                          "<button data-theme-switch>Light / dark</button></div>\n");
}

/* --- what failed --- */

static void add_problem(struct page *page, const struct node *node)
{
    struct buf *out = page->out;
    const char *advice = advice_for(node);

    buf_addf(out, "<a class=\"problem %s\" href=\"#n%u\"><b>", state_class(node), node->number);
    if (node->parent)
        add_path(out, node);
    else
        buf_addstr(out, "the pipeline");
    buf_addstr(out, "</b><span class=cause>");
    html_add(out, node_message(node) ? node_message(node) : state_words(node));
    buf_addstr(out, "</span>");
    if (*advice) {
        buf_addstr(out, "<span class=next>");
        html_add(out, advice);
        buf_addstr(out, "</span>");
    }
    buf_addstr(out, "</a>\n");
    fs_writer_spill(page->writer);
}

/* The failures that count and are not those of something below. */
static uint32_t add_problems(struct page *page, const struct node *node, bool heading)
{
    uint32_t found = 0;
    bool own = node_has_failed(node);

    if (node->allowed)
        return 0;
    for (uint32_t i = 0; i < node->child_count; i++) {
        found += add_problems(page, &node->children[i], heading && !found);
        own = own && !node_has_failed(&node->children[i]);
    }
    if (!own)
        return found;
    if (heading && !found)
        buf_addstr(page->out, "<h2>What failed</h2>\n");
    add_problem(page, node);
    return found + 1;
}

/* --- the timeline --- */

static int64_t tick_interval_ms(int64_t span_ms)
{
    static const int64_t nice[] = {10,     20,     50,     100,     200,     500,    1000,
                                   2000,   5000,   10000,  15000,   30000,   60000,  120000,
                                   300000, 600000, 900000, 1800000, 3600000, 7200000};
    int64_t interval = nice[0];

    for (size_t i = 0; i < sizeof(nice) / sizeof(*nice); i++) {
        interval = nice[i];
        if (span_ms / interval <= TICKS_MAX)
            return interval;
    }
    while (span_ms / interval > TICKS_MAX)
        interval *= 2;
    return interval;
}

static double share_of(const struct page *page, int64_t ms)
{
    double share = (double)ms * 100 / (double)page->span_ms;

    return share < 0 ? 0 : share > 100 ? 100 : share;
}

static void add_axis(struct page *page)
{
    int64_t interval = tick_interval_ms(page->span_ms);

    buf_addstr(page->out, "<div class=axis><span></span><span class=track>");
    for (int64_t at = 0; at * 10 <= page->span_ms * 9; at += interval) {
        buf_addf(page->out, "<span style=\"left:%.3f%%\">", share_of(page, at));
        if (interval < 1000)
            buf_addf(page->out, "%.2gs", (double)at / 1000);
        else if (at < 60000)
            buf_addf(page->out, "%" PRId64 "s", at / 1000);
        else
            add_duration(page->out, at);
        buf_addstr(page->out, "</span>");
    }
    buf_addstr(page->out, "</span><span class=dur></span></div>\n");
}

static void add_times(struct page *page, const struct node *node)
{
    struct buf *out = page->out;

    if (!node->started_at_ms)
        return;
    if (node->parent) {
        char time[CLOCK_RFC3339_SIZE];

        clock_rfc3339(node->started_at_ms, time);
        buf_addf(out, "<a class=\"%s %s\" style=\"--l:%d\" href=\"#n%u\" title=\"",
                 node_level_name((enum node_level)node->level), state_class(node), node->level - 1,
                 node->number);
        add_path(out, node);
        buf_addf(out, ": %s, from %s\"><span class=name>", state_words(node), time);
        html_add(out, node->name);
        buf_addf(out, "</span><span class=track><i style=\"left:%.3f%%;width:%.3f%%\"></i></span>",
                 share_of(page, node->started_at_ms - page->start_ms),
                 share_of(page, node->duration_ms));
        add_node_duration(out, node);
        buf_addstr(out, "</a>\n");
        fs_writer_spill(page->writer);
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        add_times(page, &node->children[i]);
}

/* --- the tree --- */

static void add_tag(struct buf *out, bool colored, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_tag(struct buf *out, bool colored, const char *format, ...)
{
    va_list args;

    buf_addf(out, "<span class=\"tag%s\">", colored ? " is" : "");
    va_start(args, format);
    buf_vaddf(out, format, args);
    va_end(args);
    buf_addstr(out, "</span>");
}

static void add_tags(struct buf *out, const struct node *node)
{
    buf_addstr(out, "<span class=tags>");
    if (node->state != STATE_SUCCEEDED)
        add_tag(out, true, "%s", state_words(node));
    if (node->reason != REASON_NONE && node->reason != REASON_ERROR)
        add_tag(out, false, "%s", reason_name((enum reason)node->reason));
    if (node->has_exit_code && node->exit_code)
        add_tag(out, false, "exit code %d", node->exit_code);
    if (node->attempt > 1)
        add_tag(out, false, "%u attempts", node->attempt);
    buf_addstr(out, "</span>");
}

static void add_summary(struct page *page, const struct node *node)
{
    struct buf *out = page->out;

    buf_addf(out, "<summary><i class=ic>%s</i><span class=name>", state_icon(node));
    html_add(out, node->name);
    buf_addf(out, "</span><span class=kind>%s</span>",
             node_level_name((enum node_level)node->level));
    add_tags(out, node);
    add_node_duration(out, node);
    buf_addstr(out, "</summary>");
}

static void add_attempts(struct buf *out, const struct node *node)
{
    if (node->attempt < 2)
        return;
    buf_addstr(out, "<ol class=tries>");
    for (uint32_t i = 0; i + 1 < node->attempt; i++) {
        const struct node_attempt *attempt = &node->attempts[i];

        buf_addstr(out, "<li>failed: ");
        html_add(out, attempt->error ? attempt->error : reason_name(attempt->reason));
        buf_addstr(out, " (");
        add_duration(out, attempt->duration_ms);
        buf_addstr(out, ")</li>");
    }
    buf_addf(out, "<li>%s</li></ol>", state_words(node));
}

static int add_node(struct page *page, const struct node *node)
{
    struct buf *out = page->out;
    const char *level = node_level_name((enum node_level)node->level);
    bool open = node->level != NODE_STEP || node->state == STATE_FAILED;
    bool told_below = false;

    buf_addf(out, "<details class=\"%s %s\" id=n%u data-state=%s data-path=\"", level,
             state_class(node), node->number, state_name((enum state)node->state));
    add_path(out, node);
    buf_addf(out, "\"%s>", open ? " open" : "");
    add_summary(page, node);
    buf_addstr(out, "<div class=in>");
    for (uint32_t i = 0; i < node->child_count; i++)
        told_below = told_below || node->children[i].state == STATE_FAILED;
    if (node_message(node) && !told_below) {
        buf_addstr(out, "<p class=why>");
        html_add(out, node_message(node));
        buf_addstr(out, "</p>");
    }
    add_attempts(out, node);
    if (html_add_log(page->source, node, page->writer, page->err) < 0)
        return -1;
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (add_node(page, &node->children[i]) < 0)
            return -1;
    }
    buf_addstr(out, "</div></details>\n");
    fs_writer_spill(page->writer);
    return 0;
}

static int add_tree(struct page *page)
{
    const struct node *root = page->source->root;

    buf_addf(page->out, "<h2 id=n%u>Stages</h2>\n", root->number);
    if (html_add_log(page->source, root, page->writer, page->err) < 0)
        return -1;
    for (uint32_t i = 0; i < root->child_count; i++) {
        if (add_node(page, &root->children[i]) < 0)
            return -1;
    }
    return 0;
}

/* --- the page --- */

static int make_nonce(char out[33], struct err *err)
{
    unsigned char random[16];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return err_errno(err, "cannot get random bytes");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(out + 2 * i, 3, "%02x", random[i]);
    return 0;
}

static int write_html(const struct report_source *source, struct fs_writer *writer, struct err *err)
{
    const struct node *root = source->root;
    struct page page = {.source = source,
                        .writer = writer,
                        .out = &writer->buf,
                        .err = err,
                        .start_ms = root->started_at_ms,
                        .span_ms = root->duration_ms > 0 ? root->duration_ms : 1};
    struct buf *out = page.out;
    char nonce[33];

    if (make_nonce(nonce, err) < 0)
        return -1;
    buf_addf(out,
             "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n"
             "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
             "style-src 'unsafe-inline'; script-src 'nonce-%s'\">\n"
             "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
             "<meta name=generator content=\"runner " RUNNER_VERSION "\">\n<title>",
             nonce);
    html_add(out, root->name);
    buf_addf(out, ": %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n", state_words(root),
             page_css);
    add_head(&page);
    add_tools(&page);
    add_problems(&page, root, true);
    buf_addstr(out, "<h2>Timeline</h2>\n<div class=time>\n");
    add_axis(&page);
    add_times(&page, root);
    buf_addstr(out, "</div>\n");
    if (add_tree(&page) < 0)
        return -1;
    buf_addf(out,
             "<footer>runner " RUNNER_VERSION "</footer>\n</main>\n<script nonce=%s>\n%s</script>\n"
             "</body>\n</html>\n",
             nonce, page_js);
    return 0;
}

const struct report_format report_html = {.name = "html",
                                          .wants_output = true,
                                          .write = write_html};
