/* Host keys that are known: the files in which OpenSSH keeps them.
 *
 *     CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
 *     ssh_known_hosts_load(&known, "/home/me/.ssh/known_hosts", err);
 *     switch (ssh_known_hosts_check(&known, "build1", 22, blob, blob_len, &entry)) ...
 *
 * Names are matched as OpenSSH does: patterns, hashed names, "[host]:port" for ports other than 22.
 * Lines with @revoked refuse their key; lines with @cert-authority match nothing, as certificates
 * are not supported. Lines that cannot be read are left out.
 *
 * Threads: loading and checking are pure; ssh_known_hosts_append() takes a lock on the file.
 * Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; RFC 4253, section 6.6. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/vec.h"

#define SSH_FINGERPRINT_SIZE 52 /* "SHA256:" and 43 characters, with the NUL */

/* "SHA256:…" of a key in wire format, as ssh-keygen -l prints it. */
void ssh_fingerprint(const void *blob, size_t len, char ret[SSH_FINGERPRINT_SIZE]);
/* "ssh-ed25519", …: the type within a key in wire format. NULL: there is none. */
char *ssh_key_type(const void *blob, size_t len);
/* "host", or "[host]:port" for ports other than 22: lower case, as it is looked up. */
char *ssh_known_hosts_name(const char *host, unsigned port);

struct ssh_known_entry {
    char *names;
    char *type;
    struct buf blob;
    bool revoked;
    char *file;
    int line;
};

struct ssh_known_hosts {
    struct ssh_known_entry *items;
    size_t len;
    size_t cap;
};

#define CLEANUP_SSH_KNOWN_HOSTS CLEANUP(ssh_known_hosts_release)

void ssh_known_hosts_release(struct ssh_known_hosts *known);
/* Adds the entries of a file. One that does not exist has none. */
int ssh_known_hosts_load(struct ssh_known_hosts *known, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* Adds those of a text; `path` is what entry->file says. */
void ssh_known_hosts_parse(struct ssh_known_hosts *known, const char *path, const char *text);

enum ssh_known {
    SSH_KNOWN_NOT,     /* nothing is known of the host */
    SSH_KNOWN_SAME,    /* *ret_entry has this key */
    SSH_KNOWN_CHANGED, /* *ret_entry has another key of this type */
    SSH_KNOWN_OTHER,   /* *ret_entry has a key of another type, and none of this type is known */
    SSH_KNOWN_REVOKED, /* *ret_entry revokes it */
};

/* `name` as ssh_known_hosts_name() makes it. ret_entry may be NULL. */
enum ssh_known ssh_known_hosts_check(const struct ssh_known_hosts *known, const char *name,
                                     const void *blob, size_t len,
                                     const struct ssh_known_entry **ret_entry);
/* Adds the types of the keys that are known of the host, each once. */
void ssh_known_hosts_types(const struct ssh_known_hosts *known, const char *name,
                           struct strvec *ret);
/* *ret_line is where a file of RevokedHostKeys (a public key on each line) has this key, or 0.
 * ERR_NOT_FOUND, ERR_INVALID, ERR_UNSUPPORTED (a KRL): whether it is revoked is not known. */
int ssh_revoked_keys_check(const char *path, const void *blob, size_t len, int *ret_line,
                           struct err *err) __attribute__((warn_unused_result));
/* Adds a line to the file, which is made if need be, with the directory above it. */
int ssh_known_hosts_append(const char *path, const char *name, const void *blob, size_t len,
                           struct err *err) __attribute__((warn_unused_result));
