/* The combinations of a matrix. Private to plan/. */
#pragma once

#include "base/diag.h"
#include "base/map.h"
#include "base/vec.h"
#include "spec/spec.h"

struct combinations {
    struct strmap *items; /* from axis to value */
    size_t len;
    size_t cap;
};

/* Every value of every axis with every other, the last axis changing fastest, without those that an
 * entry of `exclude` matches. An entry of `include` adds its further keys to all combinations whose
 * values it does not contradict, and is a combination of its own if there are none. Values go
 * through `expand`, whose result the caller of it owns; NULL means that it failed and has said so.
 * -1 when something is wrong, which has been added to diags. */
int plan_matrix_expand(const struct spec_matrix *matrix,
                       char *(*expand)(void *arg, const struct spec_str *text), void *arg,
                       struct combinations *ret, struct diag_list *diags)
    __attribute__((warn_unused_result));
void plan_combinations_release(struct combinations *combinations);
