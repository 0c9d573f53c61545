/* libFuzzer harness: any bytes as a kubeconfig, as what a credential plugin prints, and as what a
 * server says at the end of a command or when it refuses.
 *
 *     build/fuzz/tests/fuzz_kube -max_len=2000 -timeout=5 corpus/ */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apis/kube/exec.h"
#include "apis/kube/internal.h"
#include "apis/kube/plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_message(const struct err *err)
{
    if (!err->message[0] || strchr(err->message, '\n'))
        abort();
}

static struct kube_cluster *config(const char *data, size_t len)
{
    CLEANUP_KUBE_CONFIG struct kube_config *loaded = NULL;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FD int fd = memfd_create("config", MFD_CLOEXEC);
    struct kube_cluster *cluster = NULL;
    struct kube_env env = {0};
    struct err err = ERR_INIT;

    if (fd < 0 || write(fd, data, len) != (ssize_t)len)
        abort();
    path = xasprintf("/proc/self/fd/%d", fd);
    env.file = path;
    if (kube_config_load(&env, &loaded, &err) < 0 ||
        kube_config_select(loaded, NULL, NULL, &cluster, &err) < 0)
        check_message(&err);
    return cluster;
}

static void answers(const char *data, size_t len)
{
    static const char text[] = "current-context: c\n"
                               "contexts: [{name: c, context: {cluster: k}}]\n"
                               "clusters: [{name: k, cluster: {server: 'https://k'}}]\n";
    CLEANUP_KUBE_CLUSTER struct kube_cluster *cluster = config(text, sizeof(text) - 1);
    struct kube_plugin plugin = {.api_version = (char *)"client.authentication.k8s.io/v1"};
    CLEANUP_KUBE_PLUGIN_RESULT struct kube_plugin_result given = {0};
    struct http_response response = {.status = 500, .body = BUF_INIT};
    struct kube_exec_result result;
    struct kube_status status;
    struct err err = ERR_INIT;

    if (kube_plugin_parse(&plugin, data, len, &given, &err) < 0)
        check_message(&err);
    if (kube_exec_parse_status(data, len, &result, &err) < 0)
        check_message(&err);
    buf_add(&response.body, data, len);
    kube_response_error(cluster, &response, &status, &err);
    check_message(&err);
    http_response_release(&response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    CLEANUP_BUF struct buf text = BUF_INIT;
    int64_t ms;

    buf_add(&text, data, len);
    kube_cluster_free(config(text.data, text.len));
    answers(text.data, text.len);
    (void)!clock_parse_rfc3339(text.data, &ms);
    return 0;
}
