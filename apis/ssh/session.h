/* A login on a host, which any number of commands share (exec.h).
 *
 *     struct ssh_session *session = NULL;
 *     if (ssh_session_open(ctx, target, &session, err) < 0)
 *         return -1;
 *     ...                                   // ssh_exec_open(), from any thread
 *     ssh_session_free(session);            // after its commands
 *
 * Opening connects (through target->jump, if there is one), checks the host key and logs in;
 * connecting is tried again after a pause as often as the target says. Then a thread of the
 * session's own does all that is done with the connection
 * (docs/adr/0039-ssh-sessions-have-a-thread.md), answers the server while nothing runs, asks it for
 * a sign of life after a time of silence, and ends when the connection does: all commands of the
 * session then give ERR_LOST, and a new session must be opened. A server that leaves a request for
 * a channel or a command unanswered for the target's connect_timeout_ms (55 s at most) ends it,
 * too, whether or not anybody still waits for that: no other channel can be opened meanwhile.
 *
 * Threads: any; ssh_session_free() when nobody else uses it any more.
 * Errors of opening: ERR_UNAVAILABLE (not to be reached; worth another try later), ERR_DENIED (the
 * host key or the login), ERR_UNSUPPORTED, ERR_INVALID (a key file), ERR_TIMEOUT and ERR_CANCELLED
 * of the context. Messages begin with "USER@HOST:PORT: ". Source: RFC 4251 to 4254; libssh2's
 * manual pages. */
#pragma once

#include "apis/ssh/url.h"
#include "base/ctx.h"
#include "base/vec.h"

struct ssh_session;

/* The target is needed during the call only. */
int ssh_session_open(const struct ctx *ctx, const struct ssh_target *target,
                     struct ssh_session **ret, struct err *err) __attribute__((warn_unused_result));
/* Ends the connection without waiting for anything. Every ssh_exec of it must have been freed. */
void ssh_session_free(struct ssh_session *session);

static inline void ssh_session_freep(struct ssh_session **session)
{
    ssh_session_free(*session);
}
#define CLEANUP_SSH_SESSION CLEANUP(ssh_session_freep)

/* 0 while it can be used; else -1 with the error by which it ended. */
int ssh_session_check(struct ssh_session *session, struct err *err);
/* "USER@HOST:PORT". */
const char *ssh_session_peer(const struct ssh_session *session);
/* "SHA256:…" of the key that the server has. */
const char *ssh_session_fingerprint(const struct ssh_session *session);
/* What the user should be warned of: a key that was written down, unknown parts of a configuration.
 */
const struct strvec *ssh_session_notes(const struct ssh_session *session);

/* A TCP connection from the server to host:port, as a descriptor of a socket that does not block;
 * the caller closes it, which ends the connection. It ends with the session. ERR_UNAVAILABLE,
 * ERR_DENIED: the server did not connect, or may not. */
int ssh_session_forward(const struct ctx *ctx, struct ssh_session *session, const char *host,
                        unsigned port, int *ret_fd, struct err *err)
    __attribute__((warn_unused_result));
