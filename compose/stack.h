/* Stacks: the services of a project as swarm services, as `docker stack deploy` makes them, with
 * the labels by which `docker stack` finds them and by which its stacks are found here.
 *
 *     struct stack_options options = {.name = "shop", .with_registry_auth = true, .wait = true};
 *     CLEANUP_STACK_RECORD struct stack_record record = {0};
 *
 *     if (stack_deploy(ctx, docker, project, &options, &record, err) < 0 && cancelled)
 *         (void)!stack_take_back(fresh, docker, &record, &options, NULL);
 *
 * Where this differs from `docker stack` (docs/stacks.md says it to users):
 *  - A secret or config whose content changes gets a new object NAME_HASH and the services that use
 *    it are updated, where `docker stack` fails; old ones go when nothing refers to them any more.
 *  - A service that is as it should be is not written again.
 *  - Deploying waits until the tasks run, and gives up with their errors when they do not.
 *
 * Threads: one deploy per client. Errors: client.h's, and ERR_INVALID with a place in the file.
 * Source: Docker Engine API, swarm; the docker command's `stack` for names, labels and defaults. */
#pragma once

#include <stdbool.h>

#include "apis/docker/client.h"
#include "base/vec.h"
#include "compose/model.h"

#define STACK_LABEL_NAMESPACE "com.docker.stack.namespace"
#define STACK_LABEL_IMAGE     "com.docker.stack.image"
/* On a secret or config that stands for an earlier one: the name of that one. */
#define STACK_LABEL_ROTATED "dev.runner.stack.object"

/* Whether a registry is asked which digest a tag has now. */
enum stack_resolve {
    STACK_RESOLVE_ALWAYS,
    STACK_RESOLVE_CHANGED, /* only for images that are not those of the last deploy */
    STACK_RESOLVE_NEVER,
};

enum stack_kind { STACK_SERVICE, STACK_NETWORK, STACK_SECRET, STACK_CONFIG };
/* "service", "network", … */
const char *stack_kind_name(enum stack_kind kind);

enum stack_note {
    STACK_NOTE_STEP,    /* "creating service shop_web" */
    STACK_NOTE_STATE,   /* "shop_web: 1 of 2 tasks run" */
    STACK_NOTE_WARNING, /* what is ignored, what a daemon warns of */
    STACK_NOTE_FAILURE, /* why a service does not come up */
    STACK_NOTE_LOG,     /* a line of output of a task that has failed */
};

struct stack_sink {
    /* A line of text, without a line end. NULL: nobody listens. */
    void (*note)(void *arg, enum stack_note note, const char *text);
    /* Before something is created, so that the intent can be written down; -1 stops the deploy.
     * NULL: always fine. */
    int (*about_to_create)(void *arg, enum stack_kind kind, const char *name, struct err *err);
    /* It was not: that name is taken by something that is not of the stack. NULL: nobody minds. */
    void (*refused)(void *arg, enum stack_kind kind, const char *name);
    void *arg;
};

struct stack_options {
    const char *name; /* of the stack */
    enum stack_resolve resolve;
    bool with_registry_auth; /* nodes pull with the credentials of this user */
    bool prune;              /* services of the stack that are not in the project go */
    bool wait;
    int64_t unschedulable_ms; /* how long a task may find no node; 0: 20 s */
    int failure_limit;        /* how often a task may fail; 0: 3 times */
    const char *const *envp;  /* for the configuration with credentials */
    struct stack_sink sink;
};

struct stack_thing {
    enum stack_kind kind;
    char *id;
    char *name;
};

/* What a deploy has done, also one that failed. */
struct stack_record {
    VEC(struct stack_thing)
    created;                 /* in the order of their creation */
    struct strvec updated;   /* services that were there and were changed */
    struct strvec removed;   /* services */
    struct strvec unchanged; /* services */
};

#define CLEANUP_STACK_RECORD CLEANUP(stack_record_release)
void stack_record_release(struct stack_record *record);

/* ERR_INVALID unless it can be the name of a stack. */
int stack_check_name(const char *name, struct err *err) __attribute__((warn_unused_result));
/* Creates and updates what the project says and waits until it runs. ERR_UNAVAILABLE: no manager of
 * a swarm. ERR_CONFLICT: something of such a name is not of this stack, or services do not come up;
 * the sink has heard why. ERR_IMAGE_PULL: they do not because an image is missing. ERR_TIMEOUT says
 * what was not up then. */
int stack_deploy(const struct ctx *ctx, struct docker_client *docker,
                 const struct compose_project *project, const struct stack_options *options,
                 struct stack_record *record, struct err *err) __attribute__((warn_unused_result));
/* Removes what the deploy has created, and nothing else; tells of services that it has changed and
 * that stay so. */
int stack_take_back(const struct ctx *ctx, struct docker_client *docker,
                    const struct stack_record *record, const struct stack_options *options,
                    struct err *err) __attribute__((warn_unused_result));
/* Removes a stack and waits until its tasks are gone. ERR_NOT_FOUND: there is nothing of it. */
int stack_remove(const struct ctx *ctx, struct docker_client *docker, const char *name,
                 const struct stack_sink *sink, struct err *err)
    __attribute__((warn_unused_result));

struct stack_task {
    char *id;
    char *name; /* "shop_web.1" */
    char *service;
    char *image;
    char *node; /* host name; "": none yet */
    const char *desired_state;
    const char *state;
    char *created; /* RFC 3339, as the next */
    char *since;   /* when it got its state */
    char *error;
    int64_t exit_code;
};

struct stack_task_list {
    struct stack_task *items;
    size_t len;
};

#define CLEANUP_STACK_TASK_LIST CLEANUP(stack_task_list_release)
/* All tasks of a stack, by name, the newest of a name first. ERR_NOT_FOUND: there is no such stack.
 */
int stack_ps(const struct ctx *ctx, struct docker_client *docker, const char *name,
             struct stack_task_list *ret, struct err *err) __attribute__((warn_unused_result));
void stack_task_list_release(struct stack_task_list *list);
