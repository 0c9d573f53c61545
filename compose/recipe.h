/* From a service of the model to what its containers, networks and volumes are created from.
 *
 *     CLEANUP_COMPOSE_RECIPE struct compose_recipe recipe = {0};
 *     if (compose_recipe_make(&request, &recipe, err) < 0) ...
 *     docker_container_create(ctx, docker, &recipe.create, &id, err)
 *
 * Everything that a recipe refers to belongs to the recipe, the request or the model.
 * Threads: the model is only read.
 * Source: Compose Specification; labels and field choices as Docker Compose makes them. */
#pragma once

#include "apis/docker/create.h"
#include "apis/docker/network.h"
#include "apis/docker/volume.h"
#include "base/arena.h"
#include "base/sha256.h"
#include "compose/model.h"

#define COMPOSE_LABEL_PROJECT      "com.docker.compose.project"
#define COMPOSE_LABEL_SERVICE      "com.docker.compose.service"
#define COMPOSE_LABEL_NUMBER       "com.docker.compose.container-number"
#define COMPOSE_LABEL_CONFIG_HASH  "com.docker.compose.config-hash"
#define COMPOSE_LABEL_ONEOFF       "com.docker.compose.oneoff"
#define COMPOSE_LABEL_CONFIG_FILES "com.docker.compose.project.config_files"
#define COMPOSE_LABEL_WORKING_DIR  "com.docker.compose.project.working_dir"
#define COMPOSE_LABEL_DEPENDS_ON   "com.docker.compose.depends_on"
#define COMPOSE_LABEL_IMAGE        "com.docker.compose.image"
#define COMPOSE_LABEL_VERSION      "com.docker.compose.version"
#define COMPOSE_LABEL_BUILDER      "com.docker.compose.image.builder"
#define COMPOSE_LABEL_NETWORK      "com.docker.compose.network"
#define COMPOSE_LABEL_VOLUME       "com.docker.compose.volume"
/* The hash of what we made it from; only what this program has made has it. */
#define COMPOSE_LABEL_HASH "dev.runner.compose.hash"
/* What others read as the version of Docker Compose, whose conventions these labels follow. */
#define COMPOSE_VERSION "2.24.0"

#define COMPOSE_HASH_SIZE SHA256_HEX_SIZE

/* Of what containers of the service are made from: not of how many there are, in which order they
 * start, or where the image comes from. Files of secrets and configs count by their path, other
 * contents by themselves. */
void compose_recipe_hash(const struct compose_project *project, const json_t *service,
                         char ret[COMPOSE_HASH_SIZE]);
/* Of a network or a volume. */
void compose_object_hash(const json_t *object, char ret[COMPOSE_HASH_SIZE]);

/* "NAME-SERVICE-N", or the service's own; the caller frees. */
char *compose_container_name(const struct compose_project *project, const char *service,
                             int number);
/* The image that containers of the service have: its own name, or that of what is built. The caller
 * frees. */
char *compose_image_name(const struct compose_project *project, const char *service);

struct compose_recipe_request {
    const struct compose_project *project;
    const char *service;
    int number;
    const char *image_id;         /* NULL: not known */
    const struct strmap *proxies; /* variables unless the service has them; NULL: none */
    /* Anonymous volumes of the container that it replaces: path → volume; NULL: none. */
    const struct strmap *inherited;
    /* The containers of another service: count of them, first names, then ids. NULL: there are none
     * yet, names stand for them. */
    const char *(*container_of)(void *arg, const char *service, int number);
    void *arg;
};

enum {
    RECIPE_COMMAND,
    RECIPE_ENTRYPOINT,
    RECIPE_CAP_ADD,
    RECIPE_CAP_DROP,
    RECIPE_DNS,
    RECIPE_DNS_SEARCH,
    RECIPE_DNS_OPT,
    RECIPE_EXTRA_HOSTS,
    RECIPE_GROUP_ADD,
    RECIPE_SECURITY_OPT,
    RECIPE_DEVICE_RULES,
    RECIPE_BINDS,
    RECIPE_VOLUMES_FROM,
    RECIPE_LINKS,
    RECIPE_HEALTH_TEST,
    RECIPE_ENV_UNSET,
    RECIPE_LISTS,
};

enum {
    RECIPE_ENV,
    RECIPE_LABELS,
    RECIPE_ANNOTATIONS,
    RECIPE_SYSCTLS,
    RECIPE_STORAGE_OPT,
    RECIPE_LOG_OPTIONS,
    RECIPE_TMPFS,
    RECIPE_MAPS,
};

struct compose_recipe {
    struct docker_create create;
    struct strvec lists[RECIPE_LISTS];
    struct strmap maps[RECIPE_MAPS];
    struct docker_healthcheck health;
    VEC(struct docker_mount)
    mounts;
    VEC(struct docker_port)
    ports;
    VEC(struct docker_network_attach)
    networks;
    VEC(struct strvec *)
    more_lists; /* of networks */
    VEC(struct strmap *)
    more_maps; /* of networks and mounts */
    VEC(struct docker_ulimit)
    ulimits;
    VEC(struct docker_device)
    devices;
    int64_t swappiness;
    int64_t stop_timeout_s;
    bool init;
    struct arena arena;
};

#define CLEANUP_COMPOSE_RECIPE CLEANUP(compose_recipe_release)
/* ERR_INVALID points into the file. */
int compose_recipe_make(const struct compose_recipe_request *request, struct compose_recipe *ret,
                        struct err *err) __attribute__((warn_unused_result));
void compose_recipe_release(struct compose_recipe *recipe);

/* The hash that Docker Compose gives the service: with the ids of the containers that it shares
 * something with. */
void compose_config_hash(const struct compose_recipe_request *request, const json_t *service,
                         struct compose_recipe *recipe, char ret[COMPOSE_HASH_SIZE]);

/* What a network of the model is created from; `maps` hold what it refers to. */
struct compose_network_recipe {
    struct docker_network_create create;
    struct strmap labels;
    struct strmap options;
    struct strmap ipam_options;
    struct docker_ipam_config *ipam;
    struct strmap *aux; /* as many as ipam */
};
void compose_network_recipe_make(const struct compose_project *project, const char *key,
                                 struct compose_network_recipe *ret);
void compose_network_recipe_release(struct compose_network_recipe *recipe);

struct compose_volume_recipe {
    struct docker_volume_create create;
    struct strmap labels;
    struct strmap options;
};
void compose_volume_recipe_make(const struct compose_project *project, const char *key,
                                struct compose_volume_recipe *ret);
void compose_volume_recipe_release(struct compose_volume_recipe *recipe);

/* --- among the files of recipes --- */

/* A list of the model, kept as RECIPE_…; NULL unless it is there. */
const char *const *compose_recipe_list(struct compose_recipe *recipe, int which,
                                       const json_t *object, const char *name);
const struct strmap *compose_recipe_pairs(struct compose_recipe *recipe, int which,
                                          const json_t *object, const char *name);
struct strmap *compose_recipe_map(struct compose_recipe *recipe);
struct strvec *compose_recipe_strings(struct compose_recipe *recipe);
char *compose_recipe_text(struct compose_recipe *recipe, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void compose_recipe_networks(const struct compose_recipe_request *request, const json_t *service,
                             struct compose_recipe *recipe);
int compose_recipe_storage(const struct compose_recipe_request *request, const json_t *service,
                           struct compose_recipe *recipe, struct err *err)
    __attribute__((warn_unused_result));
/* Reads profiles of seccomp, whose paths start in the project's directory. */
int compose_recipe_security(const struct compose_recipe_request *request, const json_t *service,
                            struct compose_recipe *recipe, struct err *err)
    __attribute__((warn_unused_result));
void compose_recipe_limits(const json_t *service, struct compose_recipe *recipe);
/* Where a secret or config stands in the container; target NULL: by its source. */
const char *compose_file_target(struct compose_recipe *recipe, bool secret, const char *source,
                                const char *target);
/* "service:X" as "container:ID", others as they are; NULL stays. */
const char *compose_recipe_namespace(const struct compose_recipe_request *request,
                                     struct compose_recipe *recipe, const char *mode);
