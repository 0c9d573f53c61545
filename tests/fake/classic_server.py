#!/usr/bin/env python3
"""A server of pipelines that does not speak runner.v2, as far as a client asks it.

    classic_server.py STATUS       listens on 127.0.0.1, prints its port, serves until standard
                                   input ends

Runs nothing: a submission is answered with "done" as soon as it is queued, becomes running, prints
some lines, and ends with STATUS, or when it is cancelled. The user is "user", with password "word".
While the file "hidden" is in its directory, the list of runs is empty; while "shut" is there, all
requests are answered with 503.
"""
import base64
import hashlib
import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

STATUS = sys.argv[1]
LINES = 5
PAUSE = 0.1
LOGIN = "Basic " + base64.b64encode(b"user:word").decode()

runs = {}


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + ".123456789Z"


def play(run):
    run["status"] = "running"
    for number in range(1, LINES + 1):
        run["logs"].append({"type": "stderr" if number == 3 else "stdout",
                            "message": f"line {number}\n", "timestamp": now()})
        time.sleep(PAUSE)
        if run["status"] != "running":
            return
    while STATUS == "running" and run["status"] == "running":
        time.sleep(PAUSE)
    if run["status"] == "running":
        run["status"] = STATUS
        if STATUS == "failed":
            run["error"] = "step x failed: exit status 7"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def allowed(self):
        if os.path.exists("shut"):
            self.answer(503, {"error": "shut"})
        elif self.headers.get("Authorization") != LOGIN:
            self.answer(401, {})
        else:
            return True
        return False

    def frame(self, kind, payload):
        data = json.dumps({"type": kind, "payload": payload}).encode()
        size = [len(data)] if len(data) < 126 else [126, *len(data).to_bytes(2, "big")]
        self.wfile.write(bytes([0x81, *size]) + data)

    def message(self):
        """The next text, or None: of up to 64 KiB, and never in fragments."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 15 != 1:
            return None
        size = head[1] & 127
        if size == 126:
            size = int.from_bytes(self.rfile.read(2), "big")
        mask = self.rfile.read(4)
        return bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))

    def websocket(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept",
                         base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while text := self.message():
            run = json.loads(text)
            if "refuse" in run["payload"]:
                self.frame("error", "failed to decode run action")
                continue
            identity = f"run-{len(runs) + 1}"
            runs[identity] = {"id": identity, "name": "x", "status": "pending", "error": "",
                              "yaml": run["payload"], "started_at": now(), "logs": []}
            threading.Thread(target=play, args=(runs[identity],), daemon=True).start()
            self.frame("done", "")

    def do_GET(self):
        if not self.allowed():
            return
        url = urllib.parse.urlparse(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = url.path.strip("/").split("/")
        if self.headers.get("Upgrade") == "websocket":
            self.websocket()
        elif parts == ["api", "v1", "pipelines"]:
            known = [] if os.path.exists("hidden") else list(reversed(runs.values()))
            self.answer(200, {"data": known, "total": len(known)})
        elif len(parts) > 3 and parts[3] in runs and parts[4:] == ["logs"]:
            logs, offset = list(runs[parts[3]]["logs"]), int(query.get("offset", 0))
            # An offset that is not within them is not looked at.
            self.answer(200, {"data": logs[offset:] if 0 < offset < len(logs) else logs,
                              "total": len(logs)})
        elif len(parts) == 4 and parts[3] in runs:
            self.answer(200, runs[parts[3]])
        else:
            self.answer(404, {"error": "pipeline not found"})

    def do_POST(self):
        parts = self.path.strip("/").split("/")
        if self.headers.get("Content-Type") != "application/json":
            self.answer(400, {"error": "content-type is not json"})
        elif self.allowed() and parts[4:] == ["cancel"]:
            runs[parts[3]].update(status="cancelled", error="cancelled by user")
            self.answer(200, {"message": "pipeline cancelled"})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
