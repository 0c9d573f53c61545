/* Options of commands that use engines: where these find their daemons and clusters. */
#pragma once

#include "engine/engine.h"

struct cli_engine_args {
    char *docker_host;
    char *kubeconfig;
    char *context;
    char *ns;
};

/* Rows of an option table, for an argument struct `of` with a member struct cli_engine_args
 * `engines`. */
/* clang-format off */
#define CLI_ENGINE_OPTIONS(of)                                                                     \
    {"docker-host", 0, CLI_STRING, offsetof(of, engines.docker_host), "URL",                       \
     "Docker daemon to use", NULL, NULL},                                                          \
    {"kubeconfig", 0, CLI_STRING, offsetof(of, engines.kubeconfig), "FILE",                        \
     "kubeconfig file to use, and no other", NULL, NULL},                                          \
    {"context", 0, CLI_STRING, offsetof(of, engines.context), "NAME",                              \
     "its context to use where an engine names none", NULL, NULL},                                 \
    {"namespace", 0, CLI_STRING, offsetof(of, engines.ns), "NAME",                                 \
     "Kubernetes namespace to use where an engine names none", NULL, NULL}
/* clang-format on */

/* Sets the members of *services that the options are for; strings are borrowed, and empty ones are
 * not set. */
void cli_engine_services(const struct cli_engine_args *args, struct engine_services *services);
