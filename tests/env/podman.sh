# shellcheck shell=bash
# A second implementation of the Docker API: podman's service with storage of its own, in network
# and mount namespaces of its own. Its bridge and firewall chains have fixed names that a user's
# podman has too; so kept apart, nothing of it remains. Its containers reach each other, by name too,
# but neither this machine nor the world: images are loaded, not pulled.
#
#   podman_start      exports RUNNER_TEST_PODMAN_HOST (unix://…)
#   podman_load TAG…  test images from the cache
#   podman_stop

podman_dir() { echo "$RUNNER_TEST_STATE/podman"; }

podman_env() {
    RUNNER_TEST_PODMAN_HOST=unix://$(podman_dir)/podman.sock
    export RUNNER_TEST_PODMAN_HOST
}


# Podman asks for limits above the caller's, which takes a capability that not every root has.
podman_config() {
    cat <<TOML
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$1/tmp"
volume_path = "$1/volumes"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
default_sysctls = []
log_driver = "k8s-file"
[network]
network_backend = "netavark"
network_config_dir = "$1/networks"
TOML
}

podman_answers() {
    [[ $(curl -fsS -m 2 --unix-socket "$(podman_dir)/podman.sock" http://d/_ping 2>/dev/null) == OK ]]
}

podman_start() {
    local dir
    dir=$(podman_dir)
    mkdir -p "$dir/networks"
    podman_env
    podman_config "$dir" >"$dir/containers.conf"
    # shellcheck disable=SC2016
    launch "$dir/podman.pid" "$dir/podman.log" env CONTAINERS_CONF="$dir/containers.conf" \
        unshare --net --mount sh -c '
            ip link set lo up && mkdir -p /var/lib/cni && mount -t tmpfs none /var/lib/cni &&
            exec "$@"' sh \
        podman --root "$dir/data" --runroot "$dir/run" --storage-driver overlay \
        system service --time 0 "$RUNNER_TEST_PODMAN_HOST"
    # The caller may use the socket, root or not.
    wait_until 20 test -S "$dir/podman.sock" &&
        as_root chown "$(id -u):$(id -g)" "$dir/podman.sock"
    if ! wait_until 20 podman_answers; then
        tail -n 25 "$dir/podman.log" >&2
        die "podman does not answer"
    fi
}

podman_load() {
    local tag
    for tag; do
        DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST docker load -q -i "$(images_tarball "$tag")" >/dev/null
    done
}

podman_stop() {
    local dir
    dir=$(podman_dir)
    [[ -d $dir ]] || return 0
    podman_env
    if podman_answers; then
        podman_clean || say "podman would not remove everything"
    fi
    stop_pidfile "$dir/podman.pid" 5
    kill_helpers conmon "$dir/"
    kill_helpers aardvark-dns "$dir/"
    as_root rm -rf "$dir"
}

podman_clean() {
    local -x DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST
    local -a ids
    mapfile -t ids < <(docker ps -aq)
    ((${#ids[@]} == 0)) || docker rm -fv "${ids[@]}" >/dev/null
    docker network prune -f >/dev/null
}
