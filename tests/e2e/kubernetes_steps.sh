#!/usr/bin/env bash
# What steps can do to their pod and to the runner: too much memory, too much output, too little
# willingness to end.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no
declare -A case_timeout=([test_much_output]=180)

# The first process of the container lives on, and so does the job when the failure is allowed.
test_out_of_memory() {
    namespace_take
    job <<'YAML'
resources: {memory: 32m}
steps:
- {name: large, command: "tail /dev/zero", allow_failure: true}
- {name: child, command: "(tail /dev/zero; echo went on) | cat; exit 9", allow_failure: true}
- {name: next, command: echo lives}
- {name: last, command: "tail /dev/zero"}
YAML
    exec_there 1
    assert_eq lives "$(lines next)"
    assert_eq failed/oom "$(state_of large)"
    assert_match "$stderr" 'large\] failed, which is allowed: exit code 137: killed: out of memory \(limit 32 MiB\)'
    assert_match "$stderr" 'child\] failed, which is allowed: exit code 9: killed: out of memory'
    assert_eq failed/oom "$(state_of last)"
    assert_nothing_there
}

line_of_50_megabytes() {
    job <<'YAML'
steps:
- {name: line, command: "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo behind"}
YAML
    exec_there 0
    assert_eq 50000000 "$(sed 's/^\[[^ +]* [^ +]* [^ +]* [^+ ]*[ +]//' "$case_dir/stdout" |
        head -n -1 | tr -d '\n' | tr -cd x | wc -c)" "number of bytes"
    assert_eq behind "$(tail -n 1 "$case_dir/stdout" | sed 's/.*\] //')"
}

# One runner whose output is not read for longer than a connection may be silent that is listened to;
# meanwhile another one has much to read.
test_much_output() {
    namespace_take
    local reader
    job <<'YAML'
steps:
- {name: much, command: seq 1 300000}
- {name: next, command: echo behind}
YAML
    mv p.yaml slow.yaml
    mkfifo pipe
    # shellcheck disable=SC2016
    spawn bash -c '"$@" >pipe 2>slow.err' - "$RUNNER" exec "${cluster[@]}" --progress json slow.yaml
    python3 - pipe >seen <<'PY' &
import sys, time
pipe = open(sys.argv[1], "rb", buffering=0)
sys.stdout.buffer.write(pipe.read(65536))
time.sleep(32)
for _ in range(50):
    sys.stdout.buffer.write(pipe.read(4096))
    time.sleep(0.02)
while data := pipe.read(1 << 20):
    sys.stdout.buffer.write(data)
PY
    reader=$!
    line_of_50_megabytes
    wait "$reader"
    finish
    assert_eq 0 "$status" "exit status"
    printed seen much stdout | cmp - <(seq 1 300000) || fail "the output differs from what was printed: $(<slow.err)"
    assert_eq behind "$(printed seen next stdout)"
    assert_nothing_there
}

deaf_step() {
    job <<YAML
steps:
- {name: ready, command: "true"}
- name: deaf
  timeout: ${limit}s
  grace: ${limit}s
  allow_failure: true
  command: trap 'echo heard, and went on' TERM; sleep 4321 & echo up; while :; do sleep 0.1; done
- {name: look, command: "ps -o args | grep '^sleep 432[1]' || echo none"}
YAML
    exec_there 0
}

# Whatever it thinks of SIGTERM; nothing of it is there any more when the next step looks.
test_step_ignores_the_signal_of_its_timeout() {
    namespace_take
    in_time '[[ $(lines deaf) == up*heard* ]]' deaf_step
    assert_eq "up
heard, and went on" "$(lines deaf)"
    assert_eq failed/timeout "$(state_of deaf)"
    assert_eq none "$(lines look)"
    assert_nothing_there
}

test_step_ignores_the_signal_of_a_cancel() {
    namespace_take
    job <<'YAML'
steps:
- {name: deaf, grace: 3s, command: "trap 'echo heard' TERM; echo up; while :; do sleep 0.1; done"}
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 40 output_has up
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    assert_eq "up
heard" "$(lines deaf)"
    assert_eq cancelled "$(state_of deaf)"
    assert_nothing_there
}

# pod_at VERSION: the pod of p.yaml, in pod.json, as a server of that version is asked for it; this
# one makes none.
pod_at() {
    cat >fake.conf <<YAML
apiVersion: v1
kind: Config
current-context: fake
clusters: [{name: fake, cluster: {server: "http://127.0.0.1:$(<port)"}}]
contexts: [{name: fake, context: {cluster: fake, user: fake, namespace: full}}]
users: [{name: fake, user: {token: "version $1"}}]
YAML
    assert_exit 1 "$RUNNER" exec --kubeconfig fake.conf p.yaml
    assert_contains "$stderr" "cannot make the pod of the job: there is no room"
    curl -sf "http://127.0.0.1:$(<port)/posted/full" >pod.json
}

# where_containers_are: init containers with their policies, then those of the pod.
where_containers_are() {
    jq -r '(.spec.initContainers // [] | map("\(.name) \(.restartPolicy)")),
        (.spec.containers | map("\(.name) \(.restartPolicy // "of the pod")")) | join(", ")' pod.json
}

# From 1.29 on services are sidecars, which are there before the steps' containers; whatever the
# server is built of. The real one is older.
test_services_by_version() {
    local version
    mkfifo hold
    python3 "$fakes/kube.py" <hold >port &
    exec 9>hold
    wait_for 20 test -s port
    job <<'YAML'
services: {db: {image: "busybox:1.36", command: [sleep, "1000"], ready: {tcp: 80}}}
steps: [{name: a, command: echo never}]
YAML
    for version in "1 29 v1.29.0" "1 29+ v1.29.3-gke.1" "- - v1.30.0-eks-036c24b"; do
        pod_at "$version"
        assert_eq "service-1 Always
step-2 of the pod" "$(where_containers_are)" "$version"
    done
    for version in "1 28+ v1.28.15-gke.1" "1 20 v1.20.2" "- - -"; do
        pod_at "$version"
        assert_eq "
service-1 of the pod, step-2 of the pod" "$(where_containers_are)" "$version"
    done
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # The others are long, and about the pod.
    set -- test_step_ignores_the_signal_of_its_timeout test_step_ignores_the_signal_of_a_cancel
fi
run_tests "$@"
