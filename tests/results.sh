# shellcheck shell=bash
# What run.sh counts: one line "ok NAME" or "FAIL NAME" for each unit test and end-to-end case.

: "${results:?}"

# record ok|FAIL NAME
record() { printf '%s %s\n' "$1" "$2" >>"$results"; }

# results_of_ctest PRESET FILE: from the JUnit file that ctest wrote.
results_of_ctest() {
    local name state
    while read -r name state; do
        if [[ $state == run ]]; then
            record ok "$1 unit $name"
        else
            record FAIL "$1 unit $name ($state)"
        fi
    done < <(sed -n 's/.*<testcase name="\([^"]*\)".* status="\([^"]*\)".*/\1 \2/p' "$2")
}

# results_of_script PRESET SCRIPT STATUS FILE: a script that ends badly without naming a case, or
# that has no case, is a failure of its own.
results_of_script() {
    local line
    while read -r line; do
        record "${line%% *}" "$1 ${line#* }"
    done <"$4"
    if [[ ! -s $4 ]]; then
        record FAIL "$1 $2 (no test ran)"
    elif (($3 != 0)) && ! grep -q '^FAIL ' "$4"; then
        record FAIL "$1 $2 (ended with status $3)"
    fi
}

# The last line of a run; fails if a test did.
results_sum() {
    local passed failed
    passed=$(grep -c '^ok ' "$results" || true)
    failed=$(grep -c '^FAIL ' "$results" || true)
    sed -n 's/^FAIL /failed: /p' "$results"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0 && passed > 0))
}
