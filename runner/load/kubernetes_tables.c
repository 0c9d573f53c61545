/* What the key `kubernetes` holds. All of it stays JSON, for those who make the pod; what
 * Kubernetes itself calls something is passed through as it is, the rest is checked here. */
#include "load/pipeline_tables.h"

#include "load/rows.h"
#include "spec/spec.h"

/* A table whose struct is JSON. */
#define JSON_TABLE                                                                                 \
    .size = sizeof(struct spec_json), .pos_offset = offsetof(struct spec_json, pos),               \
    .init = init_json, .json = true
/* The beginning of a row. */
#define KEY(key, text, type) key, text, .kind = FIELD_##type, EXTENSION
#define NEEDED(key, text, type)                                                                    \
    key, text, .kind = FIELD_##type, .flags = FIELD_REQUIRED | FIELD_EXTENSION

static void init_json(void *object)
{
    ((struct spec_json *)object)->value = json_object();
}

static const struct field quantities_fields[] = {
    {KEY("requests", "what is kept free for it: `cpu`, `memory`, …, as in `500m` and `1Gi`", PAIRS),
     .check = check_quantity},
    {KEY("limits", "what it gets at most: likewise", PAIRS), .check = check_quantity},
};

const struct table pod_quantities_table = {
    .name = "pod resources",
    .help = "Quantities of Kubernetes, by the names of the resources.",
    ROWS(quantities_fields),
    JSON_TABLE,
};

static const struct field empty_dir_fields[] = {
    {KEY("medium", "`Memory`: it takes memory in place of disk", STRING)},
    {KEY("size_limit", "what may be in it at most, as in `1Gi`", STRING), .check = check_quantity},
};

const struct table pod_empty_dir_table = {
    .name = "empty directory",
    .help = "A directory that is there as long as the pod. `{}` is one.",
    ROWS(empty_dir_fields),
    JSON_TABLE,
};

static const struct field volume_fields[] = {
    {NEEDED("mount", "absolute path in the container", STRING), .check = check_mount},
    {KEY("config_map", "name of a ConfigMap, whose keys become files", STRING)},
    {KEY("secret", "name of a Secret, likewise", STRING)},
    {KEY("pvc", "name of a PersistentVolumeClaim", STRING)},
    {KEY("empty_dir", "an empty directory, see below", OBJECT), .table = &pod_empty_dir_table},
    {KEY("items", "of a `config_map` or `secret`: which keys, and where, as Kubernetes has it",
         JSON_LIST)},
    {KEY("sub_path", "what of the volume is mounted: a relative path", STRING),
     .check = check_sub_path, .default_text = "all of it"},
    {KEY("read_only", "mount it read-only", BOOL), .default_text = "`false`"},
};

static const char *const volume_sources[] = {"config_map", "secret", "pvc", "empty_dir", NULL};

const struct table pod_volume_table = {
    .name = "volume",
    .help = "One of `config_map`, `secret`, `pvc` and `empty_dir` says what it is.",
    ROWS(volume_fields),
    .one_of = volume_sources,
    .check = check_pod_volume,
    JSON_TABLE,
};

static const struct field host_alias_fields[] = {
    {NEEDED("ip", "address", STRING)},
    {NEEDED("hostnames", "names that mean it", STRINGS)},
};

const struct table pod_host_alias_table = {
    .name = "host alias",
    .help = "Further lines of `/etc/hosts`.",
    ROWS(host_alias_fields),
    JSON_TABLE,
};

static const struct field dns_fields[] = {
    {KEY("policy", "`ClusterFirst`, `Default`, `None` or `ClusterFirstWithHostNet`", STRING),
     .default_text = "`ClusterFirst`"},
    {KEY("nameservers", "addresses of servers", STRINGS)},
    {KEY("searches", "domains in which names are looked for", STRINGS)},
    {KEY("options", "list of `{name, value}`, as Kubernetes has it", JSON_LIST)},
};

const struct table pod_dns_table = {
    .name = "dns",
    .help = "How names are looked up: the `dnsPolicy` and `dnsConfig` of a pod.",
    ROWS(dns_fields),
    JSON_TABLE,
};

static const struct field workspace_fields[] = {
    {KEY("pvc", "name of a PersistentVolumeClaim that is there", STRING)},
    {KEY("size", "of a PersistentVolumeClaim that is made for the job, as in `10Gi`", STRING),
     .check = check_quantity},
    {KEY("storage_class", "with `size`: its StorageClass", STRING),
     .default_text = "that of the cluster"},
};

static const char *const workspace_sources[] = {"pvc", "size", NULL};

const struct table pod_workspace_table = {
    .name = "workspace",
    .help = "What the files of the job are kept on: one of `pvc` and `size`.",
    ROWS(workspace_fields),
    .one_of = workspace_sources,
    .check = check_workspace,
    JSON_TABLE,
};

#define LIST_OF(rows)                                                                              \
    .kind = FIELD_OBJECTS, .flags = FIELD_EXTENSION | FIELD_EMPTY, .table = &(rows)

static const struct field pod_fields[] = {
    {KEY("namespace", "namespace of the pod", STRING),
     .default_text = "that of the engine's address, or of the context"},
    {KEY("service_account", "ServiceAccount that it runs as", STRING)},
    {KEY("node_selector", "labels that the node must have", PAIRS)},
    {KEY("tolerations", "as Kubernetes has them", JSON_LIST)},
    {KEY("affinity", "as Kubernetes has it", JSON_MAP)},
    {KEY("runtime_class", "RuntimeClass of its containers", STRING)},
    {KEY("priority_class", "PriorityClass", STRING)},
    {KEY("image_pull_secrets", "names of Secrets with credentials of registries", STRINGS)},
    {KEY("resources", "of each container for steps that does not say otherwise, see below", OBJECT),
     .table = &pod_quantities_table},
    {KEY("labels", "further labels of the pod", PAIRS)},
    {KEY("annotations", "further annotations of the pod", PAIRS)},
    {KEY("security_context", "of the pod, as Kubernetes has it", JSON_MAP)},
    {"host_aliases", "further lines of `/etc/hosts`, see below", LIST_OF(pod_host_alias_table)},
    {KEY("dns", "how names are looked up, see below", OBJECT), .table = &pod_dns_table},
    {"volumes", "mounted in all its containers, see below", LIST_OF(pod_volume_table)},
    {KEY("workspace", "what the files of the job are kept on, see below", OBJECT),
     .table = &pod_workspace_table, .default_text = "an empty directory of the node"},
    {KEY("pod_patch",
         "applied to the pod last: a map is a strategic merge patch, a list a JSON Patch", JSON)},
};

const struct table pod_table = {
    .name = "kubernetes",
    .help =
        "The pod that a job becomes on the engine `kubernetes`; other engines take no notice. A "
        "lower level inherits every key that it does not give itself; `labels`, `annotations` "
        "and `node_selector` are merged. Strings are interpolated, keys are not, and what was "
        "interpolated stays a string. Names from the runner's own environment are not found "
        "here. `namespace` and other strings of this map that come to nothing count as not "
        "given.",
    ROWS(pod_fields),
    JSON_TABLE,
};

static const struct field pod_container_fields[] = {
    {KEY("resources", "see below", OBJECT), .table = &pod_quantities_table,
     .default_text = "for a step: those of the pod"},
    {KEY("security_context", "of the container, as Kubernetes has it", JSON_MAP)},
    {"volumes", "mounted in this container only, see below", LIST_OF(pod_volume_table)},
};

const struct table pod_container_table = {
    .name = "kubernetes of a container",
    .help =
        "The container that a step or service becomes in the pod of its job. What is of the pod "
        "stands on the job, or above.",
    ROWS(pod_container_fields),
    JSON_TABLE,
    .elsewhere = &pod_table,
    .elsewhere_hint = "is of the whole pod; write it in \"kubernetes\" of the job or the pipeline",
};
