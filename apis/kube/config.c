/* Files are read into jansson values: keys that only newer programs know are passed over, and all
 * that is left to do is to merge the three lists by name. */
#include "apis/kube/config_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/fs.h"
#include "base/percent.h"
#include "yaml/yaml_json.h"

enum { FILE_MAX_BYTES = 16 << 20 };

#define SERVICE_ACCOUNT_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

void kube_env_read(struct kube_env *ret)
{
    *ret = (struct kube_env){
        .kubeconfig = getenv("KUBECONFIG"),
        .home = getenv("HOME"),
        .service_host = getenv("KUBERNETES_SERVICE_HOST"),
        .service_port = getenv("KUBERNETES_SERVICE_PORT"),
    };
}

void kube_config_free(struct kube_config *config)
{
    if (!config)
        return;
    json_decref(config->clusters);
    json_decref(config->users);
    json_decref(config->contexts);
    free(config->current_context);
    free(config->files);
    free(config->pod_server);
    free(config->pod_dir);
    free(config);
}

/* --- entries --- */

int kube_entry_error(const struct kube_entry *entry, struct err *err, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return err_set(err, ERR_INVALID, "%s: %s \"%s\": %s", entry->file, entry->kind, entry->name,
                   text);
}

int kube_entry_string(const struct kube_entry *entry, const char *key, const char **ret,
                      struct err *err)
{
    const json_t *value = json_object_get(entry->object, key);

    *ret = NULL;
    if (!value || json_is_null(value))
        return 0;
    if (!json_is_string(value))
        return kube_entry_error(entry, err, "%s is not a string; put it into quotes", key);
    *ret = json_string_length(value) ? json_string_value(value) : NULL;
    return 0;
}

int kube_entry_bool(const struct kube_entry *entry, const char *key, bool *ret, struct err *err)
{
    const json_t *value = json_object_get(entry->object, key);

    *ret = json_is_true(value);
    if (value && !json_is_boolean(value) && !json_is_null(value))
        return kube_entry_error(entry, err, "%s is neither true nor false", key);
    return 0;
}

int kube_entry_path(const struct kube_entry *entry, const char *key, char **ret, struct err *err)
{
    const char *value;
    const char *slash = strrchr(entry->file, '/'); /* the path is absolute */
    CLEANUP_FREE char *dir = xstrndup(entry->file, (size_t)(slash - entry->file));

    if (kube_entry_string(entry, key, &value, err) < 0)
        return -1;
    *ret = value ? fs_join(dir, value) : NULL;
    return 0;
}

int kube_entry_pem(const struct kube_entry *entry, const char *key, char **ret_file, char **ret_pem,
                   struct err *err)
{
    CLEANUP_FREE char *data_key = xasprintf("%s-data", key);
    CLEANUP_BUF struct buf pem = BUF_INIT;
    CLEANUP_FREE char *file = NULL;
    const char *data;

    if (kube_entry_string(entry, data_key, &data, err) < 0)
        return -1;
    if (data) {
        if (base64_decode(&pem, data, NULL) < 0 || !strstr(pem.data, "-----BEGIN "))
            return kube_entry_error(entry, err, "%s is not PEM in base64", data_key);
        *ret_pem = buf_steal(&pem);
        return 0;
    }
    if (kube_entry_path(entry, key, &file, err) < 0)
        return -1;
    if (file && access(file, R_OK) < 0)
        return kube_entry_error(entry, err, "%s: cannot read %s: %m", key, file);
    *ret_file = steal_ptr(&file);
    return 0;
}

/* --- files --- */

static int parse_file(const char *path, const struct buf *text, json_t **ret, struct err *err)
{
    CLEANUP_DIAG_LIST struct diag_list diags = {0};
    CLEANUP_YAML_TREE struct yaml_tree *tree = yaml_tree_parse(text->data, text->len, NULL, &diags);
    const struct yaml_node *root = tree ? yaml_tree_root(tree) : NULL;

    if (!tree || diags.error_count)
        return err_set(err, ERR_INVALID, "%s:%u:%u: %s", path, diags.items[0].pos.line,
                       diags.items[0].pos.column, diags.items[0].message);
    *ret = root && !yaml_node_is_null(root) ? yaml_node_to_json(root) : json_object();
    if (!json_is_object(*ret)) {
        json_decref(*ret);
        return err_set(err, ERR_INVALID, "%s: it is not a kubeconfig file, which is a map", path);
    }
    return 0;
}

/* Adds one list of a file; what an earlier file has stays. */
static int merge_list(const char *path, const json_t *file, const char *list, const char *member,
                      json_t *into, struct err *err)
{
    const json_t *from = json_object_get(file, list);
    CLEANUP_STRMAP struct strmap seen = {0};
    const json_t *item;
    size_t i;

    if (from && !json_is_array(from) && !json_is_null(from))
        return err_set(err, ERR_INVALID, "%s: %s is not a list", path, list);
    json_array_foreach (from, i, item) {
        const char *name = json_string_value(json_object_get(item, "name"));
        json_t *entry = json_object_get(item, member);

        if (!name)
            return err_set(err, ERR_INVALID, "%s: %s[%zu] has no name, which must be a string",
                           path, list, i);
        if (entry && !json_is_object(entry) && !json_is_null(entry))
            return err_set(err, ERR_INVALID, "%s: %s[%zu].%s is not a map", path, list, i, member);
        if (strmap_has(&seen, name))
            return err_set(err, ERR_INVALID, "%s: two %s are named \"%s\"; rename or remove one",
                           path, list, name);
        strmap_set(&seen, name, "");
        if (!json_object_get(into, name))
            json_object_set_new(into, name, json_pack("{s:s, s:O?}", "file", path, "entry", entry));
    }
    return 0;
}

static int merge_file(struct kube_config *config, const char *path, const json_t *file,
                      struct err *err)
{
    const char *kind = json_string_value(json_object_get(file, "kind"));
    const json_t *current = json_object_get(file, "current-context");
    char *files;

    if (kind && strcmp(kind, "Config") != 0)
        return err_set(err, ERR_INVALID,
                       "%s: it is not a kubeconfig file: its kind is %s, not Config", path, kind);
    if (current && !json_is_string(current) && !json_is_null(current))
        return err_set(err, ERR_INVALID, "%s: current-context is not a string", path);
    if (json_string_length(current) && !config->current_context)
        config->current_context = xstrdup(json_string_value(current));
    files =
        xasprintf("%s%s%s", config->files ? config->files : "", config->files ? ", " : "", path);
    free(config->files);
    config->files = files;
    return merge_list(path, file, "clusters", "cluster", config->clusters, err) < 0 ||
                   merge_list(path, file, "users", "user", config->users, err) < 0 ||
                   merge_list(path, file, "contexts", "context", config->contexts, err) < 0
               ? -1
               : 0;
}

/* A file that is not there is passed over unless it must be. */
static int load_file(struct kube_config *config, const char *path, bool required, struct err *err)
{
    CLEANUP_FREE char *absolute = fs_absolute(path);
    CLEANUP_BUF struct buf text = BUF_INIT;
    json_t *file = NULL;
    int result;

    if (!required && !fs_exists(absolute))
        return 0;
    if (fs_read_file(absolute, FILE_MAX_BYTES, &text, err) < 0) {
        if (err && err->code == ERR_NOT_FOUND)
            err->code = ERR_INVALID;
        return err_wrap(err, "kubeconfig");
    }
    if (parse_file(absolute, &text, &file, err) < 0)
        return -1;
    result = merge_file(config, absolute, file, err);
    json_decref(file);
    return result;
}

static int load_list(struct kube_config *config, const char *list, struct err *err)
{
    while (*list) {
        size_t len = strcspn(list, ":");
        CLEANUP_FREE char *path = xstrndup(list, len);

        if (len && load_file(config, path, false, err) < 0)
            return -1;
        list += len + (list[len] == ':');
    }
    return 0;
}

static bool is_set(const char *text)
{
    return text && *text;
}

static int load_files(const struct kube_env *env, struct kube_config *config, struct err *err)
{
    CLEANUP_FREE char *home = NULL;

    if (env->file)
        return load_file(config, env->file, true, err);
    if (is_set(env->kubeconfig))
        return load_list(config, env->kubeconfig, err);
    if (!is_set(env->home))
        return 0;
    home = xasprintf("%s/.kube/config", env->home);
    return load_file(config, home, false, err);
}

static void load_pod(const struct kube_env *env, struct kube_config *config)
{
    bool ipv6 = strchr(env->service_host, ':') && *env->service_host != '[';

    config->pod_server = xasprintf("https://%s%s%s:%s", ipv6 ? "[" : "", env->service_host,
                                   ipv6 ? "]" : "", env->service_port);
    config->pod_dir =
        xstrdup(env->service_account_dir ? env->service_account_dir : SERVICE_ACCOUNT_DIR);
}

int kube_config_load(const struct kube_env *env, struct kube_config **ret, struct err *err)
{
    CLEANUP_KUBE_CONFIG struct kube_config *config = xcalloc(1, sizeof(*config));

    config->clusters = json_object();
    config->users = json_object();
    config->contexts = json_object();
    if (load_files(env, config, err) < 0)
        return -1;
    if (!config->files) {
        if (is_set(env->kubeconfig))
            return err_set(err, ERR_NOT_FOUND, "none of the files that KUBECONFIG names exists: %s",
                           env->kubeconfig);
        if (!is_set(env->service_host) || !is_set(env->service_port))
            return err_set(err, ERR_NOT_FOUND,
                           "no Kubernetes cluster is configured: there is no %s/.kube/config, and "
                           "this is no pod of one; name a file with KUBECONFIG or --kubeconfig",
                           is_set(env->home) ? env->home : "~");
        load_pod(env, config);
    }
    *ret = steal_ptr(&config);
    return 0;
}

/* --- k8s://CONTEXT/NAMESPACE --- */

static char *decoded(const char *text, size_t len)
{
    CLEANUP_BUF struct buf out = BUF_INIT;

    if (!len)
        return NULL;
    percent_decode(text, len, &out);
    return buf_steal(&out);
}

int kube_config_address(const struct kube_config *config, const char *address, char **ret_context,
                        char **ret_ns, struct err *err)
{
    static const char scheme[] = "k8s://";
    const char *rest = address + sizeof(scheme) - 1;
    const char *slash;
    CLEANUP_FREE char *whole = NULL;

    if (strncmp(address, scheme, sizeof(scheme) - 1) != 0)
        return err_set(err, ERR_INVALID, "\"%s\" is not k8s://CONTEXT/NAMESPACE", address);
    slash = strrchr(rest, '/');
    whole = decoded(rest, strlen(rest));
    if (!slash || (whole && json_object_get(config->contexts, whole))) {
        *ret_context = steal_ptr(&whole);
        *ret_ns = NULL;
        return 0;
    }
    *ret_context = decoded(rest, (size_t)(slash - rest));
    *ret_ns = decoded(slash + 1, strlen(slash + 1));
    return 0;
}
