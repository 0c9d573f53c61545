#!/usr/bin/env python3
"""A daemon's unix socket with somebody who acts between two requests.

    tapped_socket.py SOCKET UPSTREAM PATTERN COMMAND

Serves SOCKET by passing everything on to UPSTREAM; prints "ready", and ends with its standard input.
Before the first request whose first line matches PATTERN is passed on, COMMAND is run by a shell.
"""
import re
import socket
import subprocess
import sys
import threading

path, upstream, pattern, command = sys.argv[1:]
pattern = re.compile(pattern.encode())
lock = threading.Lock()
pending = [command]


def look_at(data):
    if not any(pattern.search(line) for line in data.split(b"\r\n") if line.endswith(b" HTTP/1.1")):
        return
    with lock:
        if pending:
            subprocess.run(pending.pop(), shell=True, check=True, stdout=subprocess.DEVNULL)


def send_on(source, target, watch):
    try:
        while data := source.recv(65536):
            if watch:
                look_at(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    server = socket.socket(socket.AF_UNIX)
    server.connect(upstream)
    threading.Thread(target=send_on, args=(server, client, False), daemon=True).start()
    send_on(client, server, True)


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(64)


def accept():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
