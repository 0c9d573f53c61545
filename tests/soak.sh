#!/usr/bin/env bash
# Long campaigns, too long for every change: fuzzers, and a runner and a server that are killed over
# and over.
#
#   tests/soak.sh [--seconds N] [--kills N]     600 s for each fuzzer, 500 kills of each
#
# The figures of the last campaign stand in docs/soak.md.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
seconds=600 kills=500
while (($#)); do
    case $1 in
    --seconds) seconds=$2 ;;
    --kills) kills=$2 ;;
    *)
        sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
        exit 2
        ;;
    esac
    shift 2
done

# The case of tests/e2e/docker.sh that kills the runner at random moments, as often as asked for.
kill_campaign() {
    echo "== $kills kills"
    RUNNER_TEST_KILLS=$kills RUNNER_TEST_TIMEOUT_FACTOR=$((kills / 50 + 1)) \
        RUNNER=$root/build/release/runner "$root/tests/e2e/docker.sh" test_50_random_kills
}

server_campaign() {
    echo "== $kills kills of a server"
    "$root/tests/server_kills.py" "$root/build/release/runner" "$kills"
}

"$root/tests/env/packages.sh" build test
echo "== fuzzers, $seconds s each"
"$root/tests/fuzz.sh" --seconds "$seconds"
(cd "$root" && cmake --preset release && cmake --build --preset release) >/dev/null
server_campaign
exports=$("$root/tests/env/up.sh")
eval "$exports"
trap '"$root/tests/env/down.sh" "$RUNNER_TEST_SLOT"' EXIT
kill_campaign
