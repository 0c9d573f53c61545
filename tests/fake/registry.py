#!/usr/bin/env python3
"""A registry that is too busy or too slow: the real one behind it, except that the first N requests
for manifests are answered with 429.

    registry.py UPSTREAM N [DIRECTORY]      prints its address, serves until standard input ends

With a DIRECTORY the repository NAME/REST is REST of the real one, so that there is any number of
images; requests for its manifests are noted as lines "METHOD NAME" in DIRECTORY/requests, and wait
while DIRECTORY/hold-NAME exists.
"""
import http.client
import http.server
import os
import sys
import threading
import time

upstream, left = sys.argv[1], int(sys.argv[2])
directory = sys.argv[3] if len(sys.argv) > 3 else None
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def rename(self):
        _, version, name, rest = self.path.split("/", 3)
        self.path = f"/{version}/{rest}"
        if "/manifests/" not in rest:
            return
        with lock, open(f"{directory}/requests", "a") as log:
            log.write(f"{self.command} {name}\n")
        while os.path.exists(f"{directory}/hold-{name}"):
            time.sleep(0.05)

    def forward(self):
        global left
        if directory and self.path.count("/") > 2:
            self.rename()
        with lock:
            busy = "/manifests/" in self.path and left > 0
            left -= busy
        if busy:
            body = b'{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}'
            self.send_response(429)
            self.send_header("Content-Type", "application/json")
        else:
            back = http.client.HTTPConnection(upstream)
            back.request(self.command, self.path, headers=dict(self.headers))
            answer = back.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
        length = len(body) if self.command != "HEAD" or busy else answer.getheader("Content-Length", 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = forward

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(f"127.0.0.1:{server.server_port}", flush=True)
sys.stdin.read()
