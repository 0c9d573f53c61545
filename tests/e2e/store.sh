#!/usr/bin/env bash
# A server whose store is in trouble: what it says, and that nothing is lost.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no

# serve [COMMAND… --] OPTION…: a server on a port of its own; $url is where.
serve() {
    local -a by=()
    if [[ ${1:-} != -* && -n ${1:-} ]]; then
        while [[ $1 != -- ]]; do
            by+=("$1")
            shift
        done
        shift
    fi
    spawn "${by[@]}" "$RUNNER" server --host 127.0.0.1 --port 0 --workdir work --history history "$@"
    wait_for 20 grep -q listening "$case_dir/stderr"
    url=$(sed -n 's/.*listening on //p' "$case_dir/stderr" | tail -n 1)
}

api() { curl -sS -X "$1" ${3:+-H "Content-Type: application/json" -d "$3"} "$url/api/v1/$2"; }

# submit COMMAND: its status and answer.
submit() {
    curl -sS -o answer -w '%{http_code}' -H "Content-Type: application/json" "$url/api/v1/pipelines/run" -d "$(
        jq -n --arg command "$1" '{detach: true, config: ({name: "p", stages: [{name: "s", jobs: [{name: "j",
            steps: [{name: "t", command: $command}]}]}]} | tojson)}'
    )"
}

accepted() {
    [[ $(submit "$1") == 202 ]] || fail "not accepted: $(<answer)"
    id=$(jq -r .id answer)
}

is() { [[ $(api GET "pipelines/$2" | jq -r .status) == "$1" ]]; }

end() {
    kill -TERM "${1:-$spawned}"
    finish
    assert_eq 0 "$status" "the server's exit status"
    assert_no_leftovers 10
}

test_it_is_damaged() {
    mkdir -m 0700 history
    head -c 20000 /dev/urandom >history/runs.db
    run "$RUNNER" server --host 127.0.0.1 --port 0 --history history
    assert_eq 1 "$status"
    assert_contains "$stderr" history/runs.db
    assert_eq "" "$stdout"
}

# By a program that holds it for longer than is waited for.
test_it_is_locked() {
    serve
    accepted "until [ -e $PWD/go ]; do sleep 0.05; done"
    local first=$id
    wait_for 20 is running "$first"
    mkfifo hold
    python3 -c 'import sqlite3; c = sqlite3.connect("history/runs.db", isolation_level=None); c.execute("BEGIN EXCLUSIVE"); open("locked", "w"); open("hold").read()' &
    local holder=$!
    wait_for 20 test -e locked
    assert_eq 503 "$(submit "echo second")" "while it is locked"
    assert_contains "$(<answer)" locked
    touch go
    : >hold
    wait "$holder"
    wait_for 20 is succeeded "$first"
    accepted "echo third"
    wait_for 20 is succeeded "$id"
    assert_eq 2 "$(api GET pipelines | jq .total)" "those that were accepted"
    end
}

# The server's directory is on a disk of its own, in a namespace of its own.
test_its_disk_is_full() {
    mkdir history
    # shellcheck disable=SC2016
    serve unshare --mount sh -c 'mount -t tmpfs -o size=8m,mode=0700 none history && cd . && exec "$@"' sh --
    local there=/proc/$spawned/root/$PWD/history
    accepted "echo first"
    wait_for 20 is succeeded "$id"
    dd if=/dev/zero of="$there/full" bs=64k 2>/dev/null || true
    assert_match "$(submit "echo second")" '^50[0-9]$'
    assert_match "$(jq -r .error answer)" 'disk|full|space'
    rm "$there/full"
    accepted "echo third"
    wait_for 20 is succeeded "$id"
    assert_eq "succeeded" "$(api GET pipelines | jq -r '.data[].status' | sort -u)"
    end
}

test_it_cannot_be_written() {
    mkdir history
    # shellcheck disable=SC2016
    run unshare --mount sh -c 'mount -t tmpfs -o ro,mode=0700 none history && exec "$@"' sh \
        "$RUNNER" server --host 127.0.0.1 --port 0 --history history
    assert_eq 2 "$status"
    assert_match "$stderr" 'history.*[Rr]ead-only'
}

# database: a server of PostgreSQL, until the test ends.
database() {
    chmod a+x "$case_dir" "$PWD"
    trap 'kill -QUIT "$database" 2>/dev/null; wait "$database"' EXIT
    "$sources/tests/env/postgresql.sh" "$PWD/database" 2>>database.log &
    database=$!
    # It listens before it has looked at what it has.
    wait_for 60 grep -q '^ready' database/data/postmaster.pid
}

# Of two servers with one history. The first cancels a run whose client does not come to either.
test_a_client_comes_back_to_another_server() {
    database
    local -a both=(--client-grace 100ms --store "postgresql:///postgres?host=$PWD/database&user=runner")
    serve "${both[@]}"
    local first=$spawned first_url=$url
    serve "${both[@]}"
    local -A clients
    local name
    for name in kept left; do
        printf 'name: %s\nstages: [{name: s, jobs: [{name: j, steps: [{name: t, command: "%s"}]}]}]\n' "$name" \
            "echo begun; until [ -e $PWD/go ]; do sleep 0.05; done" >p.yaml
        "$RUNNER" client -s "$first_url" p.yaml >"$name.log" 2>&1 &
        clients[$name]=$!
        wait_for 20 grep -q begun "$name.log"
    done
    local kept left follower
    kept=$(api GET 'pipelines?search=kept' | jq -r '.data[].id')
    left=$(api GET 'pipelines?search=left' | jq -r '.data[].id')
    "$RUNNER" client -s "$url" --follow "$kept" >follower.log 2>&1 &
    follower=$!
    wait_for 20 grep -q begun follower.log
    for name in kept left; do
        kill -KILL "${clients[$name]}"
        wait "${clients[$name]}" || true
    done
    wait_for 20 is cancelled "$left"
    is running "$kept" || fail "$(api GET "pipelines/$kept" | jq -c '{status, error}')"
    kill -KILL "$follower"
    wait "$follower" || true
    wait_for 20 is cancelled "$kept"
    assert_eq "cancelled by server: its client has gone" "$(api GET "pipelines/$kept" | jq -r .error)"
    kill -TERM "$first"
    wait "$first" || fail "the first server's exit status"
    end
}

# With a run that goes on meanwhile.
# Of what the other one runs there is a row, and nothing else.
test_a_server_with_another_history() {
    database
    local -a both=(--store "postgresql:///postgres?host=$PWD/database&user=runner")
    serve "${both[@]}"
    local first=$spawned first_url=$url
    accepted "until [ -e $PWD/go ]; do sleep 0.05; done"
    wait_for 20 is running "$id"
    serve "${both[@]}" --history another --workdir another/work
    wait_for 20 is running "$id"
    run "$RUNNER" client -s "$url" --follow "$id"
    assert_eq 1 "$status"
    assert_contains "$stderr" "pipeline $id is run by a server with another history: ask that for its log"
    assert_eq 404 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/api/v1/pipelines/$id/logs?follow=1")"
    touch go
    assert_exit 0 "$RUNNER" client -s "$first_url" --follow "$id"
    kill -TERM "$first"
    wait "$first" || fail "the first server's exit status"
    end
}

test_a_database_is_started_anew() {
    database
    serve --store "postgresql:///postgres?host=$PWD/database&user=runner"
    accepted "echo begun; until [ -e $PWD/go ]; do sleep 0.05; done; echo passed"
    local first=$id
    wait_for 20 is running "$first"
    kill -QUIT "$database"
    wait "$database" || true
    assert_match "$(submit "echo second")" '^50[0-9]$'
    touch go
    database
    wait_for 30 is succeeded "$first"
    assert_eq "begun passed" "$(api GET "pipelines/$first/logs?type=stdout" | jq -r '.data[].message' | tr '\n' ' ' | sed 's/ $//')"
    accepted "echo third"
    wait_for 20 is succeeded "$id"
    end
}

test_ten_thousand_connections() {
    serve --max-connections 11000 --rate-limit 0
    run python3 - "${url##*:}" <<'PYTHON'
import resource, socket, sys

resource.setrlimit(resource.RLIMIT_NOFILE, (10100, max(10100, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
links = []
# Several at a time: those that say nothing for 75 seconds are closed.
for _ in range(200):
    some = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(50)]
    for link in some:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for link in some:
        assert link.recv(4096).startswith(b"HTTP/1.1 200")
    links += some
for link in links[::1000]:
    link.sendall(b"GET /api/v1/pipelines HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert link.recv(4096).startswith(b"HTTP/1.1 200")
PYTHON
    assert_eq 0 "$status" "$stderr"
    accepted "echo in between"
    wait_for 20 is succeeded "$id"
    end
}

run_tests "$@"
