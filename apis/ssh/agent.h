/* The client of ssh-agent: which keys it holds, and signatures with them.
 *
 * Threads: one at a time. Errors: ERR_UNAVAILABLE (nobody listens), ERR_PROTOCOL, ERR_DENIED (it
 * does not sign), those of the context. Messages begin with the path of the socket. Source:
 * draft-ietf-sshm-ssh-agent. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/ctx.h"
#include "base/vec.h"

struct ssh_agent_key {
    struct buf blob; /* public key in wire format */
    char *comment;
};

struct ssh_agent_keys {
    struct ssh_agent_key *items;
    size_t len;
    size_t cap;
};

#define CLEANUP_SSH_AGENT_KEYS CLEANUP(ssh_agent_keys_release)

/* Hashes of signatures with RSA keys. */
enum { SSH_AGENT_RSA_SHA256 = 2, SSH_AGENT_RSA_SHA512 = 4 };

struct ssh_agent {
    char *path;
    int fd;
};

#define CLEANUP_SSH_AGENT CLEANUP(ssh_agent_release)
#define SSH_AGENT_INIT                                                                             \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

int ssh_agent_open(const struct ctx *ctx, const char *path, struct ssh_agent *ret, struct err *err)
    __attribute__((warn_unused_result));
void ssh_agent_release(struct ssh_agent *agent);
/* Adds its keys. */
int ssh_agent_list(const struct ctx *ctx, struct ssh_agent *agent, struct ssh_agent_keys *ret,
                   struct err *err) __attribute__((warn_unused_result));
void ssh_agent_keys_release(struct ssh_agent_keys *keys);
/* Adds the signature to *ret as SSH_MSG_USERAUTH_REQUEST holds it, without the algorithm. */
int ssh_agent_sign(const struct ctx *ctx, struct ssh_agent *agent, const struct buf *blob,
                   const void *data, size_t len, uint32_t flags, struct buf *ret, struct err *err)
    __attribute__((warn_unused_result));
