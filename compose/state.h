/* What of a project there is on a daemon.
 *
 *     CLEANUP_COMPOSE_STATE struct compose_state state = {0};
 *     if (compose_state_read(ctx, docker, project->name, &state, err) < 0) ...
 *
 * Three lists tell all of it; what stands beside the project counts, too, because names are shared.
 * Threads: one client, one thread; what has been read is data. */
#pragma once

#include "apis/docker/container.h"
#include "apis/docker/network.h"
#include "apis/docker/volume.h"
#include "compose/model.h"

enum compose_sameness {
    COMPOSE_SAME_UNKNOWN, /* made by another tool, whose hash tells us nothing */
    COMPOSE_SAME_YES,
    COMPOSE_SAME_NO,
};

struct compose_container {
    char *id;
    char *name;
    char *project; /* "": of none, as the next */
    char *service;
    int number;        /* 0: none */
    bool oneoff;       /* of a `run`, which is none of our business */
    char *hash;        /* ours; "": another tool made it */
    char *config_hash; /* as Docker Compose computes it, or another version of it */
    char *state;       /* "created", "running", "exited", … */
    char *status;      /* for people */
    char *image;
    char *image_id;
    char *command;
    char *depends_on; /* as the label has it */
    int64_t created_s;
    struct strmap networks;  /* name → id */
    struct strmap addresses; /* → name of the network; those that it has now */
    struct docker_port_binding *ports;
    size_t port_count;
    /* Filled by who compares: whether a container without our hash is as the model wants it, and
     * what differs. */
    enum compose_sameness same;
    char *difference;
};

struct compose_network_seen {
    char *id;
    char *name;
    char *project;
    char *key;
    char *hash;
};

struct compose_volume_seen {
    char *name;
    char *project;
    char *key;
    char *hash;
};

struct compose_state {
    char *project;
    /* Of all projects and none; sorted by service and number. */
    VEC(struct compose_container)
    containers;
    VEC(struct compose_network_seen)
    networks;
    VEC(struct compose_volume_seen)
    volumes;
};

#define CLEANUP_COMPOSE_STATE CLEANUP(compose_state_release)
int compose_state_read(const struct ctx *ctx, struct docker_client *docker, const char *project,
                       struct compose_state *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The same in two parts: the daemon answers while other work goes on. project of the first: without
 * the containers of others; NULL: with them. */
struct compose_state_call {
    struct docker_pending *containers;
    struct docker_pending *networks;
    struct docker_pending *volumes;
};

#define CLEANUP_COMPOSE_STATE_CALL CLEANUP(compose_state_call_release)
int compose_state_begin(const struct ctx *ctx, struct docker_client *docker, const char *project,
                        struct compose_state_call *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Frees the call, also when it fails. */
int compose_state_end(const struct ctx *ctx, struct compose_state_call *call, const char *project,
                      struct compose_state *ret, struct err *err)
    __attribute__((warn_unused_result));
/* Breaks it off. Before docker_client_free(). */
void compose_state_call_release(struct compose_state_call *call);
/* Waits, half a minute at most, until the daemon is done with containers of the project that it
 * creates for somebody who was killed, and reads all anew then: it lists them before it is ready to
 * do anything with them, and may still take them back. */
int compose_state_settle(const struct ctx *ctx, struct docker_client *docker,
                         struct compose_state *state, struct err *err)
    __attribute__((warn_unused_result));
/* Containers only, those of the project. */
int compose_state_read_containers(const struct ctx *ctx, struct docker_client *docker,
                                  const char *project, struct compose_state *ret, struct err *err)
    __attribute__((warn_unused_result));
void compose_state_release(struct compose_state *state);

/* Whether it is a container of a service of the state's project, and no `run`. */
bool compose_state_owns(const struct compose_state *state,
                        const struct compose_container *container);
/* Whether it was made for the state's project, if only by a `run`. What somebody made from an image
 * that was built for it has the image's labels, too, but no hash. */
bool compose_state_has(const struct compose_state *state,
                       const struct compose_container *container);
/* By name, of whatever project; NULL: there is none. */
const struct compose_container *compose_state_container(const struct compose_state *state,
                                                        const char *name);
const struct compose_network_seen *compose_state_network(const struct compose_state *state,
                                                         const char *name);
const struct compose_volume_seen *compose_state_volume(const struct compose_state *state,
                                                       const char *name);
