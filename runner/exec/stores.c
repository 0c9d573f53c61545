#include "exec/stores.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct entry {
    char *url;
    struct object_store *store; /* NULL: see `failure` */
    struct err failure;
    struct entry *next;
};

struct stores {
    exec_open_store_fn open;
    void *arg;
    pthread_mutex_t mu;
    struct entry *first; /* guarded by mu */
};

struct stores *stores_new(exec_open_store_fn open, void *arg)
{
    struct stores *stores = xcalloc(1, sizeof(*stores));

    stores->open = open;
    stores->arg = arg;
    pthread_mutex_init(&stores->mu, NULL);
    return stores;
}

static struct entry *open_entry(struct stores *stores, const char *url)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->url = xstrdup(url);
    if (!stores->open)
        err_set(&entry->failure, ERR_UNSUPPORTED, "there is no object store here");
    else if (stores->open(stores->arg, url, &entry->store, &entry->failure) < 0)
        entry->store = NULL;
    entry->next = stores->first;
    stores->first = entry;
    return entry;
}

int stores_get(struct stores *stores, const char *url, struct object_store **ret, struct err *err)
{
    const char *wanted = url && *url ? url : "local";
    struct entry *entry;

    pthread_mutex_lock(&stores->mu); /* opening asks nobody anything: it does not block */
    for (entry = stores->first; entry && strcmp(entry->url, wanted) != 0;)
        entry = entry->next;
    if (!entry)
        entry = open_entry(stores, wanted);
    pthread_mutex_unlock(&stores->mu);
    *ret = entry->store;
    if (!entry->store && err)
        *err = entry->failure;
    return entry->store ? 0 : -1;
}

void stores_free(struct stores *stores)
{
    while (stores->first) {
        struct entry *entry = stores->first;

        stores->first = entry->next;
        object_store_close(entry->store);
        free(entry->url);
        free(entry);
    }
    pthread_mutex_destroy(&stores->mu);
    free(stores);
}
