/* What will run in a place, for engines that have to know when they open it (ENGINE_PODS).
 *
 *     expected_begin(&expected, j, ctx)
 *     expected_add_steps(&expected, step->url, step, index)
 *     … place_options.expected = expected.runnables.items …
 *     expected_release(&expected)
 *
 * Steps that have not ended are lowered ahead of their turn, with what is known of the run by now.
 * Nothing is guessed: one of which the engine, the image or the like depends on what is not known
 * yet is left out. What only ends up in its environment does not matter for that.
 *
 * Threads: one. */
#pragma once

#include "base/vec.h"
#include "exec/lowering.h"

struct job_run;
struct expected_step;

struct expected {
    struct job_run *job_run;
    const struct ctx *ctx;
    struct plan plan; /* the run's, but asked ahead of time */
    struct strmap environment;
    VEC(struct expected_step *)
    steps;
    VEC(const struct runnable *)
    runnables;        /* valid until expected_release(); who adds others owns these */
    bool overlapping; /* several of the steps may run at a time */
};

/* *ret is zeroed before. `ctx` ends what is asked. */
void expected_begin(struct expected *ret, struct job_run *j, const struct ctx *ctx);
/* The steps that run on the engine of `url` in the same place: that of `given`, the step of that
 * index, which is about to run; NULL: that of the first one, before any step has begun. Returns a
 * step that runs there, which lives as long as *expected; NULL: there is none. */
const struct lowering *expected_add_steps(struct expected *expected, const char *url,
                                          const struct lowering *given, uint32_t index);
/* Also of one that is zeroed. */
void expected_release(struct expected *expected);
