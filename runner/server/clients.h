/* Runs that end with their clients: those that were submitted through a connection, and are not
 * detached. When nobody holds such a run any more, and nobody does so again in time, it is to be
 * cancelled. Others that somebody holds are known, too: that such a run depends on its clients may
 * turn out later, when the server that it was submitted to is gone. Until then a mark in the
 * history tells that one of them, for it may be their client that comes back here.
 *
 * Threads: any. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/vec.h"
#include "history/history.h"

struct clients_run {
    char *id;
    unsigned holders;
    bool depends;   /* else it goes on without them */
    int mark;       /* of who does not depend on them here; -1: none */
    int64_t due_ms; /* with no holder: when it is to be cancelled */
};

struct clients {
    pthread_mutex_t mu;
    int64_t grace_ms;
    const struct history *history;
    const char *server; /* its name */
    VEC(struct clients_run)
    runs;
};

/* What it points to has to outlive it. */
void clients_init(struct clients *clients, int64_t grace_ms, const struct history *history,
                  const char *server);
void clients_release(struct clients *clients);
/* A run that somebody has submitted, who holds it. */
void clients_add(struct clients *clients, const char *id);
/* Somebody else holds it as well. */
void clients_hold(struct clients *clients, const char *id);
void clients_let_go(struct clients *clients, const char *id, int64_t now_ms);
/* It has ended. */
void clients_forget(struct clients *clients, const char *id);
/* It depends on its clients, and is due at that time if nobody holds it: it could not be cancelled,
 * or was submitted to a server that is gone. */
void clients_put_back(struct clients *clients, const char *id, int64_t due_ms);
/* Takes those out that are due. */
void clients_due(struct clients *clients, int64_t now_ms, struct strvec *out);
