#!/usr/bin/env bash
# The test environment for working by hand: eval "$(tests/env/up.sh)"
# It stays until tests/env/down.sh "$RUNNER_TEST_SLOT". To run a test script then:
# RUNNER=build/runner tests/e2e/NAME.sh
set -euo pipefail

"$(dirname "$0")/packages.sh" build test
# shellcheck source=env.sh
source "$(dirname "$0")/env.sh"

slot_take
trap 'env_down; slot_release' EXIT
env_up "${1:-1}" >&2
slot_keep
trap - EXIT
cat "$RUNNER_TEST_STATE/exports"
