/* One connection to a PostgreSQL server, never blocking but in ctx_poll().
 *
 * A name of a host is looked up by libpq itself, which waits for the answer. */
#pragma once

#include "base/ctx.h"
#include "store/db.h"
#include "store/libpq.h"

/* What is to be done about a failure. */
enum pq_failure {
    PQ_FAILURE_NONE,
    PQ_FAILURE_FINAL, /* nothing: it would fail again */
    PQ_FAILURE_AGAIN, /* the server gave the transaction up, as it met another */
    PQ_FAILURE_LOST,  /* the connection is gone; what was sent may have been done */
};

struct pq_connection {
    const struct libpq *pq;
    char *url;
    char *place; /* the URL without user, password and options: for messages */
    PGconn *handle;
    int64_t wait_ms; /* for locks, and for the server to take a connection */
    /* For a sign of it in the middle of something, after which the connection is given up; 0: for
     * ever. */
    int64_t silence_ms;
    enum pq_failure failure;
};

/* Nothing is connected yet. ERR_UNSUPPORTED without libpq. */
int pq_connection_init(struct pq_connection *connection, const char *url, int64_t wait_ms,
                       struct err *err);
void pq_connection_release(struct pq_connection *connection);
/* Connects; `connection->failure` is LOST where it may work later. */
int pq_connection_open(const struct ctx *ctx, struct pq_connection *connection, struct err *err);
void pq_connection_close(struct pq_connection *connection);
/* The number of rows, or -1; then `connection->failure` says more. Without parameters it may be
 * several statements. */
int64_t pq_connection_run(const struct ctx *ctx, struct pq_connection *connection,
                          const struct db_query *query, struct err *err);
