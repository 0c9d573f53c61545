#!/usr/bin/env python3
"""A Docker daemon that misbehaves on demand.

    docker.py SOCKET        listens on the unix socket, prints "ready", serves until stdin ends

GET /_ping answers as API 1.41 would. Any other request does what the last component of its path,
or the name of the image that it pulls, says:

    status-N        answers with HTTP status N and a JSON message
    busy-N          429 with Retry-After: 0 for the first N requests, then success
    error-N         500 for the first N requests, then success
    reset-N         resets the connection for the first N requests, then success
    words-N         for the first N pulls a stream that ends with an error of the registry (429)
    denied          a pull stream that ends with a lasting error
    short           a body that ends before its Content-Length
    chunked         a chunked body without its end
    cut-N           the first N of the 89 bytes of a chunked answer, then closes
    nothing         closes without an answer
    garbage         an answer that is not HTTP
    notjson         200 with text
    big-N           N bytes of body
    hang            takes the request and never answers
    stall           headers and half a body, then nothing
    drip            a stream of JSON lines, byte by byte
    upgrade         101, then echoes
    early           101 with bytes right behind the headers, then echoes
    hijack          200 without length, then echoes
    refuse          409 with a JSON message to an upgrade
    refusechunked   the same in chunks, and the connection stays open
    refuselong      the same in one chunk of 100,000 bytes that never ends
    follow          200 in chunks that never end
    old             /_ping of API 1.24 (as a path: GET /old)
    held-N          a network that is not removed for the first N requests, because a container is
                    in it that does not exist; its name is told, too
"""
import os
import socket
import struct
import sys
import threading
import time

counts = {}
lock = threading.Lock()
REASONS = {200: "OK", 403: "Forbidden", 404: "Not Found", 409: "Conflict", 429: "Too Many Requests",
           500: "Internal Server Error", 503: "Service Unavailable"}


def answer(conn, status, body=b"", headers=(), length=None):
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'X')}",
             f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    conn.sendall("\r\n".join(lines).encode() + body)


def message(text):
    return ('{"message":"%s"}\n' % text).encode()


def take_turn(name):
    """How often the behaviour was asked for before."""
    with lock:
        counts[name] = counts.get(name, 0) + 1
        return counts[name] - 1


def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()


def echo(conn, status):
    head = "HTTP/1.1 101 UPGRADED\r\n" if status == 101 else "HTTP/1.1 200 OK\r\n"
    conn.sendall((head + "Content-Type: application/vnd.docker.raw-stream\r\n\r\n").encode())
    while data := conn.recv(65536):
        conn.sendall(data)
    conn.sendall(b"end")
    return False


def pulled(conn):
    lines = ['{"status":"Pulling from x","id":"1"}',
             '{"status":"Pulling fs layer","progressDetail":{},"id":"aa"}',
             '{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"aa"}',
             '{"status":"Pull complete","progressDetail":{},"id":"aa"}']
    answer(conn, 200, "\r\n".join(lines).encode())


def failing(kind, number, conn, name):
    if take_turn(name) >= number:
        pulled(conn)
        return True
    if kind == "busy":
        answer(conn, 429, message("slow down"), ["Retry-After: 0"])
    elif kind == "error":
        answer(conn, 500, message("boom"))
    elif kind == "reset":
        reset(conn)
        return False
    else:
        answer(conn, 200, b'{"status":"Pulling from x","id":"1"}\n'
               b'{"errorDetail":{"message":"toomanyrequests: limit"},"error":"toomanyrequests"}\n')
    return True


def held(conn, number, name, method):
    if method == "GET":
        answer(conn, 200, ('{"Id":"%s","Name":"%s","Containers":{"gone":{"Name":"was-here"}}}' %
                           (name, name)).encode())
    elif take_turn(name) < number:
        answer(conn, 403, message(f"error while removing network: {name} has active endpoints"))
    else:
        answer(conn, 204)


def drip(conn):
    body = b'{"status":"a"}\r\n{"status":"b"}\r\n'
    conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for byte in body:
        conn.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
    conn.sendall(b"0\r\n\r\n")
    return True


def behave(conn, name, method):
    kind, _, number = name.partition("-")
    number = int(number or 0)
    if kind in ("busy", "error", "reset", "words"):
        return failing(kind, number, conn, name)
    if kind == "status":
        answer(conn, number, message(f"status {number}"))
    elif kind == "denied":
        answer(conn, 200, b'{"error":"pull access denied, unauthorized: log in"}')
    elif kind == "short":
        answer(conn, 200, b"{}", length=10)
        return False
    elif kind == "chunked":
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        return False
    elif kind == "cut":
        whole = (b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"2\r\n{}\r\n2;x=y\r\n{}\r\n0\r\n\r\n")
        conn.sendall(whole[:number])
        return False
    elif kind == "nothing":
        return False
    elif kind == "garbage":
        conn.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        return False
    elif kind == "notjson":
        answer(conn, 200, b"<html>")
    elif kind == "big":
        answer(conn, 200, b"x" * number)
    elif kind == "hang":
        time.sleep(60)
    elif kind == "stall":
        answer(conn, 200, b"{", length=2)
        time.sleep(60)
    elif kind == "drip":
        return drip(conn)
    elif kind == "upgrade":
        return echo(conn, 101)
    elif kind == "early":
        conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"
                     b"HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nearly")
        while data := conn.recv(65536):
            conn.sendall(data)
        return False
    elif kind == "hijack":
        return echo(conn, 200)
    elif kind == "refuse":
        answer(conn, 409, message("container is not running"))
    elif kind == "refusechunked":
        conn.sendall(b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"1\r\n{\r\n")
        conn.sendall(b"1C;x=y\r\n\"message\":\"it does not run\"}\r\n0\r\n\r\n")
    elif kind == "refuselong":
        conn.sendall(b"HTTP/1.1 409 Conflict\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"186a0\r\n" + b"x" * 99999)
        time.sleep(60)
    elif kind == "follow":
        conn.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
        time.sleep(60)
    elif kind == "held":
        held(conn, number, name, method)
    elif kind == "old":
        answer(conn, 200, b"OK", ["Api-Version: 1.24"])
    else:
        answer(conn, 404, message(f"page not found: {name}"))
    return True


def read_request(stream):
    line = stream.readline().decode("latin-1")
    length = 0
    chunked = False
    while (header := stream.readline().decode("latin-1").strip()):
        key, _, value = header.partition(":")
        if key.lower() == "content-length":
            length = int(value)
        chunked |= key.lower() == "transfer-encoding" and "chunked" in value
    while chunked and (size := int(stream.readline(), 16)):
        stream.read(size + 2)
    stream.read(length)
    return line.split(" ")[:2] if line.strip() else None


def serve(conn):
    stream = conn.makefile("rb")
    try:
        while request := read_request(stream):
            method, path = request
            if path == "/_ping":
                answer(conn, 200, b"OK", ["Api-Version: 1.41"])
                continue
            name = path.partition("?")[0].rsplit("/", 1)[1]
            if "fromImage=" in path:
                name = path.partition("fromImage=")[2].partition("&")[0].rsplit("%2F", 1)[1]
            if not behave(conn, name, method):
                break
    except (OSError, ValueError):
        pass
    try:
        conn.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    conn.close()


def accept(listener):
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()


def main():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    os.unlink(sys.argv[1])


main()
