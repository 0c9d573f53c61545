#include "engine/docker/place.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "engine/docker/placed.h"
#include "engine/docker/session.h"
#include "engine/docker/sweep.h"

#define REMOVE_MS 60000

char *place_object_name(struct docker_place *place)
{
    unsigned number;

    pthread_mutex_lock(&place->mu);
    number = ++place->next_number;
    pthread_mutex_unlock(&place->mu);
    return xasprintf("%s-%u", place->prefix, number);
}

static void task_begins(struct docker_place *place)
{
    pthread_mutex_lock(&place->mu);
    place->tasks++;
    pthread_mutex_unlock(&place->mu);
}

static void task_ends(struct docker_place *place)
{
    pthread_mutex_lock(&place->mu);
    place->tasks--;
    pthread_cond_broadcast(&place->changed);
    pthread_mutex_unlock(&place->mu);
}

static void await_tasks(struct docker_place *place)
{
    pthread_mutex_lock(&place->mu);
    while (place->tasks > 0)
        pthread_cond_wait(&place->changed, &place->mu);
    pthread_mutex_unlock(&place->mu);
}

/* --- removing behind --- */

struct removal {
    struct docker_place *place;
    struct step_container *container;
};

static void remove_container(void *arg)
{
    struct removal *removal = arg;
    struct step_container *container = removal->container;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, REMOVE_MS);
    docker_wait_free(steal_ptr(&container->wait));
    http_stream_free(steal_ptr(&container->stream));
    if (!container->instance->services->keep &&
        instance_remove_container(&ctx, container->instance, container->client, container->id,
                                  &err) < 0)
        instance_remove_failed(container->instance, "container", container->id, &err);
    step_container_free(container);
    task_ends(removal->place);
    free(removal);
}

void place_remove_behind(struct docker_place *place, struct step_container *container)
{
    struct removal *removal;

    if (!container)
        return;
    removal = xcalloc(1, sizeof(*removal));
    removal->place = place;
    removal->container = container;
    task_begins(place);
    workers_submit(&place->instance->behind, remove_container, removal);
}

/* --- making ahead --- */

static int make_container(const struct ctx *ctx, struct docker_place *place,
                          const struct runnable *runnable, struct step_container **ret,
                          struct err *err)
{
    CLEANUP_RECIPE struct recipe recipe = {0};
    struct docker_client *client;

    if (instance_client_take(place->instance, &client, err) < 0)
        return -1;
    if (recipe_make(ctx, place, client, runnable, NULL, &recipe, err) < 0) {
        instance_client_give(place->instance, client);
        return -1;
    }
    return step_container_launch(ctx, place, client, &recipe, ret, err);
}

/* A shared container of that kind, taken if it is free and `ahead` is not set; *ret_exists tells
 * whether there is one at all. */
static struct step_container *find_shared(struct docker_place *place, const char *key, bool ahead,
                                          bool *ret_exists)
{
    struct step_container *found = NULL;

    *ret_exists = false;
    pthread_mutex_lock(&place->mu);
    for (struct step_container *c = place->shared; c && !found; c = c->next) {
        if (strcmp(c->key, key) != 0)
            continue;
        *ret_exists = true;
        if (!c->busy && !ahead)
            found = c;
    }
    if (found)
        found->busy = true;
    pthread_mutex_unlock(&place->mu);
    return found;
}

/* Gives a shared container back, or drops it from the list. */
static void return_shared(struct docker_place *place, struct step_container *container,
                          bool reusable)
{
    pthread_mutex_lock(&place->mu);
    container->busy = false;
    for (struct step_container **at = &place->shared; *at && !reusable; at = &(*at)->next) {
        if (*at == container) {
            *at = container->next;
            break;
        }
    }
    pthread_mutex_unlock(&place->mu);
    if (!reusable)
        place_remove_behind(place, container);
}

/* One that exists and is free, else a new one; *ret is then the caller's until it is returned.
 * With `ahead` nobody takes it, so that it is never in the way of who needs it now, and one that is
 * not free will do as well, as it will be by the time it is needed: *ret is then NULL. Consumes
 * `client`. */
static int take_shared(const struct ctx *ctx, struct docker_place *place,
                       struct docker_client *client, struct recipe *recipe, bool ahead,
                       struct step_container **ret, struct err *err)
{
    struct step_container *container;
    bool exists;
    int result = 0;

    if (gate_enter(ctx, &place->shared_busy, err) < 0) {
        instance_client_give(place->instance, client);
        return -1;
    }
    container = find_shared(place, recipe->key, ahead, &exists);
    if (container || (exists && ahead)) {
        instance_client_give(place->instance, client);
    } else {
        result = step_container_launch(ctx, place, client, recipe, &container, err);
        if (result == 0) {
            pthread_mutex_lock(&place->mu);
            container->busy = !ahead;
            container->next = place->shared;
            place->shared = container;
            pthread_mutex_unlock(&place->mu);
        }
    }
    gate_leave(&place->shared_busy);
    *ret = ahead ? NULL : container;
    return result;
}

static void prepare_shared(const struct ctx *ctx, struct docker_place *place,
                           const struct runnable *runnable)
{
    CLEANUP_RECIPE struct recipe recipe = {0};
    struct step_container *nobodys;
    struct docker_client *client;
    struct err err = ERR_INIT;

    if (instance_client_take(place->instance, &client, &err) < 0)
        return;
    if (recipe_make(ctx, place, client, runnable, NULL, &recipe, &err) < 0)
        instance_client_give(place->instance, client);
    else if (take_shared(ctx, place, client, &recipe, true, &nobodys, &err) < 0)
        log_debug("docker", "%s cannot be prepared: %s", runnable->id, err.message);
}

static void prepared_free(struct prepared *prepared)
{
    gate_release(&prepared->done);
    ctx_release(&prepared->ctx);
    free(prepared);
}

static void make_ahead(void *arg)
{
    struct prepared *prepared = arg;
    struct docker_place *place = prepared->place;
    struct step_container *container = NULL;
    struct err err = ERR_INIT;
    bool wanted;

    pthread_mutex_lock(&place->mu);
    wanted = prepared->state == PREPARED_QUEUED && !ctx_done(&prepared->ctx);
    if (prepared->state == PREPARED_QUEUED)
        prepared->state = PREPARED_WORKING;
    pthread_mutex_unlock(&place->mu);
    if (wanted && prepared->runnable->container->shared)
        prepare_shared(&prepared->ctx, place, prepared->runnable);
    else if (wanted &&
             make_container(&prepared->ctx, place, prepared->runnable, &container, &err) < 0)
        log_debug("docker", "%s cannot be prepared: %s", prepared->runnable->id, err.message);
    pthread_mutex_lock(&place->mu);
    if (prepared->state == PREPARED_WITHDRAWN) {
        prepared_free(prepared);
    } else {
        prepared->container = container;
        prepared->state = PREPARED_DONE;
        gate_leave(&prepared->done);
    }
    pthread_mutex_unlock(&place->mu);
    task_ends(place);
}

void docker_place_prepare(struct place *opaque, const struct runnable *next)
{
    struct docker_place *place = (struct docker_place *)opaque;
    struct prepared *prepared;

    if (!next->container)
        return;
    prepared = xcalloc(1, sizeof(*prepared));
    prepared->place = place;
    prepared->runnable = next;
    if (ctx_init_cancel(&prepared->ctx, &place->background, NULL) < 0) {
        free(prepared);
        return;
    }
    if (gate_init(&prepared->done, 0, NULL) < 0) {
        prepared_free(prepared);
        return;
    }
    pthread_mutex_lock(&place->mu);
    place->tasks++;
    prepared->next = place->prepared;
    place->prepared = prepared;
    pthread_mutex_unlock(&place->mu);
    workers_submit(&place->instance->ahead, make_ahead, prepared);
}

/* Takes the entry of a runnable out of the list. One whose turn has not come is withdrawn: it is
 * faster to do it now. */
static struct prepared *take_entry(struct docker_place *place, const struct runnable *runnable)
{
    struct prepared *found = NULL;

    pthread_mutex_lock(&place->mu);
    for (struct prepared **at = &place->prepared; *at; at = &(*at)->next) {
        if ((*at)->runnable == runnable || strcmp((*at)->runnable->id, runnable->id) == 0) {
            found = *at;
            *at = found->next;
            break;
        }
    }
    if (found && found->state == PREPARED_QUEUED) {
        found->state = PREPARED_WITHDRAWN;
        found = NULL;
    }
    pthread_mutex_unlock(&place->mu);
    return found;
}

/* Waits for the end of the making, which a cancelled prepared->ctx brings about, and frees. */
static struct step_container *end_prepared(struct prepared *prepared)
{
    struct step_container *container;
    CLEANUP_CTX struct ctx unbounded;

    ctx_init_cleanup(&unbounded, 0);
    if (gate_enter(&unbounded, &prepared->done, NULL) < 0)
        log_warn("docker", "%s cannot be waited for", prepared->runnable->id);
    container = prepared->container;
    prepared_free(prepared);
    return container;
}

/* The container made ahead for a runnable, or NULL. When ctx ends first, so does the making: when
 * a step is over nothing may work with its runnable any more. */
static struct step_container *take_prepared(const struct ctx *ctx, struct docker_place *place,
                                            const struct runnable *runnable)
{
    struct prepared *prepared = take_entry(place, runnable);

    if (!prepared)
        return NULL;
    if (gate_enter(ctx, &prepared->done, NULL) == 0)
        gate_leave(&prepared->done);
    else
        ctx_cancel(&prepared->ctx, CTX_CAUSE_USER);
    return end_prepared(prepared);
}

static void drop_prepared(struct docker_place *place, const struct runnable *runnable)
{
    struct prepared *prepared = take_entry(place, runnable);

    if (!prepared)
        return;
    ctx_cancel(&prepared->ctx, CTX_CAUSE_USER);
    place_remove_behind(place, end_prepared(prepared));
}

/* --- running --- */

/* Finds or makes the container that fits the recipe; consumes `client`. */
static int get_container(const struct ctx *ctx, struct docker_place *place,
                         struct docker_client *client, struct recipe *recipe,
                         struct step_container *prepared, struct step_container **ret,
                         struct err *err)
{
    if (prepared && strcmp(prepared->key, recipe->key) == 0) {
        instance_client_give(place->instance, client);
        *ret = prepared;
        return 0;
    }
    place_remove_behind(place, prepared);
    if (recipe->shared)
        return take_shared(ctx, place, client, recipe, false, ret, err);
    return step_container_launch(ctx, place, client, recipe, ret, err);
}

static void add_running(struct docker_place *place, struct running *running)
{
    pthread_mutex_lock(&place->mu);
    running->next = place->running;
    place->running = running;
    pthread_mutex_unlock(&place->mu);
}

static void remove_running(struct docker_place *place, const struct running *running)
{
    pthread_mutex_lock(&place->mu);
    for (struct running **at = &place->running; *at; at = &(*at)->next) {
        if (*at == running) {
            *at = running->next;
            break;
        }
    }
    pthread_mutex_unlock(&place->mu);
}

static enum session_end run_once(const struct ctx *ctx, struct docker_place *place,
                                 const struct runnable *runnable, struct step_container *prepared,
                                 struct output *output, struct exit_record *ret, struct err *err)
{
    CLEANUP_RECIPE struct recipe recipe = {0};
    struct docker_client *client = NULL;
    struct step_container *container;
    struct running running = {.runnable = runnable};
    enum session_end end;
    bool reusable;

    if (instance_client_take(place->instance, &client, err) < 0 ||
        recipe_make(ctx, place, client, runnable, output, &recipe, err) < 0) {
        instance_client_give(place->instance, client);
        place_remove_behind(place, prepared);
        return SESSION_FAILED;
    }
    if (get_container(ctx, place, client, &recipe, prepared, &container, err) < 0)
        return place_holder_is_lost(ctx, place) ? SESSION_NOT_BEGUN : SESSION_FAILED;
    if (placed_put(ctx, container, runnable, err) < 0) {
        reusable = false;
        end = err->code == ERR_NOT_FOUND ? SESSION_NOT_BEGUN : SESSION_FAILED;
    } else {
        running.container = container;
        add_running(place, &running);
        end = session_run(ctx, container, runnable, recipe.image, output, &reusable, ret, err);
        remove_running(place, &running);
    }
    if (recipe.shared)
        return_shared(place, container, reusable);
    else
        place_remove_behind(place, container);
    return end;
}

/* First of all, so that people see what is pulled, also when that was begun ahead. What the image
 * adds to the environment goes into `additions`. */
static int await_image(const struct ctx *ctx, struct docker_place *place,
                       const struct runnable *runnable, struct strmap *additions,
                       struct output *output, struct err *err)
{
    const struct container_shape *shape = runnable->container;
    const struct docker_image *image;
    struct docker_client *client;
    char limit[CLOCK_DURATION_SIZE];
    struct ctx wait;
    int result;

    if (instance_client_take(place->instance, &client, err) < 0)
        return -1;
    ctx_init(&wait, ctx);
    ctx_set_timeout(&wait, shape->source.pull_timeout_ms, "pull");
    result = image_ensure(&wait, place->instance, client, &shape->source, shape->platform, output,
                          &image, err);
    if (result < 0 && ctx_done(&wait) && !ctx_done(ctx)) {
        clock_format_limit(shape->source.pull_timeout_ms, limit, sizeof(limit));
        err_set(err, ERR_IMAGE_PULL, "image %s was not there after %s (`pull_timeout`)",
                shape->source.image, limit);
    }
    ctx_release(&wait);
    instance_client_give(place->instance, client);
    if (result == 0 && shape->check)
        result = shape->check->run(shape->check->arg, &image->labels, additions, output, err);
    return result;
}

int docker_place_run(const struct ctx *ctx, struct place *opaque, const struct runnable *given,
                     struct output *output, struct exit_record *ret, struct err *err)
{
    struct docker_place *place = (struct docker_place *)opaque;
    CLEANUP_STRMAP struct strmap additions = {0};
    CLEANUP_STRMAP struct strmap environment = {0};
    struct runnable complete = *given;
    const struct runnable *runnable = &complete;
    struct step_container *prepared;
    struct err local = ERR_INIT;
    enum session_end end;

    if (!err)
        err = &local;
    if (!runnable->container)
        return err_set(err, ERR_INVALID, "engine docker needs an `image`");
    if (await_image(ctx, place, runnable, &additions, output, err) < 0) {
        drop_prepared(place, runnable);
        return -1;
    }
    if (additions.len) {
        strmap_merge(&environment, given->environment);
        strmap_merge(&environment, &additions);
        complete.environment = &environment;
    }
    prepared = take_prepared(ctx, place, runnable);
    end = run_once(ctx, place, runnable, prepared, output, ret, err);
    /* Since the container was made ahead, the daemon may have been restarted, or out of reach, and
     * the holder may be gone as well: two things to find out, hence three tries. */
    for (int i = 0; i < 2 && end == SESSION_NOT_BEGUN; i++)
        end = run_once(ctx, place, runnable, NULL, output, ret, err);
    if (end == SESSION_NOT_BEGUN)
        return err_set(err, ERR_LOST, "the container of %s ends before the step begins",
                       runnable->name);
    return end == SESSION_OVER ? 0 : -1;
}

/* --- opening and closing --- */

static void release(struct docker_place *place)
{
    gate_release(&place->holder_busy);
    gate_release(&place->shared_busy);
    self_path_release(&place->workspace_path);
    ctx_release(&place->background);
    pthread_cond_destroy(&place->changed);
    pthread_mutex_destroy(&place->mu);
    http_stream_free(place->holder_lease);
    free(place->holder);
    free(place->volume);
    free(place->network);
    free(place->id);
    free(place->name);
    free(place->workspace);
    free(place->prefix);
    free(place);
}

int docker_place_open(const struct ctx *ctx, struct engine_instance *opaque,
                      const struct place_options *options, struct place **ret, struct err *err)
{
    struct docker_instance *instance = (struct docker_instance *)opaque;
    struct docker_place *place = xcalloc(1, sizeof(*place));

    (void)ctx;
    place->engine = instance->engine;
    place->instance = instance;
    place->holder_busy.event_fd = place->shared_busy.event_fd = -1;
    pthread_mutex_init(&place->mu, NULL);
    pthread_cond_init(&place->changed, NULL);
    place->id = xstrdup(options->id);
    place->name = xstrdup(options->name);
    place->workspace = xstrdup(options->workspace);
    place->empty = options->empty;
    place->services = options->services;
    for (size_t i = 0; i < options->services_of_count; i++)
        place->services_of[place->services_of_count++] =
            (struct docker_place *)options->services_of[i];
    /* Numbered, as a job that is tried again has the same id and maybe kept containers. */
    place->prefix =
        xasprintf("runner-%s-%u", options->id, atomic_fetch_add(&instance->place_count, 1) + 1);
    if (ctx_init_root(&place->background, NULL, err) < 0 ||
        gate_init(&place->holder_busy, 1, err) < 0 || gate_init(&place->shared_busy, 1, err) < 0) {
        release(place);
        return -1;
    }
    *ret = (struct place *)place;
    return 0;
}

/* What was made for steps. The lists are ours alone: all tasks have ended. */
static void remove_steps(struct docker_place *place)
{
    while (place->prepared) {
        struct prepared *prepared = place->prepared;

        place->prepared = prepared->next;
        place_remove_behind(place, prepared->container);
        prepared_free(prepared);
    }
    while (place->shared) {
        struct step_container *container = place->shared;

        place->shared = container->next;
        place_remove_behind(place, container);
    }
}

static void remove_place(struct docker_place *place)
{
    struct docker_instance *instance = place->instance;
    struct docker_client *client;
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, REMOVE_MS);
    if (instance_client_take(instance, &client, &err) < 0) {
        instance_remove_failed(instance, "containers of", place->name, &err);
        return;
    }
    place_holder_remove(&ctx, place, client);
    if (atomic_load(&instance->uncertain) &&
        sweep_place(&ctx, instance, client, own_run_id(instance->services->run), place->id, &err) <
            0)
        instance_remove_failed(instance, "containers of", place->name, &err);
    instance_client_give(place->instance, client);
}

bool docker_place_shares_workspace(const struct ctx *ctx, struct place *place)
{
    return !place_has_copy(ctx, (struct docker_place *)place);
}

void docker_place_close(struct place *opaque)
{
    struct docker_place *place = (struct docker_place *)opaque;

    if (!place)
        return;
    ctx_cancel(&place->background, CTX_CAUSE_USER);
    await_tasks(place);
    remove_steps(place);
    /* Nothing may be in a network that is removed. */
    if (place->network)
        await_tasks(place);
    if (!place->instance->services->keep)
        remove_place(place);
    await_tasks(place);
    release(place);
}
