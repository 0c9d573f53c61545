#include "exec/instances.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "base/vec.h"

struct entry {
    char *url;
    const struct engine *engine;
    struct engine_instance *instance;
};

struct instances {
    const struct engine *const *engines;
    const struct engine_services *services;
    pthread_mutex_t mu; /* guards entries; held while connecting, so that nobody connects twice */
    VEC(struct entry)
    entries;
};

struct instances *instances_new(const struct engine *const *engines,
                                const struct engine_services *services)
{
    struct instances *instances = xcalloc(1, sizeof(*instances));

    instances->engines = engines;
    instances->services = services;
    pthread_mutex_init(&instances->mu, NULL);
    return instances;
}

static int get(struct instances *instances, const struct ctx *ctx, const char *url,
               struct entry *ret, struct err *err)
{
    struct entry new;
    int64_t started_ms;

    vec_foreach (struct entry *, entry, &instances->entries) {
        if (strcmp(entry->url, url) == 0) {
            *ret = *entry;
            return 0;
        }
    }
    new.engine = engine_find(instances->engines, url);
    if (!new.engine)
        return err_set(err, ERR_UNSUPPORTED, "engine \"%s\" is not known", url);
    started_ms = clock_monotonic_ms();
    if (new.engine->connect(ctx, instances->services, url, &new.instance, err) < 0)
        return -1;
    log_debug("exec", "engine %s: ready after %lld ms", new.engine->name,
              (long long)(clock_monotonic_ms() - started_ms));
    new.url = xstrdup(url);
    vec_push(&instances->entries, new);
    *ret = new;
    return 0;
}

int instances_get(struct instances *instances, const struct ctx *ctx, const char *url,
                  struct engine_instance **ret, const struct engine **ret_engine, struct err *err)
{
    struct entry entry = {0};
    int result;

    pthread_mutex_lock(&instances->mu);
    result = get(instances, ctx, url, &entry, err);
    pthread_mutex_unlock(&instances->mu);
    if (result < 0)
        return -1;
    *ret = entry.instance;
    *ret_engine = entry.engine;
    return 0;
}

void instances_free(struct instances *instances)
{
    if (!instances)
        return;
    vec_foreach (struct entry *, entry, &instances->entries) {
        entry->engine->disconnect(entry->instance);
        free(entry->url);
    }
    vec_release(&instances->entries);
    pthread_mutex_destroy(&instances->mu);
    free(instances);
}
