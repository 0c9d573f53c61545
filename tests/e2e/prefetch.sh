#!/usr/bin/env bash
# Images of steps to come are pulled in the background.
source "$(dirname "$0")/../lib.sh"
fake=$(realpath "$(dirname "$0")/../fake")

# slow_registry [N]: `address`, a registry that notes requests and can be held; see the fake.
slow_registry() {
    mkdir registry
    touch registry/requests
    coproc registry { python3 "$fake/registry.py" "$RUNNER_TEST_REGISTRY" "${1:-0}" registry; }
    read -r address <&"${registry[0]}"
    trap forget_images EXIT
}

forget_images() {
    local image
    for image in $(docker image ls --format '{{.Repository}}:{{.Tag}}' \
        --filter "reference=$address/*/*" --filter "reference=$address/*/*/*"); do
        docker image rm -f "$image" >/dev/null
    done
}

# pipeline STAGE…: a first stage whose step waits for the file `go`, then stages of one job whose
# only step has the given keys.
pipeline() {
    printf 'name: p\nstages:\n- {name: first, jobs: [{name: j, steps: [%s]}]}\n' \
        '{name: wait, image: "busybox:1.36", command: "touch up; until [ -e go ]; do sleep 0.1; done"}' >p.yaml
    while (($#)); do
        printf -- '- {name: s%s, jobs: [{name: j, steps: [{name: later, %s}]}]}\n' "$#" "$1" >>p.yaml
        shift
    done
}

present() { docker image inspect "$1" >/dev/null 2>&1; }
requested() { grep -q " $1\$" registry/requests; }
# pulls IMAGE SINCE: how often the daemon says that it was pulled.
pulls() {
    docker events --since "$2" --until "$(date +%s.%N)" --filter type=image --filter event=pull \
        --format '{{.Actor.ID}}' | grep -cF "$1"
}

test_later_stages_are_pulled_while_the_first_runs() {
    slow_registry
    local private=$RUNNER_TEST_AUTH_REGISTRY/private/busybox:1.36
    docker image rm -f "$private" >/dev/null 2>&1 || true
    pipeline "image: \"$address/two/busybox:1.36\", command: echo in-two" \
        "plugin: {image: \"$address/three/runner-test/plugin:1\"}, environment: {X: y}" \
        "image: \"$private\", image_registry_username: $RUNNER_TEST_AUTH_USER, image_registry_password: \"\${P}\", command: echo in-private"
    spawn "$RUNNER" exec -e "P=$RUNNER_TEST_AUTH_PASSWORD" p.yaml
    wait_for 30 test -e up
    wait_for 30 present "$address/two/busybox:1.36"
    wait_for 30 present "$address/three/runner-test/plugin:1"
    wait_for 30 present "$private"
    touch go
    finish
    assert_eq 0 "$status"
    assert_contains "$stdout" "] in-two"
    assert_contains "$stdout" "] in-private"
    assert_not_contains "$stderr" "pulling"
    docker image rm -f "$private" >/dev/null
}

test_step_joins_the_pull_that_is_under_way() {
    slow_registry
    touch registry/hold-two
    pipeline "image: \"$address/two/busybox:1.36\", command: echo in-two"
    local began
    began=$(date +%s.%N)
    spawn "$RUNNER" exec p.yaml
    wait_for 30 requested two
    touch go
    wait_for 30 grep -q "pulling $address/two/busybox:1.36, which has begun already" "$case_dir/stderr"
    rm registry/hold-two
    finish
    assert_eq 0 "$status"
    assert_contains "$stdout" "] in-two"
    assert_eq 1 "$(pulls "$address/two/busybox" "$began")" "number of pulls"
}

test_always_is_asked_for_again_by_the_step() {
    slow_registry
    pipeline "image: \"$address/two/busybox:1.36\", pull: always, command: echo in-two"
    local began
    began=$(date +%s.%N)
    spawn "$RUNNER" exec p.yaml
    wait_for 30 present "$address/two/busybox:1.36"
    touch go
    finish
    assert_eq 0 "$status"
    assert_eq 2 "$(pulls "$address/two/busybox" "$began")" "number of pulls"
}

test_failure_is_left_to_the_step() {
    slow_registry 1
    pipeline "image: \"$address/two/busybox:1.36\", command: echo in-two" \
        "image: \"$address/none/no/such:1\", command: echo never"
    spawn "$RUNNER" exec --report json=r.json p.yaml
    wait_for 30 requested two
    wait_for 30 requested none
    touch go
    finish
    assert_eq 1 "$status"
    assert_contains "$stdout" "] in-two"
    assert_not_contains "$stdout" never
    assert_eq "succeeded succeeded failed" "$(jq -r '[.stages[].status] | join(" ")' r.json)"
    assert_eq image_pull "$(jq -r '.stages[2].jobs[0].steps[0].reason' r.json)"
    assert_not_contains "$stderr" "trying again"
}

test_what_is_not_known_is_left_alone() {
    slow_registry
    pipeline "image: \"$address/unset\${NOT_SET}/busybox:1.36\", command: echo in-unset" \
        "image: \"$address/never/busybox:1.36\", pull: never, command: echo x" \
        "image: \"$address/last/busybox:1.36\", command: echo x"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 present "$address/last/busybox:1.36"
    assert_not_contains "$(cat registry/requests)" unset
    assert_not_contains "$(cat registry/requests)" never
    touch go
    finish
    assert_eq 1 "$status"
    assert_contains "$stdout" "] in-unset"
}

test_interrupt_ends_pulls() {
    slow_registry
    touch registry/hold-two registry/hold-three
    pipeline "image: \"$address/two/busybox:1.36\", command: x" \
        "image: \"$address/three/busybox:1.36\", command: x"
    spawn "$RUNNER" exec p.yaml
    wait_for 30 test -e up
    wait_for 30 requested two
    wait_for 30 requested three
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_no_leftovers
}

test_failed_run_does_not_wait_for_pulls() {
    slow_registry
    touch registry/hold-two
    pipeline "image: \"$address/two/busybox:1.36\", command: x"
    sed -i 's/done"}/done; exit 4"}/' p.yaml
    spawn "$RUNNER" exec p.yaml
    wait_for 30 requested two
    touch go
    finish
    assert_eq 1 "$status"
    assert_contains "$stderr" "exit code 4"
}

test_step_that_ends_while_its_image_is_pulled_ahead() {
    slow_registry
    touch registry/hold-two
    pipeline "image: \"busybox:1.36\", command: echo one"
    sed -i "s|{name: later, .*}\]}\]}|{name: a, image: \"busybox:1.36\", command: \"until [ -e go2 ]; do sleep 0.1; done\"}, {name: b, timeout: 1, image: \"$address/two/busybox:1.36\", command: x}, {name: c, command: x}]}]}|" p.yaml
    touch go
    spawn "$RUNNER" exec p.yaml
    wait_for 30 requested two
    touch go2
    finish
    assert_eq 1 "$status"
    assert_contains "$stderr" 'step "b" timeout after 1 second'
}

run_tests "$@"
