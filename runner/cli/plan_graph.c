/* A plan as a graph: a box for each job, with its steps, in a frame for each stage. Both languages
 * are written by one walk, which they differ in the words of. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/plan_view.h"

/* More steps than this are counted. */
enum { STEPS_SHOWN = 8 };

struct language {
    const char *begin;
    const char *end;
    /* Appends one character of a name; others than those are added as they are. */
    void (*add_char)(struct buf *out, char c);
    const char *line_break;
    void (*begin_stage)(const struct outline *stage, struct buf *out);
    const char *end_stage;
    void (*add_job)(const struct outline *job, const char *label, struct buf *out);
    void (*add_edge)(const struct outline *from, const struct outline *to, const char *condition,
                     struct buf *out);
};

static void add_label(const struct language *language, const char *text, struct buf *out)
{
    CLEANUP_BUF struct buf visible = BUF_INIT;

    utf8_add_visible(&visible, text);
    for (size_t i = 0; i < visible.len; i++)
        language->add_char(out, visible.data[i]);
}

static void add_job_id(const struct outline *job, struct buf *out)
{
    buf_addf(out, "s%uj%u", job->up->index, job->index);
}

/* --- dot: https://graphviz.org/doc/info/lang.html --- */

/* Labels may hold entities of HTML. */
static void dot_char(struct buf *out, char c)
{
    if (c == '"' || c == '\\')
        buf_addch(out, '\\');
    if (c == '&')
        buf_addstr(out, "&amp;");
    else
        buf_addch(out, c);
}

static const struct language dot;

static const char *dot_style(const struct outline *node)
{
    return !node->runs         ? ", style=dashed, color=gray, fontcolor=gray"
           : node->is_critical ? ", color=red, penwidth=2"
                               : "";
}

static void dot_begin_stage(const struct outline *stage, struct buf *out)
{
    buf_addf(out, "  subgraph cluster_%u {\n    graph [label=\"", stage->index);
    add_label(&dot, stage->name, out);
    buf_addf(out, "\"%s];\n", dot_style(stage));
}

static void dot_add_job(const struct outline *job, const char *label, struct buf *out)
{
    buf_addstr(out, "    ");
    add_job_id(job, out);
    buf_addf(out, " [label=\"%s\"%s];\n", label, dot_style(job));
}

/* Edges go from box to box; those between stages are cut off at the frames. */
static void dot_add_edge(const struct outline *from, const struct outline *to,
                         const char *condition, struct buf *out)
{
    bool is_stage = from->level == OUTLINE_STAGE;

    buf_addstr(out, "  ");
    add_job_id(is_stage ? &from->children[0] : from, out);
    buf_addstr(out, " -> ");
    add_job_id(is_stage ? &to->children[0] : to, out);
    buf_addstr(out, " [");
    if (is_stage)
        buf_addf(out, "ltail=cluster_%u, lhead=cluster_%u, ", from->index, to->index);
    buf_addf(out, "label=\"%s\"", condition ? condition : "");
    if (from->is_critical && to->is_critical)
        buf_addstr(out, ", color=red, penwidth=2");
    buf_addstr(out, "];\n");
}

static const struct language dot = {
    .begin = "digraph pipeline {\n  graph [rankdir=LR, compound=true];\n"
             "  node [shape=box];\n",
    .end = "}\n",
    .add_char = dot_char,
    .line_break = "\\n",
    .begin_stage = dot_begin_stage,
    .end_stage = "  }\n",
    .add_job = dot_add_job,
    .add_edge = dot_add_edge,
};

/* --- Mermaid: https://mermaid.js.org/syntax/flowchart.html --- */

/* Inside of quotes only these mean something. */
static void mermaid_char(struct buf *out, char c)
{
    static const char special[] = "\"#&<>`\\";

    if (strchr(special, c))
        buf_addf(out, "#%d;", c);
    else
        buf_addch(out, c);
}

static const struct language mermaid;

static const char *mermaid_class(const struct outline *node)
{
    return !node->runs ? ":::skipped" : node->is_critical ? ":::critical" : "";
}

static void mermaid_begin_stage(const struct outline *stage, struct buf *out)
{
    buf_addf(out, "  subgraph s%u[\"", stage->index);
    add_label(&mermaid, stage->name, out);
    buf_addstr(out, "\"]\n");
}

static void mermaid_add_job(const struct outline *job, const char *label, struct buf *out)
{
    buf_addstr(out, "    ");
    add_job_id(job, out);
    buf_addf(out, "[\"%s\"]%s\n", label, mermaid_class(job));
}

static void mermaid_add_edge(const struct outline *from, const struct outline *to,
                             const char *condition, struct buf *out)
{
    const struct outline *const ends[] = {from, to};

    buf_addstr(out, "  ");
    for (size_t i = 0; i < 2; i++) {
        if (i)
            buf_addf(out, condition ? " -->|%s| " : " --> ", condition);
        if (ends[i]->level == OUTLINE_STAGE)
            buf_addf(out, "s%u", ends[i]->index);
        else
            add_job_id(ends[i], out);
    }
    buf_addch(out, '\n');
}

static const struct language mermaid = {
    .begin = "flowchart LR\n  classDef critical stroke:#d00,stroke-width:2px\n"
             "  classDef skipped stroke-dasharray:4 4,color:#888\n",
    .end = "",
    .add_char = mermaid_char,
    .line_break = "<br/>",
    .begin_stage = mermaid_begin_stage,
    .end_stage = "  end\n",
    .add_job = mermaid_add_job,
    .add_edge = mermaid_add_edge,
};

/* --- the walk --- */

static void add_edges(const struct language *language, const struct outline *parent,
                      struct buf *out)
{
    struct outline_edges edges = {0};

    outline_edges(parent, &edges);
    vec_foreach (struct outline_edge *, edge, &edges)
        language->add_edge(&parent->children[edge->from], &parent->children[edge->to],
                           condition_word(edge->condition), out);
    vec_release(&edges);
}

static void add_job(const struct language *language, const struct outline *job, struct buf *out)
{
    CLEANUP_BUF struct buf label = BUF_INIT;

    add_label(language, job->name, &label);
    if (outline_batch_count(job) > 1)
        buf_addf(&label, "%sbatch %u of %u", language->line_break, job->job->batch,
                 outline_batch_count(job));
    for (uint32_t i = 0; i < job->count && i < STEPS_SHOWN; i++) {
        buf_addf(&label, "%s· ", language->line_break);
        add_label(language, job->children[i].name, &label);
    }
    if (job->count > STEPS_SHOWN)
        buf_addf(&label, "%s· %u more", language->line_break, job->count - STEPS_SHOWN);
    language->add_job(job, label.data, out);
}

static void add_graph(const struct plan_view *view, const struct language *language,
                      struct buf *out)
{
    buf_addstr(out, language->begin);
    for (uint32_t i = 0; i < view->root->count; i++) {
        const struct outline *stage = &view->root->children[i];

        language->begin_stage(stage, out);
        for (uint32_t j = 0; j < stage->count; j++)
            add_job(language, &stage->children[j], out);
        buf_addstr(out, language->end_stage);
        add_edges(language, stage, out);
    }
    add_edges(language, view->root, out);
    buf_addstr(out, language->end);
}

void plan_view_dot(const struct plan_view *view, struct buf *out)
{
    add_graph(view, &dot, out);
}

void plan_view_mermaid(const struct plan_view *view, struct buf *out)
{
    add_graph(view, &mermaid, out);
}
