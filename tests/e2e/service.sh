#!/usr/bin/env bash
# A server that comes and goes: what becomes of its runs, and the files that install it.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no
# shellcheck disable=SC2034 # for run_tests
declare -A case_timeout=([test_kills_at_any_moment]=300)

serve_by=()
root=$(cd "$(dirname "$0")/../.." && pwd)

# serve OPTION…: a server on a port of its own; $url is where.
serve() {
    spawn "${serve_by[@]}" "$RUNNER" server --host 127.0.0.1 --port 0 --history history --workdir work "$@"
    wait_for 20 grep -q listening "$case_dir/stderr"
    url=$(sed -n 's/.*listening on //p' "$case_dir/stderr")
}

# api METHOD PATH [JSON]
api() { curl -sS -X "$1" ${3:+-H "Content-Type: application/json" -d "$3"} "$url/api/v1/$2"; }

# submit COMMAND: prints the run's id.
submit() {
    api POST pipelines/run "$(jq -n --arg command "$1" \
        '{detach: true, config: ({name: "p", stages: [{name: "s", jobs: [{name: "j", steps: [{name: "t", command: $command}]}]}]} | tojson)}')" |
        jq -r .id
}

# is STATUS RUN
is() { [[ $(api GET "pipelines/$2" | jq -r .status) == "$1" ]]; }

end() {
    kill -TERM "$spawned"
    finish
    assert_eq 0 "$status" "the server's exit status"
}

test_runs_go_on_without_it() {
    serve
    local run
    run=$(submit "until [ -e $PWD/go ]; do sleep 0.05; done; echo passed")
    wait_for 20 is running "$run"
    end
    touch go
    serve
    wait_for 20 is succeeded "$run"
    assert_eq passed "$(api GET "pipelines/$run/logs?type=stdout" | jq -r '.data[].message')"
    end
    assert_no_leftovers 10
}

is_unready() { [[ $(curl -sS -o /dev/null -w '%{http_code}' "$url/readyz") == 503 ]]; }

test_it_waits_for_them() {
    serve --drain 60s
    local run
    run=$(submit "until [ -e $PWD/go ]; do sleep 0.05; done")
    wait_for 20 is running "$run"
    kill -TERM "$spawned"
    wait_for 20 is_unready
    touch go
    finish
    assert_eq 0 "$status"
    serve
    is succeeded "$run" || fail "it was not waited for"
    end
    assert_no_leftovers 10
}

test_it_cancels_them() {
    serve --drain 1ms --stop-runs --max-concurrent 1
    local first second
    first=$(submit "sleep 1000")
    wait_for 20 is running "$first"
    second=$(submit "until [ -e $PWD/go ]; do sleep 0.05; done")
    end
    assert_no_leftovers
    touch go
    serve
    is cancelled "$first" || fail "it was not cancelled"
    assert_eq "cancelled by server: the server ends" "$(api GET "pipelines/$first" | jq -r .error)"
    wait_for 20 is succeeded "$second"
    end
    assert_no_leftovers 10
}

# With what was asked of it, before it came to begin that. Whoever looks after the server sees an end.
test_nobody_starts_runs_any_more() {
    serve --drain 60s --stop-runs
    local first second launcher
    first=$(submit "sleep 1000")
    wait_for 20 is running "$first"
    launcher=$(pgrep -P "$spawned")
    kill -STOP "$launcher"
    second=$(submit "echo passed")
    kill -KILL "$launcher"
    wait_for 20 grep -q "has died" "$case_dir/stderr"
    assert_exit 0 "$RUNNER" cancel --history history "$first"
    finish
    assert_eq 3 "$status" "the server's exit status"
    assert_contains "$stderr" "the process that starts runs has died: nothing more can be started"
    serve
    wait_for 20 is succeeded "$second"
    is cancelled "$first" || fail "it was not waited for"
    end
    assert_no_leftovers 10
}

# Two hours forward while a run goes on and others wait, and three hours back.
test_the_clock_is_set() {
    local runs=() run runtime
    cc -shared -fPIC -o clock.so "$root/tests/fake/wall_clock.c"
    echo 0 >offset
    runtime=$(ldd "$RUNNER" | awk '/lib[at]san/ {print $3}')
    serve_by=(env "LD_PRELOAD=${runtime:+$runtime:}$PWD/clock.so" "WALL_CLOCK_OFFSET=$PWD/offset")
    serve --max-concurrent 1 --history-age 1h --client-grace 1h
    runs+=("$(submit "until [ -e $PWD/go ]; do sleep 0.05; done")")
    wait_for 20 is running "${runs[0]}"
    for offset in 0 7200 -3600 -3600; do
        echo "$offset" >offset
        runs+=("$(submit "echo ${#runs[@]} >>$PWD/order")")
    done
    assert_eq "${runs[*]}" "$(api GET queue | jq -r '[.data[].id] | join(" ")')" "the queue"
    assert_eq true "$(api GET "pipelines/${runs[2]}" | jq '(.submitted_at | sub("[.].*"; "Z") | fromdate) > now + 7000')" "it was set"
    # The next one finds it set back.
    end
    serve --max-concurrent 1 --history-age 1h
    assert_eq "${runs[*]}" "$(api GET queue | jq -r '[.data[].id] | join(" ")')" "the queue of the next server"
    echo -7200 >offset
    touch go
    for run in "${runs[@]}"; do
        wait_for 20 is succeeded "$run"
    done
    assert_eq "1 2 3 4" "$(paste -sd ' ' order)"
    assert_eq "[]" "$(api GET pipelines | jq -c '[.data[] | select(.duration_ms > 1800000 or .started_at > .ended_at)]')" "durations"
    echo 7200 >offset
    wait_for 20 grep -q "the clock was set forward: no old run is removed for an hour" "$case_dir/stderr"
    run "$RUNNER" list --history history --format json
    assert_eq 5 "$(jq length <<<"$stdout")" "runs that are listed"
    end
    assert_no_leftovers 10
}

# More than what `exec` keeps of one, which cannot be compressed.
test_all_of_a_log_is_kept() {
    local run
    head -c 12M /dev/urandom >data
    serve
    run=$(submit "base64 $PWD/data")
    wait_for 60 is succeeded "$run"
    assert_eq "$(base64 data | sha256sum)" "$("${case_env[@]}" "$RUNNER" logs --history history "$run" t | sha256sum)"
    end
    assert_no_leftovers 10
}

# As in a container without an init.
test_it_is_the_first_process() {
    serve_by=(unshare --pid --fork --kill-child --mount-proc)
    serve
    local run pid first
    first=$(pgrep -P "$spawned")
    run=$(submit "sleep 1000")
    wait_for 20 is running "$run"
    for pid in $(case_processes); do
        ! grep -qx runner-run "/proc/$pid/comm" 2>/dev/null || kill -KILL "$pid"
    done
    wait_for 20 is failed "$run"
    wait_for 20 eval '[[ $(case_processes | wc -l) == 3 ]]' # unshare, server, launcher
    wait_for 20 eval '! ps --no-headers --ppid "$first" -o state= | grep "^Z"' # no zombie stays
    kill -TERM "$first"
    finish
    assert_no_leftovers
}

# tests/soak.sh does it more often.
test_kills_at_any_moment() {
    run "$root/tests/server_kills.py" "$RUNNER" 6
    [[ $status == 0 ]] || fail "$stdout"
}

test_the_unit_of_systemd() {
    local words
    sed "s|/usr/local/bin/runner|$RUNNER|" "$root/deploy/systemd/runner.service" >runner.service
    run systemd-analyze verify --man=no ./runner.service
    assert_eq 0 "$status"
    assert_eq "" "$stderr"
    words=$(sed -n 's|^ExecStart=/usr/local/bin/runner ||p' "$root/deploy/systemd/runner.service")
    # shellcheck disable=SC2086
    run "$RUNNER" ${words//%S/$PWD} --port 99999
    assert_eq 2 "$status" "all else is understood"
    assert_contains "$stderr" "--port is at most 65535"
}

test_the_sidecar() {
    PASSWORD=x run "$RUNNER" compose config -f "$root/deploy/sidecar/server.yaml"
    assert_eq 0 "$status"
    run "$RUNNER" compose config -f "$root/deploy/sidecar/server.yaml"
    assert_eq 2 "$status"
    assert_contains "$stderr" "the password that clients and browsers are to give"
}

run_tests "$@"
