"""OpenSSH servers on loopback addresses, and the client, for comparison."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from measure import Run

SSHD = pathlib.Path(__file__).resolve().parent.parent / "env" / "sshd.sh"
PORT = 2222


class Servers:
    """`count` of them, for as long as it is entered. Logins have an empty home, so that what is
    compared is not somebody's .bashrc."""

    def __init__(self, work, count):
        self.work = work
        self.addresses = [f"127.{os.getpid() % 200 + 20}.7.{i + 1}" for i in range(count)]
        self.key = str(work / "key")
        self.options = ["-F", "none", "-i", self.key, "-p", str(PORT), "-o", "LogLevel=ERROR",
                        "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        self.control = ["-o", f"ControlPath={work / 'control'}"]

    def __enter__(self):
        Run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key])
        self.processes = []
        for address in self.addresses:
            place = self.work / address
            (place / "home").mkdir(parents=True)
            shutil.copy(self.key + ".pub", place / "authorized_keys")
            if self.processes:
                for file in (self.work / self.addresses[0]).glob("host_*"):
                    shutil.copy(file, place)
            self.processes.append(subprocess.Popen(
                ["bash", SSHD, place, address, str(PORT), f"SetEnv HOME={place / 'home'}"],
                stderr=subprocess.DEVNULL, start_new_session=True))
            self.await_one(address)
        return self

    def await_one(self, address):
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex((address, PORT)) == 0:
                    return
            time.sleep(0.01)
        raise SystemExit(f"no sshd at {address}")

    def __exit__(self, *_):
        for process in self.processes:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()

    def url(self, number=0):
        return (f"ssh://{os.environ.get('USER', 'root')}@{self.addresses[number]}:{PORT}"
                f"?key={self.key}&insecure=true&config=none")

    def begin_control(self):
        """The master of a connection that `client` uses."""
        Run(["ssh", *self.options, *self.control, "-M", "-N", "-f", self.addresses[0]])

    def end_control(self):
        Run(["ssh", *self.control, "-O", "exit", self.addresses[0]])

    def client(self, command):
        return ["ssh", *self.options, *self.control, self.addresses[0], command]
