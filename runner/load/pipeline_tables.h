/* The tables of the pipeline file and what is checked beyond them. Private to load/. */
#pragma once

#include "load/table.h"
#include "spec/spec.h"

extern const struct table pipeline_table;
extern const struct table stage_table;
extern const struct table job_table;
extern const struct table step_table;

/* load/container_tables.c; values of `pull` */
extern const struct enum_name pull_names[];
extern const struct table resources_table;
extern const struct table security_table;
extern const struct table container_table;
extern const struct table ready_table;
extern const struct table service_table;

/* load/flow_tables.c */
extern const struct table dependency_table;
extern const struct table when_table;
extern const struct table flow_table;
extern const struct table retry_table;
extern const struct table matrix_table;
extern const struct table post_table;
extern const struct table concurrency_table;

/* load/host_tables.c */
extern const struct table fan_out_table;
extern const struct table host_table;

/* load/store_tables.c */
extern const struct table cache_table;
extern const struct table artifact_table;

/* load/kubernetes_tables.c: the first two by themselves, the others are in them */
extern const struct table pod_table;
extern const struct table pod_container_table;
extern const struct table pod_quantities_table;
extern const struct table pod_volume_table;
extern const struct table pod_empty_dir_table;
extern const struct table pod_host_alias_table;
extern const struct table pod_dns_table;
extern const struct table pod_workspace_table;

/* Values of `type`, the tables of `config` by these values, and those by themselves. */
extern const struct enum_name step_type_names[];
extern const struct table *const step_type_configs[];
extern const struct table fetch_code_table;
extern const struct table build_table;
extern const struct table test_table;
extern const struct table security_scan_table;
extern const struct table deploy_table;
extern const struct table notify_table;
extern const struct table custom_table;

/* Every table that the reference shows, in its order; the last is NULL. */
extern const struct table *const pipeline_all_tables[];

/* Checks of single values (struct field.check). */
void check_engine(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node);
void check_volume(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node);
void check_entrypoint(struct decoder *d, const struct node_path *path, const struct field *field,
                      const struct yaml_node *node);
void check_glob(struct decoder *d, const struct node_path *path, const struct field *field,
                const struct yaml_node *node);
void check_expiry(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node);
void check_store(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node);
void check_status(struct decoder *d, const struct node_path *path, const struct field *field,
                  const struct yaml_node *node);
void check_retry_cause(struct decoder *d, const struct node_path *path, const struct field *field,
                       const struct yaml_node *node);
void check_ready_tcp(struct decoder *d, const struct node_path *path, const struct field *field,
                     const struct yaml_node *node);
void check_ready_http(struct decoder *d, const struct node_path *path, const struct field *field,
                      const struct yaml_node *node);
void check_ready_log(struct decoder *d, const struct node_path *path, const struct field *field,
                     const struct yaml_node *node);
void check_port(struct decoder *d, const struct node_path *path, const struct field *field,
                const struct yaml_node *node);
void check_web_url(struct decoder *d, const struct node_path *path, const struct field *field,
                   const struct yaml_node *node);
/* Also of the values of a map. */
void check_quantity(struct decoder *d, const struct node_path *path, const struct field *field,
                    const struct yaml_node *node);
void check_mount(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node);
void check_sub_path(struct decoder *d, const struct node_path *path, const struct field *field,
                    const struct yaml_node *node);
/* A number, or a percentage; that of a batch is not 0. */
void check_portion(struct decoder *d, const struct node_path *path, const struct field *field,
                   const struct yaml_node *node);
void check_batch(struct decoder *d, const struct node_path *path, const struct field *field,
                 const struct yaml_node *node);
/* The node is the key. */
void check_service_name(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *node);
/* Checks of whole maps (struct table.check). */
void check_pipeline(struct decoder *d, const struct node_path *path, const void *object,
                    const struct yaml_node *node);
void check_host(struct decoder *d, const struct node_path *path, const void *object,
                const struct yaml_node *node);
/* Of a job: its keys about hosts, with the others. */
void check_fan_out(struct decoder *d, const struct node_path *path, const struct spec_job *job,
                   const struct yaml_node *node);
void check_cache(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node);
void check_job(struct decoder *d, const struct node_path *path, const void *object,
               const struct yaml_node *node);
void check_artifact(struct decoder *d, const struct node_path *path, const void *object,
                    const struct yaml_node *node);
void check_dependency(struct decoder *d, const struct node_path *path, const void *object,
                      const struct yaml_node *node);
void check_matrix(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node);
void check_secret(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node);
void check_input(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node);
void check_step(struct decoder *d, const struct node_path *path, const void *object,
                const struct yaml_node *node);
void check_deploy(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node);
void check_notify(struct decoder *d, const struct node_path *path, const void *object,
                  const struct yaml_node *node);
void check_service(struct decoder *d, const struct node_path *path, const void *object,
                   const struct yaml_node *node);
void check_ready(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node);
void check_pod_volume(struct decoder *d, const struct node_path *path, const void *object,
                      const struct yaml_node *node);
void check_workspace(struct decoder *d, const struct node_path *path, const void *object,
                     const struct yaml_node *node);
/* Of a step with a `type`. `has_command`: it has a command, be it one that is wrong. */
void check_step_type(struct decoder *d, const struct node_path *path, const struct spec_step *step,
                     bool has_command, const struct yaml_node *node);
