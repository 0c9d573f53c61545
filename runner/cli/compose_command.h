/* `runner compose`: what its actions share. */
#pragma once

#include "base/vec.h"
#include "compose/model.h"

struct compose_args {
    struct strvec files;
    char *project_name;
    char *project_directory;
    struct strvec env_files;
    struct strvec profiles;
    /* config */
    int format;
    bool services;
    bool volumes;
    bool networks;
    bool images;
    bool list_profiles;
    char *hash;
    bool quiet;
    /* up, down, ps, logs */
    char *docker_host;
    bool detach;
    bool wait;
    bool no_wait;
    int64_t wait_timeout_ms;
    bool force_recreate;
    bool no_recreate;
    bool remove_orphans;
    bool build;
    int pull;
    int64_t *stop_timeout_s; /* NULL: not given */
    int remove_images;
    bool all;
    bool follow;
    bool timestamps;
    int64_t tail;
};

enum compose_format { COMPOSE_FORMAT_DEFAULT, COMPOSE_FORMAT_JSON };

/* A row of the table in cmd_compose.c. Operands are those behind the action. */
struct compose_action {
    const char *name;
    int (*run)(const struct compose_args *args, char *const *operands, size_t count);
};

/* Loads the project by the options, and shows what is to be said about its files. NULL: there are
 * errors. Profiles may be NULL for those of the options. */
struct compose_project *compose_command_load(const struct compose_args *args,
                                             const struct strvec *profiles,
                                             enum compose_target target,
                                             struct compose_sources *sources);

/* compose_config.c */
int compose_command_config(const struct compose_args *args, char *const *operands, size_t count);

/* compose_up.c */
int compose_command_up(const struct compose_args *args, char *const *operands, size_t count);
int compose_command_down(const struct compose_args *args, char *const *operands, size_t count);
int compose_command_ps(const struct compose_args *args, char *const *operands, size_t count);
int compose_command_logs(const struct compose_args *args, char *const *operands, size_t count);
