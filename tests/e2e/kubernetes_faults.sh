#!/usr/bin/env bash
# What comes between a runner and a job that runs: connections break, parts of the cluster die and
# return, the pod is taken away.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=alone
declare -A case_timeout=([test_connections_break_a_hundred_times]=500 [test_apiserver_restarts]=180
    [test_no_connection_can_be_made_for_a_while]=120
    [test_kubelet_restarts]=180 [test_kubelet_is_away_too_long]=180 [test_pod_is_evicted]=120
    [test_log_of_a_service_breaks_off]=180 [test_api_is_away_at_the_end]=300 [test_node_dies]=240
    [test_pod_is_preempted]=120 [test_namespace_goes_with_its_jobs]=120 [test_token_is_taken_away]=180)

# --- output that can be counted -------------------------------------------------------------------

long=$(printf '%0200d' 0)

# A step "count" that prints numbered lines to both streams, $1 at a time, until the file "enough" is
# there; and what comes behind it.
counting_job() {
    job <<YAML
steps:
- name: count
  command: |
    i=0
    until test -e enough; do
        n=0
        while test \$n -lt $1; do
            n=\$((n + 1))
            i=\$((i + 1))
            echo "out \$i $long"
            echo "err \$i $long" >&2
        done
        sleep 0.05
    done
    echo "last \$i"
- {name: next, command: echo and on}
YAML
}

pod_of_job() { kube get pods -l dev.runner.run -o name; }

stop_counting() { kube exec "$(pod_of_job)" -c step-1 -- touch "$PWD/enough"; }

numbered() { seq "$2" | sed "s/.*/$1 & $long/"; }

# Every line there once, in order, on both streams; and the job went on.
assert_counted() {
    local last
    printed "$case_dir/stdout" count stdout >out
    printed "$case_dir/stdout" count stderr >err
    last=$(sed -n 's/^last //p' out)
    [[ -n $last ]] || fail "the step was not seen to end"
    { numbered out "$last" && echo "last $last"; } | diff - out >differs ||
        fail "standard output is not what was printed: $(head -n 5 differs)"
    numbered err "$last" | diff - err >differs ||
        fail "standard error is not what was printed: $(head -n 5 differs)"
    assert_eq "and on" "$(printed "$case_dir/stdout" next stdout)"
    assert_eq "0" "$status" "exit status"
}

spawn_counted() {
    spawn "$RUNNER" exec "${cluster[@]}" --progress json --log-level debug --log-file log \
        --report json=report.json p.yaml
    wait_for 60 output_has '"out 3 '
}

# --- connections ----------------------------------------------------------------------------------

# breaks N: so many exec connections have broken.
breaks() { (($(grep -c 'the connection to .* is broken' log) >= $1)); }

test_connections_break_a_hundred_times() {
    namespace_take
    proxy
    counting_job 100
    spawn_counted
    touch cut
    wait_for 400 breaks 100
    rm cut
    stop_counting
    finish
    assert_counted
    assert_nothing_there
}

# A service "count" that prints numbered lines, $1 at a time, until there is the file /tmp/enough, and is
# ready then; and the step behind it.
counting_service() {
    cat >p.yaml <<YAML
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  jobs:
  - name: j
    services:
      count:
        image: busybox:1.36
        command:
        - sh
        - -c
        - |
            i=0
            until test -e /tmp/enough; do
                n=0
                while test \$\$n -lt $1; do n=\$\$((n + 1)); i=\$\$((i + 1)); echo "out \$\$i $long"; done
                sleep 0.05
            done
            echo "last \$\$i"
            sleep 1000
        ready: {log: "^last", timeout: 150s}
    steps: [{name: next, command: echo and on}]
YAML
}

stop_service() { kube exec "$(pod_of_job)" -c service-1 -- touch /tmp/enough; }

assert_service_counted() {
    local last
    jq -j 'select(.event == "ServiceLog").text' "$case_dir/stdout" >out
    last=$(sed -n 's/^last //p' out)
    [[ -n $last ]] || fail "the end of the log was not seen"
    { numbered out "$last" && echo "last $last"; } | diff - out >differs ||
        fail "the log of the service is not what was printed: $(head -n 5 differs)"
    assert_eq "and on" "$(printed "$case_dir/stdout" next stdout)"
    assert_eq "0" "$status" "exit status"
}

# log_breaks N: the log has broken off so often.
log_breaks() { (($(grep -c 'the log of .* breaks off' log) >= $1)); }

test_log_of_a_service_breaks_off() {
    namespace_take
    proxy
    counting_service 5
    spawn_counted
    touch cut
    wait_for 100 log_breaks 5
    rm cut
    stop_service
    finish
    assert_service_counted
    assert_nothing_there
}

# attempts N: so many connections could not be made, and will be.
attempts() { (($(grep -c 'it is tried again: cannot connect' log) >= $1)); }

# Steps beside each other need one more connection each, and artifacts one of their own.
test_no_connection_can_be_made_for_a_while() {
    namespace_take
    proxy
    job <<'YAML'
artifacts: {name: made, paths: made}
steps:
- {name: first, command: "echo up; until test -e go; do sleep 0.1; done; echo x >made"}
- {name: left, depends_on: [first], command: "touch left; until test -e right; do sleep 0.1; done"}
- {name: right, depends_on: [first], command: "touch right; until test -e left -a -e enough; do sleep 0.1; done"}
YAML
    spawn env -u XDG_STATE_HOME "$RUNNER" exec "${cluster[@]}" --log-level debug --log-file log p.yaml
    wait_for 60 output_has up
    touch shut
    kube exec "$(pod_of_job)" -c step-1 -- touch "$PWD/go"
    wait_for 20 attempts 3
    rm shut
    wait_for 20 kube exec "$(pod_of_job)" -c step-1 -- test -e "$PWD/left" -a -e "$PWD/right"
    touch shut
    stop_counting
    wait_for 20 attempts 6
    rm shut
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" 'artifacts "made": 1 file'
    assert_nothing_there
}

# --- parts of the cluster --------------------------------------------------------------------------

api_answers() { kube get --raw /readyz; }

# part_stop PART: it comes back when this test ends, whatever happens.
part_stop() {
    # shellcheck disable=SC2064
    trap "kube_part_start $1; namespace_release" EXIT
    kube_part_stop "$1"
}

test_apiserver_restarts() {
    namespace_take
    counting_job 3
    spawn_counted
    part_stop apiserver
    wait_for 30 breaks 3
    kube_part_start apiserver
    wait_for 60 api_answers
    stop_counting
    finish
    assert_counted
    assert_nothing_there
}

test_kubelet_restarts() {
    namespace_take
    counting_job 3
    spawn_counted
    part_stop kubelet
    wait_for 30 breaks 3
    kube_part_start kubelet
    wait_for 60 kube_node_ready
    wait_for 60 stop_counting
    finish
    assert_counted
    assert_nothing_there
}

pod_is_given_up() { [[ -n $(kube get pods -o 'jsonpath={.items[*].metadata.deletionTimestamp}') ]]; }

# Its API server ends the log then as if the service had said all.
test_kubelet_restarts_while_a_service_speaks() {
    namespace_take
    counting_service 1
    spawn_counted
    part_stop kubelet
    wait_for 30 log_breaks 1
    kube_part_start kubelet
    wait_for 60 kube_node_ready
    wait_for 60 stop_service
    finish
    assert_service_counted
    assert_nothing_there
}

# The cluster gives the pods of a silent node up. What became of the step is not known then.
test_kubelet_is_away_too_long() {
    namespace_take
    counting_job 3
    spawn_counted
    # Of a pod that was never ready nobody reports that its node is not.
    kube wait --for=condition=Ready "$(pod_of_job)" --timeout="$(patience 60)s" >/dev/null
    part_stop kubelet
    wait_for 60 pod_is_given_up
    kube_part_start kubelet
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of count)"
    assert_contains "$(grep '"StepFailed"' "$case_dir/stdout")" "its node was lost: Node is not ready"
    assert_eq skipped/dependency "$(state_of next)"
    assert_nothing_there
}

# node_dies: the kubelet, its daemon and all containers, as when the power fails.
node_dies() {
    local dir
    dir=$(dockerd_dir kube)
    trap node_returns EXIT
    kube_part_stop kubelet
    dockerd_kill kube
    stop_pidfile "$dir/containerd.pid" 0
    kill_helpers containerd-shim "-address $dir/containerd/containerd.sock"
}

node_returns() {
    dockerd_start kube kubelet
    kube_part_start kubelet
    namespace_release
}

test_node_dies() {
    namespace_take
    job <<'YAML'
services: {api: {image: "busybox:1.36", command: [sleep, "1000"], ready: {command: "true"}}}
steps:
- {name: long, command: echo up; sleep 1000}
- {name: next, command: echo never}
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 output_has up
    node_dies
    dockerd_start kube kubelet
    kube_part_start kubelet
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of long)"
    assert_match "$stderr" 'long\] failed: .*its (container has ended with code|pod was|node was)'
    assert_eq skipped/dependency "$(state_of next)"
    assert_nothing_there
    wait_for 60 kube_node_ready
}

# --- the API ----------------------------------------------------------------------------------------

# A job whose pod has nothing to do any more when its last step, on the host, waits for the file "end".
job_that_ends_on_the_host() {
    job <<'YAML'
services: {api: {image: "busybox:1.36", environment: {A: b}, command: [sleep, "1000"], ready: {command: "true"}}}
steps:
- {name: there, command: echo there}
- {name: here, engine: host, command: "touch begun; until test -e end; do sleep 0.1; done"}
YAML
    rm -f begun end
    spawn "$RUNNER" exec "${cluster[@]}" --log-level debug --log-file log --report json=report.json p.yaml
    wait_for 60 test -e begun
}

cannot_remove() { grep -q 'is tried again\|cannot be removed' log; }

later_is_ready() { [[ -n $(kube get serviceaccount default --namespace "$namespace-later" -o 'jsonpath={.secrets[0].name}') ]]; }

test_api_is_away_at_the_end() {
    namespace_take
    job_that_ends_on_the_host
    part_stop apiserver
    touch end
    wait_for 60 cannot_remove
    kube_part_start apiserver
    finish
    assert_eq 0 "$status" "exit status"
    assert_nothing_there
    wait_for 60 kube_node_ready
    job_that_ends_on_the_host
    kube_part_stop apiserver
    touch end
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq succeeded "$(state_of there)"
    assert_match "$(<log)" "pods $namespace/runner-[^ ]*-1 cannot be removed now: "
    assert_match "$(<log)" "secrets $namespace/runner-[^ ]*-1-environment cannot be removed now: "
    assert_match "$(<log)" "the ConfigMap $namespace/runner-[^ ]* cannot be removed now: "
    assert_contains "$(<log)" "something may be left in the namespace $namespace, for \`runner reap\` to remove: "
    kube_part_start apiserver
    wait_for 60 kube_node_ready
    assert_exit 0 "$RUNNER" reap
    assert_contains "$stdout" "removed pod runner-"
    assert_contains "$stdout" "removed configmap runner-"
    wait_for 30 all_is_going
    # Those who had lost it, too, come back in their own time, and others need them.
    kube create namespace "$namespace-later" >/dev/null
    wait_for 120 later_is_ready
    kube delete namespace "$namespace-later" --wait=false >/dev/null 2>&1
}

# --- who asks -------------------------------------------------------------------------------------

token_is_there() { [[ -n $(kube get secret "$1" -o 'jsonpath={.data.token}') ]]; }

# account_token NAME: a token of the account "runner", which may do all that is needed; it is one for as
# long as the Secret NAME is there.
account_token() {
    kube create -f - >/dev/null <<YAML
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: $1, annotations: {kubernetes.io/service-account.name: runner}}
YAML
    wait_for 20 token_is_there "$1"
    kube get secret "$1" -o 'jsonpath={.data.token}' | base64 -d >"$1"
}

is_refused() { ! kubectl --kubeconfig=/dev/null --server="$(kube_url)" --insecure-skip-tls-verify \
    --token="$(<"$1")" --namespace="$namespace" get pods; }

# What needs a connection while another one is in use asks anew whether it may.
job_of_an_account() {
    kube create serviceaccount runner >/dev/null
    kube create role runner --verb='*' --resource=pods,pods/exec,pods/log,configmaps,secrets,events >/dev/null
    kube create rolebinding runner --role=runner --serviceaccount="$namespace:runner" >/dev/null
    account_token first
    account_token second
    cp first token
    cat >account.conf <<YAML
apiVersion: v1
kind: Config
current-context: t
clusters: [{name: t, cluster: {server: "$(kube_url)", certificate-authority: $(kube_dir)/pki/ca.pem}}]
contexts: [{name: t, context: {cluster: t, user: runner, namespace: $namespace}}]
users: [{name: runner, user: {tokenFile: $PWD/token}}]
YAML
    job <<'YAML'
steps:
- {name: first, command: "echo up; until test -e go; do sleep 0.1; done"}
- {name: left, depends_on: [first], command: "echo begun; until test -e enough; do sleep 0.1; done"}
- {name: right, depends_on: [first], command: "echo begun; until test -e enough; do sleep 0.1; done"}
YAML
    spawn "$RUNNER" exec --kubeconfig account.conf --report json=report.json p.yaml
    wait_for 60 output_has up
}

both_have_begun() { (($(grep -c begun "$case_dir/stdout") == 2)); }

test_token_is_replaced() {
    namespace_take
    job_of_an_account
    mv second token
    kube delete secret first >/dev/null
    wait_for 60 is_refused first
    kube exec "$(pod_of_job)" -c step-1 -- touch "$PWD/go"
    wait_for 60 both_have_begun
    stop_counting
    finish
    assert_eq 0 "$status" "exit status"
    assert_nothing_there
}

# One of the two has the connection of the step before them.
test_token_is_taken_away() {
    namespace_take
    job_of_an_account
    kube delete secret first >/dev/null
    wait_for 60 is_refused first
    kube exec "$(pod_of_job)" -c step-1 -- touch "$PWD/go"
    wait_for 60 grep -q 'failed: .*Unauthorized; renew them' "$case_dir/stderr"
    stop_counting
    finish
    assert_eq 1 "$status" "exit status"
    assert_match "$stderr" "(left|right)\\] failed: .*does not accept the credentials of user \"runner\" of [^ ]*/account.conf: Unauthorized; renew them"
    assert_match "$stderr" "pods $namespace/runner-[^ ]*-1 cannot be removed now: .*Unauthorized"
    assert_match "$stderr" "the ConfigMap $namespace/runner-[^ ]* cannot be removed now: .*Unauthorized"
    cp second token
    assert_exit 0 "$RUNNER" reap
    assert_contains "$stdout" "removed pod runner-"
    wait_for 30 all_is_going
}

# --- the pod --------------------------------------------------------------------------------------

# Neither what is killed with its pod nor what ends well because it was told to is a success.
test_pod_is_deleted() {
    namespace_take
    local name other
    cat >p.yaml <<'YAML'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  fail_fast: false
  jobs:
  - name: told
    kubernetes: {labels: {job: told}}
    steps: [{name: told, command: "echo up; sleep 1000"}, {name: told next, command: echo never}]
  - name: at once
    kubernetes: {labels: {job: at-once}}
    steps: [{name: at once, command: "echo up; sleep 1000"}]
  - name: willing
    kubernetes: {labels: {job: willing}}
    steps: [{name: willing, command: "trap 'exit 0' TERM; echo up; sleep 1000 & wait"}]
  - name: drained
    kubernetes: {labels: {job: drained}}
    steps: [{name: drained, command: "echo up; sleep 1000"}]
  - name: replaced
    kubernetes: {labels: {job: replaced}}
    steps: [{name: replaced, command: "echo up; sleep 1000"}]
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 output_has 'told\] up'
    wait_for 60 output_has 'at once\] up'
    wait_for 60 output_has 'willing\] up'
    wait_for 60 output_has 'drained\] up'
    wait_for 60 output_has 'replaced\] up'
    # Before 1.22 a kubelet may overlook that a pod is to go which it has not seen running.
    kube wait --for=condition=Ready pods -l dev.runner.run --timeout="$(patience 30)s" >/dev/null
    kube delete pod --wait=false -l 'job in (told, willing)' >/dev/null
    kube delete pod --force --grace-period=0 -l job=at-once >/dev/null 2>&1
    evict drained
    replace replaced
    finish
    assert_eq 1 "$status" "exit status"
    for name in told "at once" willing drained replaced; do
        assert_eq failed/lost "$(state_of "$name")" "$name"
        assert_match "$stderr" "$name\\] failed: .*its pod (was|is being) deleted by somebody else"
    done
    assert_eq skipped/dependency "$(state_of "told next")"
    assert_eq "$other" "$(kube get pods -o 'jsonpath={.items[*].metadata.uid}{.items[*].metadata.deletionTimestamp}')" \
        "the pod of somebody else"
    kube delete pods --all --wait=false >/dev/null
}

# replace JOB: another pod, with all that its pod has, takes the place of it. Sets $other, its UID.
replace() {
    kube get pods -l "job=$1" -o json | jq '.items[0] | del(.status, .spec.nodeName, .metadata.uid,
        .metadata.resourceVersion, .metadata.creationTimestamp, .metadata.ownerReferences)' >another.json
    kube delete pod --force --grace-period=0 -l "job=$1" >/dev/null 2>&1
    other=$(kube create -f another.json -o 'jsonpath={.metadata.uid}')
}

# evict JOB: as draining a node does.
evict() {
    local name
    name=$(kube get pods -l "job=$1" -o 'jsonpath={.items[0].metadata.name}')
    kube create --raw "/api/v1/namespaces/$namespace/pods/$name/eviction" -f - >/dev/null <<JSON
{"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "$name", "namespace": "$namespace"}}
JSON
}

class_release() {
    kube delete priorityclass "$namespace" >/dev/null 2>&1
    namespace_release
}

# More than half of what the node has, for each of the two.
test_pod_is_preempted() {
    namespace_take
    local cpu
    cpu=$(kube get node node1 -o 'jsonpath={.status.allocatable.cpu}')
    cpu=$((cpu * 600))m
    trap class_release EXIT
    kube create priorityclass "$namespace" --value=1000 >/dev/null
    job <<YAML
kubernetes: {resources: {requests: {cpu: $cpu}}}
steps:
- {name: victim, command: "trap 'exit 0' TERM; echo up; sleep 1000 & wait"}
- {name: next, command: echo never}
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 output_has up
    kube create -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: urgent}
spec:
  priorityClassName: $namespace
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "busybox:1.36", command: [sleep, "1000"], resources: {requests: {cpu: $cpu}}}]
YAML
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/evicted "$(state_of victim)"
    assert_contains "$stderr" "its pod was preempted: Preempted by $namespace/urgent on node node1"
    assert_eq skipped/dependency "$(state_of next)"
    assert_nothing_there
}

test_namespace_goes_with_its_jobs() {
    namespace_take
    job <<'YAML'
services: {api: {image: "busybox:1.36", environment: {A: b}, command: [sleep, "1000"], ready: {command: "true"}}}
steps:
- {name: a, command: "echo up; sleep 1000"}
- {name: next, command: echo never}
YAML
    spawn "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml
    wait_for 60 output_has up
    kube delete namespace "$namespace" --wait=false >/dev/null 2>&1
    trap - EXIT
    finish
    assert_eq 1 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    assert_match "$stderr" 'a\] failed: .*its pod (was|is being) deleted by somebody else'
    assert_eq skipped/dependency "$(state_of next)"
    assert_not_contains "$stderr" "cannot be removed"
    assert_nothing_there
}

test_pod_is_evicted() {
    namespace_take
    job <<'YAML'
kubernetes: {volumes: [{mount: /scratch, empty_dir: {size_limit: 1Mi}}]}
steps:
- {name: too much, command: "dd if=/dev/zero of=/scratch/file bs=1M count=4; sleep 1000"}
- {name: next, command: echo never}
YAML
    exec_there 1
    assert_eq failed/evicted "$(state_of "too much")"
    assert_match "$stderr" 'too much\] failed: .*Usage of EmptyDir volume .* exceeds the limit "1Mi"'
    assert_eq skipped/dependency "$(state_of next)"
    assert_nothing_there
}

# --- images ---------------------------------------------------------------------------------------

# An image for arm64, whose shell is, too, in the node's daemon and in a list of nothing else in the
# registry.
foreign_image() {
    local image=$RUNNER_TEST_REGISTRY/foreign/arm:1 config digest
    mkdir -p root/bin image
    python3 -c 'import struct, sys
sys.stdout.buffer.write(struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 183, 1,
                                    0, 64, 0, 0, 64, 56, 0, 64, 0, 0))' >root/bin/sh
    chmod 755 root/bin/sh
    tar -C root -c bin | docker -H "$(kube_daemon_host)" import - "$image" >/dev/null
    docker -H "$(kube_daemon_host)" save "$image" | tar -C image -x
    config=$(jq -r '.[0].Config' image/manifest.json)
    jq -c '.architecture = "arm64"' "image/$config" >config.json
    digest=$(sha256sum config.json | cut -d ' ' -f 1)
    mv config.json "image/$digest.json"
    jq -c --arg config "$digest.json" '.[0].Config = $config' image/manifest.json >manifest.json
    mv manifest.json image/manifest.json
    docker -H "$(kube_daemon_host)" rmi "$image" >/dev/null
    tar -C image -c . | docker -H "$(kube_daemon_host)" load >/dev/null
    assert_eq arm64 "$(docker -H "$(kube_daemon_host)" image inspect -f '{{.Architecture}}' "$image")"
    docker -H "$(kube_daemon_host)" push -q "$image" >/dev/null
    list_of_one foreign/arm
}

# list_of_one NAME: its image "1" as the only one of the list "list", for arm64.
list_of_one() {
    local url=http://$RUNNER_TEST_REGISTRY/v2/$1/manifests type=application/vnd.docker.distribution.manifest
    curl -fsS -H "Accept: $type.v2+json" "$url/1" >one.json
    jq -nc --arg type "$type" --arg digest "sha256:$(sha256sum one.json | cut -d ' ' -f 1)" \
        --argjson size "$(stat -c %s one.json)" '{schemaVersion: 2, mediaType: "\($type).list.v2+json",
        manifests: [{mediaType: "\($type).v2+json", $size, $digest, platform: {architecture: "arm64", os: "linux"}}]}' |
        curl -fsS -X PUT -H "Content-Type: $type.list.v2+json" --data-binary @- "$url/list"
}

test_image_of_another_architecture() {
    namespace_take
    foreign_image
    cat >p.yaml <<YAML
name: p
engine: kubernetes
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, steps: [{name: there, image: "$RUNNER_TEST_REGISTRY/foreign/arm:1", command: echo never}]}
  - {name: 2, steps: [{name: list, image: "$RUNNER_TEST_REGISTRY/foreign/arm:list", command: echo never}]}
YAML
    exec_there 1
    assert_contains "$stderr" "cannot run sh: not an executable for this machine: it is for arm64, and this machine is amd64"
    assert_eq failed/error "$(state_of there)"
    assert_match "$stderr" "list\] failed: image $RUNNER_TEST_REGISTRY/foreign/arm:list: .*no matching manifest for linux/amd64"
    assert_eq failed/image_pull "$(state_of list)"
    assert_nothing_there
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # Where the connections of many threads break.
    set -- test_connections_break_a_hundred_times test_no_connection_can_be_made_for_a_while
elif (($# == 0)) && ! kube_own; then
    echo "the cluster is given: nothing of it is stopped here, and nothing of it is filled"
    set -- test_connections_break_a_hundred_times test_no_connection_can_be_made_for_a_while \
        test_pod_is_deleted
fi
run_tests "$@"
