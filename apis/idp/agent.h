/* A connection to an IDP agent, which runs one command for it.
 *
 *     if (idp_open(ctx, &options, &idp, err) < 0)
 *         return -1;                              // ERR_DENIED: what the agent said about it
 *     if (idp_run(idp, &command, err) < 0) ...    // from here on it may have begun
 *     for (;;) {
 *         switch (idp_read(idp, &message, err)) {
 *         case IDP_READ_MESSAGE: ...; continue;   // IDP_STDOUT, IDP_STDERR, IDP_EXIT, …
 *         case IDP_READ_AGAIN:
 *             if (idp_wait(ctx, idp, NULL, 0, true, -1, err) < 0) ...
 *             continue;
 *         case IDP_READ_ERROR: ...                // ERR_LOST: nothing is known of the command
 *         }
 *     }
 *     idp_free(idp);
 *
 * Reading and sending do not block. The agent ends a command when its connection ends or nothing
 * comes over it for 30 s, unless it was told not to; idp_wait() and idp_read() send it a ping every
 * IDP_PING_MS. As it does not answer those, nor WebSocket's, one that hangs looks like one that has
 * nothing to say: only whether its machine takes what is sent is seen. To ask for more, open
 * another connection.
 *
 * Threads: one at a time. Errors: ws.h's; ERR_UNAVAILABLE: there is no agent, and nothing has been
 * sent. Source: github.com/go-idp/agent, server/ws.go and client/client.go; RFC 6455. */
#pragma once

#include <poll.h>

#include "apis/http/http.h"
#include "apis/idp/message.h"
#include "base/ctx.h"

enum {
    IDP_PING_MS = 3000,
    IDP_AUTH_WAIT_MS = 30000, /* for the agent's answer */
    IDP_SILENCE_MS = 30000,   /* of a machine that takes nothing of what is sent to it */
};

struct idp_options {
    const char *base_url; /* "http://host:port", or "https://…" */
    const char *path;     /* NULL: "/" */
    const char *peer;     /* for messages */
    const char *client_id;
    const char *client_secret; /* never in a message, even if the agent repeats it */
    struct http_tls tls;
    int auth_wait_ms; /* 0: IDP_AUTH_WAIT_MS */
};

struct idp;

/* Connects and authenticates. */
int idp_open(const struct ctx *ctx, const struct idp_options *options, struct idp **ret,
             struct err *err) __attribute__((warn_unused_result));
/* Closes the connection at once. */
void idp_free(struct idp *idp);
static inline void idp_freep(struct idp **idp)
{
    idp_free(*idp);
}
#define CLEANUP_IDP CLEANUP(idp_freep)

/* Queues the command. An error but ERR_INVALID, which is about the command itself, does not mean
 * that it does not run. */
int idp_run(struct idp *idp, const struct idp_command *command, struct err *err)
    __attribute__((warn_unused_result));
/* Asks the agent to kill it: it answers after a second with IDP_CANCELLED and an IDP_EXIT that says
 * nothing. Not before the command has begun, as far as that is known. */
int idp_cancel(struct idp *idp, struct err *err) __attribute__((warn_unused_result));

enum idp_read { IDP_READ_ERROR = -1, IDP_READ_AGAIN, IDP_READ_MESSAGE };

/* The next message that means something, valid until the next call. The end of the connection,
 * however it comes, is ERR_LOST. */
enum idp_read idp_read(struct idp *idp, struct idp_message *ret, struct err *err)
    __attribute__((warn_unused_result));
/* ws_wait(), and sends pings; up to 15 descriptors of the caller's. `read`: messages are wanted,
 * else only what is queued is sent meanwhile. */
int idp_wait(const struct ctx *ctx, struct idp *idp, struct pollfd *fds, size_t count, bool read,
             int timeout_ms, struct err *err) __attribute__((warn_unused_result));
