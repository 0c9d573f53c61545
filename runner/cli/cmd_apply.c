/* `runner apply`: brings Kubernetes manifests into a cluster and waits until they are ready. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/manifests.h"
#include "control/signals.h"
#include "k8s/apply.h"

enum { TIMEOUT_MS_DEFAULT = 5 * 60 * 1000 };

struct apply_args {
    struct cli_manifest_args manifests;
    bool no_wait;
    int64_t timeout_ms;
    bool force_conflicts;
    bool replace;
    bool prune;
    char *set;
    bool dry_run;
    struct cli_manifests open;
};

#define AT(field) offsetof(struct apply_args, field)

static const struct cli_option options[] = {
    CLI_MANIFEST_OPTIONS(struct apply_args),
    {"no-wait", 0, CLI_FLAG, AT(no_wait), NULL, "do not wait until the objects are ready", NULL,
     NULL},
    {"timeout", 0, CLI_DURATION, AT(timeout_ms), "DURATION", "longest wait (default 5m)", NULL,
     NULL},
    {"force-conflicts", 0, CLI_FLAG, AT(force_conflicts), NULL,
     "take over fields that others manage", NULL, NULL},
    {"replace", 0, CLI_FLAG, AT(replace), NULL,
     "delete and create anew what cannot be changed in place", NULL, NULL},
    {"set", 0, CLI_STRING, AT(set), "NAME", "note the objects as a set of that name", NULL, NULL},
    {"prune", 0, CLI_FLAG, AT(prune), NULL,
     "delete what was applied with --set before and is not in the manifests", NULL, NULL},
    {"dry-run", 0, CLI_FLAG, AT(dry_run), NULL, "let the cluster try it without writing", NULL,
     NULL},
    {0},
};

/* What failed may not be all that was applied. */
static void tell_what_stays(const struct manifest_list *list)
{
    size_t written = 0;

    vec_foreach (const struct manifest *, m, &list->items)
        written += m->state == MANIFEST_CREATED || m->state == MANIFEST_CREATING ||
                   m->state == MANIFEST_CONFIGURED;
    if (written)
        fputs("what was applied stays: the next \"runner apply\" goes on from there, and \"runner "
              "delete --ignore-not-found\" with the same files removes it\n",
              stderr);
}

static int apply(const struct ctx *ctx, void *arg, struct err *err)
{
    struct apply_args *args = arg;
    const struct manifest_apply_options o = {
        .force = args->force_conflicts,
        .replace = args->replace,
        .dry_run = args->dry_run,
        .wait = !args->no_wait,
        .timeout_ms = args->timeout_ms ? args->timeout_ms : TIMEOUT_MS_DEFAULT,
        .set = args->set && *args->set ? args->set : NULL,
        .prune = args->prune,
    };

    if (manifest_apply(ctx, args->open.cluster, &args->open.list, &o, &args->open.sink, err) == 0)
        return 0;
    if (!o.dry_run)
        tell_what_stays(&args->open.list);
    return -1;
}

static int run(void *arguments, const struct strvec *operands)
{
    struct apply_args *args = arguments;
    struct err err = ERR_INIT;
    int signal;
    int status;

    (void)operands;
    if (args->prune && (!args->set || !*args->set)) {
        fputs("runner apply: --prune needs --set NAME, which says what belongs together\n", stderr);
        return CLI_EXIT_USAGE;
    }
    status = cli_manifests_open("apply", &args->manifests, &args->open);
    if (status == CLI_EXIT_OK) {
        int result = signals_run(apply, args, &signal, &err);

        status = cli_manifests_status(&args->open, result, signal, &err);
    }
    cli_manifests_release(&args->open);
    return status;
}

const struct cli_command cmd_apply = {
    .name = "apply",
    .summary = "apply Kubernetes manifests and wait until they are ready",
    .description =
        "Objects are applied by the server with the field manager \"runner\": namespaces "
        "first, then definitions of kinds, what others refer to, and the rest.",
    .options = options,
    .args_size = sizeof(struct apply_args),
    .run = run,
};
