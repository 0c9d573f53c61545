/* One Docker daemon: its clients, and what all jobs on it share.
 *
 * Threads: may be used from any; every part locks for itself. A thread takes a client, uses it and
 * gives it back; a client may travel with what is bound to it (a running wait). */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "apis/docker/client.h"
#include "apis/docker/endpoint.h"
#include "base/gate.h"
#include "base/vec.h"
#include "base/workers.h"
#include "engine/docker/images.h"
#include "engine/docker/self.h"
#include "engine/docker/tools.h"
#include "engine/engine.h"

struct docker_instance {
    const struct engine *engine;
    const struct engine_services *services;
    struct docker_endpoint endpoint;
    int api_minor;
    struct gate starts;    /* more starts at once than this only make each of them slower */
    struct workers ahead;  /* get ready what comes next */
    struct workers behind; /* remove what is over */
    struct image_cache images;
    struct tools tools;
    struct self self;
    char *watchdog; /* container id, or NULL */
    struct http_stream *watchdog_lease;
    atomic_uint place_count;
    atomic_bool uncertain; /* a create call was broken off, or a removal failed: see the sweeps */
    pthread_mutex_t mu;
    int64_t away_since_ms; /* guarded by mu, as all below; 0: not known to be away */
    int64_t away_seen_ms;
    VEC(struct docker_client *)
    idle_clients;
};

int docker_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                            const char *url, struct engine_instance **ret, struct err *err);
void docker_instance_disconnect(struct engine_instance *instance);
void docker_instance_prefetch(const struct ctx *ctx, struct engine_instance *instance,
                              const struct image_source *source, const char *platform);
int docker_instance_probe(const struct ctx *ctx, struct engine_instance *instance,
                          struct buf *report, struct err *err);
const char *docker_instance_mend(const struct err *err);

/* Before anything is made on the daemon: leaves word of it, and starts the watchdog. */
int instance_begin(const struct ctx *ctx, struct docker_instance *instance,
                   struct docker_client *client, struct err *err)
    __attribute__((warn_unused_result));

int instance_client_take(struct docker_instance *instance, struct docker_client **ret,
                         struct err *err) __attribute__((warn_unused_result));
/* Calls made with it must have been freed. NULL is fine. */
void instance_client_give(struct docker_instance *instance, struct docker_client *client);

/* After a failed call that makes something: unless the daemon has refused it, that may exist all
 * the same, so that there is something to look for in the end. */
void instance_create_failed(struct docker_instance *instance, const struct err *err);

/* After a removal that failed: it is tried again in the end, and if that is in vain, too, the run's
 * journal stays. */
void instance_remove_failed(struct docker_instance *instance, const char *kind, const char *name,
                            const struct err *err);

/* The labels of an object: the run's, its role and what it serves. The map is to be released. */
void instance_labels(const struct docker_instance *instance, const char *role, const char *id,
                     struct strmap *ret);

/* What the daemon's clock says now, in milliseconds, as its events and the ages of its objects go
 * by that; ours when it does not tell. */
int64_t instance_daemon_ms(const struct ctx *ctx, struct docker_client *client);

/* Told of each failure of something that is tried again: whether nobody has listened at the
 * daemon's address for longer than its restart takes (10 s, by whoever noticed it first), so that
 * trying on is no use. What else may be wrong with a connection gets the patience of the one that
 * tries. */
bool instance_is_away(struct docker_instance *instance, const struct err *err);
/* A new outage, if any, begins after this. */
void instance_answered(struct docker_instance *instance);

/* Removes a container with its anonymous volumes, whatever its state; tries for a while when the
 * daemon does not answer. One that is not there is no error. */
int instance_remove_container(const struct ctx *ctx, struct docker_instance *instance,
                              struct docker_client *client, const char *container, struct err *err)
    __attribute__((warn_unused_result));
/* Whatever is still in it is taken out of it. */
int instance_remove_network(const struct ctx *ctx, struct docker_instance *instance,
                            struct docker_client *client, const char *network, struct err *err)
    __attribute__((warn_unused_result));
int instance_remove_volume(const struct ctx *ctx, struct docker_instance *instance,
                           struct docker_client *client, const char *volume, struct err *err)
    __attribute__((warn_unused_result));
