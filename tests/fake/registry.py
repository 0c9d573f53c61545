#!/usr/bin/env python3
"""A registry that is too busy: the real one behind it, except that the first N requests for
manifests are answered with 429.

    registry.py UPSTREAM N      prints its address, serves until standard input ends
"""
import http.client
import http.server
import sys
import threading

upstream, left = sys.argv[1], int(sys.argv[2])
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        global left
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
