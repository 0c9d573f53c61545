#!/usr/bin/env bash
# The runner's own image: the Dockerfile builds on the test's base and the result runs.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"

# The packages of both stages are installed on a machine's first run.
declare -A case_timeout=([test_dockerfile]=600)

test_dockerfile() {
    runner_image runner-test/runner
    assert_exit 0 docker run --rm --network none runner-test/runner version
    assert_contains "$stdout" "$("$RUNNER" version)"
    assert_exit 0 docker run --rm --network none --entrypoint sh runner-test/runner -c \
        'ls /usr/bin/gcc /usr/bin/cmake 2>/dev/null | wc -l'
    assert_eq 0 "$stdout" "number of build tools in the image"
}

run_tests "$@"
