/* Showing a plan before it runs, in the forms of `runner plan`. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "plan/outline.h"

struct plan_view {
    const struct plan *plan;
    const struct outline *root;
    bool has_durations; /* costs are milliseconds; else steps */
};

/* Where a step runs and as what. */
struct step_facts {
    const char *kind; /* "command", "plugin" …; borrowed */
    char *engine;     /* without credentials; NULL: only the run knows */
    char *image;      /* NULL: none, or only the run knows */
};

void step_facts_get(const struct plan *plan, const struct plan_step *step, struct step_facts *ret);
void step_facts_release(struct step_facts *facts);
/* How the dependency is written: "failed" or "completed"; NULL for the usual one. */
const char *condition_word(enum spec_condition condition);
/* "stage", "job" … */
const char *outline_level_name(enum outline_level level);

/* Of a job with `run_on`: into how many batches its hosts fall; else 0. */
uint32_t outline_batch_count(const struct outline *node);

/* An indented list for people. */
void plan_view_text(const struct plan_view *view, struct buf *out);
/* A new reference. */
json_t *plan_view_json(const struct plan_view *view);
/* Graphs of stages and jobs: the language of Graphviz, and a Mermaid flowchart. */
void plan_view_dot(const struct plan_view *view, struct buf *out);
void plan_view_mermaid(const struct plan_view *view, struct buf *out);
