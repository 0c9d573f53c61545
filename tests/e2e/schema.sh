#!/usr/bin/env bash
# `runner schema`, held against files by a validator that is not ours.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no
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
        flow hosts-wrong kubernetes-wrong long-line many-errors missing missing-names names-not-set
        nothing-to-run null-items only-comments planned plugin-and-language root-is-list
        root-is-string stages-is-map types-wrong unknown-keys wide-characters wrong-types)
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
# Likewise with these keys of the step.
valid_step() { add valid '' '' ", $1" && assert_exit 0 "$RUNNER" validate "$file"; }
invalid_step() { add invalid ".steps[0]$1" '' ", $2" && assert_exit 2 "$RUNNER" validate "$file"; }

expected=''
add() {
    file=$(printf 'files/%03d.yaml' "$(find files -type f | wc -l)")
    write "$file" <<<"{name: p, hosts: [{name: here, engine: host}], stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: c${4:-}}], $3}]}]}"
    expected+="$1 $file${2:+: \$.stages[0].jobs[0]$2}"$'\n'
}

all_together() {
    local line
    assert_exit 1 "$root/tests/schema.py" schema.json files/*.yaml
    while read -r line; do
        assert_contains "$stdout" "$line" "verdict on $(cat "$(grep -o 'files/...' <<<"$line").yaml")"
    done <<<"${expected%$'\n'}"
}

# What `config` takes depends on `type`.
test_config_of_each_type() {
    make_schema
    mkdir steps
    local count=0 step
    step() { # valid|invalid KEYS
        write "steps/$((++count)).yaml" <<<"{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, $2}]}]}]}"
        expected+="$1 steps/$count.yaml"$'\n'
    }
    step valid 'type: build, config: {tool: make, targets: [a]}'
    step valid 'type: build, command: c, config: ~'
    step valid 'type: custom, command: c, config: {any: {thing: [1]}}'
    step valid 'config: {repository: x, depth: 1}, type: fetch_code'
    step invalid 'type: fetch_code'
    step invalid 'type: fetch_code, config: {}'
    step invalid 'type: fetch_code, config: {repository: x, tool: make}'
    step invalid 'type: test, config: {repository: x}'
    step invalid 'type: test, config: {tool: trivy}'
    step invalid 'type: notify, config: {url: "http://x", format: html}'
    step invalid 'type: other'
    step invalid 'type: custom, command: c, config: [a]'
    step invalid 'command: c, config: {tool: make}'
    run "$root/tests/schema.py" schema.json steps/*.yaml
    while read -r step; do
        assert_contains "$stdout" "$step" "verdict on $(cat "${step#* }")"
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
    valid 'run_on: here, serial: [1, 30%], max_failures: 2'
    valid 'run_on: [all], serial: "${N:-1}", max_failures: 100%'
    invalid .serial 'run_on: all, serial: [1, some]'
    invalid .max_failures 'run_on: all, max_failures: 101%'
    valid 'retry: 2'
    valid 'retry: {attempts: 3, delay: 5s, on: [1, timeout], jitter: yes}'
    invalid .retry 'retry: often'
    invalid .retry.backoff 'retry: {backoff: linaer}'
    valid 'retry: {on: oom, not_on: [2, "3"]}'
    invalid .retry.on 'retry: {on: [1, tiemout]}'
    invalid .retry.not_on 'retry: {not_on: 256}'
    valid 'when: {status: [success, failure]}'
    valid 'when: {status: failure}'
    invalid .when.status 'when: {status: failed}'
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
    valid 'schedule_timeout: 5m, engine: k8s://a/b'
    invalid .schedule_timeout 'schedule_timeout: soon'
    valid 'x-anything: [1, {a: b}], cache: null, state: {any: thing}'
    invalid '' 'stepz: 1'
    all_together
}

# What `kubernetes` takes, at a job and elsewhere.
test_the_shape_of_pods() {
    make_schema
    mkdir files
    pod() { valid "kubernetes: {$1}"; }
    no_pod() { invalid ".kubernetes$1" "kubernetes: {$2}"; }
    pod ''
    pod 'namespace: a, labels: {a: 1, b: yes, c: null}, tolerations: [], affinity: {a: [b]}'
    pod 'image_pull_secrets: a, host_aliases: [], volumes: [], x-note: {a: b}, dns: null'
    no_pod '' 'nodeSelector: {a: b}'
    no_pod .namespace 'namespace: [a]'
    no_pod .labels.a 'labels: {a: [b]}'
    no_pod .node_selector 'node_selector: [a]'
    no_pod .tolerations 'tolerations: {a: b}'
    no_pod .affinity 'affinity: [a]'
    no_pod .image_pull_secrets 'image_pull_secrets: {name: a}'
    no_pod .security_context 'security_context: a'
    pod 'pod_patch: {spec: {a: 1}}'
    pod 'pod_patch: [{op: remove}]'
    no_pod .pod_patch 'pod_patch: a'
    pod 'resources: {requests: {cpu: 0.5, memory: 1.5Gi, a: "+1m", b: 1e3, c: "${A}"}, limits: {a/b: 1}}'
    no_pod .resources.requests.memory 'resources: {requests: {memory: 512MB}}'
    no_pod .resources.limits.cpu 'resources: {limits: {cpu: -1}}'
    no_pod .resources 'resources: {cpu: 1}'
    pod 'host_aliases: [{ip: 10.0.0.1, hostnames: a}], dns: {searches: [a], options: [{name: b}]}'
    no_pod '.host_aliases[0]' 'host_aliases: [{ip: 10.0.0.1}]'
    no_pod .dns 'dns: {policy: None, servers: [a]}'
    no_pod .dns.options 'dns: {options: {ndots: 2}}'
    pod 'workspace: {size: 1Gi, storage_class: a, pvc: null}'
    no_pod .workspace 'workspace: {storage_class: a}'
    no_pod .workspace 'workspace: {size: 1Gi, pvc: a}'
    no_pod .workspace.size 'workspace: {size: big}'
    volume() { pod "volumes: [{mount: /a, $1}]"; }
    no_volume() { no_pod ".volumes[0]$1" "volumes: [{$2}]"; }
    volume 'empty_dir: {}, read_only: yes'
    volume 'empty_dir: {medium: Memory, size_limit: 1Gi}, secret: ""'
    volume 'config_map: a, items: [{key: b, path: c}], sub_path: d'
    no_volume '' 'pvc: a'
    no_volume '' 'mount: /a'
    no_volume '' 'mount: /a, pvc: a, secret: b'
    no_volume .mount 'mount: a, pvc: b'
    no_volume .mount 'mount: /, pvc: b'
    no_volume .mount 'mount: "/a:b", pvc: b'
    no_volume .empty_dir 'mount: /a, empty_dir: {size: 1Gi}'
    no_volume .read_only 'mount: /a, pvc: b, read_only: sometimes'
    valid 'services: {a: {image: b, kubernetes: {resources: {limits: {cpu: 1}}}}}'
    invalid .services.a.kubernetes 'services: {a: {image: b, kubernetes: {namespace: c}}}'
    valid_step 'kubernetes: {security_context: {a: b}, volumes: []}'
    invalid_step .kubernetes 'kubernetes: {labels: {a: b}}'
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
