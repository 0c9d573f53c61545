#include "engine/kubernetes/kubernetes.h"

#include "engine/kubernetes/access.h"
#include "engine/kubernetes/check.h"
#include "engine/kubernetes/files.h"
#include "engine/kubernetes/place.h"
#include "engine/kubernetes/sweep.h"

const struct engine kubernetes_engine = {
    .name = "kubernetes",
    .capabilities = ENGINE_CONTAINERS | ENGINE_SERVICES | ENGINE_PODS,
    .connect = kubernetes_instance_connect,
    .disconnect = kubernetes_instance_disconnect,
    .probe = kubernetes_instance_probe,
    .mend = kubernetes_access_mend,
    .open = kubernetes_place_open,
    .run = kubernetes_place_run,
    .check = kubernetes_place_check,
    .shares_workspace = kubernetes_place_shares_workspace,
    .get = kubernetes_place_get,
    .put = kubernetes_place_put,
    .close = kubernetes_place_close,
    .sweep = kubernetes_sweep,
};
