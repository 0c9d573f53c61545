#include "expr/builder.h"

#include <string.h>

#include "base/alloc.h"

static void free_patterns(const struct expr_node *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i].type == NODE_MATCH)
            expr_pattern_free(nodes[i].pattern);
    }
}

void builder_release(struct builder *b)
{
    free_patterns(b->nodes.items, b->nodes.len);
    vec_release(&b->nodes);
    vec_release(&b->links);
    vec_release(&b->pending);
    vec_release(&b->paths);
    buf_release(&b->pool);
}

uint32_t builder_add(struct builder *b, struct expr_node node)
{
    vec_push(&b->nodes, node);
    return (uint32_t)(b->nodes.len - 1);
}

void builder_push(struct builder *b, uint32_t node)
{
    vec_push(&b->pending, node);
}

size_t builder_mark(const struct builder *b)
{
    return b->pending.len;
}

uint32_t builder_add_parent(struct builder *b, struct expr_node node, size_t mark)
{
    node.first = (uint32_t)b->links.len;
    node.count = (uint32_t)(b->pending.len - mark);
    for (size_t i = mark; i < b->pending.len; i++)
        vec_push(&b->links, b->pending.items[i]);
    b->pending.len = mark;
    return builder_add(b, node);
}

const struct expr_node *builder_operand(const struct builder *b, size_t mark, size_t i)
{
    return &b->nodes.items[b->pending.items[mark + i]];
}

uint32_t builder_add_text(struct builder *b, size_t at, size_t first)
{
    struct expr_node node = {.type = NODE_LITERAL,
                             .kind = EXPR_STRING,
                             .at = (uint32_t)at,
                             .first = (uint32_t)first,
                             .count = (uint32_t)(b->pool.len - first)};

    buf_addch(&b->pool, '\0');
    return builder_add(b, node);
}

struct expr_node builder_begin_name(const struct builder *b, size_t at)
{
    return (
        struct expr_node){.type = NODE_NAME, .at = (uint32_t)at, .first = (uint32_t)b->paths.len};
}

void builder_add_part(struct builder *b, const char *text, size_t len)
{
    vec_push(&b->paths, (uint32_t)b->pool.len);
    buf_add(&b->pool, text, len);
    buf_addch(&b->pool, '\0');
}

void builder_add_pooled_part(struct builder *b, uint32_t first)
{
    vec_push(&b->paths, first);
}

uint32_t builder_end_name(struct builder *b, struct expr_node name)
{
    name.count = (uint32_t)(b->paths.len - name.first);
    vec_push(&b->paths, UINT32_MAX);
    b->not_constant = true;
    return builder_add(b, name);
}

static void *put(char **at, const void *data, size_t size)
{
    void *here = *at;

    if (size)
        memcpy(here, data, size);
    *at += size;
    return here;
}

struct expr *builder_finish(struct builder *b, uint32_t root)
{
    size_t nodes = b->nodes.len * sizeof(*b->nodes.items);
    size_t paths = b->paths.len * sizeof(char *);
    size_t links = b->links.len * sizeof(*b->links.items);
    char *at = xmalloc(sizeof(struct expr) + nodes + paths + links + b->pool.len);
    struct expr *expr = (struct expr *)at;
    const char **path;

    at += sizeof(*expr);
    *expr = (struct expr){.node_count = b->nodes.len,
                          .root = root,
                          .uses_status = b->uses_status,
                          .constant = !b->not_constant};
    expr->nodes = put(&at, b->nodes.items, nodes);
    path = (const char **)at;
    expr->paths = path;
    at += paths;
    expr->links = put(&at, b->links.items, links);
    expr->pool = put(&at, b->pool.data, b->pool.len);
    for (size_t i = 0; i < b->paths.len; i++)
        path[i] = b->paths.items[i] == UINT32_MAX ? NULL : expr->pool + b->paths.items[i];
    b->nodes.len = 0;
    return expr;
}

void expr_free(struct expr *expr)
{
    if (!expr)
        return;
    free_patterns(expr->nodes, expr->node_count);
    free(expr);
}
