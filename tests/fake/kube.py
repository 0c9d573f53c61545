#!/usr/bin/env python3
"""A Kubernetes API server that misbehaves on demand.

    kube.py        listens on a port of 127.0.0.1, prints it, serves until stdin ends

What it does is the namespace of the request's path. In any, GET /requests/NS answers with how many
requests there were, and GET /posted/NS with the last pod that was to be created.

    busy-N       429 with Retry-After: 0 for the first N requests, then success
    busySECONDS-N
                 429 with Retry-After: SECONDS likewise
    away...-N    503 likewise
    told...-N    500 likewise, with the seconds in the Status only
    later-N      500 with Retry-After: 0 likewise
    error-N      500 likewise, without it
    reset-N      resets the connection for the first N requests
    plain        503 with text that is no Status
    notjson      200 with text
    expired      a list whose second page is refused with 410; whole without a limit
    cut          a watch that breaks in the middle of events, then forgets its versions
    unfit        watches that end at once
    forbidden    a watch that is refused
    busy-watch   a watch that is refused by 429 with Retry-After: 8 once, then held
    polled       a watch that is refused, and so are events; of the lists of pods the first has none,
                 the second neither, the third has "p", the others have none. Each but the first is
                 answered when there was a GET /release/polled for it.
    token        401 but for the token "good"
    gone         there is no such namespace
    hidden       one may not see whether there is
    full         pods are not created

The version is 1.20, or what a token "version MAJOR MINOR GITVERSION" says; "-" is empty.

Whether something is allowed (SelfSubjectAccessReview) depends on the namespace that is asked about:

    open         everything
    steps        everything but events and volumes
    mute         everything but to exec
    broken       500
    …            nothing

Commands are run (exec) by their name:

    cat          v5: gives standard input back until its end
    old          speaks v4 only; gives one message back
    exit-N       ends with code N
    internal     could not be run
    lost         output, then the connection is gone
    silent       no Status, but a Close frame
    abrupt       a Status, and no Close frame
    foreign      accepts no protocol
    denied       403 with a Status

CONNECT HOST:PORT makes it a proxy.
"""
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import threading
from urllib.parse import parse_qs, urlsplit

counts = {}
posted = {}
released = threading.Semaphore(0)
lock = threading.Lock()


def count(name):
    """How often there was a request of that name before."""
    with lock:
        counts[name] = counts.get(name, 0) + 1
        return counts[name] - 1


def answer(conn, status, body, headers=()):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    conn.sendall("\r\n".join(lines).encode() + body)


def status(code, reason, message, **more):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": message, **more}


def pod(name, version, uid=None):
    return {"metadata": {"name": name, "namespace": "x", "uid": uid or name + "-uid",
                         "resourceVersion": str(version)}}


def pods(version, *items, more=None):
    meta = {"resourceVersion": str(version)}
    if more:
        meta["continue"] = more
    return {"kind": "PodList", "apiVersion": "v1", "metadata": meta, "items": list(items)}


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


# --- watches ---

def chunk(conn, data):
    conn.sendall(b"%x\r\n" % len(data) + data + b"\r\n")


def event(kind, thing):
    return json.dumps({"type": kind, "object": thing}).encode() + b"\n"


def stream(conn):
    conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def end(conn):
    conn.sendall(b"0\r\n\r\n")
    return True


def hold(conn):
    while conn.recv(4096):
        pass
    return False


def cut_watch(conn, version):
    stream(conn)
    if version == "10":
        chunk(conn, event("MODIFIED", pod("a", 11)) + event("MODIFIED", pod("b", 12))[:30])
        return False
    if version == "11":
        chunk(conn, event("MODIFIED", pod("a", 11)))
        chunk(conn, event("MODIFIED", pod("b", 12)) + event("DELETED", pod("b", 13)))
        chunk(conn, event("ERROR", status(410, "Expired", "too old resource version")))
        return end(conn)
    if version == "20":
        chunk(conn, event("BOOKMARK", pod("", 25)))
        return end(conn)
    if version == "25":
        chunk(conn, event("MODIFIED", pod("d", 26)))
        return hold(conn)
    chunk(conn, event("ADDED", pod("unexpected-" + version, 99)))
    return hold(conn)


def cut_list(turn):
    """At first a, b, c; after the 410 a as it was, c anew with another uid, d; b and e are gone."""
    if turn == 0:
        return pods(10, pod("a", 9), pod("b", 9), pod("c", 9), pod("e", 9))
    return pods(20, pod("a", 11), pod("c", 15, "c-again"), pod("d", 16))


def watched(conn, ns, query):
    version = query.get("resourceVersion", [""])[0]
    if ns == "cut":
        return cut_watch(conn, version)
    if ns in ("forbidden", "polled"):
        answer(conn, 403, status(403, "Forbidden", "pods is forbidden"))
        return True
    if ns == "busy-watch":
        if count("busy-watch") == 1:  # behind the list
            answer(conn, 429, status(429, "TooManyRequests", "slow down"), ["Retry-After: 8"])
            return True
        stream(conn)
        chunk(conn, event("ADDED", pod("late", 8)))
        return hold(conn)
    stream(conn)
    return end(conn)


# --- exec ---

def send(conn, opcode, data):
    head = bytes([0x80 | opcode])
    head += bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    conn.sendall(head + data)


def read_exactly(conn, size):
    data = b""
    while len(data) < size:
        part = conn.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def receive(conn):
    head = read_exactly(conn, 2)
    size = head[1] & 127
    if size == 126:
        size = struct.unpack(">H", read_exactly(conn, 2))[0]
    mask = read_exactly(conn, 4)
    data = bytes(b ^ mask[i % 4] for i, b in enumerate(read_exactly(conn, size)))
    return head[0] & 15, data


def finish(conn, code=0):
    if code:
        word = status(500, "NonZeroExitCode", f"command terminated with exit code {code}",
                      details={"causes": [{"reason": "ExitCode", "message": str(code)}]})
    else:
        word = {"metadata": {}, "status": "Success"}
    send(conn, 2, b"\x03" + json.dumps(word).encode())


def run(conn, command, query):
    send(conn, 2, b"\x01")
    if command == "cat":
        while True:
            opcode, data = receive(conn)
            if opcode == 2 and data[:1] == b"\xff":
                send(conn, 2, b"\x02closed %d" % data[1])
                break
            if opcode == 2:
                send(conn, 2, b"\x01" + data[1:])
    elif command == "old":
        send(conn, 2, b"\x01" + receive(conn)[1][1:])
    elif command == "internal":
        send(conn, 2, b"\x03" + json.dumps(status(500, "InternalError", "no such container")).encode())
        send(conn, 8, struct.pack(">H", 1000))
        return
    elif command == "lost":
        send(conn, 2, b"\x01half")
        return
    elif command == "silent":
        send(conn, 8, struct.pack(">H", 1011) + b"sorry")
        return
    elif command == "args":
        send(conn, 2, b"\x01" + json.dumps(query, sort_keys=True).encode())
    finish(conn, int(command[5:]) if command.startswith("exit-") else 0)
    if command != "abrupt":
        send(conn, 8, struct.pack(">H", 1000))


def execute(conn, query, headers):
    command = query["command"][0]
    if command == "denied":
        answer(conn, 403, status(403, "Forbidden", "pods \"p\" is forbidden: cannot exec"))
        return
    offered = [p.strip() for p in headers.get("sec-websocket-protocol", "").split(",")]
    chosen = {"old": "v4.channel.k8s.io", "foreign": ""}.get(command, "v5.channel.k8s.io")
    if chosen and chosen not in offered:
        answer(conn, 403, b"not offered")
        return
    key = headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Accept: {accept}"]
    if chosen:
        lines.append(f"Sec-WebSocket-Protocol: {chosen}")
    conn.sendall("\r\n".join([*lines, "", ""]).encode())
    run(conn, command, query)


# --- requests ---

def review(conn, body):
    asked = json.loads(body)["spec"]["resourceAttributes"]
    ns, resource = asked["namespace"], asked["resource"]
    if ns == "broken":
        answer(conn, 400, status(400, "BadRequest", "cannot think"))
        return
    allowed = ns == "open"
    allowed |= ns == "steps" and resource not in ("events", "persistentvolumeclaims")
    allowed |= ns == "mute" and asked.get("subresource") != "exec"
    answer(conn, 201, {"status": {"allowed": allowed}})


def tunnel(conn, target):
    host, port = target.rsplit(":", 1)
    other = socket.create_connection((host, int(port)))
    conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    back = threading.Thread(target=pump, args=(other, conn), daemon=True)
    back.start()
    pump(conn, other)
    back.join()
    other.close()


def unlucky(conn, ns, turn):
    """Whether the request was refused, as its namespace wants the first ones to be."""
    name, _, limit = ns.partition("-")
    if not limit.isdigit() or turn >= int(limit):
        return False
    seconds = name.lstrip("abcdefghijklmnopqrstuvwxyz") or "0"
    name = name.rstrip("0123456789")
    if name == "busy":
        answer(conn, 429, status(429, "TooManyRequests", "slow down"), [f"Retry-After: {seconds}"])
    elif name == "away":
        answer(conn, 503, b"upstream is away", [f"Retry-After: {seconds}"])
    elif name == "told":
        answer(conn, 500, status(500, "ServerTimeout", "try again",
                                 details={"retryAfterSeconds": int(seconds)}))
    elif name == "later":
        answer(conn, 500, status(500, "ServerTimeout", "try again"), ["Retry-After: 0"])
    elif name == "error":
        answer(conn, 500, status(500, "InternalError", "etcd is\nunhappy"))
    elif name == "reset":
        reset(conn)
    return True


def listed(conn, ns, query, turn):
    if ns == "expired":
        if "limit" not in query:
            answer(conn, 200, pods(5, *[pod(f"p{i}", 1) for i in range(5)]))
        elif "continue" in query:
            answer(conn, 410, status(410, "Expired", "the continue token is too old"))
        else:
            answer(conn, 200, pods(4, pod("p0", 1), more="next page"))
    elif ns == "cut":
        answer(conn, 200, cut_list(turn))
    elif ns == "polled":
        if turn:
            released.acquire()
        answer(conn, 200, pods(turn + 1, *([pod("p", 1)] if turn == 2 else [])))
    else:
        answer(conn, 200, pods(7))


def version(headers):
    words = headers.get("authorization", "").split(" ")[1:]
    if words[:1] != ["version"]:
        return {"major": "1", "minor": "20", "gitVersion": "v1.20.2"}
    return dict(zip(("major", "minor", "gitVersion"), ("" if w == "-" else w for w in words[1:])))


def request(conn, method, target, headers, body):
    parts = urlsplit(target)
    query = parse_qs(parts.query)
    words = parts.path.strip("/").split("/")
    if words[0] == "requests":
        answer(conn, 200, {"count": counts.get(words[1], 0)})
        return True
    if words[0] == "posted":
        answer(conn, 200, posted.get(words[1], b"null"))
        return True
    if words[0] == "release":
        released.release()
        answer(conn, 200, {})
        return True
    ns = words[3] if len(words) > 3 else ""
    if words[-1] == "exec":
        execute(conn, query, headers)
        return False
    if words[-1] == "selfsubjectaccessreviews":
        review(conn, body)
        return True
    if words[0] == "version":
        answer(conn, 200, version(headers))
        return True
    if words[2:] == ["namespaces", "gone"]:
        answer(conn, 404, status(404, "NotFound", 'namespaces "gone" not found'))
        return True
    if words[2:] == ["namespaces", "hidden"]:
        answer(conn, 403, status(403, "Forbidden", "namespaces is forbidden"))
        return True
    if "watch" in query:
        return watched(conn, ns, query)
    if ns == "polled" and words[-1] == "events":
        answer(conn, 403, status(403, "Forbidden", "events is forbidden"))
        return True
    turn = count(ns)
    if method == "POST" and words[-1] == "pods":
        posted[ns] = body
        if ns == "full":
            answer(conn, 403, status(403, "Forbidden", "there is no room"))
            return True
    if unlucky(conn, ns, turn):
        return not ns.startswith("reset")
    if ns == "plain":
        answer(conn, 503, b"upstream\nis away\n")
    elif ns == "notjson":
        answer(conn, 200, b"hello")
    elif ns == "token" and headers.get("authorization") != "Bearer good":
        answer(conn, 401, status(401, "Unauthorized", "Unauthorized"))
    elif method == "GET" and len(words) == 5:
        listed(conn, ns, query, turn)
    else:
        answer(conn, 200, pod("x", 1))
    return True


def serve(conn):
    data = b""
    try:
        while True:
            while b"\r\n\r\n" not in data:
                part = conn.recv(65536)
                if not part:
                    return
                data += part
            head, data = data.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            size = int(headers.get("content-length", 0))
            while len(data) < size:
                data += conn.recv(65536)
            body, data = data[:size], data[size:]
            if method == "CONNECT":
                count("proxy")
                tunnel(conn, target)
                return
            if not request(conn, method, target, headers, body):
                return
    except OSError:
        pass
    finally:
        conn.close()


def main():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept():
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    sys.stdin.read()
    os._exit(0)


main()
