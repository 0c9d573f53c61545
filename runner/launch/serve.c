/* The launcher's process is one poll loop over the starter's socket, the socket that all runs
 * report to, and signals. It never waits for anybody: what the starter does not take yet is kept.
 * When the starter has gone, its end of the loop has: what is to be told then is told to nobody.
 * Where another one may come it is taken when there is none, and hears nothing of the runs of
 * those before it, which it finds by their records.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fdpass.h"
#include "base/forked.h"
#include "base/logger.h"
#include "base/vec.h"
#include "launch/inside.h"

enum { PACKET_MAX = sizeof(struct launch_report) + LAUNCH_TEXT_MAX };

struct child {
    pid_t pid;
    bool refused; /* and that has been told: its end is nothing new */
    bool left;    /* by its starter, which has gone */
    char run_id[OWN_RUN_ID_SIZE];
};

struct server {
    const struct launcher_options *options;
    const struct launch_serving *serving;
    int listener;      /* -1: no starter comes any more */
    int socket;        /* -1: the starter has gone */
    bool alone;        /* no process is left that this one has to wait for */
    bool ending;       /* nothing is started any more */
    int64_t cancel_ms; /* when runs are cancelled; 0: they are not, or have been */
    int signals;
    int reports[2]; /* runs write to [1] */
    VEC(struct child)
    children;
    VEC(struct buf)
    untold; /* packets for the starter */
};

/* --- telling --- */

/* false: the starter has gone. */
static bool tell_some(struct server *s)
{
    size_t told = 0;

    while (told < s->untold.len) {
        const struct buf *packet = &s->untold.items[told];

        if (send(s->socket, packet->data, packet->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN && errno != ENOBUFS)
                return false;
            break;
        }
        told++;
    }
    for (size_t i = 0; i < told; i++)
        buf_release(&s->untold.items[i]);
    if (!told)
        return true;
    s->untold.len -= told;
    memmove(s->untold.items, s->untold.items + told, s->untold.len * sizeof(*s->untold.items));
    return true;
}

static void tell(struct server *s, const void *packet, size_t size)
{
    struct buf copy = BUF_INIT;

    if (s->socket < 0)
        return;
    buf_add(&copy, packet, size);
    vec_push(&s->untold, copy);
}

static void tell_report(struct server *s, const struct launch_report *head, const char *text)
{
    CLEANUP_BUF struct buf packet = BUF_INIT;

    buf_add(&packet, head, sizeof(*head));
    buf_addstr(&packet, text);
    tell(s, packet.data, packet.len);
}

/* --- runs --- */

static void __attribute__((noreturn))
become_run(struct server *s, const char *run_id, int request_fd)
{
    close(s->socket);
    if (s->listener >= 0)
        close(s->listener);
    close(s->signals);
    close(s->reports[0]);
    launch_run(s->options, run_id, request_fd, s->reports[1]);
}

static void refuse(struct server *s, const char *run_id, enum err_code code, const char *text)
{
    struct launch_report head = {.kind = LAUNCH_REFUSED, .code = code};

    memcpy(head.run_id, run_id, sizeof(head.run_id));
    tell_report(s, &head, text);
}

static void start(struct server *s, const struct launch_call *call, int request_fd)
{
    struct child child = {.pid = fork()};

    memcpy(child.run_id, call->run_id, sizeof(child.run_id));
    if (child.pid == 0)
        become_run(s, child.run_id, request_fd);
    if (child.pid > 0) {
        vec_push(&s->children, child);
    } else {
        struct err err = ERR_INIT;

        err_errno(&err, "cannot start a process for the run");
        refuse(s, child.run_id, launch_code(&err), err.message);
    }
}

/* false: the starter has gone. */
static bool receive(struct server *s)
{
    struct launch_call call;
    int fds[FDPASS_MAX];
    size_t fd_count;
    bool is_call;
    ssize_t got = fdpass_recv(s->socket, &call, sizeof(call), fds, &fd_count);

    if (got < 0 && errno == EAGAIN)
        return true;
    is_call = got == sizeof(call) && *call.run_id && memchr(call.run_id, '\0', sizeof(call.run_id));
    if (is_call && s->ending)
        refuse(s, call.run_id, ERR_UNAVAILABLE, "the process that starts runs is ending");
    else if (is_call && fd_count == 1)
        start(s, &call, fds[0]);
    else if (is_call && !fd_count) /* the kernel drops what there is no number for */
        refuse(s, call.run_id, ERR_UNAVAILABLE,
               "the process that starts runs could not take the pipeline, as when it has too many "
               "files open: try again");
    else if (got > 0)
        log_warn("launch", "a packet of %zd bytes is no request", got);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    return got > 0;
}

static struct child *find(struct server *s, pid_t pid)
{
    vec_foreach (struct child *, child, &s->children) {
        if (child->pid == pid)
            return child;
    }
    return NULL;
}

/* What runs say goes on as it is. */
static void relay(struct server *s)
{
    char packet[PACKET_MAX];
    ssize_t got;

    while ((got = recv(s->reports[0], packet, sizeof(packet), MSG_DONTWAIT)) > 0 ||
           (got < 0 && errno == EINTR)) {
        struct launch_report head;
        struct child *child;

        if (got < (ssize_t)sizeof(head))
            continue;
        memcpy(&head, packet, sizeof(head));
        child = find(s, head.pid);
        if (child && child->left)
            continue;
        if (child)
            child->refused = head.kind == LAUNCH_REFUSED;
        tell(s, packet, (size_t)got);
    }
}

/* Nothing is told to anybody any more. */
static void leave_starter(struct server *s)
{
    if (s->socket < 0)
        return;
    close(s->socket);
    s->socket = -1;
    vec_foreach (struct buf *, packet, &s->untold)
        buf_release(packet);
    s->untold.len = 0;
    vec_foreach (struct child *, child, &s->children)
        child->left = true;
}

static void welcome(struct server *s)
{
    /* When there is no number for it: poll() would say the same at once, and nobody is to be told
     * anything meanwhile. */
    const struct timespec moment = {.tv_nsec = 100 * 1000 * 1000};
    CLEANUP_BUF struct buf hello = BUF_INIT;

    if (s->listener < 0)
        return;
    s->socket = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    if (s->socket < 0) {
        nanosleep(&moment, NULL);
        return;
    }
    launch_hello_write(s->options->history, s->serving->workdir, &hello);
    tell(s, hello.data, hello.len);
}

/* --- the end --- */

/* Who stops the container has it killed soon. */
static void stop_runs(struct server *s)
{
    log_info("launch", "asked to end: runs are cancelled");
    s->ending = true;
    s->cancel_ms = 0;
    leave_starter(s);
    vec_foreach (const struct child *, child, &s->children)
        kill(child->pid, SIGTERM);
}

/* In this order: what nobody listens on another launcher may take over. */
static void stop_listening(struct server *s)
{
    if (s->listener < 0)
        return;
    unlink(s->serving->path);
    close(s->listener);
    s->listener = -1;
}

static void begin_end(struct server *s)
{
    stop_listening(s);
    if (s->ending || !s->serving->drain_ms) {
        stop_runs(s);
        return;
    }
    log_info("launch", "asked to end: runs are waited for");
    s->ending = true;
    if (__builtin_add_overflow(clock_monotonic_ms(), s->serving->drain_ms, &s->cancel_ms))
        s->cancel_ms = INT64_MAX;
}

static void read_signals(struct server *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof(info)) > 0) {
        if (info.ssi_signo != SIGCHLD)
            begin_end(s);
    }
}

/* What a run has said is told before its end. Others than runs are what they have left: keepers. */
static void collect(struct server *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct child *child = find(s, pid);
        struct launch_report head = {.kind = LAUNCH_ENDED, .pid = pid, .status = status};

        relay(s);
        if (!child)
            continue;
        memcpy(head.run_id, child->run_id, sizeof(head.run_id));
        if (!child->refused && !child->left)
            tell_report(s, &head, "");
        *child = s->children.items[--s->children.len];
    }
    s->alone = pid < 0;
}

static int prepare(struct server *s)
{
    enum launch_end end = s->serving->end;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    if (end != LAUNCH_LEAVE)
        sigaddset(&set, SIGTERM);
    if (end == LAUNCH_LISTEN)
        sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signals < 0 ? -1 : socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->reports);
}

static bool goes_on(const struct server *s)
{
    if (s->socket >= 0 || s->listener >= 0)
        return true;
    return s->serving->end != LAUNCH_LEAVE && !s->alone;
}

/* -1: for ever. */
static int time_left(const struct server *s)
{
    int64_t left = s->cancel_ms - clock_monotonic_ms();

    if (!s->cancel_ms)
        return -1;
    return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

/* false: the starter has gone. */
static bool attend(struct server *s, short events)
{
    return (!(events & ~POLLOUT) || receive(s)) && tell_some(s);
}

static void serve(struct server *s)
{
    while (goes_on(s)) {
        bool has_starter = s->socket >= 0;
        struct pollfd fds[] = {
            {.fd = has_starter ? s->socket : s->listener,
             .events = POLLIN | (s->untold.len ? POLLOUT : 0)},
            {.fd = s->reports[0], .events = POLLIN},
            {.fd = s->signals, .events = POLLIN},
        };

        if (poll(fds, 3, time_left(s)) < 0)
            continue;
        if (fds[1].revents)
            relay(s);
        if (fds[2].revents)
            read_signals(s);
        if (!has_starter && fds[0].revents)
            welcome(s);
        else if (s->socket >= 0 && !attend(s, fds[0].revents))
            leave_starter(s);
        if (s->cancel_ms && !time_left(s))
            stop_runs(s);
        /* Also without a signal: who has nobody to wait for gets none. */
        collect(s);
    }
}

int launch_serve(const struct launcher_options *options, const struct launch_serving *serving)
{
    bool listens = serving->end == LAUNCH_LISTEN;
    struct server s = {
        .options = options,
        .serving = serving,
        .listener = listens ? serving->socket : -1,
        .socket = listens ? -1 : serving->socket,
    };
    const int open_fds[] = {serving->socket, serving->error_fd};

    forked_isolate("runner-launcher", open_fds, 2);
    dup2(serving->error_fd, STDERR_FILENO);
    if (serving->error_fd != STDERR_FILENO)
        close(serving->error_fd);
    /* What runs leave behind for a moment (a keeper that cleans up) is not left to the first
     * process of a container, which may be the server and waits for nobody. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (prepare(&s) < 0)
        return -1; /* the starter sees the socket close */
    serve(&s);
    vec_release(&s.untold);
    vec_release(&s.children);
    return 0;
}
