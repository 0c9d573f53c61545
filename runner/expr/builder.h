/* A tree that grows: vectors with numbers for what will be pointers, copied into the one allocation
 * of struct expr at the end.
 *
 *     size_t mark = builder_mark(&b);
 *     builder_push(&b, left), builder_push(&b, right);
 *     root = builder_add_parent(&b, node, mark);
 *     expr = builder_finish(&b, root);                 or nothing, after an error
 *     builder_release(&b); */
#pragma once

#include "base/vec.h"
#include "expr/node.h"

struct builder {
    VEC(struct expr_node)
    nodes;
    VEC(uint32_t)
    links;
    VEC(uint32_t)
    pending; /* operands of the nodes that are not complete yet */
    VEC(uint32_t)
    paths; /* bytes of pool; UINT32_MAX: the end of a name */
    struct buf pool;
    bool uses_status;
    bool not_constant;
};

#define BUILDER_INIT                                                                               \
    {                                                                                              \
        .pool = BUF_INIT                                                                           \
    }

/* Also frees the patterns, if the tree was not finished. */
void builder_release(struct builder *b);

/* Adds a node without operands. */
uint32_t builder_add(struct builder *b, struct expr_node node);
/* Makes the node an operand of what is added next. */
void builder_push(struct builder *b, uint32_t node);
size_t builder_mark(const struct builder *b);
/* Adds a node whose operands are all that were pushed since `mark`. */
uint32_t builder_add_parent(struct builder *b, struct expr_node node, size_t mark);
/* Operand i of those pushed since `mark`. */
const struct expr_node *builder_operand(const struct builder *b, size_t mark, size_t i);

/* Closes the text that began at byte `first` of the pool, as a literal. */
uint32_t builder_add_text(struct builder *b, size_t at, size_t first);
/* A name: its parts one after the other from builder_begin_name() on, then its node. */
struct expr_node builder_begin_name(const struct builder *b, size_t at);
void builder_add_part(struct builder *b, const char *text, size_t len);
/* A part that is in the pool already. */
void builder_add_pooled_part(struct builder *b, uint32_t first);
uint32_t builder_end_name(struct builder *b, struct expr_node name);

struct expr *builder_finish(struct builder *b, uint32_t root) __attribute__((returns_nonnull));
