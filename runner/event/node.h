/* The run tree: one node for the pipeline, each stage, job and step, with its state.
 *
 * The executor owns the tree and changes states through node_set_state() alone, which checks the
 * transition, stamps the times and emits the event. Everybody else sees nodes only inside events.
 *
 * Threads: a node changes under the bus's lock, by the thread that runs it; sinks, which the bus
 * calls under that lock, may therefore look at the whole tree. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/map.h"
#include "spec/state.h"

struct event_bus;

/* A service is no part of the tree, and gone before its parent ends: only its output, notes and
 * progress are events. It is shown below its parent, by its name alone, and has its number. */
enum node_level { NODE_PIPELINE, NODE_STAGE, NODE_JOB, NODE_STEP, NODE_SERVICE };

/* How an attempt ended after which another followed. */
struct node_attempt {
    enum reason reason;
    bool has_exit_code;
    int exit_code;
    int64_t duration_ms;
    char *error; /* owned */
};

struct node {
    struct node *parent;
    const char *name; /* belongs to the plan, or is own_name */
    char *own_name;   /* owned: the name without the secrets in it; NULL: there are none */
    const char *host; /* of a job with `run_on`: belongs to the plan, or is own_host; NULL: none */
    char *own_host;   /* owned, in a tree that was read (read.h) */
    struct node *children;
    uint32_t child_count;
    uint32_t index;       /* among its siblings, from 0 */
    uint32_t number;      /* in its tree: 0 is the root, all others follow without a gap */
    uint32_t last_number; /* of the root: the highest */
    uint8_t level;        /* enum node_level */
    bool is_post;         /* comes behind its siblings whatever happened to them */
    /* What is above stays, and may be read without the lock; a retry begins anew from here on. */
    uint8_t state;  /* enum state */
    uint8_t reason; /* enum reason */
    bool allowed;   /* its failure does not count */
    bool by_engine; /* its failure is the engine's, not that of what ran */
    bool has_exit_code;
    int exit_code;
    uint32_t attempt;              /* 1 for the first; 0 before it started */
    struct node_attempt *attempts; /* owned: those before the current one, attempt - 1 of them */
    int64_t started_at_ms;         /* wall time; 0: not started */
    int64_t ended_at_ms;           /* wall time; 0: not ended */
    int64_t duration_ms;           /* by the monotonic clock, when ended */
    int64_t started_mono_ms;
    int64_t ended_mono_ms;   /* 0: not ended, or in a tree that was read */
    int64_t attempt_mono_ms; /* when the current attempt began */
    struct strmap outputs;   /* of a step: what it has set for others */
    struct strmap cleaned;   /* those of them that hold secrets, without these */
    char *error;             /* owned: one line, NULL when there is none; without secrets */
    char *message;           /* owned: the same for people, NULL when `error` serves */
    char *tail;              /* owned: the last output of a failed step, NULL otherwise */
};

/* What comes with a new state; zero for plain success. */
struct node_result {
    enum reason reason;
    bool has_exit_code;
    int exit_code;
    bool allowed;        /* a failure that does not count */
    bool by_engine;      /* a failure of the engine, not of what it ran */
    const char *error;   /* copied */
    const char *message; /* copied; NULL: error */
    const char *tail;    /* copied */
};

/* "pipeline", "stage", "job", "step", "service" */
const char *node_level_name(enum node_level level);
/* Appends RUN.0.1: the run's id and the path of indices. */
void node_id(const struct node *node, const char *run_id, struct buf *out);
/* Appends "[stage(1/2): build][job(1/1): unit][step(1/3): compile]", "[workflow]" for the root.
 * Names are made visible: a newline in one cannot break the line. */
void node_prefix(const struct node *node, struct buf *out);
/* Allocates `count` pending children of `node`. */
void node_add_children(struct node *node, uint32_t count);
/* Names the node; `name` is borrowed. */
void node_set_name(const struct event_bus *bus, struct node *node, const char *name);
/* Changes the state and emits it; an illegal transition ends the program: it is a mistake in the
 * executor, and going on would let it lie about a verdict. */
void node_set_state(struct event_bus *bus, struct node *node, enum state state,
                    const struct node_result *result);
/* The running attempt has ended as `result` says, and another follows after a pause: emits that,
 * counts the attempt, and makes everything below the node pending again. */
void node_retry(struct event_bus *bus, struct node *node, const struct node_result *result,
                int64_t delay_ms);
/* Makes a node as it was before it started, or all that are below it. Who it is stays, and may be
 * looked at meanwhile. */
void node_clear(struct node *node);
void node_clear_children(struct node *node);
/* Sets outputs of a step, beside those that it has. */
void node_add_outputs(struct event_bus *bus, struct node *node, const struct strmap *outputs);
/* Whether it failed and that counts. */
bool node_has_failed(const struct node *node);
/* What to tell people about a failure; NULL when there is nothing. */
const char *node_message(const struct node *node);
/* Moves a root to another place. */
void node_move(struct node *to, struct node *from);
/* Frees what is below and inside the node, not the node. */
void node_release(struct node *node);
