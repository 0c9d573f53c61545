/* What each action of a plan does. */
#include "compose/run.h"

#include <string.h>

#include "base/alloc.h"
#include "compose/network_remove.h"
#include "compose/recipe.h"

#define STOP_DEFAULT_S 10
#define STOP_SLACK_S   30

static void report(struct compose_run *run, enum compose_object object, const char *name,
                   const char *state)
{
    compose_tell(run->session, object, name, state);
}

static const json_t *service_of(const struct compose_run *run, const struct compose_action *action)
{
    return compose_service(run->session->project, action->service);
}

bool compose_is_uncertain(const struct err *err)
{
    return err->code == ERR_TIMEOUT || err->code == ERR_CANCELLED || err->code == ERR_LOST;
}

const char *compose_run_container(struct compose_run *run, const char *service, int number)
{
    CLEANUP_FREE char *key = xasprintf("%s/%d", service, number);
    const char *id;

    pthread_mutex_lock(&run->mu);
    id = strmap_get(&run->ids, key);
    pthread_mutex_unlock(&run->mu);
    return id;
}

void compose_run_remember(struct compose_run *run, const struct compose_action *action,
                          const char *id)
{
    CLEANUP_FREE char *key = xasprintf("%s/%d", action->service, action->number);

    pthread_mutex_lock(&run->mu);
    strmap_set(&run->ids, key, id);
    pthread_mutex_unlock(&run->mu);
}

/* --- networks and volumes --- */

bool compose_is_replaced(const struct compose_run *run, const char *id)
{
    vec_foreach (const struct compose_action *, action, &run->plan->actions) {
        if (action->kind == COMPOSE_CONTAINER_REMOVE && strcmp(action->container->id, id) == 0)
            return true;
    }
    return false;
}

/* Containers that stay, such as those of services that this is not about. */
static void attach_kept(struct compose_run *run, const char *network, struct docker_client *docker)
{
    for (size_t i = 0;; i++) {
        struct compose_effect effect = {0};
        struct err why = ERR_INIT;

        pthread_mutex_lock(&run->mu);
        if (i < run->effects.len)
            effect = run->effects.items[i];
        pthread_mutex_unlock(&run->mu);
        if (!effect.name)
            return;
        if (effect.kind != COMPOSE_EFFECT_DETACHED || strcmp(effect.name, network) != 0 ||
            compose_is_replaced(run, effect.id))
            continue;
        if (compose_reattach(run->ctx, docker, &effect, &why) < 0) {
            compose_warn(run->session, "network %s: %s", network, why.message);
            continue;
        }
        pthread_mutex_lock(&run->mu);
        run->effects.items[i].undone = true;
        pthread_mutex_unlock(&run->mu);
    }
}

static int create_network(struct compose_run *run, const struct compose_action *action,
                          struct docker_client *docker, struct err *err)
{
    CLEANUP(compose_network_recipe_release) struct compose_network_recipe recipe = {0};
    const struct compose_network_seen *seen = compose_state_network(run->state, action->name);
    const struct compose_before before = {.id = seen ? seen->id : NULL};
    CLEANUP_FREE char *id = NULL;
    struct err why = ERR_INIT;
    int result;

    if (compose_own(run->session, COMPOSE_OBJECT_NETWORK, action->name, seen ? &before : NULL,
                    err) < 0)
        return -1;
    report(run, COMPOSE_OBJECT_NETWORK, action->name, "Creating");
    compose_network_recipe_make(run->session->project, action->key, &recipe);
    result = docker_network_create(run->ctx, docker, &recipe.create, &id, &why);
    if (result == 0 || compose_is_uncertain(&why))
        compose_effect_add(run, COMPOSE_EFFECT_NETWORK, action, action->name, id);
    else if (!seen)
        compose_refused(run->session, COMPOSE_OBJECT_NETWORK, action->name);
    if (result < 0)
        return compose_error(run->session->project,
                             compose_network(run->session->project, action->key), err, why.code,
                             "network %s cannot be created: %s", action->name, why.message);
    report(run, COMPOSE_OBJECT_NETWORK, action->name, "Created");
    if (seen)
        attach_kept(run, action->name, docker);
    return 0;
}

/* How the container is in the network; NULL: that cannot be seen. */
static json_t *endpoint_of(const struct compose_run *run, struct docker_client *docker,
                           const char *id, const char *network)
{
    json_t *inspected = NULL;
    json_t *endpoint;

    if (docker_container_inspect_json(run->ctx, docker, id, &inspected, NULL) < 0)
        return NULL;
    endpoint =
        json_object_get(json_object_get(json_object_get(inspected, "NetworkSettings"), "Networks"),
                        network);
    json_incref(endpoint);
    json_decref(inspected);
    return endpoint;
}

/* What cannot be taken out keeps the network from being removed, which is told then. */
static int detach(struct compose_run *run, const struct compose_container *c, const char *network,
                  struct docker_client *docker, struct err *err)
{
    struct compose_effect effect = {.kind = COMPOSE_EFFECT_DETACHED,
                                    .service = c->service,
                                    .number = c->number,
                                    .before = endpoint_of(run, docker, c->id, network)};
    CLEANUP_FREE char *how = compose_endpoint_text(&effect);
    int result = compose_detach(run->session, network, c->id, how, err);

    if (result < 0 || docker_network_disconnect(run->ctx, docker, network, c->id, true, NULL) < 0) {
        json_decref(effect.before);
        return result;
    }
    effect.name = xstrdup(network);
    effect.id = xstrdup(c->id);
    pthread_mutex_lock(&run->mu);
    vec_push(&run->effects, effect);
    pthread_mutex_unlock(&run->mu);
    return 0;
}

static int unmake(struct compose_run *run, const char *network, const json_t *description,
                  struct err *err)
{
    char *how = json_dumps(description, JSON_COMPACT);
    int result = compose_unmake(run->session, network, how ? how : "", err);

    free(how);
    return result;
}

static int remove_network(struct compose_run *run, const struct compose_action *action,
                          struct docker_client *docker, struct err *err)
{
    struct compose_effect effect = {.kind = COMPOSE_EFFECT_UNMADE};
    struct err why = ERR_INIT;

    report(run, COMPOSE_OBJECT_NETWORK, action->name, "Removing");
    /* Containers that do not run are in no list of the network. */
    vec_foreach (const struct compose_container *, c, &run->state->containers) {
        if (compose_state_owns(run->state, c) && strmap_has(&c->networks, action->name) &&
            detach(run, c, action->name, docker, err) < 0)
            return -1;
    }
    if (docker_network_describe(run->ctx, docker, action->name, &effect.before, NULL) == 0 &&
        unmake(run, action->name, effect.before, err) < 0) {
        json_decref(effect.before);
        return -1;
    }
    if (compose_network_remove(run->ctx, docker, action->name, false, &why) < 0 &&
        why.code != ERR_NOT_FOUND) {
        json_decref(effect.before);
        return compose_error(run->session->project,
                             compose_network(run->session->project, action->key), err, why.code,
                             "network %s has to be made anew, but cannot be removed: %s",
                             action->name, why.message);
    }
    effect.name = xstrdup(action->name);
    pthread_mutex_lock(&run->mu);
    vec_push(&run->effects, effect);
    pthread_mutex_unlock(&run->mu);
    report(run, COMPOSE_OBJECT_NETWORK, action->name, "Removed");
    return 0;
}

static int create_volume(struct compose_run *run, const struct compose_action *action,
                         struct docker_client *docker, struct err *err)
{
    CLEANUP(compose_volume_recipe_release) struct compose_volume_recipe recipe = {0};
    CLEANUP_DOCKER_VOLUME struct docker_volume volume = {0};
    struct err why = ERR_INIT;
    int result;

    if (compose_own(run->session, COMPOSE_OBJECT_VOLUME, action->name, NULL, err) < 0)
        return -1;
    report(run, COMPOSE_OBJECT_VOLUME, action->name, "Creating");
    compose_volume_recipe_make(run->session->project, action->key, &recipe);
    result = docker_volume_create(run->ctx, docker, &recipe.create, &volume, &why);
    if (result == 0 || compose_is_uncertain(&why))
        compose_effect_add(run, COMPOSE_EFFECT_VOLUME, action, action->name, NULL);
    else
        compose_refused(run->session, COMPOSE_OBJECT_VOLUME, action->name);
    if (result < 0)
        return compose_error(run->session->project,
                             compose_volume(run->session->project, action->key), err, why.code,
                             "volume %s cannot be created: %s", action->name, why.message);
    report(run, COMPOSE_OBJECT_VOLUME, action->name, "Created");
    return 0;
}

/* --- containers --- */

int compose_stop(const struct ctx *ctx, struct compose_session *session,
                 struct docker_client *docker, const json_t *service, const char *id,
                 const char *name, const int64_t *timeout_s, struct err *err)
{
    int64_t own_ms = compose_duration_ms(service, "stop_grace_period", STOP_DEFAULT_S * 1000);
    int64_t limit_s = timeout_s ? *timeout_s : (own_ms + 999) / 1000;
    struct err why = ERR_INIT;
    struct ctx grace;

    if (service && compose_hooks_run(ctx, session, docker, service, "pre_stop", id, name, &why) < 0)
        compose_warn(session, "%s", why.message);
    compose_tell(session, COMPOSE_OBJECT_CONTAINER, name, "Stopping");
    ctx_init_grace(&grace, ctx, (limit_s + STOP_SLACK_S) * 1000);
    if (docker_container_stop(&grace, docker, id, NULL, timeout_s ? (int)*timeout_s : -1, err) < 0)
        return err_wrap(err, "container %s cannot be stopped", name);
    compose_tell(session, COMPOSE_OBJECT_CONTAINER, name, "Stopped");
    return 0;
}

static bool runs(const struct compose_container *c)
{
    return strcmp(c->state, "running") == 0 || strcmp(c->state, "restarting") == 0 ||
           strcmp(c->state, "paused") == 0;
}

/* Before it is stopped, or makes room for another of that name. */
static int own_before(struct compose_run *run, const char *name, const struct compose_container *c,
                      struct docker_client *docker, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container now = {0};
    struct compose_before before = {.id = c->id};

    if (!run->session->sink->own)
        return 0;
    if (docker_container_inspect(run->ctx, docker, c->id, &now, err) < 0)
        return err_wrap(err, "container %s", c->name);
    before.running = strcmp(c->state, "running") == 0;
    before.started_at = now.started_at;
    return compose_own(run->session, COMPOSE_OBJECT_CONTAINER, name, &before, err);
}

static int stop_container(struct compose_run *run, const struct compose_action *action,
                          struct docker_client *docker, struct err *err)
{
    const struct compose_container *c = action->container;

    if (!runs(c))
        return 0;
    compose_effect_add(run, COMPOSE_EFFECT_STOPPED, action, c->name, c->id);
    return compose_stop(run->ctx, run->session, docker, service_of(run, action), c->id, c->name,
                        run->options->stop_timeout_s, err);
}

static int rename_container(struct compose_run *run, const struct compose_action *action,
                            struct docker_client *docker, const char *name, struct err *err)
{
    const struct compose_container *c = action->container;

    if (ctx_check(run->ctx, err) < 0)
        return -1;
    compose_effect_add(run, COMPOSE_EFFECT_RENAMED, action, c->name, c->id);
    if (docker_container_rename(run->ctx, docker, c->id, name, err) < 0)
        return err_wrap(err, "container %s cannot be renamed to %s", c->name, name);
    return 0;
}

static int make_room(struct compose_run *run, const struct compose_action *action,
                     struct docker_client *docker, const char *own_name, struct err *err)
{
    const struct compose_container *c = action->container;
    CLEANUP_FREE char *aside = xasprintf("%.12s_%s", c->id, c->name);

    if (stop_container(run, action, docker, err) < 0)
        return -1;
    /* It may have been set aside before, by a run that was killed. */
    return strcmp(c->name, own_name) == 0 ? rename_container(run, action, docker, aside, err) : 0;
}

/* What has gone meanwhile is in nobody's way: as one that the daemon had begun to create for a run
 * that was killed, and takes back. */
static int set_aside(struct compose_run *run, const struct compose_action *action,
                     struct docker_client *docker, struct err *err)
{
    CLEANUP_FREE char *own_name =
        compose_container_name(run->session->project, action->service, action->number);
    struct err why = ERR_INIT;

    if (own_before(run, own_name, action->container, docker, &why) < 0) {
        if (why.code == ERR_NOT_FOUND)
            return compose_own(run->session, COMPOSE_OBJECT_CONTAINER, own_name, NULL, err);
    } else if (make_room(run, action, docker, own_name, &why) == 0 || why.code == ERR_NOT_FOUND) {
        return 0;
    }
    return err_set(err, why.code, "%s", why.message);
}

static int start_container(struct compose_run *run, const struct compose_action *action,
                           struct docker_client *docker, struct err *err)
{
    const struct compose_container *kept = action->container;
    const char *id = compose_run_container(run, action->service, action->number);
    struct err why = ERR_INIT;

    if ((!kept || strcmp(kept->state, "created") == 0) &&
        compose_files_put(run->ctx, run->session, docker, action->service, id, err) < 0)
        return -1;
    report(run, COMPOSE_OBJECT_CONTAINER, action->name, "Starting");
    if (kept && !runs(kept))
        compose_effect_add(run, COMPOSE_EFFECT_STARTED, action, action->name, id);
    if (docker_container_start(run->ctx, docker, id, &why) < 0)
        return compose_error(run->session->project, service_of(run, action), err, why.code,
                             "service \"%s\": container %s cannot be started: %s", action->service,
                             action->name, why.message);
    report(run, COMPOSE_OBJECT_CONTAINER, action->name, "Started");
    return compose_hooks_run(run->ctx, run->session, docker, service_of(run, action), "post_start",
                             id, action->name, err);
}

static int remove_container(struct compose_run *run, const struct compose_action *action,
                            struct docker_client *docker, struct err *err)
{
    struct err why = ERR_INIT;

    report(run, COMPOSE_OBJECT_CONTAINER, action->name, "Removing");
    if (docker_container_remove(run->ctx, docker, action->container->id, DOCKER_REMOVE_FORCE,
                                &why) < 0 &&
        why.code != ERR_NOT_FOUND && why.code != ERR_CONFLICT)
        return err_set(err, why.code, "container %s cannot be removed: %s", action->name,
                       why.message);
    report(run, COMPOSE_OBJECT_CONTAINER, action->name, "Removed");
    return 0;
}

int compose_action_do(struct compose_run *run, const struct compose_action *action,
                      struct docker_client *docker, struct err *err)
{
    switch (action->kind) {
    case COMPOSE_NETWORK_REMOVE:
        return remove_network(run, action, docker, err);
    case COMPOSE_NETWORK_CREATE:
        return create_network(run, action, docker, err);
    case COMPOSE_VOLUME_CREATE:
        return create_volume(run, action, docker, err);
    case COMPOSE_CONTAINER_STOP:
        if (own_before(run, action->name, action->container, docker, err) < 0)
            return -1;
        return stop_container(run, action, docker, err);
    case COMPOSE_CONTAINER_SET_ASIDE:
        return set_aside(run, action, docker, err);
    case COMPOSE_CONTAINER_RENAME:
        return rename_container(run, action, docker, action->name, err);
    case COMPOSE_CONTAINER_CREATE:
        return compose_create_container(run, action, docker, err);
    case COMPOSE_CONTAINER_START:
        return start_container(run, action, docker, err);
    case COMPOSE_CONTAINER_REMOVE:
        return remove_container(run, action, docker, err);
    case COMPOSE_SERVICE_AWAIT:
        break;
    }
    return 0;
}
