"""The floor under a container step: the Engine API calls that it cannot do without, back to back.

create, attach, start, read the output to its end, wait, delete, for a container that joins the
network of one that is there already; nothing is overlapped, nothing else is done.
"""
import http.client
import json
import os
import socket
import time


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Floor:
    def __init__(self, image="busybox:1.36"):
        self.path = os.environ["DOCKER_HOST"].removeprefix("unix://")
        self.connection = UnixConnection(self.path)
        self.image = image
        self.holder = self.create(["sleep", "1000"], {})
        self.call("POST", f"/containers/{self.holder}/start")

    def call(self, method, path, body=None):
        self.connection.request(method, "/v1.40" + path, json.dumps(body) if body else None,
                                {"Content-Type": "application/json"} if body else {})
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {data.decode()}")
        return json.loads(data) if data else None

    def create(self, cmd, host):
        body = {"Image": self.image, "Cmd": cmd, "HostConfig": {"Init": True, **host}}
        return self.call("POST", "/containers/create", body)["Id"]

    def step(self):
        started = time.monotonic()
        container = self.create(["true"], {"NetworkMode": f"container:{self.holder}"})
        attach = UnixConnection(self.path)
        attach.request("POST", f"/v1.40/containers/{container}/attach?stream=1&stdout=1&stderr=1")
        stream = attach.getresponse()
        self.call("POST", f"/containers/{container}/start")
        stream.read()
        self.call("POST", f"/containers/{container}/wait")
        self.call("DELETE", f"/containers/{container}?force=1&v=1")
        attach.close()
        return time.monotonic() - started

    def close(self):
        self.call("DELETE", f"/containers/{self.holder}?force=1&v=1")
