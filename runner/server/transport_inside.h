/* What the parts of the transport share. All of it belongs to the loop's thread, but for what
 * struct transport guards by its lock.
 *
 * libwebsockets keeps one pointer of ours for each of its connections: a struct link for one that
 * has a socket, a struct web_call for a stream of HTTP/2. A link leads to the call that its
 * connection is in, if there is one. A call is what HTTP names a request with its response, or a
 * WebSocket connection; it may outlive the connection, as workers and producers hold references. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "server/strangers.h"
#include "server/transport.h"
#include "server/websockets.h"

/* How much is written at once; a frame of HTTP/2 is at most so long. */
#define TRANSPORT_WRITE_MAX 16000
/* Of the headers of a request. */
#define TRANSPORT_HEADERS_MAX 8192

enum {
    TRANSPORT_WRITE_SECONDS = 60, /* nothing of a response could be written for so long */
    TRANSPORT_SWEEP_MS = 1000,
    LISTENERS_MAX = 8,
};

enum transport_kind { TRANSPORT_LINK, TRANSPORT_CALL, TRANSPORT_LISTENER, TRANSPORT_WRITING };

/* A name of the library's protocols: with a comma, none can be asked for as a subprotocol. */
#define TRANSPORT_LISTEN_PROTOCOL "listen,"

struct listener {
    enum transport_kind kind;
    int fd;
    struct lws *wsi;
    bool is_unix;
};

struct link {
    enum transport_kind kind;
    struct web_peer peer;
    bool is_stranger; /* is counted as one */
    bool awaited;     /* is in the set of those that are to be written to, */
    struct lws *wsi;  /* and is this one of the library's */
    struct web_call *call;
    struct web_request *upgrade; /* has been admitted to become a WebSocket connection */
    bool used;                   /* a request of it has been answered, */
    uint64_t used_bytes;         /* when so many bytes had been read */
};

enum call_state {
    CALL_BODY,    /* its body is being read */
    CALL_WORKING, /* handed over */
    CALL_HEADERS, /* to be written next */
    CALL_CONTENT, /* of the response */
    CALL_STREAM,  /* of a response, or a WebSocket connection */
    CALL_LINGER,  /* is refused; what still comes of its body is dropped */
};

struct web_call {
    enum transport_kind kind;
    enum call_state state;
    struct transport *transport;
    struct lws *wsi; /* NULL: it is gone */
    atomic_int refs;
    struct web_request request;
    struct web_response response;
    int64_t began_ms;
    struct transport_note *note; /* NULL: nothing is logged of it */
    int status;                  /* that was answered; 0: none */
    uint64_t written;            /* bytes, with those of headers */
    size_t sent;                 /* of the content; of CALL_LINGER, what has been dropped */
    bool head;                   /* without its content */
    bool ends;                   /* the connection, with it */
    bool chunked;
    bool is_socket;         /* a WebSocket connection */
    struct buf message;     /* of it, as far as it has come */
    struct web_piece piece; /* to be sent next; size 0: none */
    size_t piece_sent;
    int stream_end;  /* WEB_END, WEB_BROKEN; 0: there may be more */
    bool is_counted; /* in transport->active */
    int64_t written_ms;
    struct ctx_signal gone;
    bool is_watched;
    struct web_call *next_watched, *prev_watched; /* of transport->watched */
    struct web_call *next_ready;                  /* guarded by transport->mu, as the next two */
    bool is_ready;
    bool is_answered;
};

struct transport {
    const struct websockets *lws;
    struct transport_options options;
    char *unix_path;
    char *tls_cert;
    char *tls_key;
    struct lws_context *context;
    struct lws_vhost *vhost;
    struct lws_protocols protocols[4];
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct listener writing; /* the set of those that cannot be written to now */
    unsigned port;
    unsigned connection_count;
    struct strangers *strangers;
    bool resting;             /* listeners are not looked at */
    struct link *adopting;    /* libwebsockets may or may not have taken it */
    struct web_call *watched; /* those that are worked on, and streams: they are not read */
    lws_sorted_usec_list_t sweep;
    pthread_t thread;
    bool started;
    pthread_mutex_t mu;
    struct web_call *ready; /* those that have been woken */
    struct web_call **ready_end;
    unsigned active; /* calls that are not answered yet */
    bool refusing;
    bool stopping;
    int quiet_fd; /* readable when it refuses and nothing is active */
    /* What is written, with room for the frame header before it. */
    unsigned char out[LWS_PRE + TRANSPORT_HEADERS_MAX + TRANSPORT_WRITE_MAX + 64];
};

/* transport_call.c */
struct transport *transport_of(struct lws *wsi);
/* A stream of HTTP/2, which shares its connection. */
bool transport_is_mux(const struct transport *t, struct lws *wsi);
struct link *transport_link(const struct transport *t, struct lws *wsi);
/* The call that the connection is in, or NULL. */
struct web_call *transport_call(const struct transport *t, struct lws *wsi);
struct web_call *transport_call_new(struct transport *t, struct lws *wsi);
/* The connection has nothing to do with it any more. */
void transport_call_detach(struct transport *t, struct web_call *call);
void transport_call_unref(struct web_call *call);
/* Counts it among those that transport_quiesce() waits for, or not any more. */
void transport_count(struct web_call *call, bool active);
void transport_stream_begin(struct web_call *call);
/* The sweep sees whether its client has gone. */
void transport_watch(struct web_call *call);
/* Calls that have been woken; by the loop. */
void transport_serve_ready(struct transport *t);
/* Has `call->piece` the next piece of its stream: 1, 0 there is none now, WEB_END,
 * WEB_BROKEN. */
int transport_next_piece(struct web_call *call);
/* So much of it has been sent. */
void transport_pass_piece(struct web_call *call, size_t size);

/* transport_http.c, transport_socket.c: callbacks of libwebsockets; see there. */
int transport_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len);
int transport_socket(struct transport *t, struct lws *wsi, enum lws_callback_reasons reason,
                     void *in, size_t len);

/* transport_answer.c */
/* What can be written of the response now; NULL: there is none. -1 closes the connection, or the
 * stream of HTTP/2, once what was written has gone. */
int transport_write_some(struct transport *t, struct lws *wsi, struct web_call *call);
/* All of it at once; -1: it could not be. The connection is then to be closed. */
int transport_write_refusal(struct transport *t, struct web_call *call);

/* transport_write.c */
int transport_watch_writing(struct transport *t, struct err *err);
/* Until something is to be written; of HTTP/1.1. */
void transport_stop_reading(const struct web_call *call);
/* Something is to be written, when it can be. */
void transport_want_write(struct web_call *call);
/* If the connection cannot be written to now it is left alone until it can be: true. */
bool transport_rest_if_choked(struct transport *t, struct lws *wsi);
/* Those that can be written to are. */
void transport_serve_writable(struct transport *t);
/* Before the connection is closed. */
void transport_forget_writing(struct transport *t, struct link *link, struct lws *wsi);

/* transport_log.c: a line of the log for each request. */
/* The head is there, and who sent it is known. */
void transport_note(struct web_call *call, const struct web_request *request);
/* It is over. What has no note is overlooked. */
void transport_log(struct web_call *call);

/* transport_head.c */
/* The head of the request that the connection has just received: 0, or the status that refuses it,
 * with *ret_why, which is constant. */
int transport_read_head(const struct transport *t, struct lws *wsi, struct web_request *ret,
                        const char **ret_why);
/* What Content-Length says; -1: nothing, -2: nonsense. */
int64_t transport_content_length(const struct transport *t, struct lws *wsi);
bool transport_is_chunked(const struct transport *t, struct lws *wsi);
/* HTTP/1.0, which knows no chunks: a stream ends with the connection. */
bool transport_is_old(const struct transport *t, struct lws *wsi);
/* What RFC 6455, section 4.2.1, wants of who would become a WebSocket connection; as
 * transport_read_head(). The library closes without a word, or takes him. */
int transport_check_handshake(const struct transport *t, struct lws *wsi, const char **ret_why);
bool transport_wants_continue(const struct transport *t, struct lws *wsi);

/* listen.c */
int transport_listen(struct transport *t, struct err *err);
void transport_unlisten(struct transport *t);
/* Those that wait at the listener become connections. */
void transport_accept(struct transport *t, const struct listener *listener);
/* Whether the request may go on, as its user says. */
int transport_admit(struct transport *t, struct lws *wsi, struct web_request *request, bool upgrade,
                    struct web_response *response);
/* The connection has ended. */
void transport_free_link(struct transport *t, struct link *link);
/* There is no descriptor for one that waits: they are not looked at until something has changed. */
void transport_rest(struct transport *t, bool rest);
