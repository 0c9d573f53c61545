#include "exec/concurrency.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "exec/values.h"

struct waiter {
    struct run *run;
    struct node *node;
};

static void tell(void *arg, const char *text)
{
    const struct waiter *waiter = arg;

    event_bus_note(waiter->run->bus, waiter->node, "%s", text);
}

/* The group's name; NULL in *ret when it comes to nothing. */
static int expand_group(struct run *run, const struct ctx *ctx,
                        const struct spec_concurrency *concurrency, const struct plan_scope *scope,
                        char **ret, struct err *err)
{
    CLEANUP_PLAN_SETTINGS struct plan_settings settings = {0};
    struct values values = {.run = run, .ctx = ctx};
    struct plan_runtime runtime;
    char *group;

    values_init(&runtime, &values, NULL);
    if (plan_settings_resolve(run->plan, scope, &runtime, &settings, NULL, NULL, err) < 0 ||
        plan_expand(run->plan, &settings, &concurrency->group, &group, NULL, NULL, err) < 0)
        return -1;
    if (!*group) {
        free(group);
        group = NULL;
    }
    *ret = group;
    return 0;
}

int concurrency_enter(struct run *run, const struct ctx *ctx,
                      const struct spec_concurrency *concurrency, const struct plan_scope *scope,
                      struct node *node, struct own_group **ret, struct err *err)
{
    bool whole = node->level == NODE_PIPELINE;
    struct waiter waiter = {run, node};
    CLEANUP_FREE char *group = NULL;
    CLEANUP_FREE char *what = NULL;
    struct own_group_request request = {.run_id = run->id,
                                        .whole = whole,
                                        .waiting = tell,
                                        .arg = &waiter};

    *ret = NULL;
    if (!concurrency)
        return 0;
    if (expand_group(run, ctx, concurrency, scope, &group, err) < 0)
        return -1;
    if (!group)
        return 0;
    what = whole ? xasprintf("pipeline \"%s\"", run->plan->name)
                 : xasprintf("job \"%s\" of pipeline \"%s\"", node->name, run->plan->name);
    request.name = group;
    request.what = what;
    request.cancel = concurrency->cancel_in_progress == SPEC_TRUE;
    return own_group_enter(ctx, &request, ret, err);
}
