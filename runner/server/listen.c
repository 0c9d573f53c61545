/* Listening sockets are ours, so that a Unix socket is its owner's alone, each connection is known
 * by its address, and there are no more of them than are wanted. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/local_socket.h"
#include "base/logger.h"
#include "server/transport_inside.h"

enum { BACKLOG = 4096, ACCEPT_AT_ONCE = 256 };

static int add_listener(struct transport *t, int *fd, bool is_unix, struct err *err)
{
    if (t->listener_count == LISTENERS_MAX)
        return err_set(err, ERR_LIMIT, "there are more than %d addresses to listen on",
                       LISTENERS_MAX);
    if (listen(*fd, BACKLOG) < 0)
        return err_errno(err, "cannot listen");
    t->listeners[t->listener_count++] = (struct listener){
        .kind = TRANSPORT_LISTENER,
        .fd = steal_fd(fd),
        .is_unix = is_unix,
    };
    return 0;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6
                     ? ((struct sockaddr_in6 *)(void *)&address)->sin6_port
                     : ((struct sockaddr_in *)(void *)&address)->sin_port);
}

/* A port of 0 is one that is free, and then the same for all addresses. */
static void set_port(struct sockaddr *address, unsigned port)
{
    if (address->sa_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
}

static int listen_at(struct transport *t, const struct addrinfo *at, struct err *err)
{
    CLEANUP_FD int fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    int yes = 1;

    if (fd < 0)
        return err_errno(err, "cannot make a socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    /* IPv4 has a socket of its own. */
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    set_port(at->ai_addr, t->port);
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0)
        return err_errno(err, "cannot listen");
    t->port = port_of(fd);
    return add_listener(t, &fd, false, err);
}

static int listen_tcp(struct transport *t, struct err *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *host = t->options.host ? t->options.host : "0.0.0.0";
    struct addrinfo *found = NULL;
    struct err why = ERR_INIT;
    int failed = getaddrinfo(host, "0", &hints, &found);
    size_t before = t->listener_count;

    if (failed)
        return err_set(err, ERR_INVALID, "--host %s: %s", host, gai_strerror(failed));
    t->port = t->options.port;
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (listen_at(t, a, &why) == 0)
            continue;
        /* Where there is no IPv6, "localhost" has an address of it all the same. */
        if (why.errnum != EADDRNOTAVAIL && why.errnum != EAFNOSUPPORT)
            break;
        if (a->ai_next || t->listener_count > before)
            err_clear(&why);
    }
    freeaddrinfo(found);
    if (why.code)
        return err_set(err, why.code, "port %u of %s: %s", t->options.port, host, why.message);
    return 0;
}

static int listen_unix(struct transport *t, struct err *err)
{
    CLEANUP_FD int fd = local_socket_listen(t->unix_path, SOCK_STREAM, BACKLOG, err);

    if (fd < 0)
        return err_wrap(err, "--listen");
    return add_listener(t, &fd, true, err);
}

int transport_listen(struct transport *t, struct err *err)
{
    if (!t->options.no_tcp && listen_tcp(t, err) < 0)
        return -1;
    return t->unix_path ? listen_unix(t, err) : 0;
}

void transport_unlisten(struct transport *t)
{
    for (size_t i = 0; i < t->listener_count; i++) {
        struct listener *l = &t->listeners[i];

        if (l->fd < 0)
            continue;
        if (l->is_unix)
            unlink(t->unix_path);
        if (l->wsi)
            t->lws->set_timeout(l->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
        else
            close(l->fd);
        l->wsi = NULL;
        l->fd = -1;
    }
}

void transport_rest(struct transport *t, bool rest)
{
    if (t->resting == rest)
        return;
    t->resting = rest;
    for (size_t i = 0; i < t->listener_count; i++) {
        if (t->listeners[i].wsi)
            t->lws->rx_flow_control(t->listeners[i].wsi, !rest);
    }
}

static const struct sockaddr *address_of(const struct web_peer *peer)
{
    return (const struct sockaddr *)(const void *)&peer->address;
}

static void leave_strangers(struct transport *t, struct link *link)
{
    if (link->is_stranger)
        strangers_leave(t->strangers, address_of(&link->peer));
    link->is_stranger = false;
}

int transport_admit(struct transport *t, struct lws *wsi, struct web_request *request, bool upgrade,
                    struct web_response *response)
{
    struct link *link = transport_link(t, wsi);
    struct web_peer nobody = {.address = {.ss_family = AF_UNSPEC}};
    int result = t->options.hooks.admit(t->options.hooks.arg, request, link ? &link->peer : &nobody,
                                        upgrade, response);

    if (link && link->peer.known)
        leave_strangers(t, link);
    return result;
}

void transport_free_link(struct transport *t, struct link *link)
{
    if (t->adopting == link)
        t->adopting = NULL;
    t->connection_count--;
    leave_strangers(t, link);
    transport_rest(t, false);
    if (link->upgrade)
        web_request_release(link->upgrade);
    free(link->upgrade);
    free(link);
}

static void adopt(struct transport *t, int fd, const struct sockaddr_storage *address, bool is_unix)
{
    struct link *link = xcalloc(1, sizeof(*link));
    lws_adopt_desc_t info = {
        .vh = t->vhost,
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP,
        .fd = {.sockfd = fd},
        .opaque = link,
    };
    int yes = 1;

    if (!is_unix) {
        setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
        if (t->tls_cert)
            info.type |= LWS_ADOPT_ALLOW_SSL;
    }
    link->kind = TRANSPORT_LINK;
    link->peer.address = *address;
    link->is_stranger = true;
    t->connection_count++;
    t->adopting = link;
    if (!t->lws->adopt_descriptor_vhost_via_info(&info) && t->adopting)
        transport_free_link(t, link);
    t->adopting = NULL;
}

void transport_accept(struct transport *t, const struct listener *listener)
{
    for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof(address);
        int fd =
            accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log_debug("server", "accept: %s", strerror(errno));
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                transport_rest(t, true);
            return;
        }
        if (listener->is_unix)
            address.ss_family = AF_UNIX;
        if (t->connection_count >= t->options.connection_max ||
            !strangers_enter(t->strangers, (const struct sockaddr *)&address)) {
            close(fd);
            continue;
        }
        adopt(t, fd, &address, listener->is_unix);
    }
}
