#!/usr/bin/env bash
# Who shows or serves a run is killed while the run is in a pod: it goes on, nothing of its log is lost or
# there twice, and who comes next has it.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../kube.sh
source "$(dirname "$0")/../kube.sh"
# shellcheck source=../serving.sh
source "$(dirname "$0")/../serving.sh"

# shellcheck disable=SC2034 # for run_tests
needs_cluster=shared
# shellcheck disable=SC2034
declare -A case_timeout=([test_its_server_is_killed]=120 [test_who_shows_it_is_killed]=120
    [test_it_is_cancelled_by_the_next_server]=120)

# A job that prints numbered lines until it is told that it is enough, and has one more step.
counting() {
    job <<'YAML'
steps:
- name: count
  command: 'i=0; until test -e enough; do i=$((i + 1)); echo "line $i."; sleep 0.02; done; echo "last $i."'
- {name: next, command: echo and on}
YAML
}

enough() { kube exec "$(kube get pods -l dev.runner.run -o name)" -c step-1 -- touch "$1/enough"; }

# assert_counted TEXT: every line once and in order, and what comes behind them.
assert_counted() {
    local last
    last=$(grep -o 'last [0-9]*' <<<"$1" | cut -d ' ' -f 2)
    [[ -n $last ]] || fail "the step was not seen to end: $(tail -n 5 <<<"$1")"
    assert_eq "$(seq "$last" | sed 's/.*/line &./' && printf 'last %s.\nand on' "$last")" \
        "$(grep -oE '(line|last) [0-9]*\.|and on' <<<"$1")" "output"
}

log_of() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1" 2>/dev/null; }
has_lines() { (($(log_of "$1" | grep -c 'line') > $2)); }

submit() {
    run "$RUNNER" client --detach -s "$url" p.yaml
    assert_eq 0 "$status"
    id=$stdout
    wait_for 60 has_lines "$id" 20
}

test_its_server_is_killed() {
    local before
    namespace_take
    counting
    serve "${cluster[@]}"
    submit
    for _ in 1 2 3; do
        kill_server
        serve "${cluster[@]}"
        wait_for 20 is running "$id"
        before=$(log_of "$id" | grep -c line)
        wait_for 60 has_lines "$id" "$before"
    done
    kill_server
    # It ends while nobody serves it.
    enough "$PWD/runs/$id"
    wait_for 60 all_is_going
    serve "${cluster[@]}"
    wait_for 60 is succeeded "$id"
    assert_counted "$(log_of "$id")"
    end
    assert_no_leftovers 10
    assert_eq "" "$(objects)" "what is left in the cluster"
}

test_it_is_cancelled_by_the_next_server() {
    namespace_take
    counting
    serve "${cluster[@]}"
    submit
    kill_server
    serve "${cluster[@]}"
    assert_exit 0 "$RUNNER" cancel -s "$url" "$id"
    wait_for 60 is cancelled "$id"
    end
    assert_no_leftovers 10
    assert_eq "" "$(objects)" "what is left in the cluster"
}

test_who_shows_it_is_killed() {
    export RUNNER_HISTORY=../history
    namespace_take
    counting
    spawn "$RUNNER" exec "${cluster[@]}" --resumable --no-color p.yaml
    wait_for 60 output_has 'line 20'
    kill -KILL "$spawned"
    finish
    spawn "$RUNNER" exec --resume latest --no-color
    wait_for 60 output_has 'line 40'
    enough "$PWD"
    finish
    assert_eq 0 "$status" "exit status"
    assert_counted "$stdout"
    assert_no_leftovers 10
    assert_eq "" "$(objects)" "what is left in the cluster"
}

run_tests "$@"
