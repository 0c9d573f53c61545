#include "engine/kubernetes/address.h"

#include <string.h>

#include "apis/http/http.h"
#include "apis/kube/config.h"
#include "base/alloc.h"
#include "base/fs.h"
#include "base/percent.h"

#define SCHEME     "k8s://"
#define KUBECONFIG "?kubeconfig="

/* "k8s://CONTEXT/NAMESPACE?kubeconfig=FILES", as a journal has it, names the files, too. */
static void read_address(const char *url, char **ret_address, char **ret_files)
{
    const char *query = strstr(url, KUBECONFIG);
    struct buf files = BUF_INIT;

    *ret_files = NULL;
    *ret_address = query ? xstrndup(url, (size_t)(query - url)) : xstrdup(url);
    if (!query)
        return;
    query += strlen(KUBECONFIG);
    percent_decode(query, strlen(query), &files);
    *ret_files = buf_steal(&files);
}

/* Files with colons between; whoever reads a journal may be in another directory. */
static void note_files(struct buf *noted, const char *files)
{
    CLEANUP_FREE char *copy = xstrdup(files);
    const char *between = KUBECONFIG;
    char *rest = copy;
    char *file;

    while ((file = strsep(&rest, ":"))) {
        CLEANUP_FREE char *absolute = *file ? fs_absolute(file) : NULL;

        if (!absolute)
            continue;
        buf_addstr(noted, between);
        http_escape(noted, absolute);
        between = "%3A";
    }
}

int kubernetes_find_cluster(const struct engine_services *services, const char *url,
                            struct kube_cluster **ret, char **ret_endpoint, struct err *err)
{
    CLEANUP_KUBE_CONFIG struct kube_config *config = NULL;
    CLEANUP_FREE char *address = NULL;
    CLEANUP_FREE char *files = NULL;
    CLEANUP_FREE char *context = NULL;
    CLEANUP_FREE char *ns = NULL;
    CLEANUP_BUF struct buf noted = BUF_INIT;
    struct kube_env env;

    read_address(url, &address, &files);
    kube_env_read(&env);
    env.file = files ? NULL : services->kubeconfig;
    if (files)
        env.kubeconfig = files;
    if (kube_config_load(&env, &config, err) < 0)
        return -1;
    if (strncmp(address, SCHEME, strlen(SCHEME)) == 0 &&
        kube_config_address(config, address, &context, &ns, err) < 0)
        return -1;
    if (kube_config_select(config, context ? context : services->context, ns ? ns : services->ns,
                           ret, err) < 0)
        return -1;
    buf_addstr(&noted, SCHEME);
    http_escape(&noted, kube_cluster_context(*ret));
    if (env.file || env.kubeconfig)
        note_files(&noted, env.file ? env.file : env.kubeconfig);
    *ret_endpoint = buf_steal(&noted);
    return 0;
}
