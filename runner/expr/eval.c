/* Evaluation: one function for each type of node, recursion as deep as the parser allowed. Values
 * are passed by value and released by whoever got them; nothing is allocated for comparing texts
 * and numbers. */
#include <string.h>

#include "base/alloc.h"
#include "expr/compare.h"
#include "expr/node.h"

/* Arguments of a call that need no allocation. */
#define FEW 4

struct evaluation {
    const struct expr *expr;
    const struct expr_scope *scope;
    size_t error_at;
    struct err *err;
};

static int eval(struct evaluation *e, const struct expr_node *node, struct expr_value *ret);

static int eval_operand(struct evaluation *e, const struct expr_node *node, size_t i,
                        struct expr_value *ret)
{
    return eval(e, expr_operand(e->expr, node, i), ret);
}

static int fail_at(struct evaluation *e, const struct expr_node *node)
{
    e->error_at = node->at;
    return -1;
}

static struct expr_value literal(const struct expr *expr, const struct expr_node *node)
{
    struct expr_value value = {.kind = (enum expr_kind)node->kind};

    switch (value.kind) {
    case EXPR_NULL:
    case EXPR_JSON:
        break;
    case EXPR_BOOL:
        value.boolean = node->boolean;
        break;
    case EXPR_INTEGER:
        value.integer = node->integer;
        break;
    case EXPR_REAL:
        value.real = node->real;
        break;
    case EXPR_STRING:
        value.text = expr->pool + node->first;
        value.len = node->count;
        break;
    }
    return value;
}

static int eval_name(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    const struct expr_scope *scope = e->scope;
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;

    if (scope && scope->name &&
        scope->name(scope->arg, e->expr->paths + node->first, node->count, &value, e->err) < 0)
        return fail_at(e, node);
    *ret = value;
    value = (struct expr_value)EXPR_VALUE_NULL;
    return 0;
}

static int eval_not(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;

    if (eval_operand(e, node, 0, &value) < 0)
        return -1;
    *ret = expr_bool(!expr_value_truth(&value));
    return 0;
}

/* The first operand that decides, or the last one. */
static int eval_chain(struct evaluation *e, const struct expr_node *node, bool stop_at,
                      struct expr_value *ret)
{
    for (size_t i = 0;; i++) {
        struct expr_value value = EXPR_VALUE_NULL;

        if (eval_operand(e, node, i, &value) < 0)
            return -1;
        if (i + 1 == node->count || expr_value_truth(&value) == stop_at) {
            *ret = value;
            return 0;
        }
        expr_value_release(&value);
    }
}

static const char *const op_texts[] = {"==", "!=", "<", "<=", ">", ">="};

static bool holds(enum expr_op op, int order)
{
    switch (op) {
    case OP_LT:
        return order < 0;
    case OP_LE:
        return order <= 0;
    case OP_GT:
        return order > 0;
    case OP_GE:
        return order >= 0;
    case OP_EQ:
    case OP_NE:
        break;
    }
    return (order == 0) == (op == OP_EQ);
}

static int eval_compare(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value left = EXPR_VALUE_NULL;
    CLEANUP_EXPR_VALUE struct expr_value right = EXPR_VALUE_NULL;
    bool numeric = expr_is_number_literal(expr_operand(e->expr, node, 0)) ||
                   expr_is_number_literal(expr_operand(e->expr, node, 1));
    unsigned wrong = 0;
    int order = 0;

    if (eval_operand(e, node, 0, &left) < 0 || eval_operand(e, node, 1, &right) < 0)
        return -1;
    numeric = numeric || expr_values_numeric(&left, &right);
    if (node->op == OP_EQ || node->op == OP_NE)
        order = !expr_values_equal(&left, &right, numeric);
    else if (expr_values_order(&left, &right, numeric, op_texts[node->op], &order, &wrong, e->err) <
             0)
        return fail_at(e, expr_operand(e->expr, node, wrong));
    *ret = expr_bool(holds((enum expr_op)node->op, order));
    return 0;
}

static int match_text(struct evaluation *e, const struct expr_node *node, size_t operand,
                      const struct expr_value *value, struct expr_text *ret)
{
    if (expr_value_text(value, ret))
        return 0;
    err_set(e->err, ERR_INVALID, "\"%s\" takes a text, not %s", node->flag ? "!~" : "=~",
            expr_value_type(value));
    return fail_at(e, expr_operand(e->expr, node, operand));
}

/* A pattern that is known only now. */
static int match_dynamic(struct evaluation *e, const struct expr_node *node,
                         const struct expr_text *text, bool *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    struct expr_text pattern_text;
    struct expr_pattern *pattern = NULL;
    size_t offset;
    int result;

    if (eval_operand(e, node, 1, &value) < 0 || match_text(e, node, 1, &value, &pattern_text) < 0)
        return -1;
    if (expr_pattern_compile(pattern_text.text, pattern_text.len, &pattern, &offset, e->err) < 0) {
        err_wrap(e->err, "at byte %zu of the pattern", offset);
        return fail_at(e, expr_operand(e->expr, node, 1));
    }
    result = expr_pattern_match(pattern, text->text, text->len, ret, e->err);
    expr_pattern_free(pattern);
    return result < 0 ? fail_at(e, node) : 0;
}

static int eval_match(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value left = EXPR_VALUE_NULL;
    struct expr_text text;
    bool matches = false;

    if (eval_operand(e, node, 0, &left) < 0 || match_text(e, node, 0, &left, &text) < 0)
        return -1;
    if (node->pattern) {
        if (expr_pattern_match(node->pattern, text.text, text.len, &matches, e->err) < 0)
            return fail_at(e, node);
    } else if (match_dynamic(e, node, &text, &matches) < 0) {
        return -1;
    }
    *ret = expr_bool(matches != node->flag);
    return 0;
}

/* Whether operand i of `in` is or holds the needle. */
static int is_in(struct evaluation *e, const struct expr_node *node, size_t i,
                 const struct expr_value *needle, bool *ret)
{
    const struct expr_node *operand = expr_operand(e->expr, node, i);
    bool literal_needle = expr_is_number_literal(expr_operand(e->expr, node, 0));
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    bool numeric = literal_needle || expr_is_number_literal(operand);

    if (eval(e, operand, &value) < 0)
        return -1;
    if (value.kind == EXPR_JSON && json_is_array(value.json)) {
        *ret = expr_list_contains(value.json, needle, literal_needle);
        return 0;
    }
    if (node->flag) {
        *ret = expr_values_equal(needle, &value, numeric || expr_values_numeric(needle, &value));
        return 0;
    }
    *ret = false;
    if (value.kind == EXPR_NULL)
        return 0;
    err_set(e->err, ERR_INVALID,
            "\"in\" takes a list, not %s; contains() looks for a part of a text",
            expr_value_type(&value));
    return fail_at(e, operand);
}

static int eval_in(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value needle = EXPR_VALUE_NULL;
    bool found = false;

    if (eval_operand(e, node, 0, &needle) < 0)
        return -1;
    for (size_t i = 1; i < node->count && !found; i++) {
        if (is_in(e, node, i, &needle, &found) < 0)
            return -1;
    }
    *ret = expr_bool(found);
    return 0;
}

/* Null if there is no such member. */
static struct expr_value member(const struct expr_value *value, const struct expr_value *key)
{
    struct expr_value number;
    struct expr_text text;

    if (value->kind != EXPR_JSON || !expr_value_text(key, &text))
        return (struct expr_value)EXPR_VALUE_NULL;
    if (json_is_object(value->json))
        return expr_from_json(json_object_get(value->json, text.text));
    if (!expr_parse_number(text.text, text.len, &number) || number.kind != EXPR_INTEGER ||
        number.integer < 0)
        return (struct expr_value)EXPR_VALUE_NULL;
    return expr_from_json(json_array_get(value->json, (size_t)number.integer));
}

static int eval_member(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;

    if (eval_operand(e, node, 0, &value) < 0)
        return -1;
    for (size_t i = 1; i < node->count; i++) {
        CLEANUP_EXPR_VALUE struct expr_value key = EXPR_VALUE_NULL;
        struct expr_value found;

        if (eval_operand(e, node, i, &key) < 0)
            return -1;
        found = member(&value, &key);
        expr_value_release(&value);
        value = found;
    }
    *ret = value;
    value = (struct expr_value)EXPR_VALUE_NULL;
    return 0;
}

static int call_with(struct evaluation *e, const struct expr_node *node, struct expr_value *args,
                     struct expr_value *ret)
{
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;
    struct expr_call call = {.function = node->function,
                             .scope = e->scope,
                             .args = args,
                             .count = node->count,
                             .wrong = node->count};

    for (size_t i = 0; i < node->count; i++) {
        if (eval_operand(e, node, i, &args[i]) < 0)
            return -1;
    }
    if (node->function->run(&call, &value, e->err) < 0)
        return fail_at(e,
                       call.wrong < node->count ? expr_operand(e->expr, node, call.wrong) : node);
    *ret = value;
    value = (struct expr_value)EXPR_VALUE_NULL;
    return 0;
}

static int eval_call(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    struct expr_value few[FEW];
    struct expr_value *args = few;
    int result;

    if (node->count > FEW)
        args = xcalloc(node->count, sizeof(*args));
    for (size_t i = 0; i < node->count; i++)
        args[i] = (struct expr_value)EXPR_VALUE_NULL;
    result = call_with(e, node, args, ret);
    for (size_t i = 0; i < node->count; i++)
        expr_value_release(&args[i]);
    if (args != few)
        free(args);
    return result;
}

/* *ret is set on success only. */
static int eval(struct evaluation *e, const struct expr_node *node, struct expr_value *ret)
{
    switch ((enum expr_node_type)node->type) {
    case NODE_LITERAL:
        *ret = literal(e->expr, node);
        return 0;
    case NODE_NAME:
        return eval_name(e, node, ret);
    case NODE_NOT:
        return eval_not(e, node, ret);
    case NODE_AND:
        return eval_chain(e, node, false, ret);
    case NODE_OR:
        return eval_chain(e, node, true, ret);
    case NODE_COMPARE:
        return eval_compare(e, node, ret);
    case NODE_MATCH:
        return eval_match(e, node, ret);
    case NODE_IN:
        return eval_in(e, node, ret);
    case NODE_MEMBER:
        return eval_member(e, node, ret);
    case NODE_CALL:
        break;
    }
    return eval_call(e, node, ret);
}

int expr_eval(const struct expr *expr, const struct expr_scope *scope, struct expr_value *ret,
              size_t *ret_offset, struct err *err)
{
    struct evaluation e = {.expr = expr, .scope = scope, .err = err};

    if (eval(&e, &expr->nodes[expr->root], ret) == 0)
        return 0;
    if (ret_offset)
        *ret_offset = e.error_at;
    return -1;
}

int expr_eval_bool(const struct expr *expr, const struct expr_scope *scope, bool *ret,
                   size_t *ret_offset, struct err *err)
{
    CLEANUP_EXPR_VALUE struct expr_value value = EXPR_VALUE_NULL;

    if (expr_eval(expr, scope, &value, ret_offset, err) < 0)
        return -1;
    *ret = expr_value_truth(&value);
    return 0;
}
