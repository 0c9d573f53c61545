#!/usr/bin/env bash
# The server by WebSocket: without a subprotocol, and with runner.v2.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../rest.sh
source "$sources/tests/rest.sh"
# shellcheck disable=SC2034
needs_daemon=no

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

run_tests "$@"
