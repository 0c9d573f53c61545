/* A container goes when all that depend on it have gone, several at a time; then networks, volumes,
 * images. The order is that of the project, or, without one, what the labels of
 * the containers say. */
#include "compose/converge.h"

#include <string.h>

#include "apis/docker/image.h"
#include "base/alloc.h"
#include "base/workers.h"
#include "compose/network_remove.h"
#include "compose/recipe.h"
#include "compose/run.h"

enum { THREADS = 8, ANONYMOUS_NAME_LEN = 64 };

struct leaving {
    struct down *down;
    const struct compose_container *container;
    bool begun; /* guarded by mu, as the next */
    bool gone;
};

struct down {
    struct compose_session session;
    const struct ctx *ctx;
    const struct compose_down *options;
    struct compose_state state;
    struct docker_client *docker;
    VEC(const struct compose_container *)
    targets;
    struct strvec anonymous; /* volumes without a name of the containers; guarded by mu */
    struct strvec images;    /* ids */
    struct leaving *leaving; /* by target */
    struct workers workers;
    pthread_mutex_t mu;
    pthread_cond_t moved; /* a container has gone */
    size_t busy;          /* guarded by mu */
    bool failed;          /* guarded by mu, as the next */
    struct err failure;
};

static void fail(struct down *d, const struct err *why)
{
    pthread_mutex_lock(&d->mu);
    if (!d->failed)
        d->failure = *why;
    d->failed = true;
    pthread_mutex_unlock(&d->mu);
}

static bool is_gone(const struct err *why)
{
    return why->code == ERR_NOT_FOUND;
}

/* --- what goes --- */

static bool is_orphan(const struct down *d, const struct compose_container *c)
{
    const struct compose_project *project = d->options->project;

    return project && !compose_service(project, c->service) &&
           !json_object_get(project->disabled, c->service);
}

static void choose(struct down *d)
{
    CLEANUP_BUF struct buf orphans = BUF_INIT;

    vec_foreach (const struct compose_container *, c, &d->state.containers) {
        if (!compose_state_has(&d->state, c))
            continue;
        if (!is_orphan(d, c) || d->options->remove_orphans)
            vec_push(&d->targets, c);
        else
            buf_addf(&orphans, "%s%s", orphans.len ? ", " : "", c->name);
    }
    if (orphans.len)
        compose_warn(&d->session,
                     "containers of services that are not in the file stay: %s; --remove-orphans "
                     "removes them",
                     orphans.data);
}

/* Whether the container's service needs that one: "db:service_healthy:false,…". */
static bool depends_on(const struct down *d, const struct compose_container *c, const char *service)
{
    const char *label = c->depends_on;
    size_t len = strlen(service);

    if (d->options->project && compose_service(d->options->project, c->service))
        return json_object_get(json_object_get(compose_service(d->options->project, c->service),
                                               "depends_on"),
                               service);
    while (*label) {
        if (strncmp(label, service, len) == 0 && (label[len] == ':' || label[len] == ','))
            return true;
        label += strcspn(label, ",");
        label += *label == ',';
    }
    return false;
}

/* --- containers --- */

/* Those that nobody named; with --volumes they go, too, also what was handed on when the container
 * was recreated and does not count as the container's own any more. */
static void note_volumes(struct down *d, struct docker_client *docker,
                         const struct compose_container *c)
{
    CLEANUP_DOCKER_CONTAINER struct docker_container inspected = {0};

    if (!d->options->volumes ||
        docker_container_inspect(d->ctx, docker, c->id, &inspected, NULL) < 0)
        return;
    for (size_t i = 0; i < inspected.mount_count; i++) {
        const char *name = inspected.mounts[i].name;

        if (strcmp(inspected.mounts[i].type, "volume") != 0 || strlen(name) != ANONYMOUS_NAME_LEN ||
            strspn(name, "0123456789abcdef") != ANONYMOUS_NAME_LEN)
            continue;
        pthread_mutex_lock(&d->mu);
        strvec_push(&d->anonymous, name);
        pthread_mutex_unlock(&d->mu);
    }
}

static int take_down(struct down *d, struct docker_client *docker,
                     const struct compose_container *c, struct err *err)
{
    const json_t *service =
        d->options->project ? compose_service(d->options->project, c->service) : NULL;
    unsigned flags = DOCKER_REMOVE_FORCE | (d->options->volumes ? DOCKER_REMOVE_VOLUMES : 0);
    struct err why = ERR_INIT;

    if ((strcmp(c->state, "running") == 0 || strcmp(c->state, "restarting") == 0 ||
         strcmp(c->state, "paused") == 0) &&
        compose_stop(d->ctx, &d->session, docker, service, c->id, c->name,
                     d->options->stop_timeout_s, err) < 0 &&
        err->code != ERR_NOT_FOUND)
        return -1;
    note_volumes(d, docker, c);
    compose_tell(&d->session, COMPOSE_OBJECT_CONTAINER, c->name, "Removing");
    if (docker_container_remove(d->ctx, docker, c->id, flags, &why) < 0 && !is_gone(&why) &&
        why.code != ERR_CONFLICT)
        return err_set(err, why.code, "container %s cannot be removed: %s", c->name, why.message);
    compose_tell(&d->session, COMPOSE_OBJECT_CONTAINER, c->name, "Removed");
    return 0;
}

static void leave(void *arg)
{
    struct leaving *leaving = arg;
    struct down *d = leaving->down;
    struct docker_client *docker = NULL;
    struct err why = ERR_INIT;

    if (ctx_check(d->ctx, &why) < 0 ||
        compose_client_take(&d->session.clients, &docker, &why) < 0 ||
        take_down(d, docker, leaving->container, &why) < 0)
        fail(d, &why);
    compose_client_give(&d->session.clients, docker);
    pthread_mutex_lock(&d->mu);
    leaving->gone = true;
    d->busy--;
    pthread_cond_signal(&d->moved);
    pthread_mutex_unlock(&d->mu);
}

/* Under mu. */
static bool is_needed(const struct down *d, size_t index)
{
    const char *service = d->targets.items[index]->service;

    for (size_t i = 0; i < d->targets.len; i++) {
        if (!d->leaving[i].gone && i != index &&
            strcmp(d->targets.items[i]->service, service) != 0 &&
            depends_on(d, d->targets.items[i], service))
            return true;
    }
    return false;
}

/* Under mu, which it gives up meanwhile. Returns whether any was left to begin. Circles, which
 * labels can have, are begun all at once. */
static bool begin_leaving(struct down *d)
{
    bool left = false;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < d->targets.len; i++) {
            bool free_to_go = pass ? !d->busy || left : !is_needed(d, i);

            if (d->leaving[i].begun || !free_to_go)
                continue;
            d->leaving[i].begun = left = true;
            d->busy++;
            pthread_mutex_unlock(&d->mu);
            workers_submit(&d->workers, leave, &d->leaving[i]);
            pthread_mutex_lock(&d->mu);
        }
        if (left || d->busy)
            break;
    }
    return left;
}

static void remove_containers(struct down *d)
{
    d->leaving = xcalloc(d->targets.len + 1, sizeof(*d->leaving));
    for (size_t i = 0; i < d->targets.len; i++)
        d->leaving[i] = (struct leaving){.down = d, .container = d->targets.items[i]};
    workers_init(&d->workers, THREADS);
    pthread_mutex_lock(&d->mu);
    for (;;) {
        while (begin_leaving(d))
            ;
        if (!d->busy)
            break;
        pthread_cond_wait(&d->moved, &d->mu);
    }
    pthread_mutex_unlock(&d->mu);
    workers_release(&d->workers);
    free(d->leaving);
}

/* --- the rest --- */

static void removed(struct down *d, int result, enum compose_object object, const char *name,
                    const struct err *why)
{
    struct err failure = ERR_INIT;

    if (result == 0) {
        compose_tell(&d->session, object, name, "Removed");
    } else if (why->code == ERR_CONFLICT ||
               (why->errnum == 403 && object == COMPOSE_OBJECT_NETWORK)) {
        compose_warn(&d->session, "%s %s is still in use and stays: %s",
                     object == COMPOSE_OBJECT_NETWORK  ? "network"
                     : object == COMPOSE_OBJECT_VOLUME ? "volume"
                                                       : "image",
                     name, why->message);
    } else if (!is_gone(why)) {
        err_set(&failure, why->code, "%s cannot be removed: %s", name, why->message);
        fail(d, &failure);
    }
}

/* What the file has under that name; NULL: nothing, or there is no file. */
static const json_t *declared(const struct down *d, const char *section, const char *name)
{
    const struct compose_project *project = d->options->project;
    const char *key;
    json_t *value;

    json_object_foreach (json_object_get(project ? project->model : NULL, section), key, value) {
        if (strcmp(compose_string(value, "name"), name) == 0)
            return value;
    }
    return NULL;
}

static bool is_external(const json_t *object)
{
    return compose_bool(object, "external", false);
}

static void remove_networks(struct down *d)
{
    vec_foreach (const struct compose_network_seen *, network, &d->state.networks) {
        struct err why = ERR_INIT;

        if (strcmp(network->project, d->state.project) != 0 ||
            is_external(declared(d, "networks", network->name)))
            continue;
        removed(d, compose_network_remove(d->ctx, d->docker, network->id, false, &why),
                COMPOSE_OBJECT_NETWORK, network->name, &why);
    }
}

/* With a file those that it names: others may hold what nobody wants to lose. */
static void remove_volumes(struct down *d)
{
    vec_foreach (const struct compose_volume_seen *, volume, &d->state.volumes) {
        const json_t *in_file = declared(d, "volumes", volume->name);
        struct err why = ERR_INIT;

        if (strcmp(volume->project, d->state.project) != 0 || is_external(in_file) ||
            (d->options->project && !in_file))
            continue;
        removed(d, docker_volume_remove(d->ctx, d->docker, volume->name, false, &why),
                COMPOSE_OBJECT_VOLUME, volume->name, &why);
    }
    /* One that another container has by now stays. */
    for (size_t i = 0; i < d->anonymous.len; i++)
        (void)!docker_volume_remove(d->ctx, d->docker, d->anonymous.items[i], false, NULL);
}

/* Without a name of its own: what is built as PROJECT-SERVICE. */
static bool is_local_image(const struct down *d, const struct compose_container *c)
{
    CLEANUP_FREE char *built = xasprintf("%s-%s", d->state.project, c->service);

    return strcmp(c->image, built) == 0;
}

static void choose_images(struct down *d)
{
    const struct compose_project *project = d->options->project;
    bool all = d->options->images == COMPOSE_IMAGES_ALL;

    if (d->options->images == COMPOSE_IMAGES_KEEP)
        return;
    vec_foreach (const struct compose_container **, target, &d->targets) {
        if ((all || is_local_image(d, *target)) && !strvec_has(&d->images, (*target)->image))
            strvec_push(&d->images, (*target)->image);
    }
    for (size_t i = 0; project && i < project->order.len; i++) {
        const char *service = project->order.items[i];
        CLEANUP_FREE char *image = compose_image_name(project, service);

        if ((all || !compose_string(compose_service(project, service), "image")) &&
            !strvec_has(&d->images, image))
            strvec_push(&d->images, image);
    }
}

static void remove_images(struct down *d)
{
    for (size_t i = 0; i < d->images.len; i++) {
        struct err why = ERR_INIT;

        removed(d, docker_image_remove(d->ctx, d->docker, d->images.items[i], false, &why),
                COMPOSE_OBJECT_IMAGE, d->images.items[i], &why);
    }
}

static int down(struct down *d, struct err *err)
{
    if (compose_client_take(&d->session.clients, &d->docker, err) < 0 ||
        compose_state_read(d->ctx, d->docker, d->session.project_name, &d->state, err) < 0 ||
        compose_state_settle(d->ctx, d->docker, &d->state, err) < 0)
        return -1;
    choose(d);
    choose_images(d);
    remove_containers(d);
    if (!d->failed) {
        remove_networks(d);
        if (d->options->volumes)
            remove_volumes(d);
        remove_images(d);
    }
    if (ctx_check(d->ctx, err) < 0)
        return -1;
    if (!d->failed)
        return 0;
    if (err)
        *err = d->failure;
    return -1;
}

int compose_down(const struct ctx *ctx, const struct compose_host *host,
                 const struct compose_down *options, const struct compose_sink *sink,
                 struct err *err)
{
    struct down d = {.ctx = ctx, .options = options, .failure = ERR_INIT};
    int result;

    pthread_mutex_init(&d.mu, NULL);
    pthread_cond_init(&d.moved, NULL);
    result = compose_session_init(ctx, &d.session, host, options->project, options->project_name,
                                  sink, err);
    if (result == 0)
        result = down(&d, err);
    compose_client_give(&d.session.clients, d.docker);
    compose_session_release(&d.session);
    compose_state_release(&d.state);
    vec_release(&d.targets);
    strvec_release(&d.anonymous);
    strvec_release(&d.images);
    pthread_cond_destroy(&d.moved);
    pthread_mutex_destroy(&d.mu);
    return result;
}
