#!/usr/bin/env python3
"""Kills a server over and over while clients submit and cancel, and looks at what became of it.

    tests/server_kills.py RUNNER [KILLS] [SEED]

Each run writes into a ledger when it begins and when it ends. In the end: every run whose submission
was answered is there, none began twice, each has ended, those that succeeded wrote both lines, those
that nobody cancelled succeeded, and neither processes, directories nor marks are left. Prints the
figures, and exits 1 with what is wrong.
"""
import collections
import http.client
import json
import os
import pathlib
import random
import sys
import tempfile
import threading
import time

from service import Service

CLIENTS = 4
SETTLE_SECONDS = 20 * float(os.environ.get("RUNNER_TEST_TIMEOUT_FACTOR", "1"))
ENDED = {"succeeded", "failed", "cancelled"}


class Campaign:
    def __init__(self, runner, work, seed):
        self.work = work
        self.ledger = work / "ledger"
        self.ledger.touch()
        self.temporary = work / "tmp"
        self.temporary.mkdir()
        os.environ["TMPDIR"] = str(self.temporary)
        os.environ["XDG_RUNTIME_DIR"] = str(work / "journals")
        self.service = Service(runner, work, max_concurrent=8)
        self.chosen = random.Random(seed)
        self.accepted = {}
        self.cancelled = set()
        self.stopping = threading.Event()

    def config(self, number):
        """A run of one moment, or of several."""
        seconds = [0, 0.01, 0.1, 0.5][number % 4]
        steps = [{"name": "begin", "command": f"echo begin {number} >>{self.ledger}; sleep {seconds}"},
                 {"name": "end", "command": f"sleep {seconds}; echo end {number} >>{self.ledger}"}]
        return json.dumps({"name": f"run {number}",
                           "stages": [{"name": "s", "jobs": [{"name": "j", "steps": steps}]}]})

    def client(self, which):
        """Submits as long as it may, and cancels now and then; a server that is away is tried again."""
        chosen = random.Random(which)
        number = which
        while not self.stopping.is_set():
            time.sleep(chosen.random() * 0.1)
            try:
                run = self.service.submit(self.config(number))
                self.accepted[run] = number
                if chosen.random() < 0.2:
                    # Whether or not the answer comes.
                    self.cancelled.add(run)
                    self.service.call("POST", f"/api/v1/pipelines/{run}/cancel", {"reason": "chosen"})
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                pass
            number += CLIENTS

    def run(self, kills):
        clients = [threading.Thread(target=self.client, args=(i,)) for i in range(CLIENTS)]
        self.service.start()
        for thread in clients:
            thread.start()
        for kill in range(kills):
            time.sleep(self.chosen.random() * 0.6)
            self.service.kill()
            if kill % 4 == 3:
                # And while it finds what there is.
                self.service.spawn()
                time.sleep(self.chosen.random() * 0.05)
                self.service.kill()
            self.service.start()
        self.stopping.set()
        for thread in clients:
            thread.join()

    def drained(self):
        return not self.service.list(status="pending") and not self.service.list(status="running")

    def processes(self):
        """Those of the runs, by the directory of temporary files that they were given."""
        wanted = f"TMPDIR={self.temporary}".encode()
        found = []
        for place in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    found.append(f"{place.name} {(place / 'comm').read_text().strip()}")
            except OSError:
                pass
        return [process for process in found if not process.startswith(f"{os.getpid()} ")]

    def wrong(self):
        runs = {run["id"]: run for run in self.service.list()}
        begun, ended = collections.Counter(), collections.Counter()
        for line in self.ledger.read_text().splitlines():
            word, number = line.split()
            (begun if word == "begin" else ended)[int(number)] += 1
        yield from (f"run {run} is lost" for run in self.accepted if run not in runs)
        yield from (f"run {number} began {count} times" for number, count in begun.items() if count > 1)
        for run in runs.values():
            number = int(run["name"].split()[1])
            if run["status"] not in ENDED:
                yield f"run {number} ({run['id']}) is {run['status']}"
            if run["status"] == "succeeded" and (begun[number], ended[number]) != (1, 1):
                yield f"run {number} succeeded, and began {begun[number]} and ended {ended[number]} times"
            if run["status"] == "failed" or (run["status"] == "cancelled" and run["id"] not in self.cancelled):
                yield f"run {number} ({run['id']}) is {run['status']}: {run.get('error')}"
        self.counts = collections.Counter(run["status"] for run in runs.values())

    def settled(self):
        """Nothing is left but what a server has as long as it lives. A mark may stay until somebody looks
        at the runs: one that began twice, in vain, has marked itself again. Those of servers that were
        killed go a little later."""
        self.service.list()
        history = self.work / "history"
        return (not any((history / "open").iterdir()) and not any(self.temporary.iterdir())
                and len(list((history / "servers").iterdir())) <= 1)

    def left(self):
        for directory in (self.temporary, self.work / "journals", self.work / "history" / "open",
                          self.work / "history" / "servers"):
            if directory.is_dir():
                yield from (f"left: {path}" for path in directory.rglob("*") if not path.is_dir())
        yield from (f"left: {path}" for path in (self.work / "runs").iterdir())
        yield from (f"left: process {process}" for process in self.processes())


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 30)
    with tempfile.TemporaryDirectory() as work:
        campaign = Campaign(str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(work), seed)
        campaign.run(kills)
        campaign.service.wait(campaign.drained)
        deadline = time.monotonic() + SETTLE_SECONDS
        campaign.service.wait(lambda: campaign.settled() or time.monotonic() > deadline)
        wrong = list(campaign.wrong())
        campaign.service.process.terminate()
        campaign.service.process.wait()
        wrong += campaign.left()
        print(f"{kills} kills, seed {seed}: {len(campaign.accepted)} accepted, {dict(campaign.counts)}")
        if wrong:
            print("\n".join(wrong))
            print((campaign.work / "server.log").read_text()[-4000:])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
