/* Rows that a program adds: an engine that says what it is to run, a kind of steps that it runs,
 * and a kind of services that another engine deploys. */
#include "tests/unit/library/rows.h"

#include <string.h>

#include "base/alloc.h"

/* An instance and a place need no more than to be something. */
static char something;

static int loud_connect(const struct ctx *ctx, const struct engine_services *services,
                        const char *url, struct engine_instance **ret, struct err *err)
{
    (void)ctx;
    (void)services;
    if (strcmp(url, "loud://nowhere") == 0)
        return err_set(err, ERR_UNAVAILABLE, "there is nobody at %s", url);
    *ret = (struct engine_instance *)&something;
    return 0;
}

static void loud_disconnect(struct engine_instance *instance)
{
    (void)instance;
}

static int loud_open(const struct ctx *ctx, struct engine_instance *instance,
                     const struct place_options *options, struct place **ret, struct err *err)
{
    (void)ctx;
    (void)instance;
    (void)options;
    (void)err;
    *ret = (struct place *)&something;
    return 0;
}

static int loud_run(const struct ctx *ctx, struct place *place, const struct runnable *runnable,
                    struct output *output, struct exit_record *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    (void)place;
    (void)err;
    if (runnable->deployment)
        buf_addf(&text, "%s is deployed: %s", runnable->deployment->name,
                 runnable->deployment->text);
    for (size_t i = 0; runnable->argv && runnable->argv[i]; i++)
        buf_addf(&text, "%s%s", i ? " " : "", runnable->argv[i]);
    buf_addch(&text, '\n');
    output->write(output, ctx, OUTPUT_STDOUT, text.data, text.len);
    for (size_t i = 0; i < runnable->return_count && output->returned; i++)
        output->returned(output, &runnable->returns[i], RETURNED_WHOLE, "", 0);
    *ret = (struct exit_record){.kind = EXIT_CODE};
    return 0;
}

static void loud_close(struct place *place)
{
    (void)place;
}

static int loud_sweep(const struct ctx *ctx, struct engine_instance *instance,
                      const struct sweep_request *request, size_t *ret_count, struct err *err)
{
    (void)ctx;
    (void)instance;
    (void)request;
    (void)err;
    *ret_count = 0;
    return 0;
}

#define LOUD(the_name, the_capabilities)                                                           \
    {                                                                                              \
        .name = (the_name), .capabilities = (the_capabilities), .connect = loud_connect,           \
        .disconnect = loud_disconnect, .open = loud_open, .run = loud_run, .close = loud_close,    \
        .sweep = loud_sweep,                                                                       \
    }

static const struct engine loud_engine = LOUD("loud", 0);
static const struct engine billboard_engine = LOUD("billboard", ENGINE_DEPLOYS);
const struct engine *const added_engines[] = {&loud_engine, &billboard_engine, NULL};

const struct spec_engine_name added_engine_names[] = {{.name = "loud", .engine = "loud"},
                                                      {.name = "shout", .engine = "loud"},
                                                      {0}};

const struct spec_service_kind added_service_kinds[] = {
    {.name = "billboard", .engine = "billboard"},
    {0},
};

/* Steps whose name is a question become an answer. */
static bool claims(const struct spec_step *spec)
{
    const char *name = spec->name.text;

    return name && *name && name[strlen(name) - 1] == '?';
}

static int lower(const struct step_context *context, struct step_lowered *lowered, struct err *err)
{
    (void)context;
    (void)err;
    strvec_push(&lowered->argv, "/bin/echo");
    strvec_push(&lowered->argv, "because");
    return 0;
}

static const struct step_kind question = {.name = "question", .claims = claims, .lower = lower};
const struct step_kind *const added_step_kinds[] = {&question, NULL};
