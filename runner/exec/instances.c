#include "exec/instances.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/gate.h"
#include "base/logger.h"

struct entry {
    char *url;
    const struct engine *engine;
    struct gate busy;                 /* held while connecting; guards `instance` */
    struct engine_instance *instance; /* NULL: not connected yet */
    bool ending;                      /* by `thread` */
    pthread_t thread;
    struct entry *next;
};

struct instances {
    const struct engine *const *engines;
    const struct engine_services *services;
    pthread_mutex_t mu;
    struct entry *first; /* guarded by mu */
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

static struct entry *new_entry(const struct instances *instances, const char *url, struct err *err)
{
    const struct engine *engine = engine_find(instances->engines, url);
    struct entry *entry;

    if (!engine) {
        err_set(err, ERR_UNSUPPORTED, "the engine \"%.*s\" is not supported yet by this version",
                (int)strcspn(url, ":"), url);
        return NULL;
    }
    entry = xcalloc(1, sizeof(*entry));
    entry->engine = engine;
    if (gate_init(&entry->busy, 1, err) < 0) {
        free(entry);
        return NULL;
    }
    entry->url = xstrdup(url);
    return entry;
}

static struct entry *entry_get(struct instances *instances, const char *url, struct err *err)
{
    struct entry *entry;

    pthread_mutex_lock(&instances->mu);
    for (entry = instances->first; entry && strcmp(entry->url, url) != 0;)
        entry = entry->next;
    if (!entry) {
        entry = new_entry(instances, url, err);
        if (entry) {
            entry->next = instances->first;
            instances->first = entry;
        }
    }
    pthread_mutex_unlock(&instances->mu);
    return entry;
}

/* Holding entry->busy. */
static int connect_once(struct instances *instances, const struct ctx *ctx, struct entry *entry,
                        struct err *err)
{
    int64_t started_ms = clock_monotonic_ms();

    if (entry->instance)
        return 0;
    if (entry->engine->connect(ctx, instances->services, entry->url, &entry->instance, err) < 0)
        return -1;
    log_debug("exec", "engine %s: ready after %lld ms", entry->engine->name,
              (long long)(clock_monotonic_ms() - started_ms));
    return 0;
}

int instances_get(struct instances *instances, const struct ctx *ctx, const char *url,
                  struct engine_instance **ret, const struct engine **ret_engine, struct err *err)
{
    struct entry *entry = entry_get(instances, url, err);
    int result;

    if (!entry || gate_enter(ctx, &entry->busy, err) < 0)
        return -1;
    result = connect_once(instances, ctx, entry, err);
    if (result == 0) {
        *ret = entry->instance;
        *ret_engine = entry->engine;
    }
    gate_leave(&entry->busy);
    return result;
}

static void *disconnect(void *arg)
{
    struct entry *entry = arg;

    entry->engine->disconnect(entry->instance);
    return NULL;
}

/* Side by side: one that cannot be reached takes its time, and others have theirs to end. */
static void disconnect_all(struct instances *instances)
{
    struct entry *entry;

    for (entry = instances->first; entry; entry = entry->next) {
        entry->ending =
            entry->instance && pthread_create(&entry->thread, NULL, disconnect, entry) == 0;
        if (entry->instance && !entry->ending)
            disconnect(entry);
    }
    for (entry = instances->first; entry; entry = entry->next) {
        if (entry->ending)
            pthread_join(entry->thread, NULL);
    }
}

void instances_free(struct instances *instances)
{
    if (!instances)
        return;
    disconnect_all(instances);
    while (instances->first) {
        struct entry *entry = instances->first;

        instances->first = entry->next;
        gate_release(&entry->busy);
        free(entry->url);
        free(entry);
    }
    pthread_mutex_destroy(&instances->mu);
    free(instances);
}
