#!/usr/bin/env bash
# The web console of a server, in a real browser (tests/console.py). What it looked like is in
# console/ beside the runner.
#
# In a network of its own: a browser gives up what it is loading when an interface comes or goes, as those
# of other tests' containers do.
if [[ -z ${RUNNER_TEST_ALONE:-} ]]; then
    export RUNNER_TEST_ALONE=yes
    # shellcheck disable=SC2016
    exec unshare --net bash -c 'ip link set lo up && exec bash "$@"' - "$0" "$@"
fi
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no
# shellcheck disable=SC2034
declare -A case_timeout=([test_lists_keys_and_themes]=120 [test_a_hundred_thousand_lines]=120)

# scene NAME: a server of its own, and what is done with it.
scene() {
    local url
    spawn "$RUNNER" server --host 127.0.0.1 --port 0 --history history --workdir runs
    wait_for 20 grep -q listening "$case_dir/stderr" "$case_dir/stdout"
    url=$(cat "$case_dir/stdout" "$case_dir/stderr" | grep -o 'http://[^ ]*')
    python3 "$sources/tests/console.py" "$1" "$url" "$(dirname "$RUNNER")/console"
    kill "$spawned"
    finish
    assert_eq 0 "$status"
}

test_a_run_from_the_editor_to_its_end() { scene a_run_from_the_editor_to_its_end; }

test_steps_of_a_run() { scene steps_of_a_run; }

test_cancelling_with_a_reason() { scene cancelling_with_a_reason; }

test_a_hundred_thousand_lines() { scene a_hundred_thousand_lines; }

test_a_server_that_is_killed() {
    "${case_env[@]}" python3 "$sources/tests/console.py" a_server_that_is_killed "$RUNNER" "$(dirname "$RUNNER")/console"
    assert_no_leftovers 10
}

test_lists_keys_and_themes() { scene lists_keys_and_themes; }

run_tests "$@"
