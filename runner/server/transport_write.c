/* When connections of HTTP/1.1 can be written to.
 *
 * The library tells that only of one that it reads, and what it cannot read yet, as the request
 * behind one whose answer its client does not take, has the loop go round without an end. So a
 * connection that cannot be written to is not read either: an epoll set of ours, which is one more
 * descriptor for the library, tells when it can. */
#include <errno.h>
#include <sys/epoll.h>

#include "server/transport_inside.h"

enum { EVENTS_AT_ONCE = 64 };

int transport_watch_writing(struct transport *t, struct err *err)
{
    struct listener *writing = &t->writing;
    lws_adopt_desc_t info = {
        .vh = t->vhost,
        .type = LWS_ADOPT_RAW_FILE_DESC,
        .vh_prot_name = TRANSPORT_LISTEN_PROTOCOL,
        .opaque = writing,
    };

    writing->fd = epoll_create1(EPOLL_CLOEXEC);
    if (writing->fd < 0)
        return err_errno(err, "cannot watch descriptors");
    info.fd.filefd = writing->fd;
    writing->wsi = t->lws->adopt_descriptor_vhost_via_info(&info);
    return writing->wsi ? 0 : err_set(err, ERR_SYSTEM, "the loop cannot watch a descriptor");
}

static bool is_choked(int fd)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};

    return poll(&out, 1, 0) == 0;
}

/* One shot. False: it is not known when it can be written to, and the library is to find out. */
static bool await_writable(struct transport *t, struct link *link, int fd)
{
    struct epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data = {.ptr = link}};

    if (epoll_ctl(t->writing.fd, link->awaited ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) < 0)
        return false;
    link->awaited = true;
    return true;
}

bool transport_rest_if_choked(struct transport *t, struct lws *wsi)
{
    struct link *link = transport_link(t, wsi);
    int fd = t->lws->get_socket_fd(wsi);

    if (!link || transport_is_mux(t, wsi) || !is_choked(fd) || !await_writable(t, link, fd))
        return false;
    link->wsi = wsi;
    t->lws->rx_flow_control(wsi, 0);
    return true;
}

void transport_forget_writing(struct transport *t, struct link *link, struct lws *wsi)
{
    if (link->awaited)
        epoll_ctl(t->writing.fd, EPOLL_CTL_DEL, t->lws->get_socket_fd(wsi), NULL);
    link->awaited = false;
}

void transport_stop_reading(const struct web_call *call)
{
    const struct transport *t = call->transport;

    if (!call->is_socket && !transport_is_mux(t, call->wsi))
        t->lws->rx_flow_control(call->wsi, 0);
}

void transport_want_write(struct web_call *call)
{
    struct transport *t = call->transport;

    if (!call->is_socket && !transport_is_mux(t, call->wsi)) {
        if (transport_rest_if_choked(t, call->wsi))
            return;
        t->lws->rx_flow_control(call->wsi, 1);
    }
    t->lws->callback_on_writable(call->wsi);
}

void transport_serve_writable(struct transport *t)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(t->writing.fd, events, EVENTS_AT_ONCE, 0);

    for (int i = 0; i < count; i++) {
        const struct link *link = events[i].data.ptr;

        t->lws->rx_flow_control(link->wsi, 1);
        t->lws->callback_on_writable(link->wsi);
    }
}
