#!/usr/bin/env bash
# Dependencies, retries, matrices, hooks and `finally`, on the host and in Docker. Which combination
# of an end and a condition runs is the table of flow.sh.
source "$(dirname "$0")/../lib.sh"

declare -A case_timeout=([test_on_both_engines]=120)

# Two steps that need each other at the same time, in one job and one place.
on_engine() {
    write p.yaml <<Y
name: p
$1
stages:
  - name: s
    jobs:
      - name: meet
        timeout: 60s
        steps:
          - {name: one, command: "touch one; until test -e two; do sleep 0.05; done; echo met"}
          - {name: two, command: "touch two; until test -e one; do sleep 0.05; done; echo met"}
          - {name: after, command: "test -e one && test -e two && echo after", depends_on: [one, two]}
          - {name: rescue, command: echo never, depends_on: {step: after, condition: failed}}
      - name: again
        steps:
          - {name: flaky, command: 'echo "attempt \$PIPELINE_ATTEMPT"; test \$PIPELINE_ATTEMPT = 3', retry: 2}
          - {name: codes, command: exit 9, retry: {attempts: 5, on: [7]}, allow_failure: [9]}
      - name: "m {{ matrix.v }}"
        matrix: {v: [1, 2]}
        environment: {V: "{{ matrix.v }}"}
        post: {always: 'echo "post of \$V"'}
        steps:
          - {name: show, command: 'echo "v is \$V"'}
          - {name: second only, command: echo second, if: "matrix.v == 2"}
finally:
  - name: end
    jobs: [{name: e, steps: [{name: tidy, command: rm -f one two; echo tidied}]}]
Y
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "[step(1/4): one] met"
    assert_contains "$stdout" "[step(3/4): after] after"
    assert_eq skipped "$(state_of rescue)"
    assert_contains "$stdout" "] attempt 3"
    assert_not_contains "$stderr" "codes] attempt"
    assert_eq failed/error "$(state_of codes)"
    assert_contains "$stdout" "[job(3/4): m 1][step(1/3): show] v is 1"
    assert_contains "$stdout" "[job(4/4): m 2][step(2/3): second only] second"
    assert_contains "$stdout" "] post of 2"
    assert_contains "$stdout" "] tidied"
}

test_on_both_engines() {
    on_engine ""
    on_engine "image: busybox:1.36"
    on_engine "image: busybox:1.36
isolation: job"
}

test_graph_of_stages() {
    write p.yaml <<'Y'
name: p
stages:
  - {name: a, jobs: [{name: ja, steps: [{name: s, command: "touch a; until test -e b; do sleep 0.02; done"}]}]}
  - {name: b, depends_on: [], jobs: [{name: jb, steps: [{name: s, command: "touch b; until test -e a; do sleep 0.02; done"}]}]}
  - {name: c, depends_on: [a, b], jobs: [{name: jc, steps: [{name: s, command: "echo {a} {b}"}]}]}
Y
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq succeeded "$(state_of c)"
}

# Ctrl-C: what waits is cancelled, hooks of what had started and `finally` run.
test_interrupt() {
    write p.yaml <<'Y'
name: p
post: echo post of the pipeline
stages:
  - name: s
    jobs:
      - name: j
        post: {cancelled: echo cancelled hook, success: echo success hook}
        steps:
          - {name: a, command: touch up; sleep 60, retry: 5}
          - {name: b, command: echo never, depends_on: a}
          - {name: c, command: echo never, depends_on: a, if: always()}
      - {name: k, depends_on: {job: j, condition: completed}, steps: [{name: d, command: echo never}]}
finally:
  - {name: end, jobs: [{name: e, steps: [{name: tidy, command: echo tidied}]}]}
Y
    spawn "$RUNNER" exec --report json=report.json p.yaml
    wait_for 20 test -e up
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status" "exit status"
    for name in a b c k d; do
        assert_eq cancelled "$(state_of $name)" "$name"
    done
    assert_contains "$stdout" "] cancelled hook"
    assert_contains "$stdout" "] tidied"
    assert_contains "$stdout" "] post of the pipeline"
    assert_not_contains "$stdout" "success hook"
    assert_not_contains "$stdout" "never"
    assert_not_contains "$stderr" "trying again"
}

# What always runs can still look at files when the time of the pipeline is up.
test_files_after_the_end() {
    write p.yaml <<'Y'
name: p
timeout: 500ms
stages:
  - name: s
    jobs:
      - name: j
        post: 'echo "post of $HASH"'
        environment: {HASH: "{{ hashFiles('p.yaml') }}"}
        steps: [{name: slow, command: sleep 60}]
finally:
  - {name: one, if: exists('p.yaml'), jobs: [{name: k, steps: [{name: first, command: "true"}]}]}
  - name: two
    jobs:
      - name: l
        if: exists('p.yaml')
        steps:
          - {name: second, when: {exists: p.yaml}, command: 'echo "hash $HASH"', environment: {HASH: "{{ hashFiles('p.yaml') }}"}}
Y
    exec_report p.yaml
    assert_eq 124 "$status" "exit status"
    for name in one two first second; do
        assert_eq succeeded "$(state_of $name)" "$name"
    done
    assert_match "$stdout" '\] post of [0-9a-f]{64}'
    assert_match "$stdout" '\] hash [0-9a-f]{64}'
}

long_pause() {
    write p.yaml <<Y
name: p
stages:
  - name: s
    timeout: ${limit}s
    jobs: [{name: j, steps: [{name: a, command: touch tried; exit 3, retry: {attempts: 9, delay: 1h}}]}]
Y
    exec_report p.yaml
}

test_retry_stays_within_the_time_above() {
    in_time 'test -e tried' long_pause
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "not tried again: the pause would outlast the time that is left"
    assert_eq failed/error "$(state_of a)"
    sed -i 's/delay: 1h/delay: 10ms/; s/touch tried; exit 3/sleep 60/' p.yaml
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq failed/timeout "$(state_of s)"
    assert_eq 1 "$(jq '[.. | objects | select(.name == "a")] | first | .attempt' report.json)"
}

# The end of the time above is no failure that could be allowed; that of its own is one.
test_time_above_is_never_allowed() {
    write step.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        timeout: 500ms
        post: {success: echo success hook, failure: echo failure hook}
        steps: [{name: last, command: sleep 60, allow_failure: true}]
Y
    exec_report step.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq failed/timeout "$(state_of j)"
    assert_contains "$stdout" "] failure hook"
    assert_not_contains "$stdout" "success hook"
    write job.yaml <<'Y'
name: p
timeout: 500ms
stages: [{name: s, allow_failure: true, jobs: [{name: j, allow_failure: true, steps: [{name: last, command: sleep 60}]}]}]
Y
    exec_report job.yaml
    assert_eq 124 "$status" "exit status"
    assert_eq failed/timeout "$(state_of s)"
    write own.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - {name: j, steps: [{name: a, command: sleep 60, timeout: 100ms, allow_failure: true}]}
      - {name: k, steps: [{name: b, command: sleep 60}], timeout: 100ms, allow_failure: true}
  - {name: t, timeout: 100ms, allow_failure: true, jobs: [{name: l, steps: [{name: c, command: sleep 60}]}]}
finally:
  - {name: f, timeout: 100ms, allow_failure: true, jobs: [{name: m, steps: [{name: d, command: sleep 60}]}]}
Y
    exec_report own.yaml
    assert_eq 0 "$status" "exit status"
    for name in a k t f; do
        assert_eq failed/timeout "$(state_of $name)" "$name"
    done
}

# Exit codes that a job or stage lists are those of its steps.
test_exit_codes_of_jobs() {
    write p.yaml <<'Y'
name: p
stages:
  - {name: s, allow_failure: [3], jobs: [{name: j, steps: [{name: a, command: exit 3}]}]}
  - name: t
    jobs:
      - name: both
        allow_failure: [3, 4]
        steps:
          - {name: b, command: exit 3, depends_on: []}
          - {name: c, command: exit 4, depends_on: []}
      - name: again
        retry: {attempts: 2, on: [5]}
        steps: [{name: d, command: 'test -e again || { touch again; exit 5; }'}]
      - name: lost
        retry: {attempts: 2, on: [engine]}
        allow_failure: true
        steps: [{name: e, workdir: /proc/none, command: "true"}]
Y
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq failed/error "$(state_of s)"
    assert_eq failed/error "$(state_of both)"
    assert_eq 2 "$(jq '[.. | objects | select(.name == "again")] | first | .attempt' report.json)"
    assert_eq 2 "$(jq '[.. | objects | select(.name == "lost")] | first | .attempt' report.json)"
    sed -i 's/\[3, 4\]/[3]/' p.yaml
    exec_report p.yaml
    assert_eq 1 "$status" "exit status with a code that is not listed"
}

# A condition that cannot be told fails its job like any other failure.
test_condition_that_cannot_be_told() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    run_mode: serial
    jobs:
      - {name: allowed, if: fromJSON('x') == 1, allow_failure: true, steps: [{name: a, command: "true"}]}
      - {name: next, steps: [{name: b, command: "true"}]}
  - name: t
    jobs:
      - {name: long, steps: [{name: c, command: "touch up; sleep 60"}]}
      - {name: wait, steps: [{name: d, command: until test -e up; do sleep 0.02; done}]}
      - {name: broken, depends_on: wait, if: fromJSON('x') == 1, steps: [{name: e, command: "true"}]}
Y
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq failed/error "$(state_of allowed)"
    assert_eq succeeded "$(state_of next)"
    assert_eq failed/error "$(state_of broken)"
    assert_eq cancelled "$(state_of long)"
}

first_is_late() {
    write p.yaml <<Y
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: a
            timeout: ${limit}s
            command: 'test "\$PIPELINE_ATTEMPT" = 2 || sleep 60'
            retry: {attempts: 2, on: timeout}
Y
    exec_report p.yaml
}

test_own_timeout_is_for_each_attempt() {
    in_time '((status == 0))' first_is_late
    assert_eq 0 "$status" "exit status"
    assert_match "$stderr" "a\\] attempt 1 failed: step timeout after $limit seconds?: context deadline exceeded; trying again"
    assert_eq timeout "$(jq -r '[.. | objects | select(.name == "a")] | first | .attempts[0].reason' report.json)"
}

test_retry_of_a_job_begins_anew() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        retry: {attempts: 3, delay: 50ms}
        steps:
          - {name: count, command: echo x >>count}
          - {name: check, command: 'test "$(wc -l <count)" = 3'}
          - {name: last, command: echo last}
Y
    run "$RUNNER" exec --progress json --report json=report.json p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq 2 "$(grep -c '"event":"JobRetrying"' <<<"$stdout")"
    assert_eq 3 "$(grep -c '"event":"StepStarted".*"name":"count"' <<<"$stdout")"
    assert_eq 3 "$(jq '[.. | objects | select(.name == "j")] | first | .attempt' report.json)"
    assert_eq succeeded "$(state_of last)"
}

# The limit of the whole pipeline holds across stages that run at the same time.
test_jobs_limit() {
    {
        echo 'name: p'
        echo 'stages:'
        for stage in a b c; do
            echo "  - name: $stage"
            echo '    depends_on: []'
            echo '    jobs:'
            for job in 1 2 3; do
                echo "      - {name: $stage$job, steps: [{name: s, command: 'touch run.$stage$job; ls -d run.* | wc -l >>most; sleep 0.1; rm run.$stage$job'}]}"
            done
        done
    } >p.yaml
    assert_exit 0 "$RUNNER" exec --jobs 2 p.yaml
    assert_eq 9 "$(wc -l <most)"
    [[ $(sort -n most | tail -n 1) -le 2 ]] || fail "more than 2 at a time: $(sort -n most | tail -n 1)"
}

test_matrix_limit() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: m
        matrix: {v: [1, 2, 3, 4, 5, 6], max_parallel: 2}
        environment: {V: "{{ matrix.v }}"}
        steps: [{name: s, command: 'touch run.$V; ls -d run.* | wc -l >>most; sleep 0.1; rm run.$V'}]
Y
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_eq 6 "$(wc -l <most)"
    [[ $(sort -n most | tail -n 1) -eq 2 ]] || fail "not 2 at a time: $(sort -n most | tail -n 1)"
}

# Of a matrix that does not fail fast all run, of one that does the rest is ended.
test_matrix_fail_fast() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    fail_fast: false
    jobs:
      - name: m
        matrix: {v: [1, 2, 3], fail_fast: true, max_parallel: 1}
        environment: {V: "{{ matrix.v }}"}
        steps: [{name: s, command: 'test "$V" != 1'}]
      - {name: other, steps: [{name: s, command: "true"}]}
Y
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq skipped/dependency "$(state_of 'm (2)')"
    assert_eq succeeded "$(state_of other)"
    sed -i 's/fail_fast: false/fail_fast: true/; s/fail_fast: true, max/fail_fast: false, max/' p.yaml
    exec_report p.yaml
    assert_eq failed/error "$(state_of 'm (1)')"
    assert_eq succeeded "$(state_of 'm (3)')"
}

test_hooks_of_a_stage() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    pre: echo first >>order
    post: {always: echo last >>order, failure: echo "failed" >>order}
    jobs:
      - {name: a, steps: [{name: x, command: echo a >>order}]}
      - {name: b, depends_on: a, steps: [{name: x, command: echo b >>order; exit 1}]}
Y
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq "first a b failed last" "$(tr '\n' ' ' <order | sed 's/ $//')"
    rm order
    sed -i 's/pre: echo first >>order/pre: exit 5/' p.yaml
    exec_report p.yaml
    assert_eq skipped/dependency "$(state_of a)"
    assert_eq "failed last" "$(tr '\n' ' ' <order | sed 's/ $//')"
}

# Conditions that cannot be evaluated fail what they are for, and say where.
test_conditions_that_fail() {
    write p.yaml <<'Y'
name: p
environment: {A: text}
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x, if: "$A < 3"}]}]}]
Y
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" 'the condition "$A < 3" fails at column 1: '
    assert_eq failed/error "$(state_of a)"
}

test_scripts_read_nothing_of_what_follows() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: "cat; read line; echo read-$?; cat >/dev/null; echo still here", depends_on: []}
          - {name: b, command: "echo b", depends_on: a}
Y
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_contains "$stdout" "] still here"
    assert_contains "$stdout" "] b"
}

run_tests "$@"
