#!/usr/bin/env bash
# Stops test environments: down.sh [--purge] [SLOT…]
# Without a number: those of up.sh and --keep-env, and what dead test runs left. A slot that a
# living run uses is left alone. --purge removes the image stores of the slots, too.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "$0")/env.sh"

purge=
if [[ ${1:-} == --purge ]]; then
    purge=yes
    shift
fi
slots=("$@")
if (($# == 0)); then
    for dir in "$RUNNER_TEST_CACHE"/slot[0-7]; do
        [[ ! -d $dir ]] || slots+=("${dir##*slot}")
    done
fi
for slot in "${slots[@]}"; do
    slot_use "$slot"
    if pidfile_pid "$RUNNER_TEST_STATE/owner" >/dev/null; then
        say "slot $slot is in use by process $(pidfile_pid "$RUNNER_TEST_STATE/owner")"
        continue
    fi
    env_down
    slot_release
    [[ -z $purge ]] || as_root rm -rf "$RUNNER_TEST_STATE"
done
