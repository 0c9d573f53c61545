/* Compose files as one model: read, interpolated, merged, brought into one form, checked, ordered.
 *
 *     struct compose_options options = {.files = &files, .project_name = name};
 *     CLEANUP_COMPOSE_SOURCES struct compose_sources sources = {0};
 *     CLEANUP_COMPOSE_PROJECT struct compose_project *project = NULL;
 *
 *     project = compose_load(&options, &sources);
 *     compose_sources_format(&sources, &text);      // warnings too: "FILE:LINE:COLUMN: error: …"
 *     if (!project)
 *         return …                                  // all errors were collected
 *     for (size_t i = 0; i < project->order.len; i++)
 *         start(compose_service(project, project->order.items[i]));
 *
 * The model is JSON of the shape that `docker compose config --format json` prints, with these
 * differences: dollars are not doubled; what that leaves out and a reader needs is in it, marked
 * with + below; `x-…` stays at every level. Every short form has become the long one, every value
 * has the type given here, and what an attribute's default is stands there only where this says
 * so. An attribute that was not written is missing, never null, unless null is named as a value.
 *
 *   name        string
 *   services    map of name → service; those that the profiles leave out are in `disabled`
 *   networks    map of key → {name, driver?, driver_opts?, ipam, external?, internal?, attachable?,
 *               labels?, enable_ipv4?, enable_ipv6?}; "default" is in it if a service uses it;
 *               ipam is {driver?, config?: [{subnet?, gateway?, ip_range?, aux_addresses?}],
 *               options?}, {} if there is none
 *   volumes     map of key → {name, driver?, driver_opts?, external?, labels?}
 *   secrets     map of key → {name, file? (absolute), environment?, +content?, external?, labels?,
 *               driver?, driver_opts?, template_driver?}; content is the value of the variable that
 *               `environment` names, missing if that is not set
 *   configs     the same, with content? that can also have been written
 *   x-…         as written
 *
 * What no service uses is left out of networks, volumes, secrets and configs, except for a swarm.
 * `name` of networks, volumes, secrets and configs is the name on the engine: PROJECT_KEY unless
 * one was given, KEY if it is external. external is true or missing. labels, driver_opts, options:
 * map of strings.
 *
 * A service:
 *   command, entrypoint       list of strings, or null: the image's
 *   environment               map of string or null (null: not set anywhere; not passed); env_file
 *                             has been read into it
 *   labels, annotations, sysctls, storage_opt   map of strings; label_file, a list of absolute
 * paths, has been read into labels image, container_name, hostname, domainname, user, working_dir,
 * restart, runtime, platform, pull_policy ("missing" for if_not_present), stop_signal,
 * network_mode, ipc, pid, uts, cgroup, cgroup_parent, userns_mode, isolation, mac_address, cpuset
 * string init, tty, stdin_open, privileged, read_only, attach, oom_kill_disable, use_api_socket
 *                             bool; false is missing, except for init and attach
 *   cpu_count, cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime, cpu_shares, pids_limit,
 *   oom_score_adj, scale      integer; cpus, cpu_percent: number
 *   mem_limit, mem_reservation, memswap_limit, mem_swappiness, shm_size
 *                             string of a number of bytes: "67108864"; compose_bytes() reads it
 *   stop_grace_period         duration: "1m30s"; compose_duration_ms() reads it
 *   cap_add, cap_drop, dns, dns_opt, dns_search, expose, group_add, links, external_links,
 *   profiles, security_opt, tmpfs, volumes_from, device_cgroup_rules      list of strings
 *   extra_hosts               list of "HOST=ADDRESS", sorted
 *   build                     {context (absolute, or a URL), dockerfile (unless dockerfile_inline),
 *                             dockerfile_inline?, args?: map of string, labels?, cache_from?,
 *                             network?, target?, tags?, shm_size?, extra_hosts?, ulimits?,
 *                             platforms?, no_cache?, pull?, isolation?}
 *   depends_on                map of service → {condition, required, restart?}; what links,
 *                             volumes_from and "service:…" modes need is in it, too
 *   deploy                    {mode?, replicas?, labels?, endpoint_mode?, resources, placement,
 *                             restart_policy?, update_config?, rollback_config?}; resources is
 *                             {limits?: {cpus? number, memory? bytes, pids? integer},
 *                             reservations?: {cpus?, memory?, devices?, generic_resources?}};
 *                             placement is {constraints?, preferences?, max_replicas_per_node?}
 *   devices                   list of {source, target, permissions}
 *   healthcheck               {test?: list that begins with "CMD", "CMD-SHELL" or "NONE",
 * interval?, timeout?, start_period?, start_interval?: duration, retries?: integer, disable?: true}
 *   logging                   {driver?, options?}
 *   networks                  map of key → null or {aliases?, ipv4_address?, ipv6_address?,
 *                             link_local_ips?, mac_address?, driver_opts?, priority?, gw_priority?,
 *                             interface_name?}; {"default": null} if none were given; missing
 *                             with network_mode
 *   ports                     list of {mode, target: integer, published?: string "80" or "80-90",
 *                             protocol, host_ip?, name?, app_protocol?}; ranges of the short form
 *                             are written out
 *   post_start, pre_stop      list of {command, user?, privileged?, working_dir?, environment?}
 *   secrets, configs          list of {source, target (configs: as written), uid?, gid?,
 *                             mode?: string of octal digits "0440"}
 *   ulimits                   map of name → integer, or {soft, hard}
 *   volumes                   list of {type: "bind", "volume", "tmpfs", "image", …, source?
 *                             (absolute for bind, the key for volume; missing: anonymous), target,
 *                             read_only?, consistency?, bind?, volume?, tmpfs?, image?}; bind is
 *                             {propagation?, create_host_path?: only false, selinux?, recursive?}:
 *                             without create_host_path, or `bind`, a missing source is made;
 *                             volume is {nocopy?, subpath?, labels?}, tmpfs {size? bytes, mode?
 *                             integer}, image {subpath?}
 *   blkio_config              {weight?, weight_device?: [{path, weight}], device_read_bps? (also
 *                             …_iops, device_write_…): [{path, rate: bytes}]}
 *   credential_spec           {config?, file?, registry?}
 *
 * Errors and warnings point into the files: while loading they are collected in the sources; later
 * ones are made with compose_error() from any value of the model.
 * Source: Compose Specification. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/map.h"
#include "base/vec.h"

struct compose_places;

/* What the model is for. What the target does without is named in warnings, what it cannot do
 * without in errors. */
enum compose_target {
    COMPOSE_TARGET_DOCKER,
    COMPOSE_TARGET_SWARM,
    COMPOSE_TARGET_ANY, /* only to be shown: as for Docker, but all are warnings */
};

struct compose_options {
    /* Paths, "-" for standard input; later ones go over earlier ones. NULL or empty: COMPOSE_FILE
     * of the environment, else compose.yaml and the like in the project directory or above it. */
    const struct strvec *files;
    /* Instead of files: a text that came from elsewhere, and its name for messages. */
    const char *text;
    const char *text_name;
    const char *project_name;      /* NULL: COMPOSE_PROJECT_NAME, `name`, the directory's name */
    const char *project_directory; /* of relative paths; NULL: that of the first file */
    const struct strvec
        *env_files;   /* NULL or empty: .env in the project directory, if it is there */
    bool no_env_file; /* not even that */
    const struct strvec *profiles;    /* NULL or empty: COMPOSE_PROFILES of the environment */
    const struct strmap *environment; /* for interpolation; NULL: that of this process */
    enum compose_target target;
};

/* A file that was read, and what is to be said about it. */
struct compose_file {
    char *name; /* for messages: relative to the current directory, if it is below that */
    char *path; /* absolute; NULL: it is no file */
    struct buf text;
    struct diag_list diags;
};

/* All files of a project, in the order of their reading; the first entry stands for the project
 * as a whole and has no text. Zero it before; it may be used for one compose_load(). */
struct compose_sources {
    struct compose_file **items;
    size_t len;
    size_t cap;
};

#define CLEANUP_COMPOSE_SOURCES CLEANUP(compose_sources_release)

struct compose_project {
    char *name;
    char *working_dir;   /* absolute; relative paths began there */
    struct strvec files; /* absolute paths of the files given or found, for labels; "-" stays */
    json_t *model;
    json_t *disabled; /* services that the profiles leave out, of the same shape; never NULL */
    struct strmap environment; /* what was used for interpolation */
    struct strvec order;       /* names of the services, each behind those that it depends on */
    const struct compose_sources *sources; /* must outlive the project */
    struct compose_places *places;
};

#define CLEANUP_COMPOSE_PROJECT CLEANUP(compose_project_cleanup)

/* NULL if there are errors: they are in the sources, as many as could be found. */
struct compose_project *compose_load(const struct compose_options *options,
                                     struct compose_sources *sources);
void compose_project_free(struct compose_project *project);

size_t compose_sources_error_count(const struct compose_sources *sources);
/* One line for each, errors and warnings: "FILE:LINE:COLUMN: error: MESSAGE (at PATH)". */
void compose_sources_format(const struct compose_sources *sources, struct buf *out);
void compose_sources_release(struct compose_sources *sources);

/* Where a value of the model was written: *ret_file belongs to the sources. false if nobody knows,
 * as for true, false, null and what was added by default: ask for the map or list around it. */
bool compose_locate(const struct compose_project *project, const json_t *value,
                    const char **ret_file, struct src_pos *ret_pos);
/* Fills *err with "FILE:LINE:COLUMN: MESSAGE" and returns -1. value may be NULL. */
int compose_error(const struct compose_project *project, const json_t *value, struct err *err,
                  enum err_code code, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Of the model; NULL if there is none of that name. Borrowed, as all values below. */
json_t *compose_service(const struct compose_project *project, const char *name);
json_t *compose_network(const struct compose_project *project, const char *key);
json_t *compose_volume(const struct compose_project *project, const char *key);
json_t *compose_secret(const struct compose_project *project, const char *key);
json_t *compose_config(const struct compose_project *project, const char *key);

/* Members of an object of the model, which may be NULL; all have been checked while loading. */
const char *compose_string(const json_t *object, const char *name);        /* NULL: not there */
bool compose_bool(const json_t *object, const char *name, bool otherwise); /* of a JSON bool */
int64_t compose_int(const json_t *object, const char *name, int64_t otherwise);
double compose_number(const json_t *object, const char *name, double otherwise);
int64_t compose_bytes(const json_t *object, const char *name, int64_t otherwise);
int64_t compose_duration_ms(const json_t *object, const char *name, int64_t otherwise);
/* Appends the strings of a list; true if the member is there, even if it is an empty list. */
bool compose_strings(const json_t *object, const char *name, struct strvec *out);
/* Sets the members of a map of strings; null is left out. */
void compose_pairs(const json_t *object, const char *name, struct strmap *out);
/* How many containers: scale, deploy.replicas, 1. */
int64_t compose_scale(const json_t *service);

static inline void compose_project_cleanup(struct compose_project **project)
{
    compose_project_free(*project);
}
