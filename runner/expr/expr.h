/* Expressions: the conditions of `if` and `when.expr`, and what stands in {{ }}.
 *
 *     struct expr *expr = NULL;
 *     expr_parse(text, strlen(text), &expr, &offset, &err);
 *     expr_check(expr, known_name, arg, &offset, &err);            when the file is loaded
 *     expr_eval_bool(expr, &scope, &wanted, &offset, &err);        when the step is about to start
 *     expr_free(expr);
 *
 * Pure: what a name stands for, and functions that look at the outside, come from the scope. A
 * parsed expression is one allocation (and one for each pattern), never changes, and may be
 * evaluated by several threads at a time. Time, memory and depth of parsing and evaluating are
 * bounded. Errors come with the byte of the text that they are about.
 *
 * Source: docs/expressions.md; pipeline file reference, section 1 (Expressions). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "expr/value.h"

#define EXPR_MAX_BYTES 65536 /* of an expression */
#define EXPR_MAX_DEPTH 64    /* of parentheses, calls, indexes and `!` in one another */
#define EXPR_MAX_NAME  16    /* parts of a dotted name */
#define EXPR_MAX_ARGS  64    /* of a call, or of a list behind `in` */

struct expr;

#define CLEANUP_EXPR CLEANUP(expr_cleanup)

/* Reads an expression; the text is not needed afterwards. Unknown functions, wrong numbers of
 * arguments, and patterns that are no regular expressions are found here. ERR_INVALID, ERR_LIMIT;
 * *ret_offset (may be NULL) is then the byte of the text that the error is about. */
int expr_parse(const char *text, size_t len, struct expr **ret, size_t *ret_offset, struct err *err)
    __attribute__((warn_unused_result));
void expr_free(struct expr *expr);

static inline void expr_cleanup(struct expr **expr)
{
    expr_free(*expr);
}

/* A name as its parts: {"steps", "build", "outputs", "KEY"} for steps.build.outputs.KEY and for
 * steps['build'].outputs["KEY"]; {"env", "NAME"} for env.NAME, $NAME and env('NAME'). A part that
 * is known only at run time ends the name: steps[env.WHICH].status uses {"steps"}, and takes
 * members of its value; env(…) uses {"env"}. path[len] is NULL. */
typedef int (*expr_visit_fn)(void *arg, const char *const *path, size_t len, size_t offset,
                             struct err *err);
/* Calls `visit` for each name, in the order of the text (env(…) after what is in its parentheses),
 * until one call returns -1 with *err filled; *ret_offset (may be NULL) is then where that name
 * is. */
int expr_check(const struct expr *expr, expr_visit_fn visit, void *arg, size_t *ret_offset,
               struct err *err) __attribute__((warn_unused_result));
/* Calls success(), failure(), always() or cancelled(). */
bool expr_uses_status(const struct expr *expr);
/* Has no name and looks at nothing outside: it can be evaluated without a scope. */
bool expr_is_constant(const struct expr *expr);

struct expr_scope {
    /* The value of a name, see expr_visit_fn; *ret is null to begin with and may stay so: not set.
     * It may be borrowed from what lives until the result of the evaluation is dropped. -1 with
     * *err filled ends the evaluation. NULL: no name is set. */
    int (*name)(void *arg, const char *const *path, size_t len, struct expr_value *ret,
                struct err *err);
    /* success, failure, always, cancelled (a boolean), hashFiles, exists. The arguments are texts.
     * NULL: these functions are errors. */
    int (*call)(void *arg, const char *function, const struct expr_value *args, size_t count,
                struct expr_value *ret, struct err *err);
    void *arg;
};

/* The result may borrow from the expression and from what the scope handed out (see
 * expr_value_own), and is to be released. `scope` may be NULL for constants. ERR_INVALID: values of
 * the wrong type, ERR_LIMIT, and what the scope reports; *ret_offset as in expr_parse. */
int expr_eval(const struct expr *expr, const struct expr_scope *scope, struct expr_value *ret,
              size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
/* The same, only whether the result is true. */
int expr_eval_bool(const struct expr *expr, const struct expr_scope *scope, bool *ret,
                   size_t *ret_offset, struct err *err) __attribute__((warn_unused_result));
