#!/usr/bin/env bash
# Order and conditions. The table of docs/flow.md is run cell by cell.
source "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2034 # for lanes.sh
needs_daemon=no

root=$(cd "$(dirname "$0")/.." && pwd)/..
declare -A case_timeout=([test_table]=240)

# How a job "up" is made to end in a way. A sibling that fails cancels it.
declare -A up_keys=(
    [succeeded]='steps: [{name: s, command: "true"}]'
    [failed]='steps: [{name: s, command: "false"}]'
    ['allowed failure']='allow_failure: true, steps: [{name: s, command: "false"}]'
    [skipped]='if: "false", steps: [{name: s, command: "true"}]'
    [cancelled]='steps: [{name: s, command: "touch up; sleep 60"}]'
    ['timed out']='timeout: 100ms, steps: [{name: s, command: "sleep 60"}]'
)
declare -A down_keys=(
    [succeeded]='depends_on: [up]'
    [failed]='depends_on: {job: up, condition: failed}'
    [completed]='depends_on: {job: up, condition: completed}'
    ['if: success()']='depends_on: up, if: success()'
    ['if: failure()']='depends_on: up, if: failure()'
    ['if: always()']='depends_on: up, if: always()'
    ['if: cancelled()']='depends_on: up, if: cancelled()'
)

# cell UP COLUMN: what the runner makes of it, in the words of the table.
cell() {
    local up=$1 column=$2 down='' killer='' post='' finally='' states
    [[ $up != cancelled ]] ||
        killer=', {name: killer, steps: [{name: k, command: "until test -e up; do sleep 0.01; done; exit 1"}]}'
    [[ -z ${down_keys[$column]:-} ]] ||
        down=", {name: down, ${down_keys[$column]}, steps: [{name: d, command: \"true\"}]}"
    [[ $column != finally ]] ||
        finally='finally: [{name: last, jobs: [{name: down, steps: [{name: d, command: "true"}]}]}]'
    [[ $column != post ]] ||
        post=', post: {success: echo success, failure: echo failure, cancelled: echo cancelled}'
    rm -f up
    write p.yaml <<<"{name: p, $finally${finally:+,} stages: [{name: s, jobs: [{name: up, ${up_keys[$up]}$post}$down$killer]}]}"
    exec_report p.yaml
    if [[ $column == post ]]; then
        states=$(sed -n 's/.*step([0-9/]*): post\] \([a-z]*\)$/\1/p' <<<"$stdout")
        echo "${states:-none}"
        return
    fi
    case $(state_of down) in
    succeeded) echo runs ;;
    skipped) echo skipped ;;
    skipped/dependency) echo dependency ;;
    *) state_of down ;;
    esac
}

test_table() {
    local -a columns
    local line up at=0 cells=0 wrong=''
    while IFS= read -r line; do
        [[ $line == '|'* ]] || continue
        line=${line//\`/}
        IFS='|' read -r -a fields <<<"$line"
        fields=("${fields[@]:1}")
        for at in "${!fields[@]}"; do
            fields[at]=$(sed 's/^ *//; s/ *$//' <<<"${fields[at]}")
        done
        if [[ ${fields[0]} == up ]]; then
            columns=("${fields[@]}")
            continue
        fi
        [[ ${fields[0]} != ---* ]] || continue
        up=${fields[0]}
        for at in "${!columns[@]}"; do
            ((at > 0)) || continue
            local got
            got=$(cell "$up" "${columns[at]}")
            cells=$((cells + 1))
            [[ $got == "${fields[at]}" ]] ||
                wrong+="$up, ${columns[at]}: the table says ${fields[at]}, it is $got"$'\n'
        done
    done < <(sed -n '/^## The table/,$p' "$root/docs/flow.md")
    assert_eq '' "$wrong" "differences"
    assert_eq 54 "$cells" "number of cells"
}

run_tests "$@"
