/* known_hosts files, fingerprints, and what can be seen of private keys. */
#include "tests/unit/test.h"

#include <sys/stat.h>

#include "apis/ssh/key.h"
#include "apis/ssh/known_hosts.h"
#include "base/base64.h"
#include "base/fs.h"

#define ED25519 "AAAAC3NzaC1lZDI1NTE5AAAAIPORiA+x7eEQ2PBhQaCwfjrIkL0svgBFAy1w/jWFCL/M"
#define OTHER   "AAAAC3NzaC1lZDI1NTE5AAAAIBhfosDYbyXlRzNZ9I3+1hzZguHkPC0rP9j2bOczrhHx"
#define ECDSA                                                                                      \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFKFefrh1mQAKlfA9W7TGzPRCG6Fg6lomWgl4sU0" \
    "AvulWSqtRg+ucZUuzOpn8D+fjsCuMF3fbY3Pqt0gFCQ8Wk4="
/* "h.example" and "[h.example]:2222", as ssh-keygen -H writes them. */
#define HASHED      "|1|dgk4eGiS1wn2JnhZBfD9lCliEcs=|icesYmSu4gg1E92HQKuRrbFWgVc="
#define HASHED_PORT "|1|lNwkg1mLxuUFyTp0o97Rn/MZzvU=|VnEM78geEv0h7pTvOZHY9WEOcro="

static struct buf decode(const char *text)
{
    struct buf blob = BUF_INIT;

    assert_int_equal(base64_decode(&blob, text, NULL), 0);
    return blob;
}

static enum ssh_known check(const char *file, const char *host, unsigned port, const char *key,
                            int *ret_line)
{
    CLEANUP_SSH_KNOWN_HOSTS struct ssh_known_hosts known = {0};
    CLEANUP_FREE char *name = ssh_known_hosts_name(host, port);
    CLEANUP_BUF struct buf blob = decode(key);
    const struct ssh_known_entry *entry = NULL;
    enum ssh_known result;

    ssh_known_hosts_parse(&known, "file", file);
    result = ssh_known_hosts_check(&known, name, blob.data, blob.len, &entry);
    *ret_line = entry ? entry->line : 0;
    return result;
}

static void checks(void **state)
{
    static const struct {
        const char *file;
        const char *host;
        unsigned port;
        enum ssh_known result;
        int line;
    } rows[] = {
        {"", "h", 22, SSH_KNOWN_NOT, 0},
        {"# c\n\nh ssh-ed25519 " ED25519 " comment\n", "H", 22, SSH_KNOWN_SAME, 3},
        {"h ssh-ed25519 " ED25519, "h", 2222, SSH_KNOWN_NOT, 0},
        {"[h]:2222,x ssh-ed25519 " ED25519 "\r\n", "h", 2222, SSH_KNOWN_SAME, 1},
        {"*.example,!bad.example ssh-ed25519 " ED25519, "a.example", 22, SSH_KNOWN_SAME, 1},
        {"*.example,!bad.example ssh-ed25519 " ED25519, "bad.example", 22, SSH_KNOWN_NOT, 0},
        {HASHED " ssh-ed25519 " ED25519, "h.example", 22, SSH_KNOWN_SAME, 1},
        {HASHED " ssh-ed25519 " ED25519, "i.example", 22, SSH_KNOWN_NOT, 0},
        {HASHED_PORT " ssh-ed25519 " ED25519, "h.example", 2222, SSH_KNOWN_SAME, 1},
        {HASHED_PORT " ssh-ed25519 " ED25519, "h.example", 22, SSH_KNOWN_NOT, 0},
        {"h ssh-ed25519 " OTHER, "h", 22, SSH_KNOWN_CHANGED, 1},
        {"h ecdsa-sha2-nistp256 " ECDSA, "h", 22, SSH_KNOWN_OTHER, 1},
        {"h ecdsa-sha2-nistp256 " ECDSA "\nh ssh-ed25519 " OTHER, "h", 22, SSH_KNOWN_CHANGED, 2},
        {"h ssh-ed25519 " OTHER "\nh ssh-ed25519 " ED25519, "h", 22, SSH_KNOWN_SAME, 2},
        {"h ssh-ed25519 " ED25519 "\n@revoked * ssh-ed25519 " ED25519, "h", 22, SSH_KNOWN_REVOKED,
         2},
        {"@revoked * ssh-ed25519 " OTHER, "h", 22, SSH_KNOWN_NOT, 0},
        {"@cert-authority * ssh-ed25519 " ED25519, "h", 22, SSH_KNOWN_NOT, 0},
        {"h ssh-rsa " ED25519, "h", 22, SSH_KNOWN_NOT, 0},
        {"h ssh-ed25519 " ED25519 "!", "h", 22, SSH_KNOWN_NOT, 0},
        {"h\nh ssh-ed25519\n@revoked\n|1| ssh-ed25519 " ED25519, "h", 22, SSH_KNOWN_NOT, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        int line;

        if (check(rows[i].file, rows[i].host, rows[i].port, ED25519, &line) != rows[i].result ||
            line != rows[i].line)
            fail_msg("row %zu: line %d", i, line);
    }
}

static void prints_fingerprints(void **state)
{
    CLEANUP_BUF struct buf a = decode(ED25519);
    CLEANUP_BUF struct buf b = decode(ECDSA);
    CLEANUP_FREE char *type = ssh_key_type(b.data, b.len);
    char text[SSH_FINGERPRINT_SIZE];

    (void)state;
    ssh_fingerprint(a.data, a.len, text);
    assert_string_equal(text, "SHA256:0gFM0maL59rm67737lQ7AWCdGx7JReu+sLWxQVPLUTw");
    ssh_fingerprint(b.data, b.len, text);
    assert_string_equal(text, "SHA256:S0Nqx/+xkyTITxmUxEQpDuRoADhLL1b7YcTG+4vQ/mI");
    assert_string_equal(type, "ecdsa-sha2-nistp256");
    assert_null(ssh_key_type("\0\0\0\5abcd", 8));
    assert_null(ssh_key_type("\0\0\0", 3));
}

static void appends(void **state)
{
    char dir[] = "/tmp/runner-ssh-known-XXXXXX";
    CLEANUP_FREE char *made = NULL;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_BUF struct buf a = decode(ED25519);
    CLEANUP_BUF struct buf b = decode(ECDSA);
    CLEANUP_BUF struct buf text = BUF_INIT;
    struct stat info;

    (void)state;
    made = xasprintf("%s/.ssh", mkdtemp(dir));
    path = fs_join(made, "known_hosts");
    assert_int_equal(ssh_known_hosts_append(path, "h", a.data, a.len, NULL), 0);
    assert_int_equal(ssh_known_hosts_append(path, "h", a.data, a.len, NULL), 0);
    assert_int_equal(truncate(path, (off_t)strlen("h ssh-ed25519 " ED25519)), 0);
    assert_int_equal(ssh_known_hosts_append(path, "[h]:23", b.data, b.len, NULL), 0);
    assert_int_equal(fs_read_file(path, 1 << 20, &text, NULL), 0);
    assert_string_equal(text.data,
                        "h ssh-ed25519 " ED25519 "\n[h]:23 ecdsa-sha2-nistp256 " ECDSA "\n");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(fs_remove_tree(dir, NULL), 0);
}

static void inspects_keys(void **state)
{
    static const struct {
        const char *text;
        const char *message; /* NULL: it is a key */
        enum ssh_key_kind kind;
        bool encrypted;
    } rows[] = {
        {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", NULL, SSH_KEY_RSA, true},
        {"-----BEGIN EC PRIVATE KEY-----\nMHc\n", NULL, SSH_KEY_ECDSA, false},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", NULL, SSH_KEY_UNKNOWN, true},
        {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END", "is a damaged OpenSSH private key",
         SSH_KEY_UNKNOWN, false},
        {"-----BEGIN CERTIFICATE-----\n", "holds a CERTIFICATE and no private key", SSH_KEY_UNKNOWN,
         false},
        {"ssh-ed25519 AAAA me", "is a public key; the private one is the file without .pub",
         SSH_KEY_UNKNOWN, false},
        {"PuTTY-User-Key-File-3: x",
         "is a key of PuTTY; convert it with puttygen -O private-openssh", SSH_KEY_UNKNOWN, false},
        {"", "is no private key (there is no -----BEGIN line in it)", SSH_KEY_UNKNOWN, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_SSH_KEY_INFO struct ssh_key_info info = SSH_KEY_INFO_INIT;
        struct err err = ERR_INIT;

        if (rows[i].message) {
            assert_int_equal(ssh_key_inspect(rows[i].text, &info, &err), -1);
            assert_string_equal(err.message, rows[i].message);
            continue;
        }
        assert_int_equal(ssh_key_inspect(rows[i].text, &info, &err), 0);
        assert_int_equal(info.kind, rows[i].kind);
        assert_int_equal(info.encrypted, rows[i].encrypted);
    }
}

static void reads_public_keys(void **state)
{
    CLEANUP_BUF struct buf expected = decode(ED25519);
    CLEANUP_BUF struct buf blob = BUF_INIT;

    (void)state;
    ssh_key_parse_public("ssh-ed25519 " ED25519 " me@here\n", &blob);
    assert_int_equal(blob.len, expected.len);
    assert_memory_equal(blob.data, expected.data, blob.len);
    buf_truncate(&blob, 0);
    ssh_key_parse_public("ssh-rsa " ED25519, &blob);
    ssh_key_parse_public("ssh-ed25519", &blob);
    ssh_key_parse_public("", &blob);
    assert_int_equal(blob.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks),
        cmocka_unit_test(prints_fingerprints),
        cmocka_unit_test(appends),
        cmocka_unit_test(inspects_keys),
        cmocka_unit_test(reads_public_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
