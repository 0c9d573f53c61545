#!/usr/bin/env bash
# Files of jobs that are pods: what their workspaces are, what comes there and what comes from there.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../env/env.sh
source "$(dirname "$0")/../env/env.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
# shellcheck source=../ignored.sh
source "$(dirname "$0")/../ignored.sh"
unset XDG_STATE_HOME

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared
declare -A case_timeout=([test_filling]=120 [test_claims]=120 [test_claim_of_a_killed_runner]=120)

# exec_there CODE: p.yaml with the directory w as workdir.
exec_there() {
    mkdir -p w
    assert_exit "$1" "$RUNNER" exec "${cluster[@]}" p.yaml -w w
    assert_nothing_there
}

files_in() { (cd "$1" && find . -mindepth 1 -printf '%P\n' | sort | paste -sd ' '); }

kept() {
    run "$RUNNER" artifacts ls latest --format json
    jq -r '.[] | "\(.job)/\(.name)"' <<<"$stdout" | sort | paste -sd ' '
}

test_artifacts() {
    namespace_take
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: make
  fail_fast: false
  jobs:
  - name: build
    artifacts:
    - {name: dist, paths: [dist, "**/*.xml"], exclude: "**/*.log"}
    - {name: none, paths: [no/such, up/etc/passwd], optional: true}
    steps:
    - name: make
      command: |
        mkdir -p dist/sub x/y
        echo app >dist/sub/app
        chmod 750 dist/sub/app
        touch -d '2001-02-03 04:05:06' dist/sub/app
        echo no >dist/a.log
        echo r >x/y/r.xml
        ln -s / dist/root
        ln -s / up
    - {name: own, command: "echo own >own", artifacts: {paths: own}}
  - name: bare
    checkout: none
    artifacts: {name: f, paths: f}
    steps: [{name: t, command: "ls; echo x >f; exit 3", allow_failure: true}]
  - name: failing
    artifacts: [{name: no, paths: f}, {name: yes, paths: f, when: on_failure}]
    steps: [{name: t, command: "echo x >f; exit 3"}]
    allow_failure: true
- name: use
  jobs:
  - name: use
    artifacts: {from: build, name: dist}
    steps: [{name: use, command: "find . | sort; cat dist/sub/app"}]
EOF
    exec_there 0
    assert_eq ". ./dist ./dist/root ./dist/sub ./dist/sub/app ./x ./x/y ./x/y/r.xml app" \
        "$(lines use | paste -sd ' ')" "what was taken"
    assert_contains "$stderr" "artifacts \"none\": no file matches in $PWD/w"
    assert_eq "bare/f build/dist build/own failing/yes" "$(kept)"
    assert_exit 0 "$RUNNER" artifacts get latest build dist -o there
    assert_eq "dist dist/root dist/sub dist/sub/app x x/y x/y/r.xml" "$(files_in there)"
    assert_eq "2001-02-03 04:05:06 750 /" \
        "$(TZ=UTC stat -c '%.19y %a' there/dist/sub/app) $(readlink there/dist/root)"
}

# Of a job, which is there before the pod; of a step, which is sent to it; beside services, too.
test_caches() {
    namespace_take
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  jobs:
  - name: j
    cache: {key: job, paths: [deps]}
    services: {db: {image: "busybox:1.36", command: [sleep, "1000"], ready: {command: "true"}}}
    steps:
    - {name: first, command: "ls; [ -e deps ] || { mkdir deps; echo 1 >deps/d; }; mkdir more; echo mine >more/n"}
    - name: second
      cache: {key: step, paths: [more, "!more/n"]}
      command: "ls more; echo 2 >more/m"
EOF
    exec_there 0
    assert_contains "$stderr" "] cache job saved: 2 B"
    assert_contains "$stderr" "] cache step saved: 2 B"
    assert_eq " n" "$(lines first | paste -sd ' ') $(lines second | paste -sd ' ')"
    rm -rf w
    exec_there 0
    assert_contains "$stderr" "] cache job restored: 2 B"
    assert_contains "$stderr" "] cache step restored: 2 B"
    assert_eq "deps m n" "$(lines first | paste -sd ' ') $(lines second | paste -sd ' ')"
    assert_not_contains "$stderr" warning
}

# --- workspaces -----------------------------------------------------------------------------------

# What .runnerignore names stays behind; git is the witness. Whoever waits for long is told for what.
test_filling() {
    namespace_take
    proxy
    ignored_tree w
    head -c 32M /dev/urandom >w/big
    printf '%s\n' big >>expected
    cat >p.yaml <<'EOF'
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: look, command: "find . -type f | cut -c 3- | sort"}
    - {name: sum, command: "sha256sum big"}
EOF
    touch slow
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml -w w
    wait_for 100 grep -qE 'look\] filling the workspace: [1-9][0-9]?\.[0-9] MiB$' "$case_dir/stderr"
    rm slow
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq "$(sort expected)" "$(lines look | sort)" "what is in the pod"
    assert_eq "$(cd w && sha256sum big)" "$(lines sum)"
    assert_nothing_there
}

# volume NAME CLASS: a directory here, ./NAME, as a volume of the cluster.
volume() {
    mkdir -p "$1"
    kube create -f - >/dev/null <<EOF
apiVersion: v1
kind: PersistentVolume
metadata: {name: "$namespace-$1", labels: {volumes-of: "$namespace"}}
spec:
  capacity: {storage: 16Mi}
  accessModes: [ReadWriteOnce]
  storageClassName: "$2"
  hostPath: {path: "$PWD/$1"}
EOF
}

volumes_release() {
    kube delete persistentvolumes -l "volumes-of=$namespace" --wait=false >/dev/null 2>&1
    namespace_release
}

claims() { kube get persistentvolumeclaims -l dev.runner.run -o json; }
# The cluster removes a claim when the last pod that has it has gone.
claims_go() { [[ $(claims | jq '[.items[] | select(.metadata.deletionTimestamp | not)] | length') == 0 ]]; }
claims_are_gone() { [[ $(claims | jq '.items | length') == 0 ]]; }

test_claims() {
    namespace_take
    trap volumes_release EXIT
    volume kept "$namespace-kept"
    volume made "$namespace-made"
    kube create -f - >/dev/null <<EOF
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: files}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: $namespace-kept
  resources: {requests: {storage: 8Mi}}
EOF
    mkdir w
    echo ours >w/source
    cat >p.yaml <<EOF
name: p
image: busybox:1.36
engine: kubernetes
stages:
- name: one
  jobs:
  - name: write
    kubernetes: {workspace: {pvc: files}}
    steps: [{name: write, command: "cat source; echo built >result"}]
  - name: own
    kubernetes: {workspace: {size: 5Mi, storage_class: $namespace-made}}
    steps:
    - {name: own, command: "cat source; echo more >own"}
    - {name: wait, command: "echo is up; until test -e go; do sleep 0.1; done"}
    - {name: debian, image: "debian:bookworm-slim", command: cat own}
- name: two
  jobs:
  - name: read
    checkout: none
    kubernetes: {workspace: {pvc: files}}
    steps: [{name: read, command: "ls; cat result"}]
EOF
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml -w w
    wait_for 60 output_has 'wait\] is up'
    claims >claims.json
    kube get pods -l dev.runner.run -o json >pods.json
    touch made/go
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq yes "$(claims_go && echo yes)" "the claim is told to go"
    assert_eq "ours ours built result source built" \
        "$(lines write) $(lines own) $(cat kept/result) $(lines read | paste -sd ' ')"
    assert_eq more "$(lines debian)" "what another container of the job sees"
    assert_eq "more" "$(cat made/own)" "what is on the volume"
    [[ ! -e w/result && ! -e w/own ]] || fail "a file came back"
    assert_eq '[{"size":"5Mi","class":"'"$namespace"'-made","modes":["ReadWriteOnce"],"owner":"ConfigMap","role":"workspace"}]' \
        "$(jq -c '[.items[] | {size: .spec.resources.requests.storage, class: .spec.storageClassName,
            modes: .spec.accessModes, owner: .metadata.ownerReferences[0].kind,
            role: .metadata.labels["dev.runner.role"]}]' claims.json)" "claims that were made"
    assert_eq "$(jq -r '.items[0].metadata.name' claims.json)" \
        "$(jq -r '[.items[].spec.volumes[].persistentVolumeClaim.claimName // empty] | map(select(. != "files"))[0]' pods.json)"
    wait_for 30 claims_are_gone
    assert_eq Bound "$(kube get persistentvolumeclaim files -o 'jsonpath={.status.phase}')" "the claim that was there"
    assert_nothing_there
}

test_claim_of_a_killed_runner() {
    local -a ids
    namespace_take
    trap volumes_release EXIT
    volume made "$namespace-made"
    cat >p.yaml <<EOF
name: p
image: busybox:1.36
engine: kubernetes
kubernetes: {workspace: {size: 5Mi, storage_class: $namespace-made}}
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: echo is up; sleep 1000}]}]}]
EOF
    mkdir w
    spawn "$RUNNER" exec "${cluster[@]}" p.yaml -w w
    wait_for 60 output_has 'is up'
    mapfile -t ids < <(case_processes)
    kill_at_once "${ids[@]}"
    finish
    assert_eq no "$(claims_go && echo yes || echo no)" "whether the claim was removed before"
    assert_exit 0 "$RUNNER" reap "${cluster[@]}"
    assert_contains "$stdout" "removed persistentvolumeclaim runner-"
    assert_eq yes "$(claims_go && echo yes)" "the claim is told to go"
    wait_for 60 claims_are_gone
}

nothing_fits() {
    cat >p.yaml <<EOF
name: p
image: busybox:1.36
engine: kubernetes
schedule_timeout: ${limit}s
stages:
- name: s
  fail_fast: false
  jobs:
  - {name: 1, kubernetes: {workspace: {size: 5Mi, storage_class: $namespace-none}}, steps: [{name: made, command: echo never}]}
  - {name: 2, kubernetes: {workspace: {pvc: nowhere}}, steps: [{name: named, command: echo never}]}
EOF
    assert_exit 1 "$RUNNER" exec "${cluster[@]}" --report json=report.json p.yaml -w w
}

# A class that has no volume: the scheduler says so, unless the wait was too short for it.
test_claim_that_nothing_fits() {
    local limits=(3 9 27)
    namespace_take
    mkdir w
    in_time '[[ $stderr == *"unbound immediate"* && $stderr == *"not found"* ]]' nothing_fits
    assert_not_contains "$stdout" never
    assert_eq "failed/unschedulable failed/unschedulable" "$(state_of made) $(state_of named)"
    assert_match "$stderr" "made\\] failed: its pod had no node after $limit seconds .*unbound immediate PersistentVolumeClaims"
    assert_match "$stderr" "named\\] failed: its pod had no node after $limit seconds .*persistentvolumeclaim \"nowhere\" not found"
    wait_for 30 claims_are_gone
    assert_nothing_there
}

if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    # What claims are is not a matter of the build.
    set -- test_artifacts test_caches test_filling
elif (($# == 0)) && ! kube_own; then
    echo "the cluster is given: its nodes do not have the directories of this machine"
    set -- test_artifacts test_caches test_filling test_claim_that_nothing_fits
fi
run_tests "$@"
