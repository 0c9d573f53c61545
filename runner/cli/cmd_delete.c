/* `runner delete`: removes runs from the history, or the objects of Kubernetes manifests. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/manifests.h"
#include "cli/runs.h"
#include "cli/server_runs.h"
#include "control/signals.h"
#include "k8s/delete.h"

enum { TIMEOUT_MS_DEFAULT = 5 * 60 * 1000 };

struct delete_args {
    struct cli_manifest_args manifests;
    bool ignore_not_found;
    bool no_wait;
    int64_t timeout_ms;
    bool dry_run;
    char *history;
    char *server;
    const struct strvec *runs;
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
    CLI_SERVER_OPTION(AT(server)),
    CLI_HISTORY_OPTION(AT(history)),
    {0},
};

/* --- runs --- */

/* Where they are; `server` counts if `history` is NULL. */
struct place {
    struct history *history;
    struct server_runs server;
};

static int find(const struct ctx *ctx, struct place *place, const char *name,
                struct store_runs *ret, struct err *err)
{
    return place->history ? cli_runs_get(ctx, place->history, name, ret, err)
                          : server_runs_get(ctx, &place->server, name, ret, NULL, err);
}

static int delete_one(const struct ctx *ctx, struct place *place, const struct store_run *run,
                      struct err *err)
{
    return place->history ? history_remove(ctx, place->history, run, err)
                          : server_runs_delete(ctx, &place->server, run->id, err);
}

/* All of them are looked up before the first is gone. */
static int delete_at(const struct ctx *ctx, const struct delete_args *args, struct place *place,
                     struct err *err)
{
    VEC(struct store_runs)
    found = {0};
    int result = 0;

    for (size_t i = 0; result == 0 && i < args->runs->len; i++) {
        struct store_runs runs = {0};

        result = find(ctx, place, args->runs->items[i], &runs, err);
        vec_push(&found, runs);
    }
    for (size_t i = 0; result == 0 && i < found.len; i++) {
        const struct store_run *run = &found.items[i].items[0];

        if (!args->dry_run)
            result = delete_one(ctx, place, run, err);
        if (result == 0)
            printf("%s run %s\n", args->dry_run ? "would delete" : "deleted", run->id);
    }
    vec_foreach (struct store_runs *, runs, &found)
        store_runs_release(runs);
    vec_release(&found);
    return result;
}

static int delete_runs(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct delete_args *args = arg;
    struct place place = {0};
    int result = -1;

    if (args->server ? server_runs_open(args->server, &place.server, err) == 0
                     : cli_runs_open(ctx, args->history, &place.history, err) == 0)
        result = delete_at(ctx, args, &place, err);
    if (args->server)
        server_runs_close(&place.server);
    history_close(place.history);
    return result;
}

/* --- manifests --- */

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

    if (operands->len && args->manifests.files.len) {
        fputs("runner delete: takes RUNs, or --file for the objects of manifests, not both\n",
              stderr);
        return CLI_EXIT_USAGE;
    }
    args->runs = operands;
    if (operands->len)
        return cli_runs_run("delete", delete_runs, args);
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
    .operands = "[RUN...]",
    .summary = "delete runs, or the objects of Kubernetes manifests",
    .description =
        "RUN is an id, the beginning of one, or \"latest\": it goes with its log. The objects "
        "of manifests go in the opposite order of \"runner apply\", and are waited for.",
    .options = options,
    .args_size = sizeof(struct delete_args),
    .run = run,
};
