#!/usr/bin/env bash
# All tests, from a fresh clone on Debian or Ubuntu: installs packages, starts real daemons apart
# from the machine's own, builds, runs unit and end-to-end tests under sanitizers and for coverage,
# and stops what it started.
#
#   tests/run.sh [--quick] [--keep-env] [NAME…]
#
# --quick      one build (ASan + UBSan), no coverage, no fuzzers
# --keep-env   the daemons and the directories of failed cases stay; tests/env/down.sh SLOT ends them
# NAME…        only end-to-end scripts tests/e2e/NAME.sh and unit tests whose name holds NAME
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
min_line_coverage=80

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
env_job='' env_failed=''

# shellcheck source=env/env.sh
source "$root/tests/env/env.sh"
# shellcheck source=results.sh
source "$root/tests/results.sh"
# shellcheck source=lanes.sh
source "$root/tests/lanes.sh"

finish() {
    local code=$?
    trap '' INT TERM
    lanes_stop
    if [[ -n $env_job ]] && kill -0 "$env_job" 2>/dev/null; then
        kill -TERM -- "-$env_job" 2>/dev/null || true
        wait "$env_job" 2>/dev/null || true
    fi
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
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

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

# unit_tests PRESET apart|live: those that need nothing, or those with the label docker.
unit_tests() {
    local junit=$work/$1.$2.junit.xml
    local -a filter=(-LE docker)
    [[ $2 == apart ]] || filter=(-L docker)
    ((${#names[@]} == 0)) || filter+=(-R "$(IFS='|' && echo "${names[*]}")")
    RUNNER_TEST_DOCKER=${DOCKER_HOST:-} RUNNER_TEST_IMAGE=busybox:1.36 \
        ctest --test-dir "$root/build/$1" --output-on-failure \
        --timeout 300 -j "$(nproc)" --output-junit "$junit" "${filter[@]}" || true
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

coverage() {
    local -a report=(gcovr --root "$root" "$root/build/coverage" --exclude "$root/tests/"
        --exclude "$root/build/" --print-summary --fail-under-line "$min_line_coverage")
    if "${report[@]}" --output "$root/build/coverage/coverage.txt"; then
        record ok "coverage of $min_line_coverage % of lines"
    else
        cut -c 1-70 "$root/build/coverage/coverage.txt"
        record FAIL "coverage of $min_line_coverage % of lines"
    fi
}

# Each fuzzer for half a minute; soak.sh has them for longer.
fuzzers() {
    local log=$work/fuzz.log state what
    "$root/tests/fuzz.sh" >"$log" 2>&1 || true
    cat "$log"
    grep -q '^ok\|^FAIL' "$log" || record FAIL "fuzzers"
    while read -r state what; do
        record "$state" "$what"
    done < <(grep '^ok\|^FAIL' "$log")
}

# test_build PRESET: builds it, runs the unit tests, then what needs the environment.
test_build() {
    part "build $1" build "$1" || return 0
    find "$root/build/$1" -name '*.gcda' -delete
    part "unit tests $1" unit_tests "$1" apart
    part "waiting for the environment" environment_ready || return 0
    part "unit tests with docker $1" unit_tests "$1" live
    ((${#scripts[@]})) || return 0
    part "end-to-end tests $1" lanes_run "$lanes" "$1" "${scripts[@]}"
}

summing=yes
part "packages" "$RUNNER_TEST_ENV/packages.sh" build test
mapfile -t scripts < <(select_scripts)
lanes=$((${#scripts[@]} < 2 ? 1 : 2))
slot_take
# A process group of its own, so that it can be ended as a whole.
set -m
part "environment" env_up "$lanes" >"$work/env.log" 2>&1 &
env_job=$!
set +m
if [[ -n $keep_env ]]; then
    export RUNNER_TEST_KEEP=yes
fi

if [[ -n $quick ]]; then
    test_build asan
else
    part "build release" build release || true
    test_build asan
    test_build tsan
    test_build coverage
    if ((${#names[@]} == 0)); then
        part "coverage" coverage
        part "fuzzers" fuzzers
    fi
fi
grep '^== ' "$work/env.log" || true
