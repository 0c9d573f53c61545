/* What the files of client/ share. */
#pragma once

#include "apis/http/retry.h"
#include "apis/ws/ws.h"
#include "client/client.h"

struct client {
    const struct client_options *options;
    const struct client_handler *handler;
    struct client_end *end;
    struct http_client *http;
    struct ws *ws;
    struct ctx work;      /* that nothing ends */
    struct retry retry;   /* of connections that came to nothing, one behind the other */
    int64_t connected_ms; /* the last one */
    char *position;       /* behind what was given last; NULL: nothing was */
    bool following;       /* something with a position has come through this connection */
    int ask_fd;           /* >= 0: there is a question */
    bool asked;
    bool cancelling;  /* that is wanted */
    unsigned cancels; /* sent by this connection; a server answers each with one error, or none */
    bool hurrying;    /* likewise */
    bool over;        /* the end is known */
};

/* What people want: asks, cancels, hurries; sends it if there is a connection. */
void client_attend(struct client *c);
/* Waits for that, for `ms` (< 0: for ever), and, if `with_ws`, for the connection. 0: people wanted
 * something, and nothing else has come; 1; -1. */
int client_wait(struct client *c, bool with_ws, int ms, struct err *err);
/* How it ended elsewhere, from an object with "status", "error", "exit_code". */
void client_set_end(struct client *c, const char *status, const char *error);

/* classic.c: follows a run of a server without runner.v2, submitted as `text`, to its end. */
int client_follow_classic(struct client *c, const char *text, struct err *err);
/* The text with a mark that no other submission has. */
char *client_marked(const char *text);
