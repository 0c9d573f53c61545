/* The executor: interprets a plan.
 *
 * It knows engines and step kinds only through their contracts and lets nothing out except events.
 * exec_run() blocks until everything has ended and everything that was opened has been closed. The
 * states of the tree are the verdict; *ret adds what they do not say. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "engine/engine.h"
#include "event/event.h"
#include "event/node.h"
#include "plan/plan.h"
#include "step/kind.h"

struct object_store;

/* Opens the store that `url` names ("local", "s3://…") without asking it anything yet. */
typedef int (*exec_open_store_fn)(void *arg, const char *url, struct object_store **ret,
                                  struct err *err);

struct exec_options {
    const struct engine *const *engines;  /* NULL-terminated */
    const struct step_kind *const *kinds; /* NULL-terminated */
    const struct engine_services *services;
    struct event_bus *bus;
    uint32_t jobs;    /* most jobs at a time; 0: EXEC_JOBS_DEFAULT */
    bool force_clean; /* remove the workdir after success even if it was there before */
    bool keep;        /* remove nothing */
    exec_open_store_fn open_store; /* for caches; NULL: there are no stores */
    void *open_store_arg;
};

enum {
    EXEC_JOBS_DEFAULT = 256,
    EXEC_STAGES_PARALLEL = 64, /* most stages of a graph at a time */
    EXEC_STEPS_PARALLEL = 64,  /* most steps of a job that is a graph */
    EXEC_POST_BUDGET_MS = 5 * 60 * 1000,
};

#define EXEC_TIMEOUT_DEFAULT_MS INT64_C(86400000)

struct exec_verdict {
    enum state state;
    bool own_deadline;       /* the pipeline's own timeout ended it */
    bool cancelled;          /* the user ended it, before it had failed by itself */
    bool engine_unavailable; /* nothing ran, because an engine could not be reached */
};

/* Adds to the mask (NULL: none) the passwords that the file holds, of registries, engines and
 * repositories. exec_run() does it, too: who shows or keeps the file before does it first. False:
 * one is too large to be masked. */
bool exec_mask_known(const struct plan *plan, struct mask *mask);
/* Fills `root`, a zeroed node, which the caller releases; it borrows from the plan. `ctx` is a
 * root context: cancelling it cancels the pipeline. */
void exec_run(struct ctx *ctx, const struct plan *plan, const struct exec_options *options,
              struct node *root, struct exec_verdict *ret);
