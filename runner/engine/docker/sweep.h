/* Finding and removing what runs left on a daemon, by the labels alone.
 *
 * An object belongs to a run and an owner. The owner is dead when its process is; when that cannot
 * be told from here (another machine, another boot, another PID namespace) the run lives as long as
 * a holder or a watchdog of it runs, as these end with their runner, or while its newest object is
 * younger than a minute, as the lease may be about to be made. The container of a launcher has the
 * id of a run and no owner: it lives as long as it runs. Between two jobs, or while the first
 * image of one is pulled, a run has no containers: then it is given a day. Ages go by the daemon's
 * clock. */
#pragma once

#include "engine/docker/instance.h"

/* What is seen of a run whose owner cannot be. */
struct sweep_signs {
    bool lease;      /* something runs whose role is a lease */
    bool containers; /* there are any */
    int64_t age_s;   /* of its newest object */
};

/* Whether a container in that state, as the daemon calls it, goes on: one that is paused does when
 * somebody lets it. */
bool sweep_is_running(const char *state);
/* Whether what has that role and runs ends by itself when the run does. */
bool sweep_is_lease(const char *role);
/* Whether it lives. Pure. */
bool sweep_signs_of_life(const struct sweep_signs *signs);

int docker_instance_sweep(const struct ctx *ctx, struct engine_instance *instance,
                          const struct sweep_request *request, size_t *ret_count, struct err *err);
/* The containers and volumes of one place and of its steps. */
int sweep_place(const struct ctx *ctx, struct docker_instance *instance,
                struct docker_client *client, const char *run_id, const char *place_id,
                struct err *err) __attribute__((warn_unused_result));
