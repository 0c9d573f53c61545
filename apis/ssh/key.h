/* What can be seen of a private key without opening it. Pure.
 *
 * Source: OpenSSH's PROTOCOL.key; RFC 7468 for the labels of PEM. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

enum ssh_key_kind {
    SSH_KEY_UNKNOWN, /* PKCS#8, which does not say it outside */
    SSH_KEY_RSA,
    SSH_KEY_DSA,
    SSH_KEY_ECDSA,
    SSH_KEY_ED25519,
    SSH_KEY_HARDWARE, /* "sk-…": only an agent can sign with it */
};

struct ssh_key_info {
    enum ssh_key_kind kind;
    bool encrypted;
    struct buf public_blob; /* in wire format; empty: not readable without opening it */
};

#define CLEANUP_SSH_KEY_INFO CLEANUP(ssh_key_info_release)
#define SSH_KEY_INFO_INIT                                                                          \
    {                                                                                              \
        .public_blob = BUF_INIT                                                                    \
    }

/* Of the text of a key file. ERR_INVALID: it is no private key, with what it seems to be.
 * *ret must have been initialised. */
int ssh_key_inspect(const char *text, struct ssh_key_info *ret, struct err *err)
    __attribute__((warn_unused_result));
void ssh_key_info_release(struct ssh_key_info *info);
/* Adds the blob of a line of a .pub file; nothing when it is none. */
void ssh_key_parse_public(const char *text, struct buf *ret);
/* Of a public key in wire format. */
enum ssh_key_kind ssh_key_kind_of(const void *blob, size_t len);

/* Releases a buf that held a secret, and overwrites it first. */
void ssh_secret_release(struct buf *secret);
/* Likewise of a string. */
void ssh_secret_free(char *secret);

/* Reads the next string of the wire format (RFC 4251, section 5) and moves *at behind it. */
bool ssh_wire_string(const char **at, const char *end, const char **ret, size_t *ret_len);
