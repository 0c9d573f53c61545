#include "base/dial.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define STATUS_LINE_SIZE 12 /* "HTTP/1.1 200" */

static int wait_for(const struct ctx *ctx, int fd, short events, struct err *err)
{
    struct pollfd pollfd = {.fd = fd, .events = events};

    return ctx_poll(ctx, &pollfd, 1, -1, err) < 0 ? -1 : 0;
}

static int connect_to(const struct ctx *ctx, const struct addrinfo *to, int *ret_fd,
                      struct err *err)
{
    CLEANUP_FD int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof(errno);
    int error = 0;

    if (fd < 0)
        return err_errno(err, "cannot make a socket");
    if (connect(fd, to->ai_addr, to->ai_addrlen) < 0 && errno != EINPROGRESS)
        return err_errno(err, "cannot connect");
    if (wait_for(ctx, fd, POLLOUT, err) < 0)
        return -1;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error) {
        errno = error ? error : errno;
        return err_errno(err, "cannot connect");
    }
    *ret_fd = steal_fd(&fd);
    return 0;
}

int dial_tcp(const struct ctx *ctx, const char *host, unsigned port, int *ret_fd, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list;
    struct err why = ERR_INIT;
    char service[8];
    int error, result = -1;

    snprintf(service, sizeof(service), "%u", port);
    error = getaddrinfo(host, service, &hints, &list);
    if (error)
        return err_set(err, ERR_NOT_FOUND, "%s:%u: %s", host, port, gai_strerror(error));
    for (const struct addrinfo *at = list; at && result < 0 && !ctx_done(ctx); at = at->ai_next) {
        struct err *first = why.code == ERR_NONE ? &why : NULL;

        result = connect_to(ctx, at, ret_fd, first);
    }
    freeaddrinfo(list);
    if (result < 0 && why.code == ERR_NONE)
        ctx_check(ctx, &why);
    if (result < 0)
        return err_set(err, why.code, "%s:%u: %s", host, port, why.message);
    return 0;
}

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
