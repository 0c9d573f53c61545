/* Carrying out a plan: what its parts share. */
#pragma once

#include "compose/plan.h"
#include "compose/session.h"

enum compose_effect_kind {
    COMPOSE_EFFECT_NETWORK,   /* was created */
    COMPOSE_EFFECT_VOLUME,    /* was created */
    COMPOSE_EFFECT_CONTAINER, /* was created */
    COMPOSE_EFFECT_STOPPED,   /* ran before */
    COMPOSE_EFFECT_STARTED,   /* did not run before */
    COMPOSE_EFFECT_RENAMED,   /* from `name` */
    COMPOSE_EFFECT_DETACHED,  /* from the network `name` */
    COMPOSE_EFFECT_UNMADE,    /* a network was removed */
};

/* Something that was done, and how it is taken back. */
struct compose_effect {
    enum compose_effect_kind kind;
    char *name;
    char *id;            /* of the container */
    const char *service; /* of the container, as the next */
    int number;
    json_t
        *before; /* how what was detached was in the network, or a network was; NULL: not known */
    bool undone;
};

enum compose_status { COMPOSE_WAITING, COMPOSE_RUNNING, COMPOSE_DONE, COMPOSE_FAILED };

struct compose_run {
    struct compose_session *session;
    const struct compose_plan *plan;
    const struct compose_state *state;
    const struct compose_up *options;
    const struct strmap *image_ids;
    const struct ctx *ctx;
    int done_fd; /* eventfd: an action of a thread has ended */
    pthread_mutex_t mu;
    enum compose_status *status; /* by action, as the rest: guarded by mu */
    size_t running;              /* in threads */
    struct strmap ids;           /* "SERVICE/NUMBER" → id; an entry never changes */
    VEC(struct compose_effect)
    effects; /* in order */
    bool failed;
    struct err failure; /* the first */
};

/* --- actions.c --- */

/* In a thread; not for COMPOSE_SERVICE_AWAIT. */
int compose_action_do(struct compose_run *run, const struct compose_action *action,
                      struct docker_client *docker, struct err *err)
    __attribute__((warn_unused_result));
/* Whether it is not known what became of a request that ended so. */
bool compose_is_uncertain(const struct err *err);
/* Whether the plan removes that container. */
bool compose_is_replaced(const struct compose_run *run, const char *id);
/* NULL: there is none yet. Stays valid. */
const char *compose_run_container(struct compose_run *run, const char *service, int number);
void compose_run_remember(struct compose_run *run, const struct compose_action *action,
                          const char *id);
/* Stops it in the time that it has, whether or not the context ends meanwhile: the daemon would go
 * on. service: NULL: no hooks. timeout_s: NULL: its own. */
int compose_stop(const struct ctx *ctx, struct compose_session *session,
                 struct docker_client *docker, const json_t *service, const char *id,
                 const char *name, const int64_t *timeout_s, struct err *err)
    __attribute__((warn_unused_result));

/* --- create.c --- */

int compose_create_container(struct compose_run *run, const struct compose_action *action,
                             struct docker_client *docker, struct err *err)
    __attribute__((warn_unused_result));

/* --- undo.c --- */

void compose_effect_add(struct compose_run *run, enum compose_effect_kind kind,
                        const struct compose_action *action, const char *name, const char *id);
/* How the container of an effect that detaches it was in its network, for compose_attach_again();
 * the caller frees. */
char *compose_endpoint_text(const struct compose_effect *effect);
/* Puts what was detached back into the network of that name: with its aliases, and its addresses
 * where that network has them. */
int compose_reattach(const struct ctx *ctx, struct docker_client *docker,
                     const struct compose_effect *effect, struct err *err)
    __attribute__((warn_unused_result));
/* Takes everything back, the last first, within a time of its own. What cannot be is a warning. */
void compose_undo_all(struct compose_run *run, struct docker_client *docker);
/* Puts one container back whose replacement is of no use. */
void compose_undo_container(struct compose_run *run, struct docker_client *docker,
                            const char *service, int number);
/* Makes networks again that are not there any more, and puts what stays back into them. */
void compose_undo_networks(struct compose_run *run, struct docker_client *docker);
void compose_effects_release(struct compose_run *run);

/* --- files.c --- */

/* Copies what secrets and configs say by themselves into a container that has not started. */
int compose_files_put(const struct ctx *ctx, struct compose_session *session,
                      struct docker_client *docker, const char *service, const char *id,
                      struct err *err) __attribute__((warn_unused_result));

/* --- hooks.c --- */

/* member: "post_start" or "pre_stop"; one after the other. An exit code that is not 0 is an error.
 */
int compose_hooks_run(const struct ctx *ctx, struct compose_session *session,
                      struct docker_client *docker, const json_t *service, const char *member,
                      const char *id, const char *name, struct err *err)
    __attribute__((warn_unused_result));

/* --- await.c --- */

enum compose_verdict { COMPOSE_PENDING, COMPOSE_MET, COMPOSE_NOT_MET };

/* What a container's state means; *why is filled for COMPOSE_NOT_MET. Pure. */
enum compose_verdict compose_judge(const struct docker_container *container,
                                   enum compose_condition condition, struct buf *why);
/* All containers of the service of an await. COMPOSE_NOT_MET fills *err, and has shown the last
 * lines of the container at fault. */
int compose_await_check(struct compose_run *run, struct docker_client *docker,
                        const struct compose_action *action, enum compose_verdict *ret,
                        struct err *err) __attribute__((warn_unused_result));
/* What keeps the service of an await from being so, for the end of somebody's time: its containers
 * and their health, after "; " each; their last lines are shown. Has a time of its own. */
void compose_await_explain(struct compose_run *run, struct docker_client *docker,
                           const struct compose_action *action, struct buf *out);
/* Shows the last lines that a container has written. */
void compose_show_log(struct compose_session *session, struct docker_client *docker, const char *id,
                      const char *name);

/* --- execute.c --- */

int compose_execute(const struct ctx *ctx, struct compose_session *session,
                    const struct compose_plan *plan, const struct compose_state *state,
                    const struct compose_up *options, const struct strmap *image_ids,
                    struct err *err) __attribute__((warn_unused_result));
