/* Logging in. What is tried, in this order: the key of the URL; keys of the agent and from files;
 * the password, by itself or as the answer to questions. */
#include <string.h>

#include "apis/ssh/agent.h"
#include "apis/ssh/internal.h"
#include "apis/ssh/key.h"
#include "base/fs.h"

enum { KEY_FILE_MAX = 1 << 20 };

struct login {
    const struct ctx *ctx;
    struct ssh_session *session;
    const struct ssh_target *target;
    struct buf tried;   /* for the message of a login that failed */
    struct strvec seen; /* fingerprints of the keys tried */
    char *methods;      /* what the server lets in, as it says */
    bool rsa_refused;   /* since libssh2 cannot sign with SHA-2 */
};

enum attempt { ATTEMPT_FAILED = -1, ATTEMPT_REFUSED, ATTEMPT_DONE };

static void note(struct login *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct login *l, const char *format, ...)
{
    va_list args;

    if (l->tried.len)
        buf_addstr(&l->tried, "; ");
    va_start(args, format);
    buf_vaddf(&l->tried, format, args);
    va_end(args);
}

/* Of a call of libssh2 that is through. */
static enum attempt outcome(struct login *l, int result, const char *what, struct err *err)
{
    struct ssh_session *s = l->session;

    if (result == 0)
        return ATTEMPT_DONE;
    if (result == LIBSSH2_ERROR_EAGAIN)
        return ATTEMPT_FAILED;
    note(l, "%s", what);
    if (s->io.eof || result == LIBSSH2_ERROR_SOCKET_DISCONNECT) {
        err_set(err, *s->last_words ? ERR_DENIED : ERR_UNAVAILABLE,
                "%s: the server ended the connection during the login (%s); tried: %s", s->peer,
                *s->last_words ? s->last_words : "too many attempts?", l->tried.data);
        return ATTEMPT_FAILED;
    }
    return ATTEMPT_REFUSED;
}

/* --- keys --- */

/* libssh2 before 1.11 signs with RSA keys by SHA-1 only, which servers refuse since 2021. */
static bool lacks_rsa_sha2(const struct ssh_session *s)
{
    return !s->lib->version(0x010b00);
}

static bool first_time(struct login *l, const struct buf *blob)
{
    char fingerprint[SSH_FINGERPRINT_SIZE];

    ssh_fingerprint(blob->data, blob->len, fingerprint);
    if (strvec_has(&l->seen, fingerprint))
        return false;
    strvec_push(&l->seen, fingerprint);
    return true;
}

static enum attempt try_key_text(struct login *l, const char *name, const struct buf *text,
                                 bool wanted, struct err *err)
{
    CLEANUP_SSH_KEY_INFO struct ssh_key_info info = SSH_KEY_INFO_INIT;
    struct ssh_session *s = l->session;
    const struct ssh_target *t = l->target;
    CLEANUP_FREE char *what = NULL;
    struct err why = ERR_INIT;
    enum attempt attempt;
    int result;

    if (ssh_key_inspect(text->data, &info, &why) < 0) {
        if (wanted) {
            err_set(err, ERR_INVALID, "%s: %s %s", s->peer, name, why.message);
            return ATTEMPT_FAILED;
        }
        note(l, "%s (%s)", name, why.message);
        return ATTEMPT_REFUSED;
    }
    if (info.public_blob.len && !first_time(l, &info.public_blob))
        return ATTEMPT_REFUSED;
    if (info.kind == SSH_KEY_HARDWARE || info.kind == SSH_KEY_DSA) {
        note(l, "%s (%s)", name,
             info.kind == SSH_KEY_DSA ? "DSA is not supported" : "needs an agent");
        return ATTEMPT_REFUSED;
    }
    if (info.encrypted && !t->passphrase) {
        note(l, "%s (is encrypted: add it to the agent, or give ?passphrase=)", name);
        return ATTEMPT_REFUSED;
    }
    result = ssh_drive(l->ctx, s,
                       s->lib->userauth_publickey_frommemory(s->ssh, t->user, strlen(t->user), NULL,
                                                             0, text->data, text->len,
                                                             info.encrypted ? t->passphrase : NULL),
                       err);
    if (result == LIBSSH2_ERROR_AUTHENTICATION_FAILED) {
        l->rsa_refused = l->rsa_refused || (info.kind == SSH_KEY_RSA && lacks_rsa_sha2(s));
        what = xasprintf("%s (refused)", name);
    } else if (info.encrypted) {
        what = xasprintf("%s (cannot be opened: is the passphrase right?)", name);
    } else {
        what = xasprintf("%s (%s)", name, result ? ssh_session_failure(s) : "");
    }
    attempt = outcome(l, result, what, err);
    return attempt;
}

static enum attempt try_key_file(struct login *l, const char *path, bool wanted, struct err *err)
{
    CLEANUP(ssh_secret_release) struct buf text = BUF_INIT;
    CLEANUP_FREE char *name = xasprintf("key %s", path);
    struct err why = ERR_INIT;

    if (!wanted && !fs_exists(path))
        return ATTEMPT_REFUSED;
    if (fs_read_file(path, KEY_FILE_MAX, &text, &why) < 0) {
        if (wanted) {
            err_set(err, why.code, "%s: %s", l->session->peer, why.message);
            return ATTEMPT_FAILED;
        }
        note(l, "%s", why.message);
        return ATTEMPT_REFUSED;
    }
    return try_key_text(l, name, &text, wanted, err);
}

/* --- the agent --- */

struct signer {
    struct login *login;
    struct ssh_agent *agent;
    const struct buf *blob; /* the agent's name of the key */
    struct err why;
};

/* The algorithm that the request to be signed names (RFC 4252, section 7). */
static uint32_t sign_flags(const unsigned char *data, size_t len)
{
    const char *at = (const char *)data;
    const char *const end = at + len;
    const char *part = NULL;
    size_t part_len = 0;

    if (!ssh_wire_string(&at, end, &part, &part_len) || end - at < 1)
        return 0;
    at++;
    for (int i = 0; i < 3; i++)
        if (!ssh_wire_string(&at, end, &part, &part_len))
            return 0;
    if (end - at < 1)
        return 0;
    at++;
    if (!ssh_wire_string(&at, end, &part, &part_len) || part_len != 12)
        return 0;
    if (memcmp(part, "rsa-sha2-512", 12) == 0)
        return SSH_AGENT_RSA_SHA512;
    return memcmp(part, "rsa-sha2-256", 12) == 0 ? SSH_AGENT_RSA_SHA256 : 0;
}

static int sign(LIBSSH2_SESSION *session, unsigned char **ret, size_t *ret_len,
                const unsigned char *data, size_t len, void **abstract)
{
    struct signer *signer = *abstract;
    CLEANUP_BUF struct buf signature = BUF_INIT;

    (void)session;
    if (ssh_agent_sign(signer->login->ctx, signer->agent, signer->blob, data, len,
                       sign_flags(data, len), &signature, &signer->why) < 0)
        return -1;
    *ret_len = signature.len;
    *ret = (unsigned char *)buf_steal(&signature); /* libssh2 frees it, with free() */
    return 0;
}

/* The key as libssh2 shows it to the server. Before 1.11 libssh2 takes the algorithm from it, and
 * so it must name there by which hash an RSA key will sign; OpenSSH takes that for an RSA key. */
static void add_shown_key(const struct login *l, const struct buf *blob, struct buf *out)
{
    static const char plain[] = "\0\0\0\7ssh-rsa";
    static const char named[] = "\0\0\0\14rsa-sha2-512";

    if (lacks_rsa_sha2(l->session) && blob->len > 11 && memcmp(blob->data, plain, 11) == 0) {
        buf_add(out, named, 16);
        buf_add(out, blob->data + 11, blob->len - 11);
    } else {
        buf_add(out, blob->data, blob->len);
    }
}

static enum attempt try_agent_key(struct login *l, struct ssh_agent *agent,
                                  const struct ssh_agent_key *key, struct err *err)
{
    struct ssh_session *s = l->session;
    struct signer signer = {.login = l, .agent = agent, .blob = &key->blob, .why = ERR_INIT};
    void *abstract = &signer;
    CLEANUP_BUF struct buf shown = BUF_INIT;
    CLEANUP_FREE char *what = NULL;
    int result;

    add_shown_key(l, &key->blob, &shown);
    result = ssh_drive(l->ctx, s,
                       s->lib->userauth_publickey(s->ssh, l->target->user,
                                                  (const unsigned char *)shown.data, shown.len,
                                                  sign, &abstract),
                       err);
    if (signer.why.code != ERR_NONE && ctx_check(l->ctx, err) < 0)
        return ATTEMPT_FAILED;
    what = xasprintf("key \"%s\" of the agent (%s)", key->comment,
                     signer.why.code != ERR_NONE ? signer.why.message : "refused");
    return outcome(l, result, what, err);
}

/* The public keys of the files that are named, from beside them or out of them. */
static void load_named_keys(const struct login *l, struct strvec *fingerprints)
{
    for (size_t i = 0; i < l->target->key_files.len; i++) {
        CLEANUP_FREE char *public_path = xasprintf("%s.pub", l->target->key_files.items[i]);
        const char *const paths[] = {l->target->key_files.items[i], public_path};

        for (size_t n = 0; n < 2; n++) {
            CLEANUP(ssh_secret_release) struct buf text = BUF_INIT;
            CLEANUP_SSH_KEY_INFO struct ssh_key_info info = SSH_KEY_INFO_INIT;
            char fingerprint[SSH_FINGERPRINT_SIZE];

            if (!fs_exists(paths[n]) || fs_read_file(paths[n], KEY_FILE_MAX, &text, NULL) < 0)
                continue;
            if (ssh_key_inspect(text.data, &info, NULL) < 0)
                ssh_key_parse_public(text.data, &info.public_blob);
            if (!info.public_blob.len)
                continue;
            ssh_fingerprint(info.public_blob.data, info.public_blob.len, fingerprint);
            strvec_push(fingerprints, fingerprint);
        }
    }
}

static enum attempt try_agent(struct login *l, struct err *err)
{
    CLEANUP_SSH_AGENT struct ssh_agent agent = SSH_AGENT_INIT;
    CLEANUP_SSH_AGENT_KEYS struct ssh_agent_keys keys = {0};
    CLEANUP_STRVEC struct strvec named = {0};
    struct err why = ERR_INIT;
    size_t tried = 0;

    if (!l->target->agent)
        return ATTEMPT_REFUSED;
    if (ssh_agent_open(l->ctx, l->target->agent, &agent, &why) < 0 ||
        ssh_agent_list(l->ctx, &agent, &keys, &why) < 0) {
        if (ctx_check(l->ctx, err) < 0)
            return ATTEMPT_FAILED;
        note(l, "agent %s", why.message);
        return ATTEMPT_REFUSED;
    }
    if (l->target->identities_only)
        load_named_keys(l, &named);
    vec_foreach (const struct ssh_agent_key *, key, &keys) {
        const enum ssh_key_kind kind = ssh_key_kind_of(key->blob.data, key->blob.len);
        char fingerprint[SSH_FINGERPRINT_SIZE];
        enum attempt attempt;

        ssh_fingerprint(key->blob.data, key->blob.len, fingerprint);
        if (kind == SSH_KEY_UNKNOWN || kind == SSH_KEY_DSA || kind == SSH_KEY_HARDWARE ||
            (l->target->identities_only && !strvec_has(&named, fingerprint)) ||
            !first_time(l, &key->blob))
            continue;
        tried++;
        attempt = try_agent_key(l, &agent, key, err);
        if (attempt != ATTEMPT_REFUSED)
            return attempt;
    }
    if (!tried)
        note(l, "agent %s (%s)", l->target->agent,
             keys.len ? "none of its keys is meant" : "has no keys");
    return ATTEMPT_REFUSED;
}

/* --- passwords --- */

/* Answers with the password whatever is asked without an echo. */
static void answer(const char *name, int name_len, const char *instruction, int instruction_len,
                   int count, const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts,
                   LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract)
{
    const struct ssh_session *s = *abstract;

    (void)name, (void)name_len, (void)instruction, (void)instruction_len;
    for (int i = 0; i < count; i++) {
        const char *text = prompts[i].echo || !s->password ? "" : s->password;

        responses[i].text = xstrdup(text);
        responses[i].length = (unsigned)strlen(text);
    }
}

static enum attempt try_password(struct login *l, struct err *err)
{
    struct ssh_session *s = l->session;
    const struct ssh_target *t = l->target;
    enum attempt attempt;
    int result;

    if (!t->password)
        return ATTEMPT_REFUSED;
    if (!l->methods || strstr(l->methods, "password") || !strstr(l->methods, "interactive")) {
        result = ssh_drive(l->ctx, s,
                           s->lib->userauth_password_ex(s->ssh, t->user, (unsigned)strlen(t->user),
                                                        t->password, (unsigned)strlen(t->password),
                                                        NULL),
                           err);
        attempt = outcome(l, result,
                          result == LIBSSH2_ERROR_PASSWORD_EXPIRED
                              ? "the password (has expired: log in by hand and change it)"
                              : "the password (refused)",
                          err);
        if (attempt != ATTEMPT_REFUSED)
            return attempt;
    }
    if (l->methods && !strstr(l->methods, "keyboard-interactive"))
        return ATTEMPT_REFUSED;
    s->password = t->password;
    result = ssh_drive(l->ctx, s,
                       s->lib->userauth_keyboard_interactive_ex(s->ssh, t->user,
                                                                (unsigned)strlen(t->user), answer),
                       err);
    s->password = NULL;
    return outcome(l, result, "keyboard-interactive with the password (refused)", err);
}

/* --- all of it --- */

/* What the server lets in; ATTEMPT_DONE: it lets in without. */
static enum attempt ask_methods(struct login *l, struct err *err)
{
    struct ssh_session *s = l->session;
    const char *list;
    int result;

    for (;;) {
        list = s->lib->userauth_list(s->ssh, l->target->user, (unsigned)strlen(l->target->user));
        if (list) {
            l->methods = xstrdup(list);
            return ATTEMPT_REFUSED;
        }
        if (s->lib->userauth_authenticated(s->ssh))
            return ATTEMPT_DONE;
        result = s->lib->session_last_error(s->ssh, NULL, NULL, 0);
        if (result != LIBSSH2_ERROR_EAGAIN)
            break;
        if (ssh_session_wait(l->ctx, s, err) < 0)
            return ATTEMPT_FAILED;
    }
    err_set(err, ERR_UNAVAILABLE, "%s: the server ended the connection before the login: %s",
            s->peer, *s->last_words ? s->last_words : ssh_session_failure(s));
    return ATTEMPT_FAILED;
}

static enum attempt try_all(struct login *l, struct err *err)
{
    const struct ssh_target *t = l->target;
    enum attempt attempt = ask_methods(l, err);

    if (attempt == ATTEMPT_REFUSED && t->private_key.len)
        attempt = try_key_text(l, "the key of the URL", &t->private_key, true, err);
    if (attempt == ATTEMPT_REFUSED)
        attempt = try_agent(l, err);
    for (size_t i = 0; i < t->key_files.len && attempt == ATTEMPT_REFUSED; i++)
        attempt = try_key_file(l, t->key_files.items[i], i < t->explicit_keys, err);
    return attempt == ATTEMPT_REFUSED ? try_password(l, err) : attempt;
}

static int refuse(const struct login *l, struct err *err)
{
    const struct ssh_session *s = l->session;

    if (!l->tried.len)
        return err_set(err, ERR_DENIED,
                       "%s: there is no key to log in with: no agent has any, and none of the key "
                       "files exists; give ?key=FILE, or a password. The server takes: %s",
                       s->peer, l->methods ? l->methods : "?");
    return err_set(
        err, ERR_DENIED, "%s: the login was refused; the server takes %s; tried: %s%s%s%s", s->peer,
        l->methods ? l->methods : "?", l->tried.data, l->rsa_refused ? ". libssh2 " : "",
        l->rsa_refused ? s->lib->version(0) : "",
        l->rsa_refused
            ? " signs with RSA keys from files in a way that today's servers refuse: use "
              "an ed25519 or ecdsa key, or add this one to an agent (ssh-add)"
            : "");
}

int ssh_auth(const struct ctx *ctx, struct ssh_session *session, const struct ssh_target *target,
             struct err *err)
{
    struct login login = {.ctx = ctx, .session = session, .target = target, .tried = BUF_INIT};
    enum attempt attempt = try_all(&login, err);
    int result = attempt == ATTEMPT_DONE ? 0 : -1;

    if (attempt == ATTEMPT_REFUSED)
        result = refuse(&login, err);
    buf_release(&login.tried);
    strvec_release(&login.seen);
    free(login.methods);
    return result;
}
