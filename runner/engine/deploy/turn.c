/* One step at a time brings up or removes what has a name, by the tickets of own/group.h. */
#include "base/alloc.h"
#include "base/logger.h"
#include "engine/deploy/instance.h"
#include "own/group.h"

struct waiting {
    const struct ctx *ctx;
    struct deployed *deployed;
};

static void tell_waiting(void *arg, const char *text)
{
    const struct waiting *w = arg;

    if (w->deployed->output)
        deployed_say(w->deployed, w->ctx, OUTPUT_STDERR, "%s", text);
    else
        log_info("deploy", "%s", text);
}

int deployed_enter(const struct ctx *ctx, struct deployed *deployed, struct err *err)
{
    const struct deploy_instance *instance = deployed->instance;
    CLEANUP_FREE char *name =
        xasprintf("%s on %s://%s", deployed->name, instance->engine->name, instance->noted);
    CLEANUP_FREE char *what = xasprintf("step \"%s\"", deployed->step);
    struct waiting waiting = {ctx, deployed};
    const struct own_group_request request = {.name = name,
                                              .title = "deployment",
                                              .run_id = own_run_id(instance->services->run),
                                              .what = what,
                                              .waiting = tell_waiting,
                                              .arg = &waiting};

    return own_group_enter(ctx, &request, &deployed->turn, err);
}

void deployed_leave(struct deployed *deployed)
{
    own_group_leave(steal_ptr(&deployed->turn));
}
