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
    [test_compose_project]=300 [test_compose_server]=300 [test_runs_outlive_the_server]=300
    [test_the_launcher_is_killed]=300 [test_a_launcher_that_nobody_waits_for]=300
    [test_where_there_can_be_no_launcher_container]=300)

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

# deploy/sidecar/server.yaml: what it runs is beside it, and goes on when it is killed.
test_compose_server() {
    local port run
    port=$(own_port)
    url=http://runner:secret@127.0.0.1:$port
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
    wait_for 60 has_logged "$run" begun
    "${compose[@]}" kill >"$case_dir/kill.log" 2>&1
    "${compose[@]}" start >"$case_dir/start.log" 2>&1
    wait_for 60 curl -sf -o /dev/null "$url/readyz"
    is running "$run" || fail "it does not run any more"
    run "$RUNNER" cancel -s "$url" "$run"
    assert_eq "run $run cancelled" "$stdout"
    # The first launcher goes, and the second waits for nobody: then the network can be removed.
    wait_for 20 has_launchers 1
    "${compose[@]}" down -v >"$case_dir/down.log" 2>&1 || fail "down: $(cat "$case_dir/down.log")"
    assert_no_leftovers
}

# --- a server whose runs are in another container ---

has_logged() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1" | grep -q "$2"; }
is() { [[ $("${case_env[@]}" "$RUNNER" show -s "$url" --format json "$2" | jq -r '.status + (.reason // "")') == "$1" ]]; }
# For `docker stop`: what is told to end has this long for it.
patient=$(patience 60)
launchers() { docker ps -aq --filter label=dev.runner.role=launcher; }
has_launchers() { [[ $(launchers | wc -l) == "$1" ]]; }

# begin_server: one more, of the same state.
begin_server() {
    docker run -d --name sidecar-server --label com.docker.compose.project=sidecar -p 127.0.0.1::8080 \
        -v "$socket:/var/run/docker.sock" -v "$PWD/state:$PWD/state" -e XDG_STATE_HOME="$PWD/state/state" \
        "$image" server --launcher-container --history "$PWD/state/history" --workdir "$PWD/state/work" \
        --cache-dir "$PWD/state/cache" >/dev/null
    await_server
}

await_server() {
    url=http://$(docker port sidecar-server 8080/tcp)
    wait_for 60 curl -sf -o /dev/null "$url/readyz"
}

# submit FILE: $run is its id
submit() {
    run "$RUNNER" client --detach -s "$url" "$1"
    assert_eq 0 "$status" "exit status"
    run=$stdout
}

# A step in a container and one of the host, which is the launcher's container; each counts until it may end.
counting() {
    local count='i=0; until [ -e go ]; do i=$((i + 1)); echo "line $i."; sleep 0.02; done'
    cat <<P
name: counting
stages:
  - name: s
    jobs:
      - {name: container, image: "busybox:1.36", steps: [{name: a, command: '$count'}, {name: b, command: cat go}]}
      - {name: host, steps: [{name: a, command: '$count'}, {name: b, command: cat go}]}
P
}

lines_of() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1" | sed -n "s/.*: $2\\]\\[step.*: a\\] line \\([0-9]*\\)\\.$/\\1/p"; }
counts() { (($(lines_of "$1" container | tail -n 1) > $2 && $(lines_of "$1" host | tail -n 1) > $2)); }

test_runs_outlive_the_server() {
    local run first second seen job
    mkdir state
    runner_image "$image"
    begin_server
    counting >p.yaml
    submit p.yaml
    first=$run
    submit p.yaml
    second=$run
    wait_for 60 counts "$first" 5
    wait_for 60 counts "$second" 5
    seen=$(($(lines_of "$first" container | wc -l) + 50))
    docker kill sidecar-server >/dev/null
    # Upgraded, as it were.
    docker rm sidecar-server >/dev/null
    begin_server
    is running "$first" || fail "the first does not run any more"
    is running "$second" || fail "the second does not run any more"
    wait_for 60 counts "$first" "$seen"
    run "$RUNNER" cancel -s "$url" "$second"
    assert_eq "run $second cancelled" "$stdout"
    has_launchers 2 || fail "there are other launchers than two: $(launchers)"
    docker restart -t "$patient" sidecar-server >/dev/null
    await_server
    is running "$first" || fail "it does not run any more after a restart"
    # That of the second server had no runs. No server waits long for a daemon to remove it.
    wait_for 20 has_launchers 2
    echo went >"state/work/$first/go"
    wait_for 60 is succeeded "$first"
    for job in container host; do
        assert_eq "$(seq "$(lines_of "$first" "$job" | wc -l)")" "$(lines_of "$first" "$job")"
    done
    assert_contains "$("${case_env[@]}" "$RUNNER" logs -s "$url" "$first")" "host][step(2/2): b] went"
    wait_for 20 has_launchers 1
    docker stop -t "$patient" sidecar-server >/dev/null
    wait_for 20 has_launchers 0
    docker rm sidecar-server >/dev/null
    assert_eq "" "$(find state/history/launchers state/history/open -type f -o -type s)"
}

# What it runs is lost with it; the server ends, for whoever looks after it to begin it anew.
test_the_launcher_is_killed() {
    local run
    mkdir state
    runner_image "$image"
    begin_server
    counting >p.yaml
    submit p.yaml
    wait_for 60 counts "$run" 5
    docker kill "$(launchers)" >/dev/null
    assert_eq 3 "$(docker wait sidecar-server)" "exit status"
    assert_contains "$(docker logs sidecar-server 2>&1)" \
        "the container of the process that starts runs has ended, and what ran in it with it"
    docker start sidecar-server >/dev/null
    await_server
    wait_for 20 is failedlost "$run"
    # Its watchdog sees to the rest.
    wait_for 60 eval '[[ -z $(docker ps -aq --filter "label=dev.runner.run=$run") ]]'
    # And who stops it has its runs cancelled.
    submit p.yaml
    wait_for 60 counts "$run" 1
    docker stop -t "$patient" "$(launchers)" >/dev/null
    assert_eq 3 "$(docker wait sidecar-server)" "exit status"
    docker start sidecar-server >/dev/null
    await_server
    is cancelled "$run" || fail "it is not cancelled: $("$RUNNER" show -s "$url" "$run")"
    docker rm -f sidecar-server >/dev/null
    wait_for 20 has_launchers 0
}

# A server that was killed as it made the container: one that was never started is removed by the next, and
# one that has been ends.
test_a_launcher_that_nobody_waits_for() {
    local id=0000000000000000000001 labels=(--label dev.runner.role=launcher)
    mkdir -p state
    runner_image "$image"
    begin_server
    docker rm -f sidecar-server >/dev/null
    wait_for 20 has_launchers 0
    touch "state/history/launchers/$id"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' \
        "state/history/launchers/.$id"
    run docker run --rm -v "$PWD/state:$PWD/state" "$image" server --history "$PWD/state/history" --launcher-id "$id"
    assert_eq 3 "$status" "exit status"
    assert_contains "$stderr" "the server that this launcher was made for is gone"
    docker create --name "runner-launcher-$id" --label "dev.runner.run=$id" "${labels[@]}" "$image" >/dev/null
    begin_server
    assert_eq "" "$(docker ps -aq --filter "label=dev.runner.run=$id")" "the container that was never started"
    assert_eq "" "$(ls -A state/history/launchers)" "what was in the history"
    docker rm -f sidecar-server >/dev/null
    wait_for 20 has_launchers 0
}

test_where_there_can_be_no_launcher_container() {
    local all=(server --launcher-container --port 0 --host 127.0.0.1)
    run "$RUNNER" "${all[@]}" --history "$PWD/history" --docker-host "$DOCKER_HOST"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" \
        "--launcher-container: this process is in none of the containers of the Docker daemon at $DOCKER_HOST"
    sidecar -- "${all[@]}"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "--launcher-container: /root/.local/state/runner is in this container ("
    run docker run --rm "$image" "${all[@]}"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "--launcher-container: no Docker was found"
    mkdir state
    # What its program says in the other container; it has what is mounted, and not what else is here.
    sidecar -v "$PWD/state:$PWD/state" --entrypoint sh -- -c \
        "cp /usr/local/bin/runner /here && exec /here ${all[*]} --history $PWD/state"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "cannot start the container of the launcher: "
    assert_contains "$stderr" "/here"
    assert_eq "" "$(ls -A state/launchers)" "what is in the history"
}

run_tests "$@"
