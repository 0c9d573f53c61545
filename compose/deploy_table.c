/* The attributes of `deploy`. */
#include "compose/rows.h"

#define SWARM_ONLY .flags = IGNORED_BY_DOCKER, .why = "it is for a swarm"

static const struct compose_attribute device_request_rows[] = {
    {.name = "capabilities", .form = FORM_STRINGS},
    {.name = "driver", .form = FORM_STRING},
    {.name = "count", .form = FORM_COUNT, .flags = ATTRIBUTE_KEEP},
    {.name = "device_ids", .form = FORM_STRINGS},
    {.name = "options", .form = FORM_LABELS},
};
const struct compose_table compose_device_request_table = {.name = "a device",
                                                           .rows = device_request_rows,
                                                           .count = ROWS(device_request_rows)};

static const char *const orders[] = {"start-first", "stop-first", NULL};
static const struct compose_attribute update_rows[] = {
    {.name = "parallelism", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
    {.name = "delay", .form = FORM_DURATION},
    {.name = "failure_action", .form = FORM_STRING},
    {.name = "monitor", .form = FORM_DURATION},
    {.name = "max_failure_ratio", .form = FORM_NUMBER},
    {.name = "order", .form = FORM_STRING, .choices = orders},
};
static const struct compose_table update_table = {.name = "update_config",
                                                  .rows = update_rows,
                                                  .count = ROWS(update_rows)};

static const struct compose_attribute discrete_rows[] = {
    {.name = "kind", .form = FORM_STRING, .flags = ATTRIBUTE_KEEP},
    {.name = "value", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
};
static const struct compose_table discrete_table = {.name = "discrete_resource_spec",
                                                    .rows = discrete_rows,
                                                    .count = ROWS(discrete_rows)};
static const struct compose_attribute generic_rows[] = {
    {.name = "discrete_resource_spec", .form = FORM_OBJECT, .table = &discrete_table},
};
static const struct compose_table generic_table = {.name = "a generic resource",
                                                   .rows = generic_rows,
                                                   .count = ROWS(generic_rows)};

static const struct compose_attribute limit_rows[] = {
    {.name = "cpus", .form = FORM_NUMBER},
    {.name = "memory", .form = FORM_BYTES},
    {.name = "pids", .form = FORM_INTEGER},
};
static const struct compose_table limit_table = {.name = "limits",
                                                 .rows = limit_rows,
                                                 .count = ROWS(limit_rows)};
static const struct compose_attribute reservation_rows[] = {
    {.name = "cpus", .form = FORM_NUMBER},
    {.name = "memory", .form = FORM_BYTES},
    {.name = "devices",
     .form = FORM_OBJECTS,
     .table = &compose_device_request_table,
     .flags = REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "GPUs and other such devices cannot be asked for here"},
    {.name = "generic_resources", .form = FORM_OBJECTS, .table = &generic_table, SWARM_ONLY},
};
static const struct compose_table reservation_table = {.name = "reservations",
                                                       .rows = reservation_rows,
                                                       .count = ROWS(reservation_rows)};
static const struct compose_attribute resource_rows[] = {
    {.name = "limits", .form = FORM_OBJECT, .table = &limit_table},
    {.name = "reservations", .form = FORM_OBJECT, .table = &reservation_table},
};
static const struct compose_table resource_table = {.name = "resources",
                                                    .rows = resource_rows,
                                                    .count = ROWS(resource_rows)};

static const struct compose_attribute restart_rows[] = {
    {.name = "condition", .form = FORM_STRING},
    {.name = "delay", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "max_attempts", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
    {.name = "window", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
};
static const struct compose_table restart_table = {.name = "restart_policy",
                                                   .rows = restart_rows,
                                                   .count = ROWS(restart_rows)};

static const struct compose_attribute preference_rows[] = {
    {.name = "spread", .form = FORM_STRING},
};
static const struct compose_table preference_table = {.name = "a preference",
                                                      .rows = preference_rows,
                                                      .count = ROWS(preference_rows)};
static const struct compose_attribute placement_rows[] = {
    {.name = "constraints", .form = FORM_STRINGS},
    {.name = "preferences", .form = FORM_OBJECTS, .table = &preference_table},
    {.name = "max_replicas_per_node", .form = FORM_INTEGER},
};
static const struct compose_table placement_table = {.name = "placement",
                                                     .rows = placement_rows,
                                                     .count = ROWS(placement_rows)};

static const struct compose_attribute rows[] = {
    {.name = "mode", .form = FORM_STRING},
    {.name = "replicas", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
    {.name = "labels", .form = FORM_LABELS, SWARM_ONLY},
    {.name = "update_config", .form = FORM_OBJECT, .table = &update_table, SWARM_ONLY},
    {.name = "rollback_config", .form = FORM_OBJECT, .table = &update_table, SWARM_ONLY},
    {.name = "resources", .form = FORM_OBJECT, .table = &resource_table},
    {.name = "restart_policy", .form = FORM_OBJECT, .table = &restart_table},
    {.name = "placement", .form = FORM_OBJECT, .table = &placement_table, SWARM_ONLY},
    {.name = "endpoint_mode", .form = FORM_STRING, SWARM_ONLY},
};
const struct compose_table compose_deploy_table = {.name = "deploy",
                                                   .rows = rows,
                                                   .count = ROWS(rows)};
