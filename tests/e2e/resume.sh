#!/usr/bin/env bash
# Runs that go on when the `exec` that shows them is killed, and are shown again.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no

export RUNNER_HISTORY=../history

# A run that writes, and waits for the file `go` in between.
pipeline() {
    cat >p.yaml <<YAML
name: long
stages:
- name: s
  jobs:
  - name: j
    steps:
    - {name: first, command: "echo one; echo two >&2"}
    - {name: gate, command: "echo waiting; until [ -e $PWD/go ]; do sleep 0.05; done; echo passed"}
    - {name: last, command: "echo end; exit ${1:-0}"}
YAML
}

shows() { grep -q "$1" "$case_dir/stdout"; }
newest() { "${case_env[@]}" "$RUNNER" list --limit 1 --format json | jq -r ".[0].$1"; }

begin() {
    spawn "$RUNNER" exec --resumable p.yaml
    wait_for 20 shows waiting
}

test_it_is_shown_as_any_other() {
    pipeline 7
    touch go
    run "$RUNNER" exec --no-history p.yaml
    local other=$stdout
    assert_eq 1 "$status"
    run "$RUNNER" exec --resumable --report json=report.json p.yaml
    assert_eq 1 "$status"
    assert_eq "$other" "$stdout"
    assert_match "$stderr" 'cause: exit code 7'
    assert_eq failed/error "$(state_of last)" "what the report says"
    assert_no_leftovers
}

test_it_outlives_who_shows_it() {
    pipeline 7
    begin
    kill -KILL "$spawned"
    finish
    assert_eq 137 "$status"
    assert_eq running "$(newest status)"
    spawn "$RUNNER" exec --resume latest
    wait_for 20 shows waiting
    touch go
    finish
    assert_eq 1 "$status"
    assert_eq "one waiting passed end" "$(sed 's/.*] //' <<<"$stdout" | tr '\n' ' ' | sed 's/ $//')"
    assert_match "$stderr" 'two'
    assert_match "$stderr" "run $(newest id) failed"
    # All of it once more when it is over, and the same status.
    local shown=$stdout
    run "$RUNNER" exec --resume "$(newest id)"
    assert_eq 1 "$status"
    assert_eq "$shown" "$stdout"
    assert_no_leftovers 10
}

test_an_interrupt_is_for_the_run() {
    pipeline
    begin
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_eq cancelled "$(newest status)"
    assert_no_leftovers
    # Of one that was resumed, too; whom another process asks, ends as by SIGTERM.
    begin
    local first=$spawned
    kill -KILL "$first"
    finish
    spawn "$RUNNER" exec --resume latest
    wait_for 20 shows waiting
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
    assert_eq cancelled "$(newest status)"
    assert_no_leftovers 10
}

test_a_second_interrupt_hurries() {
    cat >p.yaml <<YAML
name: stubborn
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "trap '' TERM INT; echo waiting; while :; do sleep 1; done"}]}]}]
YAML
    begin
    kill -INT "$spawned"
    interrupt_again
    finish
    assert_eq 130 "$status"
    assert_no_leftovers
}

# However early it comes.
test_an_interrupt_at_the_beginning() {
    local i
    pipeline
    for i in {1..10}; do
        spawn "$RUNNER" exec --resumable p.yaml
        wait_for 20 minds_interrupts "$spawned"
        sleep "0.00$i"
        kill -INT "$spawned"
        finish
        [[ $status == 130 ]] || fail "status $status"
        assert_no_leftovers 10
    done
    assert_eq "" "$("${case_env[@]}" "$RUNNER" list --status running --format json | jq -r '.[].id')"
}

# Who is in a hurry gets the end of the run, and not a reader that does not read.
test_nobody_reads() {
    cat >p.yaml <<YAML
name: flood
stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: "yes | head -c 40000000; echo waiting >$PWD/written; sleep 1000"}]}]}]
YAML
    mkfifo pipe
    sleep 1000 <pipe &
    local reader=$!
    # shellcheck disable=SC2016
    spawn sh -c 'exec "$@" >pipe' sh /usr/bin/time -f %M -o "$PWD/peak" "$RUNNER" exec --resumable --progress plain p.yaml
    wait_for 60 test -e written
    local front
    front=$(pgrep -P "$spawned")
    kill -INT "$front"
    wait_for 20 signal_is_read "$front"
    kill -INT "$front"
    finish
    kill "$reader"
    assert_eq 130 "$status"
    (($(tail -n 1 peak) < 800000)) || fail "it took $(<peak) KiB"
    assert_no_leftovers 20
}

# What whoever began it holds ends with them.
test_no_descriptor_stays() {
    pipeline
    exec 9>lock
    flock 9
    begin
    kill -KILL "$spawned"
    finish
    exec 9>&-
    flock --nonblock lock true || fail "the run holds the lock"
    touch go
    run "$RUNNER" exec --resume latest
    assert_eq 0 "$status"
    assert_no_leftovers 10
}

test_a_terminal_that_goes() {
    pipeline
    begin
    kill -HUP "$spawned"
    finish
    assert_eq 129 "$status"
    assert_match "$stderr" "run $(newest id) goes on; runner exec --resume $(newest id) shows it"
    assert_eq running "$(newest status)"
    touch go
    run "$RUNNER" exec --resume latest
    assert_eq 0 "$status"
    assert_no_leftovers 10
}

test_a_run_that_is_lost() {
    pipeline
    begin
    kill -KILL "$(jq -r 'select(.event == "RunBegan") | .owner | split("/")[2]' <"../history/runs/$(newest id)/events")"
    finish
    assert_eq 1 "$status"
    assert_match "$stderr" "run $(newest id) is lost: its process was killed"
    assert_eq failed "$(newest status)"
    assert_no_leftovers 20
}

test_what_cannot_be_resumed() {
    pipeline
    run "$RUNNER" exec --resume nothing
    assert_eq 1 "$status"
    assert_match "$stderr" 'nothing'
    run "$RUNNER" exec --resume latest p.yaml
    assert_eq 2 "$status"
    assert_match "$stderr" 'neither a file nor --resumable'
    run "$RUNNER" exec --resumable --no-history p.yaml
    assert_eq 2 "$status"
    assert_match "$stderr" 'leave out --no-history'
    mkdir open
    chmod 0777 open
    run "$RUNNER" exec --resumable --history open p.yaml
    assert_eq 1 "$status"
    assert_match "$stderr" 'the run cannot be recorded: open can be written by others'
    assert_no_leftovers
}

run_tests "$@"
