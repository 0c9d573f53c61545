#include <string.h>

#include "expr/node.h"

int expr_check(const struct expr *expr, expr_visit_fn visit, void *arg, size_t *ret_offset,
               struct err *err)
{
    static const char *const any_env[] = {"env", NULL};

    for (size_t i = 0; i < expr->node_count; i++) {
        const struct expr_node *node = &expr->nodes[i];
        int result = 0;

        if (node->type == NODE_NAME)
            result = visit(arg, expr->paths + node->first, node->count, node->at, err);
        else if (node->type == NODE_CALL && strcmp(node->function->name, "env") == 0)
            result = visit(arg, any_env, 1, node->at, err);
        if (result < 0) {
            if (ret_offset)
                *ret_offset = node->at;
            return -1;
        }
    }
    return 0;
}

bool expr_uses_status(const struct expr *expr)
{
    return expr->uses_status;
}

bool expr_is_constant(const struct expr *expr)
{
    return expr->constant;
}
