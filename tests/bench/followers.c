/* Follows a run of a server with many connections at once, and looks whether each got all of it.
 *
 *     followers sse|ws PORT RUN COUNT LINES
 *
 * The run prints "line 0000001" and so on, in order. Prints a JSON object: how many connections got
 * all LINES lines, and how many lines were lost, or came again, at all of them together. Exits 1
 * unless all got all, once. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STALLED_MS = 30000, DIGITS = 7, EVENTS_MAX = 256, MASK = 0x80 };

static const char mark[] = "line ";

struct follower {
    int fd;
    size_t matched; /* bytes of the mark, then of the number behind it */
    uint64_t number;
    uint64_t last;
    uint64_t lost;
    uint64_t again;
};

static uint64_t lines_wanted;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void count_line(struct follower *f)
{
    if (f->number <= f->last) {
        f->again++;
        return;
    }
    f->lost += f->number - f->last - 1;
    f->last = f->number;
}

static void look_at(struct follower *f, char byte)
{
    size_t mark_size = sizeof(mark) - 1;

    if (f->matched < mark_size) {
        if (byte == mark[f->matched])
            f->matched++;
        else
            f->matched = byte == mark[0];
        f->number = 0;
        return;
    }
    if (byte < '0' || byte > '9') {
        f->matched = byte == mark[0];
        return;
    }
    f->number = f->number * 10 + (uint64_t)(byte - '0');
    if (++f->matched == mark_size + DIGITS) {
        count_line(f);
        f->matched = 0;
    }
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);

        if (sent < 0)
            die("send");
        data += sent;
        size -= (size_t)sent;
    }
}

/* A masked text frame, with a mask of zeros. */
static void send_frame(int fd, const char *text)
{
    size_t size = strlen(text);
    char frame[256] = {(char)0x81, (char)(MASK | size)};

    memcpy(frame + 6, text, size);
    send_all(fd, frame, 6 + size);
}

static void skip_answer(int fd)
{
    char byte;
    size_t ends = 0;

    while (ends < 4) {
        if (recv(fd, &byte, 1, 0) != 1)
            die("no answer to the handshake");
        ends = byte == "\r\n\r\n"[ends] ? ends + 1 : byte == '\r';
    }
}

static int open_follower(bool ws, uint16_t port, const char *run)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char text[512];

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    if (ws) {
        snprintf(text, sizeof(text),
                 "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                 "Sec-WebSocket-Protocol: runner.v2\r\n\r\n");
        send_all(fd, text, strlen(text));
        skip_answer(fd);
        snprintf(text, sizeof(text), "{\"type\":\"follow\",\"payload\":\"%s\"}", run);
        send_frame(fd, text);
    } else {
        snprintf(text, sizeof(text),
                 "GET /api/v1/pipelines/%s/logs?follow=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", run);
        send_all(fd, text, strlen(text));
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* false: it is over. */
static bool receive(struct follower *f)
{
    char data[65536];
    ssize_t got = recv(f->fd, data, sizeof(data), 0);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    for (ssize_t i = 0; i < got; i++)
        look_at(f, data[i]);
    return got > 0 && f->last < lines_wanted;
}

static void follow_all(struct follower *followers, size_t count)
{
    struct epoll_event events[EVENTS_MAX];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    size_t open = count;

    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &followers[i]};

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, followers[i].fd, &event) < 0)
            die("epoll_ctl");
    }
    while (open) {
        int ready = epoll_wait(epoll, events, EVENTS_MAX, STALLED_MS);

        if (ready == 0 || (ready < 0 && errno != EINTR))
            break;
        for (int i = 0; i < ready; i++) {
            struct follower *f = events[i].data.ptr;

            if (receive(f))
                continue;
            close(f->fd);
            open--;
        }
    }
    close(epoll);
}

static int report(const struct follower *followers, size_t count)
{
    size_t complete = 0;
    uint64_t lost = 0, again = 0;

    for (size_t i = 0; i < count; i++) {
        const struct follower *f = &followers[i];

        complete += f->last == lines_wanted && !f->lost && !f->again;
        lost += f->lost + lines_wanted - f->last;
        again += f->again;
    }
    printf("{\"complete\": %zu, \"lost\": %llu, \"again\": %llu}\n", complete,
           (unsigned long long)lost, (unsigned long long)again);
    return complete == count ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    struct follower *followers;
    size_t count;

    if (argc != 6 || (strcmp(argv[1], "sse") != 0 && strcmp(argv[1], "ws") != 0)) {
        fprintf(stderr, "usage: followers sse|ws PORT RUN COUNT LINES\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    count = strtoul(argv[4], NULL, 10);
    lines_wanted = strtoull(argv[5], NULL, 10);
    followers = calloc(count, sizeof(*followers));
    if (!followers)
        die("followers");
    for (size_t i = 0; i < count; i++)
        followers[i].fd =
            open_follower(argv[1][0] == 'w', (uint16_t)strtoul(argv[2], NULL, 10), argv[3]);
    printf("following\n");
    fflush(stdout);
    follow_all(followers, count);
    return report(followers, count);
}
