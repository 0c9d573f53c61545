/* Shared by the files that read kubeconfigs; not for others. */
#pragma once

#include "apis/kube/cluster.h"

/* Merged files. Each entry is {"file": path, "entry": what the file has}. */
struct kube_config {
    json_t *clusters; /* by name */
    json_t *users;
    json_t *contexts;
    char *current_context; /* NULL: none is set */
    char *files;           /* for messages, with commas between */
    /* In a pod without files; the rest is then empty. */
    char *pod_server; /* NULL: not so */
    char *pod_dir;    /* of the service account */
};

/* A part of a kubeconfig, for looking up its members and for messages about them. */
struct kube_entry {
    const char *file;
    const char *kind; /* "cluster", … */
    const char *name;
    const json_t *object; /* may be NULL: it has no members */
};

/* NULL when it is not set; ERR_INVALID for what is no string. */
int kube_entry_string(const struct kube_entry *entry, const char *key, const char **ret,
                      struct err *err) __attribute__((warn_unused_result));
int kube_entry_bool(const struct kube_entry *entry, const char *key, bool *ret, struct err *err)
    __attribute__((warn_unused_result));
/* -1 with "FILE: KIND "NAME": …". */
int kube_entry_error(const struct kube_entry *entry, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* NAME and NAME-data: at most one of *ret_file (absolute, and a file that can be read) and *ret_pem
 * (decoded) is set; both belong to the caller. */
int kube_entry_pem(const struct kube_entry *entry, const char *key, char **ret_file, char **ret_pem,
                   struct err *err) __attribute__((warn_unused_result));
/* The path that a member names, relative to the file's directory; NULL when it is not set. */
int kube_entry_path(const struct kube_entry *entry, const char *key, char **ret, struct err *err)
    __attribute__((warn_unused_result));

/* The user of a context. `cluster` is for plugins that want to know. */
int kube_user_read(const struct kube_entry *entry, const struct kube_entry *cluster,
                   struct kube_user **ret, struct err *err) __attribute__((warn_unused_result));
