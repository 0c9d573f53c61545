/* `runner diff`: what `runner apply` would change. */
#include "cli/commands.h"
#include "cli/manifests.h"
#include "control/signals.h"
#include "k8s/diff.h"

struct diff_args {
    struct cli_manifest_args manifests;
    bool force_conflicts;
    struct cli_manifests open;
    bool differs;
};

#define AT(field) offsetof(struct diff_args, field)

static const struct cli_option options[] = {
    CLI_MANIFEST_OPTIONS(struct diff_args),
    {"force-conflicts", 0, CLI_FLAG, AT(force_conflicts), NULL,
     "as if fields that others manage were taken over", NULL, NULL},
    {0},
};

static int diff(const struct ctx *ctx, void *arg, struct err *err)
{
    struct diff_args *args = arg;
    const struct manifest_diff_options o = {.force = args->force_conflicts};

    return manifest_diff(ctx, args->open.cluster, &args->open.list, &o, &args->open.sink,
                         &args->differs, err);
}

/* 1 means, as it does for diff(1), that there are differences; so trouble is something else. */
static int exit_status(struct diff_args *args, int result, int signal, const struct err *err)
{
    int status = cli_manifests_status(&args->open, result, signal, err);

    if (status == CLI_EXIT_FAILED)
        return CLI_EXIT_USAGE;
    return status == CLI_EXIT_OK && args->differs ? CLI_EXIT_FAILED : status;
}

static int run(void *arguments, const struct strvec *operands)
{
    struct diff_args *args = arguments;
    struct err err = ERR_INIT;
    int signal;
    int status;

    (void)operands;
    status = cli_manifests_open("diff", &args->manifests, &args->open);
    if (status == CLI_EXIT_OK) {
        int result = signals_run(diff, args, &signal, &err);

        status = exit_status(args, result, signal, &err);
    }
    cli_manifests_release(&args->open);
    return status;
}

const struct cli_command cmd_diff = {
    .name = "diff",
    .summary = "show what applying Kubernetes manifests would change",
    .description =
        "Nothing is written. The exit status is 0 if nothing would change, 1 if something "
        "would, and above 1 in case of trouble.",
    .options = options,
    .args_size = sizeof(struct diff_args),
    .run = run,
};
