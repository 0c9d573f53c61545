/* The attributes of services. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "compose/rows.h"

#define NO_STACK .flags = IGNORED_BY_SWARM, .why = "a stack does not have it"
/* A service without the limits that its file gives it would be worse than none. */
#define NO_STACK_LIMIT                                                                             \
    .flags = REFUSED_BY_SWARM, .why = "a stack takes limits from deploy.resources"
#define WINDOWS                                                                                    \
    .flags = IGNORED_BY_DOCKER | IGNORED_BY_SWARM, .why = "it is for containers of Windows"

static json_t *short_source(struct compose_reader *r, const struct node_path *path,
                            const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, false);

    return text ? compose_placed(r, node, json_pack("{s:s}", "source", text)) : NULL;
}

static const struct compose_attribute mount_rows[] = {
    {.name = "source", .form = FORM_STRING},
    {.name = "target", .form = FORM_STRING},
    {.name = "uid", .form = FORM_TEXT},
    {.name = "gid", .form = FORM_TEXT},
    {.name = "mode", .form = FORM_MODE, .flags = ATTRIBUTE_KEEP},
};
const struct compose_table compose_mount_table = {.name = "a secret or config of a service",
                                                  .rows = mount_rows,
                                                  .count = ROWS(mount_rows),
                                                  .short_form = short_source};

static const struct compose_attribute ulimit_rows[] = {
    {.name = "soft", .form = FORM_INTEGER, .flags = ATTRIBUTE_REQUIRED | ATTRIBUTE_KEEP},
    {.name = "hard", .form = FORM_INTEGER, .flags = ATTRIBUTE_REQUIRED | ATTRIBUTE_KEEP},
};
const struct compose_table compose_ulimit_table = {.name = "a limit",
                                                   .rows = ulimit_rows,
                                                   .count = ROWS(ulimit_rows)};

static const struct compose_attribute hook_rows[] = {
    {.name = "command", .form = FORM_COMMAND, .merge = MERGE_REPLACE},
    {.name = "image", .form = FORM_STRING},
    {.name = "user", .form = FORM_STRING},
    {.name = "privileged", .form = FORM_BOOL},
    {.name = "working_dir", .form = FORM_STRING},
    {.name = "environment", .form = FORM_VARIABLES},
    {.name = "per_replica", .form = FORM_BOOL},
};
const struct compose_table compose_hook_table = {.name = "a hook",
                                                 .rows = hook_rows,
                                                 .count = ROWS(hook_rows)};

static const char *const watch_actions[] = {"rebuild",      "sync",      "restart",
                                            "sync+restart", "sync+exec", NULL};
static const struct compose_attribute watch_rows[] = {
    {.name = "path", .form = FORM_STRING, .flags = ATTRIBUTE_PATH | ATTRIBUTE_REQUIRED},
    {.name = "action", .form = FORM_STRING, .choices = watch_actions, .flags = ATTRIBUTE_REQUIRED},
    {.name = "target", .form = FORM_STRING},
    {.name = "exec", .form = FORM_OBJECT, .table = &compose_hook_table},
    {.name = "include", .form = FORM_STRING_OR_LIST},
    {.name = "ignore", .form = FORM_STRING_OR_LIST},
    {.name = "initial_sync", .form = FORM_BOOL},
};
static const struct compose_table watch_table = {.name = "a watch",
                                                 .rows = watch_rows,
                                                 .count = ROWS(watch_rows)};
static const struct compose_attribute develop_rows[] = {
    {.name = "watch", .form = FORM_OBJECTS, .table = &watch_table},
};
const struct compose_table compose_develop_table = {.name = "develop",
                                                    .rows = develop_rows,
                                                    .count = ROWS(develop_rows)};

static const struct compose_attribute weight_rows[] = {
    {.name = "path", .form = FORM_STRING, .flags = ATTRIBUTE_CAPITAL},
    {.name = "weight", .form = FORM_INTEGER, .flags = ATTRIBUTE_CAPITAL},
};
static const struct compose_table weight_table = {.name = "a weight",
                                                  .rows = weight_rows,
                                                  .count = ROWS(weight_rows)};
static const struct compose_attribute rate_rows[] = {
    {.name = "path", .form = FORM_STRING, .flags = ATTRIBUTE_CAPITAL},
    {.name = "rate", .form = FORM_BYTES, .flags = ATTRIBUTE_CAPITAL},
};
static const struct compose_table rate_table = {.name = "a rate",
                                                .rows = rate_rows,
                                                .count = ROWS(rate_rows)};
static const struct compose_attribute blkio_rows[] = {
    {.name = "weight", .form = FORM_INTEGER},
    {.name = "weight_device", .form = FORM_OBJECTS, .table = &weight_table},
    {.name = "device_read_bps", .form = FORM_OBJECTS, .table = &rate_table},
    {.name = "device_read_iops", .form = FORM_OBJECTS, .table = &rate_table},
    {.name = "device_write_bps", .form = FORM_OBJECTS, .table = &rate_table},
    {.name = "device_write_iops", .form = FORM_OBJECTS, .table = &rate_table},
};
static const struct compose_table blkio_table = {.name = "blkio_config",
                                                 .rows = blkio_rows,
                                                 .count = ROWS(blkio_rows)};

static const struct compose_attribute credential_rows[] = {
    {.name = "config", .form = FORM_STRING},
    {.name = "file", .form = FORM_STRING},
    {.name = "registry", .form = FORM_STRING},
};
static const struct compose_table credential_table = {.name = "credential_spec",
                                                      .rows = credential_rows,
                                                      .count = ROWS(credential_rows)};

static json_t *short_dependency(struct compose_reader *r, const struct node_path *path,
                                const struct yaml_node *node)
{
    (void)path;
    return compose_placed(r, node,
                          json_pack("{s:s, s:b}", "condition", "service_started", "required", 1));
}

static const char *const conditions[] = {"service_started", "service_healthy",
                                         "service_completed_successfully", NULL};
static const struct compose_attribute dependency_rows[] = {
    {.name = "condition", .form = FORM_STRING, .choices = conditions},
    {.name = "restart", .form = FORM_BOOL},
    {.name = "required", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
};
static const struct compose_table dependency_table = {.name = "a dependency",
                                                      .rows = dependency_rows,
                                                      .count = ROWS(dependency_rows),
                                                      .short_form = short_dependency};

static json_t *short_device(struct compose_reader *r, const struct node_path *path,
                            const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, false);
    char *target = text ? strchr(text, ':') : NULL;
    char *permissions = target ? strchr(target + 1, ':') : NULL;

    if (!text)
        return NULL;
    if (permissions && strchr(permissions + 1, ':')) {
        compose_reader_error(r, path, node, "\"%s\" is not SOURCE[:TARGET[:PERMISSIONS]]", text);
        return NULL;
    }
    if (target)
        *target++ = '\0';
    if (permissions)
        *permissions++ = '\0';
    return compose_placed(r, node,
                          json_pack("{s:s, s:s, s:s}", "source", text, "target",
                                    target && *target ? target : text, "permissions",
                                    permissions ? permissions : "rwm"));
}

static const struct compose_attribute device_rows[] = {
    {.name = "source", .form = FORM_STRING, .flags = ATTRIBUTE_REQUIRED},
    {.name = "target", .form = FORM_STRING},
    {.name = "permissions", .form = FORM_STRING},
};
static const struct compose_table device_table = {.name = "a device",
                                                  .rows = device_rows,
                                                  .count = ROWS(device_rows),
                                                  .short_form = short_device};

static json_t *short_env_file(struct compose_reader *r, const struct node_path *path,
                              const struct yaml_node *node)
{
    static const struct compose_attribute file = {.name = "path",
                                                  .form = FORM_STRING,
                                                  .flags = ATTRIBUTE_PATH};
    json_t *value = compose_read_value(r, path, &file, node);

    return value ? compose_placed(r, node, json_pack("{s:o}", "path", value)) : NULL;
}

static const struct compose_attribute env_file_rows[] = {
    {.name = "path", .form = FORM_STRING, .flags = ATTRIBUTE_PATH | ATTRIBUTE_REQUIRED},
    {.name = "required", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
    {.name = "format", .form = FORM_STRING},
};
static const struct compose_table env_file_table = {.name = "env_file",
                                                    .rows = env_file_rows,
                                                    .count = ROWS(env_file_rows),
                                                    .short_form = short_env_file};

static json_t *short_extends(struct compose_reader *r, const struct node_path *path,
                             const struct yaml_node *node)
{
    CLEANUP_FREE char *text = compose_read_string(r, path, node, false);

    return text ? compose_placed(r, node, json_pack("{s:s}", "service", text)) : NULL;
}

static const struct compose_attribute extends_rows[] = {
    {.name = "file", .form = FORM_STRING, .flags = ATTRIBUTE_PATH},
    {.name = "service", .form = FORM_STRING, .flags = ATTRIBUTE_REQUIRED},
};
static const struct compose_table extends_table = {.name = "extends",
                                                   .rows = extends_rows,
                                                   .count = ROWS(extends_rows),
                                                   .short_form = short_extends};

static const struct compose_attribute healthcheck_rows[] = {
    {.name = "test", .form = FORM_TEST, .merge = MERGE_REPLACE},
    {.name = "timeout", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "interval", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "retries", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
    {.name = "start_period", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "start_interval", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "disable", .form = FORM_BOOL},
};
static const struct compose_table healthcheck_table = {.name = "healthcheck",
                                                       .rows = healthcheck_rows,
                                                       .count = ROWS(healthcheck_rows)};

static const struct compose_attribute logging_rows[] = {
    {.name = "driver", .form = FORM_STRING},
    {.name = "options", .form = FORM_OPTIONS},
};
static const struct compose_table logging_table = {.name = "logging",
                                                   .rows = logging_rows,
                                                   .count = ROWS(logging_rows)};

static const struct compose_attribute attachment_rows[] = {
    {.name = "aliases", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "driver_opts", .form = FORM_OPTIONS},
    {.name = "gw_priority", .form = FORM_INTEGER, NO_STACK},
    {.name = "interface_name", .form = FORM_STRING, NO_STACK},
    {.name = "ipv4_address", .form = FORM_STRING, NO_STACK},
    {.name = "ipv6_address", .form = FORM_STRING, NO_STACK},
    {.name = "link_local_ips",
     .form = FORM_STRINGS,
     .merge = MERGE_KEY,
     .key = compose_key_text,
     NO_STACK},
    {.name = "mac_address", .form = FORM_STRING, NO_STACK},
    {.name = "priority", .form = FORM_INTEGER, NO_STACK},
};
static const struct compose_table attachment_table = {.name = "a network of a service",
                                                      .rows = attachment_rows,
                                                      .count = ROWS(attachment_rows)};

static const struct compose_attribute port_rows[] = {
    {.name = "name", .form = FORM_STRING},
    {.name = "mode", .form = FORM_STRING},
    {.name = "host_ip", .form = FORM_STRING, .flags = IGNORED_BY_SWARM, .why = COMPOSE_WHY_HOST_IP},
    {.name = "target", .form = FORM_INTEGER, .flags = ATTRIBUTE_REQUIRED},
    {.name = "published", .form = FORM_TEXT},
    {.name = "protocol", .form = FORM_STRING},
    {.name = "app_protocol", .form = FORM_STRING},
};
static const struct compose_table port_table = {.name = "a port",
                                                .rows = port_rows,
                                                .count = ROWS(port_rows),
                                                .short_form = compose_read_port,
                                                .check = compose_check_port};

static const struct compose_attribute any_model_rows[] = {
    {.name = "endpoint_var", .form = FORM_STRING},
    {.name = "model_var", .form = FORM_STRING},
};
static const struct compose_table any_model_table = {.name = "a model of a service",
                                                     .rows = any_model_rows,
                                                     .count = ROWS(any_model_rows)};

static json_t *text_of(const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
    json_t *string = text ? json_string(text) : json_incref((json_t *)value);

    free(text);
    return string;
}

/* Each option becomes a list of strings. */
static void make_option_lists(struct compose_reader *r, const struct node_path *path,
                              const struct yaml_node *node, json_t *object)
{
    json_t *options = json_object_get(object, "options");
    const char *name;
    json_t *value;

    (void)r;
    (void)path;
    (void)node;
    json_object_foreach (options, name, value) {
        json_t *list = json_array();
        json_t *item;
        size_t i;

        if (!json_is_array(value))
            json_array_append_new(list, text_of(value));
        json_array_foreach (value, i, item)
            json_array_append_new(list, text_of(item));
        json_object_set_new(options, name, list);
    }
}

static const struct compose_attribute provider_rows[] = {
    {.name = "type", .form = FORM_STRING, .flags = ATTRIBUTE_REQUIRED},
    {.name = "options", .form = FORM_ANY},
};
static const struct compose_table provider_table = {.name = "provider",
                                                    .rows = provider_rows,
                                                    .count = ROWS(provider_rows),
                                                    .check = make_option_lists};

static const char *const recursions[] = {"enabled", "disabled", "writable", "readonly", NULL};
static const char *const selinux_labels[] = {"z", "Z", NULL};
static const struct compose_attribute bind_rows[] = {
    {.name = "selinux", .form = FORM_STRING, .choices = selinux_labels, NO_STACK},
    {.name = "propagation", .form = FORM_STRING},
    {.name = "create_host_path", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
    {.name = "recursive", .form = FORM_STRING, .choices = recursions},
};
static const struct compose_table bind_table = {.name = "bind",
                                                .rows = bind_rows,
                                                .count = ROWS(bind_rows)};
static const struct compose_attribute volume_option_rows[] = {
    {.name = "labels", .form = FORM_LABELS},
    {.name = "nocopy", .form = FORM_BOOL},
    {.name = "subpath", .form = FORM_STRING},
};
static const struct compose_table volume_option_table = {.name = "volume",
                                                         .rows = volume_option_rows,
                                                         .count = ROWS(volume_option_rows)};
static const struct compose_attribute tmpfs_rows[] = {
    {.name = "size", .form = FORM_BYTES},
    {.name = "mode", .form = FORM_MODE_INTEGER},
};
static const struct compose_table tmpfs_table = {.name = "tmpfs",
                                                 .rows = tmpfs_rows,
                                                 .count = ROWS(tmpfs_rows)};
static const struct compose_attribute image_option_rows[] = {
    {.name = "subpath", .form = FORM_STRING},
};
static const struct compose_table image_option_table = {.name = "image",
                                                        .rows = image_option_rows,
                                                        .count = ROWS(image_option_rows)};
static const char *const volume_types[] = {"bind",  "volume", "tmpfs", "cluster",
                                           "npipe", "image",  NULL};
static const struct compose_attribute volume_rows[] = {
    {.name = "type", .form = FORM_STRING, .choices = volume_types, .flags = ATTRIBUTE_REQUIRED},
    {.name = "source", .form = FORM_STRING},
    {.name = "target", .form = FORM_STRING},
    {.name = "read_only", .form = FORM_BOOL},
    {.name = "consistency", .form = FORM_STRING},
    {.name = "bind", .form = FORM_OBJECT, .table = &bind_table},
    {.name = "volume", .form = FORM_OBJECT, .table = &volume_option_table},
    {.name = "tmpfs", .form = FORM_OBJECT, .table = &tmpfs_table},
    {.name = "image", .form = FORM_OBJECT, .table = &image_option_table},
};
static const struct compose_table volume_table = {.name = "a volume of a service",
                                                  .rows = volume_rows,
                                                  .count = ROWS(volume_rows),
                                                  .short_form = compose_read_volume,
                                                  .check = compose_check_volume};

static const char *const cgroups[] = {"host", "private", NULL};
static const struct compose_attribute rows[] = {
    {.name = "profiles", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "annotations", .form = FORM_LABELS, NO_STACK},
    {.name = "attach", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
    {.name = "build", .form = FORM_OBJECT, .table = &compose_build_table, NO_STACK},
    {.name = "develop",
     .form = FORM_OBJECT,
     .table = &compose_develop_table,
     .flags = IGNORED_BY_DOCKER | IGNORED_BY_SWARM,
     .why = "nothing is watched here"},
    {.name = "blkio_config", .form = FORM_OBJECT, .table = &blkio_table, NO_STACK},
    {.name = "cap_add", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "cap_drop", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "cgroup_parent", .form = FORM_STRING, NO_STACK},
    {.name = "cgroup", .form = FORM_STRING, .choices = cgroups, NO_STACK},
    {.name = "cpu_count", .form = FORM_INTEGER, WINDOWS},
    {.name = "cpu_percent", .form = FORM_NUMBER, WINDOWS},
    {.name = "cpu_period", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "cpu_quota", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "cpu_rt_period", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "cpu_rt_runtime", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "cpus", .form = FORM_NUMBER, NO_STACK_LIMIT},
    {.name = "cpuset", .form = FORM_STRING, NO_STACK_LIMIT},
    {.name = "cpu_shares", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "command", .form = FORM_COMMAND, .merge = MERGE_REPLACE},
    {.name = "configs",
     .form = FORM_OBJECTS,
     .table = &compose_mount_table,
     .merge = MERGE_KEY,
     .key = compose_key_config},
    {.name = "container_name", .form = FORM_STRING, NO_STACK},
    {.name = "credential_spec",
     .form = FORM_OBJECT,
     .table = &credential_table,
     .flags = IGNORED_BY_DOCKER,
     .why = "it is for containers of Windows"},
    {.name = "depends_on",
     .form = FORM_NAMES,
     .table = &dependency_table,
     .flags = IGNORED_BY_SWARM,
     .why = "a stack starts its services in no order"},
    {.name = "deploy", .form = FORM_OBJECT, .table = &compose_deploy_table},
    {.name = "device_cgroup_rules", .form = FORM_STRINGS, NO_STACK},
    {.name = "devices",
     .form = FORM_OBJECTS,
     .table = &device_table,
     .merge = MERGE_KEY,
     .key = compose_key_target,
     NO_STACK},
    {.name = "dns", .form = FORM_STRING_OR_LIST, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "dns_opt", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "dns_search",
     .form = FORM_STRING_OR_LIST,
     .merge = MERGE_KEY,
     .key = compose_key_text},
    {.name = "domainname", .form = FORM_STRING, NO_STACK},
    {.name = "entrypoint", .form = FORM_COMMAND, .merge = MERGE_REPLACE},
    {.name = "provider",
     .form = FORM_OBJECT,
     .table = &provider_table,
     .flags = REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "services are containers here; programs that provide them are not run"},
    {.name = "environment", .form = FORM_VARIABLES},
    {.name = "env_file",
     .form = FORM_OBJECTS,
     .table = &env_file_table,
     .merge = MERGE_KEY,
     .key = compose_key_path,
     .flags = ATTRIBUTE_ONE},
    {.name = "expose", .form = FORM_TEXTS, .merge = MERGE_KEY, .key = compose_key_text},
    {.name = "extends", .form = FORM_OBJECT, .table = &extends_table},
    {.name = "external_links", .form = FORM_STRINGS, NO_STACK},
    {.name = "extra_hosts", .form = FORM_HOSTS},
    {.name = "group_add", .form = FORM_TEXTS},
    {.name = "gpus",
     .form = FORM_GPUS,
     .table = &compose_device_request_table,
     .flags = REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "GPUs cannot be asked for here"},
    {.name = "hostname", .form = FORM_STRING},
    {.name = "healthcheck", .form = FORM_OBJECT, .table = &healthcheck_table},
    {.name = "image", .form = FORM_STRING},
    {.name = "init", .form = FORM_BOOL, .flags = ATTRIBUTE_KEEP},
    {.name = "ipc", .form = FORM_STRING, NO_STACK},
    {.name = "isolation", .form = FORM_STRING},
    {.name = "labels", .form = FORM_LABELS},
    {.name = "label_file", .form = FORM_STRING_OR_LIST, .flags = ATTRIBUTE_PATH},
    {.name = "links", .form = FORM_STRINGS, .merge = MERGE_KEY, .key = compose_key_text, NO_STACK},
    {.name = "logging", .form = FORM_OBJECT, .table = &logging_table, .merge = MERGE_LOGGING},
    {.name = "mem_limit", .form = FORM_BYTES, NO_STACK_LIMIT},
    {.name = "mem_reservation", .form = FORM_BYTES, NO_STACK_LIMIT},
    {.name = "memswap_limit", .form = FORM_BYTES, NO_STACK_LIMIT},
    {.name = "mem_swappiness", .form = FORM_BYTES, NO_STACK},
    {.name = "mac_address", .form = FORM_STRING, NO_STACK},
    {.name = "models",
     .form = FORM_NAMES,
     .table = &any_model_table,
     .flags = ATTRIBUTE_NULL | REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "models are not run here"},
    {.name = "network_mode", .form = FORM_STRING, NO_STACK},
    {.name = "networks", .form = FORM_NAMES, .table = &attachment_table, .flags = ATTRIBUTE_NULL},
    {.name = "oom_kill_disable", .form = FORM_BOOL, NO_STACK},
    {.name = "oom_score_adj", .form = FORM_INTEGER, NO_STACK},
    {.name = "pid", .form = FORM_STRING, NO_STACK},
    {.name = "pids_limit", .form = FORM_INTEGER, NO_STACK_LIMIT},
    {.name = "platform", .form = FORM_STRING, NO_STACK},
    {.name = "ports",
     .form = FORM_OBJECTS,
     .table = &port_table,
     .merge = MERGE_KEY,
     .key = compose_key_port},
    {.name = "privileged", .form = FORM_BOOL, NO_STACK},
    {.name = "pull_policy", .form = FORM_STRING, NO_STACK},
    {.name = "pull_refresh_after",
     .form = FORM_STRING,
     .flags = IGNORED_BY_DOCKER | IGNORED_BY_SWARM | ATTRIBUTE_HIDDEN,
     .why = "write pull_policy: every_… instead"},
    {.name = "read_only", .form = FORM_BOOL},
    {.name = "restart", .form = FORM_STRING},
    {.name = "runtime", .form = FORM_STRING, NO_STACK},
    {.name = "scale", .form = FORM_INTEGER, .flags = ATTRIBUTE_KEEP},
    {.name = "secrets",
     .form = FORM_OBJECTS,
     .table = &compose_mount_table,
     .merge = MERGE_KEY,
     .key = compose_key_secret},
    {.name = "security_opt", .form = FORM_STRINGS, NO_STACK},
    {.name = "shm_size", .form = FORM_BYTES, NO_STACK},
    {.name = "stdin_open", .form = FORM_BOOL},
    {.name = "stop_grace_period", .form = FORM_DURATION, .flags = ATTRIBUTE_KEEP},
    {.name = "stop_signal", .form = FORM_STRING},
    {.name = "storage_opt", .form = FORM_OPTIONS, NO_STACK},
    {.name = "sysctls", .form = FORM_LABELS},
    {.name = "tmpfs", .form = FORM_STRING_OR_LIST, .merge = MERGE_KEY, .key = compose_key_tmpfs},
    {.name = "tty", .form = FORM_BOOL},
    {.name = "ulimits", .form = FORM_ULIMITS, .table = &compose_ulimit_table},
    {.name = "use_api_socket",
     .form = FORM_BOOL,
     .flags = REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "the daemon's socket and its credentials are not handed on; mount the socket"},
    {.name = "user", .form = FORM_STRING},
    {.name = "userns_mode", .form = FORM_STRING, NO_STACK},
    {.name = "uts", .form = FORM_STRING, NO_STACK},
    {.name = "volumes",
     .form = FORM_OBJECTS,
     .table = &volume_table,
     .merge = MERGE_KEY,
     .key = compose_key_target},
    {.name = "volumes_from",
     .form = FORM_STRINGS,
     .flags = REFUSED_BY_SWARM,
     .why = "services of a stack share volumes by their names"},
    {.name = "working_dir", .form = FORM_STRING},
    {.name = "pre_start",
     .form = FORM_OBJECTS,
     .table = &compose_hook_table,
     .flags = REFUSED_BY_DOCKER | REFUSED_BY_SWARM,
     .why = "let a service of its own do it, with depends_on: "
            "{condition: service_completed_successfully}"},
    {.name = "post_start", .form = FORM_OBJECTS, .table = &compose_hook_table, NO_STACK},
    {.name = "pre_stop", .form = FORM_OBJECTS, .table = &compose_hook_table, NO_STACK},
};

const struct compose_table compose_service_table = {.name = "a service",
                                                    .rows = rows,
                                                    .count = ROWS(rows)};
