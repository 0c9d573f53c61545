#include "cli/plan_view.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "plan/settings.h"

static const char *kind_of(const struct spec_step *spec)
{
    if (spec->type)
        return spec_type_name(spec->type);
    for (const struct step_kind *const *kind = runner_step_kinds; *kind; kind++) {
        if ((*kind)->claims(spec))
            return (*kind)->name;
    }
    return "";
}

static bool is_template(const struct spec_str *text)
{
    return text->text && (strstr(text->text, "${") || strstr(text->text, "{{"));
}

/* Whether what says where the step runs can be expanded without the run. */
static bool is_settled(const struct plan_step *step)
{
    const struct spec_step *spec = step->spec;

    if (!step->scope.late)
        return true;
    for (const struct plan_scope *scope = &step->scope; scope; scope = scope->parent) {
        if (is_template(&scope->common->engine) || is_template(&scope->common->image))
            return false;
    }
    return !(spec->plugin && is_template(&spec->plugin->image)) &&
           !(spec->language && is_template(&spec->language->version));
}

void step_facts_get(const struct plan *plan, const struct plan_step *step, struct step_facts *ret)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    const struct strmap identity = {0};
    const struct step_context context = {
        .plan = plan, .step = step, .settings = &settings, .identity = &identity, .id = ""};
    struct step_lowered *lowered = NULL;
    bool implies = step_implies_container(step->spec);
    bool late = false;

    *ret = (struct step_facts){.kind = kind_of(step->spec)};
    if (!is_settled(step) ||
        plan_settings_resolve(plan, &step->scope, NULL, &settings, &late, NULL, NULL) < 0)
        return;
    if (implies && strcmp(settings.engine, "host") == 0)
        ret->engine = xstrdup("docker");
    else
        ret->engine = plan_engine_shown(settings.engine);
    if ((implies || (step->spec->type && strcmp(settings.engine, "host") != 0)) &&
        step_lower(runner_step_kinds, &context, &lowered, NULL) == 0) {
        ret->image = xstrdup_null(lowered->shape.source.image);
        step_lowered_free(lowered);
    } else if (!implies && strcmp(settings.engine, "host") != 0) {
        ret->image = xstrdup_null(settings.image);
    }
}

void step_facts_release(struct step_facts *facts)
{
    free(facts->engine);
    free(facts->image);
    *facts = (struct step_facts){0};
}

const char *condition_word(enum spec_condition condition)
{
    return condition == SPEC_CONDITION_FAILED      ? "failed"
           : condition == SPEC_CONDITION_COMPLETED ? "completed"
                                                   : NULL;
}

const char *outline_level_name(enum outline_level level)
{
    static const char *const names[] = {"pipeline", "stage", "job", "step"};

    return names[level];
}

/* Whether the file says of what the node depends on that it does. */
static bool says_dependencies(const struct outline *node)
{
    return node->flow && node->flow->spec && node->flow->spec->has_depends_on;
}

/* Between batches, which no `depends_on` says. */
static bool is_order_alone(const struct plan_edge *edge)
{
    return !edge->given && edge->condition == SPEC_CONDITION_COMPLETED;
}

uint32_t outline_batch_count(const struct outline *node)
{
    return node->job && node->job->batch ? node->up->stage->groups[node->job->group - 1].batch_count
                                         : 0;
}

/* --- text --- */

/* More names than this are counted. */
enum { NAMES_SHOWN = 6 };

struct notes {
    struct buf text;
};

/* Begins another remark about a node. */
static struct buf *note(struct notes *notes)
{
    buf_addstr(&notes->text, notes->text.len ? "; " : "  (");
    return &notes->text;
}

static void note_dependencies(const struct outline *node, struct notes *notes)
{
    const struct outline *siblings = node->up->children;
    const struct plan_flow *flow = node->flow;
    uint32_t shown = 0;
    struct buf *out;

    if (!says_dependencies(node))
        return;
    out = note(notes);
    for (uint32_t i = 0; i < flow->edge_count; i++) {
        const struct outline *from = &siblings[flow->edges[i].from];
        const char *word = condition_word((enum spec_condition)flow->edges[i].condition);

        if (from->kind != PLAN_PLAIN || is_order_alone(&flow->edges[i]) || shown++ >= NAMES_SHOWN)
            continue;
        buf_addstr(out, shown > 1 ? ", " : "after ");
        utf8_add_visible(out, from->name);
        if (word)
            buf_addf(out, " has %s", word);
    }
    if (!shown)
        buf_addstr(out, "at once");
    if (shown > NAMES_SHOWN)
        buf_addf(out, " and %u more", shown - NAMES_SHOWN);
}

static void note_conditions(const struct outline *node, struct notes *notes)
{
    const struct spec_flow *spec = node->flow ? node->flow->spec : NULL;

    if (node->skipped || !spec)
        return;
    if (spec->condition.text) {
        buf_addstr(note(notes), "if ");
        utf8_add_visible(&notes->text, spec->condition.text);
    }
    if (spec->when)
        buf_addstr(note(notes), "has a \"when\"");
}

static void note_place(const struct plan_view *view, const struct plan_step *step,
                       struct notes *notes)
{
    struct step_facts facts;
    struct buf *out = note(notes);

    step_facts_get(view->plan, step, &facts);
    if (strcmp(facts.kind, "command") != 0)
        buf_addf(out, "%s on ", facts.kind);
    utf8_add_visible(out, facts.engine ? facts.engine : "where the run says");
    if (facts.image) {
        buf_addch(out, ' ');
        utf8_add_visible(out, facts.image);
    }
    step_facts_release(&facts);
}

static void note_batch(const struct outline *node, struct notes *notes)
{
    uint32_t count = outline_batch_count(node);

    if (count > 1)
        buf_addf(note(notes), "batch %u of %u", node->job->batch, count);
}

static void note_kind(const struct outline *node, struct notes *notes)
{
    static const char *const post[] = {
        [PLAN_POST_SUCCESS] = "after success",
        [PLAN_POST_FAILURE] = "after a failure",
        [PLAN_POST_CANCELLED] = "after a cancel",
        [PLAN_POST_ALWAYS] = "always",
    };

    if (node->kind == PLAN_FINALLY)
        buf_addstr(note(notes), "finally");
    else if (node->step && node->kind == PLAN_POST)
        buf_addstr(note(notes), post[node->step->post]);
}

static const struct spec_services *services_of(const struct plan_view *view,
                                               const struct outline *node)
{
    static const struct spec_services none;

    return node->level == OUTLINE_PIPELINE ? &view->plan->spec->services
           : node->job && node->job->spec  ? &node->job->spec->services
                                           : &none;
}

static void note_services(const struct plan_view *view, const struct outline *node,
                          struct notes *notes)
{
    const struct spec_services *services = services_of(view, node);

    for (size_t i = 0; i < services->len; i++) {
        buf_addstr(i ? &notes->text : note(notes), i ? ", " : "beside ");
        utf8_add_visible(&notes->text, services->items[i].name.text);
    }
}

static void note_cost(const struct plan_view *view, const struct outline *node, struct notes *notes)
{
    char duration[CLOCK_DURATION_SIZE];

    if (!view->has_durations || !node->runs)
        return;
    clock_format_duration(node->cost, duration, sizeof(duration));
    buf_addf(note(notes), "%s%s", node->is_measured ? "" : "about ", duration);
}

static void add_notes(const struct plan_view *view, const struct outline *node, struct buf *out)
{
    struct notes notes = {.text = BUF_INIT};

    if (node->skipped) {
        buf_addstr(note(&notes), "skipped: ");
        utf8_add_visible(&notes.text, node->skipped);
    }
    note_kind(node, &notes);
    note_batch(node, &notes);
    note_dependencies(node, &notes);
    note_conditions(node, &notes);
    note_services(view, node, &notes);
    if (node->step)
        note_place(view, node->step, &notes);
    if (node->step && node->step->spec->background == SPEC_TRUE)
        buf_addstr(note(&notes), "in the background");
    else
        note_cost(view, node, &notes);
    buf_addf(out, "%s%s\n", notes.text.data, notes.text.len ? ")" : "");
    buf_release(&notes.text);
}

static void add_node(const struct plan_view *view, const struct outline *node, struct buf *out)
{
    buf_addf(out, "%c %*s%s ",
             node->is_critical ? '*'
             : node->runs      ? ' '
                               : '-',
             2 * (int)(node->level - OUTLINE_STAGE), "", outline_level_name(node->level));
    utf8_add_visible(out, node->name);
    add_notes(view, node, out);
    for (uint32_t i = 0; i < node->count; i++)
        add_node(view, &node->children[i], out);
}

/* By level: how many there are, and how many of them will run if all goes well. */
struct counts {
    uint32_t all[OUTLINE_STEP + 1];
    uint32_t run[OUTLINE_STEP + 1];
};

static void count_nodes(const struct outline *node, struct counts *counts)
{
    counts->all[node->level]++;
    counts->run[node->level] += node->runs;
    for (uint32_t i = 0; i < node->count; i++)
        count_nodes(&node->children[i], counts);
}

static void add_counts(const struct counts *counts, struct buf *out)
{
    for (enum outline_level level = OUTLINE_STAGE; level <= OUTLINE_STEP; level++) {
        buf_addf(out, "%s%u %s%s", level == OUTLINE_STAGE ? ": " : ", ", counts->all[level],
                 outline_level_name(level), counts->all[level] == 1 ? "" : "s");
        if (counts->run[level] != counts->all[level])
            buf_addf(out, " (%u will run if all goes well)", counts->run[level]);
    }
}

void plan_view_text(const struct plan_view *view, struct buf *out)
{
    const struct outline *root = view->root;
    const struct spec_services *services = services_of(view, root);
    char duration[CLOCK_DURATION_SIZE];
    struct counts counts = {0};

    count_nodes(root, &counts);
    utf8_add_visible(out, root->name);
    add_counts(&counts, out);
    buf_addstr(out, "\nworkdir ");
    utf8_add_visible(out, view->plan->workdir);
    for (size_t i = 0; i < services->len; i++) {
        buf_addstr(out, i ? ", " : "\nservices ");
        utf8_add_visible(out, services->items[i].name.text);
    }
    buf_addstr(out, "\n\n");
    for (uint32_t i = 0; i < root->count; i++)
        add_node(view, &root->children[i], out);
    clock_format_duration(root->cost, duration, sizeof(duration));
    if (view->has_durations)
        buf_addf(out, "\ncritical path (*): %s%s\n", root->is_measured ? "" : "about ", duration);
    else
        buf_addf(out, "\ncritical path (*): %lld step%s\n", (long long)root->cost,
                 root->cost == 1 ? "" : "s");
}

/* --- JSON --- */

static const char *const kind_names[] = {
    [PLAN_PLAIN] = "plain",
    [PLAN_PRE] = "pre",
    [PLAN_POST] = "post",
    [PLAN_FINALLY] = "finally",
};

static json_t *dependencies(const struct outline *node)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < node->flow->edge_count; i++) {
        const struct plan_edge *edge = &node->flow->edges[i];
        const struct outline *from = &node->up->children[edge->from];
        const char *word = condition_word((enum spec_condition)edge->condition);

        if (from->kind == PLAN_PLAIN && !is_order_alone(edge))
            json_array_append_new(list,
                                  json_pack("{s: o, s: s}", "name", json_safe_string(from->name),
                                            "condition", word ? word : "succeeded"));
    }
    return list;
}

static void add_step(const struct plan_view *view, const struct plan_step *step, json_t *object)
{
    struct step_facts facts;

    step_facts_get(view->plan, step, &facts);
    json_object_set_new(object, "id", json_safe_string(step->id));
    json_object_set_new(object, "type", json_string(facts.kind));
    json_object_set_new(object, "engine",
                        facts.engine ? json_safe_string(facts.engine) : json_null());
    json_object_set_new(object, "image", facts.image ? json_safe_string(facts.image) : json_null());
    step_facts_release(&facts);
}

static void add_matrix(const struct plan_job *job, json_t *object)
{
    json_t *matrix = json_object();

    strmap_foreach (axis, &job->matrix)
        json_object_set_new(matrix, axis->key, json_safe_string(axis->value));
    json_object_set_new(object, "matrix", matrix);
}

static void add_host(const struct outline *node, json_t *object)
{
    const struct plan_job *job = node->job;
    const struct plan_group *group = &node->up->stage->groups[job->group - 1];
    json_t *host = plan_host_json(job->host);

    json_object_del(host, "environment");
    json_object_del(host, "vars");
    json_object_set_new(object, "host", host);
    json_object_set_new(object, "batch", json_integer(job->batch));
    json_object_set_new(object, "batches", json_integer(group->batch_count));
}

static void add_flow(const struct outline *node, json_t *object)
{
    const struct spec_flow *spec = node->flow ? node->flow->spec : NULL;

    if (says_dependencies(node))
        json_object_set_new(object, "depends_on", dependencies(node));
    if (spec && spec->condition.text)
        json_object_set_new(object, "if", json_safe_string(spec->condition.text));
    if (node->skipped)
        json_object_set_new(object, "skipped",
                            json_pack("{s: s, s: o}", "reason", reason_name(node->reason), "why",
                                      json_safe_string(node->skipped)));
}

static void add_cost(const struct plan_view *view, const struct outline *node, json_t *object)
{
    json_object_set_new(object, view->has_durations ? "estimate_ms" : "estimate_steps",
                        json_integer(node->cost));
    if (view->has_durations)
        json_object_set_new(object, "measured", json_boolean(node->is_measured));
    json_object_set_new(object, "critical", json_boolean(node->is_critical));
}

static void add_services(const struct plan_view *view, const struct outline *node, json_t *object)
{
    const struct spec_services *services = services_of(view, node);
    json_t *names = json_array();

    for (size_t i = 0; i < services->len; i++)
        json_array_append_new(names, json_safe_string(services->items[i].name.text));
    if (services->len)
        json_object_set(object, "services", names);
    json_decref(names);
}

static json_t *node_object(const struct plan_view *view, const struct outline *node)
{
    static const char *const children_keys[] = {"stages", "jobs", "steps"};
    static const char *const orders[] = {"serial", "parallel", "graph"};
    json_t *object = json_object();
    json_t *children;

    json_object_set_new(object, "name", json_safe_string(node->name));
    if (node->level == OUTLINE_PIPELINE)
        json_object_set_new(object, "workdir", json_safe_string(view->plan->workdir));
    else
        json_object_set_new(object, "kind", json_string(kind_names[node->kind]));
    if (plan_timeout_ms(node->scope))
        json_object_set_new(object, "timeout_ms", json_integer(plan_timeout_ms(node->scope)));
    if (node->step)
        add_step(view, node->step, object);
    if (node->job && node->job->matrix.len)
        add_matrix(node->job, object);
    if (node->job && node->job->host)
        add_host(node, object);
    add_services(view, node, object);
    if (node->step && node->step->spec->background == SPEC_TRUE)
        json_object_set_new(object, "background", json_true());
    add_flow(node, object);
    json_object_set_new(object, "runs", json_boolean(node->runs));
    add_cost(view, node, object);
    if (node->step)
        return object;
    json_object_set_new(object, "order", json_string(orders[node->order]));
    children = json_array();
    for (uint32_t i = 0; i < node->count; i++)
        json_array_append_new(children, node_object(view, &node->children[i]));
    json_object_set_new(object, children_keys[node->level], children);
    return object;
}

json_t *plan_view_json(const struct plan_view *view)
{
    return node_object(view, view->root);
}
