/* What `apply`, `delete` and `diff` have in common: files, the cluster, and what is printed. */
#pragma once

#include "apis/kube/config.h"
#include "cli/option.h"
#include "k8s/sink.h"

struct cli_manifest_args {
    struct strvec files;
    bool recursive;
    char *kubeconfig;
    char *context;
    char *ns;
};

/* Rows of an option table, for an argument struct `of` with a member struct cli_manifest_args
 * `manifests`. */
/* clang-format off */
#define CLI_MANIFEST_OPTIONS(of)                                                                   \
    {"file", 'f', CLI_LIST, offsetof(of, manifests.files), "FILE",                                 \
     "manifests: a file, a directory, or - for standard input; repeatable", NULL, NULL},           \
    {"recursive", 'R', CLI_FLAG, offsetof(of, manifests.recursive), NULL,                          \
     "look into the directories of directories, too", NULL, NULL},                                 \
    {"namespace", 'n', CLI_STRING, offsetof(of, manifests.ns), "NAME",                             \
     "namespace of objects that name none", NULL, NULL},                                           \
    {"kubeconfig", 0, CLI_STRING, offsetof(of, manifests.kubeconfig), "FILE",                      \
     "kubeconfig file to use, and no other", NULL, NULL},                                          \
    {"context", 0, CLI_STRING, offsetof(of, manifests.context), "NAME",                            \
     "its context to use", NULL, NULL}
/* clang-format on */

struct cli_manifests {
    const char *command;
    struct manifest_list list;
    struct kube_cluster *cluster;
    struct manifest_sink sink; /* prints */
};

/* Reads the files and finds the cluster, both without asking it anything. Returns CLI_EXIT_OK, or
 * what to exit with, having said why. */
int cli_manifests_open(const char *command, const struct cli_manifest_args *args,
                       struct cli_manifests *ret);
void cli_manifests_release(struct cli_manifests *manifests);
/* Says what went wrong and returns the exit status. */
int cli_manifests_status(const struct cli_manifests *manifests, int result, int signal,
                         const struct err *err);
