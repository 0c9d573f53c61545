#!/usr/bin/env bash
# Files written for the go-idp pipeline engine run unchanged.
source "$(dirname "$0")/../lib.sh"
data=$(realpath "$(dirname "$0")/../data/go-idp")

test_struct_dump() {
    assert_exit 0 "$RUNNER" exec --strict "$data/struct-dump.yaml"
    assert_contains "$stdout" "[stage(1/1): build][job(1/1): build][step(1/1): say] dumped hello in dump"
}

test_hooks_and_modes() {
    assert_exit 0 "$RUNNER" exec -c "$data/hooks-and-modes.yaml"
    assert_eq "[stage(1/4): pre][job(1/1): pre][step(1/1): pre] before: staging
[stage(2/4): checkout][job(1/1): checkout][step(1/1): source] fetching
[stage(3/4): test][job(1/2): first][step(1/1): show] job sees first
[stage(3/4): test][job(2/2): second][step(1/1): show] step sees second
[stage(4/4): post][job(1/1): post][step(1/1): post] after: staging" "$stdout"
    assert_contains "$stderr" "warning: "
    assert_contains "$stderr" "run_mode"
    assert_contains "$stderr" "[workflow] timeout: 300 seconds"
    assert_contains "$stderr" "[stage(3/4): test] timeout: 60 seconds"
}

test_run_is_an_alias_and_environment_names_work() {
    PIPELINE_CONFIG=$data/struct-dump.yaml ENV=A=b assert_exit 0 "$RUNNER" run
    assert_contains "$stdout" "dumped hello"
}

run_tests "$@"
