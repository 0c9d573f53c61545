/* `runner cancel`: ends a run of the history. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/runs.h"
#include "cli/server_runs.h"
#include "control/control.h"
#include "own/own.h"
#include "record/watch.h"

enum { REMOTE_POLL_MS = 300 };

struct cancel_args {
    char *history;
    char *server;
    char *reason;
    bool no_wait;
    const char *run;
};

#define AT(field) offsetof(struct cancel_args, field)

static const struct cli_option options[] = {
    {"reason", 0, CLI_STRING, AT(reason), "TEXT", "why: noted in the run", NULL, NULL},
    {"no-wait", 0, CLI_FLAG, AT(no_wait), NULL, "do not wait until it has ended", NULL, NULL},
    CLI_SERVER_OPTION(AT(server)),
    CLI_HISTORY_OPTION(AT(history)),
    {0},
};

/* A run without a socket is that of an older runner. By a descriptor, so that a number that another
 * process has got meanwhile is not meant. */
static int signal_owner(const struct store_run *run, struct err *err)
{
    struct own_owner owner;
    CLEANUP_FD int fd = -1;

    if (own_owner_parse(run->owner, &owner, err) < 0)
        return err_wrap(err, "run %s", run->id);
    fd = (int)syscall(SYS_pidfd_open, owner.pid, 0);
    switch (own_owner_liveness(&owner)) {
    case OWN_FOREIGN:
        return err_set(err, ERR_UNSUPPORTED,
                       "run %s is in another container or on another machine: end it there",
                       run->id);
    case OWN_DEAD:
        return err_set(err, ERR_CONFLICT, "run %s has just ended", run->id);
    case OWN_ALIVE:
        break;
    }
    if (fd < 0)
        return kill(owner.pid, SIGTERM) < 0 ? err_errno(err, "cannot cancel run %s", run->id) : 0;
    if (syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) < 0)
        return err_errno(err, "cannot cancel run %s", run->id);
    return 0;
}

static int ask(const struct ctx *ctx, const struct cancel_args *args, const struct history *history,
               const struct store_run *run, struct err *err)
{
    CLEANUP_FREE char *user = cli_user_name();
    struct err why = ERR_INIT;

    if (control_cancel(ctx, history->runs, run->id, args->reason, user, &why) == 0)
        return 0;
    if (why.code != ERR_UNSUPPORTED)
        return err_set(err, why.code, "%s", why.message);
    if (signal_owner(run, err) < 0)
        return -1;
    if (args->reason)
        fprintf(stderr, "runner cancel: the reason is not noted: %s\n", why.message);
    return 0;
}

static int wait_for_end(const struct ctx *ctx, const struct history *history,
                        const struct store_run *run, struct err *err)
{
    CLEANUP_RECORD struct record *record = NULL;
    CLEANUP_RECORD_WATCH struct record_watch *watch = NULL;

    if (record_open(history->runs, run->id, &record, err) < 0)
        return -1;
    record_watch_open(record, &watch);
    while (record_is_written(record)) {
        if (record_watch_wait(watch, ctx, -1, err) < 0)
            return -1;
    }
    return 0;
}

static int ended_already(const struct store_run *run, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "run %s has ended already: %s", run->id,
                   state_name(run->state));
}

static int wait_for_end_there(const struct ctx *ctx, struct server_runs *server, const char *id,
                              struct err *err)
{
    for (;;) {
        CLEANUP_STORE_RUNS struct store_runs runs = {0};

        if (server_runs_get(ctx, server, id, &runs, NULL, err) < 0)
            return -1;
        if (state_is_final(runs.items[0].state)) {
            printf("run %s %s\n", id, state_name(runs.items[0].state));
            return CLI_EXIT_OK;
        }
        if (ctx_sleep(ctx, REMOTE_POLL_MS, err) < 0)
            return -1;
    }
}

static int cancel_there(const struct ctx *ctx, const struct cancel_args *args, struct err *err)
{
    CLEANUP_SERVER_RUNS struct server_runs server = {0};
    CLEANUP_STORE_RUNS struct store_runs runs = {0};
    const struct store_run *run;

    if (server_runs_open(args->server, &server, err) < 0 ||
        server_runs_get(ctx, &server, args->run, &runs, NULL, err) < 0)
        return -1;
    run = &runs.items[0];
    if (state_is_final(run->state))
        return ended_already(run, err);
    if (server_runs_cancel(ctx, &server, run->id, args->reason, err) < 0)
        return -1;
    return args->no_wait ? CLI_EXIT_OK : wait_for_end_there(ctx, &server, run->id, err);
}

static int cancel_here(const struct ctx *ctx, const struct cancel_args *args, struct err *err)
{
    CLEANUP_HISTORY struct history *history = NULL;
    CLEANUP_STORE_RUNS struct store_runs runs = {0}, after = {0};
    const struct store_run *run;

    if (cli_runs_open(ctx, args->history, &history, err) < 0 ||
        cli_runs_get(ctx, history, args->run, &runs, err) < 0)
        return -1;
    run = &runs.items[0];
    if (state_is_final(run->state))
        return ended_already(run, err);
    if (ask(ctx, args, history, run, err) < 0)
        return -1;
    if (args->no_wait)
        return CLI_EXIT_OK;
    if (wait_for_end(ctx, history, run, err) < 0 ||
        history_follow(ctx, history, run->id, err) < 0 ||
        store_get(ctx, history->store, run->id, &after, err) < 0)
        return -1;
    printf("run %s %s\n", run->id, state_name(after.items[0].state));
    return CLI_EXIT_OK;
}

static int cancel(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct cancel_args *args = arg;

    return args->server ? cancel_there(ctx, args, err) : cancel_here(ctx, args, err);
}

static int run(void *arguments, const struct strvec *operands)
{
    struct cancel_args *args = arguments;

    args->run = cli_runs_operand("cancel", operands);
    if (!args->run)
        return CLI_EXIT_USAGE;
    return cli_runs_run("cancel", cancel, args);
}

const struct cli_command cmd_cancel = {
    .name = "cancel",
    .operands = "RUN",
    .summary = "end a run, and wait until it has cleaned up",
    .description = "RUN is an id, the beginning of one, or \"latest\". It ends as by SIGTERM.",
    .options = options,
    .args_size = sizeof(struct cancel_args),
    .run = run,
};
