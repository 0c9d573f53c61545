/* What has to be done so that a daemon holds what a project says: project and state in, actions
 * out. Pure.
 *
 *     CLEANUP_COMPOSE_PLAN struct compose_plan plan = {0};
 *     if (compose_plan_make(&request, &plan, err) < 0) ...
 *     vec_foreach (const struct compose_action *, action, &plan.actions) ...
 *
 * An action may begin when all that it needs has succeeded, wherever in the list that stands.
 * Those that are `last` begin when all others have succeeded: what they take away cannot be put
 * back. Plans refer to the project and the state.
 *
 * A container is kept if our hash of its service, its image and its networks are what they should
 * be. Otherwise it is set aside (stopped, and renamed to ID_NAME), a new one is made and started
 * under its name, and it is removed last. */
#pragma once

#include "compose/state.h"

enum compose_action_kind {
    COMPOSE_NETWORK_REMOVE, /* which was made from something else; detaches what is left in it */
    COMPOSE_NETWORK_CREATE,
    COMPOSE_VOLUME_CREATE,
    COMPOSE_CONTAINER_STOP,
    COMPOSE_CONTAINER_SET_ASIDE,
    COMPOSE_CONTAINER_RENAME, /* to the name that it should have */
    COMPOSE_CONTAINER_CREATE,
    COMPOSE_CONTAINER_START,
    COMPOSE_CONTAINER_REMOVE,
    COMPOSE_SERVICE_AWAIT,
};

enum compose_condition {
    COMPOSE_UP,        /* runs, and is healthy if it has a check, or has ended with 0 */
    COMPOSE_HEALTHY,   /* as above, but has to have a check */
    COMPOSE_COMPLETED, /* has ended with 0 */
};

struct compose_action {
    enum compose_action_kind kind;
    const char *service; /* of containers and waits; that of an orphan is in no model */
    int number;          /* of a container */
    char *name;          /* of the container, network or volume; of a service: its own */
    const char *key;     /* of a network or volume in the model */
    const struct compose_container *container; /* that it is about, or that a new one replaces */
    enum compose_condition condition;
    bool optional; /* of a wait: its failure is a warning */
    bool last;
    char *reason; /* why a container is replaced; "" */
    VEC(size_t)
    needs;
};

struct compose_plan {
    VEC(struct compose_action)
    actions;
    struct strvec warnings;
};

struct compose_plan_request {
    const struct compose_project *project;
    const struct compose_state *state;
    const struct strmap *image_ids; /* service → id; a service without is kept whatever its image */
    const struct strvec *services; /* those and what they depend on; NULL or empty: all */
    bool force_recreate;
    bool no_recreate;
    bool remove_orphans;
    bool wait; /* until all are up */
};

#define CLEANUP_COMPOSE_PLAN CLEANUP(compose_plan_release)
/* ERR_CONFLICT: a name is taken by something that is not of the project. ERR_NOT_FOUND: an external
 * network or volume is not there. */
int compose_plan_make(const struct compose_plan_request *request, struct compose_plan *ret,
                      struct err *err) __attribute__((warn_unused_result));
void compose_plan_release(struct compose_plan *plan);
/* "create", "start", …: for messages and tests. */
const char *compose_action_name(enum compose_action_kind kind);

/* The services that are meant, with all that they depend on, in the project's order. ERR_NOT_FOUND
 * names one that there is none of. */
int compose_select(const struct compose_project *project, const struct strvec *services,
                   struct strvec *ret, struct err *err) __attribute__((warn_unused_result));
/* The container of that number that comes nearest to what the model wants: of several, which a dead
 * run may have left, the one with its name. NULL: there is none. */
const struct compose_container *compose_find_container(const struct compose_project *project,
                                                       const struct compose_state *state,
                                                       const char *service, int number);
