#include "engine/ssh/ssh.h"

#include "engine/ssh/instance.h"

static bool shares_workspace(const struct ctx *ctx, struct place *place)
{
    (void)ctx;
    (void)place;
    return false;
}

/* What a dead runner left has ended by itself, or does so within LANE_LEASE_MS (machine.h). */
static int sweep(const struct ctx *ctx, struct engine_instance *instance,
                 const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    (void)ctx;
    (void)instance;
    (void)request;
    (void)err;
    *ret_count = 0;
    return 0;
}

const struct engine ssh_engine = {
    .name = "ssh",
    .capabilities = ENGINE_REMOTE,
    .connect = ssh_instance_connect,
    .disconnect = ssh_instance_disconnect,
    .probe = ssh_instance_probe,
    .mend = ssh_instance_mend,
    .open = ssh_place_open,
    .run = ssh_place_run,
    .check = ssh_place_check,
    .shares_workspace = shares_workspace,
    .get = ssh_place_get,
    .put = ssh_place_put,
    .close = ssh_place_close,
    .sweep = sweep,
};
