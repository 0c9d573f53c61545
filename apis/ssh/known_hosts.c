#include "apis/ssh/known_hosts.h"

#include <ctype.h>
#include <fcntl.h>
#include <nettle/hmac.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "apis/ssh/key.h"
#include "apis/ssh/pattern.h"
#include "base/base64.h"
#include "base/fs.h"
#include "base/sha256.h"

enum { FILE_MAX = 16 << 20 };

#define KRL_MAGIC "SSHKRL\n" /* and a NUL, which ends it */

void ssh_fingerprint(const void *blob, size_t len, char ret[SSH_FINGERPRINT_SIZE])
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    uint8_t digest[SHA256_SIZE];
    struct sha256 hash;

    sha256_begin(&hash);
    sha256_add(&hash, blob, len);
    sha256_end(&hash, digest);
    buf_addstr(&text, "SHA256:");
    base64_encode(&text, digest, sizeof(digest));
    while (text.len && text.data[text.len - 1] == '=')
        buf_truncate(&text, text.len - 1);
    snprintf(ret, SSH_FINGERPRINT_SIZE, "%s", text.data);
}

char *ssh_key_type(const void *blob, size_t len)
{
    const unsigned char *at = blob;
    size_t size;

    if (len < 4)
        return NULL;
    size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    if (size == 0 || size > len - 4 || size > 100 || memchr(at + 4, '\0', size))
        return NULL;
    return xstrndup((const char *)at + 4, size);
}

char *ssh_known_hosts_name(const char *host, unsigned port)
{
    char *name = port == 22 ? xstrdup(host) : xasprintf("[%s]:%u", host, port);

    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

static void entry_release(struct ssh_known_entry *entry)
{
    free(entry->names);
    free(entry->type);
    buf_release(&entry->blob);
    free(entry->file);
}

void ssh_known_hosts_release(struct ssh_known_hosts *known)
{
    vec_foreach (struct ssh_known_entry *, entry, known)
        entry_release(entry);
    vec_release(known);
}

/* --- reading --- */

/* The next word of a line, or NULL. */
static char *word(const char **line)
{
    const char *start = *line + strspn(*line, " \t\r");
    const size_t len = strcspn(start, " \t\r");

    *line = start + len;
    return len ? xstrndup(start, len) : NULL;
}

/* Whether it is an entry; *entry is to be released in any case. */
static bool parse_line(const char *line, struct ssh_known_entry *entry)
{
    CLEANUP_FREE char *key = NULL;
    CLEANUP_FREE char *type = NULL;

    line += strspn(line, " \t\r");
    if (!*line || *line == '#')
        return false;
    entry->names = word(&line);
    if (entry->names && entry->names[0] == '@') {
        if (strcmp(entry->names, "@revoked") != 0)
            return false;
        entry->revoked = true;
        free(entry->names);
        entry->names = word(&line);
    }
    entry->type = word(&line);
    key = word(&line);
    if (!key || base64_decode(&entry->blob, key, NULL) < 0)
        return false;
    type = ssh_key_type(entry->blob.data, entry->blob.len);
    return type && strcmp(type, entry->type) == 0;
}

void ssh_known_hosts_parse(struct ssh_known_hosts *known, const char *path, const char *text)
{
    const char *line, *end;
    int number = 0;

    for (line = text; line; line = end ? end + 1 : NULL) {
        struct ssh_known_entry entry = {.blob = BUF_INIT, .line = ++number};
        CLEANUP_FREE char *copy = NULL;

        end = strchr(line, '\n');
        copy = end ? xstrndup(line, (size_t)(end - line)) : xstrdup(line);
        if (!parse_line(copy, &entry)) {
            entry_release(&entry);
            continue;
        }
        entry.file = xstrdup(path);
        vec_push(known, entry);
    }
}

int ssh_known_hosts_load(struct ssh_known_hosts *known, const char *path, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    if (!fs_exists(path))
        return 0;
    if (fs_read_file(path, FILE_MAX, &text, err) < 0)
        return -1;
    ssh_known_hosts_parse(known, path, text.data);
    return 0;
}

/* --- looking up --- */

/* "|1|SALT|HMAC-SHA1(SALT, name)", both in base64. */
static bool hashed_match(const char *hashed, const char *name)
{
    const char *bar = strchr(hashed + 3, '|');
    CLEANUP_FREE char *salt_text = bar ? xstrndup(hashed + 3, (size_t)(bar - hashed - 3)) : NULL;
    CLEANUP_BUF struct buf salt = BUF_INIT;
    CLEANUP_BUF struct buf sum = BUF_INIT;
    struct hmac_sha1_ctx state;
    uint8_t digest[SHA1_DIGEST_SIZE];

    if (!bar || base64_decode(&salt, salt_text, NULL) < 0 ||
        base64_decode(&sum, bar + 1, NULL) < 0 || sum.len != sizeof(digest))
        return false;
    hmac_sha1_set_key(&state, salt.len, (const uint8_t *)salt.data);
    hmac_sha1_update(&state, strlen(name), (const uint8_t *)name);
    hmac_sha1_digest(&state, sizeof(digest), digest);
    return memcmp(digest, sum.data, sizeof(digest)) == 0;
}

static bool entry_match(const struct ssh_known_entry *entry, const char *name)
{
    if (strncmp(entry->names, "|1|", 3) == 0)
        return hashed_match(entry->names, name);
    return ssh_pattern_list_match(entry->names, ",", name);
}

enum ssh_known ssh_known_hosts_check(const struct ssh_known_hosts *known, const char *name,
                                     const void *blob, size_t len,
                                     const struct ssh_known_entry **ret_entry)
{
    CLEANUP_FREE char *type = ssh_key_type(blob, len);
    const struct ssh_known_entry *found = NULL;
    enum ssh_known result = SSH_KNOWN_NOT;

    vec_foreach (const struct ssh_known_entry *, entry, known) {
        const bool same = entry->blob.len == len && memcmp(entry->blob.data, blob, len) == 0;
        enum ssh_known now;

        if ((entry->revoked && !same) || !entry_match(entry, name))
            continue;
        now = entry->revoked                           ? SSH_KNOWN_REVOKED
              : same                                   ? SSH_KNOWN_SAME
              : type && strcmp(type, entry->type) == 0 ? SSH_KNOWN_CHANGED
                                                       : SSH_KNOWN_OTHER;
        /* Revocation beats all; the key itself beats other keys of the host. */
        if (now == SSH_KNOWN_REVOKED || result == SSH_KNOWN_NOT ||
            (now == SSH_KNOWN_SAME && result != SSH_KNOWN_REVOKED) ||
            (now == SSH_KNOWN_CHANGED && result == SSH_KNOWN_OTHER)) {
            result = now;
            found = entry;
        }
    }
    if (ret_entry)
        *ret_entry = found;
    return result;
}

void ssh_known_hosts_types(const struct ssh_known_hosts *known, const char *name,
                           struct strvec *ret)
{
    vec_foreach (const struct ssh_known_entry *, entry, known)
        if (!entry->revoked && entry_match(entry, name) && !strvec_has(ret, entry->type))
            strvec_push(ret, entry->type);
}

/* --- revoked keys --- */

int ssh_revoked_keys_check(const char *path, const void *blob, size_t len, int *ret_line,
                           struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    const char *line, *end;
    int number = 0;

    if (fs_read_file(path, FILE_MAX, &text, err) < 0)
        return -1;
    if (text.len >= sizeof(KRL_MAGIC) - 1 &&
        memcmp(text.data, KRL_MAGIC, sizeof(KRL_MAGIC) - 1) == 0)
        return err_set(
            err, ERR_UNSUPPORTED,
            "%s is a binary list (KRL), which is not supported; make it a text file with "
            "a public key on each line",
            path);
    for (line = text.data; line; line = end ? end + 1 : NULL) {
        CLEANUP_BUF struct buf key = BUF_INIT;

        number++;
        end = strchr(line, '\n');
        line += strspn(line, " \t\r");
        if (!*line || *line == '\n' || *line == '#')
            continue;
        ssh_key_parse_public(line, &key);
        if (!key.len)
            return err_set(err, ERR_INVALID, "%s:%d: expected a public key", path, number);
        if (key.len == len && memcmp(key.data, blob, len) == 0) {
            *ret_line = number;
            return 0;
        }
    }
    *ret_line = 0;
    return 0;
}

/* --- adding --- */

int ssh_known_hosts_append(const char *path, const char *name, const void *blob, size_t len,
                           struct err *err)
{
    CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
    CLEANUP_BUF struct buf line = BUF_INIT;
    CLEANUP_FREE char *type = ssh_key_type(blob, len);
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
    CLEANUP_FD int fd = -1;
    char last = '\n';
    enum ssh_known was;
    off_t size;

    if (!type)
        return err_set(err, ERR_PROTOCOL, "%s: the server's key has no type", name);
    if (dir && *dir && fs_mkdir_p(dir, 0700, err) < 0)
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "cannot open %s", path);
    if (flock(fd, LOCK_EX) < 0 || (size = lseek(fd, 0, SEEK_END)) < 0 ||
        (size > 0 && pread(fd, &last, 1, size - 1) != 1))
        return err_errno(err, "cannot add to %s", path);
    /* Another process may have been faster. */
    if (ssh_known_hosts_load(&known, path, err) < 0)
        return -1;
    was = ssh_known_hosts_check(&known, name, blob, len, NULL);
    if (was == SSH_KNOWN_SAME)
        return 0;
    if (was != SSH_KNOWN_NOT)
        return err_set(err, ERR_DENIED, "%s: %s has another key of this host by now", name, path);
    if (last != '\n')
        buf_addch(&line, '\n');
    buf_addf(&line, "%s %s ", name, type);
    base64_encode(&line, blob, len);
    buf_addch(&line, '\n');
    if (fs_write_all(fd, line.data, line.len, err) < 0)
        return err_wrap(err, "%s", path);
    return 0;
}
