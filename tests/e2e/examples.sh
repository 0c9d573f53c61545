#!/usr/bin/env bash
# Every file in examples/ runs and does what it says; none is left out.
source "$(dirname "$0")/../lib.sh"
examples=$(realpath "$(dirname "$0")/../../examples")
this_file=$(realpath "$0")

test_every_example_has_a_test() {
    local file
    for file in "$examples"/*.yaml; do
        grep -q "example ${file##*/}" "$this_file" || fail "no test runs ${file##*/}"
    done
}

# example FILE [OPTION…]: it validates, runs and succeeds.
example() {
    local file=$1
    shift
    assert_exit 0 "$RUNNER" validate "$examples/$file"
    assert_exit 0 "$RUNNER" exec "$examples/$file" "$@"
}

test_hello() {
    example hello.yaml
    assert_contains "$stdout" "Hello from hello on linux/"
}

test_stages() {
    example stages.yaml
    assert_contains "$stdout" "[job(1/2): collect][step(1/1): concatenate] no complaints
[stage(2/2): report][job(1/2): collect][step(1/1): concatenate] unit tests passed"
    assert_match "$stdout" '\[step\(1/1\): count lines\] 2'
    [[ ! -e stages-example ]] || fail "the workdir is still there"
}

test_docker() {
    example docker.yaml
    assert_contains "$stdout" "[step(3/3): limits] 1000"
    assert_contains "$stdout" "[step(2/2): find it] kept"
}

test_plugin() {
    example plugin.yaml
    assert_contains "$stdout" "PIPELINE_PLUGIN_SETTINGS_VERSION=1.2.0"
    assert_contains "$stdout" 'PIPELINE_PLUGIN_SETTINGS_CHANNELS=["stable","edge"]'
}

test_language() {
    example language.yaml
    assert_contains "$stdout" "hello from node"
    assert_contains "$stdout" "hello from python"
    assert_contains "$stdout" "hello from go"
}

test_timeouts() { # example timeouts.yaml ends by its own timeout
    assert_exit 1 "$RUNNER" exec "$examples/timeouts.yaml"
    assert_contains "$stderr" 'stage "slow" timeout after 2 seconds'
    assert_contains "$stdout" "this runs whatever happened"
}

test_pre_post() {
    example pre-post.yaml
    assert_eq "preparing working it went well cleaning up" \
        "$(sed 's/.*\] //' <<<"$stdout" | paste -sd ' ')"
}

test_private_registry() {
    example private-registry.yaml -e REGISTRY="$RUNNER_TEST_AUTH_REGISTRY" \
        -e REGISTRY_USERNAME="$RUNNER_TEST_AUTH_USER" -e REGISTRY_PASSWORD="$RUNNER_TEST_AUTH_PASSWORD"
    assert_contains "$stdout" "pulled from $RUNNER_TEST_AUTH_REGISTRY"
    assert_not_contains "$stdout$stderr" "$RUNNER_TEST_AUTH_PASSWORD"
}

declare -A case_timeout=([test_language]=180)
run_tests "$@"
