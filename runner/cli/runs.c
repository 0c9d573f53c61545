#include "cli/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "control/signals.h"
#include "history/row_json.h"

int cli_runs_open(const struct ctx *ctx, const char *dir, struct history **ret, struct err *err)
{
    if (history_open(ctx, dir, NULL, ret, err) < 0)
        return -1;
    return history_update(ctx, *ret, err);
}

static int get_latest(const struct ctx *ctx, struct history *history, struct store_runs *ret,
                      struct err *err)
{
    if (store_list(ctx, history->store, &(struct store_query){.limit = 1}, ret, err) < 0)
        return -1;
    if (ret->left_out)
        return err_set(err, ERR_PROTOCOL,
                       "the latest run in %s was recorded by a newer runner: use that",
                       history->dir);
    return ret->len ? 0 : err_set(err, ERR_NOT_FOUND, "no run is recorded in %s", history->dir);
}

int cli_runs_get(const struct ctx *ctx, struct history *history, const char *name,
                 struct store_runs *ret, struct err *err)
{
    if (strcmp(name, CLI_RUN_LATEST) == 0)
        return get_latest(ctx, history, ret, err);
    if (store_get(ctx, history->store, name, ret, err) < 0)
        return err_wrap(err, "%s", history->dir);
    return 0;
}

const char *cli_runs_operand(const char *command, const struct strvec *operands)
{
    if (operands->len == 1)
        return operands->items[0];
    fprintf(stderr,
            "runner %s: takes one RUN: its id, the beginning of that, or \"" CLI_RUN_LATEST "\"\n",
            command);
    return NULL;
}

char *cli_user_name(void)
{
    const char *name = getenv("LOGNAME");

    if (!name || !*name)
        name = getenv("USER");
    return name && *name ? xstrdup(name) : xasprintf("%ld", (long)geteuid());
}

json_t *cli_run_to_json(const struct store_run *run)
{
    json_t *object = history_row_to_json(run);

    if (run->exit_status >= 0)
        json_object_set_new(object, "exit_status", json_integer(run->exit_status));
    return object;
}

int cli_runs_run(const char *command, cli_runs_fn fn, void *arg)
{
    struct err err = ERR_INIT;
    int signal;
    int status = signals_run(fn, arg, &signal, &err);

    if (status < 0 && !signal)
        fprintf(stderr, "runner %s: %s\n", command, err.message);
    if (signal)
        return 128 + signal;
    return status < 0 ? cli_exit_of(&err) : status;
}
