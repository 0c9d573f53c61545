/* What one job has on a daemon: its holder, its workspace, its containers.
 *
 * The holder is a container that does nothing. It owns the network that the containers of the job
 * share (so that they have one localhost), and it is the lease of the job: its standard input is
 * attached to the runner and ends with it, upon which the holder exits, which others can see.
 *
 * A place with services runs nothing else. It has a network with names, which the services are in,
 * each with a network namespace of its own, and the holders of the places that shall reach them.
 *
 * Threads: several may run steps; tasks in the background get the next ready and remove the last.
 * What they share is guarded by `mu`. */
#pragma once

#include "engine/docker/instance.h"
#include "engine/docker/step_container.h"

/* A step whose container is being made, or was made, ahead of its turn. */
struct prepared {
    struct docker_place *place;
    const struct runnable *runnable;
    enum { PREPARED_QUEUED, PREPARED_WORKING, PREPARED_DONE, PREPARED_WITHDRAWN } state;
    struct step_container *container; /* of PREPARED_DONE; NULL: it could not be made */
    struct gate done;                 /* opens with PREPARED_DONE */
    struct ctx ctx;                   /* a child of place->background; cancelled to end it early */
    struct prepared *next;
};

/* A step or service that runs, and where. */
struct running {
    const struct runnable *runnable;
    const struct step_container *container;
    struct running *next;
};

struct docker_place {
    const struct engine *engine;
    struct docker_instance *instance;
    char *id;
    char *name;
    char *workspace;
    bool empty;            /* see struct place_options */
    char *prefix;          /* of the names of its objects */
    struct ctx background; /* of what is done ahead; cancelled by close */

    struct gate holder_busy; /* guards all of these */
    bool holder_ready;
    char *holder; /* its name; NULL until it may exist */
    char *volume; /* with a copy of the workspace; likewise */
    bool volume_filled;
    unsigned holder_count; /* made so far, for their names */
    bool services;         /* it runs these and nothing else, and has no workspace */
    char *network;         /* its name; NULL until it may exist */
    struct docker_place *services_of[PLACE_SERVICES_MAX]; /* whose networks the holder joins */
    size_t services_of_count;
    struct http_stream *holder_lease;
    struct self_path workspace_path; /* what to mount at `workspace` */

    struct gate shared_busy; /* held while a shared container is looked for or made */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    unsigned next_number; /* guarded by mu, as all below */
    size_t tasks;         /* in the background */
    struct prepared *prepared;
    struct step_container *shared; /* isolation: job */
    struct running *running;
};

/* What a step's container needs of the place. */
struct place_view {
    const char *network_mode;
    struct docker_mount workspace;
};

/* Network, lease and workspace; made on the first call. The strings of *ret go into the arena.
 * `output` may be NULL. */
int place_holder_ensure(const struct ctx *ctx, struct docker_place *place,
                        struct docker_client *client, struct output *output, struct arena *arena,
                        struct place_view *ret, struct err *err)
    __attribute__((warn_unused_result));
/* The name of the holder, into which others may look; the caller frees. NULL: there is none. */
char *place_holder_name(const struct ctx *ctx, struct docker_place *place);
/* A fresh name for an object of the place. */
char *place_object_name(struct docker_place *place);
/* Whether the holder has ended, as it does when contact was lost for a moment; the next call of
 * place_holder_ensure() then makes another. */
bool place_holder_is_lost(const struct ctx *ctx, struct docker_place *place);
/* Whether it works on a copy of the workspace, which may be an empty one. */
bool place_has_copy(const struct ctx *ctx, struct docker_place *place);
/* Removes holder and workspace. */
void place_holder_remove(const struct ctx *ctx, struct docker_place *place,
                         struct docker_client *client);
/* In the background; the container (may be NULL) is freed. */
void place_remove_behind(struct docker_place *place, struct step_container *container);

int docker_place_open(const struct ctx *ctx, struct engine_instance *instance,
                      const struct place_options *options, struct place **ret, struct err *err);
void docker_place_prepare(struct place *place, const struct runnable *next);
int docker_place_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                     struct output *output, struct exit_record *ret, struct err *err);
bool docker_place_shares_workspace(const struct ctx *ctx, struct place *place);
void docker_place_close(struct place *place);
