#include "apis/docker/service.h"

#include "base/alloc.h"
#include "base/json_at.h"

static const char *const states[] = {
    [DOCKER_TASK_UNKNOWN] = "unknown",     [DOCKER_TASK_NEW] = "new",
    [DOCKER_TASK_ALLOCATED] = "allocated", [DOCKER_TASK_PENDING] = "pending",
    [DOCKER_TASK_ASSIGNED] = "assigned",   [DOCKER_TASK_ACCEPTED] = "accepted",
    [DOCKER_TASK_PREPARING] = "preparing", [DOCKER_TASK_READY] = "ready",
    [DOCKER_TASK_STARTING] = "starting",   [DOCKER_TASK_RUNNING] = "running",
    [DOCKER_TASK_COMPLETE] = "complete",   [DOCKER_TASK_SHUTDOWN] = "shutdown",
    [DOCKER_TASK_FAILED] = "failed",       [DOCKER_TASK_REJECTED] = "rejected",
    [DOCKER_TASK_REMOVE] = "remove",       [DOCKER_TASK_ORPHANED] = "orphaned",
};

const char *docker_task_state_name(enum docker_task_state state)
{
    return states[state];
}

static enum docker_task_state state_of(const json_t *task, const char *path)
{
    const char *name = json_at_string(task, path);

    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        if (strcmp(states[i], name) == 0)
            return (enum docker_task_state)i;
    }
    return DOCKER_TASK_UNKNOWN;
}

static struct docker_task read_task(const json_t *entry)
{
    return (struct docker_task){
        .id = json_at_dup(entry, "ID"),
        .service_id = json_at_dup(entry, "ServiceID"),
        .node_id = json_at_dup(entry, "NodeID"),
        .container_id = json_at_dup(entry, "Status.ContainerStatus.ContainerID"),
        .image = json_at_dup(entry, "Spec.ContainerSpec.Image"),
        .message = json_at_dup(entry, "Status.Message"),
        .error = json_at_dup(entry, "Status.Err"),
        .created = json_at_dup(entry, "CreatedAt"),
        .changed = json_at_dup(entry, "Status.Timestamp"),
        .slot = json_at_int(entry, "Slot"),
        .exit_code = json_at_int(entry, "Status.ContainerStatus.ExitCode"),
        .job_iteration = json_at_int(entry, "JobIteration.Index"),
        .state = state_of(entry, "Status.State"),
        .desired_state = state_of(entry, "DesiredState"),
        .tty = json_at_bool(entry, "Spec.ContainerSpec.TTY"),
        .spec = json_incref((json_t *)json_at(entry, "Spec")),
    };
}

int docker_task_list(const struct ctx *ctx, struct docker_client *docker,
                     const struct docker_filter *filters, size_t filter_count,
                     struct docker_task_list *ret, struct err *err)
{
    json_t *body;
    json_t *entry;
    size_t i;

    if (docker_call_list(ctx, docker, "/tasks", filters, filter_count, &body, err) < 0)
        return -1;
    ret->items = xcalloc(json_array_size(body) + 1, sizeof(*ret->items));
    ret->len = json_array_size(body);
    json_array_foreach (body, i, entry) {
        ret->items[i] = read_task(entry);
    }
    json_decref(body);
    return 0;
}

void docker_task_list_release(struct docker_task_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        struct docker_task *t = &list->items[i];

        free(t->id);
        free(t->service_id);
        free(t->node_id);
        free(t->container_id);
        free(t->image);
        free(t->message);
        free(t->error);
        free(t->created);
        free(t->changed);
        json_decref(t->spec);
    }
    free(list->items);
    *list = (struct docker_task_list){0};
}
