/* Expansion of ${NAME} and {{ expression }} in the strings of one scope. Private to plan/. */
#pragma once

#include "plan/settings.h"

struct expansion {
    const struct plan *plan;
    const struct plan_scope *scope;     /* in which expressions are meant */
    const struct plan_runtime *runtime; /* NULL: nothing runs */
    const struct strmap *first;         /* looked at first */
    const struct strmap *second;        /* then; may be NULL */
    bool local;                         /* the runner's own environment counts too */
    bool ahead;                         /* all will be expanded again: errors can wait */
    bool *late; /* set when an expression needs what only a run knows; NULL: that is an error */
    struct src_pos pos;
    struct diag_list *diags; /* may be NULL */
};

/* Whether there is anything to expand. */
bool has_template(const char *text);
/* *ret goes to the caller. What is wrong goes to the diags and to err (both may be NULL). */
int expand(const struct expansion *x, const char *text, char **ret, struct err *err)
    __attribute__((warn_unused_result));
/* The value of ${NAME}; NULL: not set. */
const char *expand_lookup(const struct expansion *x, const char *name);
/* The value of an expression; *ret_offset as for expr_eval(). */
int expand_evaluate(const struct expansion *x, const struct expr *expr, struct expr_value *ret,
                    size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
