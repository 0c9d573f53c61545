/* Making a container of a service: with the anonymous volumes of the one that it replaces, and
 * although somebody who was killed may have begun to make it. */
#include <string.h>

#include "apis/docker/image.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "compose/recipe.h"
#include "compose/run.h"

enum {
    TAKEN_MS = 30000, /* for a daemon to be done with a container that nobody waits for */
    TAKEN_PAUSE_MS = 100,
};

/* --- inherited volumes --- */

static bool is_named(const struct compose_run *run, const char *volume)
{
    const char *key;
    json_t *object;

    json_object_foreach (json_object_get(run->session->project->model, "volumes"), key, object) {
        if (strcmp(compose_string(object, "name"), volume) == 0)
            return true;
    }
    return false;
}

static bool asks_for_volume(const json_t *service, const char *target)
{
    size_t i;
    json_t *mount;

    json_array_foreach (json_object_get(service, "volumes"), i, mount) {
        if (strcmp(compose_string(mount, "type"), "volume") == 0 &&
            !compose_string(mount, "source") &&
            strcmp(compose_string(mount, "target"), target) == 0)
            return true;
    }
    return false;
}

/* Images may have a slash behind the path. */
static bool has_volume(const struct docker_image *image, const char *target)
{
    const size_t len = strlen(target);

    for (size_t i = 0; i < image->volumes.len; i++) {
        const char *path = image->volumes.items[i];

        if (strncmp(path, target, len) == 0 && !path[len + strspn(path + len, "/")])
            return true;
    }
    return false;
}

/* path → volume, of those volumes that have no name in the file, and that the service or its image
 * still asks for. */
static int find_inherited(const struct compose_run *run, const struct compose_action *action,
                          struct docker_client *docker, struct strmap *ret, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container container = {0};
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    const char *image_id = strmap_get(run->image_ids, action->service);
    struct err why = ERR_INIT;

    if (!action->container)
        return 0;
    if (docker_container_inspect(run->ctx, docker, action->container->id, &container, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 0 : err_set(err, why.code, "%s", why.message);
    if (container.mount_count && image_id &&
        docker_image_inspect(run->ctx, docker, image_id, &image, err) < 0)
        return -1;
    for (size_t i = 0; i < container.mount_count; i++) {
        const struct docker_mount_point *mount = &container.mounts[i];

        if (strcmp(mount->type, "volume") == 0 && *mount->name && !is_named(run, mount->name) &&
            (asks_for_volume(compose_service(run->session->project, action->service),
                             mount->destination) ||
             has_volume(&image, mount->destination)))
            strmap_set(ret, mount->destination, mount->name);
    }
    return 0;
}

/* --- a name that is taken --- */

static bool has_same_labels(const struct docker_container *container,
                            const struct docker_create *create)
{
    static const char *const labels[] = {COMPOSE_LABEL_PROJECT, COMPOSE_LABEL_SERVICE,
                                         COMPOSE_LABEL_NUMBER, COMPOSE_LABEL_HASH, NULL};

    for (size_t i = 0; labels[i]; i++) {
        const char *its = strmap_get(&container->labels, labels[i]);
        const char *ours = strmap_get(create->labels, labels[i]);

        if (!its || !ours || strcmp(its, ours) != 0)
            return false;
    }
    return true;
}

/* What has the name: 0: a container as this one would be, *ret_id, which the caller frees; 1: none
 * that could be looked at; -1: another one. */
static int look_at_taken(const struct ctx *ctx, struct docker_client *docker,
                         const struct docker_create *create, char **ret_id, struct err *err)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container found = {0};
    struct err why = ERR_INIT;

    if (docker_container_inspect(ctx, docker, create->name, &found, &why) < 0)
        return why.code == ERR_NOT_FOUND ? 1 : err_set(err, why.code, "%s", why.message);
    if (strcmp(found.status, "created") != 0 || !has_same_labels(&found, create))
        return -1;
    *ret_id = xstrdup(found.id);
    return 0;
}

/* As docker_container_create(), but what a run that was killed has begun is in nobody's way: the
 * daemon goes on with it, and has given the name away before it says that it has such a container.
 * Then that is taken, or the daemon takes it back. */
static int create_at_last(const struct ctx *ctx, struct docker_client *docker,
                          const struct docker_create *create, char **ret_id, struct err *err)
{
    const int64_t until_ms = clock_monotonic_ms() + TAKEN_MS;

    for (;;) {
        struct err why = ERR_INIT;
        int taken;

        if (docker_container_create(ctx, docker, create, ret_id, &why) == 0)
            return 0;
        if (why.code != ERR_CONFLICT)
            return err_set(err, why.code, "%s", why.message);
        taken = look_at_taken(ctx, docker, create, ret_id, &why);
        if (taken == 0)
            return 0;
        if (taken < 0 || clock_monotonic_ms() > until_ms)
            return err_set(err, why.code, "%s", why.message);
        if (ctx_sleep(ctx, TAKEN_PAUSE_MS, err) < 0)
            return -1;
    }
}

/* --- creating --- */

/* Below API 1.44 a container is created in one network only. */
static int connect_others(struct compose_run *run, struct docker_client *docker,
                          const struct docker_create *create, const char *id, struct err *err)
{
    if (docker_client_api_minor(docker) >= 44)
        return 0;
    for (size_t i = 1; i < create->network_count; i++) {
        if (docker_network_connect(run->ctx, docker, id, &create->networks[i], err) < 0)
            return err_wrap(err, "network %s", create->networks[i].network);
    }
    return 0;
}

static int create_and_connect(struct compose_run *run, const struct compose_action *action,
                              struct docker_client *docker, const struct docker_create *create,
                              struct err *err)
{
    CLEANUP_FREE char *id = NULL;
    struct err why = ERR_INIT;
    int result = create_at_last(run->ctx, docker, create, &id, &why);

    if (result == 0 || compose_is_uncertain(&why))
        compose_effect_add(run, COMPOSE_EFFECT_CONTAINER, action, create->name, id);
    else if (!action->container)
        compose_refused(run->session, COMPOSE_OBJECT_CONTAINER, create->name);
    if (result == 0) {
        compose_run_remember(run, action, id);
        result = connect_others(run, docker, create, id, &why);
    }
    if (result < 0)
        return compose_error(run->session->project,
                             compose_service(run->session->project, action->service), err, why.code,
                             "service \"%s\": container %s cannot be created: %s", action->service,
                             create->name, why.message);
    return 0;
}

static const char *container_of(void *arg, const char *service, int number)
{
    return compose_run_container(arg, service, number);
}

int compose_create_container(struct compose_run *run, const struct compose_action *action,
                             struct docker_client *docker, struct err *err)
{
    CLEANUP_COMPOSE_RECIPE struct compose_recipe recipe = {0};
    CLEANUP_STRMAP struct strmap inherited = {0};
    struct compose_recipe_request request = {
        .project = run->session->project,
        .service = action->service,
        .number = action->number,
        .image_id = strmap_get(run->image_ids, action->service),
        .proxies = &run->session->proxies,
        .inherited = &inherited,
        .container_of = container_of,
        .arg = run,
    };

    if (find_inherited(run, action, docker, &inherited, err) < 0 ||
        compose_recipe_make(&request, &recipe, err) < 0)
        return -1;
    /* What takes another's place has been, when that one was set aside. */
    if (!action->container &&
        compose_own(run->session, COMPOSE_OBJECT_CONTAINER, action->name, NULL, err) < 0)
        return -1;
    compose_tell(run->session, COMPOSE_OBJECT_CONTAINER, action->name,
                 action->container ? "Recreating" : "Creating");
    if (create_and_connect(run, action, docker, &recipe.create, err) < 0)
        return -1;
    compose_tell(run->session, COMPOSE_OBJECT_CONTAINER, action->name,
                 action->container ? "Recreated" : "Created");
    return 0;
}
