#include "load/pipeline_tables.h"

#include "spec/spec.h"

#define ROWS(array) .fields = array, .field_count = sizeof(array) / sizeof(*(array))
/* The member of a row. */
#define IN(type, member)             .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define COUNTED(type, member, count) IN(type, member), .count_offset = offsetof(type, count)
#define EXTENSION                    .flags = FIELD_EXTENSION
#define REQUIRED                     .flags = FIELD_REQUIRED
/* A key that is known and refused until it is built. */
#define PLANNED(key, text)                                                                         \
    {                                                                                              \
        key, text, .kind = FIELD_PLANNED, .flags = FIELD_EXTENSION                                 \
    }
/* A key that go-idp files carry and that means nothing. */
#define IGNORED(key)                                                                               \
    {                                                                                              \
        key, "accepted for go-idp files, means nothing", .kind = FIELD_IGNORED                     \
    }

static const struct enum_name run_modes[] = {{"parallel", SPEC_RUN_MODE_PARALLEL},
                                             {"serial", SPEC_RUN_MODE_SERIAL},
                                             {0}};
static const struct enum_name isolations[] = {{"step", SPEC_ISOLATION_STEP},
                                              {"job", SPEC_ISOLATION_JOB},
                                              {0}};
static const struct enum_name pulls[] = {{"if-not-present", SPEC_PULL_IF_NOT_PRESENT},
                                         {"always", SPEC_PULL_ALWAYS},
                                         {"never", SPEC_PULL_NEVER},
                                         {0}};
static const struct enum_name checkouts[] = {{"workdir", SPEC_CHECKOUT_WORKDIR},
                                             {"none", SPEC_CHECKOUT_NONE},
                                             {0}};
static const struct enum_name shell_options[] = {{"strict", SPEC_SHELL_OPTIONS_STRICT}, {0}};

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

static const struct table resources_table = {
    .name = "resources",
    .help = "Limits of what a step may use.",
    ROWS(resource_fields),
    .size = sizeof(struct spec_resources),
    .pos_offset = offsetof(struct spec_resources, pos),
    .init = init_resources,
};

#define COMMON(member) IN(struct spec_common, member)

static const struct field common_fields[] = {
    {"environment", "variables; merged with those of the levels above, the lower level wins",
     .kind = FIELD_PAIRS, COMMON(environment)},
    {"workdir", "working directory, created if missing", .kind = FIELD_STRING, COMMON(workdir),
     .default_text = "the current directory"},
    {"image", "container image; makes `docker` the engine", .kind = FIELD_STRING, COMMON(image)},
    {"engine", "where steps run: `host` or `docker`", .kind = FIELD_STRING, COMMON(engine),
     .check = check_engine, .default_text = "`host`, or `docker` with `image`"},
    {"shell", "shell that runs `command`: a name or a path", .kind = FIELD_STRING, COMMON(shell),
     .default_text = "`sh`"},
    {"timeout", "time limit; the tightest of all levels counts", .kind = FIELD_DURATION,
     COMMON(timeout_ms), .default_text = "1 day for the pipeline"},
    {"grace", "time between SIGTERM and SIGKILL when a step is stopped", .kind = FIELD_DURATION,
     COMMON(grace_ms), .flags = FIELD_EXTENSION | FIELD_ZERO, .default_text = "`10s`"},
    {"image_registry", "registry that the image comes from", .kind = FIELD_STRING,
     COMMON(image_registry)},
    {"image_registry_username", "user name at the registry", .kind = FIELD_STRING,
     COMMON(image_registry_username)},
    {"image_registry_password", "password at the registry", .kind = FIELD_STRING,
     COMMON(image_registry_password)},
    {"pull",
     "when to pull the image: `if-not-present`, `always`, `never`, or a list tried in order",
     .kind = FIELD_ENUMS, EXTENSION, COUNTED(struct spec_common, pull, pull_count), .names = pulls,
     .default_text = "`if-not-present`"},
    {"user", "user to run as: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`", .kind = FIELD_STRING,
     EXTENSION, COMMON(user)},
    {"resources", "limits, see below", .kind = FIELD_OBJECT, EXTENSION, COMMON(resources),
     .table = &resources_table},
    {"isolation", "`step`: a fresh container for each step; `job`: steps of a job share one",
     .kind = FIELD_ENUM, EXTENSION, COMMON(isolation), .names = isolations,
     .default_text = "`step`"},
    {"data_dir_outer", "a further directory to mount: on the host", .kind = FIELD_STRING,
     COMMON(data_dir_outer)},
    {"data_dir_inner", "a further directory to mount: in the container", .kind = FIELD_STRING,
     COMMON(data_dir_inner)},
    {"checkout",
     "`workdir`: steps work in the pipeline's `workdir`, or a copy of it; `none`: in an empty "
     "directory of the job's own, removed with it",
     .kind = FIELD_ENUM, EXTENSION, COMMON(checkout), .names = checkouts,
     .default_text = "`workdir`"},
    IGNORED("state"),
};

static void init_common(void *object)
{
    spec_common_init(object);
}

static const struct table common_table = {
    .name = "every level",
    .help = "These keys may be given on the pipeline, a stage, a job or a step. A lower level "
            "inherits them; what it says itself wins.",
    ROWS(common_fields),
    .size = sizeof(struct spec_common),
    .pos_offset = -1,
    .init = init_common,
};

static const struct enum_name plugin_apis[] = {{"1", SPEC_PLUGIN_API_1}, {0}};

static const struct field plugin_fields[] = {
    {"image", "the plugin's image, such as `name:1` or, pinned, `name@sha256:…`",
     .kind = FIELD_STRING, REQUIRED, IN(struct spec_plugin, image)},
    {"settings", "passed as `PIPELINE_PLUGIN_SETTINGS_<KEY>`; lists and maps as JSON",
     .kind = FIELD_PAIRS, .flags = FIELD_JSON_VALUES, IN(struct spec_plugin, settings)},
    {"entrypoint", "program in the image", .kind = FIELD_STRING, IN(struct spec_plugin, entrypoint),
     .default_text = "`/pipeline/plugin/run`"},
    {"image_registry", "registry that the image comes from", .kind = FIELD_STRING,
     IN(struct spec_plugin, image_registry)},
    {"image_registry_username", "user name at the registry", .kind = FIELD_STRING,
     IN(struct spec_plugin, image_registry_username)},
    {"image_registry_password", "password at the registry", .kind = FIELD_STRING,
     IN(struct spec_plugin, image_registry_password)},
    {"inherit_environment", "pass the step's environment to the plugin", .kind = FIELD_BOOL,
     EXTENSION, IN(struct spec_plugin, inherit_environment), .default_text = "`false`"},
    {"api", "version of the interface that the plugin was made for", .kind = FIELD_ENUM, EXTENSION,
     IN(struct spec_plugin, api), .names = plugin_apis, .default_text = "`1`"},
};

static const struct table plugin_table = {
    .name = "plugin",
    .help = "A step that runs a plugin image instead of a command.",
    ROWS(plugin_fields),
    .size = sizeof(struct spec_plugin),
    .pos_offset = offsetof(struct spec_plugin, pos),
};

static const struct field language_fields[] = {
    {"name", "`node`, `python`, `go`, `ruby` …", .kind = FIELD_STRING, REQUIRED,
     IN(struct spec_language, name)},
    {"version", "version of the language, a tag of its image", .kind = FIELD_STRING,
     IN(struct spec_language, version)},
    {"image", "image to use in place of the language's own", .kind = FIELD_STRING, EXTENSION,
     IN(struct spec_language, image)},
};

static const struct table language_table = {
    .name = "language",
    .help = "A step whose `command` is a program of that language.",
    ROWS(language_fields),
    .size = sizeof(struct spec_language),
    .pos_offset = offsetof(struct spec_language, pos),
};

static const struct enum_name conditions[] = {{"succeeded", SPEC_CONDITION_SUCCEEDED},
                                              {"failed", SPEC_CONDITION_FAILED},
                                              {"completed", SPEC_CONDITION_COMPLETED},
                                              {0}};
static const struct enum_name backoffs[] = {{"constant", SPEC_BACKOFF_CONSTANT},
                                            {"linear", SPEC_BACKOFF_LINEAR},
                                            {"exponential", SPEC_BACKOFF_EXPONENTIAL},
                                            {0}};

#define DEPENDENCY(member) EXTENSION, IN(struct spec_dependency, member)

static const struct field dependency_fields[] = {
    {"step", "id or name of a step of the job", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"job", "name of a job of the stage", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"stage", "name of a stage", .kind = FIELD_STRING, DEPENDENCY(name)},
    {"condition", "how that must have ended", .kind = FIELD_ENUM, DEPENDENCY(condition),
     .names = conditions, .default_text = "`succeeded`"},
};

static const struct table dependency_table = {
    .name = "dependency",
    .help = "What has to end before a stage, job or step starts, and how. A plain string is its "
            "name.",
    ROWS(dependency_fields),
    .size = sizeof(struct spec_dependency),
    .pos_offset = offsetof(struct spec_dependency, pos),
    .check = check_dependency,
    .short_form = &dependency_fields[0],
};

#define WHEN(member) EXTENSION, IN(struct spec_when, member)

static const struct field when_fields[] = {
    {"env", "variables and the globs that their values match", .kind = FIELD_MATCHES, WHEN(env)},
    {"exists", "globs of files in the workdir, one of which exists", .kind = FIELD_STRINGS,
     WHEN(exists), .check = check_glob},
    {"changed", "globs of files, one of which differs from the commit before",
     .kind = FIELD_STRINGS, WHEN(changed), .check = check_glob},
    {"branch", "globs of the branch", .kind = FIELD_STRINGS, WHEN(branch), .check = check_glob},
    {"event", "globs of the event that started the run, such as `push` or `manual`",
     .kind = FIELD_STRINGS, WHEN(event), .check = check_glob},
    {"status", "`success`, `failure` or both: how all before it went", .kind = FIELD_STRINGS,
     WHEN(status), .check = check_status},
    {"expr", "an expression, as in `if`", .kind = FIELD_EXPRESSION, WHEN(expr)},
};

static const struct table when_table = {
    .name = "when",
    .help = "Conditions, all of which must hold; otherwise it is skipped.",
    ROWS(when_fields),
    .size = sizeof(struct spec_when),
    .pos_offset = offsetof(struct spec_when, pos),
};

#define FLOW(member) EXTENSION, IN(struct spec_flow, member)

static const struct field flow_fields[] = {
    {"if", "expression; when it is false, it is skipped", .kind = FIELD_EXPRESSION, FLOW(condition),
     .default_text = "`success()`"},
    {"when", "conditions, see below", .kind = FIELD_OBJECT, FLOW(when), .table = &when_table},
    {"depends_on",
     "what has to end first; replaces the order of the file at this level; `[]`: nothing",
     .kind = FIELD_OBJECTS, .flags = FIELD_EXTENSION | FIELD_ONE | FIELD_EMPTY,
     .given_offset = offsetof(struct spec_flow, has_depends_on),
     COUNTED(struct spec_flow, depends_on, depends_on_count), .table = &dependency_table},
    {"allow_failure", "failures that do not count: all, or those exit codes",
     .kind = FIELD_FAILURES, FLOW(allow_failure), .default_text = "`false`"},
};

static const struct table flow_table = {
    .name = "order and conditions",
    .help = "These keys may be given on a stage, a job or a step. They are not inherited.",
    ROWS(flow_fields),
    .size = sizeof(struct spec_flow),
    .pos_offset = -1,
};

#define RETRY(member) EXTENSION, IN(struct spec_retry, member)

static const struct field retry_fields[] = {
    {"attempts", "how often it is tried at most, the first time included", .kind = FIELD_COUNT,
     RETRY(attempts), .default_text = "`2`"},
    {"delay", "pause before the second attempt", .kind = FIELD_DURATION, RETRY(delay_ms),
     .default_text = "none"},
    {"backoff", "how the pause grows from attempt to attempt", .kind = FIELD_ENUM, RETRY(backoff),
     .names = backoffs, .default_text = "`constant`"},
    {"max_delay", "longest pause", .kind = FIELD_DURATION, RETRY(max_delay_ms),
     .default_text = "`5m`"},
    {"jitter", "shorten each pause by a random part of up to a half", .kind = FIELD_BOOL,
     RETRY(jitter), .default_text = "`false`"},
    {"on", "only after these: exit codes, `timeout`, `lost`, `oom`, `image_pull`, `engine`",
     .kind = FIELD_STRINGS, RETRY(on), .check = check_retry_cause, .default_text = "every failure"},
    {"not_on", "not after these", .kind = FIELD_STRINGS, RETRY(not_on), .check = check_retry_cause},
};

static const struct field retry_again = {"retry", "further attempts", .kind = FIELD_COUNT,
                                         RETRY(again)};

static void init_retry(void *object)
{
    spec_retry_init(object);
}

static const struct table retry_table = {
    .name = "retry",
    .help =
        "A failed attempt is repeated. A plain number says how often it is tried again. What was "
        "cancelled is never tried again, and no attempt goes on beyond the limits of the levels "
        "above.",
    ROWS(retry_fields),
    .size = sizeof(struct spec_retry),
    .pos_offset = offsetof(struct spec_retry, pos),
    .init = init_retry,
    .short_form = &retry_again,
};

#define MATRIX(member) EXTENSION, IN(struct spec_matrix, member)

static const struct field matrix_axis = {"axis", "values of a further axis", .kind = FIELD_MATCHES,
                                         MATRIX(axes)};

static const struct field matrix_fields[] = {
    {"include", "further combinations, or further keys of those that match",
     .kind = FIELD_PAIRS_LIST, EXTENSION, COUNTED(struct spec_matrix, include, include_count)},
    {"exclude", "combinations to leave out", .kind = FIELD_PAIRS_LIST, EXTENSION,
     COUNTED(struct spec_matrix, exclude, exclude_count)},
    {"max_parallel", "most of its jobs at a time", .kind = FIELD_COUNT, MATRIX(max_parallel)},
    {"fail_fast", "the first of its jobs that fails cancels the others of it", .kind = FIELD_BOOL,
     MATRIX(fail_fast), .default_text = "that of the stage"},
};

static void init_matrix(void *object)
{
    spec_matrix_init(object);
}

static const struct table matrix_table = {
    .name = "matrix",
    .help = "The job runs once for each combination of the axes' values, found as `matrix.NAME` in "
            "expressions. Every key that is not listed here is the name of an axis, with a list of "
            "values.",
    ROWS(matrix_fields),
    .size = sizeof(struct spec_matrix),
    .pos_offset = offsetof(struct spec_matrix, pos),
    .init = init_matrix,
    .check = check_matrix,
    .others = &matrix_axis,
};

static const struct enum_name cache_policies[] = {{"pull-push", SPEC_CACHE_PULL_PUSH},
                                                  {"pull", SPEC_CACHE_PULL},
                                                  {"push", SPEC_CACHE_PUSH},
                                                  {0}};
static const struct enum_name outcomes[] = {{"on_success", SPEC_ON_SUCCESS},
                                            {"on_failure", SPEC_ON_FAILURE},
                                            {"always", SPEC_ALWAYS},
                                            {0}};

#define CACHE(member) IN(struct spec_cache, member)

static const struct field cache_fields[] = {
    {"key", "what the content depends on, such as `deps-{{ hashFiles('go.sum') }}`",
     .kind = FIELD_STRING, .flags = FIELD_REQUIRED | FIELD_EXTENSION, CACHE(key)},
    {"paths", "globs of files and directories in the workdir", .kind = FIELD_STRINGS,
     .flags = FIELD_REQUIRED | FIELD_EXTENSION, CACHE(paths), .check = check_glob},
    {"restore_keys",
     "beginnings of other keys to restore from when there is nothing for `key`; of several entries "
     "the newest",
     .kind = FIELD_STRINGS, EXTENSION, CACHE(restore_keys)},
    {"policy", "`pull`: only restore; `push`: only save", .kind = FIELD_ENUM, EXTENSION,
     CACHE(policy), .names = cache_policies, .default_text = "`pull-push`"},
    {"when", "after which end it is saved", .kind = FIELD_ENUM, EXTENSION, CACHE(when),
     .names = outcomes, .default_text = "`on_success`"},
    {"store", "where it is kept: `local`, or `s3://BUCKET/PREFIX`", .kind = FIELD_STRING, EXTENSION,
     CACHE(store), .check = check_store, .default_text = "`local`"},
};

static const struct table cache_table = {
    .name = "cache",
    .help = "Files that are kept from run to run: restored before the first step of the job, or "
            "before the step, and saved at its end unless there is an entry for the key already. A "
            "cache that cannot be restored or saved is no failure. See docs/cache.md.",
    ROWS(cache_fields),
    .size = sizeof(struct spec_cache),
    .pos_offset = offsetof(struct spec_cache, pos),
    .check = check_cache,
};

#define POST(member) EXTENSION, IN(struct spec_post, member)

static const struct field post_fields[] = {
    {"always", "runs whatever happened", .kind = FIELD_SCRIPT, POST(always)},
    {"success", "runs after success", .kind = FIELD_SCRIPT, POST(success)},
    {"failure", "runs after failure or timeout", .kind = FIELD_SCRIPT, POST(failure)},
    {"cancelled", "runs after a cancel", .kind = FIELD_SCRIPT, POST(cancelled)},
};

static const struct table post_table = {
    .name = "post",
    .help = "Scripts for the end of the pipeline, a stage or a job. A plain string is the same as "
            "`always`.",
    ROWS(post_fields),
    .size = sizeof(struct spec_post),
    .pos_offset = offsetof(struct spec_post, pos),
    .short_form = &post_fields[0],
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

static const struct table security_table = {
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
};

static void init_container(void *object)
{
    spec_container_init(object);
}

static const struct table container_table = {
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

static const struct table ready_table = {
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
#define SERVICES(type)        EXTENSION, COUNTED(struct type, services.items, services.len)

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
     COUNTED(struct spec_service, pull, pull_count), .names = pulls,
     .default_text = "that of its level"},
    {"image_registry", "registry that the image comes from", .kind = FIELD_STRING,
     SERVICE(image_registry), .default_text = "that of its level"},
    {"image_registry_username", "user name at the registry", .kind = FIELD_STRING,
     SERVICE(image_registry_username), .default_text = "that of its level"},
    {"image_registry_password", "password at the registry", .kind = FIELD_STRING,
     SERVICE(image_registry_password), .default_text = "that of its level"},
    {"grace", "time between SIGTERM and SIGKILL at its end", .kind = FIELD_DURATION,
     IN(struct spec_service, grace_ms), .flags = FIELD_EXTENSION | FIELD_ZERO,
     .default_text = "that of its level"},
};

static void init_service(void *object)
{
    spec_service_init(object);
}

static const struct table service_table = {
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

#define ARTIFACT(member) EXTENSION, IN(struct spec_artifact, member)

static const struct field artifact_fields[] = {
    {"paths",
     "globs of the files to keep, relative to the pipeline's workdir; a directory means "
     "all that is below it",
     .kind = FIELD_STRINGS, ARTIFACT(paths), .check = check_glob},
    {"exclude", "globs of files to leave out", .kind = FIELD_STRINGS, ARTIFACT(exclude),
     .check = check_glob},
    {"name", "what they are called together; with `from`: only those of that name",
     .kind = FIELD_STRING, ARTIFACT(name), .default_text = "`artifacts`, or the id of the step"},
    {"when", "after which end they are kept", .kind = FIELD_ENUM, ARTIFACT(when), .names = outcomes,
     .default_text = "`on_success`"},
    {"expire_in", "how long they are kept, or `never`", .kind = FIELD_STRING, ARTIFACT(expire_in),
     .check = check_expiry, .default_text = "`30 days`"},
    {"optional", "that there are none, or that they cannot be kept, is no failure",
     .kind = FIELD_BOOL, ARTIFACT(optional), .default_text = "`false`"},
    {"store", "where they are kept: `local`, or `s3://BUCKET/PREFIX`", .kind = FIELD_STRING,
     ARTIFACT(store), .check = check_store, .default_text = "`local`"},
    {"from",
     "names of jobs that have ended before: their files come into the workdir before the "
     "first step",
     .kind = FIELD_STRINGS, ARTIFACT(from)},
};

static const struct table artifact_table = {
    .name = "set of artifacts",
    .help = "Files that are kept after the run, and files that other jobs have kept. One map, or a "
            "list of them. A job may have both kinds, a step only keeps.",
    ROWS(artifact_fields),
    .size = sizeof(struct spec_artifact),
    .pos_offset = offsetof(struct spec_artifact, pos),
    .check = check_artifact,
};

static const struct field step_fields[] = {
    {"name", "shown in messages", .kind = FIELD_STRING, REQUIRED, IN(struct spec_step, name)},
    {"command", "script for the shell; a list is joined with newlines", .kind = FIELD_SCRIPT,
     IN(struct spec_step, command)},
    {"id", "what other steps call it; must be unique in the job", .kind = FIELD_NAME, EXTENSION,
     IN(struct spec_step, id), .default_text = "made from the name"},
    {"shell_options", "`strict`: stop at the first command that fails", .kind = FIELD_ENUM,
     EXTENSION, IN(struct spec_step, shell_options), .names = shell_options},
    {"tty",
     "standard output and error are one terminal of 80 columns, so that programs print as for "
     "people; there is still nothing to read",
     .kind = FIELD_BOOL, EXTENSION, IN(struct spec_step, tty), .default_text = "`false`"},
    {"plugin", "see below", .kind = FIELD_OBJECT, IN(struct spec_step, plugin),
     .table = &plugin_table},
    {"language", "see below", .kind = FIELD_OBJECT, IN(struct spec_step, language),
     .table = &language_table},
    {"service", "a deployment to converge", .kind = FIELD_PLANNED},
    {"retry", "attempts, see below", .kind = FIELD_OBJECT, EXTENSION, IN(struct spec_step, retry),
     .table = &retry_table},
    PLANNED("type", "atomic step type"),
    PLANNED("config", "settings of the step type"),
    {"background", "go on as soon as it has started, or is `ready`; it ends with the job",
     .kind = FIELD_BOOL, EXTENSION, IN(struct spec_step, background), .default_text = "`false`"},
    {"ready", "of a step in the background, see below", .kind = FIELD_OBJECT, EXTENSION,
     IN(struct spec_step, ready), .table = &ready_table},
    {"cache", "files kept between runs, or a list of such, see below", .kind = FIELD_OBJECTS,
     .flags = FIELD_EXTENSION | FIELD_ONE, COUNTED(struct spec_step, caches, cache_count),
     .table = &cache_table},
    {"artifacts", "files kept after the run, see below", .kind = FIELD_OBJECTS,
     .flags = FIELD_EXTENSION | FIELD_ONE,
     COUNTED(struct spec_step, artifacts.items, artifacts.len), .table = &artifact_table},
    PLANNED("schedule_timeout", "time limit until the step starts"),
    PLANNED("kubernetes", "shape of the pod"),
};

static const struct table_part step_parts[] = {
    {&common_table, offsetof(struct spec_step, common), false},
    {&flow_table, offsetof(struct spec_step, flow), true},
    {&container_table, offsetof(struct spec_step, container), true},
    {0},
};

const struct table step_table = {
    .name = "step",
    .help = "One command, plugin or program.",
    ROWS(step_fields),
    .parts = step_parts,
    .size = sizeof(struct spec_step),
    .pos_offset = offsetof(struct spec_step, pos),
    .check = check_step,
};

static const struct field concurrency_fields[] = {
    {"group", "its name; of one name one at a time", .kind = FIELD_STRING,
     .flags = FIELD_REQUIRED | FIELD_EXTENSION, IN(struct spec_concurrency, group)},
    {"cancel_in_progress", "end the runs that are before it, with SIGTERM, instead of waiting",
     .kind = FIELD_BOOL, EXTENSION, IN(struct spec_concurrency, cancel_in_progress),
     .default_text = "`false`"},
};

static const struct table concurrency_table = {
    .name = "concurrency",
    .help = "Runs, or jobs, of one group exclude each other on this machine, for one user, in the "
            "order in which they come. A plain string is the group. The wait does not count for "
            "a `timeout` of its own level. Jobs of one run only wait for each other.",
    ROWS(concurrency_fields),
    .size = sizeof(struct spec_concurrency),
    .pos_offset = offsetof(struct spec_concurrency, pos),
    .short_form = &concurrency_fields[0],
};

static const struct field job_fields[] = {
    {"name", "shown in messages", .kind = FIELD_STRING, REQUIRED, IN(struct spec_job, name)},
    {"steps", "run one after the other", .kind = FIELD_OBJECTS, REQUIRED,
     COUNTED(struct spec_job, steps, step_count), .table = &step_table},
    {"retry", "attempts of the whole job, see below", .kind = FIELD_OBJECT, EXTENSION,
     IN(struct spec_job, retry), .table = &retry_table},
    {"matrix", "run once for each combination, see below", .kind = FIELD_OBJECT, EXTENSION,
     IN(struct spec_job, matrix), .table = &matrix_table},
    {"services", "containers beside the job, by their names, see below", .kind = FIELD_NAMED,
     SERVICES(spec_job), .table = &service_table, .check = check_service_name},
    PLANNED("run_on", "hosts to run on"),
    PLANNED("max_parallel", "most hosts at a time"),
    PLANNED("serial", "hosts in batches"),
    PLANNED("ignore_errors", "go on when a host fails"),
    PLANNED("max_failures", "hosts that may fail"),
    {"cache", "files kept between runs, or a list of such, see below", .kind = FIELD_OBJECTS,
     .flags = FIELD_EXTENSION | FIELD_ONE, COUNTED(struct spec_job, caches, cache_count),
     .table = &cache_table},
    {"artifacts", "files kept after the run, see below", .kind = FIELD_OBJECTS,
     .flags = FIELD_EXTENSION | FIELD_ONE, COUNTED(struct spec_job, artifacts.items, artifacts.len),
     .table = &artifact_table},
    {"concurrency", "jobs that exclude each other on this machine, see below", .kind = FIELD_OBJECT,
     EXTENSION, IN(struct spec_job, concurrency), .table = &concurrency_table},
    {"pre", "script that runs first in the job", .kind = FIELD_SCRIPT, EXTENSION,
     IN(struct spec_job, pre)},
    {"post", "script that runs last in the job, also after a failure; or a map, see below",
     .kind = FIELD_OBJECT, .flags = FIELD_EMBEDDED | FIELD_EXTENSION, IN(struct spec_job, post),
     .table = &post_table},
};

static const struct table_part job_parts[] = {{&common_table, offsetof(struct spec_job, common),
                                               false},
                                              {&flow_table, offsetof(struct spec_job, flow), true},
                                              {0}};

const struct table job_table = {
    .name = "job",
    .help = "Steps that share a place to run in.",
    ROWS(job_fields),
    .parts = job_parts,
    .size = sizeof(struct spec_job),
    .pos_offset = offsetof(struct spec_job, pos),
    .check = check_job,
};

static const struct field stage_fields[] = {
    {"name", "shown in messages", .kind = FIELD_STRING, REQUIRED, IN(struct spec_stage, name)},
    {"jobs", "run in parallel, or one after the other", .kind = FIELD_OBJECTS, REQUIRED,
     COUNTED(struct spec_stage, jobs, job_count), .table = &job_table},
    {"run_mode", "how the jobs of the stage run", .kind = FIELD_ENUM,
     IN(struct spec_stage, run_mode), .names = run_modes, .default_text = "`parallel`"},
    {"mode", "deprecated, write `run_mode`", .kind = FIELD_ENUM, IN(struct spec_stage, run_mode),
     .names = run_modes, .alias_of = "run_mode"},
    {"max_parallel", "most jobs at a time", .kind = FIELD_COUNT, EXTENSION,
     IN(struct spec_stage, max_parallel)},
    {"fail_fast", "the first job that fails cancels the others", .kind = FIELD_BOOL, EXTENSION,
     IN(struct spec_stage, fail_fast), .default_text = "`true`"},
    IGNORED("type"),
    IGNORED("title"),
    {"pre", "script that runs first in the stage", .kind = FIELD_SCRIPT, EXTENSION,
     IN(struct spec_stage, pre)},
    {"post", "script that runs last in the stage, also after a failure; or a map, see below",
     .kind = FIELD_OBJECT, .flags = FIELD_EMBEDDED | FIELD_EXTENSION, IN(struct spec_stage, post),
     .table = &post_table},
};

static const struct table_part stage_parts[] = {{&common_table, offsetof(struct spec_stage, common),
                                                 false},
                                                {&flow_table, offsetof(struct spec_stage, flow),
                                                 true},
                                                {0}};

static void init_stage(void *object)
{
    struct spec_stage *stage = object;

    stage->max_parallel = SPEC_UNSET;
}

const struct table stage_table = {
    .name = "stage",
    .help = "Jobs that belong together. Stages run in the order of the file.",
    ROWS(stage_fields),
    .parts = stage_parts,
    .size = sizeof(struct spec_stage),
    .pos_offset = offsetof(struct spec_stage, pos),
    .init = init_stage,
};

static const struct enum_name secret_sources[] = {
    {"env", SPEC_SECRET_FROM_ENV}, {"file", SPEC_SECRET_FROM_FILE}, {"vault", ENUM_PLANNED},
    {"aws", ENUM_PLANNED},         {"encrypted", ENUM_PLANNED},     {0}};

#define SECRET(member) EXTENSION, IN(struct spec_secret, member)

static const struct field secret_fields[] = {
    {"from", "where the value comes from", .kind = FIELD_ENUM, SECRET(from),
     .names = secret_sources, .default_text = "`env`"},
    {"variable", "with `env`: the variable of the runner's environment", .kind = FIELD_NAME,
     SECRET(variable), .default_text = "the secret's name"},
    {"path", "with `file`: the file, seen from the pipeline file's directory", .kind = FIELD_STRING,
     SECRET(path)},
};

static const struct table secret_table = {
    .name = "secret",
    .help = "A value that is masked wherever it would be seen. It becomes a variable of that name "
            "for all steps but plugins; see docs/secrets.md. A plain string is the same as `from`.",
    ROWS(secret_fields),
    .size = sizeof(struct spec_secret),
    .pos_offset = offsetof(struct spec_secret, pos),
    .name_offset = offsetof(struct spec_secret, name),
    .check = check_secret,
    .short_form = &secret_fields[0],
};

static const struct enum_name input_types[] = {{"string", SPEC_INPUT_STRING},
                                               {"number", SPEC_INPUT_NUMBER},
                                               {"boolean", SPEC_INPUT_BOOLEAN},
                                               {"choice", SPEC_INPUT_CHOICE},
                                               {0}};

#define INPUT(member) EXTENSION, IN(struct spec_input, member)

static const struct field input_fields[] = {
    {"type", "what it takes", .kind = FIELD_ENUM, INPUT(type), .names = input_types,
     .default_text = "`string`, or `choice` with `options`"},
    {"description", "what it is for", .kind = FIELD_TEXT, INPUT(description)},
    {"default", "its value when none is given; taken as it is", .kind = FIELD_TEXT, INPUT(preset)},
    {"required", "without a default a value must be given", .kind = FIELD_BOOL, INPUT(required),
     .default_text = "`false`"},
    {"options", "of a choice: the values that it may have", .kind = FIELD_STRINGS, INPUT(options)},
};

static const struct table input_table = {
    .name = "input",
    .help = "A parameter of the run, set by `--input NAME=VALUE` and found as `inputs.NAME` in "
            "expressions. A plain string is the same as `default`.",
    ROWS(input_fields),
    .size = sizeof(struct spec_input),
    .pos_offset = offsetof(struct spec_input, pos),
    .name_offset = offsetof(struct spec_input, name),
    .check = check_input,
    .short_form = &input_fields[2],
};

static const struct field pipeline_fields[] = {
    {"name", "shown in messages", .kind = FIELD_STRING, REQUIRED, IN(struct spec_pipeline, name)},
    {"stages", "run one after the other", .kind = FIELD_OBJECTS, REQUIRED,
     COUNTED(struct spec_pipeline, stages, stage_count), .table = &stage_table},
    {"finally", "stages that run at the end, whatever happened before", .kind = FIELD_OBJECTS,
     EXTENSION, COUNTED(struct spec_pipeline, finally, finally_count), .table = &stage_table},
    {"pre", "script that runs first, as stage `pre`", .kind = FIELD_SCRIPT,
     IN(struct spec_pipeline, pre)},
    {"post", "script that runs last, also after a failure; or a map, see below",
     .kind = FIELD_OBJECT, .flags = FIELD_EMBEDDED, IN(struct spec_pipeline, post),
     .table = &post_table},
    {"notifications", "messages about the run", .kind = FIELD_PLANNED},
    {"inputs", "parameters of the run: names and what they take, see below", .kind = FIELD_NAMED,
     EXTENSION, COUNTED(struct spec_pipeline, inputs, input_count), .table = &input_table},
    {"env_files",
     "dotenv files with further variables, seen from the pipeline file's directory; later files "
     "win, `environment` wins over all of them",
     .kind = FIELD_STRINGS, EXTENSION, IN(struct spec_pipeline, env_files)},
    {"secrets", "values that are masked: names and where they come from, see below",
     .kind = FIELD_NAMED, EXTENSION, COUNTED(struct spec_pipeline, secrets, secret_count),
     .table = &secret_table},
    PLANNED("hosts", "inventory"),
    PLANNED("hosts_file", "inventory file"),
    {"services", "containers beside all jobs, by their names, see below", .kind = FIELD_NAMED,
     SERVICES(spec_pipeline), .table = &service_table, .check = check_service_name},
    PLANNED("alerts", "when to raise an alarm"),
    PLANNED("triggers", "what starts a run"),
    {"concurrency", "runs that exclude each other on this machine, see below", .kind = FIELD_OBJECT,
     EXTENSION, IN(struct spec_pipeline, concurrency), .table = &concurrency_table},
};

static const struct table_part pipeline_parts[] = {{&common_table,
                                                    offsetof(struct spec_pipeline, common), false},
                                                   {0}};

const struct table pipeline_table = {
    .name = "pipeline",
    .help = "The file itself.",
    ROWS(pipeline_fields),
    .parts = pipeline_parts,
    .size = sizeof(struct spec_pipeline),
    .pos_offset = offsetof(struct spec_pipeline, pos),
};

const struct table *const pipeline_all_tables[] = {
    &pipeline_table, &stage_table,       &job_table,       &step_table,
    &flow_table,     &dependency_table,  &when_table,      &retry_table,
    &matrix_table,   &concurrency_table, &cache_table,     &artifact_table,
    &post_table,     &input_table,       &secret_table,    &container_table,
    &security_table, &plugin_table,      &language_table,  &ready_table,
    &service_table,  &common_table,      &resources_table, NULL,
};
