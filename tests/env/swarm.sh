# shellcheck shell=bash
# A swarm of one node: a Docker daemon of its own in a network namespace of its own. Swarm mode has
# fixed ports (7946, 4789) and a bridge with a fixed name (docker_gwbridge), so two such daemons, or one
# beside somebody else's, need namespaces; and inside one, dockerd may have its firewall rules.
#
#   swarm_start       daemon, swarm, images and registries; exports RUNNER_TEST_SWARM (unix://…)
#   swarm_inside COMMAND…   runs it in the namespace, where the published ports are
#   swarm_stop
#
# The registries of registry.sh are inside, too, at the same addresses with the same contents.

swarm_env() {
    RUNNER_TEST_SWARM=$(dockerd_host swarm)
    export RUNNER_TEST_SWARM
}

swarm_inside() { as_root nsenter -t "$(dockerd_pid swarm)" -n "$@"; }

swarm_config() {
    cat <<JSON
{
    "hosts": ["unix://$1/docker.sock"],
    "group": "$(id -gn)",
    "data-root": "$1/data",
    "exec-root": "$1/exec",
    "pidfile": "$1/docker.pid",
    "containerd": "$1/containerd/containerd.sock",
    "default-address-pools": [{"base": "10.214.0.0/16", "size": 26}],
    "shutdown-timeout": 5,
    "oom-score-adjust": 0,
    "node-generic-resources": ["runner-slot=one", "runner-slot=two"]
}
JSON
}

# swarm_daemon DIR: containerd and dockerd, with what they had when they ended.
swarm_daemon() {
    local dir=$1
    mkdir -p "$dir/containerd"
    if ! pidfile_pid "$dir/containerd.pid" >/dev/null; then
        containerd_config "$dir" >"$dir/containerd.toml"
        launch "$dir/containerd.pid" "$dir/containerd.log" containerd -c "$dir/containerd.toml"
        wait_until 20 test -S "$dir/containerd/containerd.sock" || dockerd_failed "$dir" containerd
    fi
    swarm_config "$dir" >"$dir/daemon.json"
    as_root rm -rf "$dir/docker.pid" "$dir/docker.sock"
    # shellcheck disable=SC2016
    launch "$dir/dockerd.pid" "$dir/dockerd.log" unshare --net sh -c '
        ip link set lo up && exec "$@"' sh dockerd --config-file "$dir/daemon.json"
    wait_until 60 dockerd_settled "$dir" || true
    dockerd_answers "$dir" || dockerd_failed "$dir" dockerd
}

# swarm_launch DIR: the same from the beginning: what a swarm that was killed has left would be joined
# again.
swarm_launch() {
    as_root rm -rf "$1/data/swarm" "$1/data/network"
    swarm_daemon "$1"
}

# swarm_begin NAME: one more swarm, without images and registries; swarm_again NAME starts its daemon
# after dockerd_kill, swarm_leave NAME is for before dockerd_stop.
swarm_begin() {
    swarm_launch "$(dockerd_dir "$1")"
    DOCKER_HOST=$(dockerd_host "$1") docker swarm init --advertise-addr 127.0.0.1 \
        --listen-addr 127.0.0.1:2377 >/dev/null || die "docker swarm init failed"
}
swarm_is_back() { DOCKER_HOST=$(dockerd_host "$1") docker node ls >/dev/null 2>&1; }
swarm_again() {
    swarm_daemon "$(dockerd_dir "$1")"
    wait_until 60 swarm_is_back "$1"
}
swarm_leave() {
    DOCKER_HOST=$(dockerd_host "$1") timeout 20 docker swarm leave --force >/dev/null 2>&1 || true
}

# swarm_registry NAME: a second process on what the registry outside has stored.
swarm_registry() {
    local dir=$RUNNER_TEST_STATE/registry/$1
    launch "$dir/swarm.pid" "$dir/swarm.log" nsenter -t "$(dockerd_pid swarm)" -n \
        docker-registry serve "$dir/config.yml"
}

swarm_registry_answers() {
    [[ $(swarm_inside curl -s -o /dev/null -m 2 -w '%{http_code}' "http://$1/v2/") == @(200|401) ]]
}

swarm_start() {
    local dir
    dir=$(dockerd_dir swarm)
    swarm_env
    registry_env
    pidfile_gone "$dir/dockerd.pid" || return 0
    swarm_launch "$dir"
    touch "$dir/keep"
    dockerd_clean swarm
    DOCKER_HOST=$RUNNER_TEST_SWARM docker swarm init --advertise-addr 127.0.0.1 \
        --listen-addr 127.0.0.1:2377 >/dev/null || die "docker swarm init failed"
    images_ensure "$RUNNER_TEST_SWARM" busybox:1.36
    swarm_registry open
    swarm_registry auth
    wait_until 20 swarm_registry_answers "$RUNNER_TEST_AUTH_REGISTRY" ||
        die "the registry inside the swarm's namespace does not answer"
}

swarm_stop() {
    local dir
    dir=$(dockerd_dir swarm)
    stop_pidfile "$RUNNER_TEST_STATE/registry/open/swarm.pid" 5
    stop_pidfile "$RUNNER_TEST_STATE/registry/auth/swarm.pid" 5
    [[ -d $dir ]] || return 0
    # Before the containers are removed: a swarm would start them again.
    ! dockerd_answers "$dir" || DOCKER_HOST=$(dockerd_host swarm) timeout 20 \
        docker swarm leave --force >/dev/null 2>&1 || true
}
