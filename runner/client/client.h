/* A run on a server, submitted and followed over a WebSocket.
 *
 *     client_run(&options, &handler, &end, err)
 *
 * With a server that speaks runner.v2 the connection may break at any time: it is made again, and
 * goes on at the position where it stopped, so that nothing is given twice or left out. A server
 * without it tells nothing but output, and "done" as soon as a run is queued: that is no verdict,
 * so the run is looked for and followed through REST (client/classic.c).
 *
 * What the handler is told comes from the thread that called. Two contexts of the caller say what
 * people want: that `interrupt` has ended, to cancel the run; that `hurry` has been raised, to end
 * its grace periods, or, when the server cannot be reached, to stop trying.
 *
 * Source: the WebSocket protocol, docs/api.md. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/map.h"
#include "client/target.h"

#define CLIENT_PROTOCOL "runner.v2"

struct client_options {
    const struct client_target *target;
    const char *follow; /* a run that is there already; NULL: one is submitted */
    const char *text;   /* the pipeline file */
    const char *name;   /* of the run; NULL: the file's. Likewise the others */
    const char *engine;
    const char *image;
    const char *timeout;
    int64_t priority;
    const struct strmap *env;
    const struct strmap *inputs;
    bool detach; /* ends when it is submitted */
    const struct ctx *interrupt;
    const struct ctx_signal *hurry;
};

enum client_text { CLIENT_STDOUT, CLIENT_STDERR, CLIENT_NOTE };

struct client_output {
    enum client_text kind;
    const char *node; /* "0.1.2", "" the run itself; NULL: the server does not tell */
    int64_t time_ms;
    const char *data; /* NUL-terminated */
    size_t size;
    bool continued;
};

/* Called in the order of the run. */
struct client_handler {
    void *arg;
    /* The run has this id, before all else; not with a server that tells no ids. -1: it cannot be
     * shown, err says why. */
    int (*id)(void *arg, const char *id, struct err *err);
    void (*event)(void *arg, const json_t *event);
    void (*output)(void *arg, const struct client_output *output);
    /* So much output is not there. */
    void (*missing)(void *arg, uint64_t bytes);
    /* Of the connection, for people. */
    void (*say)(void *arg, const char *text);
    /* Asked when interrupted, before the run is cancelled. The descriptor to wait for (POLLIN), and
     * then answer() is called: 1: cancel; 0: go on; -1: not yet. NULL, or -1: it is not asked. */
    int (*ask)(void *arg);
    int (*answer)(void *arg);
    /* Waits until there is room for output. */
    void (*wait_for_room)(void *arg);
};

/* How it ended. */
struct client_end {
    bool submitted; /* detached: nothing but that is known */
    char *id;       /* NULL: not known */
    char *status;   /* "succeeded" …; NULL: it was refused, `error` says why */
    char *error;    /* NULL: none */
    bool has_exit_code;
    int exit_code;
    bool cancelled_here;
    json_t *diagnostics; /* of the file; NULL: none */
};

/* -1: the server could not be reached, does not understand, or the end could not be learned. */
int client_run(const struct client_options *options, const struct client_handler *handler,
               struct client_end *ret, struct err *err) __attribute__((warn_unused_result));
void client_end_release(struct client_end *end);
