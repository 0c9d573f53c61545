/* In which order: a mark in the history, whose lock this process holds; the container; its start;
 * the connection from there. Then the mark goes: the container runs, and ends by itself when this
 * process and all its runs have. A server that dies before that leaves the mark, by which the next
 * one finds a container that was never started; or, if that has been, nobody for it to connect to.
 */
#include "cli/launcher_container.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fs.h"
#include "base/logger.h"
#include "base/state_dir.h"
#include "engine/docker/sibling.h"
#include "history/history.h"
#include "own/own.h"

enum {
    CONNECT_MS = 60000, /* a busy daemon takes seconds to start a container */
    END_MS = 5000,
    STOP_S = 30, /* for runs that are cancelled because somebody stops their container */
};

/* --- what both have to see --- */

static int check_shared(const struct docker_sibling *sibling,
                        const struct launcher_container *options, struct err *err)
{
    const char *const paths[] = {options->history, options->work};

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
        if (!docker_sibling_shares(sibling, paths[i]))
            return err_set(err, ERR_UNSUPPORTED,
                           "%s is in this container (%s) alone: mount a directory of the host or a "
                           "volume there (-v %s:%s)",
                           paths[i], docker_sibling_self(sibling), paths[i], paths[i]);
    }
    return 0;
}

static bool shares_state(const struct docker_sibling *sibling)
{
    CLEANUP_STRVEC struct strvec dirs = {0};

    state_dirs(false, &dirs);
    return dirs.len && docker_sibling_shares(sibling, dirs.items[0]);
}

/* What works, but not from one server to the next. */
static void warn_of_private(const struct docker_sibling *sibling,
                            const struct launcher_container *options)
{
    if (options->cache && !docker_sibling_shares(sibling, options->cache))
        log_warn("server",
                 "caches and artifacts in %s go with the container of the launcher: mount a "
                 "directory of the host or a volume there, or name another with --cache-dir",
                 options->cache);
    if (!shares_state(sibling))
        log_warn("server", "runs do not wait for those that an earlier server has begun and that "
                           "have the same concurrency group: set XDG_STATE_HOME to a directory "
                           "that is mounted");
}

/* --- what was left --- */

/* -1: the daemon does not answer. */
static int remove_left(const struct ctx *ctx, struct docker_sibling *sibling,
                       const struct launcher_container *options, struct err *err)
{
    CLEANUP_STRVEC struct strvec ids = {0};

    history_launchers(options->history, &ids);
    for (size_t i = 0; i < ids.len; i++) {
        int fd = history_launcher_take(options->history, ids.items[i]);

        if (fd < 0)
            continue;
        if (docker_sibling_remove_idle(ctx, sibling, ids.items[i], err) < 0) {
            close(fd);
            return err_wrap(err, "what an earlier server has left cannot be removed");
        }
        history_launcher_end(options->history, ids.items[i], fd);
    }
    return 0;
}

/* --- making it --- */

static int await_connection(const struct ctx *parent, struct docker_sibling *sibling, int listener,
                            struct err *err)
{
    CLEANUP_CTX struct ctx ctx = {.cancel = {.event_fd = -1}};

    ctx_init(&ctx, parent);
    ctx_set_timeout(&ctx, CONNECT_MS, "the start of its program");
    for (;;) {
        struct pollfd fds[] = {{.fd = listener, .events = POLLIN},
                               {.fd = docker_sibling_fd(sibling), .events = POLLIN}};
        struct err said = ERR_INIT;
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            return fd;
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            return err_errno(err, "cannot take its connection");
        if (docker_sibling_ended(sibling, &said))
            return err_set(err, said.code, "its program has ended: %s", said.message);
        if (ctx_poll(&ctx, fds, 2, -1, err) < 0)
            return -1;
    }
}

static int run_sibling(const struct ctx *ctx, struct docker_sibling *sibling,
                       const struct launcher_container *options, const char *id, int listener,
                       struct err *err)
{
    CLEANUP_STRVEC struct strvec arguments = {0};
    struct docker_sibling_options how = {.id = id,
                                         .what = options->history,
                                         .stop_timeout_s = STOP_S};

    strvec_push(&arguments, "server");
    strvec_push(&arguments, "--launcher-id");
    strvec_push(&arguments, id);
    strvec_extend(&arguments, options->arguments);
    how.arguments = (const char *const *)arguments.items;
    if (docker_sibling_start(ctx, sibling, &how, err) < 0)
        return -1;
    return await_connection(ctx, sibling, listener, err);
}

/* The descriptor of the connection. What may still be there keeps its mark. */
static int make(const struct ctx *ctx, struct docker_sibling *sibling,
                const struct launcher_container *options, struct err *err)
{
    char id[OWN_RUN_ID_SIZE];
    CLEANUP_FD int listener = -1;
    struct err why = ERR_INIT;
    int mark;
    int fd;

    if (own_run_make_id(id, err) < 0)
        return -1;
    mark = history_launcher_begin(options->history, id, &listener, err);
    if (mark < 0)
        return -1;
    fd = run_sibling(ctx, sibling, options, id, listener, err);
    if (fd < 0 && docker_sibling_discard(sibling, &why) < 0) {
        log_warn("server", "%s; the next server will", why.message);
        close(mark);
        return -1;
    }
    history_launcher_end(options->history, id, mark);
    if (fd >= 0)
        log_info("server", "runs are in the container runner-launcher-%s", id);
    return fd;
}

int launcher_container_start(const struct ctx *ctx, const struct launcher_container *options,
                             struct launcher **ret, struct docker_sibling **ret_sibling,
                             struct err *err)
{
    CLEANUP_DOCKER_SIBLING struct docker_sibling *sibling = NULL;
    struct engine_services services = {0};
    int fd;

    cli_engine_services(options->engines, &services);
    if (docker_sibling_new(ctx, &services, &sibling, err) < 0 ||
        check_shared(sibling, options, err) < 0 || remove_left(ctx, sibling, options, err) < 0)
        return err_wrap(err, "--launcher-container");
    warn_of_private(sibling, options);
    fd = make(ctx, sibling, options, err);
    if (fd < 0)
        return err_wrap(err, "cannot start the container of the launcher");
    docker_sibling_detach(sibling);
    *ret = launcher_attach(fd);
    *ret_sibling = steal_ptr(&sibling);
    return 0;
}

void launcher_container_await_end(struct docker_sibling *sibling)
{
    CLEANUP_CTX struct ctx ctx;
    struct err err = ERR_INIT;

    ctx_init_cleanup(&ctx, END_MS);
    if (docker_sibling_await_end(&ctx, sibling, &err) < 0)
        log_info("server", "the container of the launcher may still be there: %s", err.message);
}
