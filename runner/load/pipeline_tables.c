#include "load/pipeline_tables.h"

#include "load/load.h"
#include "load/rows.h"
#include "spec/spec.h"

static const struct enum_name run_modes[] = {{"parallel", SPEC_RUN_MODE_PARALLEL},
                                             {"serial", SPEC_RUN_MODE_SERIAL},
                                             {0}};
static const struct enum_name isolations[] = {{"step", SPEC_ISOLATION_STEP},
                                              {"job", SPEC_ISOLATION_JOB},
                                              {0}};
static const struct enum_name checkouts[] = {{"workdir", SPEC_CHECKOUT_WORKDIR},
                                             {"none", SPEC_CHECKOUT_NONE},
                                             {0}};
static const struct enum_name shell_options[] = {{"strict", SPEC_SHELL_OPTIONS_STRICT}, {0}};

#define COMMON(member) IN(struct spec_common, member)

static const struct field common_fields[] = {
    {"environment", "variables; merged with those of the levels above, the lower level wins",
     .kind = FIELD_PAIRS, COMMON(environment)},
    {"workdir", "working directory, created if missing", .kind = FIELD_STRING, COMMON(workdir),
     .default_text = "the current directory"},
    {"image", "container image; makes `docker` the engine", .kind = FIELD_STRING, COMMON(image)},
    {"engine",
     "where steps run: `host`, `docker`, `docker://URL` for another daemon, `podman` for its "
     "service, `kubernetes`, "
     "`k8s://CONTEXT/NAMESPACE` for another context of the kubeconfig, `ssh://USER@HOST` or "
     "`idp://ID:SECRET@HOST:PORT` for other machines",
     .kind = FIELD_STRING, COMMON(engine), .check = check_engine,
     .default_text = "`host`, or `docker` with `image`"},
    {"shell", "shell that runs `command`: a name or a path", .kind = FIELD_STRING, COMMON(shell),
     .default_text = "`sh`"},
    {"timeout", "time limit; the tightest of all levels counts", .kind = FIELD_DURATION,
     COMMON(timeout_ms), .default_text = "1 day for the pipeline"},
    {"grace", "time between SIGTERM and SIGKILL when a step is stopped", .kind = FIELD_DURATION,
     COMMON(grace_ms), .flags = FIELD_EXTENSION | FIELD_ZERO, .default_text = "`10s`"},
    {"schedule_timeout",
     "how long the pod of a job may wait for a node; of its steps the one that gives it most "
     "counts",
     .kind = FIELD_DURATION, EXTENSION, COMMON(schedule_timeout_ms),
     .default_text = "that of the engine"},
    {"image_registry", "registry that the user name and password are for; no other gets them",
     .kind = FIELD_STRING, COMMON(image_registry)},
    {"image_registry_username", "user name at the registry", .kind = FIELD_STRING,
     COMMON(image_registry_username)},
    {"image_registry_password", "password at the registry", .kind = FIELD_STRING,
     COMMON(image_registry_password)},
    {"pull",
     "when to pull the image: `if-not-present`, `always`, `never`, or a list tried in order",
     .kind = FIELD_ENUMS, EXTENSION, COUNTED(struct spec_common, pull, pull_count),
     .names = pull_names, .default_text = "`if-not-present`"},
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
     "directory of the job's own, removed with it, or where a login to another machine begins",
     .kind = FIELD_ENUM, EXTENSION, COMMON(checkout), .names = checkouts,
     .default_text = "`workdir`; `none` on other machines"},
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

/* On the levels above steps. */
#define KUBERNETES(type)                                                                           \
    {                                                                                              \
        "kubernetes", "what the pods of jobs are like, see below",                                 \
            .kind = FIELD_OBJECT, EXTENSION, IN(struct type, common.kubernetes),                   \
            .table = &pod_table                                                                    \
    }

static const struct enum_name plugin_apis[] = {{"1", SPEC_PLUGIN_API_1}, {0}};

static const struct field plugin_fields[] = {
    {"image", "the plugin's image, such as `name:1` or, pinned, `name@sha256:…`",
     .kind = FIELD_STRING, REQUIRED, IN(struct spec_plugin, image)},
    {"settings", "passed as `PIPELINE_PLUGIN_SETTINGS_<KEY>`; lists and maps as JSON",
     .kind = FIELD_PAIRS, .flags = FIELD_JSON_VALUES, IN(struct spec_plugin, settings)},
    {"entrypoint", "program in the image", .kind = FIELD_STRING, IN(struct spec_plugin, entrypoint),
     .default_text = "`/pipeline/plugin/run`"},
    {"image_registry", "registry that the user name and password are for; no other gets them",
     .kind = FIELD_STRING, IN(struct spec_plugin, image_registry)},
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

/* With room for those that are added. */
static struct enum_name deployment_types[SPEC_DEPLOYMENT_ADDED + SPEC_SERVICE_KINDS_ADDED_MAX] = {
    {"docker-compose", SPEC_DEPLOYMENT_COMPOSE},
    {"docker-swarm", SPEC_DEPLOYMENT_SWARM},
    {"kubernetes", SPEC_DEPLOYMENT_KUBERNETES},
};

void load_extend(const struct spec_engine_name *engine_names,
                 const struct spec_service_kind *service_kinds)
{
    const struct spec_service_kind *kind;

    spec_engine_names_add(engine_names);
    spec_service_kinds_add(service_kinds);
    for (int type = SPEC_DEPLOYMENT_ADDED;
         (kind = spec_service_kind((enum spec_deployment_type)type)); type++)
        deployment_types[type - 1] = (struct enum_name){kind->name, type};
}

static const struct enum_name deployment_versions[] = {{"v1", SPEC_DEPLOYMENT_V1},
                                                       {"v2", SPEC_DEPLOYMENT_V2},
                                                       {0}};
static const struct enum_name lifetimes[] = {{"persistent", SPEC_LIFETIME_PERSISTENT},
                                             {"pipeline", SPEC_LIFETIME_PIPELINE},
                                             {"stage", SPEC_LIFETIME_STAGE},
                                             {"job", SPEC_LIFETIME_JOB},
                                             {0}};

static const struct field deployment_fields[] = {
    {"type", "what `config` is: a Compose file, a stack for a swarm, manifests", .kind = FIELD_ENUM,
     REQUIRED, IN(struct spec_deployment, type), .names = deployment_types},
    {"name", "of the project, the stack, or the set of objects", .kind = FIELD_STRING, REQUIRED,
     IN(struct spec_deployment, name)},
    {"version", "`v1` and `v2` mean the same", .kind = FIELD_ENUM, REQUIRED,
     IN(struct spec_deployment, version), .names = deployment_versions},
    {"config",
     "one line that names a file, or the text itself; `$NAME` and `${NAME}` in it are variables of "
     "the step, `$$` is a `$`",
     .kind = FIELD_TEXT, REQUIRED, IN(struct spec_deployment, config)},
    {"lifetime", "when it is removed: with the job, stage or pipeline, or never",
     .kind = FIELD_ENUM, EXTENSION, IN(struct spec_deployment, lifetime), .names = lifetimes,
     .default_text = "`persistent`"},
    {"wait", "until all of it is ready", .kind = FIELD_BOOL, EXTENSION,
     IN(struct spec_deployment, wait), .default_text = "`true`"},
    {"timeout", "how long to wait for that", .kind = FIELD_DURATION, EXTENSION,
     IN(struct spec_deployment, timeout_ms), .default_text = "the time of the step"},
    {"prune", "remove what an earlier `config` of that name had, and this one has not",
     .kind = FIELD_BOOL, EXTENSION, IN(struct spec_deployment, prune), .default_text = "`false`"},
};

static void init_deployment(void *object)
{
    spec_deployment_init(object);
}

static const struct table deployment_table = {
    .name = "deployment",
    .help = "What the `service` of a step brings up, by the API that the runner reaches: see "
            "docs/deployments.md.",
    ROWS(deployment_fields),
    .size = sizeof(struct spec_deployment),
    .pos_offset = offsetof(struct spec_deployment, pos),
    .init = init_deployment,
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
    {"service", "a deployment in place of a `command`, see below", .kind = FIELD_OBJECT,
     IN(struct spec_step, deployment), .table = &deployment_table},
    {"retry", "attempts, see below", .kind = FIELD_OBJECT, EXTENSION, IN(struct spec_step, retry),
     .table = &retry_table},
    {"type", "what the step is for, in place of saying how; see docs/types.md", .kind = FIELD_ENUM,
     EXTENSION, IN(struct spec_step, type), .names = step_type_names},
    {"config", "of a `type`: what it is to do, see below", .kind = FIELD_VARIANT, EXTENSION,
     IN(struct spec_step, config), .names = step_type_names, .selector = "type",
     .variants = step_type_configs},
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

#define SERVICES(type) EXTENSION, COUNTED(struct type, services.items, services.len)

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
    KUBERNETES(spec_job),
};

static const struct table_part job_parts[] = {{&common_table, offsetof(struct spec_job, common),
                                               false},
                                              {&flow_table, offsetof(struct spec_job, flow), true},
                                              {&fan_out_table, offsetof(struct spec_job, fan_out),
                                               true},
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
    KUBERNETES(spec_stage),
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
    {"hosts", "machines that jobs may `run_on`, see below", .kind = FIELD_OBJECTS, EXTENSION,
     COUNTED(struct spec_pipeline, hosts.items, hosts.len), .table = &host_table},
    {"hosts_file",
     "an inventory of further machines, as Ansible has it, in YAML or INI; seen from the pipeline "
     "file's directory",
     .kind = FIELD_STRING, EXTENSION, IN(struct spec_pipeline, hosts_file)},
    {"services", "containers beside all jobs, by their names, see below", .kind = FIELD_NAMED,
     SERVICES(spec_pipeline), .table = &service_table, .check = check_service_name},
    PLANNED("alerts", "when to raise an alarm"),
    PLANNED("triggers", "what starts a run"),
    {"concurrency", "runs that exclude each other on this machine, see below", .kind = FIELD_OBJECT,
     EXTENSION, IN(struct spec_pipeline, concurrency), .table = &concurrency_table},
    KUBERNETES(spec_pipeline),
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
    .check = check_pipeline,
};

const struct table *const pipeline_all_tables[] = {
    &pipeline_table,   &stage_table,         &job_table,
    &step_table,       &flow_table,          &dependency_table,
    &when_table,       &retry_table,         &matrix_table,
    &fan_out_table,    &host_table,          &concurrency_table,
    &cache_table,      &artifact_table,      &post_table,
    &input_table,      &secret_table,        &container_table,
    &security_table,   &plugin_table,        &language_table,
    &deployment_table, &fetch_code_table,    &build_table,
    &test_table,       &security_scan_table, &deploy_table,
    &notify_table,     &custom_table,        &ready_table,
    &service_table,    &common_table,        &resources_table,
    &pod_table,        &pod_container_table, &pod_quantities_table,
    &pod_volume_table, &pod_empty_dir_table, &pod_host_alias_table,
    &pod_dns_table,    &pod_workspace_table, NULL,
};
