/* One poll loop over three descriptors: requests, the keeper's pipe, and SIGCHLD.
 *
 * Killing goes in rounds: SIGKILL to everything below, then collect with waitpid(WNOHANG). What was
 * forked in the meantime has become ours and is met in the next round, which the SIGCHLD of this
 * one starts. A round without progress (a process that is stuck in the kernel, or that may not be
 * signalled because it is another user's) is repeated at growing intervals, for ever: whether to go
 * on waiting is the engine's decision. */
#include "engine/host/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/forked.h"
#include "base/logger.h"
#include "base/tree.h"
#include "engine/host/wire.h"

enum { ROUND_MS_MIN = 1, ROUND_MS_MAX = 200 };

struct supervisor {
    int socket;
    int keeper;
    int signals;
    pid_t main;  /* of the program; 0 once it has been waited for */
    pid_t pid;   /* the same, kept */
    bool busy;   /* a RUN whose GONE has not been said */
    bool exited; /* status is known, EXITED not said yet */
    bool exit_told;
    int status;
    bool terminating; /* TERM came: the tree has its grace, only KILL ends it */
    bool killing;
    bool orphaned;  /* runner or keeper are gone */
    bool childless; /* as of the last collect() */
    int round_ms;
};

static void tell(struct supervisor *s, const struct wire_reply *replies, size_t count)
{
    const struct iovec part = {.iov_base = (void *)replies, .iov_len = count * sizeof(*replies)};

    if (fdpass_send(s->socket, &part, 1, NULL, 0, 0) != (ssize_t)part.iov_len)
        s->orphaned = true;
}

static bool read_all(int fd, char *data, size_t size)
{
    while (size > 0) {
        ssize_t got = read(fd, data, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        data += got;
        size -= (size_t)got;
    }
    return true;
}

static void tell_failure(struct supervisor *s, const struct err *err, bool exec_failed)
{
    struct wire_reply reply = {.answer = WIRE_FAILED,
                               .code = err->code,
                               .errnum = err->errnum,
                               .exec_failed = exec_failed};

    snprintf(reply.message, sizeof(reply.message), "%.*s", (int)sizeof(reply.message) - 1,
             err->message);
    tell(s, &reply, 1);
}

static void start(struct supervisor *s, const char *payload, size_t size, const int fds[WIRE_FDS])
{
    struct process_options options = PROCESS_OPTIONS_INIT;
    struct wire_program program;
    struct err err = ERR_INIT;
    bool exec_failed = false;
    int started;

    if (wire_decode(payload, size, &program, &err) < 0) {
        tell_failure(s, &err, false);
        return;
    }
    options.argv = program.argv;
    options.envp = program.envp;
    options.cwd = program.cwd;
    options.stdout_fd = fds[0];
    options.stderr_fd = fds[1];
    options.new_session = true;
    options.controlling_tty = program.has_tty;
    options.user = program.has_user ? &program.user : NULL;
    options.ret_exec_failed = &exec_failed;
    started = process_spawn(&options, &s->main, &err);
    if (started == 0)
        log_debug("host", "process %ld started: %s in %s", (long)s->main, program.argv[0],
                  program.cwd);
    wire_program_release(&program);
    if (started < 0) {
        tell_failure(s, &err, exec_failed);
        return;
    }
    s->pid = s->main;
    s->busy = true;
    s->exited = s->exit_told = s->terminating = s->killing = s->childless = false;
}

static void receive_run(struct supervisor *s, size_t size, const int *fds, size_t fd_count)
{
    CLEANUP_BUF struct buf payload = BUF_INIT;

    if (s->busy || fd_count != WIRE_FDS || size > WIRE_MAX_BYTES) {
        s->orphaned = true; /* not our engine any more */
        return;
    }
    buf_reserve(&payload, size);
    if (!read_all(s->socket, payload.data, size)) {
        s->orphaned = true;
        return;
    }
    start(s, payload.data, size, fds);
}

static void receive(struct supervisor *s)
{
    struct wire_header header;
    int fds[FDPASS_MAX];
    size_t fd_count;
    ssize_t got = fdpass_recv(s->socket, &header, sizeof(header), fds, &fd_count);

    if (got <= 0 || !read_all(s->socket, (char *)&header + got, sizeof(header) - (size_t)got)) {
        s->orphaned = true;
    } else if (header.request == WIRE_RUN) {
        receive_run(s, header.size, fds, fd_count);
    } else if (header.request == WIRE_TERM && s->busy && !s->killing) {
        s->terminating = true;
        tree_signal(s->main, SIGTERM);
        tree_signal(s->main, SIGCONT); /* a stopped process could not act on it */
    } else if (header.request == WIRE_KILL && s->busy) {
        s->killing = true;
    }
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
}

static void collect(struct supervisor *s)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);

        if (pid <= 0) {
            s->childless = pid < 0 && errno == ECHILD;
            return;
        }
        s->round_ms = ROUND_MS_MIN;
        if (pid == s->main) {
            s->main = 0;
            s->exited = true;
            s->status = status;
        }
    }
}

/* Brings the tree nearer to its end, and says what has become known. */
static void advance(struct supervisor *s)
{
    struct wire_reply replies[2] = {{.answer = WIRE_EXITED}, {.answer = WIRE_GONE}};

    collect(s);
    if ((s->exited && !s->terminating) || s->orphaned)
        s->killing = true;
    if (s->killing && !s->childless) {
        tree_kill_children(NULL, 0);
        collect(s);
    }
    /* To an orphan's killing nobody listens, or would take it for an end of the step's own. */
    if (!s->busy || !s->exited || s->orphaned)
        return;
    replies[0].status = s->status;
    replies[0].pid = (int32_t)s->pid;
    if (s->childless) {
        /* Mostly nothing is left behind, and one message says both. */
        s->busy = s->killing = false;
        tell(s, replies + s->exit_told, 2 - s->exit_told);
    } else if (!s->exit_told) {
        s->exit_told = true;
        tell(s, replies, 1);
    }
}

static int next_round_ms(struct supervisor *s)
{
    int ms = s->round_ms;

    if (!s->killing || s->childless)
        return -1;
    s->round_ms = ms * 2 < ROUND_MS_MAX ? ms * 2 : ROUND_MS_MAX;
    return ms;
}

static void wait_for_events(struct supervisor *s)
{
    struct pollfd fds[] = {
        {.fd = s->signals, .events = POLLIN},
        {.fd = s->orphaned ? -1 : s->socket, .events = POLLIN},
        {.fd = s->orphaned ? -1 : s->keeper, .events = POLLIN},
    };
    struct signalfd_siginfo info;

    if (poll(fds, 3, next_round_ms(s)) <= 0)
        return;
    while (fds[0].revents && read(s->signals, &info, sizeof(info)) > 0)
        ;
    if (fds[2].revents)
        s->orphaned = true;
    else if (fds[1].revents)
        receive(s);
}

void supervisor_main(int socket, int keeper)
{
    struct supervisor s = {.socket = socket,
                           .keeper = keeper,
                           .childless = true,
                           .round_ms = ROUND_MS_MIN};
    sigset_t child;

    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    s.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s.signals < 0 || tree_adopt_orphans(NULL) < 0)
        return; /* the engine sees the socket close */
    while (!s.orphaned || !s.childless) {
        wait_for_events(&s);
        advance(&s);
    }
    close(s.signals);
}
