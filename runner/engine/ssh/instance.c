#include "engine/ssh/instance.h"

#include <string.h>

#include "base/alloc.h"
#include "engine/ssh/ssh.h"

/* Of a program that only looks, and has no run. */
#define NO_RUN "doctor"

int ssh_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                         const char *url, struct engine_instance **ret, struct err *err)
{
    CLEANUP_SSH_ENVIRONMENT struct ssh_environment environment = {0};
    struct ssh_instance *instance;
    struct ssh_target *target;

    if (!strstr(url, "://"))
        return err_set(err, ERR_NOT_FOUND, "no host is named: ssh://USER@HOST:PORT");
    ssh_environment_init(&environment);
    if (ssh_target_parse(ctx, url, &environment, &target, err) < 0)
        return -1;
    instance = xcalloc(1, sizeof(*instance));
    if (machine_init(&instance->machine, target, services->run ? own_run_id(services->run) : NO_RUN,
                     services->keep, err) < 0) {
        ssh_target_free(target);
        free(instance);
        return -1;
    }
    instance->engine = &ssh_engine;
    instance->target = target;
    if (links_open(ctx, &instance->machine.links, err) < 0) {
        ssh_instance_disconnect((struct engine_instance *)instance);
        return -1;
    }
    *ret = (struct engine_instance *)instance;
    return 0;
}

void ssh_instance_disconnect(struct engine_instance *opaque)
{
    struct ssh_instance *instance = (struct ssh_instance *)opaque;

    if (!instance)
        return;
    machine_release(&instance->machine);
    ssh_target_free(instance->target);
    free(instance);
}

int ssh_instance_probe(const struct ctx *ctx, struct engine_instance *opaque, struct buf *report,
                       struct err *err)
{
    struct ssh_instance *instance = (struct ssh_instance *)opaque;
    struct machine_base *base;

    if (machine_ensure(ctx, &instance->machine, &base, err) < 0)
        return -1;
    if (base->plain)
        buf_addf(report, "%s, a %s without the helper: process groups ended, no checkout; ",
                 instance->machine.name, base->uname);
    else
        buf_addf(report, "%s, whole trees ended; ", instance->machine.name);
    buf_addf(report, "steps run as %s in %s", instance->target->user, base->home);
    return 0;
}

const char *ssh_instance_mend(const struct err *err)
{
    switch (err->code) {
    case ERR_UNAVAILABLE:
        return "see that sshd runs there, and that the name, the port and the way are right";
    case ERR_DENIED:
        return "see that `ssh` with the same user, host and key logs in";
    default:
        return NULL;
    }
}
