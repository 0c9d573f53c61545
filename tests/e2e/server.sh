#!/usr/bin/env bash
# The server: REST, server-sent events and WebSocket, who may use them, and what bad clients get.
source "$(dirname "$0")/../lib.sh"
# shellcheck disable=SC2034
needs_daemon=no
# shellcheck disable=SC2034
declare -A case_timeout=([test_clients_that_are_slow]=120)

export RUNNER_HISTORY=../history
export PYTHONPATH=$sources/tests PYTHONDONTWRITEBYTECODE=1

# --- a server ------------------------------------------------------------------------------------

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

recorded() {
    cat >p.yaml <<'YAML'
name: Ship IT
stages:
- name: build
  jobs:
  - name: unit
    steps:
    - {name: compile, command: 'echo one; echo two >&2; printf "b\303\244d \377 three"'}
    - {name: test, command: "echo Ärger"}
  - name: lint
    steps:
    - {name: look, command: "echo looked"}
YAML
    assert_exit 0 "$RUNNER" exec p.yaml
}

# --- reading -------------------------------------------------------------------------------------

test_it_says_who_it_is() {
    serve
    described GET / 200
    described GET /healthz 200
    described GET /readyz 200
    assert_eq '{"status":"ok","checks":{"store":"ok","launcher":"ok"}}' "$body"
    answers 200 GET /openapi.json
    assert_eq "$(jq -S . "$sources/runner/server/openapi.json")" "$(jq -S . <<<"$body")"
    answers 304 GET /openapi.json -H "If-None-Match: $(sed -n 's/^etag: //p' <<<"$head")"
    answers 200 HEAD / --head
    assert_contains "$head" "content-length:"
    answers 404 GET /nothing
    assert_eq '{"error":"there is nothing at /nothing"}' "$body"
    answers 405 PUT /api/v1/settings -d '{}'
    assert_contains "$head" "allow: GET, HEAD, POST"
    stop
}

test_the_history_is_shown() {
    recorded
    serve
    described GET /api/v1/pipelines 200
    assert_eq "1 100 0" "$(jq -r '"\(.total) \(.limit) \(.offset)"' <<<"$body")"
    id=$(jq -r '.data[0].id' <<<"$body")
    local query
    for query in search=ship%20it search=SHIP search="$id" status=succeeded status=failed,succeeded \
        start_time=2020-01-01T00:00:00Z end_time=2100-01-01T00:00:00Z limit=1; do
        described GET "/api/v1/pipelines?$query" 200
        assert_eq 1 "$(jq '.data | length' <<<"$body")" "$query"
    done
    for query in search=nope status=failed start_time=2100-01-01T00:00:00Z end_time=2020-01-01T00:00:00Z \
        offset=1 "search=%25" "search=x'%20OR%20'1'='1" 'search=%22;DROP%20TABLE%20runner_runs;--'; do
        described GET "/api/v1/pipelines?$query" 200
        assert_eq 0 "$(jq '.data | length' <<<"$body")" "$query"
    done
    described GET "/api/v1/pipelines?limit=many" 400
    described GET "/api/v1/pipelines?status=well" 400
    described GET "/api/v1/pipelines?start_time=yesterday" 400
    described GET "/api/v1/pipelines/$id" 200
    assert_eq "Ship IT succeeded build/unit/compile build/unit/test build/lint/look" \
        "$(jq -r '.name + " " + .status + " " + ([.stages[] | .name as $s | .jobs[] | .name as $j | .steps[] | "\($s)/\($j)/\(.name)"] | join(" "))' <<<"$body")"
    assert_eq "$(<p.yaml)" "$(jq -r .yaml <<<"$body")"
    described GET "/api/v1/pipelines/${id:0:10}" 404
    answers 404 GET /api/v1/pipelines/..%2f..%2fetc
    stop
}

test_logs_are_shown() {
    recorded
    serve
    ask GET /api/v1/pipelines
    id=$(jq -r '.data[0].id' <<<"$body")
    described GET "/api/v1/pipelines/$id/logs" 200
    assert_eq 5 "$(jq .total <<<"$body")"
    assert_contains "$body" 'bäd � three'
    described GET "/api/v1/pipelines/$id/logs?type=stderr" 200
    assert_eq two "$(jq -r '.data[].message' <<<"$body")"
    described GET "/api/v1/pipelines/$id/logs?node=0.1" 200
    assert_eq looked "$(jq -r '.data[].message' <<<"$body")"
    described GET "/api/v1/pipelines/$id/logs?search=%C3%84RGER" 200
    assert_eq Ärger "$(jq -r '.data[].message' <<<"$body")"
    described GET "/api/v1/pipelines/$id/logs?limit=2&offset=1" 200
    assert_eq "5 2" "$(jq -r '"\(.total) \(.data | length)"' <<<"$body")"
    described GET "/api/v1/pipelines/$id/logs?type=loud" 400
    described GET "/api/v1/pipelines/$id/logs?node=../x" 400
    described GET /api/v1/pipelines/nope/logs 404
    described GET "/api/v1/pipelines/$id/logs/export?format=json&type=stdout" 200
    assert_eq "4 Ship IT" "$(jq -r '"\(.logs | length) \(.pipeline_name)"' <<<"$body")"
    assert_contains "$head" "content-disposition: attachment; filename=\"pipeline-$id-logs.json\""
    answers 200 GET "/api/v1/pipelines/$id/logs/export"
    assert_match "$body" "^Pipeline: Ship IT \(ID: $id\)
Exported at: 20"
    assert_match "$body" "\[20[0-9: -]*\] \[stderr\] two"
    assert_contains "$head" "pipeline-$id-logs.txt"
    stop
}

# More than a connection takes at once, and than a part of it has.
test_a_long_log_is_exported_whole() {
    pipeline long "seq 1 60000" >p.yaml
    run "$RUNNER" exec p.yaml
    serve
    ask GET /api/v1/pipelines
    id=$(jq -r '.data[0].id' <<<"$body")
    curl -sS "$url/api/v1/pipelines/$id/logs/export?type=stdout" | sed '1,4d; s/.*\] //' >got
    seq 1 60000 | cmp - got || fail "the export differs"
    curl -sS "$url/api/v1/pipelines/$id/logs/export?format=json&type=stdout" | jq -r '.logs[].message' >got
    seq 1 60000 | cmp - got || fail "the export as JSON differs"
    # HTTP/1.0 knows no chunks.
    curl -sS --http1.0 "$url/api/v1/pipelines/$id/logs/export?type=stdout" | sed '1,4d; s/.*\] //' >got
    seq 1 60000 | cmp - got || fail "the export by HTTP/1.0 differs"
    # Who goes in between is no matter.
    curl -sS "$url/api/v1/pipelines/$id/logs/export" 2>/dev/null | head -n 100 >/dev/null || true
    described GET /healthz 200
    stop
}

# Pages end before they are too large, and say where the next one begins.
test_a_page_of_long_lines() {
    pipeline long "for i in 1 2 3; do head -c 4000000 /dev/zero | tr '\\\\0' x; echo; done" >p.yaml
    serve
    described GET /api/v1/pipelines 200
    run "$RUNNER" exec p.yaml
    id=$(basename ../history/runs/*)
    # Nobody has told the server of it yet.
    ask GET "/api/v1/pipelines/$id/logs?type=stdout"
    assert_eq 200 "$code" "$body"
    assert_eq true "$(jq '.next_offset == (.data | length) and .next_offset < .total' ../body)"
    curl -sS "$url/api/v1/pipelines/$id/logs?type=stdout&offset=$(jq .next_offset ../body)" >rest
    assert_eq "$(jq .total rest)" "$(jq -n --slurpfile a ../body --slurpfile b rest '($a[0].data | length) + ($b[0].data | length)')"
    assert_eq null "$(jq .next_offset rest)"
    stop
}

test_files_are_looked_at() {
    serve
    described POST /api/v1/pipelines/validate 200 -d "$(as_config "$(pipeline x 'echo hi')")"
    assert_eq "true x" "$(jq -r '"\(.valid) \(.name)"' <<<"$body")"
    described POST /api/v1/pipelines/validate 200 -d '{"config": "name: x\nstages: [{nam: 1}]"}'
    assert_eq false "$(jq .valid <<<"$body")"
    assert_contains "$body" 'did you mean \"name\"?'
    described POST /api/v1/pipelines/validate 400 -d '{"file": "x"}'
    described POST /api/v1/pipelines/validate 400 -d '{'
    described POST /api/v1/configs/convert/yaml-to-visual 200 -d '{"yaml": "name: x\nstages: [{name: s, jobs: []}]\n"}'
    assert_eq '{"name":"x","stages":[{"name":"s","jobs":[]}]}' "$(jq -c .visual <<<"$body")"
    described POST /api/v1/configs/convert/visual-to-yaml 200 -d "$(jq -c '{visual}' <<<"$body")"
    assert_eq 'name: x
stages:
- name: s
  jobs: []' "$(jq -r .yaml <<<"$body")"
    described POST /api/v1/configs/convert/yaml-to-visual 422 -d '{"yaml": "a: [b"}'
    assert_eq 1 "$(jq '.diagnostics | length' <<<"$body")"
    described POST /api/v1/configs/convert/yaml-to-visual 422 -d '{"yaml": "- a"}'
    described POST /api/v1/configs/convert/visual-to-yaml 400 -d '{"visual": "x"}'
    answers 422 POST /api/v1/configs/convert/visual-to-yaml \
        -d "{\"visual\": {\"a\": $(printf '[%.0s' {1..1500})$(printf ']%.0s' {1..1500})}}"
    stop
}

# --- running -------------------------------------------------------------------------------------

test_a_pipeline_is_submitted_and_followed() {
    serve
    described POST /api/v1/pipelines/run 202 \
        -d "$(submission hello 'echo one; pwd; echo $WHO' 'env: {WHO: "me"}, priority: 5')"
    id=$(jq -r .id <<<"$body")
    assert_contains "$head" "location: /api/v1/pipelines/$id"
    follow "$id" >events
    assert_eq "one
$(realpath ../history)/work/$id
me" "$(data_of stdout events | jq -j .text)"
    assert_eq '{"status":"succeeded","exit_code":0}' "$(data_of done events)"
    described GET "/api/v1/pipelines/$id" 200
    assert_eq "hello succeeded server 5 127.0.0.1" \
        "$(jq -r '"\(.name) \(.status) \(.origin) \(.priority) \(.client)"' <<<"$body")"
    # Again, from any position: what is behind it.
    local position
    position=$(sed -n 's/^id: //p' events | sed -n 6p)
    follow "$id" "position=$position" >again
    # Output that came in several moments may come as one.
    assert_eq "$(data_of '' events | tail -n +7 | jq -j '.event // "", .text // ""')" "$(data_of '' again | jq -j '.event // "", .text // ""')"
    curl -sS -H "Last-Event-ID: $position" "$url/api/v1/pipelines/$id/logs?follow=1" | cmp - again ||
        fail "Last-Event-ID differs"
    follow "$id" tail=1 >again
    assert_eq me "$(data_of stdout again | jq -r .text)"
    answers 400 GET "/api/v1/pipelines/$id/logs?follow=1&position=here"
    described POST "/api/v1/pipelines/$id/rerun" 202
    id=$(jq -r .id <<<"$body")
    follow "$id" >again
    assert_contains "$(data_of stdout again)" 'me\n"'
    described POST /api/v1/pipelines/nope/rerun 404
    described POST /api/v1/pipelines/run 200 -d "$(as_config "$(pipeline x 'echo hi')")"
    assert_eq "ws://127.0.0.1:$port/" "$(jq -r .ws_url <<<"$body")"
    described POST /api/v1/pipelines/run 422 -d '{"config": "name: x", "detach": true}'
    assert_eq 'the pipeline has no "stages"' "$(jq -r '.diagnostics[0].message' <<<"$body")"
    described POST /api/v1/pipelines/run 400 -d "$(submission x 'echo hi' 'priority: "high"')"
    described POST /api/v1/pipelines/run 400 -d '{"detach": true}'
    stop
}

has_failed() { ask GET "/api/v1/pipelines/$1" && [[ $(jq -r .status <<<"$body") == failed ]]; }

# What a failure leaves stays as long as the run does; what success leaves is not kept at all.
test_a_directory_goes_with_its_run() {
    local ids=() one
    serve --workdir ../work
    mkdir ../work/other
    for one in a b c; do
        submit "$one" "touch left; false"
        ids+=("$id")
    done
    for one in "${ids[@]}"; do
        wait_for 20 has_failed "$one"
    done
    assert_eq "$(printf '%s\n' "${ids[@]}" other | sort)" "$(ls ../work)"
    described DELETE "/api/v1/pipelines/${ids[0]}" 200
    assert_eq "$(printf '%s\n' "${ids[@]:1}" other | sort)" "$(ls ../work)"
    described POST /api/v1/pipelines/batch/delete 200 -d "{\"ids\": [\"${ids[1]}\"]}"
    assert_eq "$(printf '%s\n' "${ids[2]}" other | sort)" "$(ls ../work)"
    stop
    # Without the server as well.
    assert_exit 0 "$RUNNER" delete --history ../history "${ids[2]}"
    assert_eq other "$(ls ../work)"
}

test_only_the_directory_of_a_run_goes_with_it() {
    local ids=() one
    serve --workdir ../work
    for one in a b; do
        submit "$one" "touch left; false"
        ids+=("$id")
        wait_for 20 has_failed "$id"
    done
    described POST /api/v1/pipelines/run 202 -d "$(submission elsewhere 'touch left; false' "workdir: \"$PWD/mine\"")"
    ids+=("$(jq -r .id <<<"$body")")
    wait_for 20 has_failed "${ids[2]}"
    stop
    mv "../work/${ids[0]}" ../kept
    ln -s ../kept "../work/${ids[0]}"
    assert_exit 0 "$RUNNER" delete --history ../history "${ids[0]}"
    ls ../kept/left "../work/${ids[0]}/left"
    mv ../work ../moved
    ln -s moved ../work
    assert_exit 0 "$RUNNER" delete --history ../history "${ids[@]:1}"
    ls "../moved/${ids[1]}/left" mine/left
}

they_take_turns() {
    ask GET /api/v1/queue
    [[ $(jq -r '"\(.data[0].status) \(.data[1].status) \(.data[1].position)"' <<<"$body") == "running pending 1" ]]
}

test_runs_are_cancelled_and_deleted() {
    serve --max-concurrent 1
    submit first "echo on; sleep 1000"
    local first=$id
    submit second "echo never"
    local second=$id
    wait_for 20 begun "$first"
    # Its output may be there before the queue was told that it has begun.
    wait_for 20 they_take_turns
    described GET /api/v1/queue 200
    described GET "/api/v1/pipelines/$second" 200
    assert_eq "pending 1" "$(jq -r '"\(.status) \(.position)"' <<<"$body")"
    described GET /api/v1/queue/stats 200
    assert_eq "1 1" "$(jq -r '"\(.max_concurrent) \(.current_concurrent)"' <<<"$body")"
    described DELETE "/api/v1/pipelines/$first" 409
    # Those who wait for what will never begin hear so.
    follow "$second" >events &
    local follower=$!
    described DELETE "/api/v1/queue/$second" 200
    wait "$follower"
    assert_contains "$(data_of done events)" '{"status":"cancelled"'
    follow "$second" >events
    assert_contains "$(data_of done events)" '{"status":"cancelled"'
    # That it may have ended before it is told to hurry is nothing to whoever asks.
    described POST "/api/v1/pipelines/$first/cancel" 200 -d '{"reason": "wrong branch", "hurry": true}'
    follow "$first" >events
    assert_contains "$(data_of done events)" "cancelled by 127.0.0.1: wrong branch"
    # No body, and no length either.
    described POST "/api/v1/pipelines/$first/cancel" 400
    assert_contains "$head" "connection: close"
    described POST /api/v1/pipelines/nope/cancel 404 -d ''
    described DELETE "/api/v1/queue/$first" 404
    described POST /api/v1/pipelines/batch/cancel 200 -d "{\"ids\": [\"$first\", \"nope\"]}"
    assert_eq "0 1 1 2" "$(jq -r '"\(.cancelled) \(.failed) \(.not_found) \(.total)"' <<<"$body")"
    described DELETE "/api/v1/pipelines/$first" 200
    described GET "/api/v1/pipelines/$first" 404
    described POST /api/v1/pipelines/batch/delete 200 -d "{\"ids\": [\"$first\", \"$second\"]}"
    assert_eq "1 0 1 2" "$(jq -r '"\(.deleted) \(.failed) \(.not_found) \(.total)"' <<<"$body")"
    described POST /api/v1/pipelines/batch/delete 400 -d '{"ids": "all"}'
    stop
}

test_settings_stay() {
    serve
    described GET /api/v1/settings 200
    assert_eq '{"max_concurrent":2,"max_records":1000,"refresh_interval":5}' "$body"
    described POST /api/v1/settings 200 -d '{"max_concurrent": 1}'
    described POST /api/v1/settings 400 -d '{"max_concurrent": 0}'
    described GET /api/v1/queue/stats 200
    assert_eq 1 "$(jq .max_concurrent <<<"$body")"
    stop
    serve
    described GET /api/v1/settings 200
    assert_eq 1 "$(jq .max_concurrent <<<"$body")"
    stop
    serve --max-concurrent 3
    described GET /api/v1/settings 200
    assert_eq 3 "$(jq .max_concurrent <<<"$body")"
    stop
}

# Runs are processes of their own, and what waits is in the store.
test_runs_outlive_the_server() {
    serve --max-concurrent 1
    submit first "echo on; until [ -e $PWD/go ]; do sleep 0.05; done; echo off"
    local first=$id
    submit second "echo second"
    local second=$id
    wait_for 20 begun "$first"
    follow "$first" >events 2>/dev/null &
    local follower=$!
    wait_for 20 grep -q '"on' events
    stop
    wait "$follower" || true
    assert_eq "" "$(data_of done events)"
    touch go
    serve --max-concurrent 1
    follow "$first" "position=$(sed -n 's/^id: //p' events | tail -n 1)" >rest
    assert_eq off "$(data_of stdout rest | jq -r .text | sed '/^$/d')"
    assert_eq '{"status":"succeeded","exit_code":0}' "$(data_of done rest)"
    follow "$second" >events
    assert_contains "$(data_of stdout events)" '"second'
    stop
}

test_a_server_that_drains_waits_for_its_runs() {
    serve --drain 60s --max-concurrent 1
    submit first "echo on; until [ -e $PWD/go ]; do sleep 0.05; done; echo off"
    local first=$id ended=0
    wait_for 20 begun "$first"
    kill -TERM "$server"
    wait_for 20 is_draining
    described POST /api/v1/pipelines/run 503 -d "$(submission second 'echo hi')"
    assert_contains "$head" "retry-after:"
    follow "$first" >events &
    local follower=$!
    wait_for 20 grep -q '"on' events
    touch go
    wait "$follower"
    assert_eq '{"status":"succeeded","exit_code":0}' "$(data_of done events)"
    wait "$server" || ended=$?
    assert_eq 0 "$ended"
}

is_draining() { [[ $(curl -sS -m 5 "$url/readyz" | jq -r .status) == draining ]]; }

# --- WebSocket -----------------------------------------------------------------------------------

test_websocket_without_subprotocol() {
    serve
    python "$(pipeline one 'echo out; echo err >&2')" "$(pipeline two 'exit 3')" <<'PYTHON'
import sys
from websocket import *
url, one, two = sys.argv[1:]
with WebSocket(url) as ws:
    assert ws.subprotocol is None
    ws.send(type="run", payload=one)
    frames = ws.until("done")
    assert {"type": "stdout", "payload": "out\n"} in frames, frames
    assert {"type": "stderr", "payload": "err\n"} in frames, frames
    assert frames[-1] == {"type": "done", "payload": ""}, frames
    # The next on the same connection; several at once run one after the other.
    ws.send(type="run", payload=two)
    ws.send(type="run", payload=one)
    failed = ws.until("done")[-1]
    assert "3" in failed["payload"], failed
    assert ws.until("done")[-1]["payload"] == ""
    ws.send(type="run", payload="name: x")
    error = ws.receive()
    assert error["type"] == "error" and 'no "stages"' in error["payload"], error
    assert set(error) == {"type", "payload"}
    ws.send(type="cancel", payload="")
    assert ws.receive() == {"type": "error", "payload": "unsupported action type: cancel"}
PYTHON
    stop
}

test_websocket_with_runner_v2() {
    serve
    python "$(pipeline one 'echo out; printf \"\\377\"; exit 3')" "$(pipeline slow 'echo on; sleep 1000')" <<'PYTHON'
import base64, sys
from websocket import *
url, one, slow = sys.argv[1:]
with WebSocket(url, "runner.v2") as ws:
    assert ws.subprotocol == "runner.v2"
    ws.send(type="run", payload=one, name="hi", priority=2)
    frames = ws.until("done")
    run = frames[0]["payload"]
    assert frames[0] == {"type": "id", "payload": run}
    assert all(f["run"] == run for f in frames[1:])
    output = b"".join(base64.b64decode(f["payload"]) if f.get("base64") else f["payload"].encode()
                      for f in frames if f["type"] == "stdout")
    assert output == b"out\n\xff", output
    done = frames[-1]
    assert (done["status"], done["exit_code"]) == ("failed", 1) and done["payload"], done
    events = [json.loads(f["payload"])["event"] for f in frames if f["type"] == "event"]
    assert events[0] == "RunBegan" and events[-1] == "RunEnded", events

    # Again, from the middle, on another connection: the same.
    at = frames[5]["position"]
    with WebSocket(url, "runner.v2") as other:
        other.send(type="follow", payload=run, position=at)
        again = other.until("done")
        assert again[-1]["payload"] == done["payload"]
        assert again[0]["position"] != at
        kinds = lambda fs: [json.loads(f["payload"])["event"] for f in fs if f["type"] == "event"]
        assert kinds(again) == kinds(frames[6:]), again
        other.send(type="ping", payload="still there?")
        assert other.receive() == {"type": "ping", "payload": "still there?"}
        other.send(type="follow", payload="nope")
        assert other.receive()["run"] == "nope"
        other.send(type="follow", payload=run, position="x")
        assert other.receive()["type"] == "error"
        other.send(type="unfollow", payload=run)
        assert other.receive()["type"] == "error"

    # Two at a time, and one of them cancelled.
    ws.send(type="run", payload=slow)
    first = ws.until("id")[-1]["payload"]
    ws.until("stdout")
    ws.send(type="run", payload=one)
    second = ws.until("id")[-1]["payload"]
    ended = ws.until("done")[-1]
    assert ended["run"] == second, ended
    ws.send(type="cancel", payload=first, reason="enough")
    ended = ws.until("done")[-1]
    assert (ended["run"], ended["status"]) == (first, "cancelled") and "enough" in ended["payload"], ended
    ws.send(type="cancel", payload=first)
    assert "has ended already" in ws.receive()["payload"]
    ws.send(type="run", payload="name: x")
    error = ws.receive()
    assert error["diagnostics"][0]["message"] == 'the pipeline has no "stages"', error
    ws.send(type="dance", payload="")
    assert ws.receive()["payload"] == "unsupported action type: dance"
PYTHON
    stop
}

# A run goes with its client, unless it is detached, or somebody who knows it follows it.
test_clients_that_vanish() {
    serve --client-grace 300ms --max-concurrent 10
    python "$(pipeline slow 'echo on; sleep 1000')" <<'PYTHON'
import sys
from websocket import *
url, slow = sys.argv[1:]

def begin(**more):
    ws = WebSocket(url, "runner.v2")
    ws.send(type="run", payload=slow, **more)
    run = ws.until("id")[-1]["payload"]
    ws.until("stdout")
    return ws, run

def follow(run):
    ws = WebSocket(url, "runner.v2")
    ws.send(type="follow", payload=run)
    ws.until("stdout")
    return ws

gone, abandoned = begin()
away, detached = begin(detach=True)
lost, taken_over = begin()
keeper, watcher = follow(taken_over), follow(detached)
for ws in gone, away, lost:
    ws.socket.close()
plain = WebSocket(url)
plain.send(type="run", payload=slow)
plain.until("stdout")
plain.socket.close()
# By the time that this is over, so would the others be.
from urllib.request import urlopen
while True:
    record = json.load(urlopen(f"{url.replace('ws:', 'http:')}/api/v1/pipelines/{abandoned}"))
    if record["status"] == "cancelled":
        break
assert "its client has gone" in record["error"], record
for ws, run in (keeper, taken_over), (watcher, detached):
    ws.send(type="cancel", payload=run, reason="by hand")
    assert "by hand" in ws.until("done")[-1]["payload"]
PYTHON
    wait_for 20 all_have_ended
    ask GET "/api/v1/pipelines?status=cancelled"
    assert_eq 2 "$(grep -o 'its client has gone' <<<"$body" | wc -l)"
    stop
}

all_have_ended() { curl -sS "$url/api/v1/queue/stats" | jq -e '.pending + .running == 0'; }

# --- who may -------------------------------------------------------------------------------------

test_credentials() {
    echo "s3:cret" >secret
    serve --username alice --password-file secret
    described GET /healthz 200
    described GET /readyz 200
    described GET / 401
    assert_contains "$head" 'www-authenticate: Basic realm="runner"'
    answers 401 GET /nothing_at_all
    described GET / 401 -u alice:wrong
    described GET / 401 -u alice:
    described GET / 401 -u bob:s3:cret
    described GET / 401 -H "Authorization: Bearer s3:cret"
    described GET / 200 -u alice:s3:cret
    ask POST /api/v1/pipelines/run -u alice:s3:cret -d "$(submission hello 'env')"
    id=$(jq -r .id <<<"$body")
    curl -sS -u alice:s3:cret "$url/api/v1/pipelines/$id/logs?follow=1" >events
    assert_contains "$(<events)" PIPELINE_NAME=hello
    assert_not_contains "$(<events)" s3:cret
    described GET "/api/v1/pipelines/$id" 200 -u alice:s3:cret
    assert_eq alice "$(jq -r .client <<<"$body")"
    python <<'PYTHON'
import sys
from websocket import *
url = sys.argv[1]
for bad in url, url.replace("//", "//alice:wrong@"):
    try:
        WebSocket(bad, "runner.v2")
        sys.exit("let in without credentials")
    except Refused as refused:
        assert refused.status == 401, refused.head
WebSocket(url.replace("//", "//alice:s3:cret@"), "runner.v2")
try:
    WebSocket(url.replace("//", "//alice:s3:cret@"), path="/other")
    sys.exit("a connection where there is none")
except Refused as refused:
    assert refused.status == 404, refused.head
PYTHON
    stop
}

# Names that existing deployments have.
test_the_environment() {
    export USERNAME=bob PASSWORD=hush-hush ENDPOINT=/ws MAX_CONCURRENT=7 WORKDIR=$PWD/elsewhere ALLOW_ALL_ENV=true
    serve
    answers 401 GET /
    described GET /api/v1/queue/stats 200 -u bob:hush-hush
    assert_eq 7 "$(jq .max_concurrent <<<"$body")"
    ask POST /api/v1/pipelines/run -u bob:hush-hush -d "$(submission hello 'pwd; env')"
    id=$(jq -r .id <<<"$body")
    curl -sS -u bob:hush-hush "$url/api/v1/pipelines/$id/logs?follow=1" >events
    assert_contains "$(<events)" "$PWD/elsewhere/$id"
    assert_contains "$(<events)" "ENDPOINT=/ws"
    assert_not_contains "$(<events)" hush-hush
    stop
}

test_many_wrong_passwords() {
    serve --username alice --password right-one
    python <<'PYTHON'
import http.client, sys
from base64 import b64encode
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port

def ask(password, connection=None):
    connection = connection or http.client.HTTPConnection("127.0.0.1", port)
    word = b64encode(b"alice:" + password).decode()
    connection.request("GET", "/", headers={"Authorization": "Basic " + word})
    response = connection.getresponse()
    response.read()
    return response

known = http.client.HTTPConnection("127.0.0.1", port)
assert ask(b"right-one", known).status == 200
seen = set()
for guess in range(1000):
    response = ask(b"%d" % guess)
    seen.add(response.status)
    if response.status == 429:
        break
assert seen == {401, 429}, seen
assert int(response.headers["Retry-After"]) > 0
# Whether one is right is not told now, but to a connection that has shown that it knows.
assert ask(b"right-one", known).status == 200
PYTHON
    stop
}

test_pages_of_others() {
    serve
    described POST /api/v1/settings 403 -d '{"max_concurrent": 9}' -H "Origin: https://evil.example"
    described POST /api/v1/settings 403 -d '{"max_concurrent": 9}' -H "Origin: null"
    # Their name may lead here.
    answers 403 GET /api/v1/settings -H "Host: evil.example:$port"
    described GET /healthz 200 -H "Host: evil.example:$port"
    for name in localhost "127.0.0.1:$port" "[::1]:$port" "a.localhost:$port" "runner:$port"; do
        described GET /api/v1/settings 200 -H "Host: $name"
    done
    described DELETE /api/v1/pipelines/x 403 -H "Origin: http://127.0.0.1:1"
    described POST /api/v1/settings 200 -d '{"max_concurrent": 4}' -H "Origin: $url"
    described GET /api/v1/settings 200 -H "Origin: https://evil.example"
    assert_eq 4 "$(jq .max_concurrent <<<"$body")"
    assert_not_contains "$head" "access-control"
    # Nor is what stands in a path ever a header, or one Origin the other.
    for name in %0aOrigin:$url/ %0aOrigin:$url %0d%0aOrigin:$url %0a %0d%0a; do
        for where in /api/v1/settings '/api/v1/settings?a=b'; do
            answers 400 POST "$where$name" -d '{"max_concurrent": 9}' -H "Origin: https://evil.example"
        done
    done
    described POST /api/v1/settings 400 -d '{}' -H "Origin: $url" -H "Origin: https://evil.example"
    python <<'PYTHON'
import sys
from websocket import *
url = sys.argv[1]
own = url.replace("ws:", "http:")
WebSocket(url, headers=["Origin: " + own])
for headers in (["Origin: https://evil.example"], ["Origin: " + own, "Origin: https://evil.example"]):
    try:
        WebSocket(url, headers=headers, path=f"/%0aOrigin:{own}")
        sys.exit("let in by a header in the path")
    except Refused as refused:
        assert refused.status == 400, refused.head
for name in "evil.example", "127.0.0.1.evil.example:80":
    try:
        WebSocket(url, headers=[f"Origin: http://{name}"], host=name)
        sys.exit("let in by another name")
    except Refused as refused:
        assert refused.status == 403, refused.head
try:
    WebSocket(url, headers=["Origin: https://evil.example"])
    sys.exit("let in from another site")
except Refused as refused:
    assert refused.status == 403, refused.head
PYTHON
    stop
}

# logged PATTERN: a line of the log is that request.
logged() { grep -Eq "server: $1" ../server.log; }

test_requests_are_logged() {
    serve --log-level debug --max-body 4k --username alice --password right-one
    answers 200 GET '/healthz?token=hush'
    answers 200 GET /api/v1/settings -u alice:right-one
    answers 401 GET /
    answers 404 GET '/no%1b%5b0m' -u alice:right-one
    head -c 100000 /dev/zero | tr '\0' ' ' >large
    answers 413 POST /api/v1/pipelines/validate -u alice:right-one -d @large
    python <<'PYTHON'
import sys
from websocket import *
url = sys.argv[1]
with WebSocket(url.replace("//", "//alice:right-one@"), "runner.v2") as ws:
    ws.send(type="ping", payload="x")
    ws.receive()
    ws.send_frame(CLOSE, b"")
    ws.receive_frame()
try:
    WebSocket(url)
except Refused:
    pass
PYTHON
    wait_for 20 logged 'GET /: 101, 29 bytes, [0-9]+ ms, 127.0.0.1, alice$'
    wait_for 20 logged 'GET /: 401, [0-9]+ bytes, [0-9]+ ms, 127.0.0.1, nobody$'
    stop
    logged 'GET /healthz: 200, [0-9]+ bytes, [0-9]+ ms, 127.0.0.1, nobody$'
    logged 'GET /api/v1/settings: 200, [0-9]+ bytes, [0-9]+ ms, 127.0.0.1, alice$'
    logged 'GET /no\\x1b\[0m: 404, [0-9]+ bytes, [0-9]+ ms, 127.0.0.1, alice$'
    logged 'POST /api/v1/pipelines/validate: 413, [0-9]+ bytes, [0-9]+ ms, 127.0.0.1, alice$'
    assert_eq 2 "$(grep -c 'server: GET /: 401,' ../server.log)"
    assert_not_contains "$(<../server.log)" hush
    assert_not_contains "$(<../server.log)" right-one
    serve
    answers 200 GET /healthz
    stop
    assert_not_contains "$(<../server.log)" "GET"
}

# --- bad clients ---------------------------------------------------------------------------------

test_requests_that_make_no_sense() {
    serve --max-body 4k
    answers 400 GET /api/v1/pipelines/%00/logs
    answers 400 GET "/api/v1/pipelines?search=%ff"
    answers 404 GET /api/v1/../../../../etc/passwd
    answers 404 GET /console/..%2f..%2f..%2fetc%2fpasswd
    answers 404 GET "/$(printf 'a%.0s' {1..7000})"
    head -c 5000 /dev/zero | tr '\0' ' ' >large
    answers 413 POST /api/v1/pipelines/validate -d @large
    upgrade=(-H "Connection: Upgrade" -H "Upgrade: websocket" -H "Sec-WebSocket-Version: 13")
    answers 400 GET / "${upgrade[@]}"
    answers 426 GET / "${upgrade[@]::4}" -H "Sec-WebSocket-Version: 8" -H "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    assert_contains "$head" "sec-websocket-version: 13"
    answers 411 POST /api/v1/settings -H "Transfer-Encoding: chunked" -d '{}'
    python <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port

def talk(data):
    """The status, or None when the connection just ends."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                answer += chunk
        except TimeoutError:
            raise
        except OSError:
            pass
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else None

for bad in [b"\0" * 100, b"\r\n\r\n", b"HELLO\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 100000 + b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20000 + b"\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]:
    status = talk(bad)
    assert status is None or status >= 400, (bad[:40], status)
for head in (b"Host: x\r\nTransfer-Encoding : chunked", b"Host: x\r\nContent-Length  : 5", b"Host: x\r\nHost: y",
             b"Accept: b", b"Host: x\r\nHost:"):
    for path in b"/healthz", b"/":
        assert talk(b"GET " + path + b" HTTP/1.1\r\n" + head + b"\r\n\r\n") == 400, head
assert talk(b"GET / HTTP/1.0\r\n\r\n") == 200
for length in b"-1", b"1e3", b"0x10", b"99999999999999999999", b"5, 5":
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        s.sendall(b"POST /api/v1/settings HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
        answer = s.recv(65536)
    assert answer.split()[1] in (b"400", b"413"), (length, answer)
# One request behind the other are answered in their order.
with socket.create_connection(("127.0.0.1", port), 30) as s:
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /no HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while chunk := s.recv(65536):
        answer += chunk
    assert answer.count(b"HTTP/1.1 200") == 3 and b"HTTP/1.1 404" in answer.split(b"HTTP/1.1 200")[3], answer
PYTHON
    described GET /healthz 200
    assert_match "$head" 'date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8} GMT'
    stop
}

# No pipeline file has more than 16 MiB, whatever else a request may have.
test_files_that_are_too_large() {
    serve --max-body 20m
    { pipeline large 'echo hi'; printf '# %0*d' $((16 << 20)) 0; } >large
    jq -Rsc '{config: ., detach: true}' large >large.json
    described POST /api/v1/pipelines/run 413 -d @large.json
    assert_contains "$body" "the pipeline file has $(stat -c %s large) bytes, and may have 16 MiB"
    python <<'PYTHON'
import sys
from websocket import *
with WebSocket(sys.argv[1], "runner.v2") as ws:
    ws.send(type="run", payload=open("large").read())
    answer = ws.receive()
    assert answer["type"] == "error" and "and may have 16 MiB" in answer["payload"], answer
PYTHON
    stop
}

# Who is still sending when it is refused sees why, and not that the connection is reset; for a while.
test_refusals_that_are_not_awaited() {
    serve --max-body 4k
    python <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port

def talk(path, size, *headers):
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", *headers]
        s.sendall("\r\n".join([*lines, "", ""]).encode())
        sent = 0
        try:
            while sent < size:
                s.sendall(b"x" * 65536)
                sent += 65536
        except OSError:
            return sent
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
        return answer

for size in 100000, 20 << 20:
    for path, status in (("/api/v1/pipelines/validate", b"413"), ("/no", b"404")):
        answer = talk(path, size, f"Content-Length: {size}")
        assert answer.split()[1] == status, (size, path, answer)
    answer = talk("/api/v1/pipelines/validate", size, "Transfer-Encoding: chunked")
    assert answer.split()[1] == b"411", (size, answer)
# Not for ever.
size = 1 << 30
sent = talk("/no", size, f"Content-Length: {size}")
assert isinstance(sent, int) and 64 << 20 <= sent < 128 << 20, sent
PYTHON
    described GET /healthz 200
    stop
}

# What comes behind a request before it is answered: it may not have a body.
test_requests_that_do_not_wait() {
    serve
    python <<'PYTHON'
import re, socket, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port
first = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

def post(path, size, *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: a", *headers]
    return "\r\n".join([*lines, f"Content-Length: {size}" if size else "A: b", "", ""]).encode()

def talk(*pieces):
    """The statuses that come when each piece is sent behind an answer to the one before."""
    answers = b""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        for i, piece in enumerate(pieces):
            try:
                s.sendall(piece)
                if i == len(pieces) - 1:
                    s.shutdown(socket.SHUT_WR)
                while chunk := s.recv(65536):
                    answers += chunk
                    if i < len(pieces) - 1:
                        break
            except TimeoutError:
                raise
            except OSError:
                pass
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]

validate = "/api/v1/pipelines/validate"
for path in "/no", validate:
    for size, body in (1, b"xY"), (10, b"x" * 10), (30000, b"x" * 30000), (50, b"x"), (0, b"xyz"):
        got = talk(first + post(path, size) + body)
        # A body that nobody reads may take the answers with it.
        assert got in ([200, 400], [200], []), (path, size, got)
        assert talk(first, first) == [200, 200], (path, size)
assert talk(first + post("/no", 1) + b"xY") == [200, 400]
# Who waits may send what he likes; and so it is when no more than a part of the head was there.
assert talk(first, post(validate, 2) + b"{}", first) == [200, 400, 200]
head = post(validate, 2)
assert talk(first + head[:9], head[9:] + b"{}", first) == [200, 400, 200]
assert talk(post(validate, 2) + b"{}" + first) == [400, 200]
# What nobody knows how to become ends the connection.
for name in b"foo", b"h2c2":
    other = first.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: " + name + b"\r\nHost")
    for behind in b"", first:
        assert talk(first, other + behind) == [200, 403], name
        assert talk(first + other + behind) == [200, 403], name
        assert talk(other + behind) == [403], name
PYTHON
    described GET /healthz 200
    stop
}

# What lies behind a request whose answer is not read keeps nobody busy until it is.
test_answers_that_are_not_read() {
    serve
    python "$server" <<'PYTHON'
import fcntl, os, socket, struct, sys, termios, time
from urllib.parse import urlsplit
port, server = urlsplit(sys.argv[1]).port, int(sys.argv[2])
COUNT = 400

def used():
    """Seconds of the processor."""
    with open(f"/proc/{server}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

def inside(s):
    return struct.unpack("i", fcntl.ioctl(s, termios.FIONREAD, b"    "))[0]

with socket.socket() as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.settimeout(30)
    s.connect(("127.0.0.1", port))
    s.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * COUNT)
    while not inside(s):
        time.sleep(0.05)
    # It fills what there is of buffers, for as long as that takes it, and then it rests.
    for _ in range(50):
        start = used()
        time.sleep(0.7)
        spent = used() - start
        if spent < 0.1:
            break
    got = b""
    while len(got) < COUNT * 40000 or got.count(b"HTTP/1.1 200") < COUNT or not got.endswith(b"\n}\n"):
        chunk = s.recv(1 << 20)
        assert chunk, len(got)
        got += chunk
    assert spent < 0.1, spent
PYTHON
    stop
}

test_websocket_frames_that_make_no_sense() {
    serve --max-body 4k
    python <<'PYTHON'
import sys
from websocket import *
url = sys.argv[1]

def closes(code, *frames):
    with WebSocket(url, "runner.v2") as ws:
        try:
            for frame in frames:
                ws.send_frame(*frame[:2], **(frame[2] if len(frame) > 2 else {}))
            while ws.receive_frame()[0] != CLOSE:
                pass
        except (EOFError, ConnectionError):
            pass
        assert code is None or ws.close_code in (code, None), (frames[0][0], ws.close_code)

closes(1003, (BINARY, b"x"))
closes(1007, (TEXT, b"\xff\xfe"))
closes(1009, (TEXT, b"x" * 200000))
closes(None, (3, b"reserved"))
closes(None, (PING, b"x" * 126))
with WebSocket(url, "runner.v2") as ws:
    for bad in (b"{", b"[]", b"1", b'{"type": 1}', b'{"type": "run", "payload": {}}',
                b'{"type": "run", "payload": "a\\u0000b"}'):
        ws.send_frame(TEXT, bad)
        assert ws.receive()["type"] == "error", bad
    # In pieces, and with a ping in between.
    ws.send_frame(TEXT, b'{"type": "ping", ', final=False)
    ws.send_frame(PING, b"?")
    ws.send_frame(0, b'"payload": "whole"}')
    assert ws.receive() == {"type": "ping", "payload": "whole"}
with WebSocket(url, "runner.v2") as ws:
    ws.send(type="cancel", payload="x", reason="r" * 1001)
    assert "at most 1000 bytes" in ws.receive()["payload"]
# Subprotocols that nobody serves.
for name in "runner-listen", "listen", "http", "nobody":
    try:
        with WebSocket(url, name) as ws:
            assert ws.subprotocol is None, name
            ws.send(type="ping", payload="x")
            assert ws.receive() == {"type": "ping", "payload": "x"}, name
    except (EOFError, ConnectionError, Refused):
        pass
# Who asks without end, and reads nothing, does not fill the memory.
with WebSocket(url, "runner.v2", timeout=10) as ws:
    try:
        for _ in range(20000):
            ws.send(type="ping", payload="x" * 1000)
    except (ConnectionError, TimeoutError):
        pass
PYTHON
    described GET /healthz 200
    stop
}

# A head that does not come to its end, and an address that asks too often.
test_clients_that_are_slow() {
    # So few that even a slow machine asks more often; those below take five of the ten that may come at once.
    serve --rate-limit 5 --max-connections 50 --max-strangers 0
    python "$server" <<'PYTHON'
import http.client, os, socket, sys, time
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port
open_files = lambda: len(os.listdir(f"/proc/{sys.argv[2]}/fd"))
# Those that are refused, and say no more of what they have announced, are closed like them.
alone = open_files()
refused = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(5)]
for s in refused:
    s.sendall(b"POST /no HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n")
    while s.recv(1000):
        pass
assert open_files() == alone + 5
slow = []
for _ in range(20):
    s = socket.create_connection(("127.0.0.1", port), 60)
    s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nA: ")
    slow.append(s)
# Others are served all the same, as far as they may ask.
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
seen = set()
for _ in range(100000):
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    response.read()
    seen.add(response.status)
    if response.status == 429:
        break
assert seen == {200, 429}, seen
assert int(response.headers["Retry-After"]) > 0
# More connections than there may be are closed: 26 are there.
more = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(34)]
closed = 0
for s in reversed(more):
    s.settimeout(60 if closed < 10 else 0)
    try:
        closed += s.recv(1) == b""
    except ConnectionError:
        closed += 1
    except BlockingIOError:
        pass
assert closed == 10, closed
# And the slow ones are not waited for for ever.
for s in slow:
    s.settimeout(60)
    try:
        while s.recv(1000):
            pass
    except ConnectionError:
        pass
connection.close()
for s in more:
    s.close()
deadline = time.monotonic() + 40
while open_files() > alone:
    assert time.monotonic() < deadline, (open_files(), alone)
    time.sleep(0.1)
PYTHON
    stop
}

# More connections that say nothing than there are streams of HTTP/2: others are served.
test_clients_that_say_nothing() {
    ulimit -n 8000
    serve --max-strangers 0
    python <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port
crowd = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(2200)]
with socket.create_connection(("127.0.0.1", port), 60) as s:
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 200 " in s.recv(1000)
PYTHON
    stop
}

# An address has no more connections than so many that were not let in, and as many others as there may be.
test_strangers() {
    serve --max-strangers 3 --username alice --password right-one
    python <<'PYTHON'
import http.client, socket, sys
from base64 import b64encode
from urllib.parse import urlsplit
from websocket import *
port = urlsplit(sys.argv[1]).port
mine = {"Authorization": "Basic " + b64encode(b"alice:right-one").decode()}

def ask(headers={}, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    response.read()
    return connection, response.status

def is_refused(headers=mine):
    try:
        ask(headers)
    except (ConnectionError, http.client.HTTPException):
        return True
    return False

known = [ask(mine) for _ in range(10)]
assert [status for _, status in known] == [200] * 10
followers = [WebSocket(sys.argv[1].replace("//", "//alice:right-one@")) for _ in range(5)]
strangers = [ask(), ask(path="/healthz"), (socket.create_connection(("127.0.0.1", port), 20), None)]
assert [status for _, status in strangers] == [401, 200, None]
assert is_refused()
# One that is let in makes room, and so does one that goes.
strangers[0][0].request("GET", "/", headers=mine)
response = strangers[0][0].getresponse()
response.read()
assert response.status == 200
assert ask(mine)[1] == 200
strangers.append(ask())
assert is_refused()
strangers[2][0].close()
while is_refused():
    pass
assert [c.request("GET", "/", headers=mine) or c.getresponse().status for c, _ in known] == [200] * 10
PYTHON
    stop
    # Where nobody has to show anything, whoever has asked something is let in.
    serve --max-strangers 1
    python <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit
crowd = []
for _ in range(5):
    s = socket.create_connection(("127.0.0.1", urlsplit(sys.argv[1]).port), 20)
    s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in s.recv(1000)
    crowd.append(s)
PYTHON
    stop
}

# Descriptors: those of connections are so many that some are left for what they ask.
test_few_descriptors() {
    serve_few() {
        ulimit -n 64
        exec "$RUNNER" server --host 127.0.0.1 --port 0 2>../server.log
    }
    serve_few &
    server=$!
    wait_for 20 listens
    port=$(sed -n 's/.*listening on .*:\([0-9]*\)$/\1/p' ../server.log)
    url=http://127.0.0.1:$port
    assert_contains "$(<../server.log)" "need more descriptors than the 64"
    python <<'PYTHON'
import socket, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port
ask = b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"
crowd = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(80)]
crowd[0].sendall(ask)
assert b" 200 " in crowd[0].recv(1000)
assert crowd[79].recv(1) == b""
PYTHON
    described GET /readyz 200
    stop
}

# Workers that wait for the store, and more requests than may wait for them.
test_more_to_do_than_can_be_done() {
    serve --rate-limit 0
    described GET /readyz 200
    python "$(submission hello 'echo hi')" ../history/runs.db <<'PYTHON'
import socket, sqlite3, sys
from urllib.parse import urlsplit
port = urlsplit(sys.argv[1]).port

# They are there before: nobody waits longer for the store than five seconds.
connections = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(610)]

def ask(method, path, body=""):
    s = connections.pop(0)
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    return s

def status(s):
    return s.recv(65536).split(b" ", 2)[1]

store = sqlite3.connect(sys.argv[3], isolation_level=None)
store.execute("BEGIN IMMEDIATE")
waiting = [ask("POST", "/api/v1/pipelines/run", sys.argv[2]) for _ in range(8)]
crowd = [ask("GET", "/readyz") for _ in range(600)]
assert status(ask("GET", "/healthz")) == b"200"
assert status(ask("GET", "/readyz")) == b"503"
store.execute("ROLLBACK")
assert [status(s) for s in waiting] == [b"202"] * 8
seen = [status(s) for s in crowd]
assert set(seen) == {b"200", b"503"} and seen.count(b"503") > 50, seen
PYTHON
    described GET /readyz 200
    stop
}

# --- where it listens ----------------------------------------------------------------------------

test_tls_and_http2() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem \
        -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 2>/dev/null
    serve --tls-cert cert.pem --tls-key key.pem
    url=https://127.0.0.1:$port
    described GET /healthz 200 --cacert cert.pem
    assert_contains "$head" "HTTP/2 200"
    described GET /healthz 200 --cacert cert.pem --http1.1
    assert_contains "$head" "HTTP/1.1 200"
    ask POST /api/v1/pipelines/run --cacert cert.pem -d "$(submission hello 'seq 1 20000')"
    assert_eq 202 "$code"
    id=$(jq -r .id <<<"$body")
    curl -sS --cacert cert.pem "$url/api/v1/pipelines/$id/logs?follow=1" >events
    data_of stdout events | jq -j .text >got
    seq 1 20000 | cmp - got || fail "what was followed by HTTP/2 differs"
    # Many at a time on one connection.
    local -a parts=()
    for _ in {1..50}; do
        parts+=(-o /dev/null "$url/api/v1/pipelines/$id")
    done
    assert_eq 50 "$(curl -sS --cacert cert.pem --parallel -w '%{http_code}\n' "${parts[@]}" | grep -c 200)"
    described POST /api/v1/pipelines/run 200 --cacert cert.pem -d "$(as_config "$(pipeline x 'echo')")"
    assert_eq "wss://127.0.0.1:$port/" "$(jq -r .ws_url <<<"$body")"
    ! curl -sS --cacert cert.pem --tls-max 1.1 "$url/healthz" 2>/dev/null || fail "TLS 1.1 is accepted"
    assert_eq "" "$(curl -sS "http://127.0.0.1:$port/healthz" 2>/dev/null || true)" "the answer without TLS"
    stop
    assert_exit 1 "$RUNNER" server --host 127.0.0.1 --port 0 --tls-cert cert.pem --tls-key cert.pem
    assert_contains "$stderr" "look whether they are PEM files that belong together"
}

test_unix_socket() {
    launch --listen "unix://$PWD/s"
    assert_eq "srw-------" "$(stat -c %A s)"
    assert_not_contains "$(<../server.log)" "http://"
    url=http://runner
    described GET /healthz 200 --unix-socket s
    assert_contains "$head" "connection: close"
    assert_exit 1 "$RUNNER" server --listen "unix://$PWD/s"
    assert_contains "$stderr" "--listen: another process listens on $PWD/s already"
    kill -KILL "$server"
    wait "$server" || true
    # What is left of one that was killed is no matter.
    launch --listen "unix://$PWD/s"
    described GET /healthz 200 --unix-socket s
    stop
    [[ ! -e s ]] || fail "the socket is still there"
    touch file
    assert_exit 1 "$RUNNER" server --listen "unix://$PWD/file"
    assert_contains "$stderr" "is there, and no socket"
}

# refused TEXT OPTION…: the server does not begin, and says why.
refused() {
    assert_exit 2 "$RUNNER" server "${@:2}"
    assert_contains "$stderr" "$1"
}

test_options_that_make_no_sense() {
    refused "--port is at most 65535" --port 70000
    refused "--path begins with /" --path ws
    refused "--listen takes unix:///PATH" --listen tcp://x
    refused "go together" --tls-cert x
    refused "--max-body is from 1k to 1g" --max-body 3
    refused "--max-strangers is at most 60000" --max-strangers 60001
    refused "both given" --password x --password-file y
    refused "--password-file" --password-file /nonexistent
    serve
    assert_exit 1 "$RUNNER" server --host 127.0.0.1 --port "$port" --history ../other
    assert_contains "$stderr" "port $port of 127.0.0.1"
    stop
}

run_tests "$@"
