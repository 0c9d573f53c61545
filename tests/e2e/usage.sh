#!/usr/bin/env bash
# Whatever the command: wrong use, output that cannot be written, foreign text on a terminal.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

hello() {
    write p.yaml <<<'{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "echo hi"}]}]}]}'
}

test_output_that_cannot_be_written() {
    hello
    local command
    # The longer ones are written at once, beside the buffer.
    for command in help "help --man" version schema "completion bash" "completion zsh" \
        "completion fish" "plan p.yaml" "plan --format json p.yaml" "plan --format dot p.yaml" \
        "validate p.yaml" "validate --format sarif p.yaml" "init -o -" "init --list" "exec --help" \
        "exec --dry-run p.yaml" "doctor host" "exec p.yaml" "exec --progress json p.yaml"; do
        run bash -c "'$RUNNER' $command >/dev/full"
        assert_eq 1 "$status" "exit status of $command"
        assert_contains "$stderr" "runner: cannot write to standard output" "message of $command"
        run bash -c "'$RUNNER' $command >&-"
        assert_eq 1 "$status" "exit status of $command without standard output"
    done
}

test_operands_that_are_too_many() {
    hello
    assert_exit 2 "$RUNNER" help exec plan
    assert_eq "runner help: takes one command, but got several" "$stderr"
    assert_exit 2 "$RUNNER" exec p.yaml p.yaml
    assert_eq "runner exec: takes one pipeline file, but got several" "$stderr"
    assert_exit 2 "$RUNNER" version p.yaml
    assert_eq 'runner version: "version" takes no argument, but got "p.yaml"' "$stderr"
}

test_file_of_the_command_line_before_that_of_the_environment() {
    hello
    local command
    for command in exec plan; do
        PIPELINE_CONFIG=none.yaml assert_exit 0 "$RUNNER" $command p.yaml
        PIPELINE_CONFIG=none.yaml assert_exit 0 "$RUNNER" $command -c p.yaml
        PIPELINE_CONFIG=none.yaml assert_exit 2 "$RUNNER" $command
        assert_eq "none.yaml: error: the file does not exist" "$stderr"
        assert_exit 2 "$RUNNER" $command -c p.yaml p.yaml
        assert_eq "runner $command: takes one pipeline file, but got several" "$stderr"
        assert_exit 2 "$RUNNER" $command ""
        assert_eq "runner $command: the name of the pipeline file is empty" "$stderr"
    done
}

test_no_password_of_a_url_in_messages() {
    assert_exit 2 "$RUNNER" exec -c http://user:secret@127.0.0.1:1/p.yaml
    assert_eq "http://127.0.0.1:1/p.yaml: error: cannot be fetched: cannot connect to http://127.0.0.1:1: Connection refused" "$stderr"
}

test_engine_of_the_command_line() {
    hello
    local command
    for command in exec plan; do
        assert_exit 2 "$RUNNER" $command --engine dokcer p.yaml
        assert_eq "runner $command: --engine: unknown engine \"dokcer\"; did you mean \"docker\"?" "$stderr"
        assert_exit 2 "$RUNNER" $command --engine idp://user:secret@host:99999 p.yaml
        assert_eq "runner $command: --engine: the engine \"idp\": the port of the URL must be a number from 1 to 65535" "$stderr"
    done
}

# As in scripts: --image "$IMAGE"
test_options_that_are_empty_are_not_set() {
    hello
    assert_exit 0 "$RUNNER" exec --image "" --engine "" --workdir "" --docker-host "" p.yaml
    assert_contains "$stdout" "] hi"
}

# What a file says does not reach the terminal as it is.
test_control_characters_in_diagnostics() {
    write $'p\e[2J.yaml' <<'Y'
name: p
"\e[31mkey\n": 1
stages:
  - name: s
    jobs:
      - name: "j\e[2J"
        steps:
          - {name: a, command: c, timeout: "\e]0;title\a", environment: {"\x9b2J": "${"}}
Y
    local wanted=$'p\\x1b[2J.yaml:2:1: error: unknown key "\\x1b[31mkey\\n" in the pipeline
     2 | "\\e[31mkey\\n": 1
       | ^
p\\x1b[2J.yaml:8:44: error: "timeout": "?]0;title?" is not a duration; write seconds, or like'
    assert_exit 2 "$RUNNER" validate $'p\e[2J.yaml'
    assert_contains "$stdout" "$wanted"
    assert_contains "$stdout" ' (at stages[0].jobs[0].steps[0].environment.\xc2\x9b2J)'
    assert_exit 2 "$RUNNER" exec $'p\e[2J.yaml'
    assert_contains "$stderr" "$wanted"
    hello
    assert_exit 2 "$RUNNER" validate --set $'na\e[2Jme[=x' p.yaml
    assert_contains "$stdout" '--set na\x1b[2Jme[: error: '
}

run_tests "$@"
