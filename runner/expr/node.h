/* The tree of a parsed expression, as the parser and the evaluator of this folder know it.
 *
 * Nodes stand in one array, operands before what uses them, so that the names appear in the order
 * of the text. Everything is in one allocation: nodes, links (numbers of operands), parts of names,
 * and the bytes of texts. */
#pragma once

#include <stdint.h>

#include "expr/expr.h"
#include "expr/function.h"
#include "expr/pattern.h"

enum expr_node_type {
    NODE_LITERAL, /* kind and boolean, integer, real, or text at pool[first], count bytes long */
    NODE_NAME,    /* paths[first], count parts, NULL */
    NODE_NOT,     /* one operand */
    NODE_AND,     /* two or more */
    NODE_OR,
    NODE_COMPARE, /* two; op */
    NODE_MATCH,   /* two, or one and a pattern; negated */
    NODE_IN,      /* the needle, then the list or its elements */
    NODE_MEMBER,  /* a value, then one or more keys */
    NODE_CALL,    /* function; arguments */
};

enum expr_op { OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE };

struct expr_node {
    uint8_t type;
    uint8_t kind; /* of a literal */
    uint8_t op;   /* of a comparison */
    bool flag;    /* NODE_MATCH: negated; NODE_IN: a list in parentheses */
    uint32_t at;  /* byte of the text; of binary operators the operator's */
    uint32_t first;
    uint32_t count;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct expr_pattern *pattern;
        const struct expr_function *function;
    };
};

struct expr {
    const struct expr_node *nodes;
    const uint32_t *links;
    const char *const *paths;
    const char *pool;
    size_t node_count;
    uint32_t root;
    bool uses_status;
    bool constant;
};

static inline const struct expr_node *expr_operand(const struct expr *expr,
                                                   const struct expr_node *node, size_t i)
{
    return &expr->nodes[expr->links[node->first + i]];
}

/* A number that was written as one, which makes a comparison numeric. */
static inline bool expr_is_number_literal(const struct expr_node *node)
{
    return node->type == NODE_LITERAL && (node->kind == EXPR_INTEGER || node->kind == EXPR_REAL);
}
