/* The OpenSSH client's configuration: what ~/.ssh/config says about a host.
 *
 *     struct ssh_config_source source = {.home = "/home/me", .user_file = "/home/me/.ssh/config"};
 *     struct ssh_settings settings = {0};
 *     if (ssh_config_read(ctx, &source, "build1", NULL, &settings, err) < 0)
 *         return -1;
 *     ...
 *     ssh_settings_release(&settings);
 *
 * Known: Host (globs, negation), Match (all, canonical, final, host, originalhost, user, localuser;
 * a block with another criterion is left out, with a note), Include, HostName, User, Port,
 * IdentityFile, IdentitiesOnly, IdentityAgent, ProxyJump, UserKnownHostsFile, GlobalKnownHostsFile,
 * StrictHostKeyChecking, HostKeyAlias, RevokedHostKeys, CanonicalizeHostname, CanonicalDomains,
 * CanonicalizeMaxDots, CanonicalizeFallbackLocal, ConnectTimeout, ConnectionAttempts,
 * ServerAliveInterval. As with OpenSSH the first value wins and IdentityFile adds up. A
 * ProxyCommand that applies is ERR_UNSUPPORTED, since the host may not be reachable without; all
 * other keywords mean nothing here.
 *
 * Values may hold %h, %k, %n, %p, %r, %u, %d and ${NAME}, which must be set where the value counts.
 *
 * Errors: ERR_INVALID as "FILE:LINE: …", ERR_DENIED for a file that others may write to. Reads
 * files, and with CanonicalizeHostname asks for names; otherwise pure. Source: ssh_config(5). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"

struct ssh_config_source {
    const char *home;        /* of whoever runs this; what ~ and %d stand for */
    const char *local_user;  /* %u; NULL: "" */
    const char *user_file;   /* NULL: none. A file that does not exist is empty. */
    bool user_file_is_named; /* by the caller's user, and not looked for: whose it is does not
                                matter */
    const char *system_file; /* read after it; likewise */
    const char *jump;        /* what the caller says already for ProxyJump, or NULL */
    unsigned port;           /* likewise for Port; 0: nothing */
    bool (*resolves)(const char *name); /* for tests; NULL: base/resolve.h */
};

enum ssh_strict {
    SSH_STRICT_UNSET,
    SSH_STRICT_YES, /* also "ask", as nobody can be asked */
    SSH_STRICT_ACCEPT_NEW,
    SSH_STRICT_NO,
};

enum ssh_canonicalize { SSH_CANONICALIZE_NO, SSH_CANONICALIZE_YES, SSH_CANONICALIZE_ALWAYS };

/* Nothing said: NULL, 0, an empty list. */
struct ssh_settings {
    char *host_name; /* tokens replaced, canonical; never NULL */
    char *user;
    unsigned port;
    struct strvec identity_files; /* tokens and ~ replaced; "none" alone: no files */
    bool identities_only;
    char *identity_agent; /* a path, "none" or "SSH_AUTH_SOCK" */
    char *proxy_jump;     /* tokens replaced; "none" */
    struct strvec known_hosts;
    struct strvec global_known_hosts;
    enum ssh_strict strict;
    char *host_key_alias;
    char *revoked_keys; /* tokens and ~ replaced; "none" */
    enum ssh_canonicalize canonicalize;
    struct strvec canonical_domains;
    unsigned canonical_max_dots;
    bool canonical_fallback;
    int64_t connect_timeout_ms;
    unsigned connection_attempts;
    int64_t alive_interval_ms;
    struct strvec notes; /* "FILE:LINE: …": what was not understood, for a warning */
};

#define CLEANUP_SSH_SETTINGS CLEANUP(ssh_settings_release)

/* `user` (may be NULL) is what the caller says already, for %r and Match. *ret must be zeroed. */
int ssh_config_read(const struct ctx *ctx, const struct ssh_config_source *source,
                    const char *alias, const char *user, struct ssh_settings *ret, struct err *err)
    __attribute__((warn_unused_result));
void ssh_settings_release(struct ssh_settings *settings);
