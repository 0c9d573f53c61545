#!/usr/bin/env bash
# `runner client`: a run on a server, shown here, over connections that break.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no

fakes=$sources/tests/fake
server_pid=

# serve OPTION…: starts a server; $server is its address. Later ones get the port of the first.
serve() {
    # Not by the server: until it has begun, what an earlier one has said would still be there.
    : >../server.log
    "${case_env[@]}" "$RUNNER" server --host 127.0.0.1 --history ../history -p "${port:=$(own_port)}" "$@" \
        >>../server.out 2>../server.log &
    server_pid=$!
    wait_for 20 grep -q 'listening on' ../server.log
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' ../server.log)
    server=ws://127.0.0.1:$port
    trap stop EXIT
}

# stop [SIGNAL]: ends it.
stop() {
    [[ -n $server_pid ]] || return 0
    kill "-${1:-TERM}" "$server_pid"
    wait "$server_pid" || true
    server_pid=
}

# beside COMMAND…: starts what tests/fake/ has; $port is what it prints.
beside() {
    mkfifo ../hold
    exec 7<>../hold
    "$@" <../hold >../port 7>&- &
    wait_for 20 test -s ../port
    port=$(cat ../port)
}

count_to() {
    cat >p.yaml <<YAML
name: counting
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: count, command: "for i in \$(seq 1 $1); do echo \"line \$i.\"; ${2:-:}; done"}
YAML
}

reconnected() { (($(grep -c 'connected again' "$case_dir/stderr") >= $1)); }

counted() { grep -o 'line [0-9]*\.' "$case_dir/stdout"; }

test_a_run_is_shown_as_exec_shows_it() {
    cat >p.yaml <<'YAML'
name: demo
inputs:
  who: {required: true}
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: "echo \"$GREETING $WHO\"; echo bad >&2", environment: {WHO: "{{ inputs.who }}"}}
          - {name: b, command: "printf open"}
YAML
    serve -u user --password word
    local options=(-e GREETING=hello --input who=you p.yaml)
    run "$RUNNER" exec --no-history "${options[@]}"
    assert_eq 0 "$status"
    local shown=$stdout
    assert_exit 0 "$RUNNER" client -s "ws://user:word@127.0.0.1:$port" "${options[@]}"
    assert_eq "$shown" "$stdout"
    assert_contains "$stderr" "[step(1/2): a] bad"
    assert_match "$stderr" 'run [0-9a-z]{22} succeeded'
    assert_exit 0 "$RUNNER" client -s "$server" -u user --password word --progress json "${options[@]}"
    assert_eq "hello you
open" "$(jq -r 'select(.event == "StepLog" and .stream == "stdout").text | rtrimstr("\n")' <<<"$stdout")"
    assert_eq PipelineCompleted "$(jq -r '.event' <<<"$stdout" | tail -n 1)"
    assert_exit 1 "$RUNNER" client -s "$server" -u user --password wrong "${options[@]}"
    assert_eq "runner client: $server wants a user name and a password, or other ones" "$stderr"
    stop
}

test_exit_codes_are_those_of_the_run() {
    serve
    local step='stages: [{name: s, jobs: [{name: j, steps: [{name: x, command: '
    echo "{name: f, $step 'exit 7'}]}]}]}" >p.yaml
    assert_exit 1 "$RUNNER" client -s "$server" -c p.yaml
    assert_match "$stderr" 'run [0-9a-z]{22} failed'
    echo "{name: f, timeout: 1s, $step 'sleep 60'}]}]}]}" >p.yaml
    assert_exit 124 "$RUNNER" client -s "$server" -c p.yaml
    echo "{name: f, stagse: []}" >p.yaml
    assert_exit 2 "$RUNNER" client -s "$server" -c p.yaml
    run "$RUNNER" validate p.yaml
    local expected=$stderr$stdout
    run "$RUNNER" client -s "$server" -c p.yaml
    assert_contains "$stderr" 'p.yaml:1:11: error: unknown key "stagse" in the pipeline; did you mean "stages"?'
    assert_contains "$expected" "$(head -n 3 <<<"$stderr")"
    assert_exit 3 "$RUNNER" client -s ws://127.0.0.1:1 -c p.yaml
    assert_exit 2 "$RUNNER" client -c p.yaml
    assert_eq "runner client: which server? -s ws://HOST:PORT names it" "$stderr"
    count_to 1
    run bash -c "'$RUNNER' client -s '$server' p.yaml >/dev/full"
    assert_eq 1 "$status" "exit status"
    assert_contains "$stderr" "runner client: cannot write to standard output: "
    stop
}

test_a_run_goes_on_without_whoever_submitted_it() {
    count_to 20 'sleep 0.05'
    serve
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    local id=$stdout
    assert_match "$id" '^[0-9a-z]{22}$'
    assert_exit 0 "$RUNNER" client -s "$server" --follow "$id"
    assert_eq "$(seq -f 'line %g.' 20)" "$(counted)"
    assert_exit 0 "$RUNNER" client -s "$server" --follow "$id"
    assert_eq "$(seq -f 'line %g.' 20)" "$(counted)"
    assert_exit 1 "$RUNNER" client -s "$server" --follow 01nosuchrun
    assert_contains "$stderr" 01nosuchrun
    stop
}

test_a_file_that_is_too_large_for_the_server() {
    serve --max-body 100k
    count_to 1
    head -c 400000 /dev/zero | tr '\0' '#' >>p.yaml
    assert_exit 1 "$RUNNER" client -s "$server" p.yaml
    assert_eq "runner client: $server takes nothing as large as this pipeline: a message may have 270336 bytes; see --max-body" \
        "$stderr"
    stop
}

# certificate NAME: one that has signed itself, for this address.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$1.key" -out "$1.pem" \
        -days 2 -subj "/CN=$1" -addext subjectAltName=IP:127.0.0.1 2>/dev/null
}

test_a_server_with_tls() {
    certificate own
    certificate other
    serve --tls-cert own.pem --tls-key own.key --username alice --password right-one
    server=wss://alice:right-one@127.0.0.1:$port
    count_to 20
    assert_exit 0 "$RUNNER" client -s "$server?ca=$PWD/own.pem" p.yaml
    assert_eq "$(seq -f 'line %g.' 1 20)" "$(counted)"
    assert_exit 0 "$RUNNER" list -s "$server?ca=$PWD/own.pem"
    assert_contains "$stdout" counting
    for ca in "?ca=$PWD/other.pem" ""; do
        assert_exit 3 "$RUNNER" client -s "$server$ca" p.yaml
        assert_contains "$stderr" "runner client: cannot connect to wss://127.0.0.1:$port: SSL certificate problem: "
        assert_eq 1 "$(wc -l <../stderr)" "lines of: $stderr"
    done
    assert_exit 3 "$RUNNER" client -s "$server?ca=$PWD/none.pem" p.yaml
    assert_contains "$stderr" "$PWD/none.pem"
    stop
}

test_signals_are_for_the_run() {
    count_to 10000 'sleep 0.05'
    serve
    spawn "$RUNNER" client -s "$server" p.yaml
    wait_for 20 grep -q 'line 3' "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_match "$stderr" 'run [0-9a-z]{22} cancelled'
    spawn "$RUNNER" client -s "$server" p.yaml
    wait_for 20 grep -q 'line 3' "$case_dir/stdout"
    kill -TERM "$spawned"
    finish
    assert_eq 143 "$status"
    stop
}

# Without that it would last longer than the test may.
test_the_second_signal_hurries() {
    cat >p.yaml <<'YAML'
name: stubborn
stages: [{name: s, jobs: [{name: j, steps: [{name: x, grace: 5m, command: "trap '' TERM; echo up; sleep 1000; sleep 1000"}]}]}]
YAML
    serve
    spawn "$RUNNER" client -s "$server" p.yaml
    wait_for 20 grep -q up "$case_dir/stdout"
    kill -INT "$spawned"
    interrupt_again
    finish
    assert_eq 130 "$status"
    stop
}

test_a_server_that_is_killed_is_come_back_to() {
    count_to 40 'sleep 0.05'
    serve
    spawn "$RUNNER" client -s "$server" p.yaml
    wait_for 20 grep -q 'line 5\.' "$case_dir/stdout"
    stop KILL
    serve
    finish
    assert_eq 0 "$status"
    assert_eq "$(seq -f 'line %g.' 40)" "$(counted)"
    assert_contains "$stderr" "trying again in"
    assert_contains "$stderr" "runner: connected again"
    stop
    # What the first one had for its runs ends behind them.
    assert_no_leftovers 10
}

# Neither what runs nor what waits needs the server that it was submitted to for that.
test_what_its_client_has_left_ends_with_the_next_server() {
    count_to 10000 'sleep 0.05'
    serve --max-concurrent 2
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    local detached=$stdout id
    "$RUNNER" client -s "$server" p.yaml >running 2>&1 &
    local first=$!
    wait_for 20 grep -q 'line 1\.' running
    "$RUNNER" client -s "$server" p.yaml >waiting 2>&1 &
    local second=$!
    api() { curl -sS "http://127.0.0.1:$port/api/v1/$1"; }
    total() { (($(api "$1" | jq .total) == $2)); }
    wait_for 20 total queue 3
    kill -KILL "$first" "$second" "$server_pid"
    wait "$first" "$second" "$server_pid" || true
    # What waits finds no place when the other one has gone.
    serve --max-concurrent 1 --client-grace 100ms
    wait_for 20 total 'pipelines?status=cancelled' 2
    assert_eq "cancelled by server before it had begun: its client has gone
cancelled by server: its client has gone" "$(api 'pipelines?status=cancelled' | jq -r '.data[].error')"
    assert_exit 0 "$RUNNER" cancel -s "$server" "$detached"
    assert_eq "run $detached cancelled" "$stdout"
    stop
    assert_no_leftovers 10
}

test_connections_that_break_lose_nothing() {
    count_to 30000
    serve
    touch cut
    beside python3 "$fakes/cutting_proxy.py" 127.0.0.1 "$port"
    spawn "$RUNNER" client -s "ws://127.0.0.1:$port" p.yaml
    wait_for 40 reconnected 3
    rm cut
    finish
    exec 7>&-
    assert_eq 0 "$status"
    assert_eq "$(seq -f 'line %g.' 30000 | sha256sum)" "$(counted | sha256sum)"
    stop
}

# On a terminal, ^C may only mean that one has seen enough.
test_it_asks_on_a_terminal() {
    count_to 10000 'sleep 0.05'
    serve
    cat >drive.py <<'PY'
import os
import pty
import sys

steps = [("line 3.", "\x03"), ("cancel the run?", "n\n"), ("the run goes on", "\x03")]
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown, at = b"", 0
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    shown += data
    if steps and (found := shown.find(steps[0][0].encode(), at)) >= 0:
        at = found
        os.write(fd, steps.pop(0)[1].encode())
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
    assert_exit 130 python3 drive.py "$RUNNER" client -s "$server" --progress plain p.yaml
    assert_contains "$stdout" "cancel the run? y and Enter, or ^C again, cancel it; any other line lets it go on"
    assert_contains "$stdout" "the run goes on; ^C cancels it"
    assert_match "$stdout" 'run [0-9a-z]{22} .*cancelled'
    stop
}

test_commands_on_runs_ask_a_server() {
    count_to 3
    serve -u user --password word
    server=ws://user:word@127.0.0.1:$port
    assert_exit 0 "$RUNNER" list -s "$server"
    assert_eq "no such run is recorded in ws://127.0.0.1:$port" "$stdout"
    assert_exit 1 "$RUNNER" show -s "$server" latest
    assert_eq "runner show: ws://127.0.0.1:$port has no runs" "$stderr"
    assert_exit 0 "$RUNNER" client -s "$server" p.yaml
    assert_exit 0 "$RUNNER" list -s "$server" --history nowhere
    assert_match "$stdout" '[0-9a-z]{22}  succeeded  20[0-9:TZ-]+ +[0-9.]+s  counting'
    local shown=$stdout id
    assert_exit 0 "$RUNNER" list --history ../history
    assert_eq "$stdout" "$shown" "what is listed there and here"
    assert_exit 0 "$RUNNER" list -s "$server" --format json --search COUNT --status succeeded --since 1h
    id=$(jq -r '.[0].id' <<<"$stdout")
    assert_exit 0 "$RUNNER" list --history ../history --format json
    assert_eq "$id" "$(jq -r '.[0].id' <<<"$stdout")"
    assert_exit 0 "$RUNNER" list -s "$server" --format json --status failed
    assert_eq "[]" "$stdout"
    for format in text json yaml; do
        assert_exit 0 "$RUNNER" show -s "$server" --format "$format" "${id:0:20}"
        shown=$stdout
        assert_exit 0 "$RUNNER" show --history ../history --format "$format" "$id"
        assert_eq "$stdout" "$shown" "$format there and here"
    done
    assert_exit 1 "$RUNNER" show -s "$server" 01nosuch
    assert_eq "runner show: ws://127.0.0.1:$port has no run 01nosuch" "$stderr"
    assert_exit 1 "$RUNNER" cancel -s "$server" latest
    assert_eq "runner cancel: run $id has ended already: succeeded" "$stderr"
    count_to 10000 'sleep 0.05'
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    id=$stdout
    assert_exit 0 "$RUNNER" cancel -s "$server" --reason "enough of it" "$id"
    assert_eq "run $id cancelled" "$stdout"
    assert_exit 0 "$RUNNER" list -s "$server" -n 1
    assert_contains "$stdout" "enough of it"
    assert_contains "$stdout" "1 of 2; --limit and --offset show the others"
    assert_exit 1 "$RUNNER" list -s "ws://127.0.0.1:$port"
    assert_exit 3 "$RUNNER" list -s ws://127.0.0.1:1
    stop
}

test_logs_of_a_server_are_those_here() {
    cat >p.yaml <<'YAML'
name: demo
stages:
  - name: s
    jobs:
      - name: j
        steps:
          - {name: a, command: "echo one; echo two >&2; printf 'thr'; sleep 0.3; echo ee"}
          - {name: b, command: "for i in $(seq 1 12000); do echo line $i.; done"}
YAML
    serve
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    local id=$stdout shown options
    assert_exit 0 "$RUNNER" logs -s "$server" -f "$id"
    assert_eq 12000 "$(counted | wc -l)" "lines that were followed"
    for options in "" "--timestamps" "--tail 7" "a" "0.0.1 --tail 3"; do
        # shellcheck disable=SC2086
        assert_exit 0 "$RUNNER" logs -s "$server" $id $options
        shown=$stdout$stderr
        # shellcheck disable=SC2086
        assert_exit 0 "$RUNNER" logs --history ../history $id $options
        assert_eq "$stdout$stderr" "$shown" "there and here, with $options"
    done
    assert_exit 1 "$RUNNER" logs -s "$server" "$id" nowhere
    assert_contains "$stderr" 'has no step "nowhere"'
    assert_exit 0 "$RUNNER" delete -s "$server" "${id:0:20}"
    assert_eq "deleted run $id" "$stdout"
    assert_exit 1 "$RUNNER" delete -s "$server" "$id"
    count_to 10000 'sleep 0.05'
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    id=$stdout
    assert_exit 1 "$RUNNER" delete -s "$server" "$id"
    assert_contains "$stderr" "has not ended"
    assert_exit 0 "$RUNNER" cancel -s "$server" "$id"
    stop
}

# Servers that do not speak runner.v2: what they call done is no verdict.
classic() {
    beside python3 "$fakes/classic_server.py" "$1"
    server=ws://user:word@127.0.0.1:$port
    count_to 1
}

test_a_classic_server_is_followed_by_rest() {
    classic succeeded
    assert_exit 0 "$RUNNER" client -s "$server" p.yaml
    assert_eq "line 1
line 2
line 4
line 5" "$stdout"
    assert_eq "line 3" "$stderr"
    touch hidden
    assert_exit 3 "$RUNNER" client -s "$server" p.yaml
    assert_contains "$stderr" "the run is queued, and how it ends is not known: ws://127.0.0.1:$port has queued"
    rm hidden
    assert_exit 0 "$RUNNER" client -s "$server" -d p.yaml
    assert_eq run-3 "$stdout"
    echo "refuse" >p.yaml
    assert_exit 1 "$RUNNER" client -s "$server" p.yaml
    assert_eq "runner client: failed to decode run action" "$stderr"
    assert_exit 1 "$RUNNER" client -s "$server" --priority 3 p.yaml
    assert_contains "$stderr" "does not speak runner.v2: it takes a file, and nothing beside it"
    exec 7>&-
}

test_a_classic_server_fails_a_run() {
    classic failed
    assert_exit 1 "$RUNNER" client -s "$server" p.yaml
    assert_eq "line 3
runner client: step x failed: exit status 7" "$stderr"
    exec 7>&-
}

test_a_run_of_a_classic_server_is_cancelled() {
    classic running
    spawn "$RUNNER" client -s "$server" p.yaml
    wait_for 20 grep -q 'line 5' "$case_dir/stdout"
    kill -INT "$spawned"
    finish
    assert_eq 130 "$status"
    assert_contains "$stderr" "cancelled by user"
    exec 7>&-
}

run_tests "$@"
