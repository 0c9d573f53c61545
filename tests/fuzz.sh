#!/usr/bin/env bash
# Builds the fuzzers and runs each of them, one on each core at a time.
#
#   tests/fuzz.sh [--seconds N] [NAME…]     30 s each; NAME as in tests/fuzz/fuzz_NAME.c
#
# What they have found out stays in ~/.cache/runner-tests/fuzz and is where they go on from. Prints a
# line for each; one that finds something fails, and prints it.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/fuzz
seconds=30
names=()
while (($#)); do
    case $1 in
    --seconds)
        seconds=$2
        shift
        ;;
    -*)
        sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"
        exit 2
        ;;
    *) names+=("$1") ;;
    esac
    shift
done

compile() {
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang -DRUNNER_FUZZ=ON \
        -DRUNNER_TESTS=OFF && cmake --build "$build"
}

# show_finding LOG: what a fuzzer says from its error on, and the input itself.
show_finding() {
    local input
    sed -n '/^==[0-9]*==/,$p' "$1" | grep -v '^stat::' | head -n 40
    input=$(sed -n 's/.*Test unit written to //p' "$1")
    if [[ -f $input ]]; then
        echo "the input, in base64:"
        base64 "$input"
    fi
}

# fuzz NAME: its result on standard output, what it found as well.
fuzz() {
    local program=$build/tests/fuzz_$1 corpus log status=0
    corpus=${XDG_CACHE_HOME:-$HOME/.cache}/runner-tests/fuzz/fuzz_$1
    mkdir -p "$corpus"
    log=$(mktemp)
    "$program" -max_total_time="$seconds" -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$corpus/" "$corpus" >"$log" 2>&1 || status=$?
    if ((status == 0)); then
        printf 'ok   fuzz/%s: %s inputs in %s s\n' "$1" \
            "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" "$seconds"
    else
        printf 'FAIL fuzz/%s\n' "$1"
        show_finding "$log"
    fi
    rm -f "$log"
    return "$status"
}

if ! log=$(compile 2>&1); then
    tail -n 40 <<<"$log"
    exit 1
fi
if ((${#names[@]} == 0)); then
    for program in "$build"/tests/fuzz_*; do
        names+=("${program##*/fuzz_}")
    done
fi
failed=
running=0
for name in "${names[@]}"; do
    if ((running >= $(nproc))); then
        wait -n || failed=yes
        running=$((running - 1))
    fi
    fuzz "$name" &
    running=$((running + 1))
done
while ((running > 0)); do
    wait -n || failed=yes
    running=$((running - 1))
done
[[ -z $failed ]]
