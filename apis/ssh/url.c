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
#include "base/parse.h"
#include "base/percent.h"

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
    free(t->host_key_alias);
    strvec_release(&t->notes);
    ssh_target_free(t->jump);
    free(t);
}

/* --- the URL --- */

/* What a URL says; strings are decoded, NULL where it says nothing. */
struct url {
    char *user;
    char *password;
    char *key_text; /* base64 */
    char *host;
    unsigned port;
    char *key_file;
    char *passphrase;
    char *known_hosts;
    char *host_key;
    char *query_user;
    char *jump;
    char *config;
    bool accept_new;
    bool insecure;
};

#define CLEANUP_URL CLEANUP(url_release)

static void url_release(struct url *u)
{
    free(u->user);
    ssh_secret_free(u->password);
    ssh_secret_free(u->key_text);
    free(u->host);
    free(u->key_file);
    ssh_secret_free(u->passphrase);
    free(u->known_hosts);
    free(u->host_key);
    free(u->query_user);
    free(u->jump);
    free(u->config);
}

static char *decode(const char *text, size_t len)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    percent_decode(text, len, &out);
    return buf_steal(&out);
}

static int parse_port(const char *text, unsigned *ret, struct err *err)
{
    int64_t port;

    if (parse_int64(text, &port, NULL) < 0 || port < 1 || port > 65535)
        return err_set(err, ERR_INVALID, "the port must be a number from 1 to 65535");
    *ret = (unsigned)port;
    return 0;
}

/* HOST, HOST:PORT, [IPV6], [IPV6]:PORT. Messages quote nothing, as a mistake may have put a secret
 * here. */
static int parse_host(const char *text, size_t len, char **ret_host, unsigned *ret_port,
                      struct err *err)
{
    CLEANUP_FREE char *copy = xstrndup(text, len);
    const char *start = copy;
    char *port = NULL;
    char *close;

    if (*copy == '[') {
        start = copy + 1;
        close = strchr(copy, ']');
        if (!close || (close[1] && close[1] != ':'))
            return err_set(err, ERR_INVALID, "expected [ADDRESS]:PORT");
        port = close[1] ? close + 2 : NULL;
        *close = '\0';
    } else if ((close = strrchr(copy, ':'))) {
        if (strchr(copy, ':') != close)
            return err_set(err, ERR_INVALID, "an IPv6 address goes into brackets: [::1]:22");
        port = close + 1;
        *close = '\0';
    }
    if (!*start || *start == '-' || strpbrk(start, " \t\r\n/@"))
        return err_set(err, ERR_INVALID, "the host is missing, or no name of a host");
    if (port && parse_port(port, ret_port, err) < 0)
        return -1;
    *ret_host = xstrdup(start);
    return 0;
}

static int parse_bool(const char *key, const char *value, bool *ret, struct err *err)
{
    if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
        *ret = true;
    else if (strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
        *ret = false;
    else
        return err_set(err, ERR_INVALID, "%s must be true or false", key);
    return 0;
}

static int take_option(struct url *u, const char *key, char *value, struct err *err)
{
    const struct {
        const char *key;
        char **text;
        bool *flag;
    } rows[] = {
        {"key", &u->key_file, NULL},
        {"passphrase", &u->passphrase, NULL},
        {"known_hosts", &u->known_hosts, NULL},
        {"host_key", &u->host_key, NULL},
        {"user", &u->query_user, NULL},
        {"jump", &u->jump, NULL},
        {"config", &u->config, NULL},
        {"accept_new", NULL, &u->accept_new},
        {"insecure", NULL, &u->insecure},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (strcmp(rows[i].key, key) != 0)
            continue;
        if (rows[i].flag) {
            int result = parse_bool(key, value, rows[i].flag, err);

            ssh_secret_free(value);
            return result;
        }
        ssh_secret_free(*rows[i].text);
        *rows[i].text = value;
        return *value ? 0 : err_set(err, ERR_INVALID, "%s has no value", key);
    }
    ssh_secret_free(value);
    return err_set(err, ERR_INVALID,
                   "\"%s\" is not known; known are key, passphrase, known_hosts, host_key, "
                   "accept_new, insecure, user, jump and config",
                   key);
}

static int parse_query(struct url *u, const char *query, struct err *err)
{
    while (*query) {
        const size_t len = strcspn(query, "&");
        const char *equals = memchr(query, '=', len);
        CLEANUP_FREE char *key = decode(query, equals ? (size_t)(equals - query) : len);

        if (len && !equals)
            return err_set(err, ERR_INVALID,
                           "a part of the query has no value; an & of one is written %%26");
        if (len &&
            take_option(u, key, decode(equals + 1, (size_t)(query + len - equals - 1)), err) < 0)
            return -1;
        query += len + (query[len] == '&');
    }
    return 0;
}

/* USER[:PASSWORD] or private_key:BASE64. */
static void parse_login(struct url *u, const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);
    const size_t user_len = colon ? (size_t)(colon - text) : len;
    const size_t rest_len = colon ? len - user_len - 1 : 0;

    if (colon && user_len == 11 && strncmp(text, "private_key", 11) == 0) {
        u->key_text = decode(colon + 1, rest_len);
        return;
    }
    u->user = decode(text, user_len);
    if (colon)
        u->password = decode(colon + 1, rest_len);
}

static int parse_url(const char *text, struct url *u, struct err *err)
{
    const char *query, *at, *host, *end;

    if (strncmp(text, "ssh://", 6) != 0)
        return err_set(err, ERR_INVALID, "expected ssh://[USER@]HOST[:PORT][?OPTION=VALUE&…]");
    text += 6;
    query = text + strcspn(text, "?");
    /* Base64 and passwords may hold what parts the rest, but no base64 holds a `?`. */
    at = memrchr(text, '@', (size_t)(query - text));
    host = at ? at + 1 : text;
    end = memchr(host, '/', (size_t)(query - host));
    if (end && end + 1 != query)
        return err_set(err, ERR_INVALID,
                       "nothing may stand behind the host's slash but \"?\" (write %%2F for a "
                       "slash and %%40 for an @ of a password)");
    if (at)
        parse_login(u, text, (size_t)(at - text));
    if (parse_host(host, (size_t)((end ? end : query) - host), &u->host, &u->port, err) < 0)
        return -1;
    return *query ? parse_query(u, query + 1, err) : 0;
}

/* --- completing it --- */

static char *home_path(const struct ssh_environment *e, const char *path)
{
    return path[0] == '~' && path[1] == '/' ? fs_join(e->home, path + 2) : xstrdup(path);
}

static void add_keys(struct ssh_target *t, const struct ssh_environment *e,
                     const struct ssh_settings *s, const struct url *u)
{
    if (u->key_file) {
        strvec_push_owned(&t->key_files, home_path(e, u->key_file));
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

static int add_private_key(struct ssh_target *t, const struct url *u, struct err *err)
{
    CLEANUP(ssh_secret_release) struct buf text = BUF_INIT;

    /* Both alphabets, and line ends as `base64` makes them. */
    for (const char *c = u->key_text; *c; c++)
        if (!isspace((unsigned char)*c))
            buf_addch(&text, *c == '-' ? '+' : *c == '_' ? '/' : *c);
    if (!text.len || base64_decode(&t->private_key, text.data, NULL) < 0)
        return err_set(err, ERR_INVALID,
                       "what stands behind private_key: is not base64; make it with: base64 -w0 "
                       "KEYFILE");
    return 0;
}

static int add_logins(struct ssh_target *t, const struct ssh_environment *e,
                      const struct ssh_settings *s, struct url *u, struct err *err)
{
    t->passphrase = steal_ptr(&u->passphrase);
    t->password = steal_ptr(&u->password);
    if (u->key_text && add_private_key(t, u, err) < 0)
        return -1;
    /* Who gives a secret in the URL means that one: guessing beside it runs into limits of the
     * server, and may log in as somebody else. */
    if (t->private_key.len)
        return 0;
    if (!t->password || u->key_file)
        add_keys(t, e, s, u);
    if (!t->password && !u->key_file)
        add_agent(t, e, s);
    else if (u->key_file) /* in case the file is locked */
        add_agent(t, e, s);
    if (u->key_file)
        t->identities_only = true;
    return 0;
}

static int add_host_keys(struct ssh_target *t, const struct ssh_environment *e,
                         const struct ssh_settings *s, struct url *u, bool old_form,
                         struct err *err)
{
    if (u->insecure && (u->host_key || u->accept_new))
        return err_set(err, ERR_INVALID,
                       "insecure=true goes together with no other host key option");
    t->host_key_alias = xstrdup_null(s->host_key_alias);
    if (u->known_hosts) {
        strvec_push_owned(&t->known_hosts, home_path(e, u->known_hosts));
    } else {
        if (s->known_hosts.len) {
            for (size_t i = 0; i < s->known_hosts.len; i++)
                if (strcasecmp(s->known_hosts.items[i], "none") != 0)
                    strvec_push(&t->known_hosts, s->known_hosts.items[i]);
        } else {
            strvec_push_owned(&t->known_hosts, xasprintf("%s/.ssh/known_hosts", e->home));
            strvec_push_owned(&t->known_hosts, xasprintf("%s/.ssh/known_hosts2", e->home));
        }
        if (s->global_known_hosts.len)
            strvec_extend(&t->known_hosts, s->global_known_hosts.items);
        else
            strvec_push(&t->known_hosts, "/etc/ssh/ssh_known_hosts");
    }
    if (u->host_key) {
        if (strncmp(u->host_key, "SHA256:", 7) != 0 || strlen(u->host_key) < 20)
            return err_set(err, ERR_INVALID,
                           "host_key must be SHA256:… as ssh-keygen -lf KEY.pub prints it");
        t->pin = steal_ptr(&u->host_key);
        while (t->pin[strlen(t->pin) - 1] == '=')
            t->pin[strlen(t->pin) - 1] = '\0';
        t->policy = SSH_HOST_KEY_PINNED;
    } else if (u->insecure) {
        t->policy = SSH_HOST_KEY_INSECURE;
    } else if (u->accept_new || s->strict == SSH_STRICT_ACCEPT_NEW || s->strict == SSH_STRICT_NO ||
               (old_form && !u->known_hosts && s->strict == SSH_STRICT_UNSET)) {
        t->policy = SSH_HOST_KEY_ACCEPT_NEW;
    }
    return 0;
}

static int target_new(struct url *u, const struct ssh_environment *e, int depth,
                      struct ssh_target **ret, struct err *err);

/* ProxyJump: `text` is [ssh://][USER@]HOST[:PORT], and what is before it leads there. */
static int add_jumps(const char *list, const char *config, const struct ssh_environment *e,
                     int depth, struct ssh_target **ret, struct err *err)
{
    const char *comma = strrchr(list, ',');
    const char *text = comma ? comma + 1 : list;
    CLEANUP_URL struct url u = {.config = xstrdup_null(config)};
    const char *at;

    if (depth > JUMPS_MAX)
        return err_set(err, ERR_INVALID,
                       "more than %d jump hosts; does one name itself as ProxyJump?", JUMPS_MAX);
    if (strncmp(text, "ssh://", 6) == 0)
        text += 6;
    at = strrchr(text, '@');
    if (at)
        u.user = xstrndup(text, (size_t)(at - text));
    if (parse_host(at ? at + 1 : text, strlen(at ? at + 1 : text), &u.host, &u.port, err) < 0)
        return err_wrap(err, "ProxyJump");
    /* Within a list, the one before leads there, whatever the configuration of this one says. */
    if (comma)
        u.jump = xstrndup(list, (size_t)(comma - list));
    return target_new(&u, e, depth + 1, ret, err);
}

static int complete(struct ssh_target *t, struct url *u, const struct ssh_settings *s,
                    const struct ssh_environment *e, int depth, struct err *err)
{
    const bool old_form = u->password || u->key_text;
    const char *user = u->query_user ? u->query_user : u->user;
    const char *jump = u->jump ? u->jump : s->proxy_jump;

    t->alias = xstrdup(u->host);
    t->host = xstrdup(s->host_name);
    t->port = u->port ? u->port : s->port ? s->port : 22;
    t->user = xstrdup(user ? user : s->user ? s->user : u->key_text ? "root" : e->local_user);
    if (!*t->user)
        return err_set(err, ERR_INVALID, "the user is empty");
    t->attempts = s->connection_attempts ? (int)s->connection_attempts : ATTEMPTS_DEFAULT;
    t->connect_timeout_ms = s->connect_timeout_ms ? s->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    t->alive_interval_ms = s->alive_interval_ms ? s->alive_interval_ms : ALIVE_INTERVAL_MS;
    strvec_extend(&t->notes, s->notes.items);
    if (add_logins(t, e, s, u, err) < 0 || add_host_keys(t, e, s, u, old_form, err) < 0)
        return -1;
    if (jump && strcasecmp(jump, "none") != 0)
        return add_jumps(jump, u->config, e, depth, &t->jump, err);
    return 0;
}

static int target_new(struct url *u, const struct ssh_environment *e, int depth,
                      struct ssh_target **ret, struct err *err)
{
    CLEANUP_SSH_TARGET struct ssh_target *t = xcalloc(1, sizeof(*t));
    CLEANUP_SSH_SETTINGS struct ssh_settings settings = {0};
    CLEANUP_FREE char *config = u->config        ? home_path(e, u->config)
                                : e->user_config ? xstrdup(e->user_config)
                                                 : xasprintf("%s/.ssh/config", e->home);
    const bool none = u->config && strcmp(u->config, "none") == 0;
    const struct ssh_config_source source = {
        .home = e->home,
        .local_user = e->local_user,
        .user_file = none ? NULL : config,
        .system_file = u->config ? NULL : e->system_config,
    };

    t->private_key = (struct buf)BUF_INIT;
    if (u->config && !none && !fs_exists(config))
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", config);
    if (ssh_config_read(&source, u->host, u->query_user ? u->query_user : u->user, &settings, err) <
            0 ||
        complete(t, u, &settings, e, depth, err) < 0)
        return -1;
    *ret = steal_ptr(&t);
    return 0;
}

int ssh_target_parse(const char *url, const struct ssh_environment *environment,
                     struct ssh_target **ret, struct err *err)
{
    CLEANUP_URL struct url u = {0};

    if (parse_url(url, &u, err) < 0)
        return err_wrap(err, "ssh URL");
    return target_new(&u, environment, 0, ret, err);
}
