/* Where and how to log in: an engine's URL, completed from the OpenSSH client's configuration.
 *
 *     CLEANUP_SSH_TARGET struct ssh_target *target = NULL;
 *     struct ssh_environment environment;
 *     ssh_environment_init(&environment);
 *     if (ssh_target_parse(ctx, "ssh://me@build1?key=~/.ssh/ci", &environment, &target, err) < 0)
 *         return -1;
 *
 *     ssh://HOST                                agent, keys and user as ~/.ssh/config says
 *     ssh://USER:PASSWORD@HOST:PORT
 *     ssh://private_key:BASE64@HOST:PORT        the text of a key file; the user is root or ?user=
 *
 * with `key=FILE`, `passphrase=…`, `known_hosts=FILE`, `host_key=SHA256:…`, `accept_new=true`,
 * `insecure=true`, `user=…`, `jump=[USER@]HOST[:PORT],…` and `config=FILE` ("none": no file is
 * read) behind a `?`. Values are percent-encoded; what is in the URL beats the configuration.
 *
 * Host keys: none that RevokedHostKeys lists is taken. With `host_key` the server must have this
 * one, with `insecure` any is taken, otherwise the known_hosts files decide. A host of which these
 * know nothing is refused, unless `accept_new` or StrictHostKeyChecking says accept-new or no; such
 * a key is written down. The two old forms, with a password or a key in the URL, take a new key too
 * when they say nothing about host keys.
 *
 * Secrets are overwritten when a target is freed. Errors: ERR_INVALID, ERR_UNSUPPORTED; messages
 * never hold the secrets of the URL. Reads the configuration, which may ask for names
 * (config.h); otherwise pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/ctx.h"
#include "base/err.h"
#include "base/vec.h"

struct ssh_environment {
    char *home;
    char *local_user;
    char *agent;               /* SSH_AUTH_SOCK, or NULL */
    const char *user_config;   /* NULL: HOME/.ssh/config */
    const char *system_config; /* NULL: none; borrowed, as the one above */
};

#define CLEANUP_SSH_ENVIRONMENT CLEANUP(ssh_environment_release)

/* Of this process: HOME (else what the user database says), its user, SSH_AUTH_SOCK and
 * /etc/ssh/ssh_config. */
void ssh_environment_init(struct ssh_environment *environment);
void ssh_environment_release(struct ssh_environment *environment);

enum ssh_host_key_policy {
    SSH_HOST_KEY_KNOWN, /* must be known */
    SSH_HOST_KEY_ACCEPT_NEW,
    SSH_HOST_KEY_PINNED, /* must be `pin` */
    SSH_HOST_KEY_INSECURE,
};

struct ssh_target {
    char *alias; /* as it was written */
    char *host;
    unsigned port;
    char *user;

    char *password;         /* NULL: none */
    struct buf private_key; /* from the URL; empty: none */
    char *passphrase;       /* of keys; NULL: none */
    struct strvec key_files;
    size_t explicit_keys; /* so many of key_files were asked for, and must be readable */
    char *agent;          /* socket; NULL: none is asked */
    bool identities_only; /* of the agent's keys only those that key_files name */

    enum ssh_host_key_policy policy;
    char *pin; /* "SHA256:…" */
    struct strvec known_hosts;
    char *new_keys;       /* that of the user's where new keys are written down; NULL: none */
    char *revoked_keys;   /* file of keys that are refused whatever else is said; NULL: none */
    char *host_key_alias; /* what the host is called there; NULL: `host` */

    int attempts;               /* to connect */
    int64_t connect_timeout_ms; /* of each, until the login has succeeded; then of each request */
    int64_t alive_interval_ms;

    struct ssh_target *jump; /* through which it is reached; NULL: at once */
    struct strvec notes;     /* for a warning */
};

#define CLEANUP_SSH_TARGET CLEANUP(ssh_target_freep)

/* Of what stands behind "ssh://": whether it is written as above, whatever the configuration says
 * of the host. Pure. ERR_INVALID. */
int ssh_address_check(const char *address, struct err *err) __attribute__((warn_unused_result));
int ssh_target_parse(const struct ctx *ctx, const char *url,
                     const struct ssh_environment *environment, struct ssh_target **ret,
                     struct err *err) __attribute__((warn_unused_result));
void ssh_target_free(struct ssh_target *target);

static inline void ssh_target_freep(struct ssh_target **target)
{
    ssh_target_free(*target);
}
