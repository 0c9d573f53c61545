#include "compose/images.h"

#include <string.h>

#include "apis/docker/build.h"
#include "apis/docker/image_ref.h"
#include "apis/docker/proxies.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/workers.h"
#include "compose/context.h"
#include "compose/dockerfile.h"
#include "compose/reader.h"
#include "compose/recipe.h"

#define NS_PER_MS 1000000

enum { THREADS = 8, PULL_ATTEMPTS = 4, PROGRESS_INTERVAL_MS = 200 };

/* One image, for all services that have it. */
struct task {
    struct compose_session *session;
    struct ctx *ctx; /* of all tasks; cancelled by the first that fails */
    const struct compose_up *options;
    const char *service; /* the first that has it, or that builds it */
    const json_t *build; /* NULL: pulled */
    const char *policy;
    const char *platform;
    bool published; /* the file names the image: it may be had without building it */
    char *image;
    char *id;
    int64_t last_tagged_ns;
    bool changed; /* was asked for, or built */
    bool is_of_platform;
    int64_t told_ms;
    struct compose_lines lines;
    int result;
    struct err err;
};

/* --- pulling --- */

static int credentials_for(const struct task *task, const char *image,
                           struct docker_credentials *ret, struct err *err)
{
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};

    if (docker_image_ref_parse(image, &ref, err) < 0)
        return -1;
    return docker_credentials_find(task->ctx, task->session->host->environment, ref.registry, NULL,
                                   NULL, ret, err);
}

static void on_pull(void *arg, const struct docker_pull_progress *progress)
{
    struct task *task = arg;
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms - task->told_ms < PROGRESS_INTERVAL_MS)
        return;
    task->told_ms = now_ms;
    compose_progress(task->session, task->image, progress->bytes, progress->bytes_total);
}

static void on_retry(void *arg, int attempt, const struct err *why)
{
    struct task *task = arg;

    compose_warn(task->session, "attempt %d to pull %s failed, trying again: %s", attempt,
                 task->image, why->message);
}

static int pull(struct task *task, struct docker_client *docker, int attempts, struct err *err)
{
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials credentials = {0};
    struct docker_pull options = {.image = task->image,
                                  .platform = task->platform,
                                  .auth = &credentials,
                                  .retry = {.attempts = attempts},
                                  .progress = on_pull,
                                  .progress_arg = task,
                                  .retrying = on_retry};

    if (credentials_for(task, task->image, &credentials, err) < 0)
        return -1;
    task->changed = true;
    compose_tell(task->session, COMPOSE_OBJECT_IMAGE, task->image, "Pulling");
    if (docker_image_pull(task->ctx, docker, &options, err) < 0)
        return -1;
    compose_tell(task->session, COMPOSE_OBJECT_IMAGE, task->image, "Pulled");
    return 0;
}

/* --- building --- */

static void on_build_output(void *arg, const char *text)
{
    struct task *task = arg;

    compose_lines_add(&task->lines, text, strlen(text));
}

static void on_build_line(void *arg, const char *text, size_t len)
{
    struct task *task = arg;

    (void)len;
    compose_output(task->session, COMPOSE_OBJECT_IMAGE, task->image, text);
}

struct build_parts {
    struct docker_credentials *auths; /* of any registry that a base image may be in */
    size_t auth_count;
    struct strvec tags;
    struct strvec cache_from;
    struct strvec extra_hosts;
    struct strvec platforms;
    struct strmap args;
    struct strmap labels;
};

static void build_parts_release(struct build_parts *parts)
{
    for (size_t i = 0; i < parts->auth_count; i++)
        docker_credentials_release(&parts->auths[i]);
    free(parts->auths);
    strvec_release(&parts->tags);
    strvec_release(&parts->cache_from);
    strvec_release(&parts->extra_hosts);
    strvec_release(&parts->platforms);
    strmap_release(&parts->args);
    strmap_release(&parts->labels);
}

static void read_parts(const struct task *task, struct build_parts *parts)
{
    CLEANUP_STRVEC struct strvec hosts = {0};

    strvec_push(&parts->tags, task->image);
    (void)compose_strings(task->build, "tags", &parts->tags);
    (void)compose_strings(task->build, "cache_from", &parts->cache_from);
    (void)compose_strings(task->build, "platforms", &parts->platforms);
    (void)compose_strings(task->build, "extra_hosts", &hosts);
    for (size_t i = 0; i < hosts.len; i++) {
        size_t len = strcspn(hosts.items[i], "=");

        strvec_pushf(&parts->extra_hosts, "%.*s:%s", (int)len, hosts.items[i],
                     hosts.items[i][len] ? hosts.items[i] + len + 1 : "");
    }
    compose_pairs(task->build, "args", &parts->args);
    docker_proxies_add(&task->session->proxies, NULL, &parts->args);
    compose_pairs(task->build, "labels", &parts->labels);
    strmap_set(&parts->labels, COMPOSE_LABEL_PROJECT, task->session->project->name);
    strmap_set(&parts->labels, COMPOSE_LABEL_SERVICE, task->service);
    strmap_set(&parts->labels, COMPOSE_LABEL_VERSION, COMPOSE_VERSION);
    strmap_set(&parts->labels, COMPOSE_LABEL_BUILDER, "classic");
}

static int read_auths(const struct task *task, struct build_parts *parts, struct err *err)
{
    const char *const *environment = task->session->host->environment;
    CLEANUP_STRVEC struct strvec registries = {0};

    if (docker_credentials_registries(environment, &registries, err) < 0)
        return -1;
    parts->auths = xcalloc(registries.len + 1, sizeof(*parts->auths));
    for (size_t i = 0; i < registries.len; i++) {
        struct docker_credentials *auth = &parts->auths[parts->auth_count];
        struct err why = ERR_INIT;

        /* It may well do without. */
        if (docker_credentials_find(task->ctx, environment, registries.items[i], NULL, NULL, auth,
                                    &why) < 0)
            compose_warn(task->session, "%s", why.message);
        else
            parts->auth_count++;
    }
    return 0;
}

static int send_build(struct task *task, struct docker_client *docker,
                      struct compose_context *context, const struct build_parts *parts,
                      struct err *err)
{
    const char *platform = task->platform;
    struct docker_build build = {
        .context = {.read = context->remote ? NULL : compose_context_read, .arg = context},
        .remote = context->remote,
        .dockerfile = context->dockerfile,
        .tags = (const char *const *)parts->tags.items,
        .args = &parts->args,
        .target = compose_string(task->build, "target"),
        .cache_from = (const char *const *)parts->cache_from.items,
        .labels = &parts->labels,
        .network = compose_string(task->build, "network"),
        .extra_hosts = (const char *const *)parts->extra_hosts.items,
        .isolation = compose_string(task->build, "isolation"),
        .shm_bytes = compose_bytes(task->build, "shm_size", 0),
        .pull = compose_bool(task->build, "pull", false),
        .no_cache = compose_bool(task->build, "no_cache", false),
        .auths = parts->auths,
        .auth_count = parts->auth_count,
        .output = on_build_output,
        .arg = task,
    };

    if (!platform && parts->platforms.len)
        platform = parts->platforms.items[0];
    build.platform = platform;
    free(task->id);
    task->id = NULL;
    return docker_image_build(task->ctx, docker, &build, &task->id, err);
}

/* The builder's own words name neither the line nor what could be done. */
static int explain_build(const struct task *task, const struct compose_context *context,
                         struct err *err)
{
    static const char *const signs[] = {"BuildKit", "parse error", "Unknown flag",
                                        "failed to parse platform"};
    const char *name = compose_string(task->build, "dockerfile");
    CLEANUP_FREE char *what = NULL;
    CLEANUP_FREE char *said = NULL;
    bool fits = false;
    size_t line;

    for (size_t i = 0; err && i < sizeof(signs) / sizeof(*signs); i++)
        fits = fits || strstr(err->message, signs[i]);
    if (!fits || !compose_dockerfile_find_buildkit(context->text.data, &line, &what))
        return -1;
    said = xstrdup(err->message);
    return err_set(
        err, err->code,
        "%s:%zu: \"%s\" is for BuildKit, but images are built here by the builder of the "
        "daemon's API, which does not know it; do without it, or name an image that "
        "was built before (%s)",
        compose_string(task->build, "dockerfile_inline") ? "dockerfile_inline"
        : name                                           ? name
                                                         : "Dockerfile",
        line, what, said);
}

static int build_image(struct task *task, struct docker_client *docker, struct err *err)
{
    CLEANUP_COMPOSE_CONTEXT struct compose_context context = {.first = BUF_INIT, .text = BUF_INIT};
    CLEANUP(build_parts_release) struct build_parts parts = {0};
    int result;

    task->changed = true;
    read_parts(task, &parts);
    if (read_auths(task, &parts, err) < 0 || compose_context_open(task->build, &context, err) < 0 ||
        compose_own(task->session, COMPOSE_OBJECT_IMAGE, task->image, NULL, err) < 0)
        return -1;
    compose_tell(task->session, COMPOSE_OBJECT_IMAGE, task->image, "Building");
    task->lines = (struct compose_lines){.partial = BUF_INIT, .line = on_build_line, .arg = task};
    result = send_build(task, docker, &context, &parts, err);
    compose_lines_end(&task->lines);
    if (result < 0)
        return explain_build(task, &context, err);
    compose_tell(task->session, COMPOSE_OBJECT_IMAGE, task->image, "Built");
    return 0;
}

/* --- one image --- */

static bool is(const char *policy, const char *name)
{
    return policy && strcmp(policy, name) == 0;
}

static int look_up(struct task *task, struct docker_client *docker, bool *found, struct err *err)
{
    CLEANUP_DOCKER_IMAGE struct docker_image image = {0};
    struct err why = ERR_INIT;

    *found = docker_image_inspect(task->ctx, docker, task->image, &image, &why) == 0;
    if (*found) {
        free(task->id);
        task->id = steal_ptr(&image.id);
        task->last_tagged_ns = image.last_tagged_ns;
        task->is_of_platform = docker_image_is_of(&image, task->platform);
        return 0;
    }
    if (why.code == ERR_NOT_FOUND)
        return 0;
    if (err)
        *err = why;
    return -1;
}

/* Whether the image that is there is old enough to ask for a newer one. */
static bool is_due(const struct task *task)
{
    int64_t after_ns;

    if (is(task->policy, "always") || is(task->policy, "refresh"))
        return true;
    if (!compose_refresh_interval(task->policy, &after_ns, NULL))
        return false;
    return task->last_tagged_ns < clock_wall_ms() * NS_PER_MS - after_ns;
}

static int pull_and_look(struct task *task, struct docker_client *docker, int attempts,
                         struct err *err)
{
    bool found;

    if (pull(task, docker, attempts, err) < 0 || look_up(task, docker, &found, err) < 0)
        return -1;
    return found ? 0
                 : err_set(err, ERR_IMAGE_PULL, "image %s is not there after it was pulled",
                           task->image);
}

/* What has a name of its own may have been built and pushed before. */
static int pull_or_build(struct task *task, struct docker_client *docker, bool found,
                         struct err *err)
{
    struct err why = ERR_INIT;
    bool may_pull = task->published && !is(task->policy, "never") && !is(task->policy, "build");

    if (task->options->build || is(task->policy, "build"))
        return build_image(task, docker, err);
    if (may_pull && (!found || is_due(task))) {
        if (pull_and_look(task, docker, 1, &why) == 0)
            return 0;
        if (ctx_check(task->ctx, err) < 0)
            return -1;
        compose_warn(task->session, "%s; %s", why.message,
                     found ? "what is there is used" : "it is built");
    }
    return found ? 0 : build_image(task, docker, err);
}

static int get(struct task *task, struct docker_client *docker, struct err *err)
{
    bool found;

    if (look_up(task, docker, &found, err) < 0)
        return -1;
    if (task->build)
        return pull_or_build(task, docker, found, err);
    if (found && !is_due(task) && (task->is_of_platform || is(task->policy, "never")))
        return 0;
    if (is(task->policy, "never"))
        return err_set(err, ERR_IMAGE_PULL,
                       "image %s is not on the Docker host, and the pull policy \"never\" forbids "
                       "to pull it",
                       task->image);
    return pull_and_look(task, docker, PULL_ATTEMPTS, err);
}

static void run(void *arg)
{
    struct task *task = arg;
    struct docker_client *docker = NULL;

    task->result = ctx_check(task->ctx, &task->err);
    if (task->result == 0)
        task->result = compose_client_take(&task->session->clients, &docker, &task->err);
    if (task->result == 0)
        task->result = get(task, docker, &task->err);
    compose_client_give(&task->session->clients, docker);
    if (task->result < 0)
        ctx_cancel(task->ctx, CTX_CAUSE_FAIL_FAST);
}

/* --- all of them --- */

struct task_list {
    struct task *items;
    size_t len;
};

static struct task *find_task(struct task_list *tasks, const char *image)
{
    for (size_t i = 0; i < tasks->len; i++) {
        if (strcmp(tasks->items[i].image, image) == 0)
            return &tasks->items[i];
    }
    return NULL;
}

static void add_task(struct compose_session *session, struct task_list *tasks,
                     const struct compose_up *options, struct ctx *ctx, const char *name)
{
    const json_t *service = compose_service(session->project, name);
    const json_t *build = json_object_get(service, "build");
    const char *policy = options->pull ? options->pull : compose_string(service, "pull_policy");
    CLEANUP_FREE char *image = compose_image_name(session->project, name);
    struct task *task = find_task(tasks, image);

    if (!task) {
        task = &tasks->items[tasks->len++];
        *task = (struct task){.session = session,
                              .ctx = ctx,
                              .options = options,
                              .service = name,
                              .published = compose_string(service, "image") != NULL,
                              .image = steal_ptr(&image),
                              .platform = compose_string(service, "platform"),
                              .err = ERR_INIT};
    }
    if (build && !task->build) {
        task->build = build;
        task->service = name;
    }
    if (policy && (!task->policy || is(policy, "always") || is(policy, "build")))
        task->policy = policy;
}

/* Of all failures the one that was not a consequence. */
static int first_failure(const struct ctx *ctx, const struct compose_project *project,
                         const struct task_list *tasks, struct err *err)
{
    const struct task *failed = NULL;

    for (size_t i = 0; i < tasks->len; i++) {
        const struct task *task = &tasks->items[i];

        if (task->result < 0 && (!failed || failed->err.code == ERR_CANCELLED))
            failed = task;
    }
    if (!failed)
        return 0;
    if (ctx_check(ctx, err) < 0)
        return -1;
    return compose_error(project, compose_service(project, failed->service), err, failed->err.code,
                         "service \"%s\": %s", failed->service, failed->err.message);
}

int compose_images_prepare(const struct ctx *ctx, struct compose_session *session,
                           const struct strvec *services, const struct compose_up *options,
                           struct strmap *ret_ids, bool *ret_changed, struct err *err)
{
    struct task_list tasks = {.items = xcalloc(services->len + 1, sizeof(*tasks.items))};
    CLEANUP_CTX struct ctx all;
    struct workers workers;
    int result;

    if (ctx_init_cancel(&all, ctx, err) < 0) {
        free(tasks.items);
        return -1;
    }
    for (size_t i = 0; i < services->len; i++)
        add_task(session, &tasks, options, &all, services->items[i]);
    workers_init(&workers, THREADS);
    for (size_t i = 0; i < tasks.len; i++)
        workers_submit(&workers, run, &tasks.items[i]);
    workers_release(&workers);
    result = first_failure(ctx, session->project, &tasks, err);
    for (size_t i = 0; result == 0 && i < services->len; i++) {
        CLEANUP_FREE char *image = compose_image_name(session->project, services->items[i]);

        strmap_set(ret_ids, services->items[i], find_task(&tasks, image)->id);
    }
    *ret_changed = false;
    for (size_t i = 0; i < tasks.len; i++) {
        *ret_changed = *ret_changed || tasks.items[i].changed;
        free(tasks.items[i].image);
        free(tasks.items[i].id);
    }
    free(tasks.items);
    return result;
}
