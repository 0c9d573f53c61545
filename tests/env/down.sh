#!/usr/bin/env bash
# Stops test environments: down.sh [--purge] SLOT…|--all
# --all: those of up.sh and --keep-env, whoever works with them, and what dead test runs left. A
# slot that a living run uses is left alone. --purge removes the image stores of the slots, too.
set -euo pipefail

# shellcheck source=env.sh
source "$(dirname "$0")/env.sh"

usage() {
    sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

purge='' all=''
slots=()
for argument in "$@"; do
    case $argument in
    --purge) purge=yes ;;
    --all) all=yes ;;
    [0-7]) slots+=("$argument") ;;
    *) usage ;;
    esac
done
# Either slots or all of them.
if [[ -n $all ]]; then
    ((${#slots[@]} == 0)) || usage
    for dir in "$RUNNER_TEST_CACHE"/slot[0-7]; do
        [[ ! -d $dir ]] || slots+=("${dir##*slot}")
    done
elif ((${#slots[@]} == 0)); then
    usage
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
