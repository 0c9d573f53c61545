#!/usr/bin/env bash
# Inputs, dotenv files, and which of the variables from everywhere wins.
source "$(dirname "$0")/../lib.sh"

typed() {
    cat >p.yaml <<END
name: "release {{ inputs.version }}"
inputs:
  version: {required: true}
  count: {type: number, default: 3}
  flag: {type: boolean, default: false}
  color: {options: [red, green]}
stages:
  - name: s
    jobs:
      - name: "job {{ inputs.version }}"
        $1
        matrix: {n: ["{{ inputs.count }}"]}
        steps:
          - name: values
            environment: {V: "{{ inputs.version }} {{ inputs.count }} {{ inputs.flag }} {{ inputs.color }}"}
            command: echo "<\$V> <\$version>"
          - {name: many, if: "inputs.count > 9", command: echo many}
          - {name: flagged, if: "inputs.flag", command: echo flagged}
          - {name: colored, if: "inputs.color == 'red'", command: echo red}
END
    assert_exit 0 "$RUNNER" validate p.yaml
    assert_exit 0 "$RUNNER" exec --report json=report.json p.yaml --input version=1.20
    assert_contains "$stdout" "values] <1.20 3 false > <>"
    assert_not_contains "$stdout" "] many"
    assert_not_contains "$stdout" "] flagged"
    assert_eq "release 1.20" "$(jq -r .name report.json)"
    assert_exit 0 "$RUNNER" exec p.yaml --input 'version=${HOME} {{ x }}' --input=count=10 \
        --input flag=true --input color=green --input color=red
    assert_contains "$stdout" 'values] <${HOME} {{ x }} 10 true red> <>'
    assert_contains "$stdout" "] many"
    assert_contains "$stdout" "] flagged"
    assert_contains "$stdout" "] red"
}

test_typed_on_the_host() { typed ''; }

test_typed_in_docker() { typed 'image: busybox:1.36'; }

test_errors_come_together() {
    write p.yaml <<'END'
name: p
inputs:
  version: {required: true}
  count: {type: number}
  color: {options: [red, green]}
secrets: {TOKEN: }
env_files: missing.env
stages: [{name: s, jobs: [{name: j, steps: [{name: a, if: inputs.colour, command: "touch ran"}]}]}]
END
    assert_exit 2 "$RUNNER" exec p.yaml --input cuont=1 --input count=1x --input color=grean
    [[ ! -e ran ]] || fail "a step ran"
    assert_contains "$stderr" 'p.yaml: error: the pipeline has no input "cuont"; did you mean "count"?'
    assert_contains "$stderr" 'p.yaml: error: the input "count" must be a number, not "1x"'
    assert_contains "$stderr" 'the input "color" must be red or green, not "grean"; did you mean "green"?'
    assert_contains "$stderr" 'p.yaml:3:3: error: the input "version" is required; give it with --input version=VALUE'
    assert_contains "$stderr" 'p.yaml:6:11: error: the secret "TOKEN" is missing'
    assert_contains "$stderr" 'p.yaml:7:12: error: the env file cannot be read: missing.env does not exist'
    assert_contains "$stderr" 'the pipeline has no input "colour"; did you mean "color"?'
    assert_exit 2 "$RUNNER" validate p.yaml --input count=1x
    assert_contains "$stdout" 'the input "count" must be a number'
    assert_not_contains "$stdout" 'is required'
}

env_files() {
    cat >dir.yaml <<END
name: p
env_files: [a.env, "\${SECOND:-b}.env"]
environment: {FILE: file, OVER_FILE: file, GIVEN: file, FROM_A: "<\${A}>"}
secrets: {SECRET: }
stages:
  - name: s
    jobs:
      - name: j
        $1
        steps:
          - name: a
            command: |
              echo "\$A|\$B|\$BOTH|\$FILE|\$OVER_FILE|\$GIVEN|\$FROM_A|\$REF|\$LITERAL|\$SECRET|\$IMPORTED"
              echo "\$LINES_OF_IT" | sed 's/^/> /'
END
    mkdir -p sub
    mv dir.yaml sub/p.yaml
    write sub/a.env <<'END'
# comment
export A="of a"   # of a
BOTH=a
FILE=a
LITERAL='${A} $A'
SECRET=of-a-file
LINES_OF_IT="first
  second"
END
    printf 'B=of b\r\nBOTH=b\r\nREF=${A}+$A+${NONE:-none}\r\n' >sub/b.env
    write x.env <<<'OVER_FILE=x
GIVEN=x
IMPORTED=${GIVEN}'
    write y.env <<<'IMPORTED=y'
    local -x SECRET=of-the-runner
    assert_exit 0 "$RUNNER" exec sub/p.yaml --env-file x.env --env-file y.env -e GIVEN=given
    assert_contains "$stdout" 'a] of a|of b|b|file|x|given|<of a>|of a+$A+none|${A} $A|***|y'
    assert_contains "$stdout" '] > first'
    assert_contains "$stdout" '] >   second'
    assert_eq "" "$(grep -i warning "$case_dir/stderr" || true)" "warnings"
}

test_env_files_on_the_host() { env_files ''; }

test_env_files_in_docker() { env_files 'image: busybox:1.36'; }

test_env_files_that_are_wrong() {
    write p.yaml <<'END'
name: p
env_files:
  - a.env
  - .
  - b.env
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]
END
    printf 'A=1\nB\n' >a.env
    printf 'A=${MISSING}\n' >b.env
    assert_exit 2 "$RUNNER" exec p.yaml --env-file none.env
    assert_contains "$stderr" 'p.yaml: error: the env file cannot be read: none.env does not exist'
    assert_contains "$stderr" 'p.yaml:3:5: error: a.env:2: there is no "=" behind "B"'
    assert_match "$stderr" 'p.yaml:4:5: error: the env file cannot be read: .*directory'
    assert_contains "$stderr" 'p.yaml:5:5: warning: b.env: ${MISSING} is not set and becomes empty'
    assert_exit 2 "$RUNNER" validate p.yaml
    assert_contains "$stdout" 'a.env:2: there is no'
    write nested.env <<<'PIPELINE_RUNNER=x'
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "true"}]}]}]}'
    assert_exit 2 "$RUNNER" exec p.yaml --env-file nested.env
    assert_contains "$stderr" "you are already in a pipeline"
}

run_tests "$@"
