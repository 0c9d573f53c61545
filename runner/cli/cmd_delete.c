/* `runner delete`: removes the objects of Kubernetes manifests. */
#include "cli/commands.h"
#include "cli/manifests.h"
#include "cli/signals.h"
#include "k8s/delete.h"

enum { TIMEOUT_MS_DEFAULT = 5 * 60 * 1000 };

struct delete_args {
    struct cli_manifest_args manifests;
    bool ignore_not_found;
    bool no_wait;
    int64_t timeout_ms;
    bool dry_run;
    struct cli_manifests open;
};

#define AT(field) offsetof(struct delete_args, field)

static const struct cli_option options[] = {
    CLI_MANIFEST_OPTIONS(struct delete_args),
    {"ignore-not-found", 0, CLI_FLAG, AT(ignore_not_found), NULL, "what is not there is no error",
     NULL, NULL},
    {"no-wait", 0, CLI_FLAG, AT(no_wait), NULL, "do not wait until the objects are gone", NULL,
     NULL},
    {"timeout", 0, CLI_DURATION, AT(timeout_ms), "DURATION",
     "longest wait for objects of one rank (default 5m)", NULL, NULL},
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "only show what would be deleted", NULL, NULL},
    {0},
};

static int delete (const struct ctx *ctx, void *arg, struct err *err)
{
    struct delete_args *args = arg;
    const struct manifest_delete_options o = {
        .ignore_not_found = args->ignore_not_found,
        .wait = !args->no_wait,
        .dry_run = args->dry_run,
        .timeout_ms = args->timeout_ms ? args->timeout_ms : TIMEOUT_MS_DEFAULT,
    };

    return manifest_delete(ctx, args->open.cluster, &args->open.list, &o, &args->open.sink, err);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct delete_args *args = arguments;
    struct err err = ERR_INIT;
    int signal;
    int status;

    (void)operands;
    status = cli_manifests_open("delete", &args->manifests, &args->open);
    if (status == CLI_EXIT_OK) {
        int result = signals_run(delete, args, &signal, &err);

        status = cli_manifests_status(&args->open, result, signal, &err);
    }
    cli_manifests_release(&args->open);
    return status;
}

const struct cli_command cmd_delete = {
    .name = "delete",
    .summary = "delete the objects of Kubernetes manifests and wait until they are gone",
    .description = "In the opposite order of \"runner apply\".",
    .options = options,
    .args_size = sizeof(struct delete_args),
    .run = run,
};
