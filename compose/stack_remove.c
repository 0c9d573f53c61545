/* Removing: services first, then, once their tasks are gone, what these have used. */
#include <string.h>

#include "apis/docker/swarm.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "compose/stack_internal.h"

enum { POLL_MS = 100, FORGET_MS = 5000, EARLIER_MS = 20000 };

static bool is_among(const struct strvec *ids, const char *id)
{
    for (size_t i = 0; ids && i < ids->len; i++) {
        if (strcmp(ids->items[i], id) == 0)
            return true;
    }
    return !ids;
}

/* A task that has ended stays in the list until its node has cleaned up after it. That is worth a
 * moment, but a node that is lost never does. */
int stack_wait_gone(const struct ctx *ctx, struct docker_client *docker, const char *name,
                    const struct strvec *ids, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(name, &text);
    int64_t ended_ms = 0;

    for (;;) {
        CLEANUP_DOCKER_TASK_LIST struct docker_task_list tasks = {0};
        size_t listed = 0;
        size_t running = 0;

        if (docker_task_list(ctx, docker, &filter, 1, &tasks, err) < 0)
            return -1;
        for (size_t i = 0; i < tasks.len; i++) {
            bool ours = is_among(ids, tasks.items[i].service_id);

            listed += ours;
            running += ours && tasks.items[i].state <= DOCKER_TASK_RUNNING;
        }
        if (!running && !ended_ms)
            ended_ms = clock_monotonic_ms();
        if (!listed || (!running && clock_monotonic_ms() - ended_ms > FORGET_MS))
            return 0;
        if (ctx_sleep(ctx, POLL_MS, err) < 0)
            return -1;
    }
}

static int remove_thing(const struct ctx *ctx, struct docker_client *docker,
                        const struct stack_thing *thing, struct err *err)
{
    switch (thing->kind) {
    case STACK_SERVICE:
        return docker_service_remove(ctx, docker, thing->id, err);
    case STACK_NETWORK:
        return docker_network_remove(ctx, docker, thing->id, err);
    case STACK_SECRET:
        return docker_swarm_object_remove(ctx, docker, DOCKER_SECRET, thing->id, err);
    case STACK_CONFIG:
        return docker_swarm_object_remove(ctx, docker, DOCKER_CONFIG, thing->id, err);
    }
    return 0;
}

/* The swarm knows a little longer than its task list that something is in use. */
static bool is_in_use(const struct err *why)
{
    return strstr(why->message, "in use") || strstr(why->message, "active endpoints");
}

/* With the status 500 when it is a network that a node still holds. */
static bool is_gone(const struct err *why)
{
    return why->code == ERR_NOT_FOUND || strstr(why->message, " not found");
}

static int remove_patiently(const struct ctx *ctx, struct docker_client *docker,
                            const struct stack_thing *thing, struct err *err)
{
    for (int i = 0;; i++) {
        struct err why = ERR_INIT;

        if (remove_thing(ctx, docker, thing, &why) == 0 || is_gone(&why))
            return 0;
        if (!is_in_use(&why) || i == 100)
            return err_set(err, why.code, "%s %s: %s", stack_kind_name(thing->kind), thing->name,
                           why.message);
        if (ctx_sleep(ctx, POLL_MS, err) < 0)
            return -1;
    }
}

/* All of a kind, also when one of them cannot be removed; the first error is returned. */
static int remove_kind(const struct ctx *ctx, struct docker_client *docker,
                       const struct stack_record *things, enum stack_kind kind,
                       const struct stack_sink *sink, struct strvec *removed, struct err *err)
{
    int result = 0;

    for (size_t i = things->created.len; i-- > 0;) {
        const struct stack_thing *thing = &things->created.items[i];
        struct err why = ERR_INIT;

        if (thing->kind != kind)
            continue;
        stack_say(sink, STACK_NOTE_STEP, "removing %s %s", stack_kind_name(kind), thing->name);
        if (remove_patiently(ctx, docker, thing, &why) == 0) {
            strvec_push(removed, thing->id);
            continue;
        }
        stack_say(sink, STACK_NOTE_WARNING, "%s", why.message);
        if (result == 0 && err)
            *err = why;
        result = -1;
    }
    return result;
}

/* Tasks of services that a removal which was broken off has removed may still be stopping: a node
 * keeps a network that was removed under them for a while, and nothing can use or remove it then.
 * It is waited for them in vain where their node is lost. */
static int wait_for_earlier(const struct ctx *ctx, struct docker_client *docker, const char *name,
                            struct err *err)
{
    struct err why = ERR_INIT;
    struct ctx limited;
    int result;

    ctx_init(&limited, ctx);
    ctx_set_timeout(&limited, EARLIER_MS, "stack rm");
    result = stack_wait_gone(&limited, docker, name, NULL, &why);
    ctx_release(&limited);
    if (result == 0 || (why.code == ERR_TIMEOUT && !ctx_done(ctx)))
        return 0;
    if (err)
        *err = why;
    return -1;
}

/* all: of the stack, and not only some of it. */
static int remove_things(const struct ctx *ctx, struct docker_client *docker, const char *name,
                         const struct stack_record *things, bool all, const struct stack_sink *sink,
                         struct err *err)
{
    static const enum stack_kind after[] = {STACK_SECRET, STACK_CONFIG, STACK_NETWORK};
    CLEANUP_STRVEC struct strvec services = {0};
    CLEANUP_STRVEC struct strvec others = {0};
    int result = remove_kind(ctx, docker, things, STACK_SERVICE, sink, &services, err);

    if (services.len && stack_wait_gone(ctx, docker, name, &services, result ? NULL : err) < 0)
        return -1;
    if (all && result == 0 && wait_for_earlier(ctx, docker, name, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(after) / sizeof(*after); i++) {
        if (remove_kind(ctx, docker, things, after[i], sink, &others, result ? NULL : err) < 0)
            result = -1;
    }
    return result;
}

int stack_take_back(const struct ctx *ctx, struct docker_client *docker,
                    const struct stack_record *record, const struct stack_options *options,
                    struct err *err)
{
    int result = remove_things(ctx, docker, options->name, record, false, &options->sink, err);

    for (size_t i = 0; i < record->updated.len; i++)
        stack_say(&options->sink, STACK_NOTE_WARNING,
                  "service %s was updated and stays so; \"docker service rollback %s\" would bring "
                  "back what it was",
                  record->updated.items[i], record->updated.items[i]);
    for (size_t i = 0; i < record->removed.len; i++)
        stack_say(&options->sink, STACK_NOTE_WARNING,
                  "service %s was removed, as it is not part of the stack any more, and stays so",
                  record->removed.items[i]);
    return result;
}

static int find_objects(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filter, struct stack_record *things,
                        struct err *err)
{
    static const enum docker_swarm_kind kinds[] = {DOCKER_CONFIG, DOCKER_SECRET};

    for (size_t k = 0; k < 2; k++) {
        CLEANUP_DOCKER_SWARM_OBJECT_LIST struct docker_swarm_object_list list = {0};

        if (docker_swarm_object_list(ctx, docker, kinds[k], filter, 1, &list, err) < 0)
            return -1;
        for (size_t i = 0; i < list.len; i++)
            stack_record_created(things, kinds[k] == DOCKER_SECRET ? STACK_SECRET : STACK_CONFIG,
                                 list.items[i].id, list.items[i].name);
    }
    return 0;
}

/* All that bears the name of the stack. */
static int find_things(const struct ctx *ctx, struct docker_client *docker, const char *name,
                       struct stack_record *things, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(name, &text);
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list services = {0};
    CLEANUP_DOCKER_NETWORK_LIST struct docker_network_list networks = {0};

    if (docker_network_list(ctx, docker, &filter, 1, &networks, err) < 0 ||
        find_objects(ctx, docker, &filter, things, err) < 0 ||
        docker_service_list(ctx, docker, &filter, 1, &services, err) < 0)
        return -1;
    for (size_t i = 0; i < networks.len; i++)
        stack_record_created(things, STACK_NETWORK, networks.items[i].id, networks.items[i].name);
    for (size_t i = 0; i < services.len; i++)
        stack_record_created(things, STACK_SERVICE, services.items[i].id, services.items[i].name);
    return 0;
}

int stack_remove(const struct ctx *ctx, struct docker_client *docker, const char *name,
                 const struct stack_sink *sink, struct err *err)
{
    CLEANUP_STACK_RECORD struct stack_record things = {0};

    if (stack_check_name(name, err) < 0 || docker_swarm_check_manager(ctx, docker, err) < 0 ||
        find_things(ctx, docker, name, &things, err) < 0)
        return -1;
    if (!things.created.len)
        return err_set(err, ERR_NOT_FOUND, "there is nothing of a stack \"%s\"", name);
    return remove_things(ctx, docker, name, &things, true, sink, err);
}
