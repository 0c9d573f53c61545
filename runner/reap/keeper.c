/* The keeper's process is one poll loop over the runner's socket and SIGCHLD. Its children are the
 * supervisors, and what a supervisor that was killed leaves behind: such orphans come to the keeper
 * because it adopts them, and it kills them, since nobody reports on them any more.
 *
 * Engines are used in this process only after the runner has died. Whatever libraries they need is
 * first touched here then, after the fork, so that no state is shared with the runner's. */
#include "reap/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/forked.h"
#include "base/tree.h"
#include "base/vec.h"
#include "reap/sweep.h"

enum {
    ORPHAN_ROUND_MS = 10,
    SUPERVISORS_MS = 10000, /* how long the supervisors may take to end their trees */
    SWEEP_MS = 60000,
    RETRY_MS = 500,
};

enum command { COMMAND_SUPERVISOR = 'S', COMMAND_GOODBYE = 'G' };

struct keeper {
    int socket;
    pid_t pid;
};

/* The keeper's own side. */
struct watch {
    const struct keeper_options *options;
    int socket; /* -1: the runner has gone, or has said goodbye */
    int signals;
    int lease[2]; /* supervisors read [0]; [1] is open as long as the keeper lives */
    VEC(pid_t)
    supervisors;
    bool orphans; /* children that are no supervisors */
    bool goodbye;
};

static void start_supervisor(struct watch *w, int socket)
{
    pid_t pid = fork();

    if (pid == 0) {
        const int keep[] = {socket, w->lease[0]};

        forked_isolate("runner-step", keep, 2);
        w->options->supervisor(socket, w->lease[0]);
        forked_exit(0);
    }
    if (pid > 0)
        vec_push(&w->supervisors, pid);
}

static void receive(struct watch *w)
{
    char command = 0;
    int fds[FDPASS_MAX];
    size_t fd_count;
    ssize_t got = fdpass_recv(w->socket, &command, 1, fds, &fd_count);

    if (got == 1 && command == COMMAND_SUPERVISOR && fd_count == 1)
        start_supervisor(w, fds[0]);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    w->goodbye = got == 1 && command == COMMAND_GOODBYE;
    if (got <= 0 || w->goodbye)
        close(steal_fd(&w->socket));
}

static void collect(struct watch *w)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        vec_foreach (pid_t *, known, &w->supervisors) {
            if (*known == pid) {
                *known = w->supervisors.items[--w->supervisors.len];
                break;
            }
        }
    }
    w->orphans = tree_kill_children(w->supervisors.items, w->supervisors.len) > 0;
}

/* Waits for one of the descriptors, at most until end_ms. */
static void attend(struct watch *w, int64_t end_ms)
{
    struct pollfd fds[] = {{.fd = w->signals, .events = POLLIN},
                           {.fd = w->socket, .events = POLLIN}};
    int64_t left_ms = end_ms == INT64_MAX ? -1 : end_ms - clock_monotonic_ms();
    struct signalfd_siginfo info;

    if (end_ms != INT64_MAX && left_ms < 0)
        left_ms = 0;
    if (w->orphans && (left_ms < 0 || left_ms > ORPHAN_ROUND_MS))
        left_ms = ORPHAN_ROUND_MS;
    if (poll(fds, 2, (int)left_ms) < 0)
        return;
    while (fds[0].revents && read(w->signals, &info, sizeof(info)) > 0)
        ;
    if (fds[0].revents || w->orphans)
        collect(w);
    if (fds[1].revents)
        receive(w);
}

/* One endpoint, tried again while it cannot be reached. */
static bool sweep_until_done(const struct ctx *ctx, const struct keeper_options *options,
                             const char *url)
{
    const struct sweep_request request = {.run_id = own_run_id(options->run)};
    struct engine_services services = *options->services;
    struct err err = ERR_INIT;
    size_t count;

    services.run = NULL; /* nothing is to be created any more, and so nothing noted */
    services.supervisor = NULL;
    for (;;) {
        if (sweep_endpoint(ctx, options->engines, &services, url, &request, &count, &err) == 0)
            return true;
        if (err.code == ERR_UNSUPPORTED || ctx_sleep(ctx, RETRY_MS, NULL) < 0)
            return false;
    }
}

/* What the dead runner has left. */
static void clean_up(const struct keeper_options *options)
{
    struct own_journal *journal;
    struct ctx ctx;
    bool clean = true;

    if (options->services->keep || own_run_journal(options->run, &journal, NULL) < 0)
        return;
    ctx_init_cleanup(&ctx, SWEEP_MS);
    /* The last first: it may need the others. */
    for (size_t i = journal->endpoint_count; i-- > 0;)
        clean &= sweep_until_done(&ctx, options, journal->endpoints[i]);
    ctx_release(&ctx);
    own_journals_free(journal, 1);
    if (clean)
        own_run_end(options->run);
}

static int prepare(struct watch *w)
{
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    w->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signals < 0 || pipe2(w->lease, O_CLOEXEC) < 0)
        return -1;
    return tree_adopt_orphans(NULL);
}

static void __attribute__((noreturn)) keep(const struct keeper_options *options, int socket)
{
    struct watch w = {.options = options, .socket = socket};
    const int open_fds[] = {socket, own_run_fd(options->run)};
    int64_t end_ms;

    forked_isolate("runner-keeper", open_fds, 2);
    if (prepare(&w) < 0)
        forked_exit(1); /* the runner sees the socket close when it wants its first supervisor */
    while (w.socket >= 0)
        attend(&w, INT64_MAX);
    /* The supervisors have seen the runner's end of their sockets close, too. */
    end_ms = clock_monotonic_ms() + SUPERVISORS_MS;
    while ((w.supervisors.len > 0 || w.orphans) && clock_monotonic_ms() < end_ms)
        attend(&w, end_ms);
    if (!w.goodbye)
        clean_up(options);
    forked_exit(0);
}

int keeper_start(const struct keeper_options *options, struct keeper **ret, struct err *err)
{
    int ends[2];
    struct keeper *keeper;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, "cannot make a socket for the keeper");
    pid = fork();
    if (pid == 0)
        keep(options, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        err_errno(err, "cannot start the keeper");
        close(ends[0]);
        return -1;
    }
    keeper = xcalloc(1, sizeof(*keeper));
    keeper->socket = ends[0];
    keeper->pid = pid;
    *ret = keeper;
    return 0;
}

/* One command of one byte; a stream socket takes it whole or not at all. */
static int command(const struct keeper *keeper, const struct ctx *ctx, char what, int fd,
                   struct err *err)
{
    const struct iovec part = {.iov_base = &what, .iov_len = 1};

    for (;;) {
        struct pollfd ready = {.fd = keeper->socket, .events = POLLOUT};

        if (fdpass_send(keeper->socket, &part, 1, &fd, fd >= 0, MSG_DONTWAIT) == 1)
            return 0;
        if (errno != EAGAIN)
            return err_set(err, ERR_LOST,
                           "the keeper process has died; nothing more can be "
                           "started, because nobody would clean up after it");
        if (ctx_poll(ctx, &ready, 1, -1, err) < 0)
            return -1;
    }
}

int keeper_supervisor(void *given, const struct ctx *ctx, int *ret_fd, struct err *err)
{
    const struct keeper *keeper = given;
    int ends[2];
    int result;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, "cannot make a socket for a supervisor");
    result = command(keeper, ctx, COMMAND_SUPERVISOR, ends[1], err);
    close(ends[1]);
    if (result < 0)
        close(ends[0]);
    else
        *ret_fd = ends[0];
    return result;
}

void keeper_stop(struct keeper *keeper)
{
    struct ctx ctx;

    if (!keeper)
        return;
    ctx_init_cleanup(&ctx, SUPERVISORS_MS);
    if (command(keeper, &ctx, COMMAND_GOODBYE, -1, NULL) < 0)
        kill(keeper->pid, SIGKILL);
    ctx_release(&ctx);
    close(keeper->socket);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(keeper);
}

pid_t keeper_pid(const struct keeper *keeper)
{
    return keeper->pid;
}
