#!/usr/bin/env bash
# The runner in a container, beside the daemon whose socket it has mounted: steps are its siblings.
source "$(dirname "$0")/../lib.sh"

root=$(cd "$(dirname "$0")/../.." && pwd)
socket=${DOCKER_HOST#unix://}
image=runner-test/runner
# The packages of both stages are installed on a machine's first run.
declare -A case_timeout=([test_workspace_at_another_path]=600 [test_workspace_in_a_volume]=300
    [test_workspace_of_the_container_alone]=300 [test_services_and_what_is_kept]=300
    [test_killed_sidecar_leaves_nothing]=300 [test_missing_source_names_both_paths]=300 [test_compose_file]=300
    [test_compose_project]=300 [test_compose_server]=300)

# sidecar OPTION… -- ARGUMENT…: runs the runner's image with the socket and the options.
sidecar() {
    local options=()
    runner_image "$image"
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    run docker run --rm -v "$socket:/var/run/docker.sock" "${options[@]}" "$image" "$@"
}

pipeline() {
    printf 'name: p\nimage: busybox:1.36\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$1"
}

test_workspace_at_another_path() {
    mkdir project
    pipeline '{name: a, command: "pwd; echo made >made"}, {name: b, command: cat made}' >project/p.yaml
    sidecar -v "$PWD/project:/elsewhere" -w /elsewhere -- exec p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "[step(1/2): a] /elsewhere"
    assert_contains "$stdout" "[step(2/2): b] made"
    assert_eq made "$(cat project/made)" "the file on the host"
}

test_workspace_in_a_volume() {
    docker volume create sidecar-workspace >/dev/null
    docker run --rm -i -v sidecar-workspace:/w busybox:1.36 sh -c 'cat >/w/p.yaml' \
        <<<"$(pipeline '{name: a, command: "echo kept >kept"}')"
    sidecar -v sidecar-workspace:/w -w /w -- exec p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq kept "$(docker run --rm -v sidecar-workspace:/w busybox:1.36 cat /w/kept)"
    docker volume rm sidecar-workspace >/dev/null
}

test_workspace_of_the_container_alone() {
    pipeline '{name: a, command: "ls; cat given"}' >p.yaml
    runner_image "$image"
    run docker run --rm -v "$socket:/var/run/docker.sock" -v "$PWD/p.yaml:/p.yaml:ro" --entrypoint sh \
        "$image" -c 'mkdir /inside && cd /inside && echo filled >given && exec runner exec /p.yaml'
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "] filled"
}

# Services, caches and artifacts, of which the host sees those in the directory that is mounted.
test_services_and_what_is_kept() {
    mkdir project stores
    cat >project/p.yaml <<'P'
name: p
image: busybox:1.36
services:
  outer: {image: "runner-test/service:1", command: ["8080", outer]}
stages:
  - name: make
    jobs:
      - name: make
        services:
          inner: {image: "runner-test/service:1", command: ["8081", inner], ready: {http: "http://localhost:8081/"}}
        cache: {key: k, paths: made}
        artifacts: {paths: made}
        steps:
          - {name: server, background: true, command: exec httpd -f -p 8082, ready: {tcp: 8082}}
          - name: ask
            command: |
              if [ -e made ]; then echo restored; fi
              wget -q -O - http://outer:8080/ >made
              wget -q -O - http://inner:8081/ >>made
              wget -q -O - http://localhost:8082/made
  - name: use
    jobs:
      - {name: remove, steps: [{name: rm, command: rm made}]}
      - {name: use, depends_on: [remove], artifacts: {from: make}, steps: [{name: show, command: cat made}]}
P
    local stores=(-v "$PWD/stores:/stores" -e XDG_STATE_HOME=/stores -e XDG_CACHE_HOME=/stores)
    sidecar "${stores[@]}" -v "$PWD/project:/elsewhere" -w /elsewhere -- exec p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "ask] outer
[stage(1/2): make][job(1/1): make][step(2/2): ask] inner"
    assert_contains "$stdout" "show] outer"
    assert_contains "$stderr" "cache k saved: 12 B"
    rm project/made
    # On a workdir of the container's own the same cache comes.
    sed -i '/artifacts: {paths/d; s/artifacts: {from: make}, //' project/p.yaml
    sidecar "${stores[@]}" -v "$PWD/project/p.yaml:/p.yaml:ro" --entrypoint sh \
        -- -c 'mkdir /inside && cd /inside && exec runner exec --only make /p.yaml'
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "make] cache k restored: 12 B"
    assert_contains "$stdout" "ask] restored"
    assert_contains "$stdout" "ask] inner"
}

test_missing_source_names_both_paths() {
    mkdir project
    pipeline '{name: a, volumes: ["/in/the/sidecar:/data"], command: ls /data}' >project/p.yaml
    sidecar -v "$PWD/project:/elsewhere" -w /elsewhere -- exec p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "/in/the/sidecar"
}

# Its files are where the daemon finds them, or it is said that they are not.
test_compose_project() {
    local name=side$$
    mkdir project
    echo text >project/file
    cat >project/compose.yaml <<'P'
services:
  web:
    image: busybox:1.36
    init: true
    command: sleep 600
    volumes: ["./file:/file:ro", "./made:/made", "/proc/version:/version:ro"]
    secrets: [key]
secrets: {key: {file: ./file}}
P
    sidecar -v "$PWD/project:/elsewhere" -w /elsewhere -- compose -p "$name" up
    assert_eq 0 "$status" "exit status"
    assert_eq "text text" "$(docker exec "$name-web-1" cat /file /run/secrets/key | paste -sd ' ')"
    assert_contains "$(docker exec "$name-web-1" cat /version)" Linux
    docker exec "$name-web-1" touch /made/by-the-service
    [[ -e project/made/by-the-service ]] || fail "it is not in the directory of the host"
    sidecar -- compose -p "$name" down -v
    assert_eq 0 "$status" "exit status"
    sidecar -v "$PWD/project/compose.yaml:/inside/compose.yaml:ro" -w /inside -- compose -p "$name" up
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "compose.yaml:6:"
    assert_contains "$stderr" "/inside/file is a path inside the runner's own container"
    assert_contains "$stderr" "(-v /inside:/inside)"
    assert_eq "" "$(docker ps -aq --filter "name=$name")"
}

test_killed_sidecar_leaves_nothing() {
    mkdir project
    pipeline '{name: a, command: "touch up; sleep 300"}' >project/p.yaml
    sidecar -- version
    spawn docker run --rm --name sidecar-killed -v "$socket:/var/run/docker.sock" \
        -v "$PWD/project:$PWD/project" -w "$PWD/project" "$image" exec p.yaml
    wait_for 60 test -e project/up
    assert_contains "$(docker ps --format '{{.Names}}')" watchdog "running containers"
    docker kill -s KILL sidecar-killed >/dev/null
    finish
    assert_no_leftovers 60
}

# deploy/sidecar/compose.yaml, read by a Compose of the distribution.
test_compose_file() {
    mkdir project
    pipeline '{name: a, command: "echo made >made; hostname"}, {name: b, command: "cat made; exit 3"}' \
        >project/p.yaml
    cd project
    local compose=(env DOCKER_BUILDKIT=0 COMPOSE_DOCKER_CLI_BUILD=0 DOCKER_SOCKET="$socket"
        WORKSPACE="$PWD" docker-compose -p sidecar-compose -f "$root/deploy/sidecar/compose.yaml")
    "${compose[@]}" build -q >"$case_dir/build.log" 2>&1 || fail "build: $(tail -n 20 "$case_dir/build.log")"
    run "${compose[@]}" run --rm -T runner exec p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stdout" "[step(2/2): b] made"
    assert_contains "$stderr" "exit code 3"
    assert_eq made "$(cat made)" "the file on the host"
    "${compose[@]}" down -v >"$case_dir/down.log" 2>&1
}

# deploy/sidecar/server.yaml: what it runs is beside it, and goes when it is killed.
test_compose_server() {
    local port run
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    local url=http://runner:secret@127.0.0.1:$port
    local compose=(env DOCKER_SOCKET="$socket" STATE="$PWD/state" PASSWORD=secret LISTEN="127.0.0.1:$port"
        docker-compose -p sidecar-server -f "$root/deploy/sidecar/server.yaml")
    runner_image runner
    "${compose[@]}" up -d >"$case_dir/up.log" 2>&1 || fail "up: $(tail -n 20 "$case_dir/up.log")"
    wait_for 60 curl -sf -o /dev/null "$url/readyz"
    pipeline '{name: a, command: "echo made >made; hostname"}, {name: b, command: cat made}' >p.yaml
    run "$RUNNER" client -s "$url" p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "[step(2/2): b] made"
    pipeline '{name: a, command: "echo begun; sleep 1000"}' >p.yaml
    run "$RUNNER" client --detach -s "$url" p.yaml
    assert_eq 0 "$status" "exit status"
    run=$stdout
    wait_for 60 eval '"$RUNNER" logs -s "$url" "$run" | grep -q begun'
    "${compose[@]}" kill >"$case_dir/kill.log" 2>&1
    "${compose[@]}" start >"$case_dir/start.log" 2>&1
    wait_for 60 eval '"$RUNNER" list -s "$url" --format json | jq -e ".[] | select(.id == \"$run\" and .status == \"failed\" and .reason == \"lost\")"'
    "${compose[@]}" down -v >"$case_dir/down.log" 2>&1
    assert_no_leftovers 60
}

run_tests "$@"
