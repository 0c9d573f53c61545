#!/usr/bin/env bash
# Steps in the background and what tells that they are ready, on the host and in containers.
source "$(dirname "$0")/../lib.sh"

# pipeline KEYS STEPS: one job whose steps are given as YAML flow mappings.
pipeline() {
    printf 'name: p\n%s\nstages: [{name: s, jobs: [{name: j, steps: [%s]}]}]\n' "$1" "$2" >p.yaml
}

# both FUNCTION: calls it with the keys of the host engine, then of containers.
both() {
    "$1" 'engine: host'
    "$1" 'image: busybox:1.36'
    "$1" $'image: busybox:1.36\nisolation: job'
}

# state STEP: its final state and exit code, from the report.
state() {
    jq -r --arg name "$1" '.stages[0].jobs[0].steps[] | select(.name == $name) |
        .status + " " + (.exit_code | tostring) + (if .allowed_failure then " allowed" else "" end)' report
}

server='trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.1; done'

ends_with_the_job() {
    pipeline "$1" "{name: server, background: true, command: '$server', ready: {log: '^u[p]\$'}},
        {name: use, command: 'echo used'}"
    assert_exit 0 "$RUNNER" exec --report json=report p.yaml
    assert_contains "$stdout" "[step(2/2): use] used"
    # What it says at its end is not lost, and its exit code is told.
    assert_contains "$stdout" "[step(1/2): server] bye"
    assert_contains "$stderr" "[step(1/2): server] stopped with its job: exit code 7"
    assert_eq "succeeded 7" "$(state server)"
}

test_background_step_ends_with_the_job() { both ends_with_the_job; }

kills_after_the_grace() {
    pipeline "$1" "{name: deaf, background: true, grace: 200ms, command: 'trap \"\" TERM; echo up; while :; do sleep 0.1; done', ready: {log: up}},
        {name: use, command: 'echo used'}"
    assert_exit 0 "$RUNNER" exec --report json=report p.yaml
    assert_eq "succeeded 137" "$(state deaf)"
}

test_background_step_is_killed_after_its_grace() { both kills_after_the_grace; }

fails_by_itself() {
    pipeline "$1" "{name: dies, background: true, command: 'exit 3'},
        {name: use, command: 'until [ -e go ]; do sleep 0.05; done; echo used'}"
    rm -f go
    spawn "$RUNNER" exec --report json=report p.yaml
    wait_for 30 grep -F 'dies] has ended by itself, before its job: exit code 3' "$case_dir/stderr"
    touch go
    finish
    assert_eq 0 "$status"
    assert_eq "failed 3 allowed" "$(state dies)"
    assert_eq "succeeded 0" "$(state use)"
}

test_failure_in_the_background_is_told_and_not_counted() { both fails_by_itself; }

web='mkdir -p /tmp/www-$$; echo hello >/tmp/www-$$/index.html; exec busybox httpd -f -p 127.0.0.1:18431 -h /tmp/www-$$'

probes() {
    pipeline "$1" "{name: web, background: true, command: '$web',
            ready: {tcp: 18431, http: 'http://localhost:18431/index.html', command: 'ls -d /tmp/www-*'}},
        {name: use, command: 'busybox wget -q -O - http://127.0.0.1:18431/index.html; rm -rf /tmp/www-*'}"
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "[step(2/2): use] hello"
}

test_ready_by_tcp_http_and_command() { both probes; }

# never_in_limit KEYS READY
never_in_limit() {
    pipeline "$1" "{name: web, background: true, command: '$web', ready: {timeout: ${limit}s, $2}},
        {name: use, command: 'echo used'}"
    sed -i 's/exec busybox/echo here I am; exec busybox/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
}

# never KEYS READY REGEX: what is said when the server is there, and yet not ready.
never() {
    local expected="\\[step\\(1/2\\): web\\] failed: it was not ready after [0-9]+ seconds?: $3"
    in_time '[[ $stderr =~ $expected && $stderr == *"| here I am"* ]]' never_in_limit "$1" "$2"
    assert_not_contains "$stdout" "used"
    assert_match "$stderr" "$expected"
    assert_contains "$stderr" "    | here I am"
}

never_ready() {
    never "$1" 'http: "http://localhost:18431/nothing"' '.*status 404'
    never "$1" 'tcp: "127.0.0.1:18432"' '.*127.0.0.1:18432: .*[Cc]onnection refused'
    never "$1" 'command: "echo not yet >&2; exit 4"' 'the command ends with 4: not yet'
    never "$1" 'command: "sleep 60"' ''
    never "$1" 'log: "never said"' 'no line of its output matches "never said"'
}

declare -A case_timeout=([test_not_ready_says_why_on_the_host]=120 [test_not_ready_says_why_in_containers]=120)
test_not_ready_says_why_on_the_host() { never_ready 'engine: host'; rm -rf /tmp/www-*; }
test_not_ready_says_why_in_containers() { never_ready 'image: busybox:1.36'; }

test_end_before_it_is_ready_fails() {
    pipeline 'engine: host' '{name: a, background: true, command: "echo bad luck; exit 5", ready: {tcp: 18433}, retry: 1},
        {name: b, command: echo never}'
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "attempt 1 failed: ended before it was ready: exit code 5; trying again"
    assert_contains "$stderr" "a] failed: ended before it was ready: exit code 5"
    assert_contains "$stderr" "    | bad luck"
    assert_not_contains "$stdout" "] never"
}

test_background_step_in_a_graph_counts_as_succeeded() {
    pipeline 'engine: host' '{name: server, id: server, background: true, command: "echo up; sleep 100", ready: {log: up}},
        {name: use, depends_on: server, command: "echo used"},
        {name: not, depends_on: [{step: server, condition: failed}], command: "echo never"}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "use] used"
    assert_not_contains "$stdout" "] never"
    assert_contains "$stderr" 'skipped: it needs "server" to fail, which goes on in the background'
}

# The job has done its work when its time is up during `post`.
short_job() {
    write p.yaml <<Y
name: p
stages:
  - name: s
    jobs:
      - name: j
        timeout: ${limit}s
        post: sleep $limit
        steps:
          - {name: aside, background: true, command: sleep 60}
          - {name: work, command: "true"}
Y
    exec_report p.yaml
}

test_end_of_the_time_during_post_does_not_count() {
    in_time '((status == 0))' short_job
    assert_eq 0 "$status" "exit status"
    assert_eq succeeded "$(state_of aside)"
}

test_post_still_has_it() {
    cat >p.yaml <<'P'
name: p
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: server, background: true, command: 'echo $$ >pid; exec sleep 100', ready: {command: "test -s pid"}}
    - {name: bad, command: exit 1}
    post: 'kill -0 $(cat pid) && echo still there'
P
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stdout" "post] still there"
}

killed() {
    pipeline "$1" "{name: server, background: true, command: 'echo up; sleep 1000', ready: {log: up}},
        {name: use, command: 'echo in use; sleep 1000'}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -F 'in use' "$case_dir/stdout"
    kill -KILL "$spawned"
    finish
    assert_no_leftovers 30
}

test_nothing_is_left_after_kill_9() { both killed; }

test_cancel_ends_it() {
    pipeline 'engine: host' "{name: server, background: true, command: '$server', ready: {log: up}},
        {name: use, command: 'echo in use; sleep 1000'}"
    spawn "$RUNNER" exec --report json=report p.yaml
    wait_for 30 grep -F 'in use' "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_contains "$stdout" "server] bye"
    assert_match "$(state server)" '^cancelled'
}

run_tests "$@"
