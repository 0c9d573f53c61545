#include "apis/docker/service.h"

#include "apis/docker/path.h"
#include "apis/docker/stream.h"
#include "base/alloc.h"
#include "base/json_at.h"

void docker_service_written_release(struct docker_service_written *w)
{
    free(w->id);
    strvec_release(&w->warnings);
    *w = (struct docker_service_written){0};
}

int docker_service_create_begin(const struct ctx *ctx, struct docker_client *docker, json_t *body,
                                const char *registry_auth, struct docker_pending **ret,
                                struct err *err)
{
    return docker_call_begin(ctx, docker, "POST", "/services/create", body, registry_auth, ret,
                             err);
}

int docker_service_update_begin(const struct ctx *ctx, struct docker_client *docker, const char *id,
                                int64_t version, json_t *body, const char *registry_auth,
                                struct docker_pending **ret, struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "services", id, "update");
    buf_addf(&path, "?version=%jd&registryAuthFrom=spec", (intmax_t)version);
    return docker_call_begin(ctx, docker, "POST", path.data, body, registry_auth, ret, err);
}

int docker_service_end(const struct ctx *ctx, struct docker_pending *pending,
                       struct docker_service_written *ret, struct err *err)
{
    json_t *answer;

    if (docker_call_end(ctx, pending, &answer, err) < 0)
        return -1;
    *ret = (struct docker_service_written){.id = json_at_dup(answer, "ID")};
    json_at_strvec(answer, "Warnings", &ret->warnings);
    if (*json_at_string(answer, "Warning")) /* as 20.10 says it on creation */
        strvec_push(&ret->warnings, json_at_string(answer, "Warning"));
    json_decref(answer);
    return 0;
}

static struct docker_service read_service(const json_t *body)
{
    struct docker_service s = {
        .id = json_at_dup(body, "ID"),
        .name = json_at_dup(body, "Spec.Name"),
        .version = json_at_int(body, "Version.Index"),
        .spec = json_incref((json_t *)json_at(body, "Spec")),
        .previous_spec = json_incref((json_t *)json_at(body, "PreviousSpec")),
        .ports = json_incref((json_t *)json_at(body, "Endpoint.Ports")),
        .update_state = json_at_dup(body, "UpdateStatus.State"),
        .update_message = json_at_dup(body, "UpdateStatus.Message"),
        .update_started = json_at_dup(body, "UpdateStatus.StartedAt"),
        .job_iteration = json_at_int(body, "JobStatus.JobIteration.Index"),
        .tty = json_at_bool(body, "Spec.TaskTemplate.ContainerSpec.TTY"),
    };

    json_at_strmap(body, "Spec.Labels", &s.labels);
    return s;
}

int docker_service_inspect(const struct ctx *ctx, struct docker_client *docker, const char *service,
                           struct docker_service *ret, struct err *err)
{
    json_t *body;

    if (docker_call_inspect(ctx, docker, "services", service, &body, err) < 0)
        return -1;
    *ret = read_service(body);
    json_decref(body);
    return 0;
}

int docker_service_list(const struct ctx *ctx, struct docker_client *docker,
                        const struct docker_filter *filters, size_t filter_count,
                        struct docker_service_list *ret, struct err *err)
{
    json_t *body;
    json_t *entry;
    size_t i;

    if (docker_call_list(ctx, docker, "/services", filters, filter_count, &body, err) < 0)
        return -1;
    ret->items = xcalloc(json_array_size(body) + 1, sizeof(*ret->items));
    ret->len = json_array_size(body);
    json_array_foreach (body, i, entry) {
        ret->items[i] = read_service(entry);
    }
    json_decref(body);
    return 0;
}

void docker_service_release(struct docker_service *s)
{
    free(s->id);
    free(s->name);
    strmap_release(&s->labels);
    json_decref(s->spec);
    json_decref(s->previous_spec);
    json_decref(s->ports);
    free(s->update_state);
    free(s->update_message);
    free(s->update_started);
    *s = (struct docker_service){0};
}

void docker_service_list_release(struct docker_service_list *list)
{
    for (size_t i = 0; i < list->len; i++)
        docker_service_release(&list->items[i]);
    free(list->items);
    *list = (struct docker_service_list){0};
}

int docker_service_remove(const struct ctx *ctx, struct docker_client *docker, const char *service,
                          struct err *err)
{
    CLEANUP_BUF struct buf path = BUF_INIT;

    docker_path(&path, "services", service, NULL);
    return docker_call(ctx, docker, "DELETE", path.data, NULL, 0, NULL, err);
}

int docker_service_logs(const struct ctx *ctx, struct docker_client *docker, const char *service,
                        const struct docker_logs *o, struct docker_frames *frames, struct err *err)
{
    return docker_logs_of(ctx, docker, "services", service, o, frames, err);
}

int docker_task_logs(const struct ctx *ctx, struct docker_client *docker, const char *task,
                     const struct docker_logs *o, struct docker_frames *frames, struct err *err)
{
    return docker_logs_of(ctx, docker, "tasks", task, o, frames, err);
}
