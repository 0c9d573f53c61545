#include "launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fdpass.h"
#include "base/forked.h"
#include "base/fs.h"
#include "base/local_socket.h"
#include "base/logger.h"
#include "launch/inside.h"

enum {
    BACKLOG = 16,
    CONNECT_MS = 60000, /* containers of a pod are started in any order, and images come slowly */
    RETRY_MS = 100,
    WAIT_TOLD = 20, /* after so many of them it is said that the launcher is waited for */
    BUSY_TOLD_MS = WAIT_TOLD * RETRY_MS,
    HELLO_MAX = 3 * 4096,
};

struct launcher {
    int socket;
    pid_t pid;  /* 0: it is elsewhere, with all runs */
    char *path; /* of the socket that it listens on; NULL: on none */
    /* The packet of the last event, with a NUL behind it. */
    union {
        struct launch_report head;
        char bytes[sizeof(struct launch_report) + LAUNCH_TEXT_MAX + 1];
    } packet;
};

/* --- starting --- */

/* The standard error that runs get, with a number that isolating a process does not touch. */
static int copy_standard_error(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

int launcher_start(const struct launcher_options *options, struct launcher **ret, struct err *err)
{
    CLEANUP_FD int error_fd = copy_standard_error();
    struct launch_serving serving = {.end = LAUNCH_LEAVE, .error_fd = error_fd};
    struct launcher *launcher;
    int ends[2];
    pid_t pid;

    if (error_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return err_errno(err, "cannot make a socket for the launcher of runs");
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        serving.socket = ends[1];
        forked_exit(launch_serve(options, &serving) < 0);
    }
    close(ends[1]);
    if (pid < 0) {
        err_errno(err, "cannot start the launcher of runs");
        close(ends[0]);
        return -1;
    }
    launcher = launcher_attach(ends[0]);
    launcher->pid = pid;
    *ret = launcher;
    return 0;
}

struct launcher *launcher_attach(int socket)
{
    struct launcher *launcher = xcalloc(1, sizeof(*launcher));

    launcher->socket = socket;
    return launcher;
}

/* Takes the socket over. */
static int serve(const struct launcher_options *options, struct launch_serving *serving,
                 struct err *err)
{
    serving->error_fd = copy_standard_error();
    if (serving->error_fd < 0) {
        close(serving->socket);
        return err_errno(err, "cannot copy standard error");
    }
    if (launch_serve(options, serving) < 0)
        return err_errno(err, "cannot start runs");
    return 0;
}

int launcher_serve(const struct launcher_options *options, int socket, struct err *err)
{
    struct launch_serving serving = {.end = LAUNCH_STAY, .socket = socket};

    return serve(options, &serving, err);
}

int launcher_listen(const struct launcher_place *place, struct err *err)
{
    return local_socket_listen(place->path, SOCK_SEQPACKET, BACKLOG, err);
}

int launcher_serve_each(const struct launcher_options *options, const struct launcher_place *place,
                        int listener, int64_t drain_ms, struct err *err)
{
    struct launch_serving serving = {
        .end = LAUNCH_LISTEN,
        .socket = listener,
        .path = place->path,
        .workdir = place->workdir,
        .drain_ms = drain_ms,
    };

    return serve(options, &serving, err);
}

void launcher_stop(struct launcher *launcher)
{
    if (!launcher)
        return;
    /* A child of the program may have a copy, which would keep it open. */
    shutdown(launcher->socket, SHUT_RDWR);
    close(launcher->socket);
    while (launcher->pid && waitpid(launcher->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(launcher->path);
    free(launcher);
}

pid_t launcher_pid(const struct launcher *launcher)
{
    return launcher->pid;
}

/* --- connecting --- */

/* What a try has come to; `err` is set with NOT_YET, too. */
enum outcome { FAILED = -1, CONNECTED, NOT_YET };

static void busy(const char *path, struct err *err)
{
    err_set(err, ERR_UNAVAILABLE,
            "the launcher at %s does not answer: another server may be connected to it", path);
}

static enum outcome join(const char *path, int *ret_fd, struct err *err)
{
    int fd = local_socket_connect(path, SOCK_SEQPACKET);

    if (fd >= 0) {
        *ret_fd = fd;
        return CONNECTED;
    }
    if (errno == EPROTOTYPE)
        return err_set(err, ERR_CONFLICT, "what listens on %s is no launcher", path);
    if (errno == EAGAIN) {
        busy(path, err);
        return NOT_YET;
    }
    if (errno != ENOENT && errno != ECONNREFUSED)
        return err_errno(err, "cannot connect to the launcher at %s", path);
    err_set(err, ERR_UNAVAILABLE,
            "no launcher listens on %s: start one with `runner server --launcher-listen %s`", path,
            path);
    return NOT_YET;
}

/* The launcher says something when it has no other starter. False: that is not to be waited for. */
static bool await_word(const struct ctx *ctx, const struct launcher_place *place, int fd,
                       struct err *err)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int result = ctx_poll(ctx, &ready, 1, BUSY_TOLD_MS, err);

    if (result == 0) {
        struct err why = ERR_INIT;

        busy(place->path, &why);
        log_warn("launch", "%s; it is waited for", why.message);
        result = ctx_poll(ctx, &ready, 1, -1, err);
    }
    return result >= 0;
}

static enum outcome await_hello(const struct ctx *ctx, const struct launcher_place *place, int fd,
                                struct err *err)
{
    char hello[HELLO_MAX];
    ssize_t got = -1;

    while (got < 0) {
        if (!await_word(ctx, place, fd, err))
            return FAILED;
        got = recv(fd, hello, sizeof(hello), MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            got = 0;
    }
    if (got)
        return launch_hello_check(place, hello, (size_t)got, err) < 0 ? FAILED : CONNECTED;
    err_set(err, ERR_UNAVAILABLE, "the launcher at %s is ending", place->path);
    return NOT_YET;
}

static enum outcome connect_once(const struct ctx *ctx, const struct launcher_place *place,
                                 int *ret_fd, struct err *err)
{
    CLEANUP_FD int fd = -1;
    enum outcome outcome = join(place->path, &fd, err);

    if (outcome == CONNECTED)
        outcome = await_hello(ctx, place, fd, err);
    if (outcome == CONNECTED)
        *ret_fd = steal_fd(&fd);
    else if (fd >= 0 && ctx_expired(ctx))
        busy(place->path, err);
    return outcome;
}

int launcher_connect(const struct ctx *parent, const struct launcher_place *place,
                     struct launcher **ret, struct err *err)
{
    CLEANUP_CTX struct ctx ctx = {.cancel = {.event_fd = -1}};
    struct err why = ERR_INIT;
    enum outcome outcome;
    int tries = 0;
    int fd = -1;

    ctx_init(&ctx, parent);
    ctx_set_timeout(&ctx, CONNECT_MS, "the connection to the launcher");
    while ((outcome = connect_once(&ctx, place, &fd, &why)) == NOT_YET) {
        struct err ended = ERR_INIT;

        if (++tries == WAIT_TOLD)
            log_warn("launch", "%s; it is waited for", why.message);
        if (ctx_sleep(&ctx, RETRY_MS, &ended) == 0)
            continue;
        if (!ctx_expired(&ctx))
            why = ended;
        break;
    }
    if (outcome != CONNECTED)
        return err_set(err, why.code, "%s", why.message);
    *ret = launcher_attach(fd);
    (*ret)->path = xstrdup(place->path);
    return 0;
}

/* --- requests --- */

static int lost(const struct launcher *launcher, struct err *err)
{
    if (launcher->path)
        return err_set(err, ERR_LOST,
                       "the launcher that listened on %s has ended: nothing more can be started",
                       launcher->path);
    if (!launcher->pid)
        return err_set(err, ERR_LOST,
                       "the container of the process that starts runs has ended, and what ran in "
                       "it with it: nothing more can be started");
    return err_set(err, ERR_LOST,
                   "the process that starts runs has died: nothing more can be started; what runs "
                   "goes on");
}

static int make_file(const struct launch_request *request, int *ret_fd, struct err *err)
{
    CLEANUP_BUF struct buf bytes = BUF_INIT;
    CLEANUP_FD int fd = -1;

    if (launch_request_write(request, &bytes, err) < 0)
        return -1;
    fd = memfd_create("runner-request", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot hand over what is to be run");
    if (fs_write_all(fd, bytes.data, bytes.len, err) < 0)
        return err_wrap(err, "cannot hand over what is to be run");
    *ret_fd = steal_fd(&fd);
    return 0;
}

int launcher_run(const struct ctx *ctx, struct launcher *launcher,
                 const struct launch_request *request, struct err *err)
{
    struct launch_call call = {0};
    const struct iovec part = {.iov_base = &call, .iov_len = sizeof(call)};
    CLEANUP_FD int fd = -1;

    if (strlen(request->run_id) >= sizeof(call.run_id))
        return err_set(err, ERR_INVALID, "\"%.40s\" is not the id of a run", request->run_id);
    if (request->directory && *request->directory != '/')
        return err_set(err, ERR_INVALID, "the directory of a run must be absolute, not \"%s\"",
                       request->directory);
    memcpy(call.run_id, request->run_id, strlen(request->run_id));
    if (make_file(request, &fd, err) < 0)
        return -1;
    for (;;) {
        struct pollfd ready = {.fd = launcher->socket, .events = POLLOUT};

        if (fdpass_send(launcher->socket, &part, 1, &fd, 1, MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == ETOOMANYREFS) {
            if (ctx_sleep(ctx, 1, err) < 0)
                return -1;
        } else if (errno != EAGAIN && errno != ENOBUFS) {
            return lost(launcher, err);
        } else if (ctx_poll(ctx, &ready, 1, -1, err) < 0) {
            return -1;
        }
    }
}

/* --- events --- */

int launcher_fd(const struct launcher *launcher)
{
    return launcher->socket;
}

int launcher_next(struct launcher *launcher, struct launch_event *ret, struct err *err)
{
    struct launch_report *head = &launcher->packet.head;
    ssize_t got;

    do
        got = recv(launcher->socket, launcher->packet.bytes, sizeof(launcher->packet.bytes) - 1,
                   MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got < (ssize_t)sizeof(*head))
        return lost(launcher, err);
    launcher->packet.bytes[got] = '\0';
    *ret = (struct launch_event){.kind = (enum launch_kind)head->kind,
                                 .pid = head->pid,
                                 .status = head->status,
                                 .code = (enum err_code)head->code,
                                 .text = launcher->packet.bytes + sizeof(*head)};
    memcpy(ret->run_id, head->run_id, sizeof(ret->run_id));
    ret->run_id[sizeof(ret->run_id) - 1] = '\0';
    return 1;
}
