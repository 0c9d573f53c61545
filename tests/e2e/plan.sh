#!/usr/bin/env bash
# `runner plan`, and --dry-run of exec: what would run, without running it.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no
root=$(realpath "$(dirname "$0")/../..")

pipeline() {
    write p.yaml <<'Y'
name: p
environment: {BRANCH: main, LATE: "{{ stages.build.status }}"}
stages:
  - name: build
    jobs:
      - name: lib
        steps:
          - {name: compile, command: touch ran}
          - {name: never, command: touch ran, if: "false"}
      - name: app
        depends_on: lib
        image: busybox:1.36
        steps: [{name: link, command: touch ran}]
      - {name: alarm, depends_on: [{job: lib, condition: failed}], steps: [{name: ring, command: touch ran}]}
  - name: test
    run_mode: serial
    jobs:
      - name: unit
        matrix: {os: [debian, alpine]}
        if: matrix.os != 'alpine'
        steps: [{name: run, command: touch ran}]
  - {name: release, if: "$BRANCH == 'release'", jobs: [{name: publish, steps: [{name: push, command: touch ran}]}]}
finally:
  - {name: cleanup, jobs: [{name: sweep, steps: [{name: sweep, command: touch ran}]}]}
post: {failure: touch ran}
Y
}

test_text() {
    pipeline
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_eq "p: 5 stages (3 will run if all goes well), 8 jobs (4 will run if all goes well), 9 steps (4 will run if all goes well)
workdir $PWD

* stage build
*   job lib
*     step compile  (host)
-     step never  (skipped: the condition \"false\" does not hold; host)
*   job app  (after lib)
*     step link  (docker busybox:1.36)
-   job alarm  (after lib has failed)
-     step ring  (host)
* stage test
*   job unit (debian)  (if matrix.os != 'alpine')
*     step run  (host)
-   job unit (alpine)  (skipped: the condition \"matrix.os != 'alpine'\" does not hold)
-     step run  (host)
- stage release  (skipped: the condition \"\$BRANCH == 'release'\" does not hold)
-   job publish
-     step push  (host)
* stage cleanup  (finally)
*   job sweep
*     step sweep  (host)
- stage post
-   job post
-     step post  (after a failure; host)

critical path (*): 4 steps" "$stdout"
    [[ ! -e ran ]] || fail "something ran"
}

# What only the run can tell is not claimed, though it would be false now.
test_what_is_not_known_is_not_said() {
    write p.yaml <<'Y'
name: p
environment: {LATE: "{{ jobs.first.status }}", SET: a}
stages:
  - name: build
    jobs:
      - name: first
        steps:
          - {name: earliest, command: x, if: "$SET == 'b'"}
          - {name: settable, command: x, if: "$SET == 'b'"}
          - {name: file, command: x, if: "exists('nothing')"}
          - {name: outcome, command: x, if: "steps.settable.status == 'failed'"}
          - {name: both, command: x, if: "success() && exists('nothing')"}
      - {name: late, if: "$LATE == 'failed'", steps: [{name: of late, command: x}]}
      - {name: other, if: "$SET == 'b' || $LATE == 'failed'", steps: [{name: of other, command: x}]}
      - {name: computed, if: "env(env('SET')) == 'b'", steps: [{name: of computed, command: x}]}
Y
    assert_exit 0 "$RUNNER" plan p.yaml --format json
    assert_eq '["earliest"]' "$(jq -c '[.. | objects | select(.skipped).name]' <<<"$stdout")"
    assert_exit 0 "$RUNNER" plan p.yaml --format json -e SET=c
    assert_eq '["earliest","settable"]' "$(jq -c '[.. | objects | select(.skipped).name]' <<<"$stdout")"
}

test_secrets_and_inputs() {
    write p.yaml <<'Y'
name: p
inputs: {WHICH: {required: true}, KNOWN: {default: a}}
secrets: {TOKEN: {from: env}}
environment: {OF_TOKEN: "x${TOKEN}", SET: a}
stages:
  - name: build
    jobs:
      - {name: known, if: inputs.KNOWN == 'b', steps: [{name: a, command: x}]}
      - {name: which, if: inputs.WHICH == 'b', steps: [{name: a, command: x}]}
      - {name: token, if: $TOKEN == 'b', steps: [{name: a, command: x}]}
      - {name: of token, if: $OF_TOKEN == 'b', steps: [{name: a, command: x}]}
      - {name: set, when: {env: {SET: "b*"}}, steps: [{name: a, command: x}]}
      - {name: image, image: "image:${TOKEN}", steps: [{name: a, command: x}]}
Y
    assert_exit 0 "$RUNNER" plan p.yaml --format json
    assert_eq '["known","set"]' "$(jq -c '[.. | objects | select(.skipped).name]' <<<"$stdout")"
    assert_eq '"\"when.env\" does not hold: SET is \"a\""' "$(jq -c '.stages[0].jobs[4].skipped.why' <<<"$stdout")"
    assert_exit 0 "$RUNNER" plan p.yaml --format json --input WHICH=c
    assert_eq '["known","which","set"]' "$(jq -c '[.. | objects | select(.skipped).name]' <<<"$stdout")"
    # Secrets are not read for that.
    TOKEN=very-secret-token assert_exit 0 "$RUNNER" exec p.yaml --dry-run --input WHICH=b
    assert_contains "$stdout" "job of token  (if \$OF_TOKEN == 'b')"
    assert_not_contains "$stdout$stderr" very-secret
}

test_dry_run() {
    pipeline
    assert_exit 0 "$RUNNER" plan p.yaml --only 'unit*'
    local plan=$stdout
    assert_contains "$plan" "- stage build  (skipped: left out: all of its jobs are)"
    assert_exit 0 "$RUNNER" exec --dry-run p.yaml --only 'unit*' --progress json --report json=report.json
    assert_eq "$plan" "$stdout" "output of exec --dry-run"
    [[ ! -e ran && ! -e report.json ]] || fail "something ran"
    assert_exit 2 "$RUNNER" exec --dry-run p.yaml --only nothing-at-all
    assert_exit 2 "$RUNNER" exec --dry-run p.yaml -e PIPELINE_RUNNER=x
}

# at PATH: of the plan in JSON
at() { jq -c "$1" plan.json; }

test_json() {
    pipeline
    assert_exit 0 "$RUNNER" plan --format json p.yaml --engine docker --image debian:bookworm-slim -e BRANCH=release
    cp "$case_dir/stdout" plan.json
    assert_eq '["p","serial",5]' "$(at '[.name, .order, .estimate_steps]')"
    assert_eq '["docker","busybox:1.36","command","link",true]' \
        "$(at '.stages[0].jobs[1].steps[0] | [.engine, .image, .type, .id, .critical]')"
    assert_eq '["docker","debian:bookworm-slim"]' "$(at '.stages[0].jobs[0].steps[0] | [.engine, .image]')"
    assert_eq '[{"name":"lib","condition":"failed"}]' "$(at '.stages[0].jobs[2].depends_on')"
    assert_eq '{"os":"alpine"}' "$(at '.stages[1].jobs[1].matrix')"
    assert_eq '{"reason":"","why":"the condition \"matrix.os != '"'alpine'"'\" does not hold"}' "$(at '.stages[1].jobs[1].skipped')"
    assert_eq '[null,true]' "$(at '.stages[2] | [.skipped, .runs]')" "a condition that -e makes true"
    assert_eq 'false' "$(at '.stages[4].runs')" "a post for failures"
    assert_eq '["finally","post"]' "$(at '[.stages[3:][].kind]')"
}

test_durations() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - {name: slow, steps: [{name: a, command: "true"}]}
      - name: quick
        steps: [{name: a, command: "true"}, {name: b, command: "true"}, {name: new, command: "true"}]
  - {name: t, jobs: [{name: bad, steps: [{name: a, command: "true"}]}]}
Y
    write report.json <<'J'
{"stages": [{"name": "s", "jobs": [
   {"name": "quick", "steps": [{"name": "b", "status": "succeeded", "duration_ms": 1000},
                               {"name": "a", "status": "succeeded", "duration_ms": 3000}]},
   {"name": "slow", "steps": [{"name": "a", "status": "succeeded", "duration_ms": 59000}]}]},
 {"name": "t", "jobs": [{"name": "bad", "steps": [{"name": "a", "status": "failed", "duration_ms": 5}]}]}]}
J
    assert_exit 0 "$RUNNER" plan p.yaml --durations report.json
    assert_contains "$stdout" "*   job slow  (59.0s)
*     step a  (host; 59.0s)
    job quick  (about 25.0s)
      step a  (host; 3.0s)
      step b  (host; 1.0s)
      step new  (host; about 21.0s)
* stage t  (about 21.0s)"
    assert_contains "$stdout" "critical path (*): about 1m20s"
    assert_exit 0 "$RUNNER" plan p.yaml --durations report.json --format json
    assert_eq '[80000,false,59000,true]' \
        "$(jq -c '[.estimate_ms, .measured, .stages[0].estimate_ms, .stages[0].jobs[0].critical]' <<<"$stdout")"
    # What exec writes is what plan reads.
    assert_exit 0 "$RUNNER" exec p.yaml --report json=own.json
    assert_exit 0 "$RUNNER" plan p.yaml --durations own.json --format json
    assert_eq true "$(jq -c '.measured' <<<"$stdout")"
    assert_exit 2 "$RUNNER" plan p.yaml --durations none.json
    assert_contains "$stderr" "runner plan: none.json"
    echo '{"stages": 1}' >none.json
    assert_exit 2 "$RUNNER" plan p.yaml --durations none.json
    assert_eq 'runner plan: none.json is no report; "runner exec --report json=FILE" writes one' "$stderr"
    echo '{' >none.json
    assert_exit 2 "$RUNNER" plan p.yaml --durations none.json
    assert_contains "$stderr" "runner plan: none.json:"
}

# The critical path through a graph is the heaviest one, not the longest.
test_critical_path_of_a_graph() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: x}
          - {name: b, command: x, depends_on: a}
          - {name: c, command: x, depends_on: b}
          - {name: heavy, command: x, depends_on: a}
          - {name: end, command: x, depends_on: [c, heavy]}
Y
    assert_exit 0 "$RUNNER" plan p.yaml --format json
    assert_eq '["a","b","c","end"]' "$(jq -c '[.. | objects | select(.id and .critical).name]' <<<"$stdout")"
    write report.json <<<'{"stages": [{"name": "s", "jobs": [{"name": "j", "steps": [
        {"name": "a", "status": "succeeded", "duration_ms": 1}, {"name": "b", "status": "succeeded", "duration_ms": 1},
        {"name": "c", "status": "succeeded", "duration_ms": 1}, {"name": "heavy", "status": "succeeded", "duration_ms": 9},
        {"name": "end", "status": "succeeded", "duration_ms": 1}]}]}]}'
    assert_exit 0 "$RUNNER" plan p.yaml --durations report.json --format json
    assert_eq '["a","heavy","end"] 11' \
        "$(jq -c '[.. | objects | select(.id and .critical).name], .estimate_ms' <<<"$stdout" | paste -sd ' ')"
}

test_services_and_background() {
    write p.yaml <<'Y'
name: p
image: busybox:1.36
services: {db: {image: busybox:1.36}}
stages:
  - name: s
    jobs:
      - name: j
        services: {web: {image: busybox:1.36}, api: {image: busybox:1.36}}
        steps:
          - {name: server, command: x, background: true}
          - {name: test, command: x}
Y
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_contains "$stdout" "services db

* stage s
*   job j  (beside web, api)
      step server  (docker busybox:1.36; in the background)
*     step test  (docker busybox:1.36)

critical path (*): 1 step"
    assert_exit 0 "$RUNNER" plan p.yaml --format json
    assert_eq '[["db"],["web","api"],true]' \
        "$(jq -c '[.services, (.stages[0].jobs[0] | .services, .steps[0].background)]' <<<"$stdout")"
}

nasty() {
    write nasty.yaml <<'Y'
name: "a \"quoted\" `name`"
stages:
  - name: "<b> & #1; \\ \""
    jobs:
      - {name: "end", steps: [{name: "x\ny", command: x}, {name: "ümläut [1] {2} (3) | 4", command: x}, {name: "&amp; &lt;", command: x}]}
      - {name: "subgraph", depends_on: end, steps: [{name: "--> x", command: x}]}
  - {name: "other", depends_on: [{stage: "<b> & #1; \\ \"", condition: completed}], jobs: [{name: o, steps: [{name: o, command: x}]}]}
pre: x
post: x
Y
}

# draw FORMAT: all files that there are, as graphs/NAME.FORMAT.
draw() {
    pipeline
    nasty
    mkdir graphs
    local file
    for file in p.yaml nasty.yaml "$root"/examples/*.yaml; do
        assert_exit 0 "$RUNNER" plan --format "$1" "$file"
        cp "$case_dir/stdout" "graphs/$(basename "$file" .yaml).$1"
    done
}

test_image_that_is_an_expression() {
    write p.yaml <<'Y'
{name: p, image: "{{ 'busybox' }}", stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: c}]}]}]}
Y
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_contains "$stdout" "step a  (docker busybox)"
}

test_dot() {
    draw dot
    assert_exit 0 dot -Tsvg -O graphs/*.dot
    assert_eq "" "$stderr" "what dot says"
    assert_contains "$(cat graphs/nasty.dot.svg)" '&lt;b&gt; &amp; #1; \ &quot;' "the picture"
    assert_contains "$(cat graphs/nasty.dot.svg)" '&amp;amp; &amp;lt;' "the picture"
    assert_exit 0 "$RUNNER" plan --format dot p.yaml
    assert_contains "$stdout" 's0j0 -> s0j1 [label="", color=red, penwidth=2];'
    assert_contains "$stdout" 's0j0 -> s0j2 [label="failed"];'
    assert_contains "$stdout" 's0j0 -> s1j0 [ltail=cluster_0, lhead=cluster_1, label="", color=red, penwidth=2];'
    assert_match "$stdout" 's1j1 \[label="unit \(alpine\)[^"]*", style=dashed'
}

test_mermaid() {
    draw mermaid
    assert_exit 0 "$root/tests/mermaid.py" graphs/*.mermaid
    assert_exit 0 "$RUNNER" plan --format mermaid p.yaml
    assert_contains "$stdout" '  s0j0 -->|failed| s0j2'
    assert_contains "$stdout" '    s1j1["unit (alpine)<br/>· run"]:::skipped'
    assert_contains "$stdout" '  s0 --> s1'
    # The check itself notices what is wrong.
    sed 's/s0j0\["/s0j0["</' graphs/p.mermaid >bad.mmd
    assert_exit 1 "$root/tests/mermaid.py" bad.mmd
    sed '0,/^  end$/{/^  end$/d}' graphs/p.mermaid >bad.mmd
    assert_exit 1 "$root/tests/mermaid.py" bad.mmd
}

test_errors_are_those_of_validate() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{nmae: a, command: x}]}]}]}'
    assert_exit 2 "$RUNNER" plan p.yaml
    assert_contains "$stderr" 'p.yaml:1:56: error: unknown key "nmae" in a step; did you mean "name"?'
    assert_eq "" "$stdout" output
    assert_exit 2 "$RUNNER" plan p.yaml other.yaml
    assert_eq 'runner plan: takes one pipeline file, but got several' "$stderr"
    write p.yaml <<<'{name: p, stages: [{name: "s ${NOT_THERE}", jobs: [{name: j, steps: [{name: a, command: x}]}]}]}'
    assert_exit 0 "$RUNNER" plan p.yaml
    assert_contains "$stderr" 'warning: ${NOT_THERE} is not set'
    assert_exit 2 "$RUNNER" plan --strict p.yaml
}

run_tests "$@"
