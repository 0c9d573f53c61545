#include "engine/docker/images.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "apis/docker/image_ref.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/gate.h"
#include "engine/docker/instance.h"

#define PULL_ATTEMPTS     5
#define NOTE_INTERVAL_MS  5000
#define BYTES_IN_MEGABYTE 1000000.0

struct image_entry {
    char *key;
    struct gate busy; /* held by the one that looks it up; guards the rest */
    bool ready;
    struct docker_image image;
    unsigned failures; /* how often it could not be had; tells a waiter that its turn is over */
    struct err failure;
    struct image_entry *next;
};

void image_cache_init(struct image_cache *cache)
{
    cache->first = NULL;
    pthread_mutex_init(&cache->mu, NULL);
}

void image_cache_release(struct image_cache *cache)
{
    while (cache->first) {
        struct image_entry *entry = cache->first;

        cache->first = entry->next;
        docker_image_release(&entry->image);
        gate_release(&entry->busy);
        free(entry->key);
        free(entry);
    }
    pthread_mutex_destroy(&cache->mu);
}

/* Whatever makes two requests for an image different. */
static char *entry_key(const struct image_source *source, const char *platform)
{
    CLEANUP_BUF struct buf key = BUF_INIT;

    buf_addf(&key, "%s\n%s\n%s\n%s", source->image, platform ? platform : "",
             source->registry ? source->registry : "", source->username ? source->username : "");
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

/* What a pull tells people. */
struct pull_notes {
    struct output *output;
    const char *image;
    int64_t last_ms;
};

static void note_progress(void *arg, const struct docker_pull_progress *progress)
{
    struct pull_notes *notes = arg;
    int64_t now = clock_monotonic_ms();
    char text[512];

    if (now - notes->last_ms < NOTE_INTERVAL_MS)
        return;
    notes->last_ms = now;
    snprintf(text, sizeof(text), "pulling %s: %zu of %zu layers, %.1f of %.1f MB", notes->image,
             progress->layer_done_count, progress->layer_count,
             (double)progress->bytes / BYTES_IN_MEGABYTE,
             (double)progress->bytes_total / BYTES_IN_MEGABYTE);
    notes->output->note(notes->output, text);
}

static void note_retry(void *arg, int attempt, const struct err *why)
{
    struct pull_notes *notes = arg;
    CLEANUP_BUF struct buf text = BUF_INIT;

    buf_addf(&text, "attempt %d to pull %s failed, trying again: %s", attempt, notes->image,
             why->message);
    notes->output->note(notes->output, text.data);
}

static int find_credentials(const struct ctx *ctx, const struct image_source *source,
                            struct docker_credentials *ret, struct err *err)
{
    CLEANUP(docker_image_ref_release) struct docker_image_ref ref = {0};
    const char *registry = source->registry;

    if (docker_image_ref_parse(source->image, &ref, err) < 0)
        return -1;
    if (!registry || !*registry || !source->username)
        registry = ref.registry;
    return docker_credentials_find(ctx, (const char *const *)environ, registry, source->username,
                                   source->password, ret, err);
}

static int pull(const struct ctx *ctx, struct docker_client *client,
                const struct image_source *source, const char *platform, struct output *output,
                struct err *err)
{
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials credentials = {0};
    struct pull_notes notes = {.output = output,
                               .image = source->image,
                               .last_ms = clock_monotonic_ms()};
    struct docker_pull options = {.image = source->image,
                                  .platform = platform,
                                  .auth = &credentials,
                                  .retry = {.attempts = PULL_ATTEMPTS},
                                  .progress = output ? note_progress : NULL,
                                  .progress_arg = &notes,
                                  .retrying = output ? note_retry : NULL};
    char text[512];

    if (find_credentials(ctx, source, &credentials, err) < 0)
        return -1;
    if (output) {
        snprintf(text, sizeof(text), "pulling %s", source->image);
        output->note(output, text);
    }
    return docker_image_pull(ctx, client, &options, err);
}

static int try_policy(const struct ctx *ctx, struct docker_client *client,
                      const struct image_source *source, const char *platform,
                      enum spec_pull policy, struct output *output, struct docker_image *ret,
                      struct err *err)
{
    struct err missing = ERR_INIT;

    if (policy != SPEC_PULL_ALWAYS) {
        if (docker_image_inspect(ctx, client, source->image, ret, &missing) == 0)
            return 0;
        if (missing.code != ERR_NOT_FOUND) {
            *err = missing;
            return -1;
        }
        if (policy == SPEC_PULL_NEVER) {
            err_set(err, ERR_IMAGE_PULL,
                    "image %s is not on the Docker host, and `pull: never` forbids to pull it",
                    source->image);
            return -1;
        }
    }
    if (pull(ctx, client, source, platform, output, err) < 0)
        return -1;
    return docker_image_inspect(ctx, client, source->image, ret, err);
}

static int look_up(const struct ctx *ctx, struct docker_client *client,
                   const struct image_source *source, const char *platform, struct output *output,
                   struct docker_image *ret, struct err *err)
{
    static const enum spec_pull usual[] = {SPEC_PULL_IF_NOT_PRESENT};
    const enum spec_pull *policies = source->pull_count ? source->pull : usual;
    size_t count = source->pull_count ? source->pull_count : 1;

    for (size_t i = 0; i < count; i++) {
        if (try_policy(ctx, client, source, platform, policies[i], output, ret, err) == 0)
            return 0;
        if (ctx_done(ctx))
            break;
    }
    return -1;
}

/* Holding entry->busy. `waited_from` is entry->failures as it was before the wait. */
static int resolve(const struct ctx *ctx, struct image_entry *entry, unsigned waited_from,
                   struct docker_client *client, const struct image_source *source,
                   const char *platform, struct output *output, struct err *err)
{
    struct err local = ERR_INIT;

    if (entry->ready)
        return 0;
    if (entry->failures != waited_from) {
        if (err)
            *err = entry->failure;
        return -1;
    }
    if (look_up(ctx, client, source, platform, output, &entry->image, &local) == 0) {
        entry->ready = true;
        return 0;
    }
    /* That this one gave up is no reason for those who wait: the next of them tries. */
    if (!ctx_done(ctx)) {
        entry->failure = local;
        __atomic_fetch_add(&entry->failures, 1, __ATOMIC_RELAXED);
    }
    if (err)
        *err = local;
    return -1;
}

int image_ensure(const struct ctx *ctx, struct docker_instance *instance,
                 struct docker_client *client, const struct image_source *source,
                 const char *platform, struct output *output, const struct docker_image **ret,
                 struct err *err)
{
    struct image_entry *entry = entry_get(&instance->images, source, platform, err);
    unsigned failures;
    int result;

    if (!entry)
        return -1;
    failures = __atomic_load_n(&entry->failures, __ATOMIC_RELAXED);
    if (gate_enter(ctx, &entry->busy, err) < 0)
        return -1;
    result = resolve(ctx, entry, failures, client, source, platform, output, err);
    gate_leave(&entry->busy);
    if (result == 0)
        *ret = &entry->image;
    return result;
}
