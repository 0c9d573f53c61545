#!/usr/bin/env bash
# Runners that may do what deploy/kubernetes/role.yaml says, and such as may do less and can do
# without: what becomes of their jobs is the same.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
unset XDG_STATE_HOME

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared needs_daemon=no
declare -A case_timeout=([test_less_is_seen]=150)
role_file=$(realpath "$(dirname "$0")/../../deploy/kubernetes/role.yaml")

# user NAME FILTER: may do what the role says when jq has changed it.
user() {
    kube create --dry-run=client -o json -f "$role_file" |
        jq --arg name "$1" ".metadata.name = \$name | .metadata.namespace = \"$namespace\" | $2" |
        kube create -f - >/dev/null
    kube create rolebinding "$1" --role="$1" --user="$1" >/dev/null
    kube_as "$1" >"$1.conf"
}

users=(whole blind deaf)

# jobs_of USER: one that ends as it should, one whose pod is taken away, and two that never begin.
jobs_of() {
    cat <<YAML
  - name: lost $1
    engine: k8s://$1/$namespace
    kubernetes: {labels: {job: lost}}
    steps: [{name: lost $1, command: "echo up; sleep 1000"}, {name: behind $1, command: echo never}]
  - name: good $1
    engine: k8s://$1/$namespace
    services:
      api:
        image: busybox:1.36
        environment: {GREETING: hello}
        command: [sh, -c, "mkdir /www; echo \$GREETING >/www/index.html; exec httpd -f -p 80 -h /www"]
        ready: {tcp: 80}
    artifacts: {name: made, paths: made}
    steps:
    - {name: tell $1, id: tell, command: 'echo out; echo err >&2; echo "n=1.4" >>\$PIPELINE_OUTPUT; echo x >made'}
    - {name: use $1, environment: {N: "{{ steps.tell.outputs.n }}"}, command: 'echo "\$N"; wget -q -O - http://api/; exit 3'}
    - {name: skipped $1, command: echo never}
  - name: missing $1
    engine: k8s://$1/$namespace
    steps: [{name: missing $1, image: "runner-test/not-there:1", pull: never, command: echo never}]
  - name: nowhere $1
    engine: k8s://$1/$namespace
    kubernetes: {node_selector: {nobody: has}}
    steps: [{name: nowhere $1, schedule_timeout: 8s, command: echo never}]
YAML
}

# What of the jobs of a user is to be seen: states, reasons, exit codes, outputs, words.
seen_by() {
    jq -c --arg user " $1" '.. | objects | select(.name? // "" | endswith($user))
        | [.level, .name, .status, .reason, .exit_code, .outputs]' report.json | sort
    grep -h " $1\\]" "$case_dir/stdout" | sed 's/.*\[step([0-9/]*): /[/' | sort
    # Whether a deleted pod is seen before it has gone is chance.
    sed -n "/ $1\\] failed: /{/lost $1/d; s/.*\\[\\([a-z]*\\)([0-9/]*): /[\\1 /; s/ ([0-9.ms]*)\$//; p}" \
        "$case_dir/stderr" | sort
}

test_less_is_seen() {
    local name user
    namespace_take
    user whole .
    user blind '.rules |= map(.verbs -= ["watch"])'
    user deaf '.rules |= map(select(.resources != ["events"] and .resources != ["persistentvolumeclaims"]))'
    assert_eq "yes no no yes" "$(
        for name in "whole pods" "blind pods" "deaf events" "deaf pods"; do
            kube auth can-i watch "${name#* }" --as="${name% *}" || true
        done | paste -sd ' ')" "who may watch"
    {
        printf 'name: p\nimage: busybox:1.36\nstages:\n- name: s\n  fail_fast: false\n  jobs:\n'
        for user in "${users[@]}"; do
            jobs_of "$user"
        done
    } >p.yaml
    local -x KUBECONFIG=whole.conf:blind.conf:deaf.conf
    spawn "$RUNNER" exec --jobs 12 --report json=report.json --log-level debug --log-file log p.yaml
    for user in "${users[@]}"; do
        wait_for 90 output_has "lost $user\\] up"
    done
    # Before 1.22 a kubelet may overlook that a pod is to go which it has not seen running.
    kube wait --for=condition=Ready pods -l job=lost --timeout="$(patience 30)s" >/dev/null
    kube delete pods --force --grace-period=0 -l job=lost >/dev/null 2>&1
    finish
    assert_eq 1 "$status" "exit status"
    assert_not_contains "$stdout" never
    assert_match "$(<log)" 'the watch on pods: .*User "blind" cannot watch resource "pods"'
    assert_match "$(<log)" 'what is reported about pods is not shown: .*User "deaf" cannot list resource "events"'
    for user in "${users[@]}"; do
        assert_eq "succeeded failed/error skipped/dependency failed/image_pull failed/unschedulable failed/lost skipped/dependency" \
            "$(for name in tell use skipped missing nowhere lost behind; do state_of "$name $user"; done | paste -sd ' ')" "$user"
        assert_eq "1.4
hello" "$(lines "use $user")"
        assert_match "$stderr" "lost $user\\] failed: .*its pod (was|is being) deleted by somebody else"
        assert_match "$stderr" "nowhere $user\\] failed: its pod had no node after 8 seconds .*didn't match"
        seen_by "$user" | sed "s/ $user/ USER/g" >"seen.$user"
        diff seen.whole "seen.$user" >differs || fail "$user does not see the same: $(<differs)"
    done
    (($(wc -l <seen.whole) >= 20)) || fail "too little was compared: $(<seen.whole)"
    assert_nothing_there
}

run_tests "$@"
