#!/usr/bin/env bash
# The daemon's bad days, and the other ways to reach one: TLS, contexts, podman.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../env/env.sh"
fake=$(realpath "$(dirname "$0")/../fake")

declare -A case_timeout=([test_daemon_dies_in_mid_step]=120 [test_daemon_restarts_between_runs]=120
    [test_tcp_with_client_certificates]=120)

pipeline() {
    printf 'name: p\nimage: %s\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' \
        "${2:-busybox:1.36}" "$1" >p.yaml
}

# own_daemon NAME [tls]: a daemon of this test's own, with images, ended with the test.
own_daemon() {
    daemon=$1
    dockerd_start "$@"
    trap 'dockerd_stop "$daemon" >/dev/null 2>&1' EXIT
    images_ensure "$(dockerd_host "$1")" busybox:1.36
}

test_daemon_dies_in_mid_step() {
    own_daemon "dying-$script"
    pipeline '{name: a, command: "touch up; until [ -e go ]; do sleep 0.1; done; exit 0"}, {name: b, command: echo never}'
    export DOCKER_HOST
    DOCKER_HOST=$(dockerd_host "dying-$script")
    spawn "$RUNNER" exec --report json=r.json p.yaml
    wait_for 60 test -e up
    dockerd_kill "dying-$script"
    touch go
    finish
    assert_eq 1 "$status" "exit status"
    assert_not_contains "$stdout" never
    assert_eq "failed lost" "$(jq -r '.stages[0].jobs[0].steps[0] | "\(.status) \(.reason)"' r.json)"
    assert_contains "$stderr" "[step(1/2): a] contact with Docker is lost, trying to get it back: "
    assert_contains "$stderr" "; the daemon does not come back"
    assert_contains "$stderr" "its outcome is unknown"
    dockerd_start "dying-$script"
    assert_exit 0 "$RUNNER" reap --all
    assert_no_leftovers 10
}

test_daemon_restarts_between_runs() {
    own_daemon restarting
    export DOCKER_HOST
    DOCKER_HOST=$(dockerd_host restarting)
    pipeline '{name: a, command: echo one}'
    assert_exit 0 "$RUNNER" exec p.yaml
    dockerd_kill restarting
    assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "${DOCKER_HOST#unix://}"
    dockerd_start restarting
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] one"
}

test_tcp_with_client_certificates() {
    own_daemon secure tls
    export DOCKER_HOST DOCKER_CERT_PATH DOCKER_TLS_VERIFY=1
    DOCKER_HOST=$(dockerd_tcp secure)
    DOCKER_CERT_PATH=$(dockerd_certs secure)
    pipeline '{name: a, command: echo over-tls}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] over-tls"
    unset DOCKER_CERT_PATH DOCKER_TLS_VERIFY
    assert_exit 3 "$RUNNER" exec p.yaml
    DOCKER_HOST=$(dockerd_host secure)
}

test_docker_context() {
    local meta=$case_dir/home/.docker/contexts/meta/0000
    mkdir -p "$meta"
    printf '{"currentContext": "mine"}' >"$case_dir/home/.docker/config.json"
    printf '{"Name": "mine", "Metadata": {}, "Endpoints": {"docker": {"Host": "%s"}}}' \
        "$DOCKER_HOST" >"$meta/meta.json"
    local witness=$DOCKER_HOST
    unset DOCKER_HOST
    pipeline '{name: a, command: echo through-the-context}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "through-the-context"
    DOCKER_CONTEXT=none assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "none"
    export DOCKER_HOST=$witness
}

test_podman() {
    podman_take
    export DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST
    pipeline '{name: a, command: "echo here; exit 0"}, {name: b, command: "exit 6"}' busybox:1.36
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(1/2): a] here"
    assert_contains "$stderr" "[step(2/2): b] failed: exit code 6"
}

# By its own name, wherever DOCKER_HOST points.
test_engine_podman() {
    podman_take
    local -x CONTAINER_HOST=$RUNNER_TEST_PODMAN_HOST
    pipeline '{name: a, command: "echo here"}' busybox:1.36
    sed -i 's/^name: .*/&\nengine: podman/' p.yaml
    grep -q '^engine: podman' p.yaml
    assert_exit 0 "$RUNNER" exec --docker-host unix:///none.sock p.yaml
    assert_contains "$stdout" "a] here"
    assert_exit 0 "$RUNNER" doctor podman "podman://$RUNNER_TEST_PODMAN_HOST" "docker://$RUNNER_TEST_PODMAN_HOST"
    assert_match "$stdout" "ok +podman  .* at $RUNNER_TEST_PODMAN_HOST "
    assert_match "$stdout" "ok +podman://$RUNNER_TEST_PODMAN_HOST  .*"
    assert_match "$stdout" "ok +docker://$RUNNER_TEST_PODMAN_HOST  .*"
    CONTAINER_HOST='' XDG_RUNTIME_DIR=/nowhere assert_exit 3 unshare --mount bash -c 'mount -t tmpfs none /run && exec "$@"' - \
        "$RUNNER" doctor podman
    # shellcheck disable=SC2016
    assert_contains "$stdout" 'no podman was found: nothing is at ${CONTAINER_HOST}, unix://${XDG_RUNTIME_DIR}/podman/podman.sock, unix:///run/podman/podman.sock'
}

test_registry_too_busy_at_first() {
    coproc registry { python3 "$fake/registry.py" "$RUNNER_TEST_REGISTRY" 2; }
    local address
    read -r address <&"${registry[0]}"
    docker image rm -f "$address/busybox:1.36" >/dev/null 2>&1 || true
    pipeline '{name: a, command: echo pulled}' "$address/busybox:1.36"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "] pulled"
    assert_contains "$stderr" "failed, trying again: toomanyrequests"
    docker image rm -f "$address/busybox:1.36" >/dev/null
}

test_address_that_nobody_serves() {
    pipeline '{name: a, command: x}'
    DOCKER_HOST=ssh://host assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "ssh://"
    DOCKER_HOST=nonsense assert_exit 3 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "nonsense"
}

run_tests "$@"
