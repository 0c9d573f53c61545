#include "apis/ssh/url.h"

#include <ctype.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "apis/ssh/config.h"
#include "apis/ssh/key.h"
#include "base/base64.h"
#include "base/fs.h"
#include "base/remote_url.h"

enum {
    JUMPS_MAX = 8,
    ATTEMPTS_DEFAULT = 4,
    CONNECT_TIMEOUT_MS = 30000,
    ALIVE_INTERVAL_MS = 30000,
};

static const char *const default_keys[] = {"id_ed25519", "id_ecdsa", "id_rsa"};

/* --- lifecycle --- */

void ssh_environment_init(struct ssh_environment *e)
{
    const char *home = getenv("HOME");
    const char *agent = getenv("SSH_AUTH_SOCK");
    struct passwd entry, *found = NULL;
    char storage[4096];

    if (getpwuid_r(geteuid(), &entry, storage, sizeof(storage), &found) != 0)
        found = NULL;
    *e = (struct ssh_environment){
        .home = xstrdup(home && *home ? home
                        : found       ? found->pw_dir
                                      : "/"),
        .local_user = xstrdup(found ? found->pw_name : "root"),
        .agent = agent && *agent ? xstrdup(agent) : NULL,
        .system_config = "/etc/ssh/ssh_config",
    };
}

void ssh_environment_release(struct ssh_environment *e)
{
    free(e->home);
    free(e->local_user);
    free(e->agent);
}

void ssh_target_free(struct ssh_target *t)
{
    if (!t)
        return;
    free(t->alias);
    free(t->host);
    free(t->user);
    ssh_secret_free(t->password);
    ssh_secret_release(&t->private_key);
    ssh_secret_free(t->passphrase);
    strvec_release(&t->key_files);
    free(t->agent);
    free(t->pin);
    strvec_release(&t->known_hosts);
    free(t->new_keys);
    free(t->revoked_keys);
    free(t->host_key_alias);
    strvec_release(&t->notes);
    ssh_target_free(t->jump);
    free(t);
}

/* --- the URL --- */

static const char *const options[] = {"key",        "passphrase", "known_hosts", "host_key",
                                      "accept_new", "insecure",   "user",        "jump",
                                      "config",     NULL};

static int parse_address(const char *address, struct remote_url *ret, struct err *err)
{
    if (remote_url_parse(address, ret, err) < 0 || remote_url_check_keys(ret, options, err) < 0)
        return -1;
    if (ret->path && strcmp(ret->path, "/") != 0)
        return err_set(err, ERR_INVALID,
                       "nothing may stand behind the host's slash but \"?\" (write %%2F for a "
                       "slash and %%40 for an @ of a password)");
    return 0;
}

int ssh_address_check(const char *address, struct err *err)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};

    return parse_address(address, &url, err);
}

static int parse_url(const char *text, struct remote_url *ret, struct err *err)
{
    if (strncmp(text, "ssh://", 6) != 0)
        return err_set(err, ERR_INVALID, "expected ssh://[USER@]HOST[:PORT][?OPTION=VALUE&…]");
    return parse_address(text + 6, ret, err);
}

static const char *option(const struct remote_url *url, const char *key)
{
    return strmap_get(&url->query, key);
}

/* The base64 of private_key:BASE64, or NULL. */
static const char *key_text(const struct remote_url *url)
{
    return url->password && strcmp(url->user, "private_key") == 0 ? url->password : NULL;
}

/* Who logs in as far as the URL says it, or NULL: a key in it is root's whatever the configuration
 * says, as those who wrote such URLs before there was a configuration mean it. */
static const char *said_user(const struct remote_url *url)
{
    const char *user = option(url, "user");

    return user ? user : key_text(url) ? "root" : url->user;
}

/* --- completing it --- */

static char *home_path(const struct ssh_environment *e, const char *path)
{
    return path[0] == '~' && path[1] == '/' ? fs_join(e->home, path + 2) : xstrdup(path);
}

static void add_keys(struct ssh_target *t, const struct ssh_environment *e,
                     const struct ssh_settings *s, const char *key_file)
{
    if (key_file) {
        strvec_push_owned(&t->key_files, home_path(e, key_file));
        t->explicit_keys = 1;
        return;
    }
    if (s->identity_files.len) {
        for (size_t i = 0; i < s->identity_files.len; i++)
            if (strcasecmp(s->identity_files.items[i], "none") != 0)
                strvec_push(&t->key_files, s->identity_files.items[i]);
        return;
    }
    for (size_t i = 0; i < sizeof(default_keys) / sizeof(*default_keys); i++)
        strvec_push_owned(&t->key_files, xasprintf("%s/.ssh/%s", e->home, default_keys[i]));
}

static void add_agent(struct ssh_target *t, const struct ssh_environment *e,
                      const struct ssh_settings *s)
{
    const char *agent = s->identity_agent ? s->identity_agent : "SSH_AUTH_SOCK";

    t->identities_only = s->identities_only;
    if (strcasecmp(agent, "none") == 0)
        return;
    if (strcmp(agent, "SSH_AUTH_SOCK") == 0)
        t->agent = xstrdup_null(e->agent);
    else if (agent[0] == '$')
        t->agent = xstrdup_null(getenv(agent + 1));
    else
        t->agent = xstrdup(agent);
}

static int add_private_key(struct ssh_target *t, const char *base64, struct err *err)
{
    CLEANUP(ssh_secret_release) struct buf text = BUF_INIT;

    /* Both alphabets, and line ends as `base64` makes them. */
    for (const char *c = base64; *c; c++)
        if (!isspace((unsigned char)*c))
            buf_addch(&text, *c == '-' ? '+' : *c == '_' ? '/' : *c);
    if (!text.len || base64_decode(&t->private_key, text.data, NULL) < 0)
        return err_set(err, ERR_INVALID,
                       "what stands behind private_key: is not base64; make it with: base64 -w0 "
                       "KEYFILE");
    return 0;
}

/* Who gives a secret in the URL means that one: guessing beside it runs into limits of the server,
 * and may log in as somebody else. */
static int add_logins(struct ssh_target *t, const struct ssh_environment *e,
                      const struct ssh_settings *s, const struct remote_url *url, struct err *err)
{
    const char *key_file = option(url, "key");

    t->passphrase = xstrdup_null(option(url, "passphrase"));
    if (key_text(url))
        return add_private_key(t, key_text(url), err);
    t->password = xstrdup_null(url->password);
    if (t->password && !key_file)
        return 0;
    add_keys(t, e, s, key_file);
    add_agent(t, e, s); /* with a key file, too, in case that is locked */
    if (key_file)
        t->identities_only = true;
    return 0;
}

/* All but "none", which says that there is none of the sort. */
static void add_files(struct strvec *files, const struct strvec *named)
{
    for (size_t i = 0; i < named->len; i++)
        if (strcasecmp(named->items[i], "none") != 0)
            strvec_push(files, named->items[i]);
}

static void add_known_hosts(struct ssh_target *t, const struct ssh_environment *e,
                            const struct ssh_settings *s, const char *file)
{
    if (file) {
        strvec_push_owned(&t->known_hosts, home_path(e, file));
    } else if (s->known_hosts.len) {
        add_files(&t->known_hosts, &s->known_hosts);
    } else {
        strvec_push_owned(&t->known_hosts, xasprintf("%s/.ssh/known_hosts", e->home));
        strvec_push_owned(&t->known_hosts, xasprintf("%s/.ssh/known_hosts2", e->home));
    }
    /* What is of all users is not for this one to write to. */
    if (t->known_hosts.len)
        t->new_keys = xstrdup(t->known_hosts.items[0]);
    if (file)
        return;
    if (s->global_known_hosts.len)
        add_files(&t->known_hosts, &s->global_known_hosts);
    else
        strvec_push(&t->known_hosts, "/etc/ssh/ssh_known_hosts");
}

static int pin(struct ssh_target *t, const char *fingerprint, struct err *err)
{
    if (strncmp(fingerprint, "SHA256:", 7) != 0 || strlen(fingerprint) < 20)
        return err_set(err, ERR_INVALID,
                       "host_key must be SHA256:… as ssh-keygen -lf KEY.pub prints it");
    t->pin = xstrdup(fingerprint);
    while (t->pin[strlen(t->pin) - 1] == '=')
        t->pin[strlen(t->pin) - 1] = '\0';
    t->policy = SSH_HOST_KEY_PINNED;
    return 0;
}

static int add_host_keys(struct ssh_target *t, const struct ssh_environment *e,
                         const struct ssh_settings *s, const struct remote_url *url,
                         struct err *err)
{
    const char *file = option(url, "known_hosts");
    const char *fingerprint = option(url, "host_key");
    bool insecure, accept_new;

    if (remote_url_flag(url, "insecure", &insecure, err) < 0 ||
        remote_url_flag(url, "accept_new", &accept_new, err) < 0)
        return -1;
    if (insecure && (fingerprint || accept_new))
        return err_set(err, ERR_INVALID,
                       "insecure=true goes together with no other host key option");
    t->host_key_alias = xstrdup_null(s->host_key_alias);
    if (s->revoked_keys && strcasecmp(s->revoked_keys, "none") != 0)
        t->revoked_keys = xstrdup(s->revoked_keys);
    add_known_hosts(t, e, s, file);
    if (fingerprint)
        return pin(t, fingerprint, err);
    if (insecure)
        t->policy = SSH_HOST_KEY_INSECURE;
    else if (accept_new || s->strict == SSH_STRICT_ACCEPT_NEW || s->strict == SSH_STRICT_NO ||
             (url->password && !file && s->strict == SSH_STRICT_UNSET))
        t->policy = SSH_HOST_KEY_ACCEPT_NEW;
    return 0;
}

static int target_new(const struct ctx *ctx, const struct remote_url *url,
                      const struct ssh_environment *e, int depth, struct ssh_target **ret,
                      struct err *err);

/* ProxyJump: the last of `list` is [ssh://][USER@]HOST[:PORT], and those before it lead there. */
static int add_jumps(const struct ctx *ctx, const char *list, const char *config,
                     const struct ssh_environment *e, int depth, struct ssh_target **ret,
                     struct err *err)
{
    const char *comma = strrchr(list, ',');
    const char *text = comma ? comma + 1 : list;
    CLEANUP_REMOTE_URL struct remote_url url = {0};

    if (depth > JUMPS_MAX)
        return err_set(err, ERR_INVALID,
                       "more than %d jump hosts; does one name itself as ProxyJump?", JUMPS_MAX);
    if (strncmp(text, "ssh://", 6) == 0)
        text += 6;
    if (remote_url_parse(text, &url, err) < 0)
        return err_wrap(err, "ProxyJump");
    if (url.password || url.path || url.query.len)
        return err_set(err, ERR_INVALID, "ProxyJump: a jump host is written [USER@]HOST[:PORT]");
    if (config)
        strmap_set(&url.query, "config", config);
    /* Within a list, the one before leads there, whatever the configuration of this one says. */
    if (comma) {
        CLEANUP_FREE char *before = xstrndup(list, (size_t)(comma - list));

        strmap_set(&url.query, "jump", before);
    }
    return target_new(ctx, &url, e, depth + 1, ret, err);
}

static int complete(const struct ctx *ctx, struct ssh_target *t, const struct remote_url *url,
                    const struct ssh_settings *s, const struct ssh_environment *e, int depth,
                    struct err *err)
{
    const char *user = said_user(url);
    const char *jump = option(url, "jump");

    t->alias = xstrdup(url->host);
    t->host = xstrdup(s->host_name);
    t->port = url->port ? url->port : s->port ? s->port : 22;
    t->user = xstrdup(user ? user : s->user ? s->user : e->local_user);
    if (!*t->user)
        return err_set(err, ERR_INVALID, "the user is empty");
    t->attempts = s->connection_attempts ? (int)s->connection_attempts : ATTEMPTS_DEFAULT;
    t->connect_timeout_ms = s->connect_timeout_ms ? s->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    t->alive_interval_ms = s->alive_interval_ms ? s->alive_interval_ms : ALIVE_INTERVAL_MS;
    strvec_extend(&t->notes, s->notes.items);
    if (add_logins(t, e, s, url, err) < 0 || add_host_keys(t, e, s, url, err) < 0)
        return -1;
    jump = jump ? jump : s->proxy_jump;
    if (jump && strcasecmp(jump, "none") != 0)
        return add_jumps(ctx, jump, option(url, "config"), e, depth, &t->jump, err);
    return 0;
}

static int target_new(const struct ctx *ctx, const struct remote_url *url,
                      const struct ssh_environment *e, int depth, struct ssh_target **ret,
                      struct err *err)
{
    CLEANUP_SSH_TARGET struct ssh_target *t = xcalloc(1, sizeof(*t));
    CLEANUP_SSH_SETTINGS struct ssh_settings settings = {0};
    const char *given = option(url, "config");
    CLEANUP_FREE char *file = given            ? home_path(e, given)
                              : e->user_config ? xstrdup(e->user_config)
                                               : xasprintf("%s/.ssh/config", e->home);
    const bool none = given && strcmp(given, "none") == 0;
    const struct ssh_config_source source = {
        .home = e->home,
        .local_user = e->local_user,
        .user_file = none ? NULL : file,
        .user_file_is_named = given != NULL,
        .system_file = given ? NULL : e->system_config,
        .jump = option(url, "jump"),
        .port = url->port,
    };

    t->private_key = (struct buf)BUF_INIT;
    if (given && !none && !fs_exists(file))
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", file);
    if (ssh_config_read(ctx, &source, url->host, said_user(url), &settings, err) < 0 ||
        complete(ctx, t, url, &settings, e, depth, err) < 0)
        return -1;
    *ret = steal_ptr(&t);
    return 0;
}

int ssh_target_parse(const struct ctx *ctx, const char *text,
                     const struct ssh_environment *environment, struct ssh_target **ret,
                     struct err *err)
{
    CLEANUP_REMOTE_URL struct remote_url url = {0};

    if (parse_url(text, &url, err) < 0)
        return err_wrap(err, "ssh URL");
    return target_new(ctx, &url, environment, 0, ret, err);
}
