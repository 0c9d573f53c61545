/* The attributes of a file, and of networks, volumes, secrets and configs. */
#include "compose/rows.h"

#define NO_STACK .flags = IGNORED_BY_SWARM, .why = "a stack does not have it"

static const struct compose_attribute pool_rows[] = {
    {.name = "subnet", .form = FORM_STRING},
    {.name = "gateway", .form = FORM_STRING},
    {.name = "ip_range", .form = FORM_STRING},
    {.name = "aux_addresses", .form = FORM_OPTIONS, NO_STACK},
};
static const struct compose_table pool_table = {.name = "a range of addresses",
                                                .rows = pool_rows,
                                                .count = ROWS(pool_rows)};
static const struct compose_attribute ipam_rows[] = {
    {.name = "driver", .form = FORM_STRING},
    {.name = "config", .form = FORM_OBJECTS, .table = &pool_table, .merge = MERGE_SUBNET},
    {.name = "options", .form = FORM_OPTIONS, NO_STACK},
};
static const struct compose_table ipam_table = {.name = "ipam",
                                                .rows = ipam_rows,
                                                .count = ROWS(ipam_rows)};
static const struct compose_attribute network_rows[] = {
    {.name = "name", .form = FORM_STRING},
    {.name = "driver", .form = FORM_STRING},
    {.name = "driver_opts", .form = FORM_OPTIONS},
    {.name = "ipam", .form = FORM_OBJECT, .table = &ipam_table},
    {.name = "external", .form = FORM_EXTERNAL},
    {.name = "internal", .form = FORM_BOOL},
    {.name = "attachable", .form = FORM_BOOL},
    {.name = "labels", .form = FORM_LABELS},
    {.name = "enable_ipv4", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
    {.name = "enable_ipv6", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
};
static const struct compose_table network_table = {.name = "a network",
                                                   .rows = network_rows,
                                                   .count = ROWS(network_rows)};

static const struct compose_attribute volume_rows[] = {
    {.name = "name", .form = FORM_STRING},         {.name = "driver", .form = FORM_STRING},
    {.name = "driver_opts", .form = FORM_OPTIONS}, {.name = "external", .form = FORM_EXTERNAL},
    {.name = "labels", .form = FORM_LABELS},
};
static const struct compose_table volume_table = {.name = "a volume",
                                                  .rows = volume_rows,
                                                  .count = ROWS(volume_rows)};

#define SWARM_ONLY .flags = IGNORED_BY_DOCKER, .why = "it is for a swarm"

static const struct compose_attribute secret_rows[] = {
    {.name = "name", .form = FORM_STRING},
    {.name = "file", .form = FORM_STRING, .flags = ATTRIBUTE_PATH},
    {.name = "environment", .form = FORM_STRING},
    {.name = "external", .form = FORM_EXTERNAL},
    {.name = "labels", .form = FORM_LABELS},
    {.name = "driver", .form = FORM_STRING, SWARM_ONLY},
    {.name = "driver_opts", .form = FORM_OPTIONS, SWARM_ONLY},
    {.name = "template_driver", .form = FORM_STRING, SWARM_ONLY},
};
static const struct compose_table secret_table = {.name = "a secret",
                                                  .rows = secret_rows,
                                                  .count = ROWS(secret_rows)};

static const struct compose_attribute config_rows[] = {
    {.name = "name", .form = FORM_STRING},
    {.name = "file", .form = FORM_STRING, .flags = ATTRIBUTE_PATH},
    {.name = "environment", .form = FORM_STRING},
    {.name = "content", .form = FORM_STRING},
    {.name = "external", .form = FORM_EXTERNAL},
    {.name = "labels", .form = FORM_LABELS},
    {.name = "template_driver", .form = FORM_STRING, SWARM_ONLY},
};
static const struct compose_table config_table = {.name = "a config",
                                                  .rows = config_rows,
                                                  .count = ROWS(config_rows)};

static const struct compose_attribute model_rows[] = {
    {.name = "name", .form = FORM_STRING},
    {.name = "model", .form = FORM_STRING, .flags = ATTRIBUTE_REQUIRED},
    {.name = "context_size", .form = FORM_INTEGER},
    {.name = "runtime_flags", .form = FORM_STRINGS},
};
static const struct compose_table model_table = {.name = "a model",
                                                 .rows = model_rows,
                                                 .count = ROWS(model_rows)};

static json_t *short_include(struct compose_reader *r, const struct node_path *path,
                             const struct yaml_node *node)
{
    static const struct compose_attribute file = {.name = "path",
                                                  .form = FORM_STRING_OR_LIST,
                                                  .flags = ATTRIBUTE_PATH};
    json_t *value = compose_read_value(r, path, &file, node);

    return value ? compose_placed(r, node, json_pack("{s:o}", "path", value)) : NULL;
}

static const struct compose_attribute include_rows[] = {
    {.name = "path", .form = FORM_STRING_OR_LIST, .flags = ATTRIBUTE_PATH | ATTRIBUTE_REQUIRED},
    {.name = "project_directory", .form = FORM_STRING, .flags = ATTRIBUTE_PATH},
    {.name = "env_file", .form = FORM_STRING_OR_LIST, .flags = ATTRIBUTE_PATH},
};
static const struct compose_table include_table = {.name = "include",
                                                   .rows = include_rows,
                                                   .count = ROWS(include_rows),
                                                   .short_form = short_include};

static const struct compose_attribute rows[] = {
    {.name = "version",
     .form = FORM_TEXT,
     .flags = IGNORED_BY_DOCKER | ATTRIBUTE_HIDDEN,
     .why = "it is obsolete and can be removed"},
    {.name = "name", .form = FORM_STRING},
    {.name = "include", .form = FORM_OBJECTS, .table = &include_table},
    {.name = "services", .form = FORM_NAMED, .table = &compose_service_table},
    {.name = "models",
     .form = FORM_NAMED,
     .table = &model_table,
     .flags = IGNORED_BY_DOCKER | IGNORED_BY_SWARM,
     .why = "models are not run here"},
    {.name = "networks", .form = FORM_NAMED, .table = &network_table},
    {.name = "volumes", .form = FORM_NAMED, .table = &volume_table},
    {.name = "secrets", .form = FORM_NAMED, .table = &secret_table},
    {.name = "configs", .form = FORM_NAMED, .table = &config_table},
};

const struct compose_table compose_file_table = {.name = "a Compose file",
                                                 .rows = rows,
                                                 .count = ROWS(rows)};
