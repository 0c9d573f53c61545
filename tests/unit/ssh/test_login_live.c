/* Logging in to real servers: every way to, host keys, jump hosts, and what is said when it fails.
 */
#include "tests/unit/ssh/ssh_test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "apis/ssh/key.h"
#include "apis/ssh/known_hosts.h"
#include "base/base64.h"

static struct sshd sshd;
static char fingerprint[2][SSH_FINGERPRINT_SIZE]; /* of ed25519, ecdsa */

#define HOST(sshd) (sshd)->user, (sshd)->port

/* Says who it is, and closes. */
static void assert_works(struct ssh_session *session)
{
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

    assert_ok(run_command(session, "id -un", NULL, &o, &test_err));
    assert_int_equal(o.out.len, strlen(sshd.user) + 1);
    assert_memory_equal(o.out.data, sshd.user, strlen(sshd.user));
    assert_true(o.result.exited);
    assert_int_equal(o.result.exit_code, 0);
    ssh_session_free(session);
}

static char *read_text(const char *name)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    assert_int_equal(fs_read_file(sshd_path(&sshd, name), 1 << 20, &text, NULL), 0);
    return buf_steal(&text);
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(fs_write_file(sshd_path(&sshd, name), text, strlen(text), 0600, NULL), 0);
}

/* --- keys --- */

static void logs_in_by_key_files(void **state)
{
    struct ssh_session *session = NULL;

    (void)state;
    sshd_add_key(&sshd, "ecdsa", "other", "");
    sshd_add_key(&sshd, "ed25519", "locked", "let me in");
    assert_ok(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=%s",
                           HOST(&sshd), sshd_path(&sshd, "other")));
    assert_works(session);
    assert_ok(open_session(NULL, &session,
                           "ssh://%s@127.0.0.1:%u?insecure=true&passphrase=let%%20me%%20in&key=%s",
                           HOST(&sshd), sshd_path(&sshd, "locked")));
    assert_works(session);
}

static void logs_in_by_key_of_the_url(void **state)
{
    CLEANUP_BUF struct buf encoded = BUF_INIT;
    CLEANUP_FREE char *text = read_text("client");
    struct ssh_session *session = NULL;

    (void)state;
    base64_encode(&encoded, text, strlen(text));
    assert_ok(open_session(NULL, &session,
                           "ssh://private_key:%s@127.0.0.1:%u?insecure=true&user=%s", encoded.data,
                           sshd.port, sshd.user));
    assert_works(session);
}

static void says_what_is_wrong_with_a_key(void **state)
{
    struct ssh_session *session = NULL;

    (void)state;
    sshd_add_key(&sshd, "ed25519", "locked", "let me in");
    assert_int_equal(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=%s",
                                  HOST(&sshd), sshd_path(&sshd, "locked")),
                     -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("/locked (is encrypted: add it to the agent, or give ?passphrase=)");
    assert_int_equal(open_session(NULL, &session,
                                  "ssh://%s@127.0.0.1:%u?insecure=true&passphrase=no&key=%s",
                                  HOST(&sshd), sshd_path(&sshd, "locked")),
                     -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("/locked (cannot be opened: is the passphrase right?)");
    assert_int_equal(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=/none",
                                  HOST(&sshd)),
                     -1);
    assert_int_equal(test_err.code, ERR_NOT_FOUND);
    assert_message("/none");
    assert_int_equal(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=%s",
                                  HOST(&sshd), sshd_path(&sshd, "client.pub")),
                     -1);
    assert_int_equal(test_err.code, ERR_INVALID);
    assert_message("client.pub is a public key; the private one is the file without .pub");
    assert_int_equal(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true",
                                  HOST(&sshd)),
                     -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("there is no key to log in with");
    assert_message("The server takes: publickey");
}

static void refuses_rsa_files_with_advice(void **state)
{
    struct ssh_session *session = NULL;

    (void)state;
    sshd_add_key(&sshd, "rsa", "rsa", "");
    if (open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=%s", HOST(&sshd),
                     sshd_path(&sshd, "rsa")) == 0) {
        assert_works(session); /* libssh2 1.11 can */
        return;
    }
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("/rsa (refused). libssh2 1.");
    assert_message("use an ed25519 or ecdsa key, or add this one to an agent (ssh-add)");
}

/* --- the agent --- */

/* Keys by ssh-add (names, then NULL). Returns its pid. Each needs a socket of its own: one that
 * ends removes what is there by then. */
static int start_agent(const char *socket, const char *const *names)
{
    CLEANUP_FREE char *command = xasprintf("rm -f %s; ssh-agent -a %s | sed -n "
                                           "'s/.*AGENT_PID=\\([0-9]*\\);.*/\\1/p' >%s.pid",
                                           socket, socket, socket);
    CLEANUP_BUF struct buf pid = BUF_INIT;
    char path[300];

    assert_int_equal(sshd_run((const char *const[]){"sh", "-c", command, NULL}), 0);
    assert_int_equal(setenv("SSH_AUTH_SOCK", socket, 1), 0);
    for (; *names; names++)
        assert_int_equal(sshd_run((const char *const[]){"ssh-add", "-q", sshd_path(&sshd, *names),
                                                        NULL}),
                         0);
    assert_int_equal(unsetenv("SSH_AUTH_SOCK"), 0);
    snprintf(path, sizeof(path), "%s.pid", socket);
    assert_int_equal(fs_read_file(path, 100, &pid, NULL), 0);
    return (int)strtol(pid.data, NULL, 10);
}

static void logs_in_by_agent(void **state)
{
    const char *const rsa[] = {"rsa", NULL};
    const char *const client[] = {"client", NULL};
    const char *const nothing[] = {NULL};
    CLEANUP_FREE char *socket = xasprintf("%s/agent", sshd.dir);
    CLEANUP_FREE char *of_rsa = xasprintf("%s-of-rsa", socket);
    CLEANUP_FREE char *empty = xasprintf("%s-empty", socket);
    struct ssh_session *session = NULL;
    int pid;

    (void)state;
    sshd_add_key(&sshd, "rsa", "rsa", "");
    sshd_add_key(&sshd, "ed25519", "locked", "let me in");
    pid = start_agent(socket, client);
    assert_ok(open_session(socket, &session, "ssh://%s@127.0.0.1:%u?insecure=true", HOST(&sshd)));
    assert_works(session);
    /* Another file is meant than the agent has. */
    assert_int_equal(open_session(socket, &session, "ssh://%s@127.0.0.1:%u?insecure=true&key=%s",
                                  HOST(&sshd), sshd_path(&sshd, "locked")),
                     -1);
    assert_message("(none of its keys is meant); key ");
    kill(pid, SIGTERM);
    pid = start_agent(of_rsa, rsa);
    assert_ok(open_session(of_rsa, &session, "ssh://%s@127.0.0.1:%u?insecure=true", HOST(&sshd)));
    assert_works(session);
    kill(pid, SIGTERM);
    pid = start_agent(empty, nothing);
    assert_int_equal(open_session(empty, &session, "ssh://%s@127.0.0.1:%u?insecure=true",
                                  HOST(&sshd)),
                     -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("/agent-empty (has no keys)");
    kill(pid, SIGTERM);
    assert_int_equal(open_session("/no/agent", &session, "ssh://%s@127.0.0.1:%u?insecure=true",
                                  HOST(&sshd)),
                     -1);
    assert_message("agent /no/agent: no agent answers (No such file or directory)");
}

/* --- passwords --- */

static char *encoded_password(const struct sshd *of)
{
    CLEANUP_BUF struct buf text = BUF_INIT;

    for (const char *c = of->password; *c; c++)
        buf_addf(&text, "%%%02X", (unsigned char)*c);
    return buf_steal(&text);
}

static void logs_in_by_password(void **state)
{
    const char *const by_password[] = {"PasswordAuthentication yes", "PubkeyAuthentication no",
                                       "MaxAuthTries 2", NULL};
    const char *const by_questions[] = {"UsePAM yes", "KbdInteractiveAuthentication yes", NULL};
    const char *const by_both[] = {"PasswordAuthentication yes",
                                   "AuthenticationMethods publickey,password", NULL};
    const char *const *const ways[] = {by_password, by_questions, by_both};

    (void)state;
    for (size_t i = 0; i < 3 && geteuid() == 0; i++) {
        struct sshd own;
        struct ssh_session *session = NULL;
        CLEANUP_FREE char *password = NULL;
        CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;

        sshd_start_with_password(&own, ways[i]);
        password = encoded_password(&own);
        assert_int_equal(open_session(NULL, &session, "ssh://%s:wrong@127.0.0.1:%u?insecure=true",
                                      HOST(&own)),
                         -1);
        assert_int_equal(test_err.code, ERR_DENIED);
        assert_message(i == 1 ? "keyboard-interactive with the password (refused)"
                              : "tried: the password (refused)");
        assert_ok(open_session(NULL, &session, "ssh://%s:%s@127.0.0.1:%u?insecure=true%s%s",
                               own.user, password, own.port, i == 2 ? "&key=" : "",
                               i == 2 ? sshd_path(&own, "client") : ""));
        assert_ok(run_command(session, "id -un", NULL, &o, &test_err));
        assert_memory_equal(o.out.data, own.user, strlen(own.user));
        ssh_session_free(session);
        sshd_stop(&own);
    }
}

/* --- host keys --- */

static int open_with(const char *more, struct ssh_session **ret)
{
    CLEANUP_FREE char *key = xstrdup(sshd_path(&sshd, "client"));

    return open_session(NULL, ret, "ssh://%s@127.0.0.1:%u?key=%s&%s", HOST(&sshd), key, more);
}

/* A line of known_hosts for this server with one of its keys, or another. */
static char *known_line(const char *marker, const char *host, const char *key)
{
    CLEANUP_FREE char *text = read_text(key);

    return xasprintf("%s%s %s", marker, host, text);
}

static void checks_known_hosts(void **state)
{
    static const struct {
        const char *marker;
        const char *key;
        bool good;
        const char *message;
    } rows[] = {
        {"", "host_ed25519.pub", true, NULL},
        {"", "host_ecdsa.pub", true, NULL}, /* then the server is asked for this one */
        {"", "client.pub", false, "the host key is not the known one: the server has ssh-ed25519 "},
        {"@revoked ", "host_ed25519.pub", false, " has been revoked by "},
        {"@cert-authority ", "host_ed25519.pub", false, "the host key is not known: ssh-ed25519 "},
    };
    CLEANUP_FREE char *host = ssh_known_hosts_name("127.0.0.1", sshd.port);
    CLEANUP_FREE char *option = xasprintf("known_hosts=%s", sshd_path(&sshd, "known"));
    struct ssh_session *session = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        CLEANUP_FREE char *line = known_line(rows[i].marker, host, rows[i].key);

        write_text("known", line);
        if (rows[i].good) {
            assert_ok(open_with(option, &session));
            assert_works(session);
            continue;
        }
        assert_int_equal(open_with(option, &session), -1);
        assert_int_equal(test_err.code, ERR_DENIED);
        assert_message(rows[i].message);
        assert_message(fingerprint[0]);
    }
    /* Hashed by ssh-keygen; both fingerprints are shown when the key is another. */
    for (int i = 0; i < 2; i++) {
        CLEANUP_FREE char *line = known_line("", host, i ? "client.pub" : "host_ed25519.pub");
        const char *const argv[] = {"ssh-keygen", "-q", "-H", "-f", sshd_path(&sshd, "known"),
                                    NULL};
        CLEANUP_FREE char *shown = NULL;

        write_text("known", line);
        assert_int_equal(sshd_run(argv), 0);
        if (i == 0) {
            assert_ok(open_with(option, &session));
            assert_works(session);
            continue;
        }
        assert_int_equal(open_with(option, &session), -1);
        assert_message(fingerprint[0]);
        shown = xasprintf("%s:1 says ssh-ed25519 SHA256:", sshd_path(&sshd, "known"));
        assert_message(shown);
    }
}

static void trusts_on_first_use_when_asked(void **state)
{
    CLEANUP_FREE char *path = xstrdup(sshd_path(&sshd, "new/known"));
    CLEANUP_FREE char *strict = xasprintf("known_hosts=%s", path);
    CLEANUP_FREE char *accepting = xasprintf("%s&accept_new=true", strict);
    struct ssh_session *session = NULL;
    CLEANUP_FREE char *written = NULL;

    (void)state;
    assert_int_equal(open_with(strict, &session), -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message("the host key is not known: ssh-ed25519 ");
    assert_message("?host_key=SHA256:");
    assert_false(fs_exists(path));
    assert_ok(open_with(accepting, &session));
    assert_int_equal(ssh_session_notes(session)->len, 1);
    written = xasprintf("was taken unseen and written to %s", path);
    assert_non_null(strstr(ssh_session_notes(session)->items[0], written));
    assert_non_null(strstr(ssh_session_notes(session)->items[0], fingerprint[0]));
    ssh_session_free(session);
    assert_ok(open_with(accepting, &session));
    assert_int_equal(ssh_session_notes(session)->len, 0);
    ssh_session_free(session);
    assert_ok(open_with(strict, &session));
    assert_works(session);
}

static void checks_pinned_keys(void **state)
{
    CLEANUP_FREE char *preferred = xasprintf("host_key=%s", fingerprint[0]);
    CLEANUP_FREE char *another = xasprintf("host_key=%s", fingerprint[1]);
    struct ssh_session *session = NULL;

    (void)state;
    assert_ok(open_with(preferred, &session));
    assert_works(session);
    assert_ok(open_with(another, &session));
    assert_string_equal(ssh_session_fingerprint(session), fingerprint[1]);
    assert_works(session);
    assert_int_equal(open_with("host_key=SHA256:AAAAAAAAAAAAAAAAAAAAAA", &session), -1);
    assert_int_equal(test_err.code, ERR_DENIED);
    assert_message(fingerprint[0]);
    assert_message("host_key says SHA256:AAAAAAAAAAAAAAAAAAAAAA.");
    /* It is the login that fails, with either key. */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(open_session(NULL, &session, "ssh://%s@127.0.0.1:%u?host_key=%s",
                                      HOST(&sshd), fingerprint[i]),
                         -1);
        assert_int_equal(test_err.code, ERR_DENIED);
        assert_message("there is no key to log in with");
    }
}

static void refuses_revoked_keys(void **state)
{
    CLEANUP_FREE char *path = xstrdup(sshd_path(&sshd, "revoked"));
    CLEANUP_FREE char *public = read_text("host_ed25519.pub");
    CLEANUP_FREE char *other = read_text("client.pub");
    CLEANUP_FREE char *both = xasprintf("# of the old disk\n\n%s%s", other, public);
    CLEANUP_FREE char *config = xasprintf("RevokedHostKeys %s\n", path);
    CLEANUP_FREE char *any =
        xasprintf("insecure=true&config=%s", sshd_path(&sshd, "revoked_config"));
    CLEANUP_FREE char *pinned =
        xasprintf("host_key=%s&config=%s", fingerprint[0], sshd_path(&sshd, "revoked_config"));
    CLEANUP_FREE char *where = xasprintf("%s has been revoked by %s:4", fingerprint[0], path);
    struct ssh_session *session = NULL;

    (void)state;
    write_text("revoked_config", config);
    write_text("revoked", other);
    assert_ok(open_with(any, &session));
    assert_works(session);
    write_text("revoked", both);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_with(i ? any : pinned, &session), -1);
        assert_int_equal(test_err.code, ERR_DENIED);
        assert_message(where);
    }
    write_text("revoked", "nonsense\n");
    assert_int_equal(open_with(any, &session), -1);
    assert_int_equal(test_err.code, ERR_INVALID);
    assert_message("/revoked:1: expected a public key");
    assert_int_equal(sshd_run((const char *const[]){"ssh-keygen", "-q", "-k", "-f", path,
                                                    sshd_path(&sshd, "host_ed25519.pub"), NULL}),
                     0);
    assert_int_equal(open_with(any, &session), -1);
    assert_int_equal(test_err.code, ERR_UNSUPPORTED);
    assert_message("no host key is taken, as RevokedHostKeys cannot be looked at: ");
    assert_message("/revoked is a binary list (KRL), which is not supported");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(open_with(any, &session), -1);
    assert_message("no host key is taken, as RevokedHostKeys cannot be looked at: ");
}

/* --- ways --- */

static void goes_through_jump_hosts(void **state)
{
    CLEANUP_FREE char *config = NULL;
    CLEANUP_FREE char *path = xstrdup(sshd_path(&sshd, "config"));
    CLEANUP_FREE char *key = xstrdup(sshd_path(&sshd, "client"));
    struct ssh_session *session = NULL;
    CLEANUP_OUTCOME struct outcome o = OUTCOME_INIT;
    struct buf input = BUF_INIT;

    (void)state;
    config = xasprintf("Host first\n HostName 127.0.0.1\n"
                       "Host last\n HostName 127.0.0.1\n ProxyJump first,%s@127.0.0.1:%u\n"
                       "Host nowhere\n HostName 127.0.0.1\n Port 1\n ProxyJump first\n"
                       "Host *\n User %s\n Port %u\n IdentityFile %s\n"
                       " StrictHostKeyChecking accept-new\n UserKnownHostsFile %s/jumps\n",
                       HOST(&sshd), HOST(&sshd), key, sshd.dir);
    write_text("config", config);
    assert_ok(open_session(NULL, &session, "ssh://last?config=%s", path));
    for (int i = 0; i < 100000; i++)
        buf_addf(&input, "%d\n", i);
    assert_ok(run_command(session, "cat; echo $SSH_CONNECTION >&2", &input, &o, &test_err));
    assert_int_equal(o.out.len, input.len);
    assert_memory_equal(o.out.data, input.data, input.len);
    assert_memory_equal(o.errors.data, "127.0.0.1 ", 10);
    buf_release(&input);
    assert_works(session);
    assert_int_equal(open_session(NULL, &session, "ssh://nowhere?config=%s", path), -1);
    assert_int_equal(test_err.code, ERR_UNAVAILABLE);
    assert_message("does not connect further: Channel open failure (connect failed)");
}

static int count_logins(void)
{
    CLEANUP_FREE char *log = read_text("log");
    int count = 0;

    for (const char *at = log; (at = strstr(at, "Accepted publickey")); at++)
        count++;
    return count;
}

/* The jump host still waits for the first connection when the second is asked for. */
static void tries_again_by_another_login_at_the_jump_host(void **state)
{
    CLEANUP_FREE char *path = xstrdup(sshd_path(&sshd, "holes"));
    CLEANUP_FREE char *config = NULL;
    struct ssh_session *session = NULL;
    const int logins = count_logins();
    int fds[HOLE_FDS];

    (void)state;
    config = xasprintf("Host hole\n HostName 127.0.0.1\n Port %u\n ConnectTimeout 1\n"
                       " ConnectionAttempts 2\n ProxyJump %s@127.0.0.1:%u\n"
                       "Host *\n IdentityFile %s\n StrictHostKeyChecking accept-new\n"
                       " UserKnownHostsFile %s/jumps\n",
                       open_hole(fds), HOST(&sshd), sshd_path(&sshd, "client"), sshd.dir);
    write_text("holes", config);
    assert_int_equal(open_session(NULL, &session, "ssh://hole?config=%s", path), -1);
    assert_int_equal(test_err.code, ERR_UNAVAILABLE);
    assert_message("the server has not answered for 1 seconds (tried 2 times)");
    assert_int_equal(count_logins(), logins + 2);
    for (int i = 0; i < HOLE_FDS; i++)
        close(fds[i]);
}

/* A socket that listens; nobody answers who connects. */
static int silent_listener(unsigned *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void *cancel_soon(void *arg)
{
    usleep(200 * 1000);
    ctx_cancel(arg, CTX_CAUSE_USER);
    return NULL;
}

/* Opens a session that does not come about until it is cancelled. */
static void assert_cancelled(const char *agent, const char *url)
{
    struct ssh_session *session = NULL;
    struct ctx kept = test_ctx;
    struct ctx own;
    pthread_t thread;

    assert_int_equal(ctx_init_cancel(&own, &kept, NULL), 0);
    test_ctx = own;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &test_ctx), 0);
    assert_int_equal(open_session(agent, &session, "%s", url), -1);
    pthread_join(thread, NULL);
    ctx_release(&test_ctx);
    test_ctx = kept;
    assert_int_equal(test_err.code, ERR_CANCELLED);
}

static void can_be_cancelled(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    CLEANUP_FREE char *url = NULL;
    CLEANUP_FREE char *by_agent = NULL;
    unsigned port;
    int fd = silent_listener(&port);

    (void)state;
    url = xasprintf("ssh://x@127.0.0.1:%u?insecure=true", port);
    assert_cancelled(NULL, url); /* waits for the banner */
    close(fd);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/silent", sshd.dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    by_agent = xasprintf("ssh://%s@127.0.0.1:%u?insecure=true", HOST(&sshd));
    assert_cancelled(address.sun_path, by_agent); /* waits for the agent */
    close(fd);
}

static void says_who_does_not_answer(void **state)
{
    CLEANUP_FREE char *path = xstrdup(sshd_path(&sshd, "impatient"));
    struct ssh_session *session = NULL;
    unsigned port;
    int fd = silent_listener(&port);

    (void)state;
    write_text("impatient", "ConnectTimeout 1\nConnectionAttempts 1\n");
    assert_int_equal(open_session(NULL, &session, "ssh://x@127.0.0.1:%u?config=%s", port, path),
                     -1);
    assert_int_equal(test_err.code, ERR_UNAVAILABLE);
    assert_message("the server has not answered for 1 seconds");
    close(fd);
    write_text("impatient", "ConnectionAttempts 2\n");
    assert_int_equal(open_session(NULL, &session, "ssh://x@127.0.0.1:%u?config=%s", port, path),
                     -1);
    assert_int_equal(test_err.code, ERR_UNAVAILABLE);
    assert_message("Connection refused (tried 2 times)");
}

static int set_up(void **state)
{
    const char *const lines[] = {"Banner " SSHD_SCRIPT, NULL};
    static const char *const keys[] = {"host_ed25519.pub", "host_ecdsa.pub"};

    (void)state;
    assert_ok(ctx_init_root(&test_ctx, NULL, &test_err));
    sshd_start(&sshd, lines);
    for (size_t i = 0; i < 2; i++) {
        CLEANUP_FREE char *text = read_text(keys[i]);
        CLEANUP_BUF struct buf blob = BUF_INIT;

        ssh_key_parse_public(text, &blob);
        ssh_fingerprint(blob.data, blob.len, fingerprint[i]);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sshd_stop(&sshd);
    ctx_release(&test_ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_in_by_key_files),
        cmocka_unit_test(logs_in_by_key_of_the_url),
        cmocka_unit_test(says_what_is_wrong_with_a_key),
        cmocka_unit_test(refuses_rsa_files_with_advice),
        cmocka_unit_test(logs_in_by_agent),
        cmocka_unit_test(logs_in_by_password),
        cmocka_unit_test(checks_known_hosts),
        cmocka_unit_test(trusts_on_first_use_when_asked),
        cmocka_unit_test(checks_pinned_keys),
        cmocka_unit_test(refuses_revoked_keys),
        cmocka_unit_test(goes_through_jump_hosts),
        cmocka_unit_test(tries_again_by_another_login_at_the_jump_host),
        cmocka_unit_test(can_be_cancelled),
        cmocka_unit_test(says_who_does_not_answer),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
