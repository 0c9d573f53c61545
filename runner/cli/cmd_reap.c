/* `runner reap`: removes what dead runs left behind. */
#include <stdio.h>

#include "base/ctx.h"
#include "cli/commands.h"
#include "cli/engines.h"
#include "control/signals.h"
#include "reap/reap.h"

struct reap_args {
    bool dry_run;
    bool all;
    int64_t every_ms; /* 0: once */
    struct cli_engine_args engines;
};

#define AT(field) offsetof(struct reap_args, field)

static const struct cli_option options[] = {
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "only show what would be removed", NULL, NULL},
    {"all", 0, CLI_FLAG, AT(all), NULL,
     "look at the default place of every engine, also when no journal names it", NULL, NULL},
    {"every", 0, CLI_DURATION, AT(every_ms), "DURATION",
     "go on, with a pause of this length after each time, until a signal comes", NULL, NULL},
    CLI_ENGINE_OPTIONS(struct reap_args),
    {0},
};

static void found(void *arg, const char *kind, const char *name, const char *run_id)
{
    const struct reap_args *args = arg;

    printf("%s %s %s (run %s)\n", args->dry_run ? "would remove" : "removed", kind, name, run_id);
}

static void failed(void *arg, const char *what, const struct err *err)
{
    (void)arg;
    fprintf(stderr, "runner reap: %s: %s\n", what, err->message);
}

struct call {
    const struct reap_args *args;
    const struct strvec *endpoints;
    struct engine_services services;
};

static int reap_once(const struct ctx *ctx, const struct call *call, struct reap_result *ret,
                     struct err *err)
{
    const struct reap_request request = {.dry_run = call->args->dry_run,
                                         .all = call->args->all,
                                         .endpoints = call->endpoints,
                                         .found = found,
                                         .failed = failed,
                                         .arg = (void *)call->args};

    *ret = (struct reap_result){0};
    return reap_run(ctx, runner_engines, &call->services, &request, ret, err);
}

/* Whoever does it again and again says nothing when there is nothing, and goes on when an engine
 * cannot be reached now. Only the signal ends it. */
static int reap_for_ever(const struct ctx *ctx, const struct call *call, struct err *err)
{
    struct reap_result result;

    do {
        if (reap_once(ctx, call, &result, err) < 0)
            return -1;
        fflush(stdout);
    } while (ctx_sleep(ctx, call->args->every_ms, NULL) == 0);
    return CLI_EXIT_OK;
}

static int reap(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct call *call = arg;
    struct reap_result result;

    if (call->args->every_ms)
        return reap_for_ever(ctx, call, err);
    if (reap_once(ctx, call, &result, err) < 0)
        return -1;
    if (!result.found && !result.failed)
        puts("nothing is left of dead runs");
    return result.failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int run(void *args, const struct strvec *operands)
{
    struct call call = {.args = args, .endpoints = operands};
    struct err err = ERR_INIT;
    int status;
    int signal;

    for (size_t i = 0; i < operands->len; i++) {
        const struct engine *engine = engine_find(runner_engines, operands->items[i]);

        if (!engine || !engine->sweep) {
            fprintf(stderr, "runner reap: %s is no engine that can be swept\n", operands->items[i]);
            return CLI_EXIT_USAGE;
        }
    }
    cli_engine_services(&((struct reap_args *)args)->engines, &call.services);
    status = signals_run(reap, &call, &signal, &err);
    if (status < 0 && !signal)
        fprintf(stderr, "runner reap: %s\n", err.message);
    if (signal)
        return 128 + signal;
    return status < 0 ? CLI_EXIT_FAILED : status;
}

const struct cli_command cmd_reap = {
    .name = "reap",
    .operands = "[ENGINE...]",
    .summary = "remove what dead runs left behind",
    .description = "It looks where journals of dead runs point to, and at each ENGINE, such as "
                   "docker or k8s://CONTEXT/NAMESPACE. Nothing that has a living owner is touched.",
    .options = options,
    .args_size = sizeof(struct reap_args),
    .run = run,
};
