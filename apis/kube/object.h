/* Objects of the API: get, list, create, replace, patch, delete. See client.h for lifecycle,
 * threads, errors and what is tried again.
 *
 * Objects are JSON values as the server gives and takes them; *ret_… are new references and may be
 * passed as NULL. What belongs to a kind is found by discovery.h. */
#pragma once

#include "apis/kube/client.h"

/* A place of the API; strings are borrowed. */
struct kube_ref {
    const char *api_version; /* "v1", "apps/v1" */
    const char *resource;    /* plural: "pods" */
    const char *ns;          /* NULL: of the cluster, or all namespaces */
    const char *name;        /* NULL: the collection */
    const char *subresource; /* "status", "log", …; NULL: the object itself */
};

int kube_get(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
             json_t **ret, struct err *err) __attribute__((warn_unused_result));

/* Which objects; strings may be NULL. */
struct kube_selector {
    const char *labels; /* "app=x,stage!=test" */
    const char *fields; /* "metadata.name=x" */
};

#define KUBE_PAGE_DEFAULT 500

/* All of them, read in pages of `page` (0: KUBE_PAGE_DEFAULT) and put into one list: {"kind",
 * "apiVersion", "metadata": {"resourceVersion"}, "items"}; items have kind and apiVersion. */
int kube_list(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
              const struct kube_selector *selector, int page, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* All of them at once, without what items would need to be objects by themselves (kind,
 * apiVersion); ERR_LIMIT when there are more than max_items, or the answer is longer than
 * max_bytes. */
int kube_list_within(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                     int max_items, size_t max_bytes, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* POST to the collection that ref names (or to a subresource of an object). The end of ctx does not
 * break it off at once: the answer is waited for up to KUBE_SETTLE_MS more. After ERR_LOST the
 * object may be there. */
#define KUBE_SETTLE_MS 10000
int kube_create(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                json_t *object, json_t **ret, struct err *err) __attribute__((warn_unused_result));
/* PUT. With metadata.resourceVersion in the object it fails (ERR_CONFLICT) when that has changed.
 */
int kube_replace(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                 json_t *object, json_t **ret, struct err *err) __attribute__((warn_unused_result));

enum kube_patch_type {
    KUBE_PATCH_JSON,      /* RFC 6902: an array of operations */
    KUBE_PATCH_MERGE,     /* RFC 7386 */
    KUBE_PATCH_STRATEGIC, /* merge that knows the lists of built-in kinds */
    KUBE_PATCH_APPLY,     /* server-side apply: creates what is not there */
};

struct kube_patch_options {
    const char *field_manager; /* needed for KUBE_PATCH_APPLY */
    bool force;                /* of KUBE_PATCH_APPLY: take fields from other managers */
    bool dry_run;
};

int kube_patch(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
               enum kube_patch_type type, json_t *patch, const struct kube_patch_options *options,
               json_t **ret, struct err *err) __attribute__((warn_unused_result));

enum kube_propagation {
    KUBE_PROPAGATION_BACKGROUND, /* dependents go later; the default, as jobs would orphan pods */
    KUBE_PROPAGATION_FOREGROUND, /* dependents go first */
    KUBE_PROPAGATION_ORPHAN,
};

struct kube_delete_options {
    const char *uid; /* only the object with that UID, else ERR_CONFLICT; NULL: any */
    enum kube_propagation propagation;
    bool has_grace; /* else the object's own */
    int64_t grace_s;
};

/* Asks for the removal, which may take its time; *ret is the object or a Status. options may be
 * NULL. A repeated request may say ERR_NOT_FOUND for what the first has removed. */
int kube_delete(const struct ctx *ctx, struct kube_client *client, const struct kube_ref *ref,
                const struct kube_delete_options *options, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));

/* What was reported about one object (kubectl's "Events"), a list as of kube_list(). Not all who
 * report say the UID: the controller that evicts pods from nodes with taints does not. */
int kube_events(const struct ctx *ctx, struct kube_client *client, const char *ns, const char *kind,
                const char *name, const char *uid, json_t **ret, struct err *err)
    __attribute__((warn_unused_result));
