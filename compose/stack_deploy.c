/* Deploying: everything is checked first, then made in the order in which it refers to each other:
 * secrets and configs, networks, services. What has been made is recorded as soon as it is there,
 * so that a caller can take it back at any point. */
#include <string.h>
#include <unistd.h>

#include "apis/docker/auth.h"
#include "apis/docker/distribution.h"
#include "apis/docker/image_ref.h"
#include "apis/docker/swarm.h"
#include "base/alloc.h"
#include "compose/stack_internal.h"

/* So many calls run side by side. */
enum { CALLS_MAX = 8, UPDATE_TRIES = 4, NETWORK_TRIES = 60, NETWORK_PAUSE_MS = 500 };

/* One service of the project on its way into the swarm. */
struct item {
    const char *key;
    struct stack_spec spec;
    const struct docker_service *have; /* NULL: none yet */
    char *image;                       /* with tag or digest, as it goes to the swarm */
    char *auth;                        /* X-Registry-Auth; NULL: none */
    struct docker_distribution distribution;
    struct docker_pending *pending;
    json_t *body;
    char *id;
    bool ask; /* the registry for the digest */
    bool changed;
};

struct items {
    struct item *list;
    size_t len;
};

static void items_release(struct items *items)
{
    for (size_t i = 0; i < items->len; i++) {
        struct item *item = &items->list[i];

        docker_pending_free(item->pending);
        docker_distribution_release(&item->distribution);
        stack_spec_release(&item->spec);
        json_decref(item->body);
        free(item->image);
        free(item->auth);
        free(item->id);
    }
    free(items->list);
}

static void run_release(struct stack_run *run)
{
    docker_service_list_release(&run->services);
    strmap_release(&run->old_tasks);
    strmap_release(&run->network_ids);
    strmap_release(&run->secrets);
    strmap_release(&run->secret_ids);
    strmap_release(&run->configs);
    strmap_release(&run->config_ids);
}

/* --- before anything is made --- */

static int check_service(const struct stack_run *run, const char *key, struct err *err)
{
    const json_t *service = compose_service(run->project, key);
    const char *image = compose_string(service, "image");
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
    CLEANUP(stack_spec_release) struct stack_spec spec = {0};
    struct err why = ERR_INIT;

    if (!image)
        return compose_error(run->project, service, err, ERR_INVALID,
                             "service %s has no image, and a swarm does not build: build and push "
                             "it, and name it with image",
                             key);
    if (docker_image_ref_parse(image, &ref, &why) < 0)
        return compose_error(run->project, service, err, ERR_INVALID, "service %s: %s", key,
                             why.message);
    return stack_spec_make(run, key, &spec, err);
}

static int check_all(struct stack_run *run, struct err *err)
{
    const struct strvec *services = &run->project->order;

    /* What is empty by mistake would be pruned to nothing. */
    if (!services->len)
        return err_set(err, ERR_INVALID, "there is no service in the files of the stack %s",
                       run->options->name);
    if (docker_swarm_check_manager(run->ctx, run->docker, err) < 0 ||
        stack_networks_check(run, err) < 0 || stack_objects_check(run, DOCKER_SECRET, err) < 0 ||
        stack_objects_check(run, DOCKER_CONFIG, err) < 0)
        return -1;
    for (size_t i = 0; i < services->len; i++) {
        if (check_service(run, services->items[i], err) < 0)
            return -1;
    }
    return 0;
}

static int look_at_services(struct stack_run *run, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(run->options->name, &text);

    docker_service_list_release(&run->services);
    return docker_service_list(run->ctx, run->docker, &filter, 1, &run->services, err);
}

/* Which there are before anything is made. */
static int look_at_tasks(struct stack_run *run, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(run->options->name, &text);
    CLEANUP_DOCKER_TASK_LIST struct docker_task_list tasks = {0};

    if (docker_task_list(run->ctx, run->docker, &filter, 1, &tasks, err) < 0)
        return -1;
    for (size_t i = 0; i < tasks.len; i++)
        strmap_set(&run->old_tasks, tasks.items[i].id, "");
    return 0;
}

static const struct docker_service *find_service(const struct stack_run *run, const char *name)
{
    for (size_t i = 0; i < run->services.len; i++) {
        if (strcmp(run->services.items[i].name, name) == 0)
            return &run->services.items[i];
    }
    return NULL;
}

static bool is_wanted(const struct stack_run *run, const char *name)
{
    for (size_t i = 0; i < run->project->order.len; i++) {
        CLEANUP_FREE char *wanted = stack_scoped(run, run->project->order.items[i]);

        if (strcmp(wanted, name) == 0)
            return true;
    }
    return false;
}

/* First, because what comes may need a port of what goes. */
static int prune(struct stack_run *run, struct err *err)
{
    for (size_t i = 0; run->options->prune && i < run->services.len; i++) {
        const struct docker_service *service = &run->services.items[i];

        if (is_wanted(run, service->name))
            continue;
        stack_say(&run->options->sink, STACK_NOTE_STEP, "removing service %s", service->name);
        if (docker_service_remove(run->ctx, run->docker, service->id, err) < 0 &&
            err->code != ERR_NOT_FOUND)
            return err_wrap(err, "service %s", service->name);
        strvec_push(&run->record->removed, service->name);
    }
    return 0;
}

/* --- images --- */

static bool is_image_of_last_deploy(const struct item *item)
{
    const char *label = item->have ? strmap_get(&item->have->labels, STACK_LABEL_IMAGE) : NULL;

    return label && strcmp(label, item->spec.service.image) == 0;
}

static const json_t *container_of(const struct docker_service *service)
{
    return json_object_get(json_object_get(service->spec, "TaskTemplate"), "ContainerSpec");
}

/* What the last deploy found: the image with its digest, and where it can run. */
static void keep_image(struct item *item)
{
    const json_t *task = json_object_get(item->have->spec, "TaskTemplate");
    const json_t *platforms = json_object_get(json_object_get(task, "Placement"), "Platforms");
    const char *image = json_string_value(json_object_get(container_of(item->have), "Image"));
    struct docker_platform *list =
        arena_alloc(&item->spec.arena, (json_array_size(platforms) + 1) * sizeof(*list));
    size_t i;
    json_t *value;

    json_array_foreach (platforms, i, value) {
        const char *architecture = compose_string(value, "Architecture");

        list[i] =
            (struct docker_platform){compose_string(value, "OS"), architecture ? architecture : ""};
    }
    free(item->image);
    item->image = xstrdup(image ? image : item->spec.service.image);
    item->spec.service.platforms = list;
    item->spec.service.platform_count = json_array_size(platforms);
}

static int prepare_image(const struct stack_run *run, struct item *item, struct err *err)
{
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials credentials = {0};
    const struct stack_options *o = run->options;

    if (docker_image_ref_parse(item->spec.service.image, &ref, err) < 0)
        return -1;
    item->image = docker_image_ref_full(&ref);
    if (o->with_registry_auth) {
        if (docker_credentials_find(run->ctx, o->envp ? o->envp : (const char *const *)environ,
                                    ref.registry, NULL, NULL, &credentials, err) < 0)
            return err_wrap(err, "service %s", item->key);
        item->auth = docker_credentials_header(&credentials);
    }
    item->ask = o->resolve == STACK_RESOLVE_ALWAYS ||
                (o->resolve == STACK_RESOLVE_CHANGED && !is_image_of_last_deploy(item));
    if (!item->ask && is_image_of_last_deploy(item))
        keep_image(item);
    return 0;
}

/* A registry that cannot be asked is no reason to stop: nodes may have the image, or reach what the
 * manager does not. */
static void take_digest(const struct stack_run *run, struct item *item, const struct err *why)
{
    if (item->distribution.digest && *item->distribution.digest) {
        if (!strchr(item->image, '@')) {
            char *pinned = xasprintf("%s@%s", item->image, item->distribution.digest);

            free(item->image);
            item->image = pinned;
        }
        item->spec.service.platforms = item->distribution.platforms;
        item->spec.service.platform_count = item->distribution.platform_count;
        return;
    }
    if (is_image_of_last_deploy(item)) {
        keep_image(item);
        if (!strchr(item->image, '@'))
            return;
    }
    stack_say(
        &run->options->sink, STACK_NOTE_WARNING,
        "%s: no registry told the digest of %s, so that every node takes what it has or finds "
        "under that name (%s)",
        item->spec.service.name, item->image, why->message);
}

/* In windows of CALLS_MAX, so that they all wait at once. */
static int resolve_images(const struct stack_run *run, struct items *items, struct err *err)
{
    size_t begun = 0;

    for (size_t i = 0; i < items->len; i++) {
        struct item *item = &items->list[i];
        struct err why = ERR_INIT;

        for (; begun < items->len && begun < i + CALLS_MAX; begun++) {
            struct item *next = &items->list[begun];

            if (next->ask && docker_distribution_begin(run->ctx, run->docker, next->image,
                                                       next->auth, &next->pending, err) < 0)
                return -1;
        }
        if (!item->ask)
            continue;
        if (docker_distribution_end(run->ctx, steal_ptr(&item->pending), &item->distribution,
                                    &why) < 0 &&
            ctx_check(run->ctx, err) < 0)
            return -1;
        take_digest(run, item, &why);
    }
    return 0;
}

/* --- services --- */

static int make_item(const struct stack_run *run, const char *key, struct item *ret,
                     struct err *err)
{
    ret->key = key;
    if (stack_spec_make(run, key, &ret->spec, err) < 0)
        return -1;
    ret->have = find_service(run, ret->spec.service.name);
    return prepare_image(run, ret, err);
}

static int make_items(const struct stack_run *run, struct items *items, struct err *err)
{
    const struct strvec *services = &run->project->order;

    items->list = xcalloc(services->len + 1, sizeof(*items->list));
    for (size_t i = 0; i < services->len; i++) {
        items->len = i + 1;
        if (make_item(run, services->items[i], &items->list[i], err) < 0)
            return -1;
    }
    return resolve_images(run, items, err);
}

/* A paused update goes on when the service is written again, even if nothing has changed. */
static bool is_paused(const struct docker_service *service)
{
    return strcmp(service->update_state, "paused") == 0 ||
           strcmp(service->update_state, "rollback_paused") == 0;
}

/* An earlier try of this deploy has written it. */
static bool is_written(const struct stack_run *run, const struct docker_service *service)
{
    for (size_t i = 0; i < run->record->created.len; i++) {
        if (strcmp(run->record->created.items[i].id, service->id) == 0)
            return true;
    }
    for (size_t i = 0; i < run->record->updated.len; i++) {
        if (strcmp(run->record->updated.items[i], service->name) == 0)
            return true;
    }
    return false;
}

static int begin_update(const struct stack_run *run, struct item *item,
                        const struct docker_service *have, struct err *err)
{
    return docker_service_update_begin(run->ctx, run->docker, have->id, have->version, item->body,
                                       item->auth, &item->pending, err);
}

static int begin_service(const struct stack_run *run, struct item *item, struct err *err)
{
    struct docker_service_spec *spec = &item->spec.service;
    int api_minor = docker_client_api_minor(run->docker);

    spec->image = item->image;
    if (item->have)
        spec->force_update = json_integer_value(
            json_object_get(json_object_get(item->have->spec, "TaskTemplate"), "ForceUpdate"));
    item->body = docker_service_body(spec, api_minor, err);
    if (!item->body)
        return err_wrap(err, "service %s", spec->name);
    if (!item->have) {
        item->changed = true;
        if (stack_announce(run, STACK_SERVICE, spec->name, err) < 0)
            return -1;
        return docker_service_create_begin(run->ctx, run->docker, item->body, item->auth,
                                           &item->pending, err);
    }
    item->id = xstrdup(item->have->id);
    item->changed = is_written(run, item->have);
    if (item->changed)
        return 0;
    item->changed =
        is_paused(item->have) || !stack_same_spec(item->body, item->have->spec, &run->network_ids);
    if (!item->changed) {
        strvec_push(&run->record->unchanged, spec->name);
        return 0;
    }
    stack_say(&run->options->sink, STACK_NOTE_STEP, "updating service %s", spec->name);
    return begin_update(run, item, item->have, err);
}

/* The swarm itself writes a service while it updates it; what it was written for is not changed by
 * that, and the same is asked again for the new version. */
static int end_update(const struct stack_run *run, struct item *item,
                      struct docker_service_written *written, struct err *err)
{
    for (int i = 0; i < UPDATE_TRIES; i++) {
        CLEANUP_DOCKER_SERVICE struct docker_service now = {0};

        if (docker_service_end(run->ctx, steal_ptr(&item->pending), written, err) == 0)
            return 0;
        if (!strstr(err->message, "out of sequence") || i + 1 == UPDATE_TRIES)
            break;
        if (docker_service_inspect(run->ctx, run->docker, item->have->id, &now, err) < 0 ||
            begin_update(run, item, &now, err) < 0)
            return -1;
    }
    return -1;
}

static int explain(const struct stack_run *run, const struct item *item, struct err *err)
{
    const char *name = item->spec.service.name;

    if (err->code == ERR_CONFLICT && !item->have) {
        stack_refused(run, STACK_SERVICE, name);
        return err_set(err, ERR_CONFLICT,
                       "a service \"%s\" exists that is not of the stack %s; remove it, or deploy "
                       "under another name",
                       name, run->options->name);
    }
    if (strstr(err->message, "already in use")) /* a port; nothing that is wrong in the file */
        err->code = ERR_CONFLICT;
    return err_wrap(err, "service %s", name);
}

static int end_service(const struct stack_run *run, struct item *item, struct err *err)
{
    CLEANUP_DOCKER_SERVICE_WRITTEN struct docker_service_written written = {0};
    const char *name = item->spec.service.name;

    if (!item->pending)
        return 0;
    if ((item->have ? end_update(run, item, &written, err)
                    : docker_service_end(run->ctx, steal_ptr(&item->pending), &written, err)) < 0)
        return explain(run, item, err);
    if (item->have) {
        strvec_push(&run->record->updated, name);
    } else {
        item->id = xstrdup(written.id);
        stack_record_created(run->record, STACK_SERVICE, written.id, name);
    }
    for (size_t i = 0; i < written.warnings.len; i++)
        stack_say(&run->options->sink, STACK_NOTE_WARNING, "%s: %s", name,
                  written.warnings.items[i]);
    return 0;
}

/* The first error counts; calls that are under way come to their end all the same, since what they
 * create must be known. */
static int write_services(const struct stack_run *run, struct items *items, struct err *err)
{
    size_t begun = 0;
    int result = 0;

    for (size_t i = 0; i < items->len && (result == 0 || i < begun); i++) {
        struct err why = ERR_INIT;

        for (; result == 0 && begun < items->len && begun < i + CALLS_MAX; begun++)
            result = begin_service(run, &items->list[begun], err);
        if (end_service(run, &items->list[i], result < 0 ? &why : err) < 0)
            result = -1;
    }
    return result;
}

static int wait_for(const struct stack_run *run, const struct items *items, struct err *err)
{
    CLEANUP_FREE struct stack_target *targets = xcalloc(items->len + 1, sizeof(*targets));

    if (!run->options->wait)
        return 0;
    for (size_t i = 0; i < items->len; i++)
        targets[i] = (struct stack_target){.id = items->list[i].id,
                                           .name = items->list[i].spec.service.name,
                                           .changed = items->list[i].changed};
    return stack_wait(run, targets, items->len, err);
}

/* A network of a stack that has just been removed is listed while its node still holds it. Daemons
 * say that it is not found with the status 404, or 500. */
static bool is_lost_network(const struct err *err)
{
    return strstr(err->message, "network ") && strstr(err->message, " not found");
}

/* Networks, then the services that need them. */
static int make_all(struct stack_run *run, struct items *items, struct err *err)
{
    for (int i = 0;; i++) {
        if (look_at_services(run, err) < 0 || stack_networks_create(run, err) < 0 ||
            make_items(run, items, err) < 0)
            return -1;
        if (write_services(run, items, err) == 0)
            return 0;
        if (!is_lost_network(err))
            return -1;
        if (i == NETWORK_TRIES) {
            CLEANUP_FREE char *reason = xstrdup(err->message);

            return err_set(
                err, ERR_CONFLICT,
                "%s; a node still holds a network that was removed: deploy under another "
                "name, or restart its daemon",
                reason);
        }
        if (ctx_sleep(run->ctx, NETWORK_PAUSE_MS, err) < 0)
            return -1;
        items_release(items);
        *items = (struct items){0};
    }
}

static int deploy(struct stack_run *run, struct err *err)
{
    CLEANUP(items_release) struct items items = {0};

    if (check_all(run, err) < 0 || look_at_services(run, err) < 0 || look_at_tasks(run, err) < 0 ||
        prune(run, err) < 0 || stack_objects_create(run, DOCKER_SECRET, err) < 0 ||
        stack_objects_create(run, DOCKER_CONFIG, err) < 0 || make_all(run, &items, err) < 0 ||
        wait_for(run, &items, err) < 0)
        return -1;
    return stack_objects_tidy(run, DOCKER_SECRET, err) < 0
               ? -1
               : stack_objects_tidy(run, DOCKER_CONFIG, err);
}

int stack_deploy(const struct ctx *ctx, struct docker_client *docker,
                 const struct compose_project *project, const struct stack_options *options,
                 struct stack_record *record, struct err *err)
{
    CLEANUP(run_release)
    struct stack_run run = {
        .ctx = ctx, .docker = docker, .project = project, .options = options, .record = record};
    struct err why = ERR_INIT;

    if (stack_check_name(options->name, err) < 0)
        return -1;
    if (deploy(&run, &why) == 0)
        return 0;
    if (err)
        *err = why;
    return -1;
}
