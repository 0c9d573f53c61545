#include "apis/docker/auth.h"

#include <jansson.h>
#include <strings.h>
#include <sys/wait.h>

#include "apis/docker/config_file.h"
#include "base/alloc.h"
#include "base/base64.h"
#include "base/json_at.h"
#include "base/process.h"

#define DOCKER_IO_KEY "https://index.docker.io/v1/"

enum { HELPER_MAX_BYTES = 1 << 20 };

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void wipe_buf(struct buf *b)
{
    if (b->cap)
        explicit_bzero(b->data, b->cap);
    buf_release(b);
}

void docker_credentials_release(struct docker_credentials *c)
{
    wipe(&c->username);
    wipe(&c->password);
    wipe(&c->identity_token);
    wipe(&c->server_address);
}

static void host_of(const char *key, const char **ret_host, size_t *ret_len)
{
    const char *scheme = strstr(key, "://");

    *ret_host = scheme ? scheme + 3 : key;
    *ret_len = strcspn(*ret_host, "/");
}

bool docker_same_registry(const char *key, const char *registry)
{
    const char *host;
    size_t len;

    host_of(key, &host, &len);
    if (strcmp(registry, "docker.io") == 0 &&
        ((len == 15 && strncmp(host, "index.docker.io", len) == 0) ||
         (len == 20 && strncmp(host, "registry-1.docker.io", len) == 0)))
        return true;
    return strlen(registry) == len && strncasecmp(host, registry, len) == 0;
}

static const char *server_key(const char *registry)
{
    return strcmp(registry, "docker.io") == 0 ? DOCKER_IO_KEY : registry;
}

/* The registry's own entry comes before one of a path below it ("host/team"). */
static json_t *member_for(const json_t *config, const char *name, const char *registry)
{
    json_t *object = (json_t *)json_at(config, name);
    json_t *own = json_object_get(object, server_key(registry));
    const char *key;
    json_t *value;

    if (own)
        return own;
    json_object_foreach (object, key, value) {
        if (docker_same_registry(key, registry))
            return value;
    }
    return NULL;
}

/* An entry of auths: {"auth": base64("user:password")} or the parts, perhaps an identity token. */
static int from_auths(const json_t *entry, const char *file, const char *registry,
                      struct docker_credentials *ret, struct err *err)
{
    CLEANUP(wipe_buf) struct buf decoded = BUF_INIT;
    CLEANUP_DOCKER_CREDENTIALS struct docker_credentials c = {0};
    const char *auth = json_at_string(entry, "auth");
    const char *token = json_at_string(entry, "identitytoken");

    if (*auth) {
        char *colon;

        if (base64_decode(&decoded, auth, NULL) < 0 || !(colon = strchr(decoded.data, ':')))
            return err_set(err, ERR_INVALID,
                           "%s: auth of %s is not the base64 form of user:password", file,
                           registry);
        c.username = xstrndup(decoded.data, (size_t)(colon - decoded.data));
        c.password = xstrdup(colon + 1);
    } else if (*json_at_string(entry, "username")) {
        c.username = json_at_dup(entry, "username");
        c.password = json_at_dup(entry, "password");
    }
    if (*token) {
        c.identity_token = xstrdup(token);
        wipe(&c.password);
    }
    if (c.username || c.identity_token)
        c.server_address = xstrdup(server_key(registry));
    *ret = c;
    c = (struct docker_credentials){0};
    return 0;
}

static bool says_not_found(const char *text)
{
    return strcasestr(text, "credentials not found") || strcasestr(text, "not found in native");
}

static int read_answer(const char *program, const char *registry, const struct buf *output,
                       struct docker_credentials *ret, struct err *err)
{
    json_t *answer = json_loadb(output->data, output->len, 0, NULL);
    const char *username = json_at_string(answer, "Username");
    const char *secret = json_at_string(answer, "Secret");

    if (json_is_object(answer) && !*username && !*secret) { /* so some say that they have none */
        json_decref(answer);
        *ret = (struct docker_credentials){0};
        return 0;
    }
    if (!*secret) {
        json_decref(answer);
        return err_set(err, ERR_PROTOCOL, "%s get: the answer for %s is not {Username, Secret}",
                       program, registry);
    }
    *ret = (struct docker_credentials){.server_address = xstrdup(server_key(registry))};
    if (strcmp(username, "<token>") == 0)
        ret->identity_token = xstrdup(secret);
    else {
        ret->username = xstrdup(username);
        ret->password = xstrdup(secret);
    }
    json_decref(answer);
    return 0;
}

static int ask_helper(const struct ctx *ctx, const char *const *envp, const char *helper,
                      const char *registry, struct docker_credentials *ret, struct err *err)
{
    CLEANUP_FREE char *program = xasprintf("docker-credential-%s", helper);
    CLEANUP(wipe_buf) struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf errors = BUF_INIT;
    const char *const argv[] = {program, "get", NULL};
    struct process_options options = PROCESS_OPTIONS_INIT;
    int status;

    if (strchr(helper, '/'))
        return err_set(err, ERR_INVALID, "credential helper \"%s\" must be a name, not a path",
                       helper);
    options.argv = argv;
    options.envp = envp;
    if (process_run(ctx, &options, server_key(registry), &output, HELPER_MAX_BYTES, &errors,
                    &status, err) < 0)
        return err_wrap(err, "cannot get the credentials for %s", registry);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return read_answer(program, registry, &output, ret, err);
    /* Helpers report on standard output. */
    if (says_not_found(output.data) || says_not_found(errors.data)) {
        *ret = (struct docker_credentials){0};
        return 0;
    }
    buf_add(&errors, output.data, output.len < 200 ? output.len : 200);
    errors.data[strcspn(errors.data, "\r\n")] = '\0';
    return err_set(err, ERR_DENIED, "%s get failed for %s: %s", program, registry,
                   errors.len ? errors.data : "no message");
}

static int from_config(const struct ctx *ctx, const char *const *envp, const json_t *config,
                       const char *path, const char *registry, struct docker_credentials *ret,
                       struct err *err)
{
    const char *helper = json_string_value(member_for(config, "credHelpers", registry));
    const char *store = json_at_string(config, "credsStore");
    const json_t *entry = member_for(config, "auths", registry);

    if (helper && *helper)
        return ask_helper(ctx, envp, helper, registry, ret, err);
    if (*store && !helper) { /* an empty helper keeps the registry out of the store */
        if (ask_helper(ctx, envp, store, registry, ret, err) < 0)
            return -1;
        if (ret->username || ret->identity_token)
            return 0;
    }
    return from_auths(entry, path, registry, ret, err);
}

int docker_credentials_find(const struct ctx *ctx, const char *const *envp, const char *registry,
                            const char *username, const char *password,
                            struct docker_credentials *ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    json_t *config;
    int result;

    if (username && *username) {
        *ret = (struct docker_credentials){
            .username = xstrdup(username),
            .password = xstrdup(password ? password : ""),
            .server_address = xstrdup(server_key(registry)),
        };
        return 0;
    }
    if (docker_config_load(envp, &config, &path, err) < 0)
        return -1;
    if (!config) {
        *ret = (struct docker_credentials){0};
        return 0;
    }
    result = from_config(ctx, envp, config, path, registry, ret, err);
    json_decref(config);
    return result;
}

static void add_registry(struct strvec *registries, const char *key)
{
    CLEANUP_FREE char *registry = NULL;
    const char *host;
    size_t len;

    host_of(key, &host, &len);
    registry = docker_same_registry(key, "docker.io") ? xstrdup("docker.io") : xstrndup(host, len);
    for (size_t i = 0; i < registries->len; i++) {
        if (strcmp(registries->items[i], registry) == 0)
            return;
    }
    strvec_push(registries, registry);
}

int docker_credentials_registries(const char *const *envp, struct strvec *ret, struct err *err)
{
    static const char *const members[] = {"auths", "credHelpers"};
    json_t *config;

    if (docker_config_load(envp, &config, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
        const char *key;
        json_t *value;

        json_object_foreach (json_object_get(config, members[i]), key, value)
            add_registry(ret, key);
    }
    json_decref(config);
    return 0;
}

char *docker_credentials_header(const struct docker_credentials *c)
{
    CLEANUP_BUF struct buf out = BUF_INIT;
    json_t *object;
    char *text;

    if (!c->username && !c->identity_token)
        return NULL;
    object = json_object();
    if (c->identity_token) {
        json_object_set_new(object, "identitytoken", json_string(c->identity_token));
    } else {
        json_object_set_new(object, "username", json_string(c->username));
        json_object_set_new(object, "password", json_string(c->password));
    }
    if (c->server_address)
        json_object_set_new(object, "serveraddress", json_string(c->server_address));
    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    base64url_encode(&out, text, strlen(text));
    wipe(&text);
    return buf_steal(&out);
}
