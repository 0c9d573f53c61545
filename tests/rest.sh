# shellcheck shell=bash
# For end-to-end scripts that ask a server by REST; sourced behind lib.sh. What it answers is held
# against its OpenAPI document when it is stopped.

export RUNNER_HISTORY=../history
export PYTHONPATH=$sources/tests PYTHONDONTWRITEBYTECODE=1

# serve OPTION…: starts one; $server is its pid, $port and $url where it is, server.log what it says.
serve() {
    launch --host 127.0.0.1 --port 0 "$@"
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' ../server.log)
    url=http://127.0.0.1:$port
}

launch() {
    : >>../answers
    # Not by the server: until it has begun, what an earlier one has said would still be there.
    : >../server.log
    "${case_env[@]}" "$RUNNER" server "$@" >../server.out 2>../server.log </dev/null &
    server=$!
    wait_for 20 listens
}

listens() { grep -q 'listening on' ../server.log || ! kill -0 "$server"; }

# stop: as a service manager does it.
stop() {
    local code=0
    kill -TERM "$server"
    wait "$server" || code=$?
    assert_eq 0 "$code" "status of the server: $(tail -n 5 ../server.log)"
    "$sources/tests/openapi.py" "$sources/runner/server/openapi.json" <../answers >../wrong ||
        fail "answers are not as described: $(<../wrong)"
}

on_failure() {
    [[ ! -s ../server.log ]] || printf -- '--- server.log:\n%s\n' "$(tail -n 30 ../server.log)"
}

# ask METHOD PATH [OPTION OF CURL]…: sets code, body and head.
ask() {
    local method=$1 path=$2
    shift 2
    command_line="$method $path"
    code=$(curl -sS -m "$(patience 20)" -g --path-as-is -X "$method" -o ../body -D ../head -w '%{http_code}' \
        "$@" "$url$path" 2>../curl.err) || code="curl: $(cat ../curl.err)"
    body=$(tr -d '\0' <../body)
    head=$(tr -d '\r' <../head)
}

# described METHOD PATH STATUS [OPTION OF CURL]…: asks; stop holds the answer against the description.
described() {
    local method=$1 path=$2 expected=$3 answer
    shift 3
    ask "$method" "$path" "$@"
    assert_eq "$expected" "$code" "$method $path: $body"
    answer=../answer.$((++described_count))
    cp ../body "$answer"
    echo "$method ${path%%\?*} $code $answer" >>../answers
}
described_count=0

# answers STATUS METHOD PATH [OPTION OF CURL]…: the same for what is in no description.
answers() {
    ask "${@:2}"
    assert_eq "$1" "$code" "$2 $3: $body"
}

# pipeline NAME COMMAND: the text of a file with one step.
pipeline() {
    printf 'name: %s\nstages:\n- name: s\n  jobs:\n  - name: j\n    steps:\n    - {name: a, command: "%s"}\n' "$1" "$2"
}

as_config() { jq -cn --arg config "$1" '{config: $config}'; }

# submission NAME COMMAND [MEMBERS]: the body that submits it.
submission() { jq -cn --arg config "$(pipeline "$1" "$2")" '{config: $config, detach: true}'" + {${3:-}}"; }

# submit NAME COMMAND [MEMBERS]: the id of a run.
submit() {
    answers 202 POST /api/v1/pipelines/run -d "$(submission "$@")"
    id=$(jq -r .id <<<"$body")
}

# follow ID [QUERY]: its events until it has ended.
follow() { curl -sSN -m "$(patience 30)" "$url/api/v1/pipelines/$1/logs?follow=1&${2:-}"; }

# data_of TYPE FILE: what the events of that type say.
data_of() { sed -n "/^event: $1/{n; s/^data: //p}" "$2"; }

# begun ID: its step runs.
begun() { curl -sS -m 20 "$url/api/v1/pipelines/$1/logs" | jq -e '.total > 0'; }

# python [ARGUMENT]…: the program that is standard input, with the address of the server first.
python() {
    command_line="python: ${*}"
    status=0
    timeout "$(patience 60)" python3 - "ws://127.0.0.1:$port" "$@" >"$case_dir/stdout" 2>"$case_dir/stderr" || status=$?
    collect
    assert_eq 0 "$status"
}
