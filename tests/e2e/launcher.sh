#!/usr/bin/env bash
# A server and the launcher of its runs that are apart, as in two containers of a pod: what becomes of
# runs when one of them ends. tests/e2e/deploy.sh has them in a real pod.
# shellcheck source=../lib.sh
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../serving.sh
source "$(dirname "$0")/../serving.sh"

# shellcheck disable=SC2034 # for run_tests
needs_daemon=no

# begin_launcher OPTION…: as the first process of a container, with which all that it has begun ends.
begin_launcher() {
    # Not by the launcher: until it has begun, what an earlier one has said would still be there.
    : >launcher.out
    "${case_env[@]}" unshare --pid --fork --kill-child --mount-proc "$RUNNER" server --launcher-listen "$PWD/socket" \
        --workdir "$PWD/runs" --history "$PWD/history" "$@" >launcher.out 2>&1 </dev/null &
    launcher=$!
    wait_for 20 grep -q "starting runs for the server that connects to $PWD/socket" launcher.out
}

# launcher_ended STATUS
launcher_ended() {
    local ended=0
    wait "$launcher" || ended=$?
    assert_eq "$1" "$ended" "the launcher's exit status: $(cat launcher.out)"
}

served() { serve --max-concurrent 9 --launcher-socket "$PWD/socket" "$@"; }

# submit COMMAND: $id is the run.
submit() {
    write p.yaml <<<"{name: p, stages: [{name: s, jobs: [{name: j, steps: [{name: a, command: '$1'}, {name: b, command: echo and on}]}]}]}"
    run "$RUNNER" client --detach -s "$url" p.yaml
    assert_eq 0 "$status" "$stderr"
    id=$stdout
}

counting='i=0; until test -e go; do i=$((i + 1)); echo "line $i."; sleep 0.02; done; echo "last $i."'

log_of() { "${case_env[@]}" "$RUNNER" logs -s "$url" "$1" 2>/dev/null; }
has_lines() { (($(log_of "$1" | grep -c 'line') > $2)); }

test_runs_outlive_the_server() {
    local first before last
    begin_launcher
    served
    submit "$counting"
    first=$id
    for _ in 1 2; do
        wait_for 20 has_lines "$first" 10
        kill_server
        served
        is running "$first" || fail "it does not run any more"
        before=$(log_of "$first" | grep -c line)
        wait_for 20 has_lines "$first" "$before"
        submit "sleep 1000"
        wait_for 20 is running "$id"
    done
    kill_server
    served
    assert_exit 0 "$RUNNER" cancel -s "$url" "$id"
    wait_for 20 is cancelled "$id"
    # It ends while nobody serves it.
    kill_server
    touch "runs/$first/go"
    wait_for 20 test ! -e "runs/$first"
    served
    wait_for 20 is succeeded "$first"
    last=$(log_of "$first" | grep -o 'last [0-9]*' | cut -d ' ' -f 2)
    assert_eq "$(seq "$last" | sed 's/.*/line &./' && printf 'last %s.\nand on' "$last")" \
        "$(log_of "$first" | grep -oE '(line|last) [0-9]*\.|and on')" "output"
    end
    # That goes on without any server, as long as the launcher is not told to end.
    kill -TERM "$(pgrep -P "$launcher")"
    launcher_ended 0
    [[ ! -e socket ]] || fail "the socket is still there"
    assert_eq "cancelled
cancelled
succeeded" "$("${case_env[@]}" "$RUNNER" list --history history --format json | jq -r '.[].status' | sort)"
}

# A pod is deleted: both get the signal.
test_both_are_told_to_end() {
    local first
    begin_launcher --drain 60s
    served --drain 60s --stop-runs
    submit 'until test -e go; do sleep 0.02; done'
    first=$id
    wait_for 20 is running "$first"
    kill -TERM "$(pgrep -P "$launcher")"
    wait_for 20 test ! -e socket
    kill -TERM "$spawned"
    wait_for 20 signal_is_read "$spawned"
    touch "runs/$first/go"
    finish
    assert_eq 0 "$status" "the server's exit status: $stderr"
    launcher_ended 0
    assert_exit 0 "$RUNNER" show --history history "$first"
    assert_contains "$stdout" "succeeded"
    # What does not end is cancelled.
    begin_launcher --drain 60s
    served --drain 1ms --stop-runs
    submit 'sleep 1000'
    wait_for 20 is running "$id"
    kill -TERM "$(pgrep -P "$launcher")" "$spawned"
    finish
    assert_eq 0 "$status" "the server's exit status: $stderr"
    launcher_ended 0
    run "$RUNNER" show --history history --format json "$id"
    assert_eq "cancelled by server: the server ends" "$(jq -r .error <<<"$stdout")"
}

# The server ends, for whoever looks after it to begin it anew; the next launcher may be there later.
test_the_launcher_ends() {
    local how
    for how in TERM KILL; do
        begin_launcher
        served
        submit 'echo begun; sleep 1000'
        wait_for 20 is running "$id"
        wait_for 20 eval '[[ $(log_of "$id") == *begun* ]]'
        if [[ $how == TERM ]]; then
            kill -TERM "$(pgrep -P "$launcher")"
            launcher_ended 0
        else
            kill -KILL "$launcher"
            launcher_ended 137
        fi
        finish
        assert_eq 3 "$status" "the server's exit status"
        assert_contains "$stderr" "the launcher that listened on $PWD/socket has ended: nothing more can be started"
        "${case_env[@]}" "$RUNNER" server --host 127.0.0.1 --port "$port" --workdir "$PWD/runs" --history "$PWD/history" \
            --launcher-socket "$PWD/socket" >"$case_dir/stdout" 2>"$case_dir/stderr" &
        spawned=$!
        wait_for 20 grep -q "no launcher listens on $PWD/socket: start one with .*; it is waited for" "$case_dir/stderr"
        begin_launcher
        wait_for 20 grep -q listening "$case_dir/stderr"
        if [[ $how == TERM ]]; then
            is cancelled "$id" || fail "it was not cancelled"
        else
            wait_for 20 is failed "$id"
            assert_eq lost "$("$RUNNER" show -s "$url" --format json "$id" | jq -r .reason)"
        fi
        submit 'echo begun'
        wait_for 20 is succeeded "$id"
        end
        kill -TERM "$(pgrep -P "$launcher")"
        launcher_ended 0
    done
    # Of what was killed with its keeper.
    assert_exit 0 "$RUNNER" reap
}

test_what_is_not_for_each_other() {
    local first server=("$RUNNER" server --host 127.0.0.1 --port 0)
    begin_launcher
    run "$RUNNER" server --launcher-listen socket --history history
    assert_eq 1 "$status" "exit status"
    assert_eq "runner server: --launcher-listen: another process listens on $PWD/socket already" "$stderr"
    run "${server[@]}" --launcher-socket socket --history other --workdir runs
    assert_eq 1 "$status" "exit status"
    assert_eq "runner server: --launcher-socket: the launcher at $PWD/socket has another history: its $PWD/history is not \
$PWD/other of this server; give both the same --history, in a volume that both have mounted" "$stderr"
    run "${server[@]}" --launcher-socket socket --history history
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "has other directories for runs: its $PWD/runs is not $PWD/history/work of this server"
    # A directory of the same name that is another one, as in a container of its own.
    mkdir elsewhere
    run unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' - elsewhere runs "${server[@]}" \
        --launcher-socket socket --history history --workdir runs
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "has other directories for runs: its $PWD/runs is not $PWD/runs of this server"
    serve --listen "unix://$PWD/http" --launcher-socket "$PWD/socket"
    first=$spawned
    run "${server[@]}" --launcher-socket http --history history
    assert_eq 1 "$status" "exit status"
    assert_eq "runner server: --launcher-socket: what listens on $PWD/http is no launcher" "$stderr"
    # It has a server, which is told to who waits; and that may be told to end.
    spawn "${server[@]}" --launcher-socket socket --history history --workdir runs
    wait_for 20 grep -q "launcher at $PWD/socket does not answer: another server may be connected to it; it is waited for" \
        "$case_dir/stderr"
    kill -TERM "$spawned"
    finish
    assert_eq 0 "$status" "the waiting server's exit status"
    [[ $stderr != *cancelled* ]] || fail "$stderr"
    kill -TERM "$first" "$(pgrep -P "$launcher")"
    wait "$first" || true
    launcher_ended 0
    for word in --launcher-container "--launcher-listen b"; do
        # shellcheck disable=SC2086
        run "${server[@]}" --launcher-socket a $word
        assert_eq 2 "$status" "exit status"
        assert_eq "runner server: --launcher-container, --launcher-socket and --launcher-listen exclude each other" "$stderr"
    done
}

run_tests "$@"
