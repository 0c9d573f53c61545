#!/usr/bin/env bash
# All tests, from a fresh clone on Debian or Ubuntu: installs packages, starts real daemons apart
# from the machine's own, builds, runs unit and end-to-end tests under sanitizers, some end-to-end
# tests of the release, and stops what it started.
#
#   tests/run.sh [--quick] [--keep-env] [NAME…]
#
# --quick      one build (ASan + UBSan, coverage not looked at), no fuzzers
# --keep-env   the daemons and the directories of failed cases stay; tests/env/down.sh SLOT ends them
# NAME…        only end-to-end scripts tests/e2e/NAME.sh and unit tests whose name holds NAME
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
min_line_coverage=80
# Behind that nobody waits any longer for what hangs, and nobody would see what it was.
minutes=${RUNNER_TEST_MINUTES:-80}
# Limits of tests are against waiting for ever; a busy machine is slow, not wrong.
export RUNNER_TEST_TIMEOUT_FACTOR=${RUNNER_TEST_TIMEOUT_FACTOR:-3}
# With what sanitizers would hide: memory, speed of signals, and what users get.
release_scripts=(examples host outputs reports)
# One build is enough for what has no threads of the runner to look at, as what runs in an image that has
# a build of its own, or the same as others have.
not_for_tsan=(cluster compat completion compose_config compose_same console deploy doctor environment idp image init
    kubernetes_adopt kubernetes_examples kubernetes_faults kubernetes_leases kubernetes_refusals plan schema
    sidecar stack types
    usage validate)

usage() { sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; }

quick='' keep_env=''
names=()
while (($#)); do
    case $1 in
    --quick) quick=yes ;;
    --keep-env) keep_env=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*)
        usage >&2
        exit 2
        ;;
    *) names+=("$1") ;;
    esac
    shift
done

work=$(mktemp -d)
results=$work/results
: >"$results"
env_job='' env_failed='' fuzz_job='' watch_job=''

# shellcheck source=env/env.sh
source "$root/tests/env/env.sh"
# shellcheck source=results.sh
source "$root/tests/results.sh"
# shellcheck source=lanes.sh
source "$root/tests/lanes.sh"

# end_job JOB: with all of its process group; nothing if it is empty or has ended.
end_job() {
    if [[ -n $1 ]] && kill -0 "$1" 2>/dev/null; then
        kill -TERM -- "-$1" 2>/dev/null || true
        wait "$1" 2>/dev/null || true
    fi
}

# In time to tell what hangs, with its process tree; also at the end, where signals are not heard.
watch_begin() {
    (
        sleep $((minutes * 60))
        record FAIL "end within $minutes minutes"
        echo "not done within $minutes minutes; what runs:"
        watched tree_of
        kill -TERM $$
        sleep 5
        # A shell hears a signal when the command it waits for has ended, and at the end that does not either.
        watched kill_tree KILL
    ) &
    watch_job=$!
}

# watched COMMAND [ARGUMENT…]: with the pid of each job of this run, but the one that watches.
watched() {
    local child
    for child in $(cat "/proc/$$/task/$$/children"); do
        [[ $child == "$BASHPID" ]] || "$1" "$child" "${@:2}"
    done
}

finish() {
    local code=$?
    trap '' INT TERM
    lanes_stop
    end_job "$env_job"
    end_job "$fuzz_job"
    if [[ -z ${RUNNER_TEST_SLOT:-} ]]; then
        :
    elif [[ -n $keep_env ]]; then
        slot_keep
        say "the environment stays: source $RUNNER_TEST_STATE/exports"
    else
        env_down || say "the environment did not stop cleanly"
        slot_release
    fi
    if [[ -n ${summing:-} ]]; then
        results_sum || ((code >= 128)) || code=1
    fi
    [[ -z $watch_job ]] || kill_tree "$watch_job"
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
# A signal that comes twice, as from timeout(1), would otherwise end finish, too.
trap 'trap "" INT TERM; exit 130' INT
trap 'trap "" INT TERM; exit 143' TERM

# part NAME COMMAND…: runs it and prints its time.
part() {
    local name=$1 started status=0
    started=$(now_ms)
    shift
    "$@" || status=$?
    printf '== %s: %s\n' "$name" "$(seconds_since "$started")"
    return "$status"
}

select_scripts() {
    local script name
    for script in "$root"/tests/e2e/*.sh; do
        [[ -e $script ]] || continue
        if ((${#names[@]} == 0)); then
            echo "$script"
            continue
        fi
        for name in "${names[@]}"; do
            [[ $(basename "$script" .sh) != "$name" ]] || echo "$script"
        done
    done
}

build() {
    local log=$work/build.$1.log
    if ! (cd "$root" && cmake --preset "$1" && cmake --build "build/$1") >"$log" 2>&1; then
        tail -n 60 "$log"
        record FAIL "$1 build"
        return 1
    fi
}

# unit_tests PRESET apart|docker|kubernetes: those that need nothing, or those with that label.
unit_tests() {
    local junit=$work/$1.$2.junit.xml
    local -a filter=(-LE 'docker|kubernetes')
    [[ $2 == apart ]] || filter=(-L "$2")
    ((${#names[@]} == 0)) || filter+=(-R "$(IFS='|' && echo "${names[*]}")")
    RUNNER_TEST_DOCKER=${DOCKER_HOST:-} RUNNER_TEST_IMAGE=busybox:1.36 \
        ctest --test-dir "$root/build/$1" --output-on-failure \
        --timeout $((200 * RUNNER_TEST_TIMEOUT_FACTOR)) -j "$(nproc)" --output-junit "$junit" "${filter[@]}" || true
    if [[ -s $junit ]]; then
        results_of_ctest "$1" "$junit"
    else
        record FAIL "$1 unit (ctest wrote no result)"
    fi
}

environment_ready() {
    [[ -z $env_failed ]] || return 1
    [[ -n $env_job ]] || return 0
    local job=$env_job
    env_job=
    if ! wait "$job"; then
        env_failed=yes
        tail -n 40 "$work/env.log"
        record FAIL "test environment"
        return 1
    fi
    # shellcheck source=/dev/null
    source "$RUNNER_TEST_STATE/exports"
}

# Without names everything is wanted; a name, or a script, that is about Kubernetes speaks of it.
wants_cluster() {
    ((${#names[@]})) || return 0
    [[ ${names[*]} == *kube* ]] || grep -qs '^needs_cluster=.' /dev/null "${scripts[@]}"
}

cluster_ready() {
    if ! (kube_wait); then
        record FAIL "Kubernetes cluster"
        return 1
    fi
}

# unit_tests_with_cluster PRESET
unit_tests_with_cluster() {
    [[ $env_what == all ]] || return 0
    ! ctest --test-dir "$root/build/$1" -N -L kubernetes | grep -qx 'Total Tests: 0' || return 0
    part "waiting for the cluster" cluster_ready || return 0
    part "unit tests with Kubernetes $1" unit_tests "$1" kubernetes
}

coverage() {
    local -a report=(gcovr --root "$root" "$root/build/asan" --exclude "$root/tests/"
        --exclude "$root/build/" --print-summary --fail-under-line "$min_line_coverage")
    if "${report[@]}" --output "$root/build/asan/coverage.txt"; then
        record ok "coverage of $min_line_coverage % of lines"
    else
        cut -c 1-70 "$root/build/asan/coverage.txt"
        record FAIL "coverage of $min_line_coverage % of lines"
    fi
}

# Each fuzzer for half a minute, with the time that nothing else wants; soak.sh has them for longer.
fuzzers_begin() {
    set -m
    nice -n 19 "$root/tests/fuzz.sh" >"$work/fuzz.log" 2>&1 &
    fuzz_job=$!
    set +m
}

fuzzers() {
    local log=$work/fuzz.log state what
    wait "$fuzz_job" || true
    fuzz_job=
    cat "$log"
    grep -q '^ok\|^FAIL' "$log" || record FAIL "fuzzers"
    while read -r state what; do
        record "$state" "$what"
    done < <(grep '^ok\|^FAIL' "$log")
}

# scripts_for PRESET: those that are not left out there; all that were named.
scripts_for() {
    local script
    for script in "${scripts[@]}"; do
        if [[ $1 == tsan && ${#names[@]} == 0 &&
            " ${not_for_tsan[*]} " == *" $(basename "$script" .sh) "* ]]; then
            continue
        fi
        echo "$script"
    done
}

# test_build PRESET: builds it, runs the unit tests, then what needs the environment.
test_build() {
    part "build $1" build "$1" || return 0
    find "$root/build/$1" -name '*.gcda' -delete
    part "unit tests $1" unit_tests "$1" apart
    part "waiting for the environment" environment_ready || return 0
    part "unit tests with docker $1" unit_tests "$1" docker
    unit_tests_with_cluster "$1"
    local -a chosen
    mapfile -t chosen < <(scripts_for "$1")
    ((${#chosen[@]})) || return 0
    part "end-to-end tests $1" lanes_run "$lanes" "$1" "${chosen[@]}"
}

test_release() {
    local script
    local -a chosen=()
    for script in "${scripts[@]}"; do
        [[ " ${release_scripts[*]} " != *" $(basename "$script" .sh) "* ]] || chosen+=("$script")
    done
    ((${#chosen[@]})) || return 0
    part "waiting for the environment" environment_ready || return 0
    part "end-to-end tests release" lanes_run "$lanes" release "${chosen[@]}"
}

summing=yes
watch_begin
mapfile -t scripts < <(select_scripts)
env_what=docker groups=(build test)
if wants_cluster; then
    env_what=all groups+=(kubernetes)
fi
part "packages" "$RUNNER_TEST_ENV/packages.sh" "${groups[@]}"
# Most scripts wait more than they work.
lanes=3
((${#scripts[@]} >= lanes)) || lanes=$((${#scripts[@]} > 1 ? ${#scripts[@]} : 1))
slot_take
# A process group of its own, so that it can be ended as a whole.
set -m
part "environment" env_up "$lanes" "$env_what" swarm >"$work/env.log" 2>&1 &
env_job=$!
set +m
if [[ -n $keep_env ]]; then
    export RUNNER_TEST_KEEP=yes
fi

if [[ -n $quick ]]; then
    test_build asan
else
    part "build release" build release || release_scripts=()
    test_build asan
    ((${#names[@]})) || part "coverage" coverage
    test_release
    ((${#names[@]})) || fuzzers_begin
    test_build tsan
    ((${#names[@]})) || part "waiting for the fuzzers" fuzzers
fi
grep '^== ' "$work/env.log" || true
