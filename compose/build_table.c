/* The attributes of `build`. */
#include "compose/rows.h"

static json_t *short_build(struct compose_reader *r, const struct node_path *path,
                           const struct yaml_node *node)
{
    static const struct compose_attribute context = {.name = "context",
                                                     .form = FORM_STRING,
                                                     .flags = ATTRIBUTE_PATH | ATTRIBUTE_URL};
    json_t *value = compose_read_value(r, path, &context, node);

    return value ? compose_placed(r, node, json_pack("{s:o}", "context", value)) : NULL;
}

#define BUILDKIT_FLAGS (REFUSED_BY_DOCKER | IGNORED_BY_SWARM)
#define BUILDKIT_WHY   "only BuildKit can do it"
#define BUILDKIT       .flags = BUILDKIT_FLAGS, .why = BUILDKIT_WHY

static const struct compose_attribute rows[] = {
    {.name = "context", .form = FORM_STRING, .flags = ATTRIBUTE_PATH | ATTRIBUTE_URL},
    {.name = "dockerfile", .form = FORM_STRING},
    {.name = "dockerfile_inline", .form = FORM_STRING},
    {.name = "entitlements", .form = FORM_STRINGS, BUILDKIT},
    {.name = "args", .form = FORM_VARIABLES},
    {.name = "provenance", .form = FORM_SCALAR, BUILDKIT},
    {.name = "sbom", .form = FORM_SCALAR, BUILDKIT},
    {.name = "ssh", .form = FORM_VARIABLES, BUILDKIT},
    {.name = "labels", .form = FORM_LABELS},
    {.name = "cache_from", .form = FORM_STRING_OR_LIST},
    {.name = "cache_to", .form = FORM_STRING_OR_LIST, BUILDKIT},
    {.name = "no_cache", .form = FORM_BOOL},
    {.name = "no_cache_filter", .form = FORM_STRING_OR_LIST, BUILDKIT},
    {.name = "additional_contexts",
     .form = FORM_LABELS,
     .flags = BUILDKIT_FLAGS | ATTRIBUTE_PATH | ATTRIBUTE_URL,
     .why = BUILDKIT_WHY},
    {.name = "pull", .form = FORM_BOOL},
    {.name = "extra_hosts", .form = FORM_HOSTS},
    {.name = "isolation", .form = FORM_STRING},
    {.name = "network", .form = FORM_STRING},
    {.name = "target", .form = FORM_STRING},
    {.name = "secrets",
     .form = FORM_OBJECTS,
     .table = &compose_mount_table,
     .merge = MERGE_KEY,
     .key = compose_key_secret,
     BUILDKIT},
    {.name = "shm_size", .form = FORM_BYTES},
    {.name = "tags", .form = FORM_STRING_OR_LIST, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "ulimits", .form = FORM_ULIMITS, .table = &compose_ulimit_table},
    {.name = "platforms", .form = FORM_STRING_OR_LIST},
    {.name = "privileged", .form = FORM_BOOL, BUILDKIT},
};

const struct compose_table compose_build_table = {.name = "build",
                                                  .rows = rows,
                                                  .count = ROWS(rows),
                                                  .short_form = short_build};
