/* The pipeline file as plain data: what the user wrote, decoded and checked for form, not yet
 * resolved. Filled by load/, read by plan/.
 *
 * Absent means NULL for strings and pointers, SPEC_UNSET for numbers, SPEC_ENUM_UNSET (0) for
 * enumerations. Strings that may hold ${…} keep their position so that an error found when they
 * are expanded can point at the file. Everything is owned by the struct spec_pipeline at the top
 * and freed by spec_pipeline_free().
 * Source: pipeline file reference, sections 1 to 3 and 6. */
#pragma once

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

enum spec_isolation { SPEC_ISOLATION_UNSET, SPEC_ISOLATION_STEP, SPEC_ISOLATION_JOB };
enum spec_run_mode { SPEC_RUN_MODE_UNSET, SPEC_RUN_MODE_PARALLEL, SPEC_RUN_MODE_SERIAL };
enum spec_bool { SPEC_BOOL_UNSET, SPEC_FALSE, SPEC_TRUE };
enum spec_pull { SPEC_PULL_UNSET, SPEC_PULL_IF_NOT_PRESENT, SPEC_PULL_ALWAYS, SPEC_PULL_NEVER };
enum spec_strictness { SPEC_SHELL_OPTIONS_UNSET, SPEC_SHELL_OPTIONS_STRICT };

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
    int64_t timeout_ms;
    int64_t grace_ms;
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
};

struct spec_language {
    struct src_pos pos;
    struct spec_str name;
    struct spec_str version;
    struct spec_str image;
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
};

struct spec_step {
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    struct spec_str id;
    struct spec_str command;
    enum spec_strictness shell_options;
    struct spec_container *container; /* NULL: none of its keys was given */
    struct spec_plugin *plugin;
    struct spec_language *language;
};

struct spec_job {
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
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
    struct spec_job *jobs;
    size_t job_count;
};

/* A hook: a script for each outcome it is given for. */
struct spec_post {
    struct src_pos pos;
    struct spec_str always; /* also the plain string form */
    struct spec_str success;
    struct spec_str failure;
    struct spec_str cancelled;
};

struct spec_pipeline {
    char *file; /* as shown in messages */
    struct src_pos pos;
    struct spec_common common;
    struct spec_str name;
    struct spec_str pre;
    struct spec_post post;
    struct spec_stage *stages;
    size_t stage_count;
};

/* Sets every number of a zeroed struct to SPEC_UNSET. */
void spec_common_init(struct spec_common *common);
void spec_resources_init(struct spec_resources *resources);
void spec_pipeline_free(struct spec_pipeline *pipeline);

#define CLEANUP_SPEC_PIPELINE CLEANUP(spec_pipeline_cleanup)

static inline void spec_pipeline_cleanup(struct spec_pipeline **pipeline)
{
    spec_pipeline_free(*pipeline);
}
