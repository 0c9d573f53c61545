/* How the jobs go that one job of the file has become by `run_on`: their failures count against its
 * limits. The rules are written down in docs/hosts.md.
 *
 * Threads: any, at any time. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "plan/plan.h"

struct fan_out;

/* One for each group of the stage, in their order; NULL if there are none. */
struct fan_out *fan_outs_new(const struct plan_stage *stage);
void fan_outs_free(struct fan_out *fan_outs, const struct plan_stage *stage);
/* That of a job; NULL: it is of no `run_on`. */
struct fan_out *fan_out_of(struct fan_out *fan_outs, const struct plan_job *job);

/* Notes that a job of that batch has failed. true: that is to be ignored. */
bool fan_out_failed(struct fan_out *fan_out, uint32_t batch);
/* Whether a job of that batch may begin, those of the batch before it having ended. */
bool fan_out_may_begin(struct fan_out *fan_out, uint32_t batch);
/* Whether more have failed than may, so that the others are to be ended. */
bool fan_out_is_over(struct fan_out *fan_out);
