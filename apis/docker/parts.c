#include "apis/docker/parts.h"

enum {
    API_CREATE_MOUNTPOINT = 43,
    API_START_INTERVAL = 44,
    API_READ_ONLY_RECURSIVE = 44,
    API_VOLUME_SUBPATH = 45,
};

static int64_t ns(int64_t ms)
{
    return ms * 1000000;
}

void part_healthcheck(struct body *body, json_t *parent, const char *key,
                      const struct docker_healthcheck *h, int api_minor)
{
    json_t *check;

    if (!h)
        return;
    check = body_object(body, parent, key);
    body_list(body, check, "Test", h->test);
    body_int(check, "Interval", ns(h->interval_ms));
    body_int(check, "Timeout", ns(h->timeout_ms));
    body_int(check, "StartPeriod", ns(h->start_period_ms));
    if (api_minor >= API_START_INTERVAL)
        body_int(check, "StartInterval", ns(h->start_interval_ms));
    body_int(check, "Retries", h->retries);
}

static void add_volume_options(struct body *b, json_t *mount, const struct docker_mount *m,
                               int api_minor)
{
    if (m->source)
        body_object(b, mount, "VolumeOptions");
    if (m->volume_nocopy)
        body_true(body_object(b, mount, "VolumeOptions"), "NoCopy", true);
    if (m->volume_subpath && api_minor >= API_VOLUME_SUBPATH)
        body_str(b, body_object(b, mount, "VolumeOptions"), "Subpath", m->volume_subpath);
    if (m->volume_labels && m->volume_labels->len)
        body_map(b, body_object(b, mount, "VolumeOptions"), "Labels", m->volume_labels);
    if (m->volume_driver || (m->volume_options && m->volume_options->len))
        part_driver(b, body_object(b, mount, "VolumeOptions"), "DriverConfig", "Name",
                    m->volume_driver ? m->volume_driver : "", "Options", m->volume_options);
}

json_t *part_mount(struct body *body, const struct docker_mount *m, int api_minor)
{
    static const char *const types[] = {
        [DOCKER_MOUNT_BIND] = "bind",
        [DOCKER_MOUNT_VOLUME] = "volume",
        [DOCKER_MOUNT_TMPFS] = "tmpfs",
    };
    json_t *mount = json_object();

    body_str(body, mount, "Type", types[m->type]);
    body_str(body, mount, "Source", m->source);
    body_str(body, mount, "Target", m->target);
    body_true(mount, "ReadOnly", m->read_only);
    body_str(body, mount, "Consistency", m->consistency);
    switch (m->type) {
    case DOCKER_MOUNT_BIND:
        if (m->propagation)
            body_str(body, body_object(body, mount, "BindOptions"), "Propagation", m->propagation);
        if (m->create_mountpoint && api_minor >= API_CREATE_MOUNTPOINT)
            body_true(body_object(body, mount, "BindOptions"), "CreateMountpoint", true);
        if (m->nonrecursive)
            body_true(body_object(body, mount, "BindOptions"), "NonRecursive", true);
        if (m->read_only_nonrecursive && api_minor >= API_READ_ONLY_RECURSIVE)
            body_true(body_object(body, mount, "BindOptions"), "ReadOnlyNonRecursive", true);
        if (m->read_only_recursive && api_minor >= API_READ_ONLY_RECURSIVE)
            body_true(body_object(body, mount, "BindOptions"), "ReadOnlyForceRecursive", true);
        break;
    case DOCKER_MOUNT_VOLUME:
        add_volume_options(body, mount, m, api_minor);
        break;
    case DOCKER_MOUNT_TMPFS:
        if (m->tmpfs_size_bytes)
            body_int(body_object(body, mount, "TmpfsOptions"), "SizeBytes", m->tmpfs_size_bytes);
        if (m->tmpfs_mode)
            body_int(body_object(body, mount, "TmpfsOptions"), "Mode", m->tmpfs_mode);
        break;
    }
    return mount;
}

void part_ulimits(struct body *body, json_t *parent, const char *key,
                  const struct docker_ulimit *ulimits, size_t count)
{
    json_t *list;

    if (!count)
        return;
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *ulimit = json_object();

        body_str(body, ulimit, "Name", ulimits[i].name);
        json_object_set_new(ulimit, "Soft", json_integer(ulimits[i].soft));
        json_object_set_new(ulimit, "Hard", json_integer(ulimits[i].hard));
        json_array_append_new(list, ulimit);
    }
    json_object_set_new(parent, key, list);
}

void part_driver(struct body *body, json_t *parent, const char *key, const char *name_key,
                 const char *name, const char *options_key, const struct strmap *options)
{
    json_t *driver;

    if (!name)
        return;
    driver = body_object(body, parent, key);
    body_str(body, driver, name_key, name);
    body_map(body, driver, options_key, options);
}
