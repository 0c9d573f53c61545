#include "apis/kube/log.h"

#include <inttypes.h>

#include "apis/kube/internal.h"

int kube_log(const struct ctx *ctx, struct kube_client *client, const char *ns, const char *pod,
             const struct kube_log_options *o, http_write_fn *write, void *arg, struct err *err)
{
    const struct kube_ref ref = {
        .api_version = "v1", .resource = "pods", .ns = ns, .name = pod, .subresource = "log"};
    CLEANUP_BUF struct buf path = BUF_INIT;
    struct kube_request request = {.method = "GET", .write = write, .write_arg = arg};
    char lines[24];

    snprintf(lines, sizeof(lines), "%" PRId64, o->tail_lines);
    kube_ref_path(&path, &ref);
    kube_add_query(&path, "container", o->container);
    kube_add_query(&path, "follow", o->follow ? "true" : NULL);
    kube_add_query(&path, "previous", o->previous ? "true" : NULL);
    kube_add_query(&path, "timestamps", o->timestamps ? "true" : NULL);
    kube_add_query(&path, "sinceTime", o->since_time);
    kube_add_query(&path, "tailLines", o->has_tail ? lines : NULL);
    request.path = path.data;
    return kube_call(ctx, client, &request, NULL, err);
}
