/* The pipeline file as plain data: what the user wrote, decoded and checked for form, not yet
 * resolved. Filled by load/, read by plan/.
 *
 * Absent means NULL for strings and pointers, SPEC_UNSET for numbers, SPEC_ENUM_UNSET (0) for
 * enumerations. Strings that may hold ${…} keep their position so that an error found when they
 * are expanded can point at the file. Everything is owned by the struct spec_pipeline at the top
 * and freed by spec_pipeline_free().
 * Source: pipeline file reference, sections 1 to 3 and 6. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"

#define SPEC_UNSET INT64_C(-1)

struct spec_str {
    char *text; /* NULL: not set */
    struct src_pos pos;
};

struct spec_strs {
    struct spec_str *items;
    size_t len;
};

struct spec_pair {
    char *key;
    struct spec_str value;
};

/* An ordered map from string to string (environment, plugin settings). */
struct spec_pairs {
    struct spec_pair *items;
    size_t len;
};

/* A map from string to one or several strings. */
struct spec_match {
    char *key;
    struct src_pos pos;
    struct spec_strs values;
};

struct spec_matches {
    struct spec_match *items;
    size_t len;
};

/* A value of any shape, as JSON, with what its string values may hold of ${…} not yet expanded. */
struct spec_json {
    struct src_pos pos;
    json_t *value;           /* NULL: not set */
    struct src_pos *strings; /* of its string values, in the order in which they are written */
    size_t string_count;
};

enum spec_isolation { SPEC_ISOLATION_UNSET, SPEC_ISOLATION_STEP, SPEC_ISOLATION_JOB };
enum spec_run_mode { SPEC_RUN_MODE_UNSET, SPEC_RUN_MODE_PARALLEL, SPEC_RUN_MODE_SERIAL };
enum spec_bool { SPEC_BOOL_UNSET, SPEC_FALSE, SPEC_TRUE };
enum spec_pull { SPEC_PULL_UNSET, SPEC_PULL_IF_NOT_PRESENT, SPEC_PULL_ALWAYS, SPEC_PULL_NEVER };
enum spec_checkout { SPEC_CHECKOUT_UNSET, SPEC_CHECKOUT_WORKDIR, SPEC_CHECKOUT_NONE };
/* Versions of the interface between runner and plugins. */
enum spec_plugin_api { SPEC_PLUGIN_API_UNSET, SPEC_PLUGIN_API_1 };
enum spec_strictness { SPEC_SHELL_OPTIONS_UNSET, SPEC_SHELL_OPTIONS_STRICT };

enum spec_condition {
    SPEC_CONDITION_UNSET,
    SPEC_CONDITION_SUCCEEDED,
    SPEC_CONDITION_FAILED,
    SPEC_CONDITION_COMPLETED,
};
enum spec_backoff {
    SPEC_BACKOFF_UNSET,
    SPEC_BACKOFF_CONSTANT,
    SPEC_BACKOFF_LINEAR,
    SPEC_BACKOFF_EXPONENTIAL,
};

struct spec_resources {
    struct src_pos pos;
    int64_t cpus_milli; /* thousandths of a CPU */
    int64_t memory_bytes;
    int64_t pids;
    int64_t shm_bytes;
    int64_t disk_bytes;
};

struct spec_security {
    struct src_pos pos;
    enum spec_bool read_only;
    enum spec_bool no_new_privileges;
    struct spec_strs cap_add;
    struct spec_strs cap_drop;
    struct spec_str userns;
    struct spec_str seccomp;
};

/* Keys that every level has and that pass from a level to those below it (section 2). */
struct spec_common {
    struct spec_pairs environment;
    struct spec_str workdir;
    struct spec_str image;
    struct spec_str engine;
    struct spec_str shell;
    struct spec_str image_registry;
    struct spec_str image_registry_username;
    struct spec_str image_registry_password;
    struct spec_str data_dir_outer;
    struct spec_str data_dir_inner;
    struct spec_str user;
    struct spec_resources *resources;
    enum spec_pull *pull; /* policies in the order they are tried */
    uint8_t pull_count;
    uint8_t isolation; /* enum spec_isolation */
    uint8_t checkout;  /* enum spec_checkout */
    int64_t timeout_ms;
    int64_t grace_ms;
    int64_t schedule_timeout_ms;
    struct spec_json *kubernetes; /* of the pod; never on a step */
};

struct spec_dependency {
    struct src_pos pos;
    struct spec_str name;
    enum spec_condition condition;
};

/* All that is given must hold. Strings of lists are globs. */
struct spec_when {
    struct src_pos pos;
    struct spec_matches env;
    struct spec_strs exists;
    struct spec_strs changed;
    struct spec_strs branch;
    struct spec_strs event;
    struct spec_strs status;
    struct spec_str expr;
};

/* Which failures of a thing do not count. */
struct spec_allow_failure {
    enum spec_bool any;
    int *codes;
    size_t code_count;
};

/* Whether, and after what, a stage, job or step runs; apart because most have none of it. */
struct spec_flow {
    struct spec_str condition; /* `if` */
    struct spec_when *when;
    struct spec_dependency *depends_on;
    size_t depends_on_count;
    bool has_depends_on; /* also when it is empty */
    struct spec_allow_failure allow_failure;
};

struct spec_retry {
    struct src_pos pos;
    int64_t attempts; /* the first one counts */
    int64_t again;    /* `retry: N`: attempts after the first */
    int64_t delay_ms;
    int64_t max_delay_ms;
    enum spec_backoff backoff;
    enum spec_bool jitter;
    struct spec_strs on; /* exit codes and names of reasons */
    struct spec_strs not_on;
};

/* What excludes each other on this machine. */
struct spec_concurrency {
    struct src_pos pos;
    struct spec_str group;
    enum spec_bool cancel_in_progress;
};

struct spec_matrix {
    struct src_pos pos;
    struct spec_matches axes;
    struct spec_pairs *include;
    size_t include_count;
    struct spec_pairs *exclude;
    size_t exclude_count;
    int64_t max_parallel;
    enum spec_bool fail_fast;
};

enum spec_cache_policy {
    SPEC_CACHE_POLICY_UNSET,
    SPEC_CACHE_PULL_PUSH,
    SPEC_CACHE_PULL,
    SPEC_CACHE_PUSH,
};
enum spec_outcome {
    SPEC_OUTCOME_UNSET,
    SPEC_ON_SUCCESS,
    SPEC_ON_FAILURE,
    SPEC_ALWAYS,
};

/* Files of the workdir that are kept from run to run. */
struct spec_cache {
    struct src_pos pos;
    struct spec_str key;
    struct spec_strs paths; /* globs */
    struct spec_strs restore_keys;
    struct spec_str store;
    enum spec_cache_policy policy;
    enum spec_outcome when;
};

struct spec_plugin {
    struct src_pos pos;
    struct spec_str image;
    struct spec_pairs settings; /* lists and maps as JSON text */
    struct spec_str entrypoint;
    struct spec_str image_registry;
    struct spec_str image_registry_username;
    struct spec_str image_registry_password;
    enum spec_bool inherit_environment;
    enum spec_plugin_api api;
};

struct spec_language {
    struct src_pos pos;
    struct spec_str name;
    struct spec_str version;
    struct spec_str image;
};

enum spec_deployment_type {
    SPEC_DEPLOYMENT_UNSET,
    SPEC_DEPLOYMENT_COMPOSE,
    SPEC_DEPLOYMENT_SWARM,
    SPEC_DEPLOYMENT_KUBERNETES,
    SPEC_DEPLOYMENT_ADDED, /* the first of those that a program has added (service_kinds.h) */
};
/* How long what a deployment has made stays. */
enum spec_lifetime {
    SPEC_LIFETIME_UNSET, /* persistent */
    SPEC_LIFETIME_PERSISTENT,
    SPEC_LIFETIME_PIPELINE,
    SPEC_LIFETIME_STAGE,
    SPEC_LIFETIME_JOB,
};
enum spec_deployment_version {
    SPEC_DEPLOYMENT_VERSION_UNSET,
    SPEC_DEPLOYMENT_V1,
    SPEC_DEPLOYMENT_V2,
};

/* What the key `service` of a step brings up. */
struct spec_deployment {
    struct src_pos pos;
    enum spec_deployment_type type;
    struct spec_str name;
    enum spec_deployment_version version;
    struct spec_str config; /* a path, or the text itself; expanded by whoever reads it */
    enum spec_lifetime lifetime;
    enum spec_bool wait;
    enum spec_bool prune;
    int64_t timeout_ms;
};

enum spec_type {
    SPEC_TYPE_UNSET,
    SPEC_TYPE_FETCH_CODE,
    SPEC_TYPE_BUILD,
    SPEC_TYPE_TEST,
    SPEC_TYPE_SECURITY_SCAN,
    SPEC_TYPE_DEPLOY,
    SPEC_TYPE_NOTIFY,
    SPEC_TYPE_CUSTOM,
    SPEC_TYPE_COUNT,
};

/* The program that does what a type is for. */
enum spec_tool {
    SPEC_TOOL_UNSET,
    SPEC_TOOL_MAKE,
    SPEC_TOOL_CMAKE,
    SPEC_TOOL_GO,
    SPEC_TOOL_CARGO,
    SPEC_TOOL_NPM,
    SPEC_TOOL_MAVEN,
    SPEC_TOOL_GRADLE,
    SPEC_TOOL_PYTEST,
    SPEC_TOOL_TRIVY,
    SPEC_TOOL_GITLEAKS,
    SPEC_TOOL_SEMGREP,
    SPEC_TOOL_BANDIT,
    SPEC_TOOL_COPY,
    SPEC_TOOL_RSYNC,
    SPEC_TOOL_COUNT,
};

/* The least that counts as a finding. */
enum spec_severity {
    SPEC_SEVERITY_UNSET,
    SPEC_SEVERITY_LOW,
    SPEC_SEVERITY_MEDIUM,
    SPEC_SEVERITY_HIGH,
    SPEC_SEVERITY_CRITICAL,
    SPEC_SEVERITY_COUNT,
};

/* How a message becomes the body of a request. */
enum spec_message_format {
    SPEC_MESSAGE_UNSET, /* json */
    SPEC_MESSAGE_JSON,
    SPEC_MESSAGE_DISCORD,
    SPEC_MESSAGE_DINGTALK,
    SPEC_MESSAGE_WECOM,
    SPEC_MESSAGE_PLAIN,
    SPEC_MESSAGE_COUNT,
};

enum spec_method {
    SPEC_METHOD_UNSET, /* POST */
    SPEC_METHOD_GET,
    SPEC_METHOD_POST,
    SPEC_METHOD_PUT,
    SPEC_METHOD_PATCH,
    SPEC_METHOD_DELETE,
    SPEC_METHOD_COUNT,
};

/* What a step of a type is to do; of the members only those of its type are ever set. */
struct spec_config {
    struct src_pos pos;
    enum spec_tool tool;
    struct spec_str path; /* where it works, in the step's workdir */
    struct spec_strs args;
    struct spec_strs targets;
    struct spec_str repository;
    struct spec_str ref;
    struct spec_str username;
    struct spec_str password;
    int64_t depth;
    enum spec_bool submodules;
    enum spec_bool clean;
    struct spec_str image; /* to be scanned */
    struct spec_str report;
    enum spec_severity severity;
    enum spec_bool remove; /* what the source has not */
    struct spec_strs source;
    struct spec_str destination;
    struct spec_str url;
    struct spec_str message;
    struct spec_str body;
    struct spec_pairs headers;
    enum spec_message_format format;
    enum spec_method method;
    struct spec_pairs settings; /* custom: all keys; lists and maps as JSON text */
};

/* Keys of a step that shape its container; apart because most steps have none. */
struct spec_container {
    struct spec_str platform;
    struct spec_strs volumes; /* SOURCE:TARGET[:ro] */
    struct spec_str network;
    struct spec_strs entrypoint;
    bool has_entrypoint; /* an empty list drops the image's */
    enum spec_bool privileged;
    enum spec_bool sandbox;
    struct spec_security *security;
    int64_t pull_timeout_ms;
    struct spec_json *kubernetes; /* of the container in its pod */
};

/* How to tell that something in the background is ready; all that is given must hold. */
struct spec_ready {
    struct src_pos pos;
    struct spec_str tcp;     /* PORT or HOST:PORT */
    struct spec_str http;    /* URL */
    struct spec_str command; /* script, never interpolated */
    struct spec_str log;     /* regular expression */
    int64_t timeout_ms;
    int64_t interval_ms;
};

/* Files to keep (paths), or to take from other jobs (from). */
struct spec_artifact {
    struct src_pos pos;
    struct spec_str name;
    struct spec_strs paths;
    struct spec_strs exclude;
    struct spec_strs from;
    struct spec_str expire_in;
    struct spec_str store;
    enum spec_outcome when;
    enum spec_bool optional;
};

struct spec_artifacts {
    struct spec_artifact *items;
    size_t len;
};

struct spec_step {
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    struct spec_str id;
    struct spec_str command;
    enum spec_strictness shell_options;
    enum spec_bool tty;
    struct spec_flow *flow; /* NULL: none of its keys was given; the same below */
    struct spec_retry *retry;
    struct spec_cache *caches;
    size_t cache_count;
    struct spec_container *container; /* NULL: none of its keys was given */
    struct spec_plugin *plugin;
    struct spec_language *language;
    struct spec_deployment *deployment;
    enum spec_type type;
    enum spec_bool background;
    struct spec_config *config;
    struct spec_ready *ready;
    struct spec_artifacts artifacts;
};

/* A container that lives as long as the level that it stands on. */
struct spec_service {
    struct spec_str name; /* must be first: the key of the map */
    struct src_pos pos;
    struct spec_str image;
    struct spec_pairs environment;
    struct spec_strs command;
    struct spec_strs ports; /* [HOST:]PORT[/udp] */
    struct spec_str user;
    struct spec_str workdir;
    struct spec_str image_registry;
    struct spec_str image_registry_username;
    struct spec_str image_registry_password;
    struct spec_resources *resources;
    struct spec_ready *ready;
    struct spec_container container; /* without network and sandbox */
    enum spec_pull *pull;
    uint8_t pull_count;
    int64_t grace_ms;
};

struct spec_services {
    struct spec_service *items;
    size_t len;
};

/* A hook: a script for each outcome it is given for. */
struct spec_post {
    struct src_pos pos;
    struct spec_str always; /* also the plain string form */
    struct spec_str success;
    struct spec_str failure;
    struct spec_str cancelled;
};

/* How a job is spread over hosts; apart because most jobs have none of it. */
struct spec_fan_out {
    struct spec_strs run_on; /* names, roles and globs; with "!" or "&" in front */
    struct spec_strs serial; /* sizes of batches: numbers or percentages */
    struct spec_str max_failures;
    int64_t max_parallel;
    enum spec_bool ignore_errors;
};

struct spec_job {
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    struct spec_flow *flow;
    struct spec_retry *retry;
    struct spec_matrix *matrix;
    struct spec_fan_out *fan_out; /* NULL: none of its keys was given */
    struct spec_concurrency *concurrency;
    struct spec_cache *caches;
    size_t cache_count;
    struct spec_services services;
    struct spec_str pre;
    struct spec_post post;
    struct spec_artifacts artifacts;
    struct spec_step *steps;
    size_t step_count;
};

struct spec_stage {
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    enum spec_run_mode run_mode;
    enum spec_bool fail_fast;
    int64_t max_parallel;
    struct spec_flow *flow;
    struct spec_str pre;
    struct spec_post post;
    struct spec_job *jobs;
    size_t job_count;
};

enum spec_secret_from {
    SPEC_SECRET_FROM_UNSET, /* env */
    SPEC_SECRET_FROM_ENV,
    SPEC_SECRET_FROM_FILE,
};

/* A value that must not be seen; it becomes a variable of that name. */
struct spec_secret {
    struct src_pos pos;
    struct spec_str name;
    enum spec_secret_from from;
    struct spec_str variable; /* SPEC_SECRET_FROM_ENV; not set: the name */
    struct spec_str path;     /* SPEC_SECRET_FROM_FILE */
};

enum spec_input_type {
    SPEC_INPUT_UNSET, /* a choice if there are options, else a string */
    SPEC_INPUT_STRING,
    SPEC_INPUT_NUMBER,
    SPEC_INPUT_BOOLEAN,
    SPEC_INPUT_CHOICE,
};

/* A parameter of the run. */
struct spec_input {
    struct src_pos pos;
    struct spec_str name;
    enum spec_input_type type;
    struct spec_str description;
    struct spec_str preset; /* `default` */
    enum spec_bool required;
    struct spec_strs options;
};

/* A machine of the inventory. */
struct spec_host {
    struct src_pos pos;
    struct spec_str name;
    struct spec_str engine; /* not set: ssh://NAME */
    struct spec_strs roles;
    struct spec_pairs environment;
    struct spec_pairs vars; /* lists and maps as JSON text */
};

struct spec_hosts {
    struct spec_host *items;
    size_t len;
};

struct spec_pipeline {
    char *file; /* as shown in messages */
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    struct spec_services services;
    struct spec_str pre;
    struct spec_post post;
    struct spec_stage *stages;
    size_t stage_count;
    struct spec_input *inputs;
    size_t input_count;
    struct spec_strs env_files;
    struct spec_secret *secrets;
    size_t secret_count;
    struct spec_hosts hosts; /* those of `hosts`, then those of `hosts_file` */
    struct spec_str hosts_file;
    struct spec_concurrency *concurrency;
    struct spec_stage *finally; /* run at the end, whatever happened */
    size_t finally_count;
};

/* Sets every number of a zeroed struct to SPEC_UNSET. */
void spec_common_init(struct spec_common *common);
void spec_resources_init(struct spec_resources *resources);
void spec_retry_init(struct spec_retry *retry);
void spec_matrix_init(struct spec_matrix *matrix);
void spec_fan_out_init(struct spec_fan_out *fan_out);
void spec_ready_init(struct spec_ready *ready);
void spec_container_init(struct spec_container *container);
void spec_service_init(struct spec_service *service);
void spec_config_init(struct spec_config *config);
void spec_deployment_init(struct spec_deployment *deployment);
/* Frees what it holds, and leaves it empty. */
void spec_hosts_release(struct spec_hosts *hosts);
/* Frees what it holds. */
void spec_json_release(struct spec_json *json);
/* "fetch_code" …; never NULL. */
const char *spec_type_name(enum spec_type type);
void spec_pipeline_free(struct spec_pipeline *pipeline);

#define CLEANUP_SPEC_PIPELINE CLEANUP(spec_pipeline_cleanup)

static inline void spec_pipeline_cleanup(struct spec_pipeline **pipeline)
{
    spec_pipeline_free(*pipeline);
}
