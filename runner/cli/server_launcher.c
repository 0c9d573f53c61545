#include "cli/server_launcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "cli/launcher_container.h"
#include "cli/stores.h"
#include "history/history.h"
#include "library/rows.h"

enum { COMMAND_LINE_MAX = 4 * 1024 * 1024 };

int server_launcher_check(const struct server_launcher_args *args, struct err *err)
{
    if (args->id || args->container + !!args->socket + !!args->listen <= 1)
        return 0;
    return err_set(err, ERR_INVALID,
                   "--launcher-container, --launcher-socket and --launcher-listen exclude each "
                   "other");
}

/* --- the launcher --- */

bool server_launcher_is(const struct server_launcher_args *args)
{
    return args->listen || args->id;
}

static struct launcher_options options_of(const struct server_launcher *l)
{
    struct launcher_options options = {
        .run = {.engines = runner_engines,
                .kinds = runner_step_kinds,
                .open_store = object_store_open_at,
                .open_store_arg = l->stores},
        .history = l->history,
        .log_bytes = l->log_bytes,
    };

    cli_engine_services(l->engines, &options.run.services);
    return options;
}

static int listen_at(const struct server_launcher *l, const struct launcher_options *options,
                     struct err *err)
{
    CLEANUP_FREE char *path = fs_absolute(l->args->listen);
    const struct launcher_place place = {path, l->history, l->work};
    int listener = launcher_listen(&place, err);

    if (listener < 0)
        return err_wrap(err, "--launcher-listen");
    fprintf(stderr, "runner server: starting runs for the server that connects to %s\n", path);
    return launcher_serve_each(options, &place, listener, l->drain_ms, err);
}

int server_launcher_be(const struct server_launcher *l, struct err *err)
{
    const struct launcher_options options = options_of(l);
    int socket;

    if (l->args->listen)
        return listen_at(l, &options, err);
    if (history_launcher_join(l->history, l->args->id, &socket, err) < 0)
        return -1;
    return launcher_serve(&options, socket, err);
}

/* --- the server --- */

int server_launcher_fork(struct server_launcher *l, struct err *err)
{
    const struct launcher_options options = options_of(l);

    if (l->args->container || l->args->socket)
        return 0;
    return launcher_start(&options, &l->launcher, err);
}

/* The command line as this process got it. */
static int read_command_line(struct strvec *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (fs_read_file("/proc/self/cmdline", COMMAND_LINE_MAX, &text, err) < 0)
        return -1;
    for (size_t at = 0; at < text.len; at += strlen(text.data + at) + 1)
        strvec_push(ret, text.data + at);
    return 0;
}

static int start_container(const struct ctx *ctx, struct server_launcher *l, struct err *err)
{
    CLEANUP_STRVEC struct strvec line = {0};
    CLEANUP_FREE char *cache = object_store_local_dir(l->stores, NULL);
    CLEANUP_FREE char *absolute = cache ? fs_absolute(cache) : NULL;
    struct launcher_container how = {
        .engines = l->engines,
        .history = l->history,
        .work = l->work,
        .cache = absolute,
    };

    if (read_command_line(&line, err) < 0)
        return -1;
    how.arguments = line.items + 2; /* behind the program and the command */
    return launcher_container_start(ctx, &how, &l->launcher, &l->sibling, err);
}

static int connect_to(const struct ctx *ctx, struct server_launcher *l, struct err *err)
{
    CLEANUP_FREE char *path = fs_absolute(l->args->socket);
    const struct launcher_place place = {path, l->history, l->work};

    if (launcher_connect(ctx, &place, &l->launcher, err) < 0)
        return err_wrap(err, "--launcher-socket");
    return 0;
}

int server_launcher_join(const struct ctx *ctx, struct server_launcher *l, struct err *err)
{
    if (l->launcher)
        return 0;
    return l->args->socket ? connect_to(ctx, l, err) : start_container(ctx, l, err);
}

void server_launcher_leave(struct server_launcher *l, bool idle)
{
    launcher_stop(l->launcher);
    if (l->sibling && idle)
        launcher_container_await_end(l->sibling);
    docker_sibling_free(l->sibling);
}
