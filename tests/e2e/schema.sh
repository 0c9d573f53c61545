#!/usr/bin/env bash
# `runner schema`, held against files by a validator that is not ours.
source "$(dirname "$0")/../lib.sh"
root=$(realpath "$(dirname "$0")/../..")
cases=$root/tests/data/load

make_schema() {
    assert_exit 0 "$RUNNER" schema
    assert_eq "" "$stderr" "standard error"
    cp "$case_dir/stdout" schema.json
}

test_what_runner_accepts_is_valid() {
    make_schema
    local -a valid
    mapfile -t valid < <(cd "$cases" && grep -l '^valid: ' ./*/expected.txt | cut -d / -f 2)
    ((${#valid[@]} >= 4)) || fail "there are only ${#valid[@]} valid cases"
    assert_exit 0 "$root/tests/schema.py" schema.json "$root"/examples/*.yaml \
        $(printf "$cases/%s/input.yaml " "${valid[@]}")
}

# What no schema can say, such as ids that are given twice, is not among them.
test_what_has_the_wrong_structure_is_invalid() {
    make_schema
    local name
    local -a names=(bad-run-mode bad-values bom-and-crlf empty-file empty-jobs-and-steps empty-stages
        flow long-line many-errors missing missing-names names-not-set nothing-to-run null-items
        only-comments planned plugin-and-language root-is-list root-is-string stages-is-map
        unknown-keys wide-characters wrong-types)
    assert_exit 1 "$root/tests/schema.py" schema.json \
        $(printf "$cases/%s/input.yaml " "${names[@]}")
    for name in "${names[@]}"; do
        assert_contains "$stdout" "invalid $cases/$name/input.yaml: "
    done
}

# valid JSON, and invalid WHERE JSON: one job of one step with these keys. The runner says the same at
# once; all_together asks the validator.
valid() { add valid '' "$1" && assert_exit 0 "$RUNNER" validate "$file"; }
invalid() { add invalid "$1" "$2" && assert_exit 2 "$RUNNER" validate "$file"; }

expected=''
add() {
    file=$(printf 'files/%03d.yaml' "$(find files -type f | wc -l)")
    write "$file" <<<"{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: c}], $3}]}]}"
    expected+="$1 $file${2:+: \$.stages[0].jobs[0]$2}"$'\n'
}

all_together() {
    local line
    assert_exit 1 "$root/tests/schema.py" schema.json files/*.yaml
    while read -r line; do
        assert_contains "$stdout" "$line" "verdict on $(cat "$(grep -o 'files/...' <<<"$line").yaml")"
    done <<<"${expected%$'\n'}"
}

test_each_kind_of_value() {
    make_schema
    mkdir files
    valid 'timeout: 1h 30M'
    valid 'timeout: "90"'
    valid 'grace: 1.5'
    invalid .timeout 'timeout: 5x'
    invalid .timeout 'timeout: -1'
    valid 'resources: {memory: 1.5GiB, cpus: "0.5", pids: 3}'
    invalid .resources.memory 'resources: {memory: 1.5X}'
    invalid .resources.pids 'resources: {pids: many}'
    valid 'pull: [never, always], isolation: job'
    valid 'pull: always'
    invalid .pull 'pull: [sometimes]'
    invalid .isolation 'isolation: stage'
    valid 'environment: {A: 1, B: true, C: null, D: 1.20}'
    invalid .environment.A 'environment: {A: [1]}'
    invalid .environment 'environment: {"A=B": 1}'
    valid 'retry: 2'
    valid 'retry: {attempts: 3, delay: 5s, on: [1, timeout], jitter: yes}'
    invalid .retry 'retry: often'
    invalid .retry.backoff 'retry: {backoff: linaer}'
    valid 'allow_failure: [1, "255"]'
    valid 'allow_failure: true'
    invalid .allow_failure 'allow_failure: 256'
    valid 'matrix: {os: [a, b], version: 1, include: [{os: c, more: 1}], max_parallel: 2, x-note: {a: b}}'
    invalid .matrix.os 'matrix: {os: {a: b}}'
    valid 'post: done'
    valid 'post: {always: [a, b], x-note: 1}'
    invalid .post 'post: {sometimes: a}'
    valid 'depends_on: []'
    valid 'if: true, when: {env: {A: [b, 1], C: d}, status: success}'
    invalid .when.env 'when: {env: [A]}'
    valid 'x-anything: [1, {a: b}], cache: null, state: {any: thing}'
    invalid '' 'stepz: 1'
    all_together
}

test_keys_to_come_and_deprecated_ones() {
    make_schema
    assert_eq true "$(jq '."$defs".stage.properties.mode.deprecated' schema.json)" deprecated
    assert_eq null "$(jq '."$defs".pipeline.properties.triggers' schema.json)" "a key to come"
    assert_eq "name stages" "$(jq -r '."$defs".pipeline.required | join(" ")' schema.json)" required
    assert_eq 'script for the shell; a list is joined with newlines' \
        "$(jq -r '."$defs".step.properties.command.description' schema.json)" description
    assert_contains "$(jq -r '."$defs".job.properties.shell.description' schema.json)" 'Default: `sh`'
}

run_tests "$@"
