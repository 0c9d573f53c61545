#include "apis/docker/client.h"

#include "base/json_at.h"

int docker_system_version(const struct ctx *ctx, struct docker_client *docker, json_t **ret,
                          struct err *err)
{
    return docker_call(ctx, docker, "GET", "/version", NULL, 0, ret, err);
}

static bool has_rootless(const json_t *info)
{
    struct strvec options = {0};
    bool found = false;

    json_at_strvec(info, "SecurityOptions", &options);
    for (size_t i = 0; i < options.len; i++)
        found = found || strstr(options.items[i], "name=rootless");
    strvec_release(&options);
    return found;
}

int docker_system_info(const struct ctx *ctx, struct docker_client *docker, struct docker_info *ret,
                       struct err *err)
{
    json_t *info;

    if (docker_call(ctx, docker, "GET", "/info", NULL, 0, &info, err) < 0)
        return -1;
    *ret = (struct docker_info){
        .name = json_at_dup(info, "Name"),
        .server_version = json_at_dup(info, "ServerVersion"),
        .operating_system = json_at_dup(info, "OperatingSystem"),
        .os_type = json_at_dup(info, "OSType"),
        .architecture = json_at_dup(info, "Architecture"),
        .kernel_version = json_at_dup(info, "KernelVersion"),
        .storage_driver = json_at_dup(info, "Driver"),
        .cgroup_driver = json_at_dup(info, "CgroupDriver"),
        .cgroup_version = json_at_dup(info, "CgroupVersion"),
        .root_dir = json_at_dup(info, "DockerRootDir"),
        .system_time = json_at_dup(info, "SystemTime"),
        .swarm_state = json_at_dup(info, "Swarm.LocalNodeState"),
        .swarm_node_id = json_at_dup(info, "Swarm.NodeID"),
        .swarm_manager = json_at_bool(info, "Swarm.ControlAvailable"),
        .rootless = has_rootless(info),
        .cpu_count = json_at_int(info, "NCPU"),
        .memory_bytes = json_at_int(info, "MemTotal"),
    };
    json_decref(info);
    return 0;
}

void docker_info_release(struct docker_info *info)
{
    free(info->name);
    free(info->server_version);
    free(info->operating_system);
    free(info->os_type);
    free(info->architecture);
    free(info->kernel_version);
    free(info->storage_driver);
    free(info->cgroup_driver);
    free(info->cgroup_version);
    free(info->root_dir);
    free(info->system_time);
    free(info->swarm_state);
    free(info->swarm_node_id);
    *info = (struct docker_info){0};
}
