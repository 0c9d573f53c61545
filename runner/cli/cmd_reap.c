/* `runner reap`: removes what dead runs left behind. */
#include <stdio.h>

#include "base/ctx.h"
#include "cli/commands.h"
#include "cli/signals.h"
#include "reap/reap.h"

struct reap_args {
    bool dry_run;
    bool all;
    char *docker_host;
};

#define AT(field) offsetof(struct reap_args, field)

static const struct cli_option options[] = {
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "only show what would be removed", NULL, NULL},
    {"all", 0, CLI_FLAG, AT(all), NULL,
     "look at the default place of every engine, also when no journal names it", NULL, NULL},
    {"docker-host", 0, CLI_STRING, AT(docker_host), "URL", "Docker daemon to look at", NULL, NULL},
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

static int reap(const struct ctx *ctx, struct reap_args *args, struct err *err)
{
    const struct engine_services services = {.docker_host = args->docker_host};
    const struct reap_request request = {
        .dry_run = args->dry_run, .all = args->all, .found = found, .failed = failed, .arg = args};
    struct reap_result result = {0};

    if (reap_run(ctx, runner_engines, &services, &request, &result, err) < 0)
        return -1;
    if (!result.found && !result.failed)
        puts("nothing is left of dead runs");
    return result.failed ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}

static int run(void *args, const struct strvec *operands)
{
    struct ctx_signal hurry = {.event_fd = -1};
    struct ctx ctx = {.cancel = {.event_fd = -1}};
    struct signals *signals = NULL;
    struct err err = ERR_INIT;
    int status = -1;
    int signal;

    (void)operands;
    signals_block();
    if (ctx_signal_init(&hurry, &err) == 0 && ctx_init_root(&ctx, &hurry, &err) == 0 &&
        signals_start(&ctx, &hurry, &signals, &err) == 0)
        status = reap(&ctx, args, &err);
    signal = signals_stop(signals);
    ctx_release(&ctx);
    ctx_signal_release(&hurry);
    if (status < 0)
        fprintf(stderr, "runner reap: %s\n", err.message);
    if (signal)
        return 128 + signal;
    return status < 0 ? CLI_EXIT_FAILED : status;
}

const struct cli_command cmd_reap = {
    .name = "reap",
    .summary = "remove what dead runs left behind",
    .description = "Nothing that has a living owner is touched.",
    .options = options,
    .args_size = sizeof(struct reap_args),
    .run = run,
};
