/* Patches of a pod, applied here rather than by the API server, so that it is created patched.
 *
 * Errors are ERR_INVALID and name the place in the patch; the document may then be changed in part.
 * Pure. The patch is only read. */
#pragma once

#include "k8s/setting.h"

/* What a patch may make of a document: values at all, and one in another. */
#define PATCH_VALUES_MAX 100000
#define PATCH_DEPTH_MAX  500

/* A JSON Patch: a list of operations, in turn. *document may become another value.
 * Source: RFC 6902, RFC 6901. */
int patch_json(json_t **document, const struct setting *operations, struct err *err)
    __attribute__((warn_unused_result));

/* A strategic merge patch: maps are merged, null removes a member, and lists are replaced, except
 * those of a Pod whose items have a merge key: these are merged item by item, those that match
 * nothing go to the end. Of directives it knows "$patch: delete" and "$patch: replace".
 *
 * The patch may also be that of an object without such lists, e.g. a securityContext.
 * Source: Kubernetes, "Update API Objects in Place Using kubectl patch"; Pod v1 core, patch
 * strategy and patch merge key of its fields. */
int patch_strategic(json_t *object, const struct setting *patch, struct err *err)
    __attribute__((warn_unused_result));
