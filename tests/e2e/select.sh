#!/usr/bin/env bash
# Parts of a pipeline: --only, --skip, --from; and keys set from outside: --set.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# ran: the steps that ran, in the order of the file. Every step is called STAGE.JOB.
ran() {
    jq -r '[.stages[] | .jobs[] | select(.kind != "x") | .steps[]
        | select(.status == "succeeded" or .status == "failed") | .name] | join(" ")' report.json
}

# expect_run EXPECTED OPTION…: these steps of p.yaml run, and the pipeline succeeds.
expect_run() {
    local expected=$1
    shift
    assert_exit 0 "$RUNNER" exec p.yaml --report json=report.json "$@"
    assert_eq "$expected" "$(ran)" "steps that ran with $*"
}

serial() {
    write p.yaml <<'Y'
name: p
pre: "true"
post: "true"
stages:
  - name: build
    jobs:
      - {name: lib, steps: [{name: build.lib, command: "true"}]}
      - {name: app, depends_on: lib, steps: [{name: build.app, command: "true"}]}
  - name: test
    pre: "true"
    jobs:
      - {name: unit, steps: [{name: test.unit, command: "true"}]}
      - name: matrix
        matrix: {os: [debian, alpine]}
        steps: [{name: "test.{{ matrix.os }}", command: "true"}]
  - name: deploy
    jobs:
      - {name: app, steps: [{name: deploy.app, command: "true"}]}
finally:
  - {name: cleanup, jobs: [{name: sweep, steps: [{name: cleanup.sweep, command: "true"}]}]}
Y
}

test_everything() {
    serial
    expect_run "pre build.lib build.app pre test.unit test.debian test.alpine deploy.app cleanup.sweep post"
}

test_only() {
    serial
    expect_run "pre pre test.unit post" --only unit
    assert_eq skipped/policy "$(state_of lib)" "a job that is left out"
    assert_eq skipped/policy "$(state_of build.lib)" "its step"
    assert_eq skipped/policy "$(state_of deploy)" "a stage of which every job is left out"
    assert_eq succeeded "$(state_of test)" "a stage of which one is"
    assert_contains "$stderr" "[stage(3/6): test][job(3/4): matrix (debian)] skipped: left out: it is none of the jobs of --only"
    assert_contains "$stderr" "[stage(4/6): deploy] skipped: left out: all of its jobs are"
    expect_run "pre build.app deploy.app post" --only app
    expect_run "pre deploy.app cleanup.sweep post" --only deploy/app --only=sweep
    expect_run "pre pre test.debian test.alpine post" --only matrix
    expect_run "pre pre test.alpine post" --only 'matrix (alpine)'
    expect_run "pre pre test.debian test.alpine post" --only 'm*'
    expect_run "pre pre test.unit test.debian test.alpine post" --only 'test/*'
}

test_skip() {
    serial
    expect_run "pre build.app pre test.unit deploy.app cleanup.sweep post" --skip lib --skip matrix
    assert_eq skipped/policy "$(state_of build.lib)" "a job that is left out"
    expect_run "pre test.unit post" --only 'test/*' --skip matrix --from test --skip sweep \
        --set 'stages.test.pre='
}

test_from() {
    serial
    expect_run "pre pre test.unit test.debian test.alpine deploy.app cleanup.sweep post" --from test
    assert_contains "$stderr" "[stage(2/6): build] skipped: left out: it does not come after a stage of --from"
    expect_run "pre cleanup.sweep post" --from cleanup
    expect_run "pre pre test.unit test.debian test.alpine deploy.app cleanup.sweep post" \
        --from deploy --from 't?st'
}

graph() {
    write p.yaml <<'Y'
name: p
stages:
  - {name: c, depends_on: b, jobs: [{name: c1, steps: [{name: c1, command: "true"}]}]}
  - {name: a, jobs: [{name: a1, steps: [{name: a1, command: "true"}]}]}
  - {name: b, depends_on: a, jobs: [{name: b1, steps: [{name: b1, command: "true"}]}]}
  - {name: other, jobs: [{name: o1, steps: [{name: o1, command: "true"}]}]}
  - {name: d, depends_on: [{stage: a, condition: failed}], jobs: [{name: d1, steps: [{name: d1, command: "true"}]}]}
  - {name: e, depends_on: [{stage: a, condition: completed}], jobs: [{name: e1, steps: [{name: e1, command: "true"}]}]}
Y
}

test_in_a_graph() {
    graph
    expect_run "c1 a1 b1 o1 e1"
    expect_run "c1 b1" --from b
    assert_eq skipped/policy "$(state_of other)" "a stage that does not follow"
    # What is left out counts as if it had succeeded.
    expect_run "c1 b1 o1 e1" --skip a1
    assert_eq skipped "$(state_of d)" "what waits for a failure of what is left out"
    assert_contains "$stderr" 'it needs "a" to fail, which was skipped'
}

test_what_is_left_out_fails_nothing_and_starts_nothing() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - {name: bad, steps: [{name: bad, command: exit 1}]}
      - {name: nowhere, image: does.not.exist/at-all:1, steps: [{name: nowhere, command: x}]}
      - {name: good, steps: [{name: good, command: echo good}]}
Y
    expect_run good --skip bad --skip nowhere
    assert_contains "$stdout" good
}

test_unknown_names() {
    serial
    assert_exit 2 "$RUNNER" exec p.yaml --only unti
    assert_eq 'runner exec: --only: there is no job "unti"; did you mean "unit"?' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --skip nonsense
    assert_eq 'runner exec: --skip: there is no job "nonsense"; see "runner plan"' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --skip deploy
    assert_eq 'runner exec: --skip takes jobs, but "deploy" is a stage; write "deploy/*" for all of its jobs' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --from tset
    assert_eq 'runner exec: --from: there is no stage "tset"; did you mean "test"?' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --skip '*'
    assert_eq 'runner exec: nothing is left to run: --only, --skip and --from leave out every job' "$stderr"
    # Hooks are not chosen.
    assert_exit 2 "$RUNNER" exec p.yaml --only pre
    assert_eq "" "$stdout" output
}

test_set() {
    write p.yaml <<'Y'
name: p
environment: {A: file}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: 'echo "$A $B"'}
          - {name: b, command: sleep 60}
Y
    assert_exit 0 "$RUNNER" exec p.yaml --set environment.A=set --set 'stages.s.jobs.j.environment.B=x: y' \
        --set 'stages[0].jobs[0].steps.b.command=[echo one, "echo {two}"]'
    assert_contains "$stdout" "a] set x: y"
    assert_contains "$stdout" "b] one
[stage(1/1): s][job(1/1): j][step(2/2): b] {two}"
    assert_exit 1 "$RUNNER" exec p.yaml --set 'stages[0].jobs[0].steps[1].timeout=100ms'
    assert_contains "$stderr" 'step "b" timeout after'
    # -e is over the file, and so over what is set in it.
    assert_exit 0 "$RUNNER" exec p.yaml -e A=option --set environment.A=set --set stages.s.jobs.j.steps.b.command=true
    assert_contains "$stdout" "a] option"
}

test_errors_of_set() {
    serial
    assert_exit 2 "$RUNNER" exec p.yaml --set 'stages.build.jobs.lib.timeout=soon'
    assert_eq '--set stages.build.jobs.lib.timeout: error: "timeout": "soon" is not a duration; write seconds, or like 500ms, 90s, 10m, 1h30m, 7d (at stages[0].jobs[0].timeout)' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --set 'stages.build.jobs.lib.imag=a'
    assert_eq '--set stages.build.jobs.lib.imag: error: unknown key "imag" in a job; did you mean "image"? (at stages[0].jobs[0])' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --set 'stages.biuld.name=a'
    assert_eq '--set stages.biuld.name: error: no item of this list is called "biuld"; did you mean "build"? (at stages)' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --set 'stages[9].name=a' --set 'name'
    assert_eq '--set stages[9].name: error: this list has 3 items, numbered from 0, and no [9] (at stages)
--set name: error: there is no value; write PATH=VALUE' "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml --set 'stages[0].if=$A =='
    assert_contains "$stderr" '--set stages[0].if: error: '
    # The place of an error in the file stays.
    sed -i 's/^name: p/nmae: p/' p.yaml
    assert_exit 2 "$RUNNER" validate p.yaml --set name=q --set 'environment.A=${B:?say B}'
    assert_match "$stdout" '^p.yaml:1:1: error: unknown key "nmae"'
    sed -i 1d p.yaml
    assert_exit 2 "$RUNNER" validate p.yaml --set name=q --set 'environment.A=${B:?say B}'
    assert_eq '--set environment.A: error: B: say B' "$stdout"
    assert_exit 0 "$RUNNER" validate p.yaml --set name=q
    assert_exit 2 "$RUNNER" validate --format json p.yaml --set name=q --set timeout=x
    assert_eq '{"file":"p.yaml","line":null,"override":"timeout"}' "$(jq -c '.[0] | {file, line, override}' <<<"$stdout")"
}

run_tests "$@"
