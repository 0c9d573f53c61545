#include "spec/spec.h"

#include <stdlib.h>

void spec_common_init(struct spec_common *common)
{
    *common = (struct spec_common){.timeout_ms = SPEC_UNSET,
                                   .grace_ms = SPEC_UNSET,
                                   .schedule_timeout_ms = SPEC_UNSET};
}

void spec_resources_init(struct spec_resources *resources)
{
    *resources = (struct spec_resources){.cpus_milli = SPEC_UNSET,
                                         .memory_bytes = SPEC_UNSET,
                                         .pids = SPEC_UNSET,
                                         .shm_bytes = SPEC_UNSET,
                                         .disk_bytes = SPEC_UNSET};
}

void spec_retry_init(struct spec_retry *retry)
{
    *retry = (struct spec_retry){.attempts = SPEC_UNSET,
                                 .again = SPEC_UNSET,
                                 .delay_ms = SPEC_UNSET,
                                 .max_delay_ms = SPEC_UNSET};
}

void spec_matrix_init(struct spec_matrix *matrix)
{
    *matrix = (struct spec_matrix){.max_parallel = SPEC_UNSET};
}

void spec_fan_out_init(struct spec_fan_out *fan_out)
{
    *fan_out = (struct spec_fan_out){.max_parallel = SPEC_UNSET};
}

void spec_ready_init(struct spec_ready *ready)
{
    *ready = (struct spec_ready){.timeout_ms = SPEC_UNSET, .interval_ms = SPEC_UNSET};
}

void spec_container_init(struct spec_container *container)
{
    *container = (struct spec_container){.pull_timeout_ms = SPEC_UNSET};
}

void spec_service_init(struct spec_service *service)
{
    struct spec_str name = service->name; /* its key was there before it */

    *service = (struct spec_service){.name = name, .grace_ms = SPEC_UNSET};
    spec_container_init(&service->container);
}

void spec_config_init(struct spec_config *config)
{
    *config = (struct spec_config){.depth = SPEC_UNSET};
}

void spec_deployment_init(struct spec_deployment *deployment)
{
    *deployment = (struct spec_deployment){.timeout_ms = SPEC_UNSET};
}

const char *spec_type_name(enum spec_type type)
{
    static const char *const names[SPEC_TYPE_COUNT] = {
        [SPEC_TYPE_UNSET] = "",
        [SPEC_TYPE_FETCH_CODE] = "fetch_code",
        [SPEC_TYPE_BUILD] = "build",
        [SPEC_TYPE_TEST] = "test",
        [SPEC_TYPE_SECURITY_SCAN] = "security_scan",
        [SPEC_TYPE_DEPLOY] = "deploy",
        [SPEC_TYPE_NOTIFY] = "notify",
        [SPEC_TYPE_CUSTOM] = "custom",
    };

    return names[type];
}

void spec_json_release(struct spec_json *json)
{
    json_decref(json->value);
    free(json->strings);
    *json = (struct spec_json){0};
}

static void free_json(struct spec_json *json)
{
    if (!json)
        return;
    spec_json_release(json);
    free(json);
}

static void release_strs(struct spec_strs *strs)
{
    for (size_t i = 0; i < strs->len; i++)
        free(strs->items[i].text);
    free(strs->items);
}

static void release_pairs(struct spec_pairs *pairs)
{
    for (size_t i = 0; i < pairs->len; i++) {
        free(pairs->items[i].key);
        free(pairs->items[i].value.text);
    }
    free(pairs->items);
}

static void release_matches(struct spec_matches *matches)
{
    for (size_t i = 0; i < matches->len; i++) {
        free(matches->items[i].key);
        release_strs(&matches->items[i].values);
    }
    free(matches->items);
}

static void free_pairs_list(struct spec_pairs *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        release_pairs(&list[i]);
    free(list);
}

static void free_when(struct spec_when *when)
{
    if (!when)
        return;
    release_matches(&when->env);
    release_strs(&when->exists);
    release_strs(&when->changed);
    release_strs(&when->branch);
    release_strs(&when->event);
    release_strs(&when->status);
    free(when->expr.text);
    free(when);
}

static void free_flow(struct spec_flow *flow)
{
    if (!flow)
        return;
    free(flow->condition.text);
    free_when(flow->when);
    for (size_t i = 0; i < flow->depends_on_count; i++)
        free(flow->depends_on[i].name.text);
    free(flow->depends_on);
    free(flow->allow_failure.codes);
    free(flow);
}

static void free_retry(struct spec_retry *retry)
{
    if (!retry)
        return;
    release_strs(&retry->on);
    release_strs(&retry->not_on);
    free(retry);
}

static void free_concurrency(struct spec_concurrency *concurrency)
{
    if (!concurrency)
        return;
    free(concurrency->group.text);
    free(concurrency);
}

static void free_matrix(struct spec_matrix *matrix)
{
    if (!matrix)
        return;
    release_matches(&matrix->axes);
    free_pairs_list(matrix->include, matrix->include_count);
    free_pairs_list(matrix->exclude, matrix->exclude_count);
    free(matrix);
}

static void release_post(struct spec_post *post)
{
    free(post->always.text);
    free(post->success.text);
    free(post->failure.text);
    free(post->cancelled.text);
}

static void release_common(struct spec_common *common)
{
    release_pairs(&common->environment);
    free(common->workdir.text);
    free(common->image.text);
    free(common->engine.text);
    free(common->shell.text);
    free(common->image_registry.text);
    free(common->image_registry_username.text);
    free(common->image_registry_password.text);
    free(common->data_dir_outer.text);
    free(common->data_dir_inner.text);
    free(common->user.text);
    free(common->resources);
    free(common->pull);
    free_json(common->kubernetes);
}

static void free_security(struct spec_security *security)
{
    if (!security)
        return;
    release_strs(&security->cap_add);
    release_strs(&security->cap_drop);
    free(security->userns.text);
    free(security->seccomp.text);
    free(security);
}

static void release_container(struct spec_container *container)
{
    free(container->platform.text);
    release_strs(&container->volumes);
    free(container->network.text);
    release_strs(&container->entrypoint);
    free_security(container->security);
    free_json(container->kubernetes);
}

static void free_container(struct spec_container *container)
{
    if (!container)
        return;
    release_container(container);
    free(container);
}

static void free_caches(struct spec_cache *caches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(caches[i].key.text);
        release_strs(&caches[i].paths);
        release_strs(&caches[i].restore_keys);
        free(caches[i].store.text);
    }
    free(caches);
}

static void free_deployment(struct spec_deployment *deployment)
{
    if (!deployment)
        return;
    free(deployment->name.text);
    free(deployment->config.text);
    free(deployment);
}

static void free_plugin(struct spec_plugin *plugin)
{
    if (!plugin)
        return;
    free(plugin->image.text);
    release_pairs(&plugin->settings);
    free(plugin->entrypoint.text);
    free(plugin->image_registry.text);
    free(plugin->image_registry_username.text);
    free(plugin->image_registry_password.text);
    free(plugin);
}

static void free_language(struct spec_language *language)
{
    if (!language)
        return;
    free(language->name.text);
    free(language->version.text);
    free(language->image.text);
    free(language);
}

static void free_config(struct spec_config *config)
{
    if (!config)
        return;
    free(config->path.text);
    release_strs(&config->args);
    release_strs(&config->targets);
    free(config->repository.text);
    free(config->ref.text);
    free(config->username.text);
    free(config->password.text);
    free(config->image.text);
    free(config->report.text);
    release_strs(&config->source);
    free(config->destination.text);
    free(config->url.text);
    free(config->message.text);
    free(config->body.text);
    release_pairs(&config->headers);
    release_pairs(&config->settings);
    free(config);
}

static void free_ready(struct spec_ready *ready)
{
    if (!ready)
        return;
    free(ready->tcp.text);
    free(ready->http.text);
    free(ready->command.text);
    free(ready->log.text);
    free(ready);
}

static void release_service(struct spec_service *service)
{
    free(service->name.text);
    free(service->image.text);
    release_pairs(&service->environment);
    release_strs(&service->command);
    release_strs(&service->ports);
    free(service->user.text);
    free(service->workdir.text);
    free(service->image_registry.text);
    free(service->image_registry_username.text);
    free(service->image_registry_password.text);
    free(service->resources);
    free_ready(service->ready);
    release_container(&service->container);
    free(service->pull);
}

static void release_services(struct spec_services *services)
{
    for (size_t i = 0; i < services->len; i++)
        release_service(&services->items[i]);
    free(services->items);
}

static void release_artifacts(struct spec_artifacts *artifacts)
{
    for (size_t i = 0; i < artifacts->len; i++) {
        struct spec_artifact *a = &artifacts->items[i];

        free(a->name.text);
        release_strs(&a->paths);
        release_strs(&a->exclude);
        release_strs(&a->from);
        free(a->expire_in.text);
        free(a->store.text);
    }
    free(artifacts->items);
}

static void release_step(struct spec_step *step)
{
    release_common(&step->common);
    free(step->name.text);
    free(step->id.text);
    free(step->command.text);
    free_flow(step->flow);
    free_retry(step->retry);
    free_caches(step->caches, step->cache_count);
    free_container(step->container);
    free_plugin(step->plugin);
    free_language(step->language);
    free_deployment(step->deployment);
    free_config(step->config);
    release_artifacts(&step->artifacts);
    free_ready(step->ready);
}

static void free_fan_out(struct spec_fan_out *fan_out)
{
    if (!fan_out)
        return;
    release_strs(&fan_out->run_on);
    release_strs(&fan_out->serial);
    free(fan_out->max_failures.text);
    free(fan_out);
}

static void release_job(struct spec_job *job)
{
    release_common(&job->common);
    free(job->name.text);
    free_flow(job->flow);
    free_retry(job->retry);
    free_matrix(job->matrix);
    free_fan_out(job->fan_out);
    free_concurrency(job->concurrency);
    free_caches(job->caches, job->cache_count);
    release_services(&job->services);
    free(job->pre.text);
    release_post(&job->post);
    release_artifacts(&job->artifacts);
    for (size_t i = 0; i < job->step_count; i++)
        release_step(&job->steps[i]);
    free(job->steps);
}

static void release_stage(struct spec_stage *stage)
{
    release_common(&stage->common);
    free(stage->name.text);
    free_flow(stage->flow);
    free(stage->pre.text);
    release_post(&stage->post);
    for (size_t i = 0; i < stage->job_count; i++)
        release_job(&stage->jobs[i]);
    free(stage->jobs);
}

static void release_input(struct spec_input *input)
{
    free(input->name.text);
    free(input->description.text);
    free(input->preset.text);
    release_strs(&input->options);
}

static void release_secret(struct spec_secret *secret)
{
    free(secret->name.text);
    free(secret->variable.text);
    free(secret->path.text);
}

void spec_hosts_release(struct spec_hosts *hosts)
{
    for (size_t i = 0; i < hosts->len; i++) {
        struct spec_host *host = &hosts->items[i];

        free(host->name.text);
        free(host->engine.text);
        release_strs(&host->roles);
        release_pairs(&host->environment);
        release_pairs(&host->vars);
    }
    free(hosts->items);
    *hosts = (struct spec_hosts){0};
}

void spec_pipeline_free(struct spec_pipeline *pipeline)
{
    if (!pipeline)
        return;
    release_common(&pipeline->common);
    free(pipeline->file);
    free(pipeline->name.text);
    release_services(&pipeline->services);
    free(pipeline->pre.text);
    release_post(&pipeline->post);
    for (size_t i = 0; i < pipeline->input_count; i++)
        release_input(&pipeline->inputs[i]);
    free(pipeline->inputs);
    release_strs(&pipeline->env_files);
    for (size_t i = 0; i < pipeline->secret_count; i++)
        release_secret(&pipeline->secrets[i]);
    free(pipeline->secrets);
    spec_hosts_release(&pipeline->hosts);
    free(pipeline->hosts_file.text);
    free_concurrency(pipeline->concurrency);
    for (size_t i = 0; i < pipeline->stage_count; i++)
        release_stage(&pipeline->stages[i]);
    free(pipeline->stages);
    for (size_t i = 0; i < pipeline->finally_count; i++)
        release_stage(&pipeline->finally[i]);
    free(pipeline->finally);
    free(pipeline);
}
