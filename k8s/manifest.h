/* Manifests: the objects that files describe, before they are in a cluster.
 *
 *     CLEANUP_MANIFEST_LIST struct manifest_list list = {0};
 *     if (manifest_list_add_path(&list, "deploy/", true, err) < 0) ...
 *     ... apply.h, delete.h, diff.h
 *
 * YAML of several documents, JSON values one after the other, and lists (a `kind: List`, or one of
 * a kind: `ConfigMapList`), which are taken apart. Each object knows where it was written. The same
 * object may be written twice if it is the same in all; else it is an error. What only a server
 * sets (managedFields, creationTimestamp, generation, selfLink) is left out.
 *
 * Threads: an object is used by one at a time. Errors are ERR_INVALID and name file and line;
 * ERR_LIMIT for what is too much.
 * Source: Kubernetes API conventions, "Types (Kinds)"; kubectl apply. */
#pragma once

#include <jansson.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/text_index.h"
#include "base/vec.h"

#define MANIFEST_BYTES_MAX   ((size_t)32 << 20) /* of one file */
#define MANIFEST_OBJECTS_MAX 10000

/* What has become of it in the cluster. */
enum manifest_state {
    MANIFEST_WRITTEN,    /* nothing is known */
    MANIFEST_CREATING,   /* was not there; whether it is now is not known */
    MANIFEST_CREATED,    /* was not there, is now */
    MANIFEST_CONFIGURED, /* was there, and has been changed */
    MANIFEST_UNCHANGED,
};

struct manifest {
    json_t *object;
    const char *source; /* file; of the list */
    struct src_pos pos;
    const char *api_version; /* these belong to the object */
    const char *kind;
    const char *name;
    char *ns;       /* NULL: of the cluster, or not known yet */
    char *resource; /* plural, by manifest_resolve(); NULL: the cluster has no such kind yet */
    bool namespaced;
    enum manifest_state state;
    json_t *live; /* as the server has it, by apply; NULL: not known */
    bool listed;  /* for apply: `live` is as a list has it, NULL if it is not there */
};

struct manifest_list {
    VEC(struct manifest)
    items;
    struct strvec sources;
    struct text_index index; /* identity → number; the texts are in `identities` */
    struct strvec identities;
};

/* Some of a list. */
struct manifest_ptrs {
    struct manifest **items;
    size_t len;
    size_t cap;
};

#define CLEANUP_MANIFEST_LIST CLEANUP(manifest_list_release)

/* `source` is for messages. The text is followed by a NUL that len does not count. */
int manifest_list_add_text(struct manifest_list *list, const char *source, const char *text,
                           size_t len, struct err *err) __attribute__((warn_unused_result));
/* A file, a directory (its *.yaml, *.yml and *.json, in the order of their names; `recursive`:
 * directories in it, too), or "-", the standard input. */
int manifest_list_add_path(struct manifest_list *list, const char *path, bool recursive,
                           struct err *err) __attribute__((warn_unused_result));
void manifest_list_release(struct manifest_list *list);

/* "deployment.apps/web", as kubectl names it. */
void manifest_add_title(struct buf *out, const char *api_version, const char *kind,
                        const char *name);
/* Returns -1; "FILE:LINE: TITLE: " is before the message. */
int manifest_error(const struct manifest *manifest, struct err *err, enum err_code code,
                   const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The group of an API version, "" for the core; *ret_len is its length. Not NUL-terminated. */
const char *manifest_group(const char *api_version, size_t *ret_len);
/* Whether its group is one of Kubernetes itself. */
bool manifest_is_builtin(const struct manifest *manifest);
bool manifest_is(const struct manifest *manifest, const char *group, const char *kind);
