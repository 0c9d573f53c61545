/* From merged kubeconfig files, or a pod's service account, to one cluster and user. */
#include <string.h>
#include <unistd.h>

#include "apis/kube/config_internal.h"
#include "apis/kube/credentials.h"
#include "base/alloc.h"
#include "base/fs.h"

enum { NAMESPACE_MAX_BYTES = 4096 };

void kube_cluster_free(struct kube_cluster *cluster)
{
    if (!cluster)
        return;
    free(cluster->context);
    free(cluster->ns);
    free(cluster->server);
    free(cluster->peer);
    free(cluster->ca_file);
    free(cluster->ca_pem);
    free(cluster->tls_server_name);
    free(cluster->proxy);
    kube_credentials_free(cluster->credentials);
    free(cluster);
}

const char *kube_cluster_server(const struct kube_cluster *cluster)
{
    return cluster->server;
}

const char *kube_cluster_namespace(const struct kube_cluster *cluster)
{
    return cluster->ns;
}

const char *kube_cluster_context(const struct kube_cluster *cluster)
{
    return cluster->context;
}

/* --- from files --- */

static void add_names(const json_t *entries, struct buf *out)
{
    const char *name;
    json_t *entry;

    json_object_foreach ((json_t *)entries, name, entry) {
        buf_addf(out, "%s%s", out->len ? ", " : "", name);
    }
}

static int find_context(const struct kube_config *config, const char *name, struct kube_entry *ret,
                        struct err *err)
{
    CLEANUP_BUF struct buf names = BUF_INIT;
    const json_t *found;

    add_names(config->contexts, &names);
    if (!name)
        name = config->current_context;
    if (!name)
        return err_set(err, ERR_INVALID,
                       "%s: no current-context is set; choose one of the contexts: %s",
                       config->files, names.len ? names.data : "there are none");
    found = json_object_get(config->contexts, name);
    if (!found)
        return err_set(err, ERR_INVALID, "%s: there is no context \"%s\"; there %s", config->files,
                       name, names.len ? names.data : "are none");
    *ret = (struct kube_entry){.file = json_string_value(json_object_get(found, "file")),
                               .kind = "context",
                               .name = name,
                               .object = json_object_get(found, "entry")};
    return 0;
}

/* The cluster or user that a context names; *ret is untouched when it names none. */
static int find_named(const struct kube_entry *context, const char *kind, const json_t *entries,
                      struct kube_entry *ret, struct err *err)
{
    const char *name;
    const json_t *found;

    if (kube_entry_string(context, kind, &name, err) < 0)
        return -1;
    if (!name)
        return 0;
    found = json_object_get(entries, name);
    if (!found)
        return kube_entry_error(context, err, "there is no %s \"%s\"", kind, name);
    *ret = (struct kube_entry){.file = json_string_value(json_object_get(found, "file")),
                               .kind = kind,
                               .name = name,
                               .object = json_object_get(found, "entry")};
    return 0;
}

static int check_server(const struct kube_entry *entry, const char *server, struct err *err)
{
    if (!server)
        return kube_entry_error(entry, err, "it has no server");
    if (strncmp(server, "https://", 8) != 0 && strncmp(server, "http://", 7) != 0)
        return kube_entry_error(entry, err, "its server is \"%s\", which is no https:// URL",
                                server);
    return 0;
}

static char *without_slash(const char *url)
{
    size_t len = strlen(url);

    while (len && url[len - 1] == '/')
        len--;
    return xstrndup(url, len);
}

static int read_cluster(const struct kube_entry *entry, struct kube_cluster *cluster,
                        struct err *err)
{
    const char *server;
    const char *tls_server_name;
    const char *proxy;

    if (kube_entry_string(entry, "server", &server, err) < 0 ||
        kube_entry_string(entry, "tls-server-name", &tls_server_name, err) < 0 ||
        kube_entry_string(entry, "proxy-url", &proxy, err) < 0 ||
        kube_entry_bool(entry, "insecure-skip-tls-verify", &cluster->insecure, err) < 0 ||
        kube_entry_pem(entry, "certificate-authority", &cluster->ca_file, &cluster->ca_pem, err) <
            0 ||
        check_server(entry, server, err) < 0)
        return -1;
    if (cluster->insecure && (cluster->ca_file || cluster->ca_pem))
        return kube_entry_error(entry, err,
                                "a certificate-authority and insecure-skip-tls-verify exclude each "
                                "other; remove one");
    cluster->server = without_slash(server);
    cluster->tls_server_name = xstrdup_null(tls_server_name);
    cluster->proxy = xstrdup_null(proxy);
    return 0;
}

static int select_files(const struct kube_config *config, const char *context_name,
                        struct kube_cluster *cluster, struct kube_user **ret_user,
                        const char **ret_ns, struct err *err)
{
    struct kube_entry context;
    struct kube_entry cluster_entry = {0};
    struct kube_entry user_entry = {0};

    if (find_context(config, context_name, &context, err) < 0 ||
        find_named(&context, "cluster", config->clusters, &cluster_entry, err) < 0 ||
        find_named(&context, "user", config->users, &user_entry, err) < 0 ||
        kube_entry_string(&context, "namespace", ret_ns, err) < 0)
        return -1;
    if (!cluster_entry.name)
        return kube_entry_error(&context, err, "it names no cluster");
    if (!user_entry.name)
        user_entry =
            (struct kube_entry){.file = context.file, .kind = "context", .name = context.name};
    cluster->context = xstrdup(context.name);
    return read_cluster(&cluster_entry, cluster, err) < 0 ||
                   kube_user_read(&user_entry, &cluster_entry, ret_user, err) < 0
               ? -1
               : 0;
}

/* --- in a pod --- */

static int select_pod(const struct kube_config *config, const char *context,
                      struct kube_cluster *cluster, struct kube_user **ret_user, struct err *err)
{
    struct kube_user *user;

    if (context)
        return err_set(err, ERR_INVALID,
                       "there is no context \"%s\": this pod has no kubeconfig file, only its own "
                       "cluster; leave the context out or name a file with KUBECONFIG",
                       context);
    user = *ret_user = xcalloc(1, sizeof(**ret_user));
    user->origin = xasprintf("the service account of %s", config->pod_dir);
    user->token_file = xasprintf("%s/token", config->pod_dir);
    if (access(user->token_file, R_OK) < 0)
        return err_errno(err,
                         "in a pod of Kubernetes, but its service account cannot be used (does the "
                         "pod have automountServiceAccountToken: false?): cannot read %s",
                         user->token_file);
    cluster->context = xstrdup("");
    cluster->server = xstrdup(config->pod_server);
    cluster->ca_file = xasprintf("%s/ca.crt", config->pod_dir);
    return 0;
}

static char *pod_namespace(const struct kube_config *config)
{
    CLEANUP_FREE char *path = xasprintf("%s/namespace", config->pod_dir);
    CLEANUP_BUF struct buf text = BUF_INIT;
    size_t len;

    if (fs_read_file(path, NAMESPACE_MAX_BYTES, &text, NULL) < 0)
        return NULL;
    len = strcspn(text.data, " \t\r\n");
    return len ? xstrndup(text.data, len) : NULL;
}

int kube_config_select(const struct kube_config *config, const char *context, const char *ns,
                       struct kube_cluster **ret, struct err *err)
{
    CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = xcalloc(1, sizeof(*cluster));
    CLEANUP_KUBE_USER struct kube_user *user = NULL;
    CLEANUP_FREE char *own_ns = NULL;
    const char *context_ns = NULL;

    if (config->pod_server) {
        if (select_pod(config, context, cluster, &user, err) < 0)
            return -1;
        context_ns = own_ns = pod_namespace(config);
    } else if (select_files(config, context, cluster, &user, &context_ns, err) < 0) {
        return -1;
    }
    cluster->ns = xstrdup(ns ? ns : context_ns ? context_ns : "default");
    cluster->peer = xasprintf("the Kubernetes API at %s", cluster->server);
    if (kube_credentials_new(steal_ptr(&user), &cluster->credentials, err) < 0)
        return -1;
    *ret = steal_ptr(&cluster);
    return 0;
}
