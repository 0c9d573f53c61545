/* Which hosts a job runs on, and in which batches. Private to plan/. */
#pragma once

#include "base/diag.h"
#include "base/parse.h"
#include "base/vec.h"
#include "plan/plan.h"

/* Hosts in the order of the inventory; borrowed from the plan. */
struct plan_hosts {
    const struct plan_host **items;
    size_t len;
    size_t cap;
};

/* The hosts that `patterns` choose: all that a pattern without a sign matches (where there is none,
 * all of the inventory), of these only what each "&" matches, without what a "!" matches. A pattern
 * may hold several with commas between them. -1, with an error in diags: a pattern without a sign
 * matches nothing, or nothing is left. A "!" or "&" that matches nothing is a warning.
 * *ret, which is empty, is to be released with vec_release(). */
int plan_hosts_choose(const struct plan *plan, const struct spec_strs *patterns,
                      struct plan_hosts *ret, struct diag_list *diags)
    __attribute__((warn_unused_result));

/* The batch of the host at `index` of `count`, from 1, by the sizes, of which the last is that of
 * all further batches; none: all hosts are in one. A percentage is of `count`, rounded down, at
 * least one host. */
uint32_t plan_hosts_batch(const struct portion *sizes, size_t size_count, size_t index,
                          size_t count);

/* Fills plan->hosts from the specification; what cannot be expanded is added to diags. */
void plan_hosts_init(struct plan *plan, struct diag_list *diags);
void plan_hosts_release(struct plan *plan);
/* What `host` is in expressions; `path` as struct expr_visit_fn has it, "host" first. */
struct expr_value plan_host_value(const struct plan_host *host, const char *const *path,
                                  size_t len);
