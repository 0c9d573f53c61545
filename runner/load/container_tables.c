/* What a container is like: its limits, its rights, and what runs in it as a service. */
#include "load/pipeline_tables.h"

#include "load/rows.h"
#include "spec/spec.h"

const struct enum_name pull_names[] = {{"if-not-present", SPEC_PULL_IF_NOT_PRESENT},
                                       {"always", SPEC_PULL_ALWAYS},
                                       {"never", SPEC_PULL_NEVER},
                                       {0}};

static const struct field resource_fields[] = {
    {"cpus", "CPUs, such as `1.5`", .kind = FIELD_MILLI, EXTENSION,
     IN(struct spec_resources, cpus_milli)},
    {"memory", "memory limit", .kind = FIELD_SIZE, EXTENSION,
     IN(struct spec_resources, memory_bytes)},
    {"pids", "most processes at a time", .kind = FIELD_COUNT, EXTENSION,
     IN(struct spec_resources, pids)},
    {"shm", "size of `/dev/shm`", .kind = FIELD_SIZE, EXTENSION,
     IN(struct spec_resources, shm_bytes)},
    {"disk", "size of the container's writable layer", .kind = FIELD_SIZE, EXTENSION,
     IN(struct spec_resources, disk_bytes)},
};

static void init_resources(void *object)
{
    spec_resources_init(object);
}

const struct table resources_table = {
    .name = "resources",
    .help = "Limits of what a step may use.",
    ROWS(resource_fields),
    .size = sizeof(struct spec_resources),
    .pos_offset = offsetof(struct spec_resources, pos),
    .init = init_resources,
};

#define SECURITY(member) EXTENSION, IN(struct spec_security, member)

static const struct field security_fields[] = {
    {"read_only", "mount the container's root read-only", .kind = FIELD_BOOL, SECURITY(read_only)},
    {"cap_add", "capabilities to add", .kind = FIELD_STRINGS, SECURITY(cap_add)},
    {"cap_drop", "capabilities to drop", .kind = FIELD_STRINGS, SECURITY(cap_drop)},
    {"no_new_privileges", "no rights through setuid programs", .kind = FIELD_BOOL,
     SECURITY(no_new_privileges)},
    {"userns", "user namespace mode", .kind = FIELD_STRING, SECURITY(userns)},
    {"seccomp", "seccomp profile: a file or `unconfined`", .kind = FIELD_STRING, SECURITY(seccomp)},
};

const struct table security_table = {
    .name = "security",
    .help = "What a container may do.",
    ROWS(security_fields),
    .size = sizeof(struct spec_security),
    .pos_offset = offsetof(struct spec_security, pos),
};

#define CONTAINER(member) EXTENSION, IN(struct spec_container, member)

static const struct field container_fields[] = {
    {"platform", "platform of the image, such as `linux/arm64`", .kind = FIELD_STRING,
     CONTAINER(platform)},
    {"volumes", "mounts `SOURCE:/TARGET[:ro]`", .kind = FIELD_STRINGS, CONTAINER(volumes),
     .check = check_volume},
    {"network", "network mode or name of a network", .kind = FIELD_STRING, CONTAINER(network)},
    {"entrypoint", "replaces the image's entrypoint; `[]` drops it", .kind = FIELD_STRINGS,
     CONTAINER(entrypoint), .given_offset = offsetof(struct spec_container, has_entrypoint),
     .check = check_entrypoint},
    {"privileged", "all rights on the host", .kind = FIELD_BOOL, CONTAINER(privileged),
     .default_text = "`false`"},
    {"sandbox", "the strict preset of `security` and `resources`", .kind = FIELD_BOOL,
     CONTAINER(sandbox), .default_text = "`false`"},
    {"security", "see below", .kind = FIELD_OBJECT, CONTAINER(security), .table = &security_table},
    {"pull_timeout", "how long the step waits for its image", .kind = FIELD_DURATION,
     CONTAINER(pull_timeout_ms), .default_text = "that of the step"},
    {"kubernetes", "the container in the pod of its job, see below", .kind = FIELD_OBJECT,
     CONTAINER(kubernetes), .table = &pod_container_table},
};

static void init_container(void *object)
{
    spec_container_init(object);
}

const struct table container_table = {
    .name = "step in a container",
    .help = "Keys of a step that shape its container.",
    ROWS(container_fields),
    .size = sizeof(struct spec_container),
    .pos_offset = -1,
    .init = init_container,
};

#define READY(member) EXTENSION, IN(struct spec_ready, member)

static const struct field ready_fields[] = {
    {"tcp", "`PORT` or `HOST:PORT`: something accepts connections there", .kind = FIELD_STRING,
     READY(tcp), .check = check_ready_tcp},
    {"http", "URL that a GET answers with a status of 200 to 399", .kind = FIELD_STRING,
     READY(http), .check = check_ready_http},
    {"command", "script that ends with 0, run where the step or service runs", .kind = FIELD_SCRIPT,
     READY(command)},
    {"log", "regular expression that a line of the output matches", .kind = FIELD_STRING,
     READY(log), .check = check_ready_log},
    {"timeout", "how long after its start it has to be ready", .kind = FIELD_DURATION,
     READY(timeout_ms), .default_text = "`60s`"},
    {"interval", "longest pause between two looks; the first ones come faster",
     .kind = FIELD_DURATION, READY(interval_ms), .default_text = "`1s`"},
};

static void init_ready(void *object)
{
    spec_ready_init(object);
}

const struct table ready_table = {
    .name = "ready",
    .help = "How to tell that a step in the background, or a service, is ready: all that is given "
            "must hold.",
    ROWS(ready_fields),
    .size = sizeof(struct spec_ready),
    .pos_offset = offsetof(struct spec_ready, pos),
    .init = init_ready,
    .check = check_ready,
};

#define SERVICE(member)       EXTENSION, IN(struct spec_service, member)
#define SERVICE_SHAPE(member) SERVICE(container.member)

static const struct field service_fields[] = {
    {"image", "container image", .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_EXTENSION,
     IN(struct spec_service, image)},
    {"environment", "its variables, and no others", .kind = FIELD_PAIRS, SERVICE(environment)},
    {"command", "arguments in place of those of the image", .kind = FIELD_STRINGS, SERVICE(command),
     .check = check_entrypoint},
    {"entrypoint", "replaces the image's entrypoint; `[]` drops it", .kind = FIELD_STRINGS,
     SERVICE_SHAPE(entrypoint),
     .given_offset = offsetof(struct spec_service, container.has_entrypoint),
     .check = check_entrypoint},
    {"ports", "ports for steps on the host: `PORT` or `HOST_PORT:PORT`, and `/udp` if it is that",
     .kind = FIELD_STRINGS, SERVICE(ports), .check = check_port},
    {"ready", "when it is ready, see below", .kind = FIELD_OBJECT, SERVICE(ready),
     .table = &ready_table,
     .default_text = "the health check of the image, else all TCP ports that it exposes"},
    {"resources", "limits, see below", .kind = FIELD_OBJECT, SERVICE(resources),
     .table = &resources_table},
    {"user", "user to run as", .kind = FIELD_STRING, SERVICE(user), .default_text = "the image's"},
    {"workdir", "working directory", .kind = FIELD_STRING, SERVICE(workdir),
     .default_text = "the image's"},
    {"volumes", "mounts `SOURCE:/TARGET[:ro]`", .kind = FIELD_STRINGS, SERVICE_SHAPE(volumes),
     .check = check_volume},
    {"platform", "platform of the image, such as `linux/arm64`", .kind = FIELD_STRING,
     SERVICE_SHAPE(platform)},
    {"privileged", "all rights on the host", .kind = FIELD_BOOL, SERVICE_SHAPE(privileged),
     .default_text = "`false`"},
    {"security", "see below", .kind = FIELD_OBJECT, SERVICE_SHAPE(security),
     .table = &security_table},
    {"pull", "when to pull the image, as on every level", .kind = FIELD_ENUMS, EXTENSION,
     COUNTED(struct spec_service, pull, pull_count), .names = pull_names,
     .default_text = "that of its level"},
    {"image_registry", "registry that the user name and password are for; no other gets them",
     .kind = FIELD_STRING, SERVICE(image_registry), .default_text = "that of its level"},
    {"image_registry_username", "user name at the registry", .kind = FIELD_STRING,
     SERVICE(image_registry_username), .default_text = "that of its level"},
    {"image_registry_password", "password at the registry", .kind = FIELD_STRING,
     SERVICE(image_registry_password), .default_text = "that of its level"},
    {"grace", "time between SIGTERM and SIGKILL at its end", .kind = FIELD_DURATION,
     IN(struct spec_service, grace_ms), .flags = FIELD_EXTENSION | FIELD_ZERO,
     .default_text = "that of its level"},
    {"kubernetes", "the container in the pod of its job, see below", .kind = FIELD_OBJECT,
     SERVICE_SHAPE(kubernetes), .table = &pod_container_table},
};

static void init_service(void *object)
{
    spec_service_init(object);
}

const struct table service_table = {
    .name = "container",
    .help =
        "A container that lives as long as the pipeline or job that it stands on. The containers "
        "of its steps reach it by its name.",
    ROWS(service_fields),
    .size = sizeof(struct spec_service),
    .name_offset = offsetof(struct spec_service, name),
    .check = check_service,
    .pos_offset = offsetof(struct spec_service, pos),
    .init = init_service,
};
