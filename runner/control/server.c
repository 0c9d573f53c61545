#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/json_at.h"
#include "base/utf8.h"
#include "control/control.h"
#include "control/inside.h"

enum { CLIENTS_MAX = 16, PACKET_MAX = 16384, EVENTS_AT_ONCE = 8 };

struct control_server {
    struct control_handler handler;
    int dir_fd;
    int socket;
    int epoll;
    int clients[CLIENTS_MAX]; /* the oldest first */
    size_t client_count;
};

/* --- what is asked --- */

char *control_line(const char *text, size_t max)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    for (const char *at = text; *at; at++)
        buf_addch(&out, (unsigned char)*at < ' ' || *at == 0x7f ? ' ' : *at);
    if (out.len > max)
        buf_truncate(&out, utf8_valid_prefix(out.data, max));
    return buf_steal(&out);
}

static void cancel(struct control_server *server, const json_t *request)
{
    CLEANUP_FREE char *reason = control_line(json_at_string(request, "reason"), CONTROL_REASON_MAX);
    CLEANUP_FREE char *by = control_line(json_at_string(request, "by"), CONTROL_BY_MAX);

    server->handler.cancel(server->handler.arg, reason, by);
}

/* What is wrong with it; NULL: it has been done. */
static const char *perform(struct control_server *server, const json_t *request)
{
    const char *what = json_at_string(request, "do");

    if (!json_is_object(request))
        return "this is not a JSON object";
    if (strcmp(what, "cancel") == 0)
        cancel(server, request);
    else if (strcmp(what, "hurry") == 0)
        server->handler.hurry(server->handler.arg);
    else
        return "\"do\" is neither \"cancel\" nor \"hurry\"";
    return NULL;
}

/* --- clients --- */

static void drop(struct control_server *server, int client)
{
    size_t i = 0;

    while (i < server->client_count && server->clients[i] != client)
        i++;
    close(client);
    if (i == server->client_count)
        return;
    server->client_count--;
    memmove(&server->clients[i], &server->clients[i + 1],
            (server->client_count - i) * sizeof(*server->clients));
}

static void serve_client(struct control_server *server, int client)
{
    char packet[PACKET_MAX];
    ssize_t got = recv(client, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
    json_t *request = NULL;
    json_t *answer;
    const char *wrong;
    char *text;

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        drop(server, client);
        return;
    }
    if ((size_t)got <= sizeof(packet))
        request = json_loadb(packet, (size_t)got, 0, NULL);
    wrong = (size_t)got > sizeof(packet) ? "the request is too long" : perform(server, request);
    json_decref(request);
    answer = wrong ? json_pack("{s:s}", "error", wrong) : json_pack("{s:b}", "ok", 1);
    text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (send(client, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        drop(server, client);
    free(text);
}

static void add_client(struct control_server *server, int client)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = client};

    if (server->client_count == CLIENTS_MAX)
        drop(server, server->clients[0]);
    if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, client, &event) < 0)
        close(client);
    else
        server->clients[server->client_count++] = client;
}

static bool out_of_descriptors(void)
{
    return errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
}

/* All that have come, as only a change of the socket is told: whoever finds no descriptor, while
 * the run has none left, waits for the next one, and wakes nobody meanwhile. */
static void welcome(struct control_server *server)
{
    for (;;) {
        int client = accept4(server->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (client >= 0)
            add_client(server, client);
        else if (out_of_descriptors() && server->client_count)
            drop(server, server->clients[0]);
        else if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static bool is_client(const struct control_server *server, int fd)
{
    for (size_t i = 0; i < server->client_count; i++) {
        if (server->clients[i] == fd)
            return true;
    }
    return false;
}

void control_server_serve(struct control_server *server)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(server->epoll, events, EVENTS_AT_ONCE, 0);
    bool more = false;

    /* Newcomers last: they may push out others, whose numbers they then get. */
    for (int i = 0; i < count; i++) {
        int fd = events[i].data.fd;

        if (fd == server->socket)
            more = true;
        else if (is_client(server, fd))
            serve_client(server, fd);
    }
    if (more)
        welcome(server);
}

/* --- the socket --- */

int control_server_fd(const struct control_server *server)
{
    return server->epoll;
}

static int make_socket(struct control_server *server, int dir_fd, struct err *err)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    struct sockaddr_un address;

    server->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    server->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server->dir_fd < 0 || server->socket < 0 || server->epoll < 0)
        return err_errno(err, "cannot make the control socket of the run");
    control_address(dir_fd, &address);
    event.data.fd = server->socket;
    if (fchmod(server->socket, 0600) < 0 ||
        bind(server->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(server->socket, CLIENTS_MAX) < 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->socket, &event) < 0)
        return err_errno(err, "cannot make the control socket of the run");
    return 0;
}

int control_server_new(int dir_fd, const struct control_handler *handler,
                       struct control_server **ret, struct err *err)
{
    struct control_server *server = xcalloc(1, sizeof(*server));

    server->handler = *handler;
    server->dir_fd = server->socket = server->epoll = -1;
    if (make_socket(server, dir_fd, err) < 0) {
        control_server_free(server);
        return -1;
    }
    *ret = server;
    return 0;
}

void control_server_free(struct control_server *server)
{
    if (!server)
        return;
    if (server->dir_fd >= 0)
        unlinkat(server->dir_fd, CONTROL_NAME, 0);
    for (size_t i = 0; i < server->client_count; i++)
        close(server->clients[i]);
    cleanup_fd(&server->epoll);
    cleanup_fd(&server->socket);
    cleanup_fd(&server->dir_fd);
    free(server);
}
