#!/usr/bin/env bash
# Who may use the server, from which pages, and what it notes of requests.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../rest.sh
source "$sources/tests/rest.sh"
# shellcheck disable=SC2034
needs_daemon=no

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

run_tests "$@"
