#!/usr/bin/env bash
# The test environment itself: what the other scripts rely on is there and is what it claims to be.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"

declare -A case_timeout=([test_second_daemon_dies_and_returns]=120)

test_images() {
    local tag
    for tag in $(images_all); do
        assert_exit 0 docker image inspect "$tag"
    done
    assert_exit 0 docker run --rm --network none node:16 node -e 'console.log(6 * 7)'
    assert_eq 42 "$stdout"
    assert_exit 0 docker run --rm --network none python:3.12 python -c 'print(6 * 7)'
    assert_eq 42 "$stdout"
    assert_exit 0 docker run --rm --network none golang:1.22 go version
    assert_contains "$stdout" "go version"
    # shellcheck disable=SC2016
    assert_exit 0 docker run --rm --network none runner-test/entrypoint:1 \
        sh -c 'echo "$FROM_ENTRYPOINT"'
    assert_eq "entrypoint: 3 arguments
yes" "$stdout"
    assert_exit 3 docker run --rm --network none runner-test/noshell:1 /hello 3
    assert_exit 0 docker run --rm --network none runner-test/nonroot:1 id -u
    assert_eq 1000 "$stdout"
    assert_exit 4 docker run --rm -e PIPELINE_PLUGIN_SETTINGS_EXIT_CODE=4 runner-test/plugin:1 \
        /pipeline/plugin/run
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_EXIT_CODE=4"
}

test_open_registry() {
    assert_exit 0 docker pull -q "$RUNNER_TEST_REGISTRY/runner-test/pulled:1"
    assert_exit 0 docker rmi "$RUNNER_TEST_REGISTRY/runner-test/pulled:1"
}

test_registry_with_password() {
    local image=$RUNNER_TEST_AUTH_REGISTRY/private/pulled:1
    assert_exit 1 docker pull -q "$image"
    assert_contains "$stderr" "no basic auth credentials"
    assert_exit 0 docker login -u "$RUNNER_TEST_AUTH_USER" -p "$RUNNER_TEST_AUTH_PASSWORD" \
        "$RUNNER_TEST_AUTH_REGISTRY"
    assert_exit 0 docker pull -q "$image"
    assert_exit 0 docker rmi "$image"
}

test_published_port() {
    local id port
    id=$(docker run -d -p 127.0.0.1::8000 busybox:1.36 sh -c 'echo hello >/f; httpd -f -p 8000 -h /')
    port=$(docker port "$id" 8000)
    wait_for 20 curl -fsS "http://$port/f"
    docker rm -f "$id" >/dev/null
}

test_podman() {
    local -x DOCKER_HOST=$RUNNER_TEST_PODMAN_HOST
    local id
    id=$(docker run -d busybox:1.36 sh -c 'echo hello; exit 7')
    assert_exit 0 docker wait "$id"
    assert_eq 7 "$stdout"
    assert_exit 0 docker logs "$id"
    assert_eq hello "$stdout"
    docker rm -f "$id" >/dev/null
}

test_tls_daemon() {
    local -x DOCKER_CERT_PATH DOCKER_TLS_VERIFY=1
    dockerd_start "tls-$script" tls
    DOCKER_CERT_PATH=$(dockerd_certs "tls-$script")
    assert_exit 0 docker -H "$(dockerd_tcp "tls-$script")" version
    DOCKER_CERT_PATH=$case_dir
    assert_exit 1 docker -H "$(dockerd_tcp "tls-$script")" version
    dockerd_stop "tls-$script"
}

test_second_daemon_dies_and_returns() {
    dockerd_start second
    local -x DOCKER_HOST
    DOCKER_HOST=$(dockerd_host second)
    images_ensure "$DOCKER_HOST" busybox:1.36
    docker run -d --name sleeper busybox:1.36 sleep 1000 >/dev/null
    dockerd_kill second
    assert_exit 1 docker ps
    dockerd_start second
    assert_exit 0 docker ps -a --format '{{.Names}} {{.State}}'
    assert_eq "sleeper exited" "$stdout"
    dockerd_stop second
}

no_leftovers() { [[ -z $(leftovers) ]]; }

test_leftovers_are_seen() {
    local id
    id=$(docker run -d --label dev.runner.run=x --network none busybox:1.36 sleep 1000)
    assert_contains "$(leftovers)" "container ${id:0:12}"
    docker rm -f "$id" >/dev/null
    docker volume create --label dev.runner.run=x left >/dev/null
    assert_eq "volume left" "$(leftovers)"
    docker volume rm left >/dev/null
    docker network create --label dev.runner.run=x left >/dev/null
    assert_contains "$(leftovers)" "network"
    docker network rm left >/dev/null
    # setsid: a process that has left the group of its parent.
    run setsid -f sleep 1000
    assert_match "$(leftovers)" '^process [0-9]+ sleep 1000'
    kill "$(case_processes)"
    wait_for 20 no_leftovers
    touch "$case_dir/tmp/left"
    assert_contains "$(leftovers)" "temporary file $case_dir/tmp/left"
    rm "$case_dir/tmp/left"
}

test_assertions_fail() {
    local outcome
    for outcome in 'assert_eq a b' 'assert_contains abc d' 'assert_not_contains abc b' \
        'assert_match abc ^b' 'assert_exit 0 false' 'wait_for 0 false' 'assert_exit 1 true'; do
        if (eval "$outcome") >/dev/null; then
            fail "did not fail: $outcome"
        fi
    done
    assert_contains "$( (assert_eq a b "the letter") || true)" "the letter differs
expected: a
got:      b"
}

test_signals_reach_spawned() {
    spawn sh -c 'trap "echo interrupted; exit 5" INT; echo ready; while :; do sleep 0.1; done'
    wait_for 20 grep -q ready "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 5 "$status"
    assert_contains "$stdout" interrupted
}

# Slots without daemons, in a cache of their own.
test_down_stops_only_what_it_is_told() {
    local cache slot
    cache=$(mktemp -d /tmp/rtest.XXXXXX)
    for slot in 0 1 2; do
        mkdir "$cache/slot$slot"
        echo kept >"$cache/slot$slot/owner"
    done
    local -a down=(env RUNNER_TEST_CACHE="$cache" "$RUNNER_TEST_ENV/down.sh")
    assert_exit 2 "${down[@]}"
    assert_contains "$stderr" "down.sh [--purge] SLOT…|--all"
    assert_exit 2 "${down[@]}" --purge
    assert_exit 2 "${down[@]}" --all 1
    assert_exit 2 "${down[@]}" x
    assert_eq "0 1 2" "$(cd "$cache" && echo slot?/owner | tr -dc '0-9 ')" "kept slots"
    assert_exit 0 "${down[@]}" 1
    assert_eq "0 2" "$(cd "$cache" && echo slot?/owner | tr -dc '0-9 ')" "kept slots"
    assert_exit 0 "${down[@]}" --all --purge
    assert_eq "" "$(ls "$cache")" "slots"
    rm -r "$cache"
}

run_tests "$@"
