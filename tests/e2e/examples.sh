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

test_dependencies() {
    example dependencies.yaml
    assert_contains "$stdout" "[step(3/3): package] packaged"
    assert_contains "$stdout" "[stage(3/3): release][job(1/1): publish][step(1/1): push] released"
    assert_not_contains "$stdout" "never heard"
    assert_contains "$stderr" 'skipped: it needs "app" to fail, which succeeded'
}

test_conditions() {
    example conditions.yaml
    assert_contains "$stdout" "] lint failed with 4"
    assert_contains "$stdout" "] on main"
    assert_contains "$stdout" "] behind the steps"
    assert_contains "$stdout" "] the pipeline succeeded"
    assert_not_contains "$stdout" "not here"
    assert_not_contains "$stdout" "something failed"
    assert_contains "$stderr" "skipped: the condition \"env.BRANCH =~ '^release-'\" does not hold"
}

test_artifacts() {
    unset XDG_STATE_HOME
    example artifacts.yaml
    assert_contains "$stdout" "] the program"
    assert_not_contains "$stdout" "report.xml"
    assert_contains "$stderr" 'artifacts "dist" of the job "build": 1 file'
    assert_exit 0 "$RUNNER" artifacts get latest build test -o there
    assert_eq "<testsuite/>" "$(cat there/report.xml)"
}

test_matrix() {
    example matrix.yaml
    assert_eq "alpine is quick
debian is quick
debian is slow
fedora is quick" "$(sed 's/.*\] //' <<<"$stdout" | sort)"
    assert_contains "$stdout" "[job(4/4): test fedora with 3]"
}

test_retry() {
    example retry.yaml
    assert_contains "$stdout" "[step(1/2): flaky] attempt 3"
    assert_match "$stderr" 'flaky\] attempt 2 failed: exit code 1; trying again in 0'
    assert_contains "$stderr" "whole job] attempt 1 failed: step \"check\" failed: exit code 1; trying again"
    assert_not_contains "$stderr" "not for every reason] attempt"
}

test_secrets() {
    local -x API_TOKEN='a b"c/d+e'
    example secrets.yaml
    assert_contains "$stdout" "as it is] the token is ***"
    assert_contains "$stdout" "line by line] > ***"
    assert_contains "$stdout" "in a container] the token has 9 characters, and is ***"
    assert_match "$stdout" 'encoded\] dXNlcj.?\*\*\*'
    assert_match "$stdout" 'in pieces\] \*\*\*'
    assert_not_contains "$stdout" "one of two"
}

test_inputs() {
    assert_exit 2 "$RUNNER" exec "$examples/inputs.yaml" --input target=prod
    assert_contains "$stderr" 'the input "version" is required'
    assert_contains "$stderr" 'must be test, staging or production, not "prod"'
    example inputs.yaml --input version=1.4.2 --input replicas=10 --input notify=true
    assert_contains "$stdout" "deploy to test][step(1/3): deploy] the product 1.4.2 on 10 machines"
    assert_contains "$stdout" "that is a lot"
    assert_contains "$stdout" "sent to team@example.org"
    assert_exit 0 "$RUNNER" exec "$examples/inputs.yaml" --input version=1 --input target=staging
    assert_contains "$stdout" "deploy to staging]"
    assert_not_contains "$stdout" "a lot"
    assert_not_contains "$stdout" "sent"
}

test_cache() {
    example cache.yaml
    assert_contains "$stdout" "] downloaded the dependencies"
    assert_contains "$stdout" "] compiling util"
    example cache.yaml
    assert_contains "$stdout" "] the dependencies are there already"
    assert_contains "$stdout" "] util.o is up to date"
}

test_outputs() {
    example outputs.yaml
    assert_contains "$stdout" "use] version 1.4: hello from an earlier step"
    assert_contains "$stdout" "use] - smaller"
    assert_contains "$stdout" "of 1.x] a version 1"
    assert_contains "$stdout" 'tell] release 1.4, tests {"alpine":"passed","debian":"passed"}'
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

test_plugins() {
    DOCKER_BUILDKIT=0 "$examples/plugins/build.sh" >/dev/null 2>&1
    example plugins.yaml
    assert_contains "$stdout" "[step(1/2): announce] version 1.2, by job announce of plugins"
    assert_contains "$stdout" "[step(1/2): announce] - edge"
    assert_contains "$stdout" "[step(2/2): check] ANNOUNCEMENT has 5 lines, says announce"
    rm -r plugins-example
}

test_concurrency() {
    example concurrency.yaml
    assert_eq 2 "$(grep -c '\] deployed$' <<<"$stdout")" "deployments"
}

test_steps() {
    example steps.yaml
    assert_contains "$stdout" "empty] 0"
    assert_contains "$stdout" "on the host] 24 80"
    assert_contains "$stdout" "in a container] a terminal"
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
test_background() {
    example background.yaml
    assert_contains "$stdout" "[step(3/3): ask] 200"
    assert_contains "$stderr" "[step(2/3): worker] stopped with its job: exit code 143"
}

test_services() {
    example services.yaml
    assert_contains "$stdout" "[step(1/1): ask by name] good morning"
    assert_contains "$stdout" "[step(1/1): ask by name] shared"
    assert_contains "$stdout" "[step(1/1): ask by port] shared"
}

run_tests "$@"
