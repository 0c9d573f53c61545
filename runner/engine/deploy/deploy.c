#include <stdarg.h>
#include <string.h>

#include "apis/http/http.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/percent.h"
#include "engine/deploy/instance.h"

#define OBJECT "#" /* in an address, before the object that is meant */

enum { CONFIG_MAX_BYTES = 32 << 20 };

struct deploy_place {
    const struct engine *engine; /* must be first */
    struct deploy_instance *instance;
    pthread_mutex_t mu;
    VEC(struct deployed *)
    deployed; /* to be removed; guarded by mu */
};

/* --- what a kind may call --- */

static char *endpoint_of(const struct deployed *deployed, const char *object)
{
    CLEANUP_BUF struct buf url = BUF_INIT;

    buf_addf(&url, "%s://%s" OBJECT, deployed->instance->engine->name, deployed->instance->noted);
    http_escape(&url, object);
    return buf_steal(&url);
}

static bool has_noted(const struct deployed *deployed, const char *object)
{
    for (size_t i = 0; i < deployed->objects.len; i++) {
        if (strcmp(deployed->objects.items[i], object) == 0)
            return true;
    }
    return false;
}

int deployed_note(struct deployed *deployed, const char *object, struct err *err)
{
    CLEANUP_FREE char *endpoint = endpoint_of(deployed, object);

    if (own_run_note(deployed->instance->services->run, OWN_ENDPOINT, endpoint, err) < 0)
        return -1;
    pthread_mutex_lock(&deployed->mu);
    if (!has_noted(deployed, object))
        strvec_push(&deployed->objects, object);
    pthread_mutex_unlock(&deployed->mu);
    return 0;
}

void deployed_drop_note(const struct deployed *deployed, const char *object)
{
    CLEANUP_FREE char *endpoint = endpoint_of(deployed, object);

    own_run_forget(deployed->instance->services->run, OWN_ENDPOINT, endpoint);
}

void deployed_forget(struct deployed *deployed, const char *object)
{
    deployed_drop_note(deployed, object);
    pthread_mutex_lock(&deployed->mu);
    for (size_t i = 0; i < deployed->objects.len; i++) {
        if (strcmp(deployed->objects.items[i], object) != 0)
            continue;
        free(deployed->objects.items[i]);
        memmove(&deployed->objects.items[i], &deployed->objects.items[i + 1],
                (deployed->objects.len - i) * sizeof(*deployed->objects.items));
        deployed->objects.len--;
        break;
    }
    pthread_mutex_unlock(&deployed->mu);
}

static void write_out(struct deployed *deployed, const struct ctx *ctx, enum output_stream stream,
                      const struct buf *text)
{
    pthread_mutex_lock(&deployed->mu);
    deployed->output->write(deployed->output, ctx, stream, text->data, text->len);
    pthread_mutex_unlock(&deployed->mu);
}

void deployed_say(struct deployed *deployed, const struct ctx *ctx, enum output_stream stream,
                  const char *fmt, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    va_start(args, fmt);
    buf_vaddf(&text, fmt, args);
    va_end(args);
    buf_addch(&text, '\n');
    write_out(deployed, ctx, stream, &text);
}

void deployed_say_text(struct deployed *deployed, const struct ctx *ctx, enum output_stream stream,
                       const char *text)
{
    CLEANUP_BUF struct buf copy = BUF_INIT;

    buf_addstr(&copy, text);
    if (!copy.len)
        return;
    if (copy.data[copy.len - 1] != '\n')
        buf_addch(&copy, '\n');
    write_out(deployed, ctx, stream, &copy);
}

void deployed_tell(struct deployed *deployed, const char *key, const char *value)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789-";
    CLEANUP_FREE char *name = xasprintf("%s%s", strchr(letters + 53, *key) ? "_" : "", key);

    for (char *c = name; *c; c++)
        *c = strchr(letters, *c) ? *c : '_';
    pthread_mutex_lock(&deployed->mu);
    strmap_set(&deployed->outputs, name, value);
    pthread_mutex_unlock(&deployed->mu);
}

void deployed_tell_port(struct deployed *deployed, const char *name, const char *port,
                        const char *host, const char *host_port)
{
    CLEANUP_FREE char *key = xasprintf("%s_%s", name, port);
    CLEANUP_FREE char *value = xasprintf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, host_port);

    deployed_tell(deployed, key, value);
}

void deployed_progress(struct deployed *deployed, const char *what, int64_t done, int64_t total)
{
    const struct output_progress progress = {.text = what, .done = done, .total = total};
    struct output *output = deployed->output;

    if (!output->progress)
        return;
    pthread_mutex_lock(&deployed->mu);
    output->progress(output, what ? &progress : NULL);
    pthread_mutex_unlock(&deployed->mu);
}

void deployed_keep(struct deployed *deployed, const char *log, const char *data, size_t len)
{
    struct output *output = deployed->output;

    if (!output->keep)
        return;
    pthread_mutex_lock(&deployed->mu);
    output->keep(output, log, data, len);
    pthread_mutex_unlock(&deployed->mu);
}

void deployed_keep_line(struct deployed *deployed, const char *log, const char *line, size_t len)
{
    deployed_keep(deployed, log, line, len);
    deployed_keep(deployed, log, "\n", 1);
}

int deployed_read(const struct deployed *deployed, struct buf *ret, const char **ret_name,
                  struct err *err)
{
    const struct deployment_shape *shape = deployed->runnable->deployment;

    *ret_name = shape->file ? shape->file : DEPLOY_TEXT_NAME;
    if (shape->file)
        return fs_read_file(shape->file, CONFIG_MAX_BYTES, ret, err);
    buf_addstr(ret, shape->text);
    return 0;
}

/* --- instances --- */

/* The executor has found the engine by the same URL. */
static const struct deploy_kind *kind_of(const char *url, const struct engine **ret_engine)
{
    static const struct engine *const engines[] = {&compose_engine, &swarm_engine,
                                                   &manifests_engine, NULL};

    *ret_engine = engine_find(engines, url);
    if (*ret_engine == &compose_engine)
        return &compose_kind;
    return *ret_engine == &swarm_engine ? &swarm_kind : &manifests_kind;
}

static int deploy_connect(const struct ctx *ctx, const struct engine_services *services,
                          const char *url, struct engine_instance **ret, struct err *err)
{
    const struct engine *engine;
    const struct deploy_kind *kind = kind_of(url, &engine);
    const char *scheme_end = strstr(url, "://");
    CLEANUP_FREE char *address = xstrdup(scheme_end ? scheme_end + 3 : "");
    char *object = strstr(address, OBJECT);
    struct deploy_instance *instance = xcalloc(1, sizeof(*instance));

    if (object) {
        CLEANUP_BUF struct buf decoded = BUF_INIT;

        *object++ = '\0';
        percent_decode(object, strlen(object), &decoded);
        instance->object = buf_steal(&decoded);
    }
    instance->engine = engine;
    instance->kind = kind;
    instance->services = services;
    if (kind->connect(ctx, services, address, &instance->connection, &instance->noted, err) < 0) {
        free(instance->object);
        free(instance);
        return -1;
    }
    if (!instance->noted)
        instance->noted = steal_ptr(&address);
    *ret = (struct engine_instance *)instance;
    return 0;
}

static void deploy_disconnect(struct engine_instance *opaque)
{
    struct deploy_instance *instance = (struct deploy_instance *)opaque;

    if (!instance)
        return;
    instance->kind->disconnect(instance->connection);
    free(instance->noted);
    free(instance->object);
    free(instance);
}

/* --- places --- */

static int deploy_open(const struct ctx *ctx, struct engine_instance *opaque,
                       const struct place_options *options, struct place **ret, struct err *err)
{
    struct deploy_place *place = xcalloc(1, sizeof(*place));

    (void)ctx;
    (void)options;
    (void)err;
    place->engine = ((struct deploy_instance *)opaque)->engine;
    place->instance = (struct deploy_instance *)opaque;
    pthread_mutex_init(&place->mu, NULL);
    *ret = (struct place *)place;
    return 0;
}

static bool deploy_shares_workspace(const struct ctx *ctx, struct place *place)
{
    (void)ctx;
    (void)place;
    return true;
}

static struct deployed *deployed_new(struct deploy_instance *instance,
                                     const struct runnable *runnable, struct output *output)
{
    struct deployed *deployed = xcalloc(1, sizeof(*deployed));

    deployed->instance = instance;
    deployed->runnable = runnable;
    deployed->output = output;
    deployed->name = xstrdup(runnable->deployment->name);
    deployed->step = xstrdup(runnable->name);
    deployed->keep = instance->services->keep;
    pthread_mutex_init(&deployed->mu, NULL);
    return deployed;
}

static void deployed_free(struct deployed *deployed)
{
    pthread_mutex_destroy(&deployed->mu);
    strvec_release(&deployed->objects);
    strmap_release(&deployed->outputs);
    free(deployed->name);
    free(deployed->step);
    free(deployed);
}

/* At once, so that nobody ever takes a part of it for something left over. */
static void forget_all(const struct deployed *deployed)
{
    CLEANUP_STRVEC struct strvec endpoints = {0};

    for (size_t i = 0; i < deployed->objects.len; i++)
        strvec_push_owned(&endpoints, endpoint_of(deployed, deployed->objects.items[i]));
    own_run_forget_all(deployed->instance->services->run, OWN_ENDPOINT, &endpoints);
}

/* It is complete. Others may come in when the journal knows that, too. */
static void settle(struct deploy_place *place, struct deployed *deployed)
{
    bool lasting = deployed->runnable->deployment->lasting;

    if (lasting)
        forget_all(deployed);
    deployed_leave(deployed);
    if (!lasting) {
        deployed->runnable = NULL;
        deployed->output = NULL;
        pthread_mutex_lock(&place->mu);
        vec_push(&place->deployed, deployed);
        pthread_mutex_unlock(&place->mu);
        return;
    }
    deployed_free(deployed);
}

/* --- running --- */

static void add_values(const struct strmap *values, struct buf *text)
{
    strmap_foreach (entry, values) {
        if (!strchr(entry->value, '\n'))
            buf_addf(text, "%s=%s\n", entry->key, entry->value);
    }
}

/* What a program would have written to its files. */
static void give_back(const struct deployed *deployed)
{
    const struct runnable *runnable = deployed->runnable;
    struct output *output = deployed->output;

    for (size_t i = 0; output->returned && i < runnable->return_count; i++) {
        const struct runnable_return *file = &runnable->returns[i];
        CLEANUP_BUF struct buf text = BUF_INIT;

        if (strcmp(file->variable, "PIPELINE_OUTPUT") == 0)
            add_values(&deployed->outputs, &text);
        output->returned(output, file,
                         text.len > file->max_bytes ? RETURNED_TRUNCATED : RETURNED_WHOLE,
                         text.data, text.len > file->max_bytes ? file->max_bytes : text.len);
    }
}

static int bring_up(const struct ctx *ctx, struct deployed *deployed, struct err *err)
{
    const struct deploy_instance *instance = deployed->instance;
    const struct deployment_shape *shape = deployed->runnable->deployment;
    CLEANUP_FREE char *label = xasprintf("service \"%s\"", shape->name);
    struct ctx own;
    int result;

    ctx_init(&own, ctx);
    if (shape->timeout_ms && !instance->kind->keeps_time)
        ctx_set_timeout(&own, shape->timeout_ms, label);
    result = instance->kind->up(&own, instance->connection, deployed, err);
    if (result < 0 && ctx_done(&own) && !ctx_done(ctx))
        result = 1; /* it had no more time than this */
    ctx_release(&own);
    return result;
}

static int deploy_run(const struct ctx *ctx, struct place *opaque, const struct runnable *runnable,
                      struct output *output, struct exit_record *ret, struct err *err)
{
    struct deploy_place *place = (struct deploy_place *)opaque;
    struct deploy_instance *instance = place->instance;
    struct deployed *deployed = deployed_new(instance, runnable, output);
    struct err why = ERR_INIT;
    int result;

    if (output->started)
        output->started(output);
    result = deployed_enter(ctx, deployed, &why);
    if (result == 0)
        result = bring_up(ctx, deployed, &why);
    if (result != 0) {
        deployed_take_back(deployed);
        deployed_leave(deployed);
        deployed_free(deployed);
        if (result < 0 || ctx_check(ctx, &why) < 0) {
            if (err)
                *err = why;
            return -1;
        }
        *ret = (struct exit_record){.kind = EXIT_CODE, .code = 1};
        snprintf(ret->detail, sizeof(ret->detail), "%.*s", (int)sizeof(ret->detail) - 1,
                 why.message);
        return 0;
    }
    give_back(deployed);
    settle(place, deployed);
    *ret = (struct exit_record){.kind = EXIT_CODE};
    return 0;
}

static void deploy_close(struct place *opaque)
{
    struct deploy_place *place = (struct deploy_place *)opaque;

    if (!place)
        return;
    for (size_t i = place->deployed.len; i-- > 0;) {
        deployed_take_back(place->deployed.items[i]);
        deployed_free(place->deployed.items[i]);
    }
    vec_release(&place->deployed);
    pthread_mutex_destroy(&place->mu);
    free(place);
}

/* Only the object that its address names is known to be a dead run's. */
static int deploy_sweep(const struct ctx *ctx, struct engine_instance *opaque,
                        const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    struct deploy_instance *instance = (struct deploy_instance *)opaque;

    *ret_count = 0;
    if (!instance->object)
        return 0;
    if (request->found)
        request->found(request->found_arg, instance->engine->name, instance->object,
                       request->run_id ? request->run_id : "");
    if (request->dry_run)
        return 0;
    return instance->kind->remove(ctx, instance->connection, instance->object, err);
}

/* --- the engines --- */

#define ENGINE(the_name)                                                                           \
    {                                                                                              \
        .name = (the_name), .capabilities = ENGINE_LOCAL | ENGINE_DEPLOYS,                         \
        .connect = deploy_connect, .disconnect = deploy_disconnect, .open = deploy_open,           \
        .run = deploy_run, .shares_workspace = deploy_shares_workspace, .close = deploy_close,     \
        .sweep = deploy_sweep,                                                                     \
    }

const struct engine compose_engine = ENGINE("docker-compose");
const struct engine swarm_engine = ENGINE("docker-swarm");
const struct engine manifests_engine = ENGINE("manifests");
