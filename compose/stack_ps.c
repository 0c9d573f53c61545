#include <string.h>

#include "apis/docker/swarm.h"
#include "base/alloc.h"
#include "compose/stack_internal.h"

static const char *node_name(const struct docker_node_list *nodes, const char *id)
{
    for (size_t i = 0; i < nodes->len; i++) {
        if (strcmp(nodes->items[i].id, id) == 0)
            return nodes->items[i].hostname;
    }
    return id;
}

static const struct docker_service *service_of(const struct docker_service_list *services,
                                               const char *id)
{
    for (size_t i = 0; i < services->len; i++) {
        if (strcmp(services->items[i].id, id) == 0)
            return &services->items[i];
    }
    return NULL;
}

/* service: NULL if it has been removed. */
static struct stack_task to_task(const struct docker_task *task,
                                 const struct docker_service *service, const char *node)
{
    const char *name = service ? service->name : task->service_id;

    return (struct stack_task){
        .id = xstrdup(task->id),
        .name = service && stack_is_global(service)
                    ? xasprintf("%s.%s", name, task->node_id)
                    : xasprintf("%s.%jd", name, (intmax_t)task->slot),
        .service = xstrdup(name),
        .image = xstrdup(task->image),
        .node = xstrdup(node),
        .desired_state = docker_task_state_name(task->desired_state),
        .state = docker_task_state_name(task->state),
        .created = xstrdup(task->created),
        .since = xstrdup(task->changed),
        .error = xstrdup(task->error),
        .exit_code = task->exit_code,
    };
}

/* By name, "web.2" before "web.10"; the newest first. */
static int by_name(const void *a, const void *b)
{
    const struct stack_task *left = a;
    const struct stack_task *right = b;
    int order = strverscmp(left->name, right->name);

    return order ? order : stack_time_compare(right->created, left->created);
}

int stack_ps(const struct ctx *ctx, struct docker_client *docker, const char *name,
             struct stack_task_list *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct docker_filter filter = stack_filter(name, &text);
    CLEANUP_DOCKER_SERVICE_LIST struct docker_service_list services = {0};
    CLEANUP_DOCKER_TASK_LIST struct docker_task_list tasks = {0};
    CLEANUP_DOCKER_NODE_LIST struct docker_node_list nodes = {0};

    if (stack_check_name(name, err) < 0 || docker_swarm_check_manager(ctx, docker, err) < 0 ||
        docker_service_list(ctx, docker, &filter, 1, &services, err) < 0 ||
        docker_task_list(ctx, docker, &filter, 1, &tasks, err) < 0 ||
        docker_node_list(ctx, docker, NULL, 0, &nodes, err) < 0)
        return -1;
    if (!services.len && !tasks.len)
        return err_set(err, ERR_NOT_FOUND, "there is nothing of a stack \"%s\"", name);
    ret->items = xcalloc(tasks.len + 1, sizeof(*ret->items));
    ret->len = tasks.len;
    for (size_t i = 0; i < tasks.len; i++) {
        const struct docker_task *task = &tasks.items[i];

        ret->items[i] = to_task(task, service_of(&services, task->service_id),
                                node_name(&nodes, task->node_id));
    }
    qsort(ret->items, ret->len, sizeof(*ret->items), by_name);
    return 0;
}

void stack_task_list_release(struct stack_task_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        struct stack_task *t = &list->items[i];

        free(t->id);
        free(t->name);
        free(t->service);
        free(t->image);
        free(t->node);
        free(t->created);
        free(t->since);
        free(t->error);
    }
    free(list->items);
    *list = (struct stack_task_list){0};
}
