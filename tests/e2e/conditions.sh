#!/usr/bin/env bash
# Order, conditions, hooks and attempts: that a key of stage, job and step means the same on both
# engines. The host alone is looked at more closely by graph.sh, flow.sh, files.sh and host.sh.
source "$(dirname "$0")/../lib.sh"

# both FUNCTION: calls it with the keys of the host engine, then of containers (shared, as that is
# quick).
both() {
    mkdir host docker
    cd host
    "$1" 'engine: host'
    cd ../docker
    "$1" $'image: busybox:1.36\nisolation: job'
}

# states NAME…: what became of the nodes of these names.
states() {
    local name
    for name in "$@"; do
        printf '%s=%s ' "$name" "$(state_of "$name")"
    done
}

said() { sed 's/.*\] //' <<<"$stdout" | paste -sd ' '; }

commit() { git -c user.name=n -c user.email=e@x commit -qam "$1"; }

# A step, a job and a stage for each condition, of which the first three hold.
conditions() {
    git init -qb main .
    echo one >source.c
    echo one >text.md
    git add .
    commit first
    echo two >source.c
    commit second
    cat >p.yaml <<END
name: p
$1
environment: {MODE: full}
stages:
  - name: s
    run_mode: serial
    jobs:
      - name: steps
        steps:
          - {name: env, when: {env: {MODE: [fast, "f*l"]}}, command: &run echo ran}
          - {name: no env, when: {env: {MODE: fast}}, command: *run}
          - {name: exists, when: {exists: "*.c"}, command: *run}
          - {name: no exists, when: {exists: ["*.h"]}, command: *run}
          - {name: changed, when: {changed: "*.c"}, command: *run}
          - {name: no changed, when: {changed: "*.md"}, command: *run}
          - {name: branch, when: {branch: main}, command: *run}
          - {name: no branch, when: {branch: "release/*"}, command: *run}
          - {name: event, when: {event: [push]}, command: *run}
          - {name: no event, when: {event: manual}, command: *run}
          - {name: status, when: {status: success}, command: *run}
          - {name: no status, when: {status: failure}, command: *run}
          - {name: expr, when: {expr: env.MODE == 'full'}, command: *run}
          - {name: no expr, when: {expr: env.MODE != 'full'}, command: *run}
          - {name: if, if: "\$MODE =~ '^f'", command: *run}
          - {name: no if, if: failure(), command: *run}
      - {name: job if, if: "exists('source.c')", steps: [{name: a, command: *run}]}
      - {name: no job if, if: "exists('source.h')", steps: [{name: a, command: *run}]}
      - {name: job when, when: {branch: main, event: push}, steps: [{name: a, command: *run}]}
      - {name: no job when, when: {branch: main, event: tag}, steps: [{name: a, command: *run}]}
  - {name: stage if, if: env.MODE == 'full', jobs: [{name: j, steps: [{name: a, command: *run}]}]}
  - {name: no stage if, if: env.MODE == 'fast', jobs: [{name: j, steps: [{name: a, command: *run}]}]}
  - {name: stage when, when: {changed: source.c}, jobs: [{name: j, steps: [{name: a, command: *run}]}]}
  - {name: no stage when, when: {changed: text.md}, jobs: [{name: j, steps: [{name: a, command: *run}]}]}
END
    exec_report p.yaml -e PIPELINE_BRANCH=main -e PIPELINE_EVENT=push
    assert_eq 0 "$status" "exit status"
    local name
    for name in env exists changed branch event status expr if "job if" "job when" "stage if" "stage when"; do
        assert_eq "succeeded skipped" "$(state_of "$name") $(state_of "no $name")" "$name"
    done
}
test_conditions() { both conditions; }

# Stages, jobs and steps each form a graph; failures that do not count, and hooks of all levels.
order() {
    cat >p.yaml <<END
name: p
$1
pre: echo pipeline pre
post: {always: echo pipeline always, success: echo pipeline success, failure: echo never, cancelled: echo never}
finally:
  - name: last
    jobs: [{name: j, steps: [{name: a, command: echo finally}]}]
stages:
  - {name: after, depends_on: [build], jobs: [{name: j, steps: [{name: a, shell_options: strict, command: "echo after; false; echo never", allow_failure: true}]}]}
  - name: build
    fail_fast: false
    max_parallel: 1
    allow_failure: true
    pre: echo stage pre
    post: {failure: echo stage failure, success: echo never}
    jobs:
      - name: bad
        pre: echo job pre
        post: {always: echo job always, failure: echo job failure, success: echo never, cancelled: echo never}
        steps:
          - {name: second, depends_on: {step: one, condition: failed}, command: echo second; exit 5, allow_failure: [4]}
          - {name: first, id: one, command: echo first; exit 4, allow_failure: [4]}
          - {name: third, depends_on: second, command: echo never}
      - {name: allowed, allow_failure: true, depends_on: {job: bad, condition: completed}, steps: [{name: a, command: echo allowed; exit 1}]}
      - {name: rescue, depends_on: [allowed, {job: bad, condition: failed}], steps: [{name: a, command: echo rescue}]}
      - {name: not, depends_on: bad, steps: [{name: a, command: echo never}]}
  - {name: not after, depends_on: {stage: build, condition: failed}, if: "false", jobs: [{name: j, steps: [{name: a, command: echo never}]}]}
END
    exec_report p.yaml
    assert_eq 0 "$status" "exit status"
    assert_eq "pipeline pre stage pre job pre first second job failure job always allowed rescue stage failure after finally pipeline success pipeline always" "$(said)"
    assert_eq "first=failed/error second=failed/error third=skipped/dependency allowed=failed/error rescue=succeeded not=skipped/dependency build=failed/error " \
        "$(states first second third allowed rescue not build)"
}
test_order_and_hooks() { both order; }

# The first failure ends the others of its stage, or of its matrix, and no more.
fail_fast() {
    cat >p.yaml <<END
name: p
$1
stages:
  - name: s
    jobs:
      - {name: slow, steps: [{name: a, command: "touch up; sleep 60", grace: 0s}], post: {cancelled: echo was cancelled, failure: echo never}}
      - {name: bad, steps: [{name: a, command: "until [ -e up ]; do sleep 0.05; done; exit 1"}]}
END
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq "slow=cancelled bad=failed/error " "$(states slow bad)"
    assert_eq "was cancelled" "$(said)"
    cat >p.yaml <<END
name: p
$1
stages:
  - name: s
    fail_fast: false
    jobs:
      - name: m {{ matrix.v }}{{ default(matrix.w, '') }}
        matrix: {v: [1, 2, 3], exclude: [{v: 2}], include: [{v: 3, w: x}, {v: 4}], max_parallel: 1, fail_fast: true}
        environment: {V: "{{ matrix.v }}{{ default(matrix.w, '') }}"}
        steps: [{name: a, command: 'echo "\$V"; test "\$V" != 3x'}]
      - {name: other, steps: [{name: a, command: sleep 0.5; echo other}]}
END
    exec_report p.yaml
    assert_eq 1 "$status" "exit status"
    assert_eq "m 1=succeeded m 2= m 3x=failed/error m 4=skipped/dependency other=succeeded " \
        "$(states "m 1" "m 2" "m 3x" "m 4" other)"
}
test_fail_fast() { both fail_fast; }

attempts_in_limit() {
    cat >p.yaml <<END
name: p
$1
stages:
  - name: s
    fail_fast: false
    jobs:
      - name: steps
        steps:
          - {name: linear, command: 'test "\$PIPELINE_ATTEMPT" = 3', retry: {attempts: 3, delay: 50ms, backoff: linear}}
          - {name: exponential, command: 'test "\$PIPELINE_ATTEMPT" = 4', retry: {attempts: 4, delay: 50ms, backoff: exponential, max_delay: 150ms}}
          - {name: random, command: 'test "\$PIPELINE_ATTEMPT" = 4', retry: {attempts: 4, delay: 200ms, jitter: true}}
          - {name: time, timeout: ${limit}s, grace: 0s, command: 'test "\$PIPELINE_ATTEMPT" = 2 || sleep 60', retry: {on: [timeout, 3]}}
          - {name: other, command: exit 4, retry: {attempts: 3, on: [timeout, 3]}, allow_failure: true}
          - {name: not, command: exit 5, retry: {attempts: 3, not_on: 5}, allow_failure: true}
      - name: job
        retry: 1
        steps: [{name: a, command: echo x >>tries}, {name: b, command: 'test "\$(wc -l <tries)" = 2'}]
END
    rm -f tries
    run "$RUNNER" exec --progress json --report json=report.json p.yaml
}

# Pauses and causes; a timeout is one.
attempts() {
    in_time '((status == 0))' attempts_in_limit "$1"
    assert_eq 0 "$status" "exit status"
    pauses() { jq -r --arg id ".0.0.$1" 'select(.event == "StepRetrying" and (.id | endswith($id))) | .delay_ms' <<<"$stdout" | paste -sd ' '; }
    assert_eq "50 100" "$(pauses 0)" "linear pauses"
    assert_eq "50 100 150" "$(pauses 1)" "exponential pauses"
    assert_match "$(pauses 2)" '^((1[0-9]{2}|200)( |$)){3}$' "random pauses"
    [[ $(pauses 2) != "200 200 200" ]] || fail "no pause is shortened"
    local name tries=''
    for name in time other not job; do
        tries+="$name=$(jq --arg name "$name" '[.. | objects | select(.name == $name)] | first | .attempt' report.json) "
    done
    assert_eq "time=2 other=1 not=1 job=2 " "$tries" "attempts"
}
test_attempts() { both attempts; }

run_tests "$@"
