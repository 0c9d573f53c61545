/* Resources, devices and limits of a service. */
#include "compose/recipe.h"

#include "base/alloc.h"

static int64_t milli_of(double cpus)
{
    return (int64_t)(cpus * 1000 + 0.5);
}

static void add_ulimits(const json_t *service, struct compose_recipe *r)
{
    const char *name;
    json_t *value;

    json_object_foreach (json_object_get(service, "ulimits"), name, value) {
        struct docker_ulimit limit = {.name = name};

        if (json_is_integer(value)) {
            limit.soft = limit.hard = json_integer_value(value);
        } else {
            limit.soft = compose_int(value, "soft", 0);
            limit.hard = compose_int(value, "hard", 0);
        }
        vec_push(&r->ulimits, limit);
    }
    r->create.ulimits = r->ulimits.items;
    r->create.ulimit_count = r->ulimits.len;
}

static void add_devices(const json_t *service, struct compose_recipe *r)
{
    size_t i;
    json_t *device;

    json_array_foreach (json_object_get(service, "devices"), i, device)
        vec_push(&r->devices, ((struct docker_device){
                                  .host_path = compose_string(device, "source"),
                                  .container_path = compose_string(device, "target"),
                                  .permissions = compose_string(device, "permissions"),
                              }));
    r->create.devices = r->devices.items;
    r->create.device_count = r->devices.len;
    if (compose_strings(service, "device_cgroup_rules", &r->lists[RECIPE_DEVICE_RULES]))
        r->create.device_cgroup_rules = (const char *const *)r->lists[RECIPE_DEVICE_RULES].items;
}

static const struct docker_blkio_rate *rates(struct compose_recipe *r, const json_t *config,
                                             const char *name, const char *member)
{
    const json_t *list = json_object_get(config, name);
    struct docker_blkio_rate *out;
    size_t i;
    json_t *entry;

    if (!json_array_size(list))
        return NULL;
    out = arena_alloc(&r->arena, (json_array_size(list) + 1) * sizeof(*out));
    json_array_foreach (list, i, entry) {
        const json_t *value = json_object_get(entry, member);

        out[i].path = compose_string(entry, "path");
        out[i].rate =
            json_is_integer(value) ? json_integer_value(value) : compose_bytes(entry, member, 0);
    }
    return out;
}

static void add_blkio(const json_t *service, struct compose_recipe *r)
{
    const json_t *config = json_object_get(service, "blkio_config");

    r->create.blkio = (struct docker_blkio){
        .weight = compose_int(config, "weight", 0),
        .weight_devices = rates(r, config, "weight_device", "weight"),
        .read_bps = rates(r, config, "device_read_bps", "rate"),
        .write_bps = rates(r, config, "device_write_bps", "rate"),
        .read_iops = rates(r, config, "device_read_iops", "rate"),
        .write_iops = rates(r, config, "device_write_iops", "rate"),
    };
}

/* What deploy says goes over the older attributes. */
static void add_deploy(const json_t *service, struct docker_create *c)
{
    const json_t *resources = json_object_get(json_object_get(service, "deploy"), "resources");
    const json_t *limits = json_object_get(resources, "limits");
    const json_t *reservations = json_object_get(resources, "reservations");
    double cpus = compose_number(limits, "cpus", 0);

    if (cpus > 0)
        c->cpus_milli = milli_of(cpus);
    c->memory_bytes = compose_bytes(limits, "memory", c->memory_bytes);
    c->pids_limit = compose_int(limits, "pids", c->pids_limit);
    c->memory_reservation_bytes =
        compose_bytes(reservations, "memory", c->memory_reservation_bytes);
}

void compose_recipe_limits(const json_t *service, struct compose_recipe *r)
{
    struct docker_create *c = &r->create;

    c->cpus_milli = milli_of(compose_number(service, "cpus", 0));
    c->cpu_shares = compose_int(service, "cpu_shares", 0);
    c->cpu_period_us = compose_int(service, "cpu_period", 0);
    c->cpu_quota_us = compose_int(service, "cpu_quota", 0);
    c->cpu_realtime_period_us = compose_int(service, "cpu_rt_period", 0);
    c->cpu_realtime_runtime_us = compose_int(service, "cpu_rt_runtime", 0);
    c->cpu_count = compose_int(service, "cpu_count", 0);
    c->cpu_percent = (int64_t)compose_number(service, "cpu_percent", 0);
    c->cpuset_cpus = compose_string(service, "cpuset");
    c->memory_bytes = compose_bytes(service, "mem_limit", 0);
    c->memory_swap_bytes = compose_bytes(service, "memswap_limit", 0);
    c->memory_reservation_bytes = compose_bytes(service, "mem_reservation", 0);
    if (json_object_get(service, "mem_swappiness")) {
        r->swappiness = compose_bytes(service, "mem_swappiness", 0);
        c->memory_swappiness = &r->swappiness;
    }
    c->oom_kill_disable = compose_bool(service, "oom_kill_disable", false);
    c->oom_score_adj = (int)compose_int(service, "oom_score_adj", 0);
    c->pids_limit = compose_int(service, "pids_limit", 0);
    c->shm_bytes = compose_bytes(service, "shm_size", 0);
    add_deploy(service, c);
    add_ulimits(service, r);
    add_devices(service, r);
    add_blkio(service, r);
}
