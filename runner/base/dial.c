#include "base/dial.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/resolve.h"

#define STATUS_LINE_SIZE 12 /* "HTTP/1.1 200" */

/* The first is RFC 8305's. */
enum { HEAD_START_MS = 250, RACERS_MAX = 8 };

static int wait_for(const struct ctx *ctx, int fd, short events, struct err *err)
{
    struct pollfd pollfd = {.fd = fd, .events = events};

    return ctx_poll(ctx, &pollfd, 1, -1, err) < 0 ? -1 : 0;
}

/* --- connecting --- */

/* Connections that are under way; the rest of the addresses waits for its turn. */
struct race {
    struct pollfd fds[RACERS_MAX];
    size_t count;
    const struct addrinfo *next;
    struct err first; /* why the first that failed did */
};

static void note_failure(struct race *race, int error)
{
    errno = error;
    if (race->first.code == ERR_NONE)
        err_errno(&race->first, "cannot connect");
}

static void start_next(struct race *race)
{
    const struct addrinfo *to = race->next;
    CLEANUP_FD int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    race->next = to->ai_next;
    if (fd < 0 || (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS))
        note_failure(race, errno);
    else
        race->fds[race->count++] = (struct pollfd){.fd = steal_fd(&fd), .events = POLLOUT};
}

/* Takes those out that have failed. Returns one that is connected, which is the caller's, or -1. */
static int harvest(struct race *race)
{
    size_t kept = 0;
    int winner = -1;

    for (size_t i = 0; i < race->count; i++) {
        const struct pollfd *at = &race->fds[i];
        socklen_t size = sizeof(int);
        int error = 0;

        if (!at->revents || winner >= 0) {
            race->fds[kept++] = *at;
            continue;
        }
        if (getsockopt(at->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
        if (!error) {
            winner = at->fd;
            continue;
        }
        note_failure(race, error);
        close(at->fd);
    }
    race->count = kept;
    return winner;
}

static int run_race(const struct ctx *ctx, struct race *race, int *ret_fd, struct err *err)
{
    bool due = true;

    for (;;) {
        int ready, fd;

        while (race->next && race->count < RACERS_MAX && (due || !race->count)) {
            size_t before = race->count;

            start_next(race);
            due = race->count == before;
        }
        if (!race->count) {
            if (err)
                *err = race->first;
            return -1;
        }
        ready = ctx_poll(ctx, race->fds, race->count, race->next ? HEAD_START_MS : -1, err);
        if (ready < 0)
            return -1;
        fd = ready ? harvest(race) : -1;
        if (fd >= 0) {
            *ret_fd = fd;
            return 0;
        }
        due = true;
    }
}

int dial_first(const struct ctx *ctx, const struct addrinfo *addresses, int *ret_fd,
               struct err *err)
{
    struct race race = {.next = addresses, .first = ERR_INIT};
    int result = ctx_check(ctx, err) < 0 ? -1 : run_race(ctx, &race, ret_fd, err);

    for (size_t i = 0; i < race.count; i++)
        close(race.fds[i].fd);
    return result;
}

int dial_tcp(const struct ctx *ctx, const char *host, unsigned port, int *ret_fd, struct err *err)
{
    struct addrinfo *list = NULL;
    struct err why = ERR_INIT;
    char service[16];
    int result;

    snprintf(service, sizeof(service), "%u", port);
    result = resolve_host(ctx, host, service, &list, &why);
    if (result == 0) {
        result = dial_first(ctx, list, ret_fd, &why);
        freeaddrinfo(list);
    }
    if (result < 0)
        return err_set(err, why.code, "%s:%u: %s", host, port, why.message);
    return 0;
}

/* --- HTTP --- */

static int exchange(const struct ctx *ctx, int fd, const struct buf *request, char *answer,
                    size_t size, struct err *err)
{
    size_t sent = 0, got = 0;

    while (sent < request->len) {
        ssize_t n = send(fd, request->data + sent, request->len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_errno(err, "cannot send");
        if (n < 0 && wait_for(ctx, fd, POLLOUT, err) < 0)
            return -1;
        sent += n > 0 ? (size_t)n : 0;
    }
    while (got < size) {
        ssize_t n = recv(fd, answer + got, size - got, 0);

        if (n == 0)
            return err_set(err, ERR_PROTOCOL, "the answer is not HTTP");
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_errno(err, "no answer");
        if (n < 0 && wait_for(ctx, fd, POLLIN, err) < 0)
            return -1;
        got += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int dial_http(const struct ctx *ctx, const char *host, unsigned port, const char *path,
              int *ret_status, struct err *err)
{
    CLEANUP_BUF struct buf request = BUF_INIT;
    char answer[STATUS_LINE_SIZE + 1] = "";
    CLEANUP_FD int fd = -1;
    struct err why = ERR_INIT;
    int status;

    if (dial_tcp(ctx, host, port, &fd, err) < 0)
        return -1;
    buf_addf(&request,
             "GET %s HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: runner\r\nAccept: */*\r\n"
             "Connection: close\r\n\r\n",
             path, host, port);
    if (exchange(ctx, fd, &request, answer, STATUS_LINE_SIZE, &why) < 0)
        return err_set(err, why.code, "%s:%u: %s", host, port, why.message);
    if (sscanf(answer, "HTTP/1.%*1d %3d", &status) != 1 || status < 100)
        return err_set(err, ERR_PROTOCOL, "%s:%u: the answer is not HTTP", host, port);
    *ret_status = status;
    return 0;
}
