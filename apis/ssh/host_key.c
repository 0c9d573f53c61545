#include <string.h>

#include "apis/ssh/internal.h"

/* libssh2's names, by preference. */
static const char *const algorithms[] = {
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
};

enum { ALGORITHMS = sizeof(algorithms) / sizeof(*algorithms) };

static bool is_rsa(const char *name)
{
    return strstr(name, "rsa") != NULL;
}

/* What known_hosts calls a key of this algorithm. */
static const char *type_of(const char *algorithm)
{
    return is_rsa(algorithm) ? "ssh-rsa" : algorithm;
}

static char *known_name(const struct ssh_target *t)
{
    return t->host_key_alias ? ssh_known_hosts_name(t->host_key_alias, 22)
                             : ssh_known_hosts_name(t->host, t->port);
}

static int load_known(const struct ssh_target *t, struct ssh_known_hosts *known, struct err *err)
{
    for (size_t i = 0; i < t->known_hosts.len; i++)
        if (ssh_known_hosts_load(known, t->known_hosts.items[i], err) < 0)
            return -1;
    return 0;
}

int ssh_host_key_prefer(struct ssh_session *session, const struct ssh_target *target,
                        const char *only, struct err *err)
{
    CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
    CLEANUP_FREE char *name = known_name(target);
    CLEANUP_STRVEC struct strvec types = {0};
    CLEANUP_BUF struct buf list = BUF_INIT;

    if (target->policy != SSH_HOST_KEY_PINNED && target->policy != SSH_HOST_KEY_INSECURE) {
        if (load_known(target, &known, err) < 0)
            return err_wrap(err, "%s", session->peer);
        ssh_known_hosts_types(&known, name, &types);
    }
    for (int wanted = 1; wanted >= 0; wanted--) {
        for (size_t i = 0; i < ALGORITHMS; i++) {
            const char *type = type_of(algorithms[i]);

            if (only ? wanted && strcmp(type, only) == 0
                     : strvec_has(&types, type) == (wanted == 1))
                buf_addf(&list, "%s%s", list.len ? "," : "", algorithms[i]);
        }
    }
    if (ssh_prefer(session, LIBSSH2_METHOD_HOSTKEY, list.data) < 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: libssh2 %s knows no host keys of type %s",
                       session->peer, session->lib->version(0), only ? only : "any");
    return 0;
}

struct shown {
    const char *blob;
    size_t len;
    char *type;
    char *name; /* of the host in known_hosts */
    char fingerprint[SSH_FINGERPRINT_SIZE];
};

static int refuse_unknown(struct ssh_session *session, const struct ssh_target *t,
                          const struct shown *shown, struct err *err)
{
    const char *file = t->new_keys ? t->new_keys : "~/.ssh/known_hosts";

    return err_set(err, ERR_DENIED,
                   "%s: the host key is not known: %s %s. Compare it with the server's (there: "
                   "ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub); if it is the same, put "
                   "?host_key=%s into the URL or its key into %s (ssh-keyscan -p %u %s); "
                   "?accept_new=true takes the key of a new host unseen",
                   session->peer, shown->type, shown->fingerprint, shown->fingerprint, file,
                   t->port, t->host);
}

static int refuse_changed(struct ssh_session *session, const struct shown *shown,
                          const struct ssh_known_entry *entry, struct err *err)
{
    char known[SSH_FINGERPRINT_SIZE];

    ssh_fingerprint(entry->blob.data, entry->blob.len, known);
    return err_set(err, ERR_DENIED,
                   "%s: the host key is not the known one: the server has %s %s, but %s:%d says %s "
                   "%s. Somebody may be listening in between; if the server is a new one, remove "
                   "that line (ssh-keygen -f %s -R '%s')",
                   session->peer, shown->type, shown->fingerprint, entry->file, entry->line,
                   entry->type, known, entry->file, shown->name);
}

static int accept_new(struct ssh_session *session, const struct ssh_target *t,
                      const struct shown *shown, struct err *err)
{
    struct err why = ERR_INIT;

    if (!t->new_keys) {
        strvec_pushf(&session->notes, "%s: the new host key %s %s was taken unseen", session->peer,
                     shown->type, shown->fingerprint);
        return 0;
    }
    if (ssh_known_hosts_append(t->new_keys, shown->name, shown->blob, shown->len, &why) < 0) {
        if (why.code == ERR_DENIED && why.errnum == 0) {
            if (err)
                *err = why;
            return -1;
        }
        /* A home that cannot be written to: this time it is taken, as it is the next time. */
        strvec_pushf(&session->notes,
                     "%s: the new host key %s %s was taken unseen and could not be written down: "
                     "%s",
                     session->peer, shown->type, shown->fingerprint, why.message);
        return 0;
    }
    (void)err;
    strvec_pushf(&session->notes,
                 "%s: the host was not known; its key %s %s was taken unseen and written to %s",
                 session->peer, shown->type, shown->fingerprint, t->new_keys);
    return 0;
}

static int check_known(struct ssh_session *session, const struct ssh_target *t,
                       const struct shown *shown, struct err *err)
{
    CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
    const struct ssh_known_entry *entry = NULL;

    if (load_known(t, &known, err) < 0)
        return err_wrap(err, "%s", session->peer);
    switch (ssh_known_hosts_check(&known, shown->name, shown->blob, shown->len, &entry)) {
    case SSH_KNOWN_SAME:
        return 0;
    case SSH_KNOWN_REVOKED:
        return err_set(err, ERR_DENIED, "%s: the host key %s %s has been revoked by %s:%d",
                       session->peer, shown->type, shown->fingerprint, entry->file, entry->line);
    case SSH_KNOWN_CHANGED:
    case SSH_KNOWN_OTHER:
        return refuse_changed(session, shown, entry, err);
    case SSH_KNOWN_NOT:
        break;
    }
    return t->policy == SSH_HOST_KEY_ACCEPT_NEW ? accept_new(session, t, shown, err)
                                                : refuse_unknown(session, t, shown, err);
}

/* A list that cannot be read refuses all keys, as with OpenSSH. */
static int check_revoked(struct ssh_session *session, const struct ssh_target *t,
                         const struct shown *shown, struct err *err)
{
    int line = 0;

    if (!t->revoked_keys)
        return 0;
    if (ssh_revoked_keys_check(t->revoked_keys, shown->blob, shown->len, &line, err) < 0)
        return err_wrap(err, "%s: no host key is taken, as RevokedHostKeys cannot be looked at",
                        session->peer);
    if (line)
        return err_set(err, ERR_DENIED, "%s: the host key %s %s has been revoked by %s:%d",
                       session->peer, shown->type, shown->fingerprint, t->revoked_keys, line);
    return 0;
}

int ssh_host_key_check(struct ssh_session *session, const struct ssh_target *target,
                       bool *ret_mismatch, struct err *err)
{
    CLEANUP_FREE char *type = NULL;
    CLEANUP_FREE char *name = known_name(target);
    struct shown shown = {.name = name};
    int unused;

    shown.blob = session->lib->session_hostkey(session->ssh, &shown.len, &unused);
    shown.type = type = shown.blob ? ssh_key_type(shown.blob, shown.len) : NULL;
    if (!type)
        return err_set(err, ERR_PROTOCOL, "%s: the server has no host key", session->peer);
    ssh_fingerprint(shown.blob, shown.len, shown.fingerprint);
    snprintf(session->fingerprint, sizeof(session->fingerprint), "%s", shown.fingerprint);
    if (target->policy == SSH_HOST_KEY_PINNED && strcmp(target->pin, shown.fingerprint) != 0) {
        *ret_mismatch = true;
        return err_set(err, ERR_DENIED,
                       "%s: the host key is not the one of the URL: the server has %s %s, host_key "
                       "says %s. Somebody may be listening in between, or the server has a new key",
                       session->peer, shown.type, shown.fingerprint, target->pin);
    }
    if (check_revoked(session, target, &shown, err) < 0)
        return -1;
    if (target->policy == SSH_HOST_KEY_PINNED || target->policy == SSH_HOST_KEY_INSECURE)
        return 0;
    return check_known(session, target, &shown, err);
}
