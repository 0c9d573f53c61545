#include "server/transport.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/logger.h"
#include "server/transport_inside.h"

enum {
    /* libwebsockets keeps a table by descriptor: a limit of a million costs 16 MB. */
    DESCRIPTORS_MAX = 65536,
    /* Besides connections: records, the store, sockets of runs. */
    DESCRIPTORS_SPARE = 1024,
    /* Tables of headers, besides one for each connection: for the streams of HTTP/2. They are
     * allocated when they are used. */
    HEADERS_SPARE = 2048,
    HEADERS_MAX = 65535,
    BUFFER_SIZE = 16384,
    SECONDS_TO_ASK = 20,  /* for TLS, and between two pieces of a body */
    SECONDS_OF_HEAD = 10, /* for all of the head of a request */
    SECONDS_IDLE = 75,    /* between requests */
    PATIENCE_MS = 2000,   /* with whoever has shut his side of the connection */
    STACK_SIZE = 512 * 1024,
};

/* As the one of TRANSPORT_LISTEN_PROTOCOL. */
#define HTTP_PROTOCOL "http,"

/* WebSocket connections and those of HTTP/2 that say nothing are asked whether they are there. */
static const lws_retry_bo_t keepalive = {
    .secs_since_valid_ping = 30,
    .secs_since_valid_hangup = 75,
};

struct transport *transport_of(struct lws *wsi)
{
    const struct websockets *lws = websockets_load(NULL);
    struct lws_context *context = lws->get_context(wsi);

    return context ? lws->context_user(context) : NULL;
}

static void log_line(int level, const char *line)
{
    (void)level;
    log_debug("server", "%.*s", (int)strcspn(line, "\n"), line);
}

/* --- the sweep --- */

/* What of it tells that the client has gone. Behind a request for a stream nothing may come: it
 * would be waiting for ever. Who only has nothing more to say may get his answer, if it is soon. */
static short gone_events(const struct web_call *call, int64_t now_ms)
{
    if (call->state == CALL_STREAM)
        return POLLIN | POLLRDHUP;
    return now_ms - call->began_ms < PATIENCE_MS ? 0 : POLLRDHUP;
}

/* What has gone, and only ever listened: HTTP/1.1 is not read meanwhile. */
static void find_gone(struct transport *t, int64_t now_ms)
{
    struct pollfd fds[256];
    struct web_call *calls[256];
    struct web_call *next = t->watched;

    while (next) {
        nfds_t count = 0;

        for (; next && count < 256; next = next->next_watched) {
            if (next->is_socket || t->lws->get_network_wsi(next->wsi) != next->wsi)
                continue;
            fds[count] = (struct pollfd){.fd = t->lws->get_socket_fd(next->wsi),
                                         .events = gone_events(next, now_ms)};
            calls[count++] = next;
        }
        if (poll(fds, count, 0) <= 0)
            continue;
        for (nfds_t i = 0; i < count; i++) {
            if (fds[i].revents)
                t->lws->set_timeout(calls[i]->wsi, PENDING_TIMEOUT_USER_REASON_BASE,
                                    LWS_TO_KILL_ASYNC);
        }
    }
}

static void keep_alive(struct web_call *call, int64_t now_ms)
{
    const struct web_stream *stream = call->state == CALL_STREAM ? call->response.stream : NULL;

    if (!stream || !stream->idle_ms || call->piece.size || call->stream_end ||
        now_ms - call->written_ms < stream->idle_ms)
        return;
    call->piece = (struct web_piece){stream->idle, strlen(stream->idle)};
    call->piece_sent = 0;
    transport_want_write(call);
}

static void sweep(lws_sorted_usec_list_t *sul)
{
    struct transport *t = lws_container_of(sul, struct transport, sweep);
    int64_t now_ms = clock_monotonic_ms();

    for (struct web_call *call = t->watched; call; call = call->next_watched)
        keep_alive(call, now_ms);
    find_gone(t, now_ms);
    transport_rest(t, false);
    t->options.hooks.tick(t->options.hooks.arg);
    t->lws->sul_schedule(t->context, 0, &t->sweep, sweep, TRANSPORT_SWEEP_MS * LWS_US_PER_MS);
}

/* --- listening --- */

static int on_listener(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                       size_t len)
{
    struct transport *t = transport_of(wsi);
    const struct listener *listener;

    (void)user;
    (void)in;
    (void)len;
    if (!t || reason != LWS_CALLBACK_RAW_RX_FILE)
        return 0;
    listener = t->lws->get_opaque_user_data(wsi);
    if (listener && listener->kind == TRANSPORT_WRITING)
        transport_serve_writable(t);
    else if (listener && listener->fd >= 0)
        transport_accept(t, listener);
    return 0;
}

static int watch_listeners(struct transport *t, struct err *err)
{
    for (size_t i = 0; i < t->listener_count; i++) {
        struct listener *l = &t->listeners[i];
        const lws_adopt_desc_t info = {
            .vh = t->vhost,
            .type = LWS_ADOPT_RAW_FILE_DESC,
            .fd = {.filefd = l->fd},
            .vh_prot_name = TRANSPORT_LISTEN_PROTOCOL,
            .opaque = l,
        };

        l->wsi = t->lws->adopt_descriptor_vhost_via_info(&info);
        if (!l->wsi)
            return err_set(err, ERR_SYSTEM, "the loop cannot watch a socket");
    }
    return 0;
}

/* --- making --- */

/* Those of the process, as libwebsockets sees them when its context is made. Where there are few,
 * connections get half of them. */
static void limit_descriptors(unsigned *connection_max)
{
    struct rlimit limit;
    rlim_t value = (rlim_t)*connection_max + DESCRIPTORS_SPARE;
    rlim_t left;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    value = value < DESCRIPTORS_MAX ? DESCRIPTORS_MAX : value;
    limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    left = limit.rlim_cur > (rlim_t)2 * DESCRIPTORS_SPARE ? limit.rlim_cur - DESCRIPTORS_SPARE
                                                          : limit.rlim_cur / 2;
    if (*connection_max <= left)
        return;
    log_warn("server",
             "%u connections at a time need more descriptors than the %ju that the "
             "process may have (ulimit -n): there will be %ju of them",
             *connection_max, (uintmax_t)limit.rlim_cur, (uintmax_t)left);
    *connection_max = (unsigned)left;
}

static int make_context(struct transport *t, struct err *err)
{
    unsigned headers = t->options.connection_max + HEADERS_SPARE;
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                   (t->tls_cert ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
        .uid = (uid_t)-1,
        .gid = (gid_t)-1,
        .user = t,
        .server_string = "runner",
        .max_http_header_data = TRANSPORT_HEADERS_MAX,
        .max_http_header_pool = (unsigned short)(headers < HEADERS_MAX ? headers : HEADERS_MAX),
        .pt_serv_buf_size = BUFFER_SIZE,
        .timeout_secs = SECONDS_TO_ASK,
        .retry_and_idle_policy = &keepalive,
    };

    t->lws->set_log_level(logger_enabled(LOGGER_DEBUG) ? LLL_ERR | LLL_WARN : 0, log_line);
    t->context = t->lws->create_context(&info);
    return t->context ? 0 : err_set(err, ERR_SYSTEM, "libwebsockets cannot be started");
}

static int make_vhost(struct transport *t, struct err *err)
{
    struct lws_context_creation_info info = {
        .options = t->tls_cert ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .vhost_name = "runner",
        .protocols = t->protocols,
        .keepalive_timeout = SECONDS_IDLE,
        .timeout_secs = SECONDS_TO_ASK,
        .timeout_secs_ah_idle = SECONDS_OF_HEAD,
        .retry_and_idle_policy = &keepalive,
        .alpn = "h2,http/1.1",
        /* As the library has them but for the third, RFC 9113 section 6.5.2. A client that keeps
         * to the number of streams that it is told sends one more as soon as it has the end of
         * another, which the library may still count: more than a client uses at a time. */
        .http2_settings = {1, 65536, 0, 1000, 0, 16384, 4096},
        .ssl_cert_filepath = t->tls_cert,
        .ssl_private_key_filepath = t->tls_key,
        .ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_COMPRESSION |
                           SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE,
    };

    t->vhost = t->lws->create_vhost(t->context, &info);
    if (t->vhost)
        return 0;
    if (t->tls_cert)
        return err_set(err, ERR_INVALID,
                       "TLS cannot be set up with the certificate %s and the key %s: look whether "
                       "they are PEM files that belong together",
                       t->tls_cert, t->tls_key);
    return err_set(err, ERR_SYSTEM, "libwebsockets cannot be set up");
}

int transport_new(const struct transport_options *options, struct transport **ret, struct err *err)
{
    const struct websockets *lws = websockets_load(err);
    struct transport *t;

    if (!lws)
        return -1;
    t = xcalloc(1, sizeof(*t));
    t->lws = lws;
    t->options = *options;
    t->unix_path = xstrdup_null(options->unix_path);
    t->tls_cert = xstrdup_null(options->tls_cert);
    t->tls_key = xstrdup_null(options->tls_key);
    t->ready_end = &t->ready;
    t->strangers = strangers_new(options->stranger_max);
    t->quiet_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->writing = (struct listener){.kind = TRANSPORT_WRITING, .fd = -1};
    t->protocols[0] =
        (struct lws_protocols){HTTP_PROTOCOL, transport_http, 0, BUFFER_SIZE, 0, NULL, 0};
    t->protocols[1] =
        (struct lws_protocols){options->subprotocol, transport_http, 0, BUFFER_SIZE, 0, NULL, 0};
    t->protocols[2] =
        (struct lws_protocols){TRANSPORT_LISTEN_PROTOCOL, on_listener, 0, 0, 0, NULL, 0};
    pthread_mutex_init(&t->mu, NULL);
    limit_descriptors(&t->options.connection_max);
    if (transport_listen(t, err) < 0 || make_context(t, err) < 0 || make_vhost(t, err) < 0 ||
        watch_listeners(t, err) < 0 || transport_watch_writing(t, err) < 0) {
        transport_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

unsigned transport_port(const struct transport *transport)
{
    return transport->port;
}

/* --- running --- */

static bool is_stopping(struct transport *t)
{
    bool stopping, refusing;

    pthread_mutex_lock(&t->mu);
    stopping = t->stopping;
    refusing = t->refusing;
    pthread_mutex_unlock(&t->mu);
    if (refusing)
        transport_unlisten(t);
    return stopping;
}

static void *run(void *arg)
{
    struct transport *t = arg;

    t->lws->sul_schedule(t->context, 0, &t->sweep, sweep, TRANSPORT_SWEEP_MS * LWS_US_PER_MS);
    while (!is_stopping(t)) {
        if (t->lws->service(t->context, 0) < 0)
            break;
    }
    t->lws->sul_cancel(&t->sweep);
    return NULL;
}

int transport_start(struct transport *transport, struct err *err)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&transport->thread, &attributes, run, transport);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    errno = failed;
    if (failed)
        return err_errno(err, "cannot start a thread");
    transport->started = true;
    return 0;
}

void transport_refuse(struct transport *transport)
{
    pthread_mutex_lock(&transport->mu);
    transport->refusing = true;
    if (!transport->active)
        eventfd_write(transport->quiet_fd, 1);
    pthread_mutex_unlock(&transport->mu);
    transport->lws->cancel_service(transport->context);
}

int transport_quiesce(const struct ctx *ctx, struct transport *transport, struct err *err)
{
    struct pollfd quiet = {.fd = transport->quiet_fd, .events = POLLIN};

    return ctx_poll(ctx, &quiet, 1, -1, err) < 0 ? -1 : 0;
}

void transport_stop(struct transport *t)
{
    if (!t || !t->started)
        return;
    t->started = false;
    pthread_mutex_lock(&t->mu);
    t->stopping = true;
    pthread_mutex_unlock(&t->mu);
    t->lws->cancel_service(t->context);
    pthread_join(t->thread, NULL);
}

void transport_free(struct transport *t)
{
    if (!t)
        return;
    transport_stop(t);
    transport_unlisten(t);
    if (t->context)
        t->lws->context_destroy(t->context);
    t->context = NULL;
    transport_serve_ready(t);
    close(t->quiet_fd);
    if (!t->writing.wsi && t->writing.fd >= 0)
        close(t->writing.fd);
    pthread_mutex_destroy(&t->mu);
    strangers_free(t->strangers);
    free(t->unix_path);
    free(t->tls_cert);
    free(t->tls_key);
    free(t);
}
