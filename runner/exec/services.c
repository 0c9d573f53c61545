#include "exec/services.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "exec/background.h"
#include "exec/places.h"
#include "step/service.h"

struct service {
    struct node node;
    struct service_lowered *lowered;
    struct background *background;
    struct strmap published; /* "5432" → "127.0.0.1:32768" */
};

struct services {
    struct run *run;
    const struct services *outer;
    struct ctx ctx;         /* ends when they are stopped, not before */
    struct open_place open; /* where all of them run; `place` NULL: not open */
    bool shared;            /* that is one of the job's places */
    struct background_group group;
    struct service *items;
    size_t len;
};

/* --- starting --- */

/* Beside the ids of the level's own objects, not below it: who removes those leaves these alone. */
static void add_place_id(const struct services *services, const struct node *node, struct buf *id)
{
    node_id(node, services->run->id, id);
    buf_addstr(id, "-services");
}

static int lower(struct services *services, const struct services_what *what,
                 const struct spec_service *spec, struct service *service, struct err *err)
{
    CLEANUP_BUF struct buf id = BUF_INIT;

    service->node = (struct node){.parent = what->node,
                                  .name = spec->name.text,
                                  .level = NODE_SERVICE,
                                  .number = what->node->number};
    add_place_id(services, what->node, &id);
    buf_addf(&id, ".%s", spec->name.text);
    if (service_lower(services->run->plan, what->scope, what->runtime, spec, id.data,
                      &service->lowered, err) < 0)
        return -1;
    secrets_mask_step(services->run, service->lowered->url, service->lowered->lowered);
    return 0;
}

static int open_own(struct services *services, const struct ctx *ctx,
                    const struct services_what *what, const struct runnable *const *expected,
                    struct err *err)
{
    struct open_place *open = &services->open;
    CLEANUP_BUF struct buf id = BUF_INIT;
    const struct plan_settings *settings = &services->items[0].lowered->settings;
    struct place_options options = {.name = what->node->name,
                                    .workspace = services->run->plan->workdir,
                                    .services = true,
                                    .expected = expected,
                                    .expected_count = services->len,
                                    .kubernetes = settings->kubernetes,
                                    .timeout_ms = plan_timeout_ms(what->scope),
                                    .schedule_timeout_ms = settings->schedule_timeout_ms};

    add_place_id(services, what->node, &id);
    options.id = id.data;
    return open->engine->open(ctx, open->instance, &options, &open->place, err);
}

/* On the engine of their level, which is the same for all of them. */
static int open_place(struct services *services, const struct ctx *ctx,
                      const struct services_what *what, struct err *err)
{
    const char *url = services->items[0].lowered->url;
    struct open_place *open = &services->open;
    CLEANUP_FREE const struct runnable **expected = xcalloc(services->len, sizeof(*expected));
    struct open_place beside_steps = {0};

    if (instances_get(services->run->instances, ctx, url, &open->instance, &open->engine, err) < 0)
        return -1;
    if (!(open->engine->capabilities & ENGINE_SERVICES))
        return err_set(err, ERR_UNSUPPORTED, "the engine %s has no services", open->engine->name);
    for (size_t i = 0; i < services->len; i++)
        expected[i] = &services->items[i].lowered->lowered->runnable;
    if (what->places && (open->engine->capabilities & ENGINE_PODS) &&
        places_open_for(what->places, ctx, url, expected, services->len, &beside_steps, err) < 0)
        return -1;
    services->shared = beside_steps.place != NULL;
    if (!services->shared)
        return open_own(services, ctx, what, expected, err);
    *open = beside_steps;
    return 0;
}

static int start_one(struct services *services, struct service *service, struct err *err)
{
    const struct background_what background = {.node = &service->node,
                                               .open = services->open,
                                               .runnable = &service->lowered->lowered->runnable,
                                               .ready = service->lowered->lowered->ready};

    return backgrounds_start(&services->group, &services->ctx, &background, &service->background,
                             err);
}

/* *ret_failed: the service that it is about; NULL: none. */
static int start_all(struct services *services, const struct ctx *ctx,
                     const struct services_what *what, struct service **ret_failed, struct err *err)
{
    for (size_t i = 0; i < services->len; i++) {
        *ret_failed = &services->items[i];
        if (lower(services, what, &what->spec->items[i], *ret_failed, err) < 0)
            return -1;
    }
    *ret_failed = NULL;
    if (open_place(services, ctx, what, err) < 0)
        return err_wrap(err, "services");
    for (size_t i = 0; i < services->len; i++) {
        *ret_failed = &services->items[i];
        if (start_one(services, *ret_failed, err) < 0)
            return -1;
    }
    *ret_failed = NULL;
    return 0;
}

static struct service *service_of(struct services *services, const struct background *background)
{
    for (size_t i = 0; background && i < services->len; i++) {
        if (services->items[i].background == background)
            return &services->items[i];
    }
    return NULL;
}

static int await_all(struct services *services, const struct ctx *ctx, struct service **ret_failed,
                     struct err *err)
{
    const struct background *failed = NULL;

    if (backgrounds_await(&services->group, ctx, &failed, err) < 0) {
        *ret_failed = service_of(services, failed);
        return -1;
    }
    for (size_t i = 0; i < services->len; i++) {
        struct service *service = &services->items[i];

        *ret_failed = service;
        if (service->lowered->shape.port_count && services->open.engine->published &&
            services->open.engine->published(ctx, services->open.place,
                                             &service->lowered->lowered->runnable,
                                             &service->published, err) < 0)
            return -1;
        event_bus_note(services->run->bus, &service->node, "ready");
    }
    return 0;
}

void services_stop(struct services *services)
{
    if (!services)
        return;
    backgrounds_cancel(&services->group);
    backgrounds_join(&services->group);
}

void services_free(struct services *services)
{
    if (!services)
        return;
    if (services->open.place && !services->shared)
        services->open.engine->close(services->open.place);
    backgrounds_release(&services->group);
    ctx_release(&services->ctx);
    for (size_t i = 0; i < services->len; i++) {
        service_lowered_free(services->items[i].lowered);
        strmap_release(&services->items[i].published);
    }
    free(services->items);
    free(services);
}

/* The reason, and what counts for `retry`, are those of the service. */
static void outcome_of_service(const struct ctx *ctx, const struct service *failed,
                               const struct err *err, struct outcome *ret)
{
    struct err named = *err;

    if (failed)
        err_wrap(&named, "service \"%s\"", failed->node.name);
    outcome_of_error(ctx, &named, ret);
    if (failed && failed->background && atomic_load(&failed->background->ended) &&
        failed->background->result == 0)
        ret->result.by_engine = false;
}

int services_start(struct run *run, const struct ctx *ctx, const struct services_what *what,
                   struct services **ret, struct outcome *ret_end)
{
    struct services *services;
    struct service *failed = NULL;
    struct err err = ERR_INIT;

    *ret = NULL;
    if (!what->spec->len)
        return 0;
    services = xcalloc(1, sizeof(*services));
    services->run = run;
    services->outer = what->outer;
    services->len = what->spec->len;
    services->items = xcalloc(services->len, sizeof(*services->items));
    ctx_init_cleanup(&services->ctx, 0);
    services->ctx.hurry = ctx->hurry;
    if (backgrounds_init(&services->group, run, &err) == 0 &&
        start_all(services, ctx, what, &failed, &err) == 0 &&
        await_all(services, ctx, &failed, &err) == 0) {
        *ret = services;
        return 0;
    }
    services_stop(services);
    if (err.code == ERR_UNAVAILABLE)
        atomic_store(&run->unavailable, true);
    outcome_of_service(ctx, failed, &err, ret_end);
    if (failed && failed->background)
        ret_end->result.tail = ret_end->tail = steal_ptr(&failed->background->tail);
    services_free(services);
    return -1;
}

/* --- looking --- */

/* "my-db" and "HOST" become "PIPELINE_SERVICE_MY_DB_HOST". */
static char *variable(const char *service, const char *what)
{
    char *name = xasprintf("PIPELINE_SERVICE_%s_%s", service, what);

    for (char *c = name; *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)toupper((unsigned char)*c) : '_';
    return name;
}

static void set_variable(struct strmap *environment, const char *service, const char *what,
                         const char *value)
{
    CLEANUP_FREE char *name = variable(service, what);

    strmap_set(environment, name, value);
}

static void add_port(const struct service *service, const struct port_mapping *port, bool local,
                     bool first, struct strmap *environment)
{
    CLEANUP_FREE char *key = xasprintf("%u%s", port->port, port->udp ? "/udp" : "");
    CLEANUP_FREE char *what = xasprintf("PORT_%u%s", port->port, port->udp ? "_UDP" : "");
    CLEANUP_FREE char *own = xasprintf("%u", port->port);
    const char *published = strmap_get(&service->published, key);
    const char *value = local ? (published ? strrchr(published, ':') + 1 : NULL) : own;

    if (!value)
        return;
    set_variable(environment, service->node.name, what, value);
    if (first)
        set_variable(environment, service->node.name, "PORT", value);
    if (first && local) {
        CLEANUP_FREE char *host =
            xstrndup(published, (size_t)(strrchr(published, ':') - published));

        set_variable(environment, service->node.name, "HOST", host);
    }
}

void services_environment(const struct services *services, bool local, struct strmap *environment)
{
    if (!services)
        return;
    services_environment(services->outer, local, environment);
    for (size_t i = 0; i < services->len; i++) {
        const struct service *service = &services->items[i];
        const struct service_shape *shape = &service->lowered->shape;

        if (!local)
            set_variable(environment, service->node.name, "HOST", service->node.name);
        for (size_t j = 0; j < shape->port_count; j++)
            add_port(service, &shape->ports[j], local, j == 0, environment);
    }
}

size_t services_places(const struct services *services, const struct engine_instance *instance,
                       struct place *ret[PLACE_SERVICES_MAX])
{
    size_t count = 0;

    for (; services && count < PLACE_SERVICES_MAX; services = services->outer) {
        if (services->open.instance == instance)
            ret[count++] = services->open.place;
    }
    return count;
}
