#!/usr/bin/env bash
# Bad pipeline files: one clear message each, with place and remedy, and nothing is run.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

# assert_invalid MESSAGE: p.yaml is refused with it by validate and by exec alike.
assert_invalid() {
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" "$1" "report of validate"
    assert_exit 2 "$RUNNER" exec p.yaml
    assert_contains "$stderr" "$1" "message of exec"
    assert_eq "" "$stdout" "output of exec"
}

test_valid() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]}'
    assert_exit 0 "$RUNNER" validate p.yaml
    assert_eq "p.yaml: valid" "$stdout"
    assert_exit 0 "$RUNNER" validate --format json p.yaml
    assert_eq "[]" "$(jq -c . <<<"$stdout")"
}

test_malformed_yaml() {
    printf 'name: p\nstages: [\n' >p.yaml
    assert_invalid "p.yaml:3:1: error: "
}

test_unknown_keys_with_caret_and_suggestion() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: a
            comand: make
        stepz: []
Y
    assert_invalid 'p.yaml:8:13: error: unknown key "comand" in a step; did you mean "command"?'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" '            comand: make'
    assert_contains "$stdout" '            ^'
    assert_contains "$stdout" 'p.yaml:9:9: error: unknown key "stepz"'
}

test_all_errors_as_json() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    run_mode: sometimes
    timeout: soon
    jobs: []
Y
    assert_exit 2 "$RUNNER" validate --format json p.yaml
    assert_eq "4 5 6" "$(jq -r 'map(.line) | join(" ")' <<<"$stdout")" "lines"
    assert_eq "error" "$(jq -r 'map(.severity) | unique | join(" ")' <<<"$stdout")" severity
    assert_eq "stages[0].timeout" "$(jq -r '.[1].path' <<<"$stdout")" path
}

# sarif FILTER: of the only run in standard output.
sarif() { jq -c ".runs[0] | $1" <<<"$stdout"; }

test_sarif() {
    mkdir "a dir"
    write "a dir/p#.yaml" <<'Y'
name: p
stages:
  - name: s
    jobs: []
    x-note: "ä𝄞"
    environment: {"ä𝄞": {a: b}}
Y
    write ok.yaml <<<'{name: "${NONE}", stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]}'
    assert_exit 2 "$RUNNER" validate --format sarif "a dir/p#.yaml" ok.yaml "$PWD/none.yaml" --set timeout=soon
    assert_eq '["https://json.schemastore.org/sarif-2.1.0.json","2.1.0",1]' \
        "$(jq -c '[."$schema", .version, (.runs | length)]' <<<"$stdout")"
    assert_eq '["runner","pipeline-file","utf16CodeUnits",[{"executionSuccessful":true,"toolExecutionNotifications":[]}]]' \
        "$(sarif '[.tool.driver.name, .tool.driver.rules[0].id, .columnKind, .invocations]')"
    assert_eq '{"ruleId":"pipeline-file","ruleIndex":0,"level":"error","message":{"text":"\"jobs\" is empty; at least one job is needed"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"a%20dir/p%23.yaml"},"region":{"startLine":4,"startColumn":11}},"logicalLocations":[{"fullyQualifiedName":"stages[0].jobs"}]}]}' \
        "$(sarif '.results[1]')"
    # Columns are those of UTF-16: the clef takes two.
    assert_eq '[6,26]' "$(sarif '.results[2].locations[0].physicalLocation.region | [.startLine, .startColumn]')"
    assert_match "$(sarif '.results[0].message.text')" '--set timeout: \\"timeout\\": \\"soon'
    assert_eq '["'"file://$PWD/none.yaml"'",null,"the file does not exist"]' \
        "$(sarif '.results[-1] | [.locations[0].physicalLocation.artifactLocation.uri, .locations[0].physicalLocation.region, .message.text]')"
    assert_exit 0 "$RUNNER" validate --format sarif ok.yaml
    assert_eq '["warning"]' "$(sarif '[.results[].level]')"
}

test_sarif_says_what_it_leaves_out() {
    printf 'name: p\nstages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x}]}]}]\n' >p.yaml
    for i in {1..60}; do echo "zz$i: 1" >>p.yaml; done
    assert_exit 2 "$RUNNER" validate --format sarif p.yaml
    assert_eq '[50,"p.yaml: and 10 more"]' \
        "$(sarif '[(.results | length), .invocations[0].toolExecutionNotifications[0].message.text]')"
}

test_reports_are_valid_whatever_is_written() {
    printf '{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: x}]}]}]}' >$'p\xff.yaml'
    assert_exit 2 "$RUNNER" validate --format json $'p\xff.yaml' --set $'na\xffme=q'
    assert_eq '{"file":"p\ufffd.yaml","message":"this is not UTF-8 text","override":"na\ufffdme"}' \
        "$(jq -ac '.[0] | {file, message, override}' <<<"$stdout")"
    assert_exit 2 "$RUNNER" validate --format sarif $'p\xff.yaml' --set $'na\xffme=q'
    assert_eq '["p%FF.yaml","--set na\ufffdme: this is not UTF-8 text"]' \
        "$(jq -ac '.runs[0].results[0] | [.locations[0].physicalLocation.artifactLocation.uri, .message.text]' <<<"$stdout")"
}

test_wrong_type() {
    write p.yaml <<<'{name: p, stages: {name: s}}'
    assert_invalid 'p.yaml:1:19: error: '
}

test_empty_stages_and_missing_names() {
    write p.yaml <<<'{name: p, stages: []}'
    assert_invalid "p.yaml:1:"
    write p.yaml <<<'{stages: [{name: s, jobs: [{name: j, steps: [{command: a}]}]}]}'
    assert_invalid "name"
    write p.yaml <<<''
    assert_invalid "p.yaml"
}

test_alias_bomb_is_an_error_and_quick() {
    {
        echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
        for i in 1 2 3 4 5 6 7 8 9; do
            p="*a$((i - 1))"
            echo "a$i: &a$i [$p, $p, $p, $p, $p, $p, $p, $p, $p, $p]"
        done
    } >p.yaml
    assert_invalid "1000000"
}

test_directory_missing_file_not_utf8() {
    mkdir d
    assert_exit 2 "$RUNNER" exec d
    assert_contains "$stderr" "d: error: "
    assert_contains "$stderr" "directory"
    assert_exit 2 "$RUNNER" exec nothing.yaml
    assert_contains "$stderr" "nothing.yaml"
    assert_contains "$stderr" "does not exist"
    printf 'name: "\xff"\n' >p.yaml
    assert_invalid "UTF-8"
    assert_exit 2 "$RUNNER" exec
    assert_contains "$stderr" "no pipeline file is given and none of .pipeline.yaml, .pipeline.yml, .go-idp/pipeline.yaml is here"
}

test_default_file_and_standard_input() {
    mkdir .go-idp
    write .go-idp/pipeline.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo default"}]}]}]}'
    assert_exit 0 "$RUNNER" exec
    assert_contains "$stdout" default
    run bash -c "'$RUNNER' exec - <.go-idp/pipeline.yaml"
    assert_eq 0 "$status"
}

test_causes_of_a_retry() {
    local cause
    for cause in "an exit code" other; do
        write p.yaml <<<"{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: c, retry: {on: $cause}}]}]}]}"
        assert_invalid "\"on\" must be an exit code, timeout, lost, oom, image_pull, engine, evicted or unschedulable, not \"$cause\""
    done
}

test_file_from_a_url() {
    write www/p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo fetched"}]}]}]}'
    python3 -u -m http.server -d www --bind 127.0.0.1 0 >port 2>/dev/null &
    server=$!
    trap 'kill $server' EXIT
    wait_for 20 grep -q port port
    port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' port)
    assert_exit 0 "$RUNNER" exec -c "http://127.0.0.1:$port/p.yaml"
    assert_contains "$stdout" fetched
    assert_exit 2 "$RUNNER" exec -c "http://127.0.0.1:$port/none.yaml"
    assert_contains "$stderr" "cannot be fetched: the server answered with status 404"
}

test_features_to_come_are_refused_with_place() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        engine: "ssh://user:pw@host?colour=red"
        steps:
          - {name: a, command: x}
triggers: [push]
Y
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" 'p.yaml:6:17: error: '
    assert_contains "$stdout" 'p.yaml:9:1: error: '
    assert_not_contains "$stdout" "pw@"
}

test_interpolation_errors_have_a_place() {
    write p.yaml <<'Y'
name: p
environment:
  A: ${MUST:?say where to}
  B: ${unclosed
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo ${B"}]}]}]
Y
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" "p.yaml:4:"
    sed -i '/unclosed/d' p.yaml
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" "say where to"
    assert_contains "$stdout" "p.yaml:3:"
    assert_exit 0 "$RUNNER" validate -e MUST=x p.yaml
}

test_unset_names_warn_and_strict_refuses() {
    write p.yaml <<<'{name: p, environment: {A: "${NOT_THERE}"}, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]}'
    assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stderr" 'p.yaml:1:28: warning: ${NOT_THERE} is not set'
    assert_exit 2 "$RUNNER" exec --strict p.yaml
    assert_contains "$stderr" 'error: ${NOT_THERE} is not set'
}

test_usage_errors() {
    assert_exit 2 "$RUNNER" exce
    assert_eq 'runner: unknown command "exce"; did you mean "exec"?' "$stderr"
    assert_exit 2 "$RUNNER" exec --forceclean
    assert_eq 'runner exec: unknown option --forceclean of "exec"; did you mean --force-clean?' "$stderr"
    assert_exit 2 "$RUNNER" exec --env novalue
    assert_contains "$stderr" '--env takes KEY=VALUE, not "novalue"'
    assert_exit 2 "$RUNNER" exec --jobs=-1 x
    assert_exit 2 "$RUNNER" exec --progress fancy x
    assert_contains "$stderr" '--progress takes one of auto, tty, plain, json, not "fancy"'
    assert_exit 2 "$RUNNER" exec --workdir
    assert_contains "$stderr" "--workdir needs a value (DIR)"
    assert_exit 0 "$RUNNER" --help
    assert_contains "$stdout" "exec [FILE]"
    assert_exit 0 "$RUNNER" exec --help
    assert_contains "$stdout" "--force-clean"
    assert_exit 0 "$RUNNER" --version
    assert_match "$stdout" '^runner [0-9]'
}

test_options_from_the_environment() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "pwd"}]}]}]}'
    PIPELINE_WORKDIR=$PWD/from-env assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" from-env
    RUNNER_EXEC_PROGRESS=json assert_exit 0 "$RUNNER" exec p.yaml
    assert_contains "$stdout" '"event":"PipelineStarted"'
    RUNNER_EXEC_PROGRESS=json assert_exit 0 "$RUNNER" exec --progress plain p.yaml
    assert_contains "$stdout" '[step(1/1): a]'
}

test_what_only_shows_when_steps_are_lowered() {
    write p.yaml <<'Y'
name: p
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: a
            command: print(1)
            language: {name: pyton, version: 3}
          - {name: b, command: "true", image: i, volumes: ["a:/b:zz"]}
Y
    assert_invalid 'p.yaml:7:13: error: language "pyton" is not known; there are bash, '
    assert_invalid 'p.yaml:10:13: error: volume "a:/b:zz": the mode must be ro or rw'
}

test_kubernetes() {
    write p.yaml <<'Y'
name: p
engine: k8s://staging/builds
kubernetes:
  resources: {limits: {memory: 1GB}}
  volumes:
    - {mount: data, pvc: a, secret: b}
stages:
  - name: s
    jobs:
      - name: j
        kubernetes: {nodeSelector: {a: b}}
        steps:
          - {name: a, command: "true", kubernetes: {service_account: b}, schedule_timeout: soon}
Y
    assert_invalid 'p.yaml:4:32: error: "memory" must be a quantity of Kubernetes, such as 500m or 1Gi, not "1GB"'
    assert_invalid 'p.yaml:6:15: error: "mount" must be an absolute path below /, without ":", not "data"'
    assert_invalid 'p.yaml:6:26: error: "secret" and "pvc" exclude each other; keep one'
    assert_invalid 'p.yaml:11:22: error: unknown key "nodeSelector" in "kubernetes"; did you mean "node_selector"?'
    assert_invalid 'p.yaml:13:53: error: "service_account" cannot be in "kubernetes" here: it is of the whole pod; write it in "kubernetes" of the job or the pipeline'
    assert_invalid 'p.yaml:13:92: error: "schedule_timeout": "soon" is not a duration'
}

# Each string of a value is expanded by itself, and told by its own place.
test_names_in_kubernetes() {
    write p.yaml <<'Y'
name: p
engine: kubernetes
kubernetes:
  affinity: {a: [{b: c, d: "${NONE}"}, "{{ nobody.name }}"]}
stages:
  - name: s
    jobs:
      - name: j
        services: {db: {image: i, kubernetes: {security_context: {a: "${NO_SERVICE}"}}}}
        steps:
          - {name: a, command: "true", kubernetes: {volumes: [{mount: "/${NO_STEP}", pvc: a}]}}
Y
    assert_invalid 'p.yaml:4:40: error: unknown name "nobody"'
    sed -i 's/, "{{ nobody.name }}"//' p.yaml
    HOME=/home/me assert_exit 0 "$RUNNER" validate p.yaml
    assert_contains "$stdout" 'p.yaml:4:28: warning: ${NONE} is not set and becomes empty'
    assert_contains "$stdout" 'p.yaml:9:70: warning: ${NO_SERVICE} is not set and becomes empty'
    assert_contains "$stdout" 'p.yaml:11:71: warning: ${NO_STEP} is not set and becomes empty'
    assert_exit 2 "$RUNNER" validate --strict p.yaml
    assert_contains "$stdout" 'p.yaml:4:28: error: ${NONE} is not set'
    assert_exit 0 "$RUNNER" validate --strict -e NONE=1 -e NO_SERVICE=1 -e NO_STEP=1 p.yaml
}

test_names_in_plugins() {
    write p.yaml <<'Y'
name: "${TITLE:-titled}"
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - name: a
            plugin: {image: i, settings: {key: "${KEY:?give it with -e}"}}
Y
    assert_invalid 'p.yaml:8:48: error: KEY: give it with -e'
    assert_exit 0 "$RUNNER" validate -e KEY=1 p.yaml
}

run_tests "$@"
