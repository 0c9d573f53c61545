#!/usr/bin/env bash
# The server and the client with those of the pipeline whose protocol they speak, on this machine:
#
#   PIPELINE_PEER=PROGRAM RUNNER=build/debug/runner tests/interop.sh
#
# That program is not among what the tests install: tests/fake/classic_server.py has its ways for
# tests/e2e/client.sh, and tests/e2e/server.sh speaks as its client does. It listens on all addresses,
# so run this in a network namespace (unshare --net, with its loopback up).
export DOCKER_HOST=${DOCKER_HOST:-unix:///nonexistent} RUNNER_TEST_ENV=${RUNNER_TEST_ENV:-$(dirname "$0")/env}
source "$(dirname "$0")/lib.sh"
# shellcheck disable=SC2034
needs_daemon=no
peer=${PIPELINE_PEER:?the program}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
answers() { curl -s -o /dev/null -u me:secret "http://127.0.0.1:$port/"; }

# serve COMMAND…: a server on $port that asks for credentials; $server is where.
serve() {
    "${case_env[@]}" "$@" --username me --password secret >server.log 2>&1 </dev/null &
    serving=$!
    trap stop EXIT
    wait_for 20 answers
    server=ws://me:secret@127.0.0.1:$port
}

stop() {
    kill "$serving" 2>/dev/null || true
    wait "$serving" || true
}

ours() {
    port=$(free_port)
    serve "$RUNNER" server --host 127.0.0.1 --port "$port" --history "$PWD/history" "$@"
}

theirs() {
    port=$(free_port)
    serve "$peer" server --port "$port" --workdir "$PWD/theirs"
}

pipeline() {
    cat >p.yaml <<YAML
name: interop
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: 'echo hello; echo problem >&2; printf "%s\n" "\$WHO"', environment: {WHO: somebody}}
          - {name: b, command: "$1"}
YAML
}

test_their_client_and_our_server() {
    ours
    pipeline "echo second"
    run "$peer" client -c p.yaml -s "$server"
    assert_eq 0 "$status"
    assert_contains "$stderr$stdout" hello
    assert_contains "$stderr$stdout" somebody
    assert_contains "$stderr" problem
    assert_eq succeeded "$("$RUNNER" list -s "$server" --format json | jq -r '.[0].status')"
    stop
}

test_their_client_and_a_failure() {
    ours
    pipeline "echo second; exit 3"
    run "$peer" client -c p.yaml -s "$server"
    assert_eq 1 "$status"
    assert_contains "$stderr$stdout" 'step "b" failed: exit code 3'
    run "$peer" client -c p.yaml -s "ws://me:wrong@127.0.0.1:$port"
    assert_eq 1 "$status"
    assert_contains "$stderr$stdout" 401
    stop
}

test_our_client_and_their_server() {
    theirs
    pipeline "echo second"
    run "$RUNNER" client -c p.yaml -s "$server"
    assert_eq 0 "$status"
    assert_contains "$stdout" hello
    assert_contains "$stdout" somebody
    assert_contains "$stderr" problem
    run "$RUNNER" client -c p.yaml -s "ws://me:wrong@127.0.0.1:$port"
    assert_eq 1 "$status"
    assert_contains "$stderr" "wants a user name and a password"
    stop
}

test_our_client_and_a_failure() {
    theirs
    pipeline "echo second; exit 3"
    run "$RUNNER" client -c p.yaml -s "$server"
    assert_eq 1 "$status"
    assert_contains "$stderr" "exit status 3"
    run "$RUNNER" list -s "$server" --format json
    assert_eq "interop failed" "$(jq -r '.[0] | "\(.name) \(.status)"' <<<"$stdout")"
    stop
}
run_tests "$@"
