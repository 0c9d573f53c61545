"""A `runner server` on a port of the loopback, and what it costs."""
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import time


def free_port():
    """Not among those that the kernel chooses from: while the server is away nobody else gets it."""
    while True:
        port = random.randrange(20000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Service:
    """Runs for as long as it is entered; its runs are cancelled before it ends."""

    def __init__(self, runner, work, max_concurrent=100, store=None):
        self.port = free_port()
        self.work = work
        self.argv = [runner, "server", "--host", "127.0.0.1", "--port", str(self.port),
                     "--workdir", str(work / "runs"), "--history", str(work / "history"),
                     "--max-concurrent", str(max_concurrent)]
        if store:
            self.argv += ["--store", store]

    def spawn(self):
        with open(self.work / "server.log", "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

    def start(self):
        self.spawn()
        while True:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise SystemExit((self.work / "server.log").read_text())
            time.sleep(0.002)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        going = [run["id"] for state in ("running", "pending") for run in self.list(status=state)]
        if going:
            self.call("POST", "/api/v1/pipelines/batch/cancel", {"ids": going})
            self.wait(lambda: not self.list(status="running"))
        self.process.terminate()
        self.process.wait()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def call(self, method, path, body=None, connection=None):
        """Status and decoded answer."""
        link = connection or self.connect()
        text = None if body is None else json.dumps(body)
        link.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = link.getresponse()
        data = answer.read()
        if connection is None:
            link.close()
        return answer.status, json.loads(data) if data else None

    def submit(self, config, connection=None):
        status, answer = self.call("POST", "/api/v1/pipelines/run",
                                   {"config": config, "detach": True}, connection)
        if status != 202:
            raise SystemExit(f"not accepted: {status} {answer}")
        return answer["id"]

    def show(self, run):
        return self.call("GET", f"/api/v1/pipelines/{run}")[1]

    def list(self, **query):
        words = "&".join(f"{key}={value}" for key, value in query.items())
        return self.call("GET", f"/api/v1/pipelines?limit=10000&{words}")[1]["data"]

    def wait(self, condition):
        while not condition():
            time.sleep(0.01)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            peak = next(line for line in status if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
