#include "compose/state.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "compose/recipe.h"

enum {
    SETTLE_MS = 30000,
    SETTLE_PAUSE_MS = 100,
};

static char *label(const struct strmap *labels, const char *key)
{
    const char *value = strmap_get(labels, key);

    return xstrdup(value ? value : "");
}

static int number_of(const struct strmap *labels)
{
    const char *text = strmap_get(labels, COMPOSE_LABEL_NUMBER);
    int64_t number = 0;

    if (!text || parse_int64(text, &number, NULL) < 0 || number < 0 || number > INT32_MAX)
        return 0;
    return (int)number;
}

/* Takes what it can from the entry. */
static void add_container(struct compose_state *state, struct docker_container_entry *entry)
{
    const char *oneoff = strmap_get(&entry->labels, COMPOSE_LABEL_ONEOFF);
    struct compose_container container = {
        .id = steal_ptr(&entry->id),
        .name = steal_ptr(&entry->name),
        .project = label(&entry->labels, COMPOSE_LABEL_PROJECT),
        .service = label(&entry->labels, COMPOSE_LABEL_SERVICE),
        .number = number_of(&entry->labels),
        .oneoff = oneoff && strcasecmp(oneoff, "true") == 0,
        .hash = label(&entry->labels, COMPOSE_LABEL_HASH),
        .config_hash = label(&entry->labels, COMPOSE_LABEL_CONFIG_HASH),
        .state = steal_ptr(&entry->state),
        .status = steal_ptr(&entry->status),
        .image = steal_ptr(&entry->image),
        .image_id = steal_ptr(&entry->image_id),
        .command = steal_ptr(&entry->command),
        .depends_on = label(&entry->labels, COMPOSE_LABEL_DEPENDS_ON),
        .created_s = entry->created_s,
        .networks = entry->networks,
        .addresses = entry->addresses,
        .ports = entry->ports,
        .port_count = entry->port_count,
        .difference = xstrdup(""),
    };

    entry->networks = entry->addresses = (struct strmap){0};
    entry->ports = NULL;
    entry->port_count = 0;
    vec_push(&state->containers, container);
}

static int by_service(const void *left, const void *right)
{
    const struct compose_container *a = left;
    const struct compose_container *b = right;
    int order = strcmp(a->service, b->service);

    if (!order)
        order = (a->number > b->number) - (a->number < b->number);
    return order ? order : strcmp(a->name, b->name);
}

static int read_containers(const struct ctx *ctx, struct docker_pending *pending,
                           struct compose_state *state, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER_LIST struct docker_container_list list = {0};

    if (docker_container_list_end(ctx, pending, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++)
        add_container(state, &list.items[i]);
    if (state->containers.len)
        qsort(state->containers.items, state->containers.len, sizeof(*state->containers.items),
              by_service);
    return 0;
}

static int read_networks(const struct ctx *ctx, struct docker_pending *pending,
                         struct compose_state *state, struct err *err)
{
    CLEANUP_DOCKER_NETWORK_LIST struct docker_network_list list = {0};

    if (docker_network_list_end(ctx, pending, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++) {
        struct docker_network *n = &list.items[i];

        vec_push(&state->networks, ((struct compose_network_seen){
                                       .id = steal_ptr(&n->id),
                                       .name = steal_ptr(&n->name),
                                       .project = label(&n->labels, COMPOSE_LABEL_PROJECT),
                                       .key = label(&n->labels, COMPOSE_LABEL_NETWORK),
                                       .hash = label(&n->labels, COMPOSE_LABEL_HASH),
                                   }));
    }
    return 0;
}

static int read_volumes(const struct ctx *ctx, struct docker_pending *pending,
                        struct compose_state *state, struct err *err)
{
    CLEANUP_DOCKER_VOLUME_LIST struct docker_volume_list list = {0};

    if (docker_volume_list_end(ctx, pending, &list, err) < 0)
        return -1;
    for (size_t i = 0; i < list.len; i++) {
        struct docker_volume *v = &list.items[i];

        vec_push(&state->volumes, ((struct compose_volume_seen){
                                      .name = steal_ptr(&v->name),
                                      .project = label(&v->labels, COMPOSE_LABEL_PROJECT),
                                      .key = label(&v->labels, COMPOSE_LABEL_VOLUME),
                                      .hash = label(&v->labels, COMPOSE_LABEL_HASH),
                                  }));
    }
    return 0;
}

void compose_state_call_release(struct compose_state_call *call)
{
    docker_pending_free(call->containers);
    docker_pending_free(call->networks);
    docker_pending_free(call->volumes);
    *call = (struct compose_state_call){0};
}

/* project: NULL: of all and of none. */
static int begin_containers(const struct ctx *ctx, struct docker_client *docker,
                            const char *project, struct docker_pending **ret, struct err *err)
{
    CLEANUP_FREE char *value = project ? xasprintf("%s=%s", COMPOSE_LABEL_PROJECT, project) : NULL;
    const struct docker_filter filter = {"label", value};

    return docker_container_list_begin(ctx, docker, true, &filter, project != NULL, ret, err);
}

int compose_state_begin(const struct ctx *ctx, struct docker_client *docker, const char *project,
                        struct compose_state_call *ret, struct err *err)
{
    CLEANUP_COMPOSE_STATE_CALL struct compose_state_call call = {0};

    if (begin_containers(ctx, docker, project, &call.containers, err) < 0 ||
        docker_network_list_begin(ctx, docker, NULL, 0, &call.networks, err) < 0 ||
        docker_volume_list_begin(ctx, docker, NULL, 0, &call.volumes, err) < 0)
        return -1;
    *ret = call;
    call = (struct compose_state_call){0};
    return 0;
}

int compose_state_end(const struct ctx *ctx, struct compose_state_call *call, const char *project,
                      struct compose_state *ret, struct err *err)
{
    CLEANUP_COMPOSE_STATE_CALL struct compose_state_call mine = *call;

    *call = (struct compose_state_call){0};
    compose_state_release(ret);
    ret->project = xstrdup(project);
    if (read_containers(ctx, steal_ptr(&mine.containers), ret, err) < 0 ||
        read_networks(ctx, steal_ptr(&mine.networks), ret, err) < 0 ||
        read_volumes(ctx, steal_ptr(&mine.volumes), ret, err) < 0)
        return -1;
    return 0;
}

int compose_state_read(const struct ctx *ctx, struct docker_client *docker, const char *project,
                       struct compose_state *ret, struct err *err)
{
    CLEANUP_COMPOSE_STATE_CALL struct compose_state_call call = {0};

    if (compose_state_begin(ctx, docker, NULL, &call, err) < 0)
        return -1;
    return compose_state_end(ctx, &call, project, ret, err);
}

/* Whether the daemon still creates one of those that it lists: it cannot be looked at then. */
static bool is_unsettled(const struct ctx *ctx, struct docker_client *docker,
                         const struct compose_state *state)
{
    vec_foreach (const struct compose_container *, c, &state->containers) {
        CLEANUP_DOCKER_CONTAINER struct docker_container now = {0};
        struct err why = ERR_INIT;

        if (compose_state_has(state, c) && strcmp(c->state, "created") == 0 &&
            docker_container_inspect(ctx, docker, c->id, &now, &why) < 0 &&
            why.code == ERR_NOT_FOUND)
            return true;
    }
    return false;
}

int compose_state_settle(const struct ctx *ctx, struct docker_client *docker,
                         struct compose_state *state, struct err *err)
{
    const int64_t until_ms = clock_monotonic_ms() + SETTLE_MS;

    while (is_unsettled(ctx, docker, state) && clock_monotonic_ms() < until_ms) {
        CLEANUP_FREE char *project = xstrdup(state->project);

        if (ctx_sleep(ctx, SETTLE_PAUSE_MS, err) < 0 ||
            compose_state_read(ctx, docker, project, state, err) < 0)
            return -1;
    }
    return 0;
}

int compose_state_read_containers(const struct ctx *ctx, struct docker_client *docker,
                                  const char *project, struct compose_state *ret, struct err *err)
{
    struct docker_pending *pending;

    compose_state_release(ret);
    ret->project = xstrdup(project);
    if (begin_containers(ctx, docker, project, &pending, err) < 0)
        return -1;
    return read_containers(ctx, pending, ret, err);
}

static void release_container(struct compose_container *c)
{
    char *const strings[] = {c->id,         c->name,       c->project,    c->service,  c->hash,
                             c->state,      c->status,     c->image,      c->image_id, c->command,
                             c->depends_on, c->difference, c->config_hash};

    for (size_t i = 0; i < sizeof(strings) / sizeof(*strings); i++)
        free(strings[i]);
    strmap_release(&c->networks);
    strmap_release(&c->addresses);
    for (size_t i = 0; i < c->port_count; i++) {
        free(c->ports[i].protocol);
        free(c->ports[i].host_ip);
    }
    free(c->ports);
}

void compose_state_release(struct compose_state *state)
{
    vec_foreach (struct compose_container *, container, &state->containers)
        release_container(container);
    vec_foreach (struct compose_network_seen *, network, &state->networks) {
        free(network->id);
        free(network->name);
        free(network->project);
        free(network->key);
        free(network->hash);
    }
    vec_foreach (struct compose_volume_seen *, volume, &state->volumes) {
        free(volume->name);
        free(volume->project);
        free(volume->key);
        free(volume->hash);
    }
    vec_release(&state->containers);
    vec_release(&state->networks);
    vec_release(&state->volumes);
    free(state->project);
    *state = (struct compose_state){0};
}

bool compose_state_owns(const struct compose_state *state,
                        const struct compose_container *container)
{
    return compose_state_has(state, container) && *container->service && !container->oneoff;
}

bool compose_state_has(const struct compose_state *state, const struct compose_container *container)
{
    return strcmp(container->project, state->project) == 0 && *container->config_hash;
}

const struct compose_container *compose_state_container(const struct compose_state *state,
                                                        const char *name)
{
    vec_foreach (const struct compose_container *, container, &state->containers) {
        if (strcmp(container->name, name) == 0)
            return container;
    }
    return NULL;
}

const struct compose_network_seen *compose_state_network(const struct compose_state *state,
                                                         const char *name)
{
    vec_foreach (const struct compose_network_seen *, network, &state->networks) {
        if (strcmp(network->name, name) == 0)
            return network;
    }
    return NULL;
}

const struct compose_volume_seen *compose_state_volume(const struct compose_state *state,
                                                       const char *name)
{
    vec_foreach (const struct compose_volume_seen *, volume, &state->volumes) {
        if (strcmp(volume->name, name) == 0)
            return volume;
    }
    return NULL;
}
