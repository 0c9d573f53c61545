/* JUnit XML. There is no one standard: this is what GitLab and Jenkins read, in the order of
 * elements that the schema of Jenkins wants.
 *
 * A step is a test case of its job, which is a test suite. A program that failed is a <failure>;
 * what kept it from running to an end (a lost engine, an image that cannot be had) is an <error>;
 * what was cancelled, skipped, or may fail counts as <skipped>, as other tools report such. What
 * failed above its steps has a test case of its own. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/ansi.h"
#include "event/advice.h"
#include "report/report.h"

/* How much of a step's last output goes into <system-out>. */
enum { OUTPUT_MAX = 64 * 1024 };

enum verdict { PASSED, FAILURE, ERROR, SKIPPED, VERDICT_COUNT };

struct counts {
    uint32_t of[VERDICT_COUNT];
    uint32_t all;
};

struct junit {
    const struct report_source *source;
    struct fs_writer *out;
    struct err *err;
};

/* One character of XML, or what stands for it. Other control characters cannot be in XML at all. */
static void add_escaped(struct buf *out, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        switch (data[i]) {
        case '&':
            buf_addstr(out, "&amp;");
            break;
        case '<':
            buf_addstr(out, "&lt;");
            break;
        case '>':
            buf_addstr(out, "&gt;");
            break;
        case '"':
            buf_addstr(out, "&quot;");
            break;
        default:
            buf_addch(out, data[i]);
        }
    }
}

/* U+FFFE and U+FFFF are valid UTF-8, but no characters of XML. */
static void add_text(struct buf *out, const char *data, size_t size)
{
    while (size > 0) {
        const char *odd = memmem(data, size, "\xef\xbf", 2);
        size_t part = odd ? (size_t)(odd - data) : size;

        add_escaped(out, data, part);
        data += part;
        size -= part;
        if (size >= 3) {
            bool is_none = (unsigned char)data[2] >= 0xbe;

            add_escaped(out, is_none ? "\xef\xbf\xbd" : data, 3);
            data += 3;
            size -= 3;
        }
    }
}

/* Foreign bytes as text of XML; colours are dropped. */
static void add_line(struct buf *out, const char *data, size_t size)
{
    while (size > 0) {
        struct ansi_token token;
        size_t used = ansi_next(data, size, &token);

        if (token.kind == ANSI_TEXT)
            add_text(out, token.data, token.size);
        else if (token.kind == ANSI_INVALID)
            buf_addstr(out, "\xef\xbf\xbd");
        else if (token.kind == ANSI_TAB)
            buf_addch(out, '\t');
        data += used;
        size -= used;
    }
}

static void add_string(struct buf *out, const char *text)
{
    add_line(out, text, strlen(text));
}

static void add_seconds(struct buf *out, int64_t ms)
{
    buf_addf(out, "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
}

static void add_time(struct buf *out, const char *attribute, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    char text[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_addf(out, " %s=\"%s\"", attribute, text);
}

static bool is_allowed(const struct node *node)
{
    for (; node; node = node->parent) {
        if (node->allowed)
            return true;
    }
    return false;
}

static enum verdict verdict_of(const struct node *node)
{
    if (node->state == STATE_SUCCEEDED)
        return PASSED;
    if (node->state != STATE_FAILED || is_allowed(node))
        return SKIPPED;
    return node->has_exit_code || node->reason == REASON_TIMEOUT ? FAILURE : ERROR;
}

/* Whether it failed by itself, and not because of what is below. */
static bool failed_itself(const struct node *node)
{
    if (node->state != STATE_FAILED)
        return false;
    for (uint32_t i = 0; i < node->child_count; i++) {
        if (node->children[i].state == STATE_FAILED)
            return false;
    }
    return true;
}

static void count(struct counts *counts, const struct node *node)
{
    if (node->level == NODE_STEP || failed_itself(node)) {
        counts->of[verdict_of(node)]++;
        counts->all++;
    }
    for (uint32_t i = 0; i < node->child_count; i++)
        count(counts, &node->children[i]);
}

static void add_counts(struct buf *out, const struct counts *counts)
{
    buf_addf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\"", counts->all,
             counts->of[FAILURE], counts->of[ERROR], counts->of[SKIPPED]);
}

static void add_property(struct buf *out, const char *indent, const char *name, const char *value)
{
    buf_addf(out, "%s<property name=\"%s\" value=\"", indent, name);
    add_string(out, value);
    buf_addstr(out, "\"/>\n");
}

static void add_number(struct buf *out, const char *name, long long value)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", value);
    add_property(out, "        ", name, text);
}

static void add_case_properties(struct buf *out, const struct node *node)
{
    buf_addstr(out, "      <properties>\n");
    add_property(out, "        ", "state", state_name((enum state)node->state));
    if (node->reason != REASON_NONE)
        add_property(out, "        ", "reason", reason_name((enum reason)node->reason));
    if (node->has_exit_code)
        add_number(out, "exit_code", node->exit_code);
    add_number(out, "attempts", node->attempt);
    for (uint32_t i = 0; i + 1 < node->attempt; i++) {
        char name[32];

        snprintf(name, sizeof(name), "attempt_%u", i + 1);
        add_property(out, "        ", name,
                     node->attempts[i].error ? node->attempts[i].error : "failed");
    }
    buf_addstr(out, "      </properties>\n");
}

static void add_reason(struct buf *out, const struct node *node)
{
    const char *message = node_message(node);
    const char *state = state_name((enum state)node->state);

    if (node->state == STATE_FAILED && is_allowed(node))
        buf_addstr(out, "failed, which is allowed: ");
    else if (node->state != STATE_FAILED)
        buf_addf(out, "%s%s", state, message || node->reason ? ": " : "");
    add_string(out, message ? message : reason_name((enum reason)node->reason));
}

static void add_verdict(struct buf *out, const struct node *node)
{
    static const char *const elements[] = {
        [FAILURE] = "failure", [ERROR] = "error", [SKIPPED] = "skipped"};
    enum verdict verdict = verdict_of(node);
    const char *advice = advice_for(node);

    if (verdict == PASSED)
        return;
    buf_addf(out, "      <%s message=\"", elements[verdict]);
    add_reason(out, node);
    if (verdict == SKIPPED) {
        buf_addstr(out, "\"/>\n");
        return;
    }
    buf_addf(out, "\" type=\"%s\">", node->reason ? reason_name((enum reason)node->reason) : "");
    add_reason(out, node);
    if (*advice) {
        buf_addstr(out, "\nnext: ");
        add_string(out, advice);
    }
    if (node->tail) {
        buf_addstr(out, "\n\n");
        for (const char *at = node->tail; *at;) {
            size_t size = strcspn(at, "\n");

            add_line(out, at, size);
            buf_addch(out, '\n');
            at += size + (at[size] == '\n');
        }
    }
    buf_addf(out, "</%s>\n", elements[verdict]);
}

/* Keeps the last OUTPUT_MAX bytes, at least, of the lines. */
struct output {
    struct buf text;
    bool cut;
    bool open; /* the last line may go on */
    enum log_record_kind kind;
};

static void keep_output(void *arg, const struct log_record *record)
{
    struct output *output = arg;
    bool goes_on = record->continued && output->open && record->kind == output->kind;

    if (record->kind == LOG_RECORD_CUT) {
        buf_reset(&output->text);
        output->cut = true;
        return;
    }
    if (output->text.len > 2 * OUTPUT_MAX) {
        buf_consume(&output->text, output->text.len - OUTPUT_MAX);
        output->cut = true;
    }
    if (output->text.len && !goes_on)
        buf_addch(&output->text, '\n');
    if (record->kind == LOG_RECORD_NOTE)
        buf_addstr(&output->text, "-- ");
    buf_add(&output->text, record->data, record->size);
    output->open = true;
    output->kind = record->kind;
}

static int add_output(struct junit *junit, const struct node *node)
{
    struct buf *out = &junit->out->buf;
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct output output = {.text = BUF_INIT};
    int result = log_spool_read(junit->source->logs, node, keep_output, &output, junit->err);
    const char *at;

    text = output.text;
    if (result < 0 || !text.len)
        return result;
    if (text.len > OUTPUT_MAX) {
        buf_consume(&text, text.len - OUTPUT_MAX);
        output.cut = true;
    }
    buf_addstr(out, "      <system-out>");
    if (output.cut)
        buf_addf(out, "[only the last %d KiB]\n", OUTPUT_MAX / 1024);
    at = text.data;
    while (at < text.data + text.len) {
        const char *end = memchr(at, '\n', (size_t)(text.data + text.len - at));

        if (!end)
            end = text.data + text.len;
        add_line(out, at, (size_t)(end - at));
        buf_addch(out, '\n');
        at = end + 1;
    }
    buf_addstr(out, "</system-out>\n");
    return 0;
}

/* "stage.job": Jenkins shows what is before the last dot as a package. */
static void add_class_name(struct buf *out, const struct node *node)
{
    if (!node->parent)
        return;
    if (node->parent->parent) {
        add_class_name(out, node->parent);
        buf_addch(out, '.');
    }
    add_string(out, node->name);
}

static int add_case(struct junit *junit, const struct node *node)
{
    struct buf *out = &junit->out->buf;

    buf_addstr(out, "    <testcase name=\"");
    add_string(out, node->name);
    buf_addstr(out, "\" classname=\"");
    if (node->level == NODE_STEP)
        add_class_name(out, node->parent);
    else
        add_string(out, node_level_name((enum node_level)node->level));
    buf_addstr(out, "\" time=\"");
    add_seconds(out, node->duration_ms);
    buf_addstr(out, "\">\n");
    add_case_properties(out, node);
    add_verdict(out, node);
    if (add_output(junit, node) < 0)
        return -1;
    buf_addstr(out, "    </testcase>\n");
    fs_writer_spill(junit->out);
    return 0;
}

static void begin_suite(struct junit *junit, const struct node *node, const struct counts *counts)
{
    struct buf *out = &junit->out->buf;

    buf_addstr(out, "  <testsuite name=\"");
    add_class_name(out, node);
    if (!node->parent)
        add_string(out, node->name);
    buf_addch(out, '"');
    add_counts(out, counts);
    buf_addstr(out, " time=\"");
    add_seconds(out, node->duration_ms);
    buf_addch(out, '"');
    add_time(out, "timestamp",
             node->started_at_ms ? node->started_at_ms : junit->source->root->started_at_ms);
    buf_addstr(out, ">\n    <properties>\n");
    add_property(out, "      ", "run", junit->source->run_id);
    if (node->host)
        add_property(out, "      ", "host", node->host);
    add_property(out, "      ", "state", state_name((enum state)node->state));
    if (node->attempt > 1) {
        char text[16];

        snprintf(text, sizeof(text), "%u", node->attempt);
        add_property(out, "      ", "attempts", text);
    }
    buf_addstr(out, "    </properties>\n");
}

/* A job with its steps, or something above that failed by itself. */
static int add_suite(struct junit *junit, const struct node *node)
{
    struct counts counts = {0};

    if (node->level == NODE_JOB) {
        count(&counts, node);
    } else {
        counts.of[verdict_of(node)]++;
        counts.all++;
    }
    begin_suite(junit, node, &counts);
    if (failed_itself(node) && add_case(junit, node) < 0)
        return -1;
    for (uint32_t i = 0; node->level == NODE_JOB && i < node->child_count; i++) {
        if (add_case(junit, &node->children[i]) < 0)
            return -1;
    }
    buf_addstr(&junit->out->buf, "  </testsuite>\n");
    return 0;
}

static int add_suites(struct junit *junit, const struct node *node)
{
    if ((node->level == NODE_JOB || failed_itself(node)) && add_suite(junit, node) < 0)
        return -1;
    for (uint32_t i = 0; node->level < NODE_JOB && i < node->child_count; i++) {
        if (add_suites(junit, &node->children[i]) < 0)
            return -1;
    }
    return 0;
}

static int write_junit(const struct report_source *source, struct fs_writer *writer,
                       struct err *err)
{
    struct junit junit = {source, writer, err};
    struct buf *out = &writer->buf;
    struct counts counts = {0};

    count(&counts, source->root);
    buf_addstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"");
    add_string(out, source->root->name);
    buf_addch(out, '"');
    add_counts(out, &counts);
    buf_addstr(out, " time=\"");
    add_seconds(out, source->root->duration_ms);
    buf_addstr(out, "\">\n");
    if (add_suites(&junit, source->root) < 0)
        return -1;
    buf_addstr(out, "</testsuites>\n");
    return 0;
}

const struct report_format report_junit = {.name = "junit",
                                           .wants_output = true,
                                           .write = write_junit};
