#include "reap/sweep.h"

enum { SETTLE_MS = 250 };

static int sweep_instance(const struct ctx *ctx, const struct engine *engine,
                          struct engine_instance *instance, const struct sweep_request *request,
                          size_t *ret_count, struct err *err)
{
    size_t total = 0;

    for (int empty = 0; empty < 2;) {
        size_t count = 0;

        if (engine->sweep(ctx, instance, request, &count, err) < 0)
            return -1;
        total += count;
        empty = count ? 0 : empty + 1;
        /* A local engine has no requests in flight, and has looked twice itself. */
        if (request->dry_run ||
            (engine->capabilities & (ENGINE_LOCAL | ENGINE_DEPLOYS)) == ENGINE_LOCAL)
            break;
        if (empty == 1 && ctx_sleep(ctx, SETTLE_MS, err) < 0)
            return -1;
    }
    *ret_count = total;
    return 0;
}

int sweep_endpoint(const struct ctx *ctx, const struct engine *const *engines,
                   const struct engine_services *services, const char *url,
                   const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    const struct engine *engine = engine_find(engines, url);
    struct engine_services reaper = *services;
    struct engine_instance *instance;
    int result;

    if (!engine || !engine->sweep)
        return err_set(err, ERR_UNSUPPORTED, "no engine of this program can sweep %s", url);
    reaper.run = NULL; /* nothing is made for it any more */
    if (engine->connect(ctx, &reaper, url, &instance, err) < 0)
        return -1;
    result = sweep_instance(ctx, engine, instance, request, ret_count, err);
    engine->disconnect(instance);
    return result;
}
