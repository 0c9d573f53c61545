/* `runner watchdog`: what a runner in a container starts beside itself; see engine/docker. */
#include <stdio.h>

#include "base/ctx.h"
#include "cli/commands.h"
#include "control/signals.h"
#include "engine/docker/docker.h"

struct watchdog_args {
    char *run;
    char *docker_host;
};

#define AT(field) offsetof(struct watchdog_args, field)

static const struct cli_option options[] = {
    {"run", 0, CLI_STRING, AT(run), "ID", "the run to watch over", NULL, NULL},
    {"docker-host", 0, CLI_STRING, AT(docker_host), "URL", "Docker daemon to look at", NULL, NULL},
    {0},
};

static int run(void *args, const struct strvec *operands)
{
    const struct watchdog_args *watchdog = args;
    CLEANUP_CTX struct ctx ctx = {.cancel = {.event_fd = -1}};
    struct err err = ERR_INIT;

    (void)operands;
    if (!watchdog->run) {
        fprintf(stderr, "runner watchdog: --run is missing\n");
        return CLI_EXIT_USAGE;
    }
    /* It ends with its standard input, whatever is sent to the container. */
    signals_block();
    if (ctx_init_root(&ctx, NULL, &err) < 0 ||
        docker_watchdog_main(&ctx, watchdog->docker_host, watchdog->run, &err) < 0) {
        fprintf(stderr, "runner watchdog: %s\n", err.message);
        return CLI_EXIT_FAILED;
    }
    return CLI_EXIT_OK;
}

const struct cli_command cmd_watchdog = {.name = "watchdog",
                                         .summary = "remove what a run leaves when it dies",
                                         .options = options,
                                         .args_size = sizeof(struct watchdog_args),
                                         .hidden = true,
                                         .run = run};
