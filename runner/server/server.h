/* The network side of service mode: REST, server-sent events and WebSocket, over a transport, for
 * the runs of one history (docs/server.md).
 *
 *     server_new(ctx, &options, &server, err)    listens
 *     server_start(server, err)                  and serves, in threads of its own
 *     server_drain(ctx, server)                  accepts nothing new, answers what was asked
 *     server_free(server)
 *
 * Threads: the loop of the transport, which never waits for a file or the store, and workers, which
 * do. The functions here belong to the thread that made the server. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ctx.h"
#include "history/history.h"
#include "queue/launching.h"
#include "server/transport.h"

struct server_options {
    const char *host;
    unsigned port;
    bool no_tcp;
    const char *unix_path; /* NULL: none */
    const char *tls_cert;
    const char *tls_key;
    const char *path; /* of WebSocket connections */
    const char *user; /* NULL, as the password: no credentials are needed */
    const char *password;
    size_t body_max;
    unsigned connection_max;
    unsigned stranger_max;   /* connections of one address that were not let in; 0: no limit */
    unsigned rate;           /* requests a second of one address; 0: no limit */
    unsigned max_concurrent; /* 0: what the settings say */
    int64_t client_grace_ms; /* so long a run goes on when its client has gone */
    /* What is kept of the history, but for the number of runs, which the settings say. */
    int64_t max_records;    /* 0: no limit; -1: what the settings say */
    int64_t keep_age_ms;    /* 0: no limit */
    int64_t keep_log_bytes; /* -1: no limit */
    struct history *history;
    struct queue_launching *launching; /* with what is said beside a file */
    const struct step_kind *const *kinds;
};

struct server;

/* Everything that is pointed to must outlive the server. */
int server_new(const struct ctx *ctx, const struct server_options *options, struct server **ret,
               struct err *err) __attribute__((warn_unused_result));
unsigned server_port(const struct server *server);
int server_start(struct server *server, struct err *err) __attribute__((warn_unused_result));
/* Until the context ends (0), or the server cannot go on (-1). */
int server_wait(const struct ctx *ctx, struct server *server, struct err *err)
    __attribute__((warn_unused_result));
/* Until no run of it goes on, and their followers know; ERR_TIMEOUT, ERR_CANCELLED. */
int server_wait_runs(const struct ctx *ctx, struct server *server, struct err *err)
    __attribute__((warn_unused_result));
/* Cancels them. -1: some cannot be, err says why the first one. Behind server_begin_drain(). */
int server_cancel_runs(const struct ctx *ctx, struct server *server, struct err *err)
    __attribute__((warn_unused_result));
/* Says so to whoever asks whether it is ready, and refuses what would begin something new. */
void server_begin_drain(struct server *server);
/* No new connections; waits until what was asked is answered, or the context ends. */
void server_drain(const struct ctx *ctx, struct server *server);
/* NULL is fine. */
void server_free(struct server *server);
