/* Users of a kubeconfig, and the service account of a pod. */
#include <string.h>

#include "apis/kube/config_internal.h"
#include "base/alloc.h"

static void plugin_free(struct kube_plugin *plugin)
{
    if (!plugin)
        return;
    free(plugin->api_version);
    free(plugin->command);
    strvec_release(&plugin->args);
    strvec_release(&plugin->env);
    free(plugin->install_hint);
    json_decref(plugin->cluster_info);
    free(plugin);
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void kube_user_free(struct kube_user *user)
{
    if (!user)
        return;
    free(user->origin);
    free_secret(user->token);
    free(user->token_file);
    free(user->username);
    free_secret(user->password);
    free(user->cert_file);
    free(user->cert_pem);
    free(user->key_file);
    free_secret(user->key_pem);
    plugin_free(user->plugin);
    strvec_release(&user->impersonate);
    free(user);
}

static int read_strings(const struct kube_entry *entry, const char *key, struct strvec *out,
                        struct err *err)
{
    const json_t *list = json_object_get(entry->object, key);
    const json_t *item;
    size_t i;

    if (list && !json_is_array(list) && !json_is_null(list))
        return kube_entry_error(entry, err, "%s is not a list", key);
    json_array_foreach (list, i, item) {
        if (!json_is_string(item))
            return kube_entry_error(entry, err, "%s[%zu] is not a string; put it into quotes", key,
                                    i);
        strvec_push(out, json_string_value(item));
    }
    return 0;
}

static int read_plugin_env(const struct kube_entry *entry, struct strvec *out, struct err *err)
{
    const json_t *list = json_object_get(entry->object, "env");
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        const char *value = json_string_value(json_object_get(item, "value"));

        if (!name || !value)
            return kube_entry_error(entry, err, "exec.env[%zu] has no name or no value", i);
        strvec_pushf(out, "%s=%s", name, value);
    }
    return 0;
}

static int check_plugin(const struct kube_entry *user, const char *version, const char *command,
                        const char *mode, struct err *err)
{
    static const char *const versions[] = {"client.authentication.k8s.io/v1",
                                           "client.authentication.k8s.io/v1beta1"};

    if (!command)
        return kube_entry_error(user, err, "exec has no command");
    if (!version || (strcmp(version, versions[0]) != 0 && strcmp(version, versions[1]) != 0))
        return kube_entry_error(user, err,
                                "exec.apiVersion is %s, but the runner speaks %s and %s; update "
                                "the plugin and this file",
                                version ? version : "missing", versions[0], versions[1]);
    if (mode && strcmp(mode, "Always") == 0)
        return kube_entry_error(user, err,
                                "%s wants to ask at a terminal (interactiveMode: Always), which a "
                                "pipeline has not",
                                command);
    return 0;
}

/* What a plugin may be told of the cluster, with the settings made for it. */
static json_t *cluster_info(const struct kube_entry *cluster)
{
    static const char *const keys[] = {"server", "tls-server-name", "insecure-skip-tls-verify",
                                       "certificate-authority-data", "proxy-url"};
    json_t *info = json_object();
    const json_t *extension;
    size_t i;

    for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
        json_object_set(info, keys[k], json_object_get(cluster->object, keys[k]));
    json_array_foreach (json_object_get(cluster->object, "extensions"), i, extension) {
        const char *name = json_string_value(json_object_get(extension, "name"));

        if (name && strcmp(name, "client.authentication.k8s.io/exec") == 0)
            json_object_set(info, "config", json_object_get(extension, "extension"));
    }
    return info;
}

static int read_plugin(const struct kube_entry *user, const struct kube_entry *cluster,
                       struct kube_plugin **ret, struct err *err)
{
    const json_t *object = json_object_get(user->object, "exec");
    const struct kube_entry exec = {.file = user->file,
                                    .kind = user->kind,
                                    .name = user->name,
                                    .object = object};
    struct kube_plugin *plugin;
    const char *command;
    const char *version;
    const char *mode;
    const char *hint;
    bool tell;

    if (!object || json_is_null(object))
        return 0;
    if (!json_is_object(object))
        return kube_entry_error(user, err, "exec is not a map");
    if (kube_entry_string(&exec, "command", &command, err) < 0 ||
        kube_entry_string(&exec, "apiVersion", &version, err) < 0 ||
        kube_entry_string(&exec, "interactiveMode", &mode, err) < 0 ||
        kube_entry_string(&exec, "installHint", &hint, err) < 0 ||
        kube_entry_bool(&exec, "provideClusterInfo", &tell, err) < 0 ||
        check_plugin(user, version, command, mode, err) < 0)
        return -1;
    plugin = xcalloc(1, sizeof(*plugin));
    *ret = plugin; /* freed with the user */
    plugin->api_version = xstrdup(version);
    plugin->install_hint = xstrdup_null(hint);
    if (tell)
        plugin->cluster_info = cluster_info(cluster);
    if (!strchr(command, '/'))
        plugin->command = xstrdup(command);
    else if (kube_entry_path(&exec, "command", &plugin->command, err) < 0)
        return -1;
    return read_strings(&exec, "args", &plugin->args, err) < 0 ||
                   read_plugin_env(&exec, &plugin->env, err) < 0
               ? -1
               : 0;
}

static void add_header(struct strvec *headers, const char *name, const char *value)
{
    strvec_pushf(headers, "%s: %s", name, value);
}

/* Whom the user wants to be taken for: leaving it out would be acting with other rights. */
static int read_impersonation(const struct kube_entry *entry, struct strvec *headers,
                              struct err *err)
{
    CLEANUP_STRVEC struct strvec groups = {0};
    const json_t *extra = json_object_get(entry->object, "as-user-extra");
    const char *as;
    const char *uid;
    const char *key;
    json_t *values;

    if (kube_entry_string(entry, "as", &as, err) < 0 ||
        kube_entry_string(entry, "as-uid", &uid, err) < 0 ||
        read_strings(entry, "as-groups", &groups, err) < 0)
        return -1;
    if (as)
        add_header(headers, "Impersonate-User", as);
    if (uid)
        add_header(headers, "Impersonate-Uid", uid);
    for (size_t i = 0; i < groups.len; i++)
        add_header(headers, "Impersonate-Group", groups.items[i]);
    json_object_foreach ((json_t *)extra, key, values) {
        CLEANUP_BUF struct buf name = BUF_INIT;
        const json_t *value;
        size_t i;

        buf_addstr(&name, "Impersonate-Extra-");
        http_escape(&name, key);
        json_array_foreach (values, i, value)
            add_header(headers, name.data, json_is_string(value) ? json_string_value(value) : "");
    }
    for (size_t i = 0; i < headers->len; i++) {
        if (strpbrk(headers->items[i], "\r\n"))
            return kube_entry_error(entry, err,
                                    "as, as-uid, as-groups or as-user-extra has a line "
                                    "end in it");
    }
    return 0;
}

static int read_secrets(const struct kube_entry *entry, struct kube_user *user, struct err *err)
{
    const char *token;
    const char *username;
    const char *password;

    if (kube_entry_string(entry, "token", &token, err) < 0 ||
        kube_entry_string(entry, "username", &username, err) < 0 ||
        kube_entry_string(entry, "password", &password, err) < 0 ||
        kube_entry_path(entry, "tokenFile", &user->token_file, err) < 0 ||
        kube_entry_pem(entry, "client-certificate", &user->cert_file, &user->cert_pem, err) < 0 ||
        kube_entry_pem(entry, "client-key", &user->key_file, &user->key_pem, err) < 0)
        return -1;
    if (token && strpbrk(token, "\r\n"))
        return kube_entry_error(entry, err, "the token has a line end in it");
    user->token = xstrdup_null(token);
    user->username = xstrdup_null(username);
    user->password = xstrdup_null(password);
    if (!(user->cert_file || user->cert_pem) != !(user->key_file || user->key_pem))
        return kube_entry_error(
            entry, err, "client-certificate and client-key belong together; one is missing");
    return 0;
}

int kube_user_read(const struct kube_entry *entry, const struct kube_entry *cluster,
                   struct kube_user **ret, struct err *err)
{
    CLEANUP_KUBE_USER struct kube_user *user = xcalloc(1, sizeof(*user));
    const json_t *provider = json_object_get(entry->object, "auth-provider");

    user->origin = xasprintf("user \"%s\" of %s", entry->name, entry->file);
    if (provider && !json_is_null(provider)) {
        const char *name = json_string_value(json_object_get(provider, "name"));

        return kube_entry_error(entry, err,
                                "auth-provider %s is not supported, nor by Kubernetes since 1.26; "
                                "use its exec plugin",
                                name ? name : "");
    }
    if (read_secrets(entry, user, err) < 0 || read_plugin(entry, cluster, &user->plugin, err) < 0 ||
        read_impersonation(entry, &user->impersonate, err) < 0)
        return -1;
    *ret = steal_ptr(&user);
    return 0;
}
