#!/usr/bin/env python3
"""The real S3 server behind a proxy that fails on purpose.

    s3.py UPSTREAM DIRECTORY      prints its address, serves until standard input ends

UPSTREAM is HOST:PORT. Each line of DIRECTORY/faults is one fault, used up by the first request
whose line "METHOD PATH?QUERY" holds its first word:

    MATCH status CODE S3CODE   refuse without asking the server, e.g. "PUT status 503 SlowDown"
    MATCH reset BYTES          read that much of the body, then reset the connection
    MATCH cut BYTES            answer with that much of the object, then reset the connection
    MATCH lose                 let the server do it, then reset instead of answering
    MATCH whole                answer with all of the last object that was read, status 200
    MATCH hang                 never answer
    MATCH swap TEXT OTHER      answer with OTHER wherever the server's answer has TEXT
    MATCH ok                   let it pass: for the faults of later ones

Requests are noted as lines "METHOD PATH?QUERY" in DIRECTORY/requests.
"""
import email.utils
import http.client
import http.server
import os
import socket
import struct
import sys
import threading
import time

upstream, directory = sys.argv[1:3]
lock = threading.Lock()


def take_fault(request):
    with lock:
        path = f"{directory}/faults"
        lines = open(path).read().splitlines() if os.path.exists(path) else []
        with open(f"{directory}/requests", "a") as log:
            print(request, file=log)
        for index, line in enumerate(lines):
            match, *action = line.split()
            if match in request:
                del lines[index]
                with open(path + ".new", "w") as out:
                    out.writelines(line + "\n" for line in lines)
                os.rename(path + ".new", path)
                return action
    return ["ok"]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    last = b""

    def reset(self):
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile._sock = None
        os.close(self.connection.detach())

    def refuse(self, status, code):
        message = {"RequestTimeTooSkewed": "The difference is too large."}.get(code, "On purpose.")
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.send_response_only(int(status))
        skew = 1200 if code == "RequestTimeTooSkewed" else 0
        self.send_header("Date", email.utils.formatdate(time.time() + skew, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def forward(self):
        action, *args = take_fault(f"{self.command} {self.path}")
        size = int(self.headers.get("Content-Length", 0))
        if action == "reset":
            self.rfile.read(min(size, int(args[0])))
            self.reset()
            return
        body = self.rfile.read(size)
        if action == "hang":
            self.rfile.read(1)
            self.close_connection = True
            return
        if action == "status":
            self.refuse(*args)
            return
        back = http.client.HTTPConnection(upstream)
        back.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            back.putheader(name, value)
        back.endheaders(body)
        answer = back.getresponse()
        data = answer.read()
        if self.command == "GET" and answer.status == 200:
            Handler.last = data
        if action == "whole":
            answer.status, data = 200, Handler.last
        if action == "swap":
            data = data.replace(args[0].encode(), args[1].encode())
        if action == "lose":
            self.reset()
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = len(data) if self.command != "HEAD" else answer.getheader("Content-Length", 0)
        if answer.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if action == "cut":
            self.wfile.write(data[: int(args[0])])
            self.wfile.flush()
            time.sleep(0.05)  # a reset would overtake the bytes
            self.reset()
        elif self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
server.handle_error = lambda *_: None
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
