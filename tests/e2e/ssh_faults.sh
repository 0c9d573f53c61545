#!/usr/bin/env bash
# Bad days of hosts and of the ways to them: what vanishes, cannot be reached, is full, or refuses.
source "$(dirname "$0")/../lib.sh"
source "$(dirname "$0")/../sshd.sh"

# forget_the_run: as a restart of the host does: what ran there has ended, and its directory is gone.
forget_the_run() {
    local pid
    for pid in $(pgrep -f "^$PWD/tmp/runner-.*/helper lane"); do
        kill -9 "$pid" 2>/dev/null || true
    done
    sshd_cut
    rm -rf tmp/runner-*
}

test_host_is_started_anew() {
    sshd_begin
    pipeline '{name: a, command: "echo up; sleep NAP4", allow_failure: true},
        {name: b, retry: 2, command: "echo attempt $PIPELINE_ATTEMPT; [ $PIPELINE_ATTEMPT = 2 ] || sleep NAP4"},
        {name: c, command: "echo done"}'
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    forget_the_run
    wait_for 30 grep -q "attempt 1" "$case_dir/stdout"
    forget_the_run
    finish
    assert_eq 0 "$status" "exit status"
    assert_eq failed/lost "$(state_of a)"
    assert_contains "$stdout" "b] attempt 2"
    assert_contains "$stdout" "c] done"
    assert_contains "$stderr" "is gone, as after a restart of the host: it is made again"
    assert_host_is_clean
}

# Between steps, so that none of them is lost.
test_host_is_started_anew_between_steps() {
    sshd_begin
    pipeline "{name: a, command: echo up},
        {name: b, engine: host, command: 'until [ -e go ]; do sleep 0.05; done'},
        {name: c, command: echo done}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    forget_the_run
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "c] done"
    assert_host_is_clean
}

# What steps have made in a copy is not made up by another copy; a job that begins anew has all.
test_copy_of_the_workspace_vanishes() {
    sshd_begin
    write data <<<"from here"
    printf 'name: p\nengine: "%s"\nstages: [{name: s, jobs: [{name: j, checkout: workdir, retry: 2, steps: [
        {name: make, command: "cat data >made"},
        {name: wait, engine: host, command: "echo up $PIPELINE_ATTEMPT; until [ -e go ]; do sleep 0.05; done"},
        {name: use, command: cat made}]}]}]\n' "$url" >p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q "up" "$case_dir/stdout"
    forget_the_run
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "use] failed: lost: no exit record: the copy of the workspace is gone, and what earlier steps have made there"
    assert_contains "$stdout" "use] from here"
    assert_host_is_clean
}

# A connection that takes no command is not kept for later.
test_refused_connections_do_not_pile_up() {
    sshd_begin "MaxSessions 0"
    pipeline "{name: a, retry: 3, command: echo never, allow_failure: true},
        {name: b, engine: host, command: 'echo up; until [ -e go ]; do sleep 0.05; done'}"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    wait_for 5 no_connections
    touch go
    finish
    assert_eq 0 "$status" "exit status"
    assert_contains "$stderr" "the limit is its MaxSessions"
}
no_connections() { [[ -z $(ps -o pid= --ppid "$sshd_pid") ]]; }

# What could not be killed while the host could not be reached ends as soon as it can be, and not only
# with the run.
test_step_that_could_not_be_killed() {
    sshd_begin
    pipeline '{name: a, grace: 200ms, command: "echo up; sleep NAP1"}'
    cat >>p.yaml <<'Y'
finally:
  - {name: f, jobs: [{name: f, steps: [{name: b, engine: host, command: 'echo next; until [ -e go ]; do sleep 0.05; done'}]}]}
Y
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 30 grep -q up "$case_dir/stdout"
    sshd_end
    kill -INT "$spawned"
    wait_for 40 grep -q next "$case_dir/stdout"
    pgrep -f "sleep ${nap}1" >/dev/null || fail "the step has ended without a word"
    sshd_start
    wait_for 40 bash -c "! pgrep -f 'sleep ${nap}[1]'"
    touch go
    finish
    assert_eq 130 "$status"
    assert_eq cancelled "$(state_of a)"
    assert_host_is_clean
}

# Long waiting is enough once.
if (($# == 0)) && [[ ${RUNNER_TEST_PRESET:-asan} != asan ]]; then
    set -- $(declare -F | sed -n 's/^declare -f \(test_\)/\1/p' | grep -vx test_step_that_could_not_be_killed)
fi
run_tests "$@"
