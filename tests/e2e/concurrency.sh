#!/usr/bin/env bash
# Runs and jobs that exclude each other.
source "$(dirname "$0")/../lib.sh"

# pipeline FILE NAME CONCURRENCY COMMAND: a pipeline of one step in a group, with $keys.
keys=''
pipeline() {
    printf '{name: %s, '"$keys"' concurrency: %s, stages: [{name: s, jobs: [{name: j, steps: [{name: t, command: "%s"}]}]}]}\n' \
        "$2" "$3" "$4" >"$1"
}

# background FILE: runs it beside the test; its pid is in $started, what it says in FILE.err.
background() {
    "${case_env[@]}" "$RUNNER" exec "$1" >"$1.out" 2>"$1.err" </dev/null &
    started=$!
}

tickets() { find "$case_dir/home/.local/state/runner/groups" -name '*.0*' 2>/dev/null | wc -l; }

in_containers() {
    keys='image: "busybox:1.36",'
    "$1"
}

runs_of_a_group() {
    pipeline a.yaml a deploy 'echo a >> order; touch up; while [ ! -e go ]; do sleep 0.05; done; echo a >> order'
    pipeline b.yaml b '{group: deploy}' 'echo b >> order'
    pipeline c.yaml c other 'echo c >> order'
    background a.yaml
    local first=$started
    wait_for 20 test -e up
    background b.yaml
    local second=$started
    wait_for 20 grep -q 'waits for the group "deploy", which pipeline "a" holds (run [0-9a-z]*, process '"$first"')' b.yaml.err
    assert_exit 0 "$RUNNER" exec c.yaml
    touch go
    wait "$first"
    wait "$second"
    assert_eq "a c a b" "$(paste -sd ' ' order)" "order"
    assert_eq 0 "$(tickets)" "tickets left"
    # The wait is no part of the pipeline's time.
    assert_not_contains "$(cat b.yaml.err)" timeout
}
test_runs_of_a_group_exclude_each_other() { runs_of_a_group; }
test_runs_in_containers_exclude_each_other() { in_containers runs_of_a_group; }

test_in_the_order_in_which_they_come() {
    local i pids=()
    pipeline 0.yaml r0 g 'touch up; while [ ! -e go ]; do sleep 0.05; done; echo 0 >> order'
    background 0.yaml
    pids+=("$started")
    wait_for 20 test -e up
    for i in 1 2 3; do
        pipeline $i.yaml r$i g "echo $i >> order"
        background $i.yaml
        pids+=("$started")
        wait_for 20 grep -q "waits for the group" $i.yaml.err
    done
    assert_contains "$(cat 3.yaml.err)" "; 2 more before it"
    touch go
    wait "${pids[@]}"
    assert_eq "0 1 2 3" "$(paste -sd ' ' order)" "order"
}

test_the_killed_block_nobody() {
    pipeline a.yaml a g 'touch up; sleep 60'
    pipeline b.yaml b g 'echo b'
    background a.yaml
    wait_for 20 test -e up
    kill -KILL "$started"
    wait "$started" 2>/dev/null || true
    assert_exit 0 "$RUNNER" exec b.yaml
    assert_eq 0 "$(tickets)" "tickets left"
    assert_no_leftovers 10
}

test_one_that_waits_can_be_killed_or_cancelled() {
    pipeline a.yaml a g 'touch up; while [ ! -e go ]; do sleep 0.05; done'
    pipeline b.yaml b g 'echo never'
    background a.yaml
    local first=$started
    wait_for 20 test -e up
    background b.yaml
    wait_for 20 grep -q 'waits for the group' b.yaml.err
    kill -KILL "$started"
    wait "$started" 2>/dev/null || true
    cp b.yaml c.yaml
    background c.yaml
    wait_for 20 grep -q 'waits for the group' c.yaml.err
    kill -INT "$started"
    status=0
    wait "$started" || status=$?
    assert_eq 130 "$status" "exit status of the one that was interrupted"
    assert_eq "" "$(cat c.yaml.out)" "output of the one that was interrupted"
    assert_contains "$(cat c.yaml.err)" "[workflow] cancelled"
    pipeline b.yaml b g 'echo third'
    background b.yaml
    touch go
    wait "$started" "$first"
    assert_contains "$(cat b.yaml.out)" third
    assert_eq 0 "$(tickets)" "tickets left"
}

cancel_in_progress() {
    pipeline a.yaml a g 'trap \"echo cleaned >> order; exit 1\" TERM; touch up; while :; do sleep 0.05; done'
    pipeline w.yaml w g 'echo never >> order'
    pipeline b.yaml b '{group: g, cancel_in_progress: true}' 'echo b >> order'
    background a.yaml
    local first=$started
    wait_for 20 test -e up
    background w.yaml
    local second=$started
    wait_for 20 grep -q 'waits for the group' w.yaml.err
    assert_exit 0 "$RUNNER" exec b.yaml
    assert_contains "$stderr" 'cancels and waits for the group "g", which pipeline "a" holds'
    status=0
    wait "$first" || status=$?
    assert_eq 143 "$status" "exit status of the one that was in"
    status=0
    wait "$second" || status=$?
    assert_eq 143 "$status" "exit status of the one that waited"
    assert_eq "cleaned b" "$(paste -sd ' ' order)" "order"
}
test_cancel_in_progress() { cancel_in_progress; }
test_cancel_in_progress_of_containers() { in_containers cancel_in_progress; }

jobs_of_one_run_and_of_several() {
    cat >p.yaml <<EOF
name: p
${keys:+image: busybox:1.36}
stages:
  - name: s
    jobs:
      - name: one
        matrix: {n: [1, 2, 3], host: [x]}
        concurrency: "deploy to {{ matrix.host }}"
        steps: [{name: t, command: "mkdir in && sleep 0.2 && rmdir in"}]
      - name: free
        steps: [{name: t, command: "true"}]
EOF
    background p.yaml
    assert_exit 0 "$RUNNER" exec p.yaml
    wait "$started"
    assert_contains "$stderr" 'waits for the group "deploy to x", which job "one '
    assert_eq 0 "$(tickets)" "tickets left"
}
test_jobs_of_one_run_and_of_several() { jobs_of_one_run_and_of_several; }
test_jobs_of_containers() { in_containers jobs_of_one_run_and_of_several; }

test_a_job_cannot_wait_for_its_own_run() {
    pipeline p.yaml p g 'true'
    sed -i 's/name: j,/name: j, concurrency: g,/' p.yaml
    assert_exit 1 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'failed: it would wait for ever: the group "g" is that of the whole pipeline'
}

test_what_is_wrong_in_the_file() {
    pipeline p.yaml p '{cancel_in_progress: true}' 'true'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout$stderr" '"group"'
    pipeline p.yaml p '"{{ matrix.x }}"' 'true'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout$stderr" '"matrix.x" needs a job with a "matrix"'
}

run_tests "$@"
