#!/usr/bin/env bash
# What becomes of pods whose runner has vanished, with all that would clean up behind it.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no
declare -A case_timeout=([test_leases]=480)

# --- runs that live --------------------------------------------------------------------------------

# begin NAME: runs NAME.yaml beside others; its pid is ${pids[NAME]}.
begin() {
    "${case_env[@]}" "$RUNNER" exec "${cluster[@]}" "$1.yaml" >"$1.out" 2>"$1.err" </dev/null &
    pids[$1]=$!
}

# succeeds NAME TEXT: it ends so, and its last step has printed TEXT.
succeeds() {
    wait "${pids[$1]}" || fail "$1 has failed: $(tail -n 20 "$1.err")"
    assert_contains "$(<"$1.out")" "] $2"
}

# Between two of its jobs nobody renews the lease of a run.
begin_with_pause() {
    cat >pause.yaml <<'YAML'
name: pause
image: busybox:1.36
engine: kubernetes
stages:
- {name: first, jobs: [{name: first, steps: [{name: before, command: echo before}]}]}
- name: host
  jobs: [{name: host, steps: [{name: wait, engine: host, command: "touch between; until test -e on; do sleep 0.2; done"}]}]
- {name: last, jobs: [{name: last, steps: [{name: behind, command: echo behind}]}]}
YAML
    begin pause
    wait_for 60 test -e between
    between=$SECONDS
}

pause_is_long() { ((SECONDS > between + 242)); }

# Somebody has taken the run for dead meanwhile: its next job makes what it needs anew.
assert_goes_on_after_pause() {
    wait_for 260 pause_is_long
    kube get configmaps -l dev.runner.role=tools -o name >maps
    [[ -s maps ]] || fail "the run that pauses has no ConfigMap"
    xargs kubectl --kubeconfig="$RUNNER_TEST_KUBECONFIG" --namespace="$namespace" delete <maps >/dev/null
    touch on
    succeeds pause behind
}

# Services, of another user than root too, live for longer than their lease while it is renewed.
begin_with_services() {
    cat >served.yaml <<'YAML'
name: served
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  jobs:
  - name: j
    services:
      web:
        image: busybox:1.36
        user: "1000"
        command: [sh, -c, "mkdir /tmp/www; echo served >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"]
        ready: {tcp: 8080}
      other: {image: "busybox:1.36", command: [sleep, "1000"], ready: {command: "true"}}
    steps: [{name: ask, command: "echo up; until test -e enough; do sleep 0.2; done; wget -q -O - http://web:8080/"}]
YAML
    begin served
    wait_for 60 grep -q up served.out
}

assert_services_live() {
    local pod
    pod=$(kube get pods -o json | jq -r '.items[] | select(.metadata.labels["dev.runner.run"] != "'"$run"'" and
        any(.spec.containers[]; .name | startswith("service"))).metadata.name')
    assert_eq 0 "$(kube get pod "$pod" -o json | jq '[.status.containerStatuses[].restartCount] | add')"
    kube exec "$pod" -c "$(kube get pod "$pod" -o json | jq -r '.spec.containers[].name |
        select(startswith("step"))')" -- touch "$PWD/enough"
    succeeds served served
}

# --- one whose owner is gone -----------------------------------------------------------------------

job_with_services() {
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
services: {shared: {image: "busybox:1.36", user: "1000", command: [sleep, "1000"], ready: {command: "true"}}}
stages:
- name: s
  jobs:
  - name: j
    timeout: 30m
    services:
      db: {image: "busybox:1.36", command: [sleep, "1000"], ready: {command: "true"}}
    steps: [{name: a, command: echo begun; sleep 1000}]
YAML
}

# running: the containers of pods of runs that run.
running() {
    kube get pods -l "dev.runner.run=$run" -o json |
        jq -r '.items[].status.containerStatuses[]? | select(.state.running).name' | sort
}

# objects_of_run: those of the runs beside it come and go.
objects_of_run() { objects -l "dev.runner.run=$run"; }

none_runs() { [[ -z $(running) ]]; }

# kill_all_but PID…: the runner, its keeper and what else there is of it, at once.
kill_all_but() {
    local pid
    local -a others
    mapfile -t others < <(case_processes | grep -vxF "$(printf '%s\n' "$@")")
    kill_at_once "${others[@]}"
}

# As from another machine: neither journals nor processes tell anything.
reap_elsewhere() {
    assert_exit 0 env XDG_RUNTIME_DIR="$PWD" XDG_STATE_HOME="$PWD" HOME="$PWD" "$RUNNER" reap "${cluster[@]}" kubernetes
}

owner_is_elsewhere() {
    kube annotate --overwrite pods,configmaps,secrets -l "dev.runner.run=$run" \
        dev.runner.owner=00000000-0000-0000-0000-000000000000/4026531836/1/1 >/dev/null
}

test_leases() {
    namespace_take
    local between run before
    local -a living
    local -A pids
    begin_with_pause
    begin_with_services
    mapfile -t living < <(case_processes)
    job_with_services
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 output_has begun
    run=$(kube get pods --sort-by=.metadata.creationTimestamp -o json | jq -r '.items[-1].metadata.labels["dev.runner.run"]')
    assert_eq "2700 87300" "$(kube get pods -l "dev.runner.run=$run" -o json |
        jq '.items[].spec.activeDeadlineSeconds' | sort -n | paste -sd ' ')" "deadlines of the job and of other services"
    kill_all_but "${living[@]}"
    finish
    owner_is_elsewhere
    before=$(objects_of_run)
    [[ -n $before ]] || fail "there is nothing of the run"
    reap_elsewhere
    assert_eq "nothing is left of dead runs" "$stdout"
    assert_eq "service service step" "$(running | sed 's/-.*//' | paste -sd ' ')" "what runs after the runner"
    wait_for 300 none_runs
    assert_eq 74 "$(kube get pods -l "dev.runner.run=$run" -o json | jq '.items[].status.containerStatuses[] |
        select(.name | startswith("step")).state.terminated.exitCode')" "how the container for steps has ended"
    # Much older than what is spared as it may be about to get a lease.
    reap_elsewhere
    assert_eq "nothing is left of dead runs" "$stdout"
    assert_eq "$before" "$(objects_of_run)" "what is spared"
    kube annotate --overwrite configmaps -l "dev.runner.run=$run" \
        dev.runner.lease=2020-01-01T00:00:00Z >/dev/null
    reap_elsewhere
    assert_eq "configmap pod pod" "$(sed -n 's/^removed \([a-z]*\) .*/\1/p' <<<"$stdout" | sort |
        paste -sd ' ')" "what is removed"
    assert_services_live
    assert_goes_on_after_pause
    wait_for 20 all_is_going
    # The journal of who was killed, which is of no use any more.
    assert_exit 0 "$RUNNER" reap
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    echo "one build is enough: the time is the cluster's"
    exit 0
fi
run_tests "$@"
