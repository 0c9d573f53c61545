#include "engine/idp/idp.h"

#include "base/alloc.h"
#include "engine/idp/instance.h"

static int idp_place_open(const struct ctx *ctx, struct engine_instance *instance,
                          const struct place_options *options, struct place **ret, struct err *err)
{
    struct idp_place *place;

    (void)ctx;
    if (!options->empty)
        return err_set(err, ERR_UNSUPPORTED,
                       "checkout: workdir does not work with IDP agents, which take no files: "
                       "let a step fetch what the job \"%s\" needs, and leave checkout out",
                       options->name);
    place = xcalloc(1, sizeof(*place));
    place->engine = &idp_engine;
    place->instance = (struct idp_instance *)instance;
    *ret = (struct place *)place;
    return 0;
}

static void idp_place_close(struct place *place)
{
    free(place);
}

const struct engine idp_engine = {
    .name = "idp",
    .capabilities = ENGINE_REMOTE,
    .connect = idp_instance_connect,
    .disconnect = idp_instance_disconnect,
    .probe = idp_instance_probe,
    .mend = idp_instance_mend,
    .open = idp_place_open,
    .run = idp_session_run,
    .close = idp_place_close,
};
