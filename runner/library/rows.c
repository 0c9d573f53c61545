#include "library/rows.h"

#include "engine/deploy/deploy.h"
#include "engine/docker/docker.h"
#include "engine/host/host.h"
#include "engine/idp/idp.h"
#include "engine/kubernetes/kubernetes.h"
#include "engine/ssh/ssh.h"

const struct engine *const runner_engines[] = {&host_engine,  &docker_engine,    &kubernetes_engine,
                                               &ssh_engine,   &idp_engine,       &compose_engine,
                                               &swarm_engine, &manifests_engine, NULL};

const struct step_kind *const runner_step_kinds[] = {&step_kind_plugin,  &step_kind_language,
                                                     &step_kind_type,    &step_kind_deployment,
                                                     &step_kind_command, NULL};
