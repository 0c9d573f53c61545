#include "plan/link.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/nearest.h"
#include "base/text_index.h"
#include "base/vec.h"

#define AMBIGUOUS UINT32_MAX

struct linker {
    const struct sibling *siblings;
    uint32_t count;
    const char *level;
    struct diag_list *diags;
    struct text_index names; /* to the first sibling of that name, or AMBIGUOUS */
    uint32_t *seen;          /* by sibling: number + 1 of the last one that has an edge from it */
    VEC(struct plan_edge)
    edges; /* of the sibling at hand */
};

struct plan_flow *plan_flow_make(struct plan_flow **flow)
{
    if (!*flow)
        *flow = xcalloc(1, sizeof(**flow));
    return *flow;
}

void plan_flow_free(struct plan_flow *flow)
{
    if (!flow)
        return;
    expr_free(flow->condition);
    expr_free(flow->when_expr);
    free(flow->edges);
    free(flow);
}

static bool needs_links(const struct sibling *siblings, uint32_t count, enum plan_order order)
{
    for (uint32_t i = 0; i < count; i++) {
        if ((siblings[i].spec && siblings[i].spec->has_depends_on) ||
            (order == PLAN_ORDER_FREE && (siblings[i].kind != PLAN_PLAIN || siblings[i].after_end)))
            return true;
    }
    return false;
}

/* Ids come before names: a name that is somebody's id means that one. */
static void add_name(struct linker *l, const char *name, uint32_t number, bool is_id)
{
    uint32_t earlier;

    if (!name || !*name)
        return;
    if (!text_index_find(&l->names, name, strlen(name), &earlier))
        text_index_set(&l->names, name, strlen(name), number);
    else if (!is_id && earlier != number &&
             (earlier == AMBIGUOUS || !l->siblings[earlier].id ||
              strcmp(l->siblings[earlier].id, name) != 0))
        text_index_set(&l->names, name, strlen(name), AMBIGUOUS);
}

static void index_names(struct linker *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->siblings[i].kind == PLAN_PLAIN)
            add_name(l, l->siblings[i].id, i, true);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sibling *s = &l->siblings[i];

        if (s->kind != PLAN_PLAIN)
            continue;
        if (s->span)
            add_name(l, s->plain_name, i, false);
        add_name(l, s->name, i, false);
    }
}

static void report_unknown(const struct linker *l, const struct spec_dependency *dependency)
{
    struct nearest nearest = {.text = dependency->name.text};
    CLEANUP_BUF struct buf hint = BUF_INIT;
    bool is_shown = l->diags->len < DIAG_MAX;

    for (uint32_t i = 0; is_shown && i < l->count; i++) {
        if (l->siblings[i].kind != PLAN_PLAIN)
            continue;
        if (l->siblings[i].id)
            nearest_offer(&nearest, l->siblings[i].id);
        nearest_offer(&nearest, l->siblings[i].name);
    }
    if (nearest.best)
        buf_addf(&hint, "; did you mean \"%s\"?", nearest.best);
    diag_add(l->diags, DIAG_ERROR, dependency->name.pos, "",
             "\"depends_on\" names the %s \"%s\", which is not there%s", l->level,
             dependency->name.text, hint.data);
}

static void add_edge(struct linker *l, uint32_t to, uint32_t from, enum spec_condition condition,
                     bool given)
{
    if (l->seen[from] == to + 1) {
        vec_foreach (struct plan_edge *, edge, &l->edges) {
            if (edge->from == from && edge->condition == condition)
                return;
        }
    }
    l->seen[from] = to + 1;
    vec_push(&l->edges, ((struct plan_edge){.from = from, .condition = condition, .given = given}));
}

static void add_dependency(struct linker *l, uint32_t to, const struct spec_dependency *dependency)
{
    const char *name = dependency->name.text;
    enum spec_condition condition =
        dependency->condition ? dependency->condition : SPEC_CONDITION_SUCCEEDED;
    uint32_t first;
    uint32_t span;

    if (!name)
        return;
    if (!text_index_find(&l->names, name, strlen(name), &first)) {
        report_unknown(l, dependency);
        return;
    }
    if (first == AMBIGUOUS) {
        diag_add(l->diags, DIAG_ERROR, dependency->name.pos, "",
                 "\"depends_on\" names \"%s\", but several %ss are called so; give them %s", name,
                 l->level, strcmp(l->level, "step") == 0 ? "an \"id\"" : "names of their own");
        return;
    }
    span = l->siblings[first].plain_name && strcmp(l->siblings[first].name, name) != 0
               ? l->siblings[first].span
               : 1;
    for (uint32_t i = 0; i < span; i++)
        add_edge(l, to, first + i, condition, dependency->condition != SPEC_CONDITION_UNSET);
}

/* Everything waits for `pre`; `post` and `finally` wait for everything before them. */
static void tie_hooks(struct linker *l, uint32_t to)
{
    const struct sibling *s = &l->siblings[to];

    for (uint32_t from = 0; from < l->count; from++) {
        if (s->kind == PLAN_PLAIN && l->siblings[from].kind == PLAN_PRE)
            add_edge(l, to, from, SPEC_CONDITION_SUCCEEDED, false);
        if (s->kind != PLAN_PLAIN && s->kind != PLAN_PRE && from < to)
            add_edge(l, to, from, SPEC_CONDITION_COMPLETED, false);
        if (s->kind == PLAN_PLAIN && from > 0)
            return; /* `pre` is the first, if there is one */
    }
}

static void make_edges(struct linker *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct sibling *s = &l->siblings[i];
        struct plan_flow *flow;

        l->edges.len = 0;
        tie_hooks(l, i);
        for (size_t j = 0; s->spec && j < s->spec->depends_on_count; j++)
            add_dependency(l, i, &s->spec->depends_on[j]);
        for (uint32_t from = s->after; from < s->after_end; from++)
            add_edge(l, i, from, SPEC_CONDITION_COMPLETED, false);
        if (!l->edges.len)
            continue;
        flow = plan_flow_make(s->flow);
        flow->edge_count = (uint32_t)l->edges.len;
        flow->edges = xcalloc(l->edges.len, sizeof(*flow->edges));
        memcpy(flow->edges, l->edges.items, l->edges.len * sizeof(*flow->edges));
    }
}

/* --- cycles --- */

struct visit {
    uint32_t node;
    uint32_t next; /* edge to look at */
};

enum { WHITE, ON_PATH, DONE };

static void report_cycle(const struct linker *l, const struct visit *path, size_t len,
                         uint32_t first)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const struct spec_flow *spec = l->siblings[path[len - 1].node].spec;
    size_t start = len;

    while (path[--start].node != first)
        ;
    for (size_t i = start; i < len; i++)
        buf_addf(&text, "\"%s\" → ", l->siblings[path[i].node].name);
    buf_addf(&text, "\"%s\"", l->siblings[first].name);
    diag_add(l->diags, DIAG_ERROR,
             spec && spec->depends_on_count ? spec->depends_on[0].name.pos : (struct src_pos){0},
             "", "the %ss depend on each other in a cycle: %s", l->level, text.data);
}

/* Depth first, without recursion: a chain may be as long as the file. */
static void find_cycles(const struct linker *l)
{
    CLEANUP_FREE uint8_t *color = xcalloc(l->count, 1);
    CLEANUP_FREE struct visit *path = xcalloc(l->count, sizeof(*path));

    for (uint32_t root = 0; root < l->count; root++) {
        size_t len = 0;

        if (color[root] != WHITE)
            continue;
        path[len++] = (struct visit){.node = root};
        color[root] = ON_PATH;
        while (len > 0) {
            struct visit *top = &path[len - 1];
            const struct plan_flow *flow = *l->siblings[top->node].flow;
            uint32_t from;

            if (!flow || top->next == flow->edge_count) {
                color[top->node] = DONE;
                len--;
                continue;
            }
            from = flow->edges[top->next++].from;
            if (color[from] == ON_PATH) {
                report_cycle(l, path, len, from);
            } else if (color[from] == WHITE) {
                color[from] = ON_PATH;
                path[len++] = (struct visit){.node = from};
            }
        }
    }
}

bool plan_link(const struct sibling *siblings, uint32_t count, enum plan_order order,
               const char *level, struct diag_list *diags)
{
    struct linker l = {.siblings = siblings, .count = count, .level = level, .diags = diags};
    size_t errors_before = diags->error_count;

    if (!needs_links(siblings, count, order))
        return false;
    l.seen = xcalloc(count, sizeof(*l.seen));
    index_names(&l);
    make_edges(&l);
    if (diags->error_count == errors_before)
        find_cycles(&l);
    vec_release(&l.edges);
    text_index_release(&l.names);
    free(l.seen);
    return true;
}
