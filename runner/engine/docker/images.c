#include "engine/docker/images.h"

#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apis/docker/image_ref.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/gate.h"
#include "base/logger.h"
#include "engine/docker/instance.h"

#define PULL_ATTEMPTS     5
#define NOTE_INTERVAL_MS  5000
#define SHOW_INTERVAL_MS  100
#define LOOK_INTERVAL_MS  250 /* of one who waits for another's pull */
#define BYTES_IN_MEGABYTE 1000000.0

struct image_entry {
    char *key;
    struct gate busy; /* held by the one that looks it up; guards the next four */
    bool ready;
    struct docker_image image;
    unsigned failures; /* how often it could not be had; tells a waiter that its turn is over */
    struct err failure;
    /* Guarded by the cache's mu. */
    bool prefetched; /* or being so */
    bool pulling;
    struct docker_pull_progress progress; /* of that; its strings are NULL */
    struct image_entry *next;
};

/* Who wants which image. */
struct request {
    struct image_cache *cache;
    struct image_entry *entry;
    struct docker_client *client;
    const struct image_source *source;
    const char *platform;
    struct output *output; /* of the step that waits, or NULL */
    int64_t noted_ms;      /* when its output was last told something */
    int64_t shown_ms;      /* when it was last told how far the pull is */
};

int image_cache_init(struct image_cache *cache, struct err *err)
{
    *cache = (struct image_cache){.quiet_fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)};
    if (cache->quiet_fd < 0)
        return err_errno(err, "cannot make a signal");
    if (gate_init(&cache->platforms, 1, err) < 0) {
        close(cache->quiet_fd);
        cache->quiet_fd = -1;
        return -1;
    }
    pthread_mutex_init(&cache->mu, NULL);
    return 0;
}

void image_cache_release(struct image_cache *cache)
{
    if (cache->quiet_fd < 0)
        return;
    while (cache->first) {
        struct image_entry *entry = cache->first;

        cache->first = entry->next;
        docker_image_release(&entry->image);
        gate_release(&entry->busy);
        free(entry->key);
        free(entry);
    }
    gate_release(&cache->platforms);
    close(cache->quiet_fd);
    pthread_mutex_destroy(&cache->mu);
}

static void step_waits(struct image_cache *cache)
{
    uint64_t one;

    pthread_mutex_lock(&cache->mu);
    if (cache->waiting_steps++ == 0)
        (void)!read(cache->quiet_fd, &one, sizeof(one));
    pthread_mutex_unlock(&cache->mu);
}

static void step_goes_on(struct image_cache *cache)
{
    const uint64_t one = 1;

    pthread_mutex_lock(&cache->mu);
    if (--cache->waiting_steps == 0)
        (void)!write(cache->quiet_fd, &one, sizeof(one));
    pthread_mutex_unlock(&cache->mu);
}

/* Whatever makes two requests for an image different. */
static char *entry_key(const struct image_source *source, const char *platform)
{
    CLEANUP_BUF struct buf key = BUF_INIT;

    buf_addf(&key, "%s\n%s\n%s\n%s\n%s", source->image, platform ? platform : "",
             source->registry ? source->registry : "", source->username ? source->username : "",
             source->password ? source->password : "");
    for (size_t i = 0; i < source->pull_count; i++)
        buf_addf(&key, "\n%d", (int)source->pull[i]);
    return buf_steal(&key);
}

static struct image_entry *entry_get(struct image_cache *cache, const struct image_source *source,
                                     const char *platform, struct err *err)
{
    CLEANUP_FREE char *key = entry_key(source, platform);
    struct image_entry *entry;

    pthread_mutex_lock(&cache->mu);
    for (entry = cache->first; entry; entry = entry->next) {
        if (strcmp(entry->key, key) == 0)
            break;
    }
    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        if (gate_init(&entry->busy, 1, err) < 0) {
            free(entry);
            entry = NULL;
        } else {
            entry->key = steal_ptr(&key);
            entry->next = cache->first;
            cache->first = entry;
        }
    }
    pthread_mutex_unlock(&cache->mu);
    return entry;
}

static void note(struct request *request, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct request *request, const char *format, ...)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    va_list args;

    request->noted_ms = clock_monotonic_ms();
    va_start(args, format);
    buf_vaddf(&text, format, args);
    va_end(args);
    request->output->note(request->output, text.data);
}

/* Tells how far the pull is, at most every SHOW_INTERVAL_MS. */
static void show_progress(struct request *request, const struct docker_pull_progress *progress)
{
    struct output *output = request->output;
    CLEANUP_BUF struct buf text = BUF_INIT;
    int64_t now_ms = clock_monotonic_ms();
    struct output_progress shown = {.done = (int64_t)progress->bytes,
                                    .total = (int64_t)progress->bytes_total,
                                    .due = now_ms - request->noted_ms >= NOTE_INTERVAL_MS};

    if (!shown.due && (!output->progress || now_ms - request->shown_ms < SHOW_INTERVAL_MS))
        return;
    request->shown_ms = now_ms;
    buf_addf(&text, "pulling %s", request->source->image);
    if (progress->layer_count)
        buf_addf(&text, ": %zu of %zu layers, %.1f of %.1f MB", progress->layer_done_count,
                 progress->layer_count, (double)progress->bytes / BYTES_IN_MEGABYTE,
                 (double)progress->bytes_total / BYTES_IN_MEGABYTE);
    shown.text = text.data;
    if (shown.due)
        request->noted_ms = now_ms;
    if (output->progress)
        output->progress(output, &shown);
    else
        output->note(output, text.data);
}

static void end_progress(struct request *request)
{
    if (request->output && request->output->progress)
        request->output->progress(request->output, NULL);
}

static void on_progress(void *arg, const struct docker_pull_progress *progress)
{
    struct request *request = arg;

    pthread_mutex_lock(&request->cache->mu);
    request->entry->progress = *progress;
    request->entry->progress.status = request->entry->progress.layer = NULL;
    pthread_mutex_unlock(&request->cache->mu);
    if (request->output)
        show_progress(request, progress);
}

static void on_retry(void *arg, int attempt, const struct err *why)
{
    struct request *request = arg;

    if (request->output)
        note(request, "attempt %d to pull %s failed, trying again: %s", attempt,
             request->source->image, why->message);
}

static void set_pulling(struct request *request, bool pulling)
{
    pthread_mutex_lock(&request->cache->mu);
    request->entry->pulling = pulling;
    request->entry->progress = (struct docker_pull_progress){0};
    pthread_mutex_unlock(&request->cache->mu);
}

/* The daemon would send what it gets to any registry: a password goes to its own only. */
static int find_credentials(const struct ctx *ctx, const struct image_source *source,
                            struct docker_credentials *ret, struct err *err)
{
    CLEANUP(docker_image_ref_release) struct docker_image_ref ref = {0};
    const char *registry = source->registry;
    bool given;

    if (docker_image_ref_parse(source->image, &ref, err) < 0)
        return -1;
    given = !registry || !*registry || docker_same_registry(registry, ref.registry);
    return docker_credentials_find(ctx, (const char *const *)environ, ref.registry,
                                   given ? source->username : NULL, given ? source->password : NULL,
                                   ret, err);
}

static int pull(const struct ctx *ctx, struct request *request, struct err *err)
{
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials credentials = {0};
    struct docker_pull options = {.image = request->source->image,
                                  .platform = request->platform,
                                  .auth = &credentials,
                                  .retry = {.attempts = request->output ? PULL_ATTEMPTS : 1},
                                  .progress = on_progress,
                                  .progress_arg = request,
                                  .retrying = on_retry};
    int result;

    if (find_credentials(ctx, request->source, &credentials, err) < 0)
        return -1;
    if (request->output)
        note(request, "pulling %s", request->source->image);
    set_pulling(request, true);
    result = docker_image_pull(ctx, request->client, &options, err);
    set_pulling(request, false);
    end_progress(request);
    return result;
}

static int pull_and_inspect(const struct ctx *ctx, struct request *request,
                            struct docker_image *ret, struct err *err)
{
    if (pull(ctx, request, err) < 0)
        return -1;
    return docker_image_inspect(ctx, request->client, request->source->image, ret, err);
}

static int pull_platform(const struct ctx *ctx, struct request *request, struct docker_image *ret,
                         struct err *err)
{
    int result;

    if (gate_enter(ctx, &request->cache->platforms, err) < 0)
        return -1;
    result = pull_and_inspect(ctx, request, ret, err);
    gate_leave(&request->cache->platforms);
    return result;
}

static int try_policy(const struct ctx *ctx, struct request *request, enum spec_pull policy,
                      struct docker_image *ret, struct err *err)
{
    const char *image = request->source->image;
    struct err missing = ERR_INIT;

    if (policy != SPEC_PULL_ALWAYS) {
        if (docker_image_inspect(ctx, request->client, image, ret, &missing) == 0) {
            if (policy == SPEC_PULL_NEVER || docker_image_is_of(ret, request->platform))
                return 0;
            docker_image_release(ret);
        } else if (missing.code != ERR_NOT_FOUND) {
            *err = missing;
            return -1;
        } else if (policy == SPEC_PULL_NEVER) {
            return err_set(err, ERR_IMAGE_PULL,
                           "image %s is not on the Docker host, and `pull: never` forbids to pull "
                           "it",
                           image);
        }
    }
    return request->platform ? pull_platform(ctx, request, ret, err)
                             : pull_and_inspect(ctx, request, ret, err);
}

static int look_up(const struct ctx *ctx, struct request *request, struct docker_image *ret,
                   struct err *err)
{
    static const enum spec_pull usual[] = {SPEC_PULL_IF_NOT_PRESENT};
    const struct image_source *source = request->source;
    const enum spec_pull *policies = source->pull_count ? source->pull : usual;
    size_t count = source->pull_count ? source->pull_count : 1;
    CLEANUP_DOCKER_IMAGE_REF struct docker_image_ref ref = {0};

    if (docker_image_ref_parse(source->image, &ref, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (try_policy(ctx, request, policies[i], ret, err) == 0)
            return 0;
        if (ctx_done(ctx))
            break;
    }
    return -1;
}

/* Holding entry->busy. `waited_from` is entry->failures as it was before the wait. */
static int resolve(const struct ctx *ctx, struct request *request, unsigned waited_from,
                   struct err *err)
{
    struct image_entry *entry = request->entry;
    struct err local = ERR_INIT;

    if (entry->ready)
        return 0;
    if (entry->failures != waited_from) {
        if (err)
            *err = entry->failure;
        return -1;
    }
    if (look_up(ctx, request, &entry->image, &local) == 0) {
        entry->ready = true;
        return 0;
    }
    /* That this one gave up is no reason for those who wait: the next of them tries. */
    if (!ctx_done(ctx) && request->output) {
        entry->failure = local;
        __atomic_fetch_add(&entry->failures, 1, __ATOMIC_RELAXED);
    }
    if (err)
        *err = local;
    return -1;
}

/* Tells a step what goes on for its image while it waits for another's pull. */
static void note_wait(struct request *request, bool *told)
{
    struct docker_pull_progress progress;
    bool pulling;

    pthread_mutex_lock(&request->cache->mu);
    pulling = request->entry->pulling;
    progress = request->entry->progress;
    pthread_mutex_unlock(&request->cache->mu);
    if (!pulling)
        return;
    if (*told)
        show_progress(request, &progress);
    else
        note(request, "pulling %s, which has begun already", request->source->image);
    *told = true;
}

static int wait_turn(const struct ctx *ctx, struct request *request, struct err *err)
{
    struct gate *busy = &request->entry->busy;
    bool told = false;
    int entered;

    if (!request->output)
        return gate_enter(ctx, busy, err);
    entered = gate_enter_within(ctx, busy, 0, err);
    while (entered == 0) {
        note_wait(request, &told);
        entered = gate_enter_within(ctx, busy, LOOK_INTERVAL_MS, err);
    }
    if (told)
        end_progress(request);
    return entered < 0 ? -1 : 0;
}

static int ensure(const struct ctx *ctx, struct request *request, struct err *err)
{
    unsigned failures = __atomic_load_n(&request->entry->failures, __ATOMIC_RELAXED);
    int result;

    if (wait_turn(ctx, request, err) < 0)
        return -1;
    result = resolve(ctx, request, failures, err);
    gate_leave(&request->entry->busy);
    return result;
}

int image_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, const struct image_source *source,
                 const char *platform, struct output *output, const struct docker_image **ret,
                 struct err *err)
{
    struct request request = {.cache = &instance->images,
                              .entry = entry_get(&instance->images, source, platform, err),
                              .client = client,
                              .source = source,
                              .platform = platform,
                              .output = output};
    int result;

    if (!request.entry)
        return -1;
    if (output)
        step_waits(request.cache);
    result = ensure(ctx, &request, err);
    if (output)
        step_goes_on(request.cache);
    if (result == 0)
        *ret = &request.entry->image;
    return result;
}

/* --- ahead of need --- */

static bool claim_prefetch(struct image_cache *cache, struct image_entry *entry)
{
    bool claimed;

    pthread_mutex_lock(&cache->mu);
    claimed = !entry->prefetched;
    entry->prefetched = true;
    pthread_mutex_unlock(&cache->mu);
    return claimed;
}

/* Before taking the gate, so that no step has to wait for one that gives way. */
static int give_way(const struct ctx *ctx, struct image_cache *cache, struct err *err)
{
    struct pollfd quiet = {.fd = cache->quiet_fd, .events = POLLIN};

    return ctx_poll(ctx, &quiet, 1, -1, err) < 0 ? -1 : 0;
}

static int prefetch(const struct ctx *ctx, struct request *request, struct err *err)
{
    CLEANUP_DOCKER_IMAGE struct docker_image found = {0};
    int result = 0;

    if (give_way(ctx, request->cache, err) < 0 || gate_enter(ctx, &request->entry->busy, err) < 0)
        return -1;
    if (!request->entry->ready)
        result = look_up(ctx, request, &found, err);
    gate_leave(&request->entry->busy);
    return result;
}

void image_prefetch(const struct ctx *ctx, struct docker_instance *instance,
                    const struct image_source *source, const char *platform)
{
    struct err err = ERR_INIT;
    struct request request = {.cache = &instance->images,
                              .entry = entry_get(&instance->images, source, platform, &err),
                              .source = source,
                              .platform = platform};

    if (!request.entry || !claim_prefetch(request.cache, request.entry))
        return;
    if (instance_client_take(instance, &request.client, &err) < 0 ||
        prefetch(ctx, &request, &err) < 0)
        log_debug("docker", "image %s is not fetched ahead: %s", source->image, err.message);
    instance_client_give(instance, request.client);
}
