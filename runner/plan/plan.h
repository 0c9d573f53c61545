/* The plan: the pipeline as an immutable tree in the order and shape in which it will run.
 *
 * The stages of the pipeline, the jobs of a stage and the steps of a job are lists of siblings. In
 * a list either each waits for the one before it, or all are free to run at once, or, as soon as
 * one of them says `depends_on`, they form a graph with an edge for each dependency.
 *
 * The plan borrows from the specification, which must outlive it. It resolves what is inherited
 * and expands ${…} not once for all but when asked, plan_settings_resolve(), just before a step
 * starts: nothing is stored for 10,000 steps that one step needs, and what becomes known only
 * while the pipeline runs fits in the same place. plan_build() expands everything once, to find
 * the errors beforehand.
 *
 * The hooks `pre` and `post` are siblings of what they go with: steps of a job, a job of one step
 * in a stage, a stage of one job in the pipeline. A job with a matrix becomes one job for each
 * combination, one with `run_on` one for each host; `finally` becomes stages behind the others.
 * Threads: immutable once built. Pure: no I/O.
 * Source: pipeline file reference, sections 1 to 3. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/text_index.h"
#include "base/vec.h"
#include "expr/expr.h"
#include "spec/spec.h"

/* What the command line and the process contribute. Maps and strings are borrowed for the life of
 * the plan; any may be NULL. */
struct plan_inputs {
    const struct strmap *overrides;   /* -e, --env-file: win over the file */
    const struct strmap *variables;   /* secrets, `env_files`: the file wins over them */
    const struct strmap *parameters;  /* --input */
    const struct strmap *automatic;   /* PIPELINE_* as far as they are the same for all steps */
    const struct strmap *passthrough; /* the runner's environment as far as host steps see it */
    const char *engine;               /* --engine: the pipeline's default */
    const char *image;                /* --image: likewise */
    const char *workdir;              /* -w: wins over the file */
    const char *current_dir;          /* absolute; what relative workdirs are meant from */
    bool strict;                      /* unset names are errors */
    bool incomplete;                  /* nothing will run: required inputs may be missing */
    /* With strict: it is asked before its time. A variable of the environment that cannot be
     * expanded yet is not set, so that only what is made of it cannot be had either. */
    bool ahead;
};

struct plan_job;

struct plan_scope {
    const struct plan_scope *parent; /* NULL: the pipeline */
    const struct spec_common *common;
    const struct plan_job *job; /* the job itself, or the one around it; NULL: none */
    bool late;                  /* its strings, or those above it, need what only a run knows */
};

/* What has to end before a sibling starts, and how. */
struct plan_edge {
    uint32_t from;     /* index of the sibling */
    uint8_t condition; /* enum spec_condition, never unset */
    bool given;        /* the file says the condition; otherwise `if` can take its place */
};

/* Whether, and after what, something runs; NULL where nothing is said about it. */
struct plan_flow {
    const struct spec_flow *spec; /* NULL: there are only edges */
    struct expr *condition;       /* `if`, NULL: none */
    struct expr *when_expr;       /* likewise */
    bool asks_status;             /* its conditions look at how the siblings ended */
    struct plan_edge *edges;
    uint32_t edge_count;
};

/* Which of the siblings are not from the list in the file. */
enum plan_kind { PLAN_PLAIN, PLAN_PRE, PLAN_POST, PLAN_FINALLY };

/* Which outcome a step of a `post` is for. */
enum plan_post { PLAN_POST_SUCCESS, PLAN_POST_FAILURE, PLAN_POST_CANCELLED, PLAN_POST_ALWAYS };

/* How siblings are ordered. */
enum plan_order { PLAN_ORDER_SERIAL, PLAN_ORDER_FREE, PLAN_ORDER_GRAPH };

struct plan_step {
    struct plan_scope scope;
    const struct spec_step *spec;
    char *name;
    char *id; /* what expressions call it */
    struct plan_flow *flow;
    uint8_t kind; /* enum plan_kind */
    uint8_t post; /* enum plan_post, of PLAN_POST */
};

/* A machine of the inventory. */
struct plan_host {
    const struct spec_host *spec;
    struct spec_common common; /* what its jobs inherit: environment and engine; strings borrowed */
    char *own_engine;          /* where the file says none; else NULL */
    char *engine;              /* for people: without user and password */
    struct strvec roles;
    struct strmap vars;
    struct strmap environment;
};

struct plan_job {
    struct plan_scope scope;
    const struct spec_job *spec; /* NULL: a hook */
    char *name;
    struct strmap matrix;         /* from axis to value; empty: none */
    const struct plan_host *host; /* NULL: it has no `run_on`; else the four below are set */
    struct plan_scope host_scope; /* between the stage and the job */
    struct spec_common *common;   /* owned: the job's, with the engine of the host */
    uint32_t batch;               /* from 1; none begins before the one before it has ended */
    struct plan_flow *flow;
    struct plan_step *steps;
    uint32_t step_count;
    struct text_index step_names; /* ids and names to numbers; filled when the plan is complete */
    const char *left_out;         /* why it is not to run, see select.h; NULL: it is to */
    uint32_t group;               /* jobs of one matrix or `run_on`; 0: none */
    uint8_t kind;                 /* enum plan_kind */
    uint8_t order;                /* enum plan_order, of the steps */
};

/* The jobs that a matrix, or a `run_on`, or both expand to. */
struct plan_group {
    uint32_t max_parallel; /* 0: no limit of its own */
    bool fail_fast;
    /* Of a `run_on`, see docs/hosts.md. */
    uint32_t batch_count; /* 0: there is no `run_on` */
    bool ignore_errors;
    bool has_max_failures;
    struct portion max_failures;
};

struct plan_stage {
    struct plan_scope scope;
    const struct spec_stage *spec; /* NULL: a hook */
    char *name;
    struct plan_flow *flow;
    struct plan_job *jobs;
    uint32_t job_count;
    struct plan_group *groups; /* that of a job is groups[job->group - 1] */
    uint32_t group_count;
    const char *left_out;  /* as of a job */
    uint32_t max_parallel; /* 0: no limit of its own */
    bool fail_fast;
    uint8_t kind;  /* enum plan_kind */
    uint8_t order; /* enum plan_order, of the jobs */
};

/* How many jobs one of the file may become. */
#define PLAN_MATRIX_MAX 1000

struct plan {
    struct plan_scope scope;
    const struct spec_pipeline *spec;
    struct plan_inputs inputs;
    char *name;
    char *workdir;            /* absolute */
    struct strmap automatic;  /* inputs.automatic, PIPELINE_NAME and PIPELINE_WORKDIR */
    struct strmap parameters; /* the values of `inputs`, as text */
    struct plan_host *hosts;  /* in the order of the inventory */
    size_t host_count;
    struct plan_stage *stages; /* in the order of running, hooks and `finally` included */
    uint32_t stage_count;
    uint8_t order; /* enum plan_order, of the stages */
    bool complete; /* everything has its name */
    struct spec_common no_settings;
    VEC(struct spec_step *)
    hooks; /* specifications made for the steps of hooks */
};

/* Jobs of one stage that follow each other. */
struct plan_jobs {
    uint32_t stage;
    uint32_t first;
    uint32_t count;
};

/* Adds what is wrong to diags; NULL when there was an error among it. */
struct plan *plan_build(const struct spec_pipeline *spec, const struct plan_inputs *inputs,
                        struct diag_list *diags);
void plan_free(struct plan *plan);

/* By id, else by name; NULL: there is none. */
const struct plan_step *plan_find_step(const struct plan_job *job, const char *name);
/* By name; that of a job with a matrix means all that it became. false: there is none. */
bool plan_find_jobs(const struct plan *plan, const char *name, struct plan_jobs *ret);
const struct plan_stage *plan_find_stage(const struct plan *plan, const char *name);

#define CLEANUP_PLAN CLEANUP(plan_cleanup)

static inline void plan_cleanup(struct plan **plan)
{
    plan_free(*plan);
}

/* As expressions see it: {"name": …, "engine": …, "roles": […], "environment": {…}, "vars": {…}}; a
 * new reference. */
json_t *plan_host_json(const struct plan_host *host) __attribute__((warn_unused_result));
/* "ssh://user:password@host:22" becomes "ssh://host:22"; the caller frees. */
char *plan_engine_shown(const char *engine) __attribute__((warn_unused_result));

/* The nearest limit that the scope itself sets; 0: none. */
int64_t plan_timeout_ms(const struct plan_scope *scope);
/* How long what the steps of a job run in may wait for a machine: of what its steps say or inherit
 * the longest; 0: none says anything. */
int64_t plan_schedule_timeout_ms(const struct plan_job *job);
