#include "apis/docker/swarm.h"

#include "apis/docker/body.h"
#include "base/alloc.h"
#include "base/json_at.h"

int docker_swarm_init(const struct ctx *ctx, struct docker_client *docker,
                      const struct docker_swarm_init *options, char **ret_node_id, struct err *err)
{
    const char *listen = options->listen_address ? options->listen_address : "0.0.0.0:2377";
    struct body b;
    json_t *body;
    json_t *answer;
    int result;

    body_init(&b);
    body_str(&b, b.root, "ListenAddr", listen);
    body_str(&b, b.root, "AdvertiseAddr", options->advertise_address);
    body_true(b.root, "ForceNewCluster", options->force_new_cluster);
    body_object(&b, NULL, "Spec");
    body = body_done(&b, err);
    if (!body)
        return -1;
    result = docker_call_create(ctx, docker, "/swarm/init", body, &answer, err);
    json_decref(body);
    if (result < 0)
        return -1;
    if (ret_node_id)
        *ret_node_id = xstrdup(json_is_string(answer) ? json_string_value(answer) : "");
    json_decref(answer);
    return 0;
}

int docker_swarm_leave(const struct ctx *ctx, struct docker_client *docker, bool force,
                       struct err *err)
{
    return docker_call(ctx, docker, "POST", force ? "/swarm/leave?force=1" : "/swarm/leave", NULL,
                       0, NULL, err);
}

int docker_swarm_check_manager(const struct ctx *ctx, struct docker_client *docker, struct err *err)
{
    CLEANUP_DOCKER_INFO struct docker_info info = {0};
    const char *peer = http_client_peer(docker_client_http(docker));

    if (docker_system_info(ctx, docker, &info, err) < 0)
        return -1;
    if (info.swarm_manager)
        return 0;
    if (strcmp(info.swarm_state, "locked") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "the swarm of %s is locked; unlock it with \"docker swarm unlock\"", peer);
    if (strcmp(info.swarm_state, "active") == 0 || strcmp(info.swarm_state, "pending") == 0)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s is a worker of its swarm; set DOCKER_HOST to a manager, or make it one "
                       "with \"docker node promote\" there",
                       peer);
    return err_set(err, ERR_UNAVAILABLE,
                   "%s is not part of a swarm; make one with \"docker swarm init\", or set "
                   "DOCKER_HOST to a manager of one",
                   peer);
}

static struct docker_node read_node(const json_t *entry)
{
    struct docker_node n = {
        .id = json_at_dup(entry, "ID"),
        .hostname = json_at_dup(entry, "Description.Hostname"),
        .role = json_at_dup(entry, "Spec.Role"),
        .availability = json_at_dup(entry, "Spec.Availability"),
        .state = json_at_dup(entry, "Status.State"),
        .message = json_at_dup(entry, "Status.Message"),
        .address = json_at_dup(entry, "Status.Addr"),
        .os = json_at_dup(entry, "Description.Platform.OS"),
        .architecture = json_at_dup(entry, "Description.Platform.Architecture"),
        .nano_cpus = json_at_int(entry, "Description.Resources.NanoCPUs"),
        .memory_bytes = json_at_int(entry, "Description.Resources.MemoryBytes"),
        .leader = json_at_bool(entry, "ManagerStatus.Leader"),
    };

    json_at_strmap(entry, "Spec.Labels", &n.labels);
    return n;
}

int docker_node_list(const struct ctx *ctx, struct docker_client *docker,
                     const struct docker_filter *filters, size_t filter_count,
                     struct docker_node_list *ret, struct err *err)
{
    json_t *body;
    json_t *entry;
    size_t i;

    if (docker_call_list(ctx, docker, "/nodes", filters, filter_count, &body, err) < 0)
        return -1;
    ret->items = xcalloc(json_array_size(body) + 1, sizeof(*ret->items));
    ret->len = json_array_size(body);
    json_array_foreach (body, i, entry) {
        ret->items[i] = read_node(entry);
    }
    json_decref(body);
    return 0;
}

void docker_node_list_release(struct docker_node_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        struct docker_node *n = &list->items[i];

        free(n->id);
        free(n->hostname);
        free(n->role);
        free(n->availability);
        free(n->state);
        free(n->message);
        free(n->address);
        free(n->os);
        free(n->architecture);
        strmap_release(&n->labels);
    }
    free(list->items);
    *list = (struct docker_node_list){0};
}
