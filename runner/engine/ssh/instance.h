/* Shared by the files of engine/ssh/. */
#pragma once

#include "engine/engine.h"
#include "engine/ssh/machine.h"

struct ssh_instance {
    const struct engine *engine;
    struct ssh_target *target;
    struct machine machine;
};

struct ssh_place {
    const struct engine *engine;
    struct ssh_instance *instance;
    char *local;                     /* the workspace on this machine */
    bool empty;                      /* steps run where a login begins */
    struct gate filling;             /* guards these: */
    const struct machine_base *base; /* where the copy is; NULL: there is none yet */
    char *workspace;                 /* the copy there; does not change any more */
    bool filled;
};

/* engine->connect, ->disconnect, ->probe, ->mend */
int ssh_instance_connect(const struct ctx *ctx, const struct engine_services *services,
                         const char *url, struct engine_instance **ret, struct err *err);
void ssh_instance_disconnect(struct engine_instance *instance);
int ssh_instance_probe(const struct ctx *ctx, struct engine_instance *instance, struct buf *report,
                       struct err *err);
const char *ssh_instance_mend(const struct err *err);

/* engine->open, ->run, ->close, ->check, ->get, ->put */
int ssh_place_open(const struct ctx *ctx, struct engine_instance *instance,
                   const struct place_options *options, struct place **ret, struct err *err);
int ssh_place_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                  struct output *output, struct exit_record *ret, struct err *err);
void ssh_place_close(struct place *place);
int ssh_place_check(const struct ctx *ctx, struct place *place, const struct runnable *running,
                    const struct probe *probe, struct err *err);
int ssh_place_get(const struct ctx *ctx, struct place *place, const char *path, const char *into,
                  struct err *err);
int ssh_place_put(const struct ctx *ctx, struct place *place, const char *const *paths,
                  struct err *err);
