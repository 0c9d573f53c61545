/* What the files stack*.c share. */
#pragma once

#include "apis/docker/network.h"
#include "apis/docker/service.h"
#include "apis/docker/swarm_object.h"
#include "base/arena.h"
#include "compose/stack.h"

/* What a deploy knows while it runs. */
struct stack_run {
    const struct ctx *ctx;
    struct docker_client *docker;
    const struct compose_project *project;
    const struct stack_options *options;
    struct stack_record *record;
    struct docker_service_list services; /* of the stack, when it began */
    struct strmap old_tasks;             /* ids of the tasks that there were then */
    struct strmap network_ids;           /* name → id, of all networks that services use */
    struct strmap secrets;               /* key → name of the object in force */
    struct strmap secret_ids;            /* key → id */
    struct strmap configs;
    struct strmap config_ids;
};

void stack_say(const struct stack_sink *sink, enum stack_note note, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells the sink what is going to be created. */
int stack_announce(const struct stack_run *run, enum stack_kind kind, const char *name,
                   struct err *err) __attribute__((warn_unused_result));
/* After that: the name is taken. */
void stack_refused(const struct stack_run *run, enum stack_kind kind, const char *name);
void stack_record_created(struct stack_record *record, enum stack_kind kind, const char *id,
                          const char *name);
/* "NAME_key" */
char *stack_scoped(const struct stack_run *run, const char *key);
/* {"label", "com.docker.stack.namespace=NAME"}; text belongs to the caller. */
struct docker_filter stack_filter(const char *name, struct buf *text);
/* Its tasks have a node each; otherwise they have a slot, and that of jobs begin with 0. */
bool stack_is_global(const struct docker_service *service);
/* Of two times of the daemon, RFC 3339 in UTC with any fraction: < 0, 0, > 0. */
int stack_time_compare(const char *a, const char *b);

/* --- stack_network.c, stack_object.c: what services need ---
 * Each checks before anything is created, then creates what is missing. */

int stack_networks_check(struct stack_run *run, struct err *err)
    __attribute__((warn_unused_result));
int stack_networks_create(struct stack_run *run, struct err *err)
    __attribute__((warn_unused_result));
/* The keys of the networks that a service is attached to: "default" if it names none. */
void stack_service_networks(const json_t *service, struct strvec *out);
/* The name of a network in the engine. */
char *stack_network_name(const struct stack_run *run, const char *key);

int stack_objects_check(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
    __attribute__((warn_unused_result));
int stack_objects_create(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
    __attribute__((warn_unused_result));
/* Old secrets and configs that no service refers to, nor would after a rollback. */
int stack_objects_tidy(struct stack_run *run, enum docker_swarm_kind kind, struct err *err)
    __attribute__((warn_unused_result));

/* --- stack_spec.c, stack_spec_parts.c: from the model to a service --- */

struct stack_spec {
    struct docker_service_spec service;
    struct arena arena;
    VEC(struct strmap *)
    maps;
};

#define CLEANUP_STACK_SPEC CLEANUP(stack_spec_release)
/* Before secrets and configs exist their ids are "". Everything belongs to *ret or the model. */
int stack_spec_make(const struct stack_run *run, const char *key, struct stack_spec *ret,
                    struct err *err) __attribute__((warn_unused_result));
void stack_spec_release(struct stack_spec *spec);

struct strmap *stack_spec_map(struct stack_spec *spec);
/* NULL for a list that is empty or missing. */
const char *const *stack_spec_list(struct stack_spec *spec, const json_t *list);
const char *stack_spec_text(struct stack_spec *spec, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int stack_spec_mounts(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                      struct err *err) __attribute__((warn_unused_result));
int stack_spec_files(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                     struct err *err) __attribute__((warn_unused_result));
int stack_spec_ports(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                     struct err *err) __attribute__((warn_unused_result));
int stack_spec_deploy(const struct stack_run *run, const json_t *service, struct stack_spec *spec,
                      struct err *err) __attribute__((warn_unused_result));

/* --- stack_same.c --- */

/* Whether a service that has the specification `have` (as the swarm gives it back) would stay as it
 * is with `want` (as docker_service_body() makes it). Names of networks in `want` count as ids. */
bool stack_same_spec(const json_t *want, const json_t *have, const struct strmap *network_ids);

/* --- stack_wait.c --- */

/* A service to wait for. */
struct stack_target {
    const char *id;
    const char *name;
    bool changed; /* by this deploy */
};

int stack_wait(const struct stack_run *run, const struct stack_target *targets, size_t count,
               struct err *err) __attribute__((warn_unused_result));

/* --- stack_remove.c --- */

/* Until no task of these services, or of the stack (ids NULL), is left. */
int stack_wait_gone(const struct ctx *ctx, struct docker_client *docker, const char *name,
                    const struct strvec *ids, struct err *err) __attribute__((warn_unused_result));
