#include "apis/ssh/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "apis/ssh/internal.h"
#include "base/clock.h"
#include "base/dial.h"

/* libssh2 gives up itself after 60 seconds, and says less. */
enum { PAUSE_MS = 250, PAUSE_MAX_MS = 5000, TCP_PROBES = 4, ANSWER_MS = 55000 };

/* Measured with libssh2 1.10 on a CPU with AES and SHA instructions (docs/adr/0039): the first is
 * the fastest. Ciphers and hashes that are not safe any more are not offered. */
#define CIPHERS "aes128-ctr,aes256-ctr,aes192-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
#define EXCHANGES                                                                                  \
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"        \
    "ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"              \
    "diffie-hellman-group14-sha256,diffie-hellman-group-exchange-sha256"
#define MACS "hmac-sha2-256,hmac-sha2-512,hmac-sha1"

/* The types of host keys, for a pinned one of which only the fingerprint is known. */
static const char *const key_types[] = {
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa",
};

/* --- callbacks of libssh2 --- */

static ssize_t receive(libssh2_socket_t fd, void *data, size_t len, int flags, void **abstract)
{
    struct ssh_session *s = *abstract;

    (void)fd, (void)flags;
    return ssh_io_recv(&s->io, data, len);
}

static ssize_t transmit(libssh2_socket_t fd, const void *data, size_t len, int flags,
                        void **abstract)
{
    struct ssh_session *s = *abstract;

    (void)fd, (void)flags;
    return ssh_io_send(&s->io, data, len);
}

static void disconnected(LIBSSH2_SESSION *ssh, int reason, const char *message, int message_len,
                         const char *language, int language_len, void **abstract)
{
    struct ssh_session *s = *abstract;

    (void)ssh, (void)reason, (void)language, (void)language_len;
    if (message_len > 0)
        snprintf(s->last_words, sizeof(s->last_words), "%.*s", message_len, message);
}

/* --- lifecycle --- */

/* From here on nothing comes, which ends what would wait for the other side. */
static void hear_no_more(struct ssh_session *s)
{
    s->io.in_at = s->io.in_len;
    s->io.eof = s->io.end = true;
}

/* What is left of a connection. */
static void drop_connection(struct ssh_session *s)
{
    if (s->ssh) {
        hear_no_more(s);
        s->lib->session_free(s->ssh);
        s->ssh = NULL;
    }
    ssh_io_release(&s->io);
}

void ssh_session_free(struct ssh_session *s)
{
    if (!s)
        return;
    ssh_pump_stop(s);
    drop_connection(s);
    ssh_session_free(s->jump);
    strvec_release(&s->notes);
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_mutex_destroy(&s->mu);
    free(s->peer);
    free(s);
}

static int session_new(const struct ssh_target *t, struct ssh_session **ret, struct err *err)
{
    CLEANUP_SSH_SESSION struct ssh_session *s = xcalloc(1, sizeof(*s));

    pthread_mutex_init(&s->mu, NULL);
    s->io.fd = -1;
    s->peer =
        xasprintf(strchr(t->host, ':') ? "%s@[%s]:%u" : "%s@%s:%u", t->user, t->host, t->port);
    s->alive_interval_ms = t->alive_interval_ms;
    s->answer_ms = ANSWER_MS;
    strvec_extend(&s->notes, t->notes.items);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0)
        return err_errno(err, "cannot create an eventfd");
    s->lib = libssh2_load(err);
    if (!s->lib)
        return -1;
    *ret = steal_ptr(&s);
    return 0;
}

int ssh_session_check(struct ssh_session *s, struct err *err)
{
    int result = 0;

    pthread_mutex_lock(&s->mu);
    if (s->dead) {
        if (err)
            *err = s->why;
        result = -1;
    }
    pthread_mutex_unlock(&s->mu);
    return result;
}

const char *ssh_session_peer(const struct ssh_session *s)
{
    return s->peer;
}

const char *ssh_session_fingerprint(const struct ssh_session *s)
{
    return s->fingerprint;
}

const struct strvec *ssh_session_notes(const struct ssh_session *s)
{
    return &s->notes;
}

const char *ssh_session_failure(struct ssh_session *s)
{
    char *message = NULL;

    s->lib->session_last_error(s->ssh, &message, NULL, 0);
    return message && *message ? message : "libssh2 does not say why";
}

/* --- connecting --- */

int ssh_session_wait(const struct ctx *ctx, struct ssh_session *s, struct err *err)
{
    struct pollfd pollfd = {.fd = s->io.fd};

    ssh_io_flush(&s->io);
    if (s->io.eof)
        return err_set(err, ERR_UNAVAILABLE, "%s: the connection was lost: %s", s->peer,
                       s->io.errnum ? strerror(s->io.errnum) : "the server ended it");
    pollfd.events = (short)(POLLIN | (ssh_io_waiting(&s->io) ? POLLOUT : 0));
    if (ctx_poll(ctx, &pollfd, 1, -1, err) < 0)
        return -1;
    ssh_io_fill(&s->io);
    return 0;
}

/* The kernel finds out about a host that is gone. Sockets of a forward have no such options. */
static void set_options(int fd, int64_t alive_interval_ms)
{
    const int on = 1;
    const int probes = TCP_PROBES;
    const int seconds = alive_interval_ms < 1000 ? 1 : (int)(alive_interval_ms / 1000);
    const unsigned timeout_ms = (unsigned)seconds * 1000 * (TCP_PROBES + 1);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof(seconds));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

/* A jump host that owes an answer opens nothing else: the next attempt has another session of it.
 */
static int refuse_forward(struct ssh_session *s, const struct err *why, struct err *err)
{
    const bool lost = why->code == ERR_LOST;

    if (lost || why->code == ERR_TIMEOUT) {
        ssh_session_free(s->jump);
        s->jump = NULL;
    }
    return err_set(err, lost ? ERR_UNAVAILABLE : why->code, "%s: %s", s->peer, why->message);
}

static int dial(const struct ctx *ctx, struct ssh_session *s, const struct ssh_target *t,
                struct err *err)
{
    struct err why = ERR_INIT;
    int fd = -1;

    if (t->jump) {
        if (ssh_session_forward(ctx, s->jump, t->host, t->port, &fd, &why) < 0)
            return refuse_forward(s, &why, err);
    } else if (dial_tcp(ctx, t->host, t->port, &fd, &why) < 0) {
        if (why.code == ERR_SYSTEM || why.code == ERR_NOT_FOUND)
            why.code = ERR_UNAVAILABLE;
        err_set(err, why.code, "%s: %s", s->peer, why.message);
        return -1;
    }
    set_options(fd, t->alive_interval_ms);
    ssh_io_init(&s->io, fd);
    s->io.end = true;
    return 0;
}

static bool knows(const char **algorithms, int count, const char *name, size_t len)
{
    for (int i = 0; i < count; i++)
        if (strlen(algorithms[i]) == len && strncmp(algorithms[i], name, len) == 0)
            return true;
    return false;
}

int ssh_prefer(struct ssh_session *s, int kind, const char *names)
{
    CLEANUP_BUF struct buf known = BUF_INIT;
    const char **algorithms = NULL;
    const int count = s->lib->session_supported_algs(s->ssh, kind, &algorithms);

    while (*(names += strspn(names, ","))) {
        const size_t len = strcspn(names, ",");

        if (knows(algorithms, count, names, len))
            buf_addf(&known, "%s%.*s", known.len ? "," : "", (int)len, names);
        names += len;
    }
    if (count > 0)
        s->lib->free(s->ssh, algorithms);
    if (!known.len)
        return -1;
    return s->lib->session_method_pref(s->ssh, kind, known.data) == 0 ? 0 : -1;
}

static int refuse_handshake(struct ssh_session *s, int result, struct err *err)
{
    const char *why = ssh_session_failure(s);

    if (s->io.eof)
        return err_set(err, ERR_UNAVAILABLE,
                       "%s: the server ended the connection before the login (%s)", s->peer,
                       *s->last_words ? s->last_words
                       : s->io.errnum ? strerror(s->io.errnum)
                                      : "is it an SSH server, and not overloaded?");
    if (result == LIBSSH2_ERROR_KEX_FAILURE || result == LIBSSH2_ERROR_METHOD_NONE ||
        result == LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: libssh2 %s and the server have no algorithms in common (%s); a server "
                       "whose only host key is RSA needs an ed25519 or ecdsa one beside it "
                       "(ssh-keygen -A)",
                       s->peer, s->lib->version(0), why);
    return err_set(err, ERR_PROTOCOL, "%s: %s", s->peer, why);
}

static int handshake(const struct ctx *ctx, struct ssh_session *s, const struct ssh_target *t,
                     const char *key_type, struct err *err)
{
    int result;

    s->last_words[0] = '\0';
    s->ssh = s->lib->session_init_ex(NULL, NULL, NULL, s);
    if (!s->ssh)
        return err_set(err, ERR_SYSTEM, "%s: libssh2 cannot make a session", s->peer);
    s->lib->session_set_blocking(s->ssh, 0);
    s->lib->session_callback_set(s->ssh, LIBSSH2_CALLBACK_RECV, (void *)receive);
    s->lib->session_callback_set(s->ssh, LIBSSH2_CALLBACK_SEND, (void *)transmit);
    s->lib->session_callback_set(s->ssh, LIBSSH2_CALLBACK_DISCONNECT, (void *)disconnected);
    if (ssh_prefer(s, LIBSSH2_METHOD_KEX, EXCHANGES) < 0 ||
        ssh_prefer(s, LIBSSH2_METHOD_CRYPT_CS, CIPHERS) < 0 ||
        ssh_prefer(s, LIBSSH2_METHOD_CRYPT_SC, CIPHERS) < 0 ||
        ssh_prefer(s, LIBSSH2_METHOD_MAC_CS, MACS) < 0 ||
        ssh_prefer(s, LIBSSH2_METHOD_MAC_SC, MACS) < 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: libssh2 %s knows none of the ciphers that are safe", s->peer,
                       s->lib->version(0));
    if (ssh_host_key_prefer(s, t, key_type, err) < 0)
        return -1;
    result = ssh_drive(ctx, s, s->lib->session_handshake(s->ssh, s->io.fd), err);
    if (result == LIBSSH2_ERROR_EAGAIN) {
        /* The keys of an exchange that is under way go with its end, not with the session. */
        hear_no_more(s);
        (void)s->lib->session_handshake(s->ssh, s->io.fd);
        return -1;
    }
    return result ? refuse_handshake(s, result, err) : 0;
}

/* One connection, up to the login. *ret_mismatch as of ssh_host_key_check(). */
static int connect_once(const struct ctx *ctx, struct ssh_session *s, const struct ssh_target *t,
                        const char *key_type, bool *ret_mismatch, struct err *err)
{
    struct err why = ERR_INIT;
    struct ctx own;
    int result = -1;

    ctx_init(&own, ctx);
    ctx_set_timeout(&own, t->connect_timeout_ms, "connect");
    if (dial(&own, s, t, &why) == 0 && handshake(&own, s, t, key_type, &why) == 0 &&
        ssh_host_key_check(s, t, ret_mismatch, &why) == 0 && ssh_auth(&own, s, t, &why) == 0)
        result = 0;
    else
        drop_connection(s);
    if (result < 0 && ctx_check(ctx, err) < 0) {
        ctx_release(&own);
        return -1;
    }
    if (result < 0 && why.code == ERR_TIMEOUT)
        err_set(err, ERR_UNAVAILABLE, "%s: the server has not answered for %lld seconds", s->peer,
                (long long)t->connect_timeout_ms / 1000);
    else if (result < 0 && err)
        *err = why;
    ctx_release(&own);
    return result;
}

/* With a pinned key, asks for the server's keys of each type when it has shown another one first.
 * What fails once the right key was shown, or without a key, is the reason; if all are wrong, it is
 * what was said of the first. */
static int connect_to_key(const struct ctx *ctx, struct ssh_session *s, const struct ssh_target *t,
                          struct err *err)
{
    struct err first = ERR_INIT;
    bool mismatch = false;

    if (connect_once(ctx, s, t, NULL, &mismatch, &first) == 0)
        return 0;
    for (size_t i = 0; mismatch && i < sizeof(key_types) / sizeof(*key_types); i++) {
        struct err why = ERR_INIT;
        bool again = false;

        if (connect_once(ctx, s, t, key_types[i], &again, &why) == 0)
            return 0;
        /* The server has no key of this type. */
        if (again || (why.code == ERR_UNSUPPORTED && !ctx_done(ctx)))
            continue;
        first = why;
        break;
    }
    if (err)
        *err = first;
    return -1;
}

static int open_jump(const struct ctx *ctx, struct ssh_session *s, const struct ssh_target *t,
                     struct err *err)
{
    if (ssh_session_open(ctx, t, &s->jump, err) < 0)
        return err_wrap(err, "jump host");
    for (size_t i = 0; i < s->jump->notes.len; i++)
        if (!strvec_has(&s->notes, s->jump->notes.items[i]))
            strvec_push(&s->notes, s->jump->notes.items[i]);
    return 0;
}

static int connect_patiently(const struct ctx *ctx, struct ssh_session *s,
                             const struct ssh_target *t, struct err *err)
{
    int64_t pause_ms = PAUSE_MS;

    for (int attempt = 1;; attempt++) {
        struct err why = ERR_INIT;

        if (t->jump && !s->jump && open_jump(ctx, s, t->jump, err) < 0)
            return -1;
        if (connect_to_key(ctx, s, t, &why) == 0)
            return 0;
        if (why.code != ERR_UNAVAILABLE || attempt >= t->attempts) {
            if (attempt == 1) {
                if (err)
                    *err = why;
                return -1;
            }
            return err_set(err, why.code, "%s (tried %d times)", why.message, attempt);
        }
        if (ctx_sleep(ctx, pause_ms, err) < 0)
            return -1;
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
    }
}

int ssh_session_open(const struct ctx *ctx, const struct ssh_target *target,
                     struct ssh_session **ret, struct err *err)
{
    CLEANUP_SSH_SESSION struct ssh_session *s = NULL;

    if (session_new(target, &s, err) < 0)
        return -1;
    if (connect_patiently(ctx, s, target, err) < 0 || ssh_pump_start(s, err) < 0)
        return -1;
    *ret = steal_ptr(&s);
    return 0;
}

/* --- forwards --- */

int ssh_session_forward(const struct ctx *ctx, struct ssh_session *s, const char *host,
                        unsigned port, int *ret_fd, struct err *err)
{
    struct ssh_channel *channel = NULL;
    CLEANUP_FD int own = -1;
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return err_errno(err, "cannot make sockets");
    own = ends[0];
    if (ssh_channel_new(s, SSH_CHANNEL_FORWARD, &channel, err) < 0) {
        close(ends[1]);
        return -1;
    }
    channel->fd = ends[1];
    channel->command = xstrdup(host);
    channel->port = port;
    if (ssh_channel_open(ctx, channel, err) < 0)
        return -1;
    *ret_fd = steal_fd(&own);
    return 0;
}
