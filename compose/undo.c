#include "compose/run.h"

#include <string.h>

#include "base/alloc.h"
#include "compose/network_remove.h"
#include "compose/recipe.h"

#define UNDO_WAIT_MS 120000

void compose_effect_add(struct compose_run *run, enum compose_effect_kind kind,
                        const struct compose_action *action, const char *name, const char *id)
{
    pthread_mutex_lock(&run->mu);
    vec_push(&run->effects, ((struct compose_effect){.kind = kind,
                                                     .name = xstrdup(name),
                                                     .id = xstrdup_null(id),
                                                     .service = action->service,
                                                     .number = action->number}));
    pthread_mutex_unlock(&run->mu);
}

void compose_effects_release(struct compose_run *run)
{
    vec_foreach (struct compose_effect *, effect, &run->effects) {
        free(effect->name);
        free(effect->id);
        json_decref(effect->before);
    }
    vec_release(&run->effects);
}

static bool is_ours(const struct compose_run *run, const struct strmap *labels)
{
    const char *project = strmap_get(labels, COMPOSE_LABEL_PROJECT);

    return project && strcmp(project, run->session->project->name) == 0;
}

/* Only what has the project's label: it may be that another was faster, and a request of ours,
 * whose answer did not come, was refused. */
static int remove_created_container(struct compose_run *run, struct docker_client *docker,
                                    const struct ctx *ctx, const struct compose_effect *effect,
                                    struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
    const char *which = effect->id ? effect->id : effect->name;

    if (docker_container_inspect(ctx, docker, which, &container, err) < 0)
        return -1;
    if (!is_ours(run, &container.labels))
        return 0;
    return docker_container_remove(ctx, docker, container.id,
                                   DOCKER_REMOVE_FORCE | DOCKER_REMOVE_VOLUMES, err);
}

static int remove_created_network(struct compose_run *run, struct docker_client *docker,
                                  const struct ctx *ctx, const struct compose_effect *effect,
                                  struct err *err)
{
    CLEANUP_DOCKER_NETWORK struct docker_network network = {0};

    /* One that took the place of another is what those that come back use. */
    if (compose_state_network(run->state, effect->name))
        return 0;
    if (docker_network_inspect(ctx, docker, effect->name, &network, err) < 0)
        return -1;
    return is_ours(run, &network.labels)
               ? compose_network_remove(ctx, docker, network.id, false, err)
               : 0;
}

static int remove_created_volume(struct compose_run *run, struct docker_client *docker,
                                 const struct ctx *ctx, const struct compose_effect *effect,
                                 struct err *err)
{
    CLEANUP_DOCKER_VOLUME struct docker_volume volume = {0};

    if (docker_volume_inspect(ctx, docker, effect->name, &volume, err) < 0)
        return -1;
    return is_ours(run, &volume.labels)
               ? docker_volume_remove(ctx, docker, effect->name, false, err)
               : 0;
}

/* "SERVICE {…}", of the members that matter. */
char *compose_endpoint_text(const struct compose_effect *effect)
{
    static const char *const members[] = {"Aliases", "Links", "IPAMConfig", "DriverOpts"};
    json_t *kept = json_object();
    char *text;
    char *json;

    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        json_t *value = json_object_get(effect->before, members[i]);

        if (value && !json_is_null(value))
            json_object_set(kept, members[i], value);
    }
    json = json_dumps(kept, JSON_COMPACT);
    text = xasprintf("%s %s", effect->service, json ? json : "{}");
    free(json);
    json_decref(kept);
    return text;
}

static bool is_in(const struct docker_container *container, const char *network)
{
    for (size_t i = 0; i < container->network_count; i++) {
        if (strcmp(container->networks[i].network, network) == 0)
            return true;
    }
    return false;
}

int compose_attach_again(const struct ctx *ctx, struct docker_client *docker, const char *network,
                         const char *container_id, const char *how, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
    CLEANUP_FREE char *service = xstrndup(how, strcspn(how, " "));
    const char *text = how[strlen(service)] ? how + strlen(service) + 1 : "";
    const struct compose_effect effect = {.name = (char *)network,
                                          .id = (char *)container_id,
                                          .service = service,
                                          .before = json_loads(text, 0, NULL)};
    int result = docker_container_inspect(ctx, docker, container_id, &container, err);

    if (result == 0 && !is_in(&container, network))
        result = compose_reattach(ctx, docker, &effect, err);
    json_decref(effect.before);
    return result;
}

/* A network that took the place of the one that was removed is what those that come back use. */
static bool is_there(const struct ctx *ctx, struct docker_client *docker, const char *network)
{
    CLEANUP_DOCKER_NETWORK struct docker_network found = {0};

    return docker_network_inspect(ctx, docker, network, &found, NULL) == 0;
}

int compose_restore_network(const struct ctx *ctx, struct docker_client *docker,
                            const char *network, const char *how, struct err *err)
{
    json_t *description;
    int result;

    if (is_there(ctx, docker, network))
        return 0;
    description = json_loads(how, 0, NULL);
    if (!description)
        return err_set(err, ERR_INVALID, "it is not known how network %s was", network);
    result = docker_network_restore(ctx, docker, description, err);
    json_decref(description);
    return result;
}

int compose_reattach(const struct ctx *ctx, struct docker_client *docker,
                     const struct compose_effect *effect, struct err *err)
{
    const json_t *addresses = json_object_get(effect->before, "IPAMConfig");
    CLEANUP_STRVEC struct strvec aliases = {0};
    CLEANUP_STRVEC struct strvec links = {0};
    CLEANUP_STRVEC struct strvec local = {0};
    CLEANUP_STRMAP struct strmap options = {0};
    struct docker_network_attach attach = {
        .network = effect->name,
        .ipv4_address = compose_string(addresses, "IPv4Address"),
        .ipv6_address = compose_string(addresses, "IPv6Address"),
        .driver_options = &options,
    };
    bool fixed = attach.ipv4_address || attach.ipv6_address;

    (void)compose_strings(effect->before, "Aliases", &aliases);
    if (effect->service && !strvec_has(&aliases, effect->service))
        strvec_push(&aliases, effect->service);
    (void)compose_strings(effect->before, "Links", &links);
    (void)compose_strings(addresses, "LinkLocalIPs", &local);
    compose_pairs(effect->before, "DriverOpts", &options);
    attach.aliases = (const char *const *)aliases.items;
    attach.links = (const char *const *)links.items;
    attach.link_local_ips = (const char *const *)local.items;
    if (docker_network_connect(ctx, docker, effect->id, &attach, fixed ? NULL : err) == 0)
        return 0;
    if (!fixed)
        return -1;
    attach.ipv4_address = attach.ipv6_address = NULL;
    return docker_network_connect(ctx, docker, effect->id, &attach, err);
}

/* The rename may have been asked for only, and the daemon refuses one to the same name. */
static int put_name_back(struct docker_client *docker, const struct ctx *ctx,
                         const struct compose_effect *effect, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};

    if (docker_container_inspect(ctx, docker, effect->id, &container, err) < 0)
        return -1;
    return strcmp(container.name, effect->name) == 0
               ? 0
               : docker_container_rename(ctx, docker, effect->id, effect->name, err);
}

static int take_back(struct compose_run *run, struct docker_client *docker, const struct ctx *ctx,
                     const struct compose_effect *effect, struct err *err)
{
    switch (effect->kind) {
    case COMPOSE_EFFECT_NETWORK:
        return remove_created_network(run, docker, ctx, effect, err);
    case COMPOSE_EFFECT_VOLUME:
        return remove_created_volume(run, docker, ctx, effect, err);
    case COMPOSE_EFFECT_CONTAINER:
        return remove_created_container(run, docker, ctx, effect, err);
    case COMPOSE_EFFECT_STOPPED:
        return docker_container_start(ctx, docker, effect->id, err);
    case COMPOSE_EFFECT_STARTED:
        return docker_container_stop(ctx, docker, effect->id, NULL, -1, err);
    case COMPOSE_EFFECT_RENAMED:
        return put_name_back(docker, ctx, effect, err);
    case COMPOSE_EFFECT_DETACHED:
        return compose_reattach(ctx, docker, effect, err);
    case COMPOSE_EFFECT_UNMADE:
        return docker_network_restore(ctx, docker, effect->before, err);
    }
    return 0;
}

static void undo(struct compose_run *run, struct docker_client *docker, const struct ctx *ctx,
                 struct compose_effect *effect)
{
    static const char *const states[] = {
        [COMPOSE_EFFECT_NETWORK] = "Removed",   [COMPOSE_EFFECT_VOLUME] = "Removed",
        [COMPOSE_EFFECT_CONTAINER] = "Removed", [COMPOSE_EFFECT_STOPPED] = "Started again",
        [COMPOSE_EFFECT_STARTED] = "Stopped",   [COMPOSE_EFFECT_RENAMED] = "Put back",
        [COMPOSE_EFFECT_DETACHED] = "Attached", [COMPOSE_EFFECT_UNMADE] = "Restored",
    };
    enum compose_object object = effect->kind == COMPOSE_EFFECT_NETWORK ||
                                         effect->kind == COMPOSE_EFFECT_DETACHED ||
                                         effect->kind == COMPOSE_EFFECT_UNMADE
                                     ? COMPOSE_OBJECT_NETWORK
                                 : effect->kind == COMPOSE_EFFECT_VOLUME ? COMPOSE_OBJECT_VOLUME
                                                                         : COMPOSE_OBJECT_CONTAINER;
    bool made = strcmp(states[effect->kind], "Removed") == 0;
    struct err why = ERR_INIT;

    if (effect->undone || (effect->kind == COMPOSE_EFFECT_UNMADE &&
                           (!effect->before || is_there(ctx, docker, effect->name))))
        return;
    effect->undone = true;
    if (take_back(run, docker, ctx, effect, &why) == 0)
        compose_tell(run->session, object, effect->name, states[effect->kind]);
    else if (why.code != ERR_NOT_FOUND)
        compose_warn(run->session,
                     made ? "%s cannot be removed: %s" : "%s cannot be put back as it was: %s",
                     effect->name, why.message);
}

void compose_undo_all(struct compose_run *run, struct docker_client *docker)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, UNDO_WAIT_MS);
    for (size_t i = run->effects.len; i-- > 0;)
        undo(run, docker, &ctx, &run->effects.items[i]);
}

void compose_undo_container(struct compose_run *run, struct docker_client *docker,
                            const char *service, int number)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, UNDO_WAIT_MS);
    for (size_t i = run->effects.len; i-- > 0;) {
        struct compose_effect *effect = &run->effects.items[i];

        if (effect->service && effect->number == number && strcmp(effect->service, service) == 0)
            undo(run, docker, &ctx, effect);
    }
}

void compose_undo_networks(struct compose_run *run, struct docker_client *docker)
{
    struct ctx ctx;

    ctx_init_cleanup(&ctx, UNDO_WAIT_MS);
    vec_foreach (struct compose_effect *, effect, &run->effects) {
        if (effect->kind == COMPOSE_EFFECT_UNMADE)
            undo(run, docker, &ctx, effect);
    }
    vec_foreach (struct compose_effect *, effect, &run->effects) {
        if (effect->kind == COMPOSE_EFFECT_DETACHED && !compose_is_replaced(run, effect->id))
            undo(run, docker, &ctx, effect);
    }
}
