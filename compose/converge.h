/* Bringing a Compose project up on a Docker daemon, and what goes with it.
 *
 *     struct compose_host host = {.endpoint = &endpoint, .environment = environ};
 *     struct compose_sink sink = {.event = on_event, .arg = me};
 *     if (compose_up(ctx, &host, project, &(struct compose_up){0}, &sink, err) < 0) ...
 *
 * compose_up() does what `docker compose up --detach --wait` does: images are pulled or built
 * first, so that nothing is touched when one cannot be had; then what plan.h plans is carried out,
 * side by side within the order of dependencies. Containers that are replaced stay until all is up;
 * that one cannot be removed then is a warning, and the end of the context does not count any more.
 * When the context ends before, everything that this call has created is removed, and what it has
 * stopped or set aside is put back. After another failure what was created stays, as a later call
 * goes on from there, but a container whose replacement could not be made or started is put back.
 *
 * Labels are those of Docker Compose, so that both see and manage the other's projects.
 *
 * Threads: each call uses threads of its own while it runs; callbacks come from them, one at a
 * time. */
#pragma once

#include "apis/docker/client.h"
#include "apis/docker/endpoint.h"
#include "base/ctx.h"
#include "compose/model.h"

struct compose_host {
    const struct docker_endpoint *endpoint;
    const char *const *environment; /* where credentials are looked for; NULL-terminated */
};

enum compose_object {
    COMPOSE_OBJECT_PROJECT,
    COMPOSE_OBJECT_SERVICE,
    COMPOSE_OBJECT_IMAGE,
    COMPOSE_OBJECT_NETWORK,
    COMPOSE_OBJECT_VOLUME,
    COMPOSE_OBJECT_CONTAINER,
};

enum compose_event_type {
    COMPOSE_EVENT_STATE,    /* text: "Creating", "Created", … */
    COMPOSE_EVENT_PROGRESS, /* of a pull */
    COMPOSE_EVENT_OUTPUT,   /* text: a line of a build, a hook, or a container that failed */
    COMPOSE_EVENT_WARNING,  /* text */
};

struct compose_event {
    enum compose_event_type type;
    enum compose_object object;
    const char *name;
    const char *text;
    int64_t bytes; /* of a pull */
    int64_t bytes_total;
};

/* "Container", … */
const char *compose_object_name(enum compose_object object);

/* What had the name of something until now. */
struct compose_before {
    const char *id;
    bool running;           /* a container */
    const char *started_at; /* if it runs: since when, as the daemon says it */
};

/* All of it may be NULL. */
struct compose_sink {
    void (*event)(void *arg, const struct compose_event *event);
    /* Before something is created, or a container is stopped or makes room for a new one of its
     * name, so that it is known whose that is; -1 keeps it from being so. before: NULL: it is new.
     */
    int (*own)(void *arg, enum compose_object object, const char *name,
               const struct compose_before *before, struct err *err);
    /* Before a container that may come back leaves a network which is made anew; how it was in it
     * is for compose_attach_again(). -1 keeps it there. */
    int (*detach)(void *arg, const char *network, const char *container_id, const char *how,
                  struct err *err);
    /* Before a network is removed to be made anew; how it was is for compose_restore_network(). */
    int (*unmake)(void *arg, const char *network, const char *how, struct err *err);
    /* Something new has been refused for certain: what has its name is somebody else's. */
    void (*refused)(void *arg, enum compose_object object, const char *name);
    /* It has failed, and what was made will be taken back: the last time to look at it. */
    void (*undoing)(void *arg);
    void *arg;
};

struct compose_up {
    const struct strvec *services; /* those and what they depend on; NULL or empty: all */
    bool no_wait;
    bool force_recreate;
    bool no_recreate;
    bool remove_orphans;
    bool build;                    /* although the image is there */
    const char *pull;              /* instead of each pull_policy; NULL: those */
    const int64_t *stop_timeout_s; /* of containers that are replaced; NULL: their own */
    bool undo;                     /* takes everything back after any failure */
};
int compose_up(const struct ctx *ctx, const struct compose_host *host,
               const struct compose_project *project, const struct compose_up *options,
               const struct compose_sink *sink, struct err *err)
    __attribute__((warn_unused_result));

/* Puts a container back into the network of that name, unless it is in it: with its aliases, and
 * its addresses where that network has them. ERR_NOT_FOUND: there is no such container or network.
 */
int compose_attach_again(const struct ctx *ctx, struct docker_client *docker, const char *network,
                         const char *container_id, const char *how, struct err *err)
    __attribute__((warn_unused_result));

/* Makes a network again, unless there is one of its name. */
int compose_restore_network(const struct ctx *ctx, struct docker_client *docker,
                            const char *network, const char *how, struct err *err)
    __attribute__((warn_unused_result));

enum compose_images { COMPOSE_IMAGES_KEEP, COMPOSE_IMAGES_LOCAL, COMPOSE_IMAGES_ALL };

struct compose_down {
    const char *project_name;              /* needed when there is no project */
    const struct compose_project *project; /* NULL: all that has the labels is removed */
    bool volumes;                          /* also those without a name */
    enum compose_images images;            /* LOCAL: those without a name of their own */
    bool remove_orphans;                   /* of services that the project does not know */
    const int64_t *stop_timeout_s;         /* NULL: their own */
};
/* Goes on after a failure, and then returns the first. */
int compose_down(const struct ctx *ctx, const struct compose_host *host,
                 const struct compose_down *options, const struct compose_sink *sink,
                 struct err *err) __attribute__((warn_unused_result));

/* The project's containers: an array of objects with the members of `docker compose ps --format
 * json`; new reference. services: NULL or empty: all. all: also those that do not run. */
int compose_ps(const struct ctx *ctx, const struct compose_host *host, const char *project_name,
               const struct strvec *services, bool all, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

struct compose_logs {
    const char *project_name;
    const struct strvec *services; /* NULL or empty: all */
    bool follow;                   /* until the containers end */
    bool timestamps;
    int64_t tail; /* last lines of each container; 0: all */
    /* A line of a container ("NAME-1"), without its end. */
    void (*line)(void *arg, const char *container, bool is_stderr, const char *text, size_t len);
    void *arg;
};
/* What one container cannot give keeps nothing of the others back; the first such error is
 * returned in the end. A container that goes meanwhile is none. */
int compose_logs(const struct ctx *ctx, const struct compose_host *host,
                 const struct compose_logs *options, struct err *err)
    __attribute__((warn_unused_result));
