#include "apis/kube/plugin.h"
#include "base/clock.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json_at.h"
#include "base/process.h"

enum { OUTPUT_MAX_BYTES = 1 << 20 };

void kube_plugin_result_release(struct kube_plugin_result *result)
{
    free(result->token);
    free(result->cert_pem);
    free(result->key_pem);
    *result = (struct kube_plugin_result){0};
}

static char *nonempty(const json_t *object, const char *path)
{
    const char *text = json_at_string(object, path);

    return *text ? xstrdup(text) : NULL;
}

static int read_status(const struct kube_plugin *plugin, const json_t *object,
                       struct kube_plugin_result *ret, struct err *err)
{
    CLEANUP_KUBE_PLUGIN_RESULT struct kube_plugin_result result = {
        .token = nonempty(object, "status.token"),
        .cert_pem = nonempty(object, "status.clientCertificateData"),
        .key_pem = nonempty(object, "status.clientKeyData"),
        .expires_ms = INT64_MAX,
    };
    const char *expires = json_at_string(object, "status.expirationTimestamp");

    if (strcmp(json_at_string(object, "apiVersion"), plugin->api_version) != 0 ||
        strcmp(json_at_string(object, "kind"), "ExecCredential") != 0)
        return err_set(err, ERR_DENIED, "it printed %s %s instead of %s ExecCredential",
                       json_at_string(object, "apiVersion"), json_at_string(object, "kind"),
                       plugin->api_version);
    if (!result.cert_pem != !result.key_pem)
        return err_set(err, ERR_DENIED,
                       "it gave only one of clientCertificateData and clientKeyData");
    if (!result.token && !result.cert_pem)
        return err_set(err, ERR_DENIED, "it gave neither a token nor a client certificate");
    if (result.token && strpbrk(result.token, "\r\n"))
        return err_set(err, ERR_DENIED, "it gave a token with a line end in it");
    if (*expires && clock_parse_rfc3339(expires, &result.expires_ms) < 0)
        return err_set(err, ERR_DENIED, "its expirationTimestamp %s is not RFC 3339", expires);
    *ret = result;
    result = (struct kube_plugin_result){0};
    return 0;
}

int kube_plugin_parse(const struct kube_plugin *plugin, const char *text, size_t len,
                      struct kube_plugin_result *ret, struct err *err)
{
    json_error_t where;
    json_t *object = json_loadb(text, len, 0, &where);
    int result;

    if (!object) /* not what it printed: that may be a secret */
        return err_set(err, ERR_DENIED, "what it printed is not JSON (line %d)", where.line);
    result = read_status(plugin, object, ret, err);
    json_decref(object);
    return result;
}

/* KUBERNETES_EXEC_INFO=… */
static void add_exec_info(const struct kube_plugin *plugin, struct strvec *env)
{
    json_t *spec = json_pack("{s:b}", "interactive", 0);
    json_t *info;
    char *text;

    if (plugin->cluster_info)
        json_object_set(spec, "cluster", plugin->cluster_info);
    info = json_pack("{s:s, s:s, s:o}", "apiVersion", plugin->api_version, "kind", "ExecCredential",
                     "spec", spec);
    text = json_dumps(info, JSON_COMPACT);
    strvec_pushf(env, "KUBERNETES_EXEC_INFO=%s", text);
    free(text);
    json_decref(info);
}

static bool is_overridden(const char *variable, const struct strvec *by)
{
    const size_t len = strcspn(variable, "=") + 1;

    for (size_t i = 0; i < by->len; i++) {
        if (strncmp(by->items[i], variable, len) == 0)
            return true;
    }
    return strncmp(variable, "KUBERNETES_EXEC_INFO=", len) == 0;
}

static int not_started(const struct kube_plugin *plugin, const char *origin, struct err *err)
{
    if (err && err->code == ERR_NOT_FOUND && plugin->install_hint)
        return err_set(err, ERR_DENIED, "%s: the credential plugin %s is not installed: %s", origin,
                       plugin->command, plugin->install_hint);
    return err_wrap(err, "%s: credential plugin", origin);
}

int kube_plugin_run(const struct ctx *ctx, const struct kube_plugin *plugin, const char *origin,
                    struct kube_plugin_result *ret, struct err *err)
{
    CLEANUP_STRVEC struct strvec argv = {0};
    CLEANUP_STRVEC struct strvec env = {0};
    CLEANUP_BUF struct buf output = BUF_INIT;
    CLEANUP_BUF struct buf errors = BUF_INIT;
    struct process_options options = PROCESS_OPTIONS_INIT;
    int status;
    int result;

    strvec_push(&argv, plugin->command);
    strvec_extend(&argv, plugin->args.items);
    for (char **variable = environ; *variable; variable++) {
        if (!is_overridden(*variable, &plugin->env))
            strvec_push(&env, *variable);
    }
    strvec_extend(&env, plugin->env.items);
    add_exec_info(plugin, &env);
    options.argv = (const char *const *)argv.items;
    options.envp = (const char *const *)env.items;
    options.new_session = true;
    if (process_run(ctx, &options, "", &output, OUTPUT_MAX_BYTES, &errors, &status, err) < 0)
        return not_started(plugin, origin, err);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_DENIED, "%s: the credential plugin %s failed (%s %d): %s", origin,
                       plugin->command, WIFEXITED(status) ? "exit code" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), errors.data);
    result = kube_plugin_parse(plugin, output.data, output.len, ret, err);
    explicit_bzero(output.data, output.len);
    return result < 0 ? err_wrap(err, "%s: the credential plugin %s", origin, plugin->command) : 0;
}
