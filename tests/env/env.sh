# shellcheck shell=bash
# The whole test environment of one slot. Source this file for all functions of the folder.
#
#   env_up LANES [docker|kubernetes|all] [swarm]
#                    what a dead owner left is stopped, then everything is started; LANES is the
#                    number of docker daemons, lane0, lane1 …, so that scripts can run side by side.
#                    docker: without the cluster; kubernetes: the cluster and registries, nothing
#                    else; all: the cluster gets ready behind, kube_wait waits for it;
#                    swarm: a swarm of one node beside them
#   env_down         stops all of it
#   env_exports      the variables that tests get, as shell text

# shellcheck source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
# shellcheck source=slot.sh
source "$RUNNER_TEST_ENV/slot.sh"
# shellcheck source=docker.sh
source "$RUNNER_TEST_ENV/docker.sh"
# shellcheck source=images.sh
source "$RUNNER_TEST_ENV/images.sh"
# shellcheck source=kubernetes_build.sh
source "$RUNNER_TEST_ENV/kubernetes_build.sh"
# shellcheck source=go_build.sh
source "$RUNNER_TEST_ENV/go_build.sh"
# shellcheck source=compose_build.sh
source "$RUNNER_TEST_ENV/compose_build.sh"
# shellcheck source=agent_build.sh
source "$RUNNER_TEST_ENV/agent_build.sh"
# shellcheck source=kubernetes.sh
source "$RUNNER_TEST_ENV/kubernetes.sh"
# shellcheck source=registry.sh
source "$RUNNER_TEST_ENV/registry.sh"
# shellcheck source=podman.sh
source "$RUNNER_TEST_ENV/podman.sh"
# shellcheck source=s3.sh
source "$RUNNER_TEST_ENV/s3.sh"
# shellcheck source=swarm.sh
source "$RUNNER_TEST_ENV/swarm.sh"

# env_exports docker|kubernetes|all [swarm]
env_exports() {
    local name host
    local -a names=(RUNNER_TEST_CACHE RUNNER_TEST_ENV RUNNER_TEST_SLOT RUNNER_TEST_STATE
        RUNNER_TEST_REGISTRY RUNNER_TEST_AUTH_REGISTRY RUNNER_TEST_AUTH_USER
        RUNNER_TEST_AUTH_PASSWORD)
    registry_env
    if [[ $1 != docker ]]; then
        kube_env
        names+=(RUNNER_TEST_KUBECONFIG)
    fi
    if [[ $1 == kubernetes ]]; then
        host=$(kube_daemon_host)
    else
        host=$(dockerd_host lane0)
        podman_env
        s3_env
        names+=(RUNNER_TEST_PODMAN_HOST RUNNER_TEST_S3 RUNNER_TEST_S3_KEY RUNNER_TEST_S3_SECRET
            RUNNER_TEST_S3_DATA)
    fi
    if [[ ${2:-} == swarm ]]; then
        swarm_env
        names+=(RUNNER_TEST_SWARM)
    fi
    for name in "${names[@]}"; do
        printf 'export %s=%q\n' "$name" "${!name}"
    done
    printf 'export DOCKER_HOST=%q\n' "$host"
}

# Nothing of the caller's own docker configuration may reach the tests.
env_docker_client() {
    unset DOCKER_HOST DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
    export DOCKER_CONFIG=$RUNNER_TEST_STATE/docker-config
    mkdir -p "$DOCKER_CONFIG"
}

# A daemon with its images; image by image, so that what one lane builds the other loads.
env_lane_up() {
    dockerd_start "$1"
    touch "$(dockerd_dir "$1")/keep"
    dockerd_clean "$1"
    images_ensure "$(dockerd_host "$1")" "${images_small[@]}" debian:bookworm-slim
    touch "$RUNNER_TEST_STATE/$1.small"
    local -a jobs=()
    local tag
    for tag in "${images_large[@]}"; do
        images_ensure "$(dockerd_host "$1")" "$tag" &
        jobs+=($!)
    done
    wait_all "${jobs[@]}"
}

env_others_up() {
    registry_start
    podman_start
    wait_until 600 test -e "$RUNNER_TEST_STATE/lane0.small" || die "there are no images to push"
    registry_fill "$(dockerd_host lane0)"
    podman_load "${images_small[@]}"
}

env_lanes_up() {
    local lane
    local -a jobs=()
    for ((lane = 0; lane < $1; lane++)); do
        env_lane_up "lane$lane" &
        jobs+=($!)
    done
    env_others_up &
    jobs+=($!)
    s3_start &
    jobs+=($!)
    wait_all "${jobs[@]}"
}

# The cluster's daemon is the only one then.
env_cluster_up() {
    registry_start
    kube_wait
    registry_fill "$(kube_daemon_host)"
}

env_up() {
    local what=${2:-docker}
    env_down
    env_docker_client
    [[ $what == docker ]] || kube_begin
    if [[ $what == kubernetes ]]; then
        env_cluster_up
    else
        env_lanes_up "$1"
    fi || return 1
    [[ ${3:-} != swarm ]] || swarm_start || return 1
    env_exports "$what" "${3:-}" >"$RUNNER_TEST_STATE/exports"
}

env_down() {
    env_docker_client
    kube_stop
    swarm_stop
    dockerd_stop_all
    registry_stop
    podman_stop
    s3_stop
    rm -f "$RUNNER_TEST_STATE"/*.small "$RUNNER_TEST_STATE"/{kube,swarm,podman}.lock "$RUNNER_TEST_STATE"/runner-image* \
        "$RUNNER_TEST_STATE/exports"
}
