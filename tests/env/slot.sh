# shellcheck shell=bash
# Slots let several test runs share one machine. A slot is a directory of daemon state with
# network addresses and ports derived from its number; it keeps the daemons' images between runs.
# The file `owner` says whose it is: "PID START" of a process, or "kept" (--keep-env, up.sh).
#
#   slot_take          sets RUNNER_TEST_SLOT and RUNNER_TEST_STATE; stops what a dead owner left
#   slot_keep          the slot outlives this process
#   slot_release       gives it back (stop the daemons first)

slot_use() {
    export RUNNER_TEST_SLOT=$1
    export RUNNER_TEST_STATE=$RUNNER_TEST_CACHE/slot$1
    # Sockets below this path must fit into the 108 bytes of sun_path.
    ((${#RUNNER_TEST_STATE} <= 50)) ||
        die "RUNNER_TEST_CACHE=$RUNNER_TEST_CACHE is too long for socket paths, set a shorter one"
}

slot_try() {
    local owner=$RUNNER_TEST_CACHE/slot$1/owner start
    mkdir -p "${owner%/*}"
    [[ $(cat "$owner" 2>/dev/null) != kept ]] || return 1
    if pidfile_pid "$owner" >/dev/null; then
        return 1
    fi
    start=$(process_start $$)
    echo "$$ $start" >"$owner"
}

slot_take() {
    local slot taken=
    mkdir -p "$RUNNER_TEST_CACHE"
    exec {slot_lock}>"$RUNNER_TEST_CACHE/slots.lock"
    flock "$slot_lock"
    for slot in 0 1 2 3 4 5 6 7; do
        if slot_try "$slot"; then
            taken=$slot
            break
        fi
    done
    exec {slot_lock}>&-
    [[ -n $taken ]] || die "all slots below $RUNNER_TEST_CACHE are in use (tests/env/down.sh SLOT)"
    slot_use "$taken"
}

slot_keep() { echo kept >"$RUNNER_TEST_STATE/owner"; }

slot_release() { rm -f "$RUNNER_TEST_STATE/owner"; }
