/* What the parts of a WebSocket connection share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "server/follow.h"
#include "server/inside.h"
#include "server/socket.h"

enum {
    SOCKET_FOLLOWS_MAX = 64,
    SOCKET_INBOX_MAX = 64,    /* messages that wait for a worker */
    SOCKET_OUTBOX_MAX = 1024, /* frames that wait for the client, beside those of runs */
};

/* A run that the connection follows, and holds (clients.h). */
struct socket_follow {
    char *id;
    struct follower follower;
    bool dropped; /* to be removed when nothing of it is being sent */
};

struct socket {
    struct web_stream stream;
    struct server *server;
    struct web_request request; /* constant */
    bool is_v2;
    atomic_int refs;    /* the connection, and each worker */
    pthread_mutex_t mu; /* guards what follows */
    struct web_waker *waker;
    bool closed;
    bool broken;
    bool working; /* a worker is at the inbox */
    struct strvec inbox;
    struct strvec outbox;
    char *sending; /* of the outbox, by the loop */
    VEC(struct socket_follow *)
    follows;
    size_t turn; /* of the follows: the next that may send */
    char *last;  /* the run that was submitted last */
};

/* By a worker: does what the message asks for. */
void socket_handle(struct socket *socket, const char *text, size_t size);
/* Takes the object over. */
void socket_send(struct socket *socket, json_t *frame);
/* {"type":"error"}; `run` NULL: it is about none, `diagnostics` (NULL: none) is taken over. */
void socket_send_error(struct socket *socket, const char *run, json_t *diagnostics,
                       const char *text);
/* Begins to follow a run, which is held if it depends on that. */
int socket_follow(struct socket *socket, const char *id, struct record_position position,
                  bool submitted, struct err *err);
/* -1: it does not follow that run. */
int socket_unfollow(struct socket *socket, const char *id);
