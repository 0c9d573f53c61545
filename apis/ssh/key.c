#include "apis/ssh/key.h"

#include <ctype.h>
#include <string.h>

#include "apis/ssh/known_hosts.h"
#include "base/alloc.h"
#include "base/base64.h"

#define OPENSSH_MAGIC "openssh-key-v1" /* with its NUL */

void ssh_secret_release(struct buf *secret)
{
    if (secret->cap)
        explicit_bzero(secret->data, secret->cap);
    buf_release(secret);
}

void ssh_secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void ssh_key_info_release(struct ssh_key_info *info)
{
    buf_release(&info->public_blob);
}

bool ssh_wire_string(const char **at, const char *end, const char **ret, size_t *ret_len)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    size_t len;

    if (end - *at < 4)
        return false;
    len = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
    if (len > (size_t)(end - *at - 4))
        return false;
    *ret = *at + 4;
    *ret_len = len;
    *at += 4 + len;
    return true;
}

enum ssh_key_kind ssh_key_kind_of(const void *blob, size_t len)
{
    CLEANUP_FREE char *type = ssh_key_type(blob, len);

    if (!type)
        return SSH_KEY_UNKNOWN;
    if (strncmp(type, "sk-", 3) == 0)
        return SSH_KEY_HARDWARE;
    if (strcmp(type, "ssh-rsa") == 0)
        return SSH_KEY_RSA;
    if (strcmp(type, "ssh-dss") == 0)
        return SSH_KEY_DSA;
    if (strncmp(type, "ecdsa-sha2-", 11) == 0)
        return SSH_KEY_ECDSA;
    return strcmp(type, "ssh-ed25519") == 0 ? SSH_KEY_ED25519 : SSH_KEY_UNKNOWN;
}

void ssh_key_parse_public(const char *text, struct buf *ret)
{
    const size_t type_len = strcspn(text, " \t\r\n");
    const char *key = text + type_len + strspn(text + type_len, " \t");
    CLEANUP_FREE char *encoded = xstrndup(key, strcspn(key, " \t\r\n"));
    CLEANUP_BUF struct buf blob = BUF_INIT;
    CLEANUP_FREE char *type = NULL;

    if (base64_decode(&blob, encoded, NULL) < 0)
        return;
    type = ssh_key_type(blob.data, blob.len);
    if (type && strlen(type) == type_len && strncmp(type, text, type_len) == 0)
        buf_add(ret, blob.data, blob.len);
}

static int inspect_openssh(const struct buf *binary, struct ssh_key_info *ret, struct err *err)
{
    const char *at = binary->data + sizeof(OPENSSH_MAGIC);
    const char *const end = binary->data + binary->len;
    const char *cipher, *kdf, *options, *blob;
    size_t cipher_len, kdf_len, options_len, blob_len;

    if (binary->len < sizeof(OPENSSH_MAGIC) ||
        memcmp(binary->data, OPENSSH_MAGIC, sizeof(OPENSSH_MAGIC)) != 0 ||
        !ssh_wire_string(&at, end, &cipher, &cipher_len) ||
        !ssh_wire_string(&at, end, &kdf, &kdf_len) ||
        !ssh_wire_string(&at, end, &options, &options_len) || end - at < 4)
        return err_set(err, ERR_INVALID, "is a damaged OpenSSH private key");
    at += 4; /* how many keys: always one */
    if (!ssh_wire_string(&at, end, &blob, &blob_len))
        return err_set(err, ERR_INVALID, "is a damaged OpenSSH private key");
    ret->encrypted = cipher_len != 4 || memcmp(cipher, "none", 4) != 0;
    ret->kind = ssh_key_kind_of(blob, blob_len);
    buf_add(&ret->public_blob, blob, blob_len);
    return 0;
}

static const struct {
    const char *label;
    enum ssh_key_kind kind;
    bool encrypted;
} labels[] = {
    {"RSA PRIVATE KEY", SSH_KEY_RSA, false},          {"DSA PRIVATE KEY", SSH_KEY_DSA, false},
    {"EC PRIVATE KEY", SSH_KEY_ECDSA, false},         {"PRIVATE KEY", SSH_KEY_UNKNOWN, false},
    {"ENCRYPTED PRIVATE KEY", SSH_KEY_UNKNOWN, true},
};

/* The base64 between the lines that begin and end it. */
static int decode_body(const char *body, struct buf *ret, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    int result;

    for (; *body && *body != '-'; body++)
        if (!isspace((unsigned char)*body))
            buf_addch(&text, *body);
    result = base64_decode(ret, text.data, err);
    explicit_bzero(text.data, text.len);
    return result;
}

int ssh_key_inspect(const char *text, struct ssh_key_info *ret, struct err *err)
{
    static const char begin[] = "-----BEGIN ";
    const char *label = strstr(text, begin);
    const char *end = label ? strstr(label + strlen(begin), "-----") : NULL;
    size_t len;

    if (!end) {
        if (strncmp(text, "PuTTY-User-Key-File", 19) == 0)
            return err_set(err, ERR_INVALID,
                           "is a key of PuTTY; convert it with puttygen -O private-openssh");
        if (strncmp(text, "ssh-", 4) == 0 || strncmp(text, "ecdsa-", 6) == 0 ||
            strncmp(text, "sk-", 3) == 0)
            return err_set(err, ERR_INVALID,
                           "is a public key; the private one is the file without .pub");
        return err_set(err, ERR_INVALID, "is no private key (there is no -----BEGIN line in it)");
    }
    label += strlen(begin);
    len = (size_t)(end - label);
    if (len == 19 && strncmp(label, "OPENSSH PRIVATE KEY", len) == 0) {
        CLEANUP_BUF struct buf binary = BUF_INIT;
        int result;

        if (decode_body(end + 5, &binary, err) < 0)
            return err_set(err, ERR_INVALID, "is a damaged OpenSSH private key");
        result = inspect_openssh(&binary, ret, err);
        explicit_bzero(binary.data, binary.len);
        return result;
    }
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        if (len == strlen(labels[i].label) && strncmp(label, labels[i].label, len) == 0) {
            ret->kind = labels[i].kind;
            ret->encrypted = labels[i].encrypted || strstr(end, "Proc-Type: 4,ENCRYPTED") != NULL;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "holds a %.*s and no private key", len < 100 ? (int)len : 100,
                   label);
}
