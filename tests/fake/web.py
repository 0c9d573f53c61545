#!/usr/bin/env python3
"""A server for steps to talk to, on a port of 127.0.0.1.

    web.py DIRECTORY [USER:PASSWORD]      prints its port, serves until standard input ends

/git/NAME serves the git repository DIRECTORY/NAME, with a password if there is one; the header
Authorization of each request becomes a line of DIRECTORY/authorizations. Any other request becomes a line of JSON in DIRECTORY/requests - method, path, headers, body - and is answered
with 200 "ok", or below /status/N with status N and "no, because".
"""
import base64
import http.server
import json
import os
import re
import subprocess
import sys
import threading

directory = os.path.abspath(sys.argv[1])
credentials = sys.argv[2] if len(sys.argv) > 2 else None
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def is_allowed(self):
        expected = "Basic " + base64.b64encode((credentials or "").encode()).decode()
        return not credentials or self.headers.get("Authorization") == expected

    def git(self):
        with lock, open(f"{directory}/authorizations", "a") as log:
            log.write(f"{self.headers.get('Authorization')}\n")
        if not self.is_allowed():
            self.answer(401, b"", [("WWW-Authenticate", 'Basic realm="git"')])
            return
        path, _, query = self.path.removeprefix("/git").partition("?")
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": directory,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=self.body(), env=environment,
                              stdout=subprocess.PIPE, check=True)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
        status = int(dict(headers).get("Status", "200").split()[0])
        self.answer(status, body, [h for h in headers if h[0] != "Status"])

    def record(self):
        request = {"method": self.command, "path": self.path, "headers": dict(self.headers),
                   "body": self.body().decode()}
        with lock, open(f"{directory}/requests", "a") as log:
            log.write(json.dumps(request) + "\n")
        status = re.match("/status/([0-9]+)", self.path)
        self.answer(int(status[1]), b"no, because") if status else self.answer(200, b"ok")

    def do_GET(self):
        self.git() if self.path.startswith("/git/") else self.record()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
