#!/usr/bin/env bash
# The server: what it says of runs, what it does with them, and where it listens.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../rest.sh
source "$sources/tests/rest.sh"
# shellcheck disable=SC2034
needs_daemon=no

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
