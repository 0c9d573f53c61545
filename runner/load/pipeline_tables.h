/* The tables of the pipeline file and what is checked beyond them. Private to load/. */
#pragma once

#include "load/table.h"

extern const struct table pipeline_table;
extern const struct table stage_table;
extern const struct table job_table;
extern const struct table step_table;

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
/* The node is the key. */
void check_service_name(struct decoder *d, const struct node_path *path, const struct field *field,
                        const struct yaml_node *node);
/* Checks of whole maps (struct table.check). */
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
void check_service(struct decoder *d, const struct node_path *path, const void *object,
                   const struct yaml_node *node);
void check_ready(struct decoder *d, const struct node_path *path, const void *object,
                 const struct yaml_node *node);
