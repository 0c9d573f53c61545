#!/usr/bin/env bash
# Clients of the server that are wrong, slow, silent, or too many.
source "$(dirname "$0")/../lib.sh"
# shellcheck source=../rest.sh
source "$sources/tests/rest.sh"
# shellcheck disable=SC2034
needs_daemon=no
# shellcheck disable=SC2034
declare -A case_timeout=([test_clients_that_are_slow]=120)

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

run_tests "$@"
