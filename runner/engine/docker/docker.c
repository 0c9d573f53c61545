#include "engine/docker/docker.h"

#include "engine/docker/check.h"
#include "engine/docker/copy.h"
#include "engine/docker/instance.h"
#include "engine/docker/place.h"
#include "engine/docker/sweep.h"

const struct engine docker_engine = {
    .name = "docker",
    .capabilities = ENGINE_CONTAINERS | ENGINE_SERVICES,
    .connect = docker_instance_connect,
    .disconnect = docker_instance_disconnect,
    .prefetch = docker_instance_prefetch,
    .probe = docker_instance_probe,
    .mend = docker_instance_mend,
    .open = docker_place_open,
    .prepare = docker_place_prepare,
    .run = docker_place_run,
    .check = docker_place_check,
    .shares_workspace = docker_place_shares_workspace,
    .get = docker_place_get,
    .put = docker_place_put,
    .published = docker_place_published,
    .close = docker_place_close,
    .sweep = docker_instance_sweep,
};
