#include "apis/kube/credentials.h"

#include <ctype.h>
#include <string.h>

#include "apis/kube/plugin.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/gate.h"

enum {
    TOKEN_MAX_BYTES = 1 << 20,
    TOKEN_FILE_MS = 60000,
    EXPIRES_EARLY_MS = 10000, /* a request under way should not find them expired */
};

struct kube_credentials {
    struct kube_user *user;
    struct gate gate; /* one slot; whoever is in may change what follows */
    bool loaded;      /* from the token file or the plugin */
    char *token;      /* read from the token file */
    int64_t read_ms;  /* monotonic: when that was */
    struct kube_plugin_result given;
    unsigned generation;
    unsigned cert_generation;
};

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void kube_auth_release(struct kube_auth *auth)
{
    for (size_t i = 0; i < auth->headers.len; i++)
        explicit_bzero(auth->headers.items[i], strlen(auth->headers.items[i]));
    strvec_release(&auth->headers);
    free((char *)auth->tls.cert_file);
    free((char *)auth->tls.cert_pem);
    free((char *)auth->tls.key_file);
    free_secret((char *)auth->tls.key_pem);
    *auth = (struct kube_auth){0};
}

int kube_credentials_new(struct kube_user *user, struct kube_credentials **ret, struct err *err)
{
    struct kube_credentials *c = xcalloc(1, sizeof(*c));

    c->user = user;
    c->generation = c->cert_generation = 1;
    if (gate_init(&c->gate, 1, err) < 0) {
        kube_user_free(user);
        free(c);
        return -1;
    }
    *ret = c;
    return 0;
}

void kube_credentials_free(struct kube_credentials *c)
{
    if (!c)
        return;
    gate_release(&c->gate);
    kube_user_free(c->user);
    free_secret(c->token);
    kube_plugin_result_release(&c->given);
    free(c);
}

const char *kube_credentials_origin(const struct kube_credentials *c)
{
    return c->user->origin;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* --- where they come from; the caller is inside the gate --- */

static int read_token_file(struct kube_credentials *c, struct err *err)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t len;

    c->read_ms = clock_monotonic_ms();
    if (fs_read_file(c->user->token_file, TOKEN_MAX_BYTES, &text, err) < 0) {
        /* What was read before may still be good, and a token that is written out always is. */
        if (c->token || c->user->token) {
            err_clear(err);
            return 0;
        }
        return err_wrap(err, "%s: token", c->user->origin);
    }
    len = text.len;
    while (len && isspace((unsigned char)text.data[len - 1]))
        len--;
    buf_truncate(&text, len);
    if (!len || strpbrk(text.data, "\r\n"))
        return err_set(err, ERR_DENIED, "%s: %s does not hold a token", c->user->origin,
                       c->user->token_file);
    if (!same(c->token, text.data)) {
        c->generation++;
        free_secret(c->token);
        c->token = buf_steal(&text);
    }
    return 0;
}

static int run_plugin(const struct ctx *ctx, struct kube_credentials *c, struct err *err)
{
    struct kube_plugin_result given;

    if (kube_plugin_run(ctx, c->user->plugin, c->user->origin, &given, err) < 0)
        return -1;
    if (!same(given.token, c->given.token) || !same(given.cert_pem, c->given.cert_pem) ||
        !same(given.key_pem, c->given.key_pem)) {
        c->generation++;
        if (!same(given.cert_pem, c->given.cert_pem) || !same(given.key_pem, c->given.key_pem))
            c->cert_generation++;
    }
    kube_plugin_result_release(&c->given);
    c->given = given;
    return 0;
}

static int load(const struct ctx *ctx, struct kube_credentials *c, struct err *err)
{
    if ((c->user->token_file && read_token_file(c, err) < 0) ||
        (c->user->plugin && run_plugin(ctx, c, err) < 0))
        return -1;
    c->loaded = true;
    return 0;
}

static bool is_old(const struct kube_credentials *c)
{
    if (!c->loaded)
        return true;
    if (c->user->plugin && c->given.expires_ms != INT64_MAX &&
        clock_wall_ms() >= c->given.expires_ms - EXPIRES_EARLY_MS)
        return true;
    return c->user->token_file && clock_monotonic_ms() - c->read_ms >= TOKEN_FILE_MS;
}

/* --- what is made of them --- */

static void add_authorization(const struct kube_credentials *c, struct strvec *headers)
{
    const struct kube_user *u = c->user;
    const char *token = c->token ? c->token : u->token ? u->token : c->given.token;

    if (token) {
        strvec_pushf(headers, "Authorization: Bearer %s", token);
    } else if (u->username) {
        CLEANUP_FREE char *pair = xasprintf("%s:%s", u->username, u->password ? u->password : "");
        CLEANUP_BUF struct buf coded = BUF_INIT;

        base64_encode(&coded, pair, strlen(pair));
        strvec_pushf(headers, "Authorization: Basic %s", coded.data);
        explicit_bzero(pair, strlen(pair));
    }
}

static void fill(const struct kube_credentials *c, struct kube_auth *ret)
{
    const struct kube_user *u = c->user;
    const bool own = u->cert_file || u->cert_pem;

    add_authorization(c, &ret->headers);
    strvec_extend(&ret->headers, u->impersonate.items);
    ret->tls = (struct http_tls){
        .cert_file = xstrdup_null(u->cert_file),
        .cert_pem = xstrdup_null(own ? u->cert_pem : c->given.cert_pem),
        .key_file = xstrdup_null(u->key_file),
        .key_pem = xstrdup_null(own ? u->key_pem : c->given.key_pem),
    };
    ret->generation = c->generation;
    ret->cert_generation = c->cert_generation;
}

int kube_credentials_get(const struct ctx *ctx, struct kube_credentials *c, struct kube_auth *ret,
                         struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &c->gate, err) < 0)
        return -1;
    if ((c->user->plugin || c->user->token_file) && is_old(c))
        result = load(ctx, c, err);
    if (result == 0)
        fill(c, ret);
    gate_leave(&c->gate);
    return result;
}

int kube_credentials_renew(const struct ctx *ctx, struct kube_credentials *c, unsigned generation,
                           bool *ret_changed, struct err *err)
{
    int result = 0;

    if (gate_enter(ctx, &c->gate, err) < 0)
        return -1;
    if (c->generation == generation)
        result = load(ctx, c, err);
    if (result == 0)
        *ret_changed = c->generation != generation;
    gate_leave(&c->gate);
    return result;
}
