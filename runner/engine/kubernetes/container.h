/* A container of a pod as a remote: what is started there is an exec. */
#pragma once

#include "apis/kube/exec.h"
#include "engine/remote/remote.h"

struct container_remote {
    struct remote remote;
    struct kube_cluster *cluster; /* all are borrowed */
    const char *ns;
    const char *pod;
    const char *container;
};

/* `name` is for messages: POD/CONTAINER. */
void container_remote_init(struct container_remote *container, const char *name);
