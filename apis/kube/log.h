/* Output of a container as the kubelet has kept it, standard output and error in one. It is not
 * complete for certain (the kubelet rotates it); what a step printed comes by exec. */
#pragma once

#include "apis/http/http.h"
#include "apis/kube/client.h"

struct kube_log_options {
    const char *container;  /* NULL: the only one */
    bool follow;            /* goes on until the container ends */
    bool previous;          /* of the container's last instance */
    bool timestamps;        /* each line begins with its time and a space */
    const char *since_time; /* RFC 3339; NULL: from the beginning */
    bool has_tail;
    int64_t tail_lines;
};

/* Gives the log to `write` as it comes; returns at its end. Another attempt is made only when
 * nothing was given yet. */
int kube_log(const struct ctx *ctx, struct kube_client *client, const char *ns, const char *pod,
             const struct kube_log_options *options, http_write_fn *write, void *arg,
             struct err *err) __attribute__((warn_unused_result));
