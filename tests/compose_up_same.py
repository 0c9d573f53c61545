#!/usr/bin/env python3
"""Holds what `runner compose up` makes against what Docker Compose makes of the same files.

    compose_up_same.py RUNNER COMPOSE CASE... [--adapt CASE...]

Each case is a directory with a compose.yaml. Both bring it up under the same project name, one after
the other, and what `docker inspect` then says of containers, networks and volumes has to be equal,
field by field, but for what differs from run to run and what EXCEPTIONS say. Then each of them has to
find nothing to replace in the project of the other, and to take it down.

Cases behind --adapt are those of compose_same.py, which need not be such that anything could run: what
Docker Compose makes of them is changed so that it can (compose_adapt.py), and is what both are given.

Several projects are brought up at a time.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from compose_adapt import Ports, adapt

# Projects that are brought up side by side.
WORKERS = 4

# Where daemons of the tests (tests/env/docker.sh), and others, take subnets from that nobody asked for.
POOLS = (*(f"10.{second}." for second in range(210, 230)), "172.", "192.168.")

# What is not the same missing and 0 or false.
MEANT = ("Config StopTimeout", "HostConfig Init")

# Labels that one of the two has for itself, or whose text says who wrote it.
OWN_LABELS = {"dev.runner.compose.hash", "com.docker.compose.version"}

# What differs from one run of the same program to the next.
VOLATILE = {
    "container": {
        "Id", "Created", "ExecIDs", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver",
    },
    "state": {"Pid", "StartedAt", "FinishedAt", "Health"},
    "settings": {
        "SandboxID", "SandboxKey", "EndpointID", "IPAddress", "MacAddress", "Gateway",
        "GlobalIPv6Address", "IPv6Gateway",
    },
    "endpoint": {
        "NetworkID", "EndpointID", "IPAddress", "MacAddress", "Gateway", "GlobalIPv6Address",
        "IPv6Gateway",
    },
}

# (path, in which containers, why): differences on purpose.
EXCEPTIONS = [
    (
        r"^container .* (HostConfig VolumesFrom|Mounts)$",
        lambda c: c["HostConfig"]["VolumesFrom"],
        "Docker Compose drops the :ro of volumes_from",
    ),
    (
        r"^container .* Networks\.[^.]*\.Links$",
        lambda c: not c["Name"].endswith("-1"),
        "Docker Compose gives what is linked the number of the container that links to it",
    ),
    (
        r"^container .* Config StopTimeout$",
        lambda c: c["Config"].get("StopTimeout"),
        "Docker Compose cuts a part of a second off, which of less than one leaves no time at all",
    ),
    (
        r"^container .* Config MacAddress$",
        lambda c: True,
        "Docker Compose does not tell the address to daemons below API 1.44 any more",
    ),
]


class Failed(Exception):
    pass


def run(*command, cwd=None, env=None):
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return done


def docker_ids(project, kind, *options):
    label = f"label=com.docker.compose.project={project}"
    return run("docker", kind, "ls", "-q", *options, "--filter", label).stdout.split()


def inspect(project, kind, *options):
    ids = docker_ids(project, kind, *options)
    return json.loads(run("docker", kind, "inspect", *ids).stdout) if ids else []


def drop(object_, names):
    for name in names:
        object_.pop(name, None)


def clean_labels(labels):
    labels = {k: v for k, v in (labels or {}).items() if k not in OWN_LABELS}
    key = "com.docker.compose.depends_on"
    if key in labels:
        labels[key] = ",".join(sorted(labels[key].split(",")))
    return labels


def shares(host):
    modes = [host["NetworkMode"], host["IpcMode"], host["PidMode"]]
    return host["VolumesFrom"] or any(mode.startswith("container:") for mode in modes)


def merge_binds(host):
    """A volume that is not to be filled is an entry of Binds, or one of Mounts: podman takes it only
    from there, and Docker Compose asks for it here."""
    for bind in list(host.get("Binds") or []):
        source, target, options = bind.split(":")
        if "nocopy" in options:
            host["Binds"].remove(bind)
            mount = {"Type": "volume", "Source": source, "Target": target}
            if options.startswith("ro"):
                mount["ReadOnly"] = True
            mount["VolumeOptions"] = {"NoCopy": True}
            host["Mounts"] = (host.get("Mounts") or []) + [mount]


def clean_container(project, c):
    if c["Config"]["Image"].startswith(f"{project}-"):
        # Built anew by each, at its own time.
        c["Image"] = c["Config"]["Labels"]["com.docker.compose.image"] = "BUILT"
    if c["Config"]["Hostname"] == c["Id"][:12]:
        c["Config"]["Hostname"] = "ITS-ID"
    drop(c, VOLATILE["container"])
    drop(c["State"], VOLATILE["state"])
    drop(c["NetworkSettings"], VOLATILE["settings"])
    for endpoint in c["NetworkSettings"]["Networks"].values():
        drop(endpoint, VOLATILE["endpoint"])
    c["Config"]["Labels"] = clean_labels(c["Config"]["Labels"])
    for port, bindings in (c["NetworkSettings"].get("Ports") or {}).items():
        wanted = json.dumps((c["HostConfig"]["PortBindings"] or {}).get(port))
        for binding in bindings or []:
            if "-" in wanted or int(binding["HostPort"]) >= 32768:
                binding["HostPort"] = "ANY"
    if shares(c["HostConfig"]):
        # It counts the ids of other containers; whether it is right shows below.
        c["Config"]["Labels"].pop("com.docker.compose.config-hash")
    # Maps, in the file.
    if c["Config"].get("Env"):
        c["Config"]["Env"].sort()
    c["HostConfig"]["CapAdd"], c["HostConfig"]["CapDrop"] = (
        [name.removeprefix("CAP_") for name in c["HostConfig"][list_] or []]
        for list_ in ("CapAdd", "CapDrop")
    )
    merge_binds(c["HostConfig"])
    for mount in c["Mounts"]:
        if mount["Type"] == "volume":
            mount.pop("Mode")
    for mount in c["HostConfig"].get("Mounts") or []:
        for name in ("BindOptions", "VolumeOptions"):
            if mount.get(name) == {}:
                del mount[name]
    for list_ in ("Binds", "Mounts", "Ulimits", "ExtraHosts"):
        if c["HostConfig"].get(list_):
            c["HostConfig"][list_].sort(key=json.dumps)
    c["Mounts"].sort(key=lambda m: m["Destination"])
    return c


def clean_network(n):
    for name in ("Id", "Created", "Containers"):
        n.pop(name, None)
    for config in n["IPAM"]["Config"] or []:
        if config.get("Subnet", "").startswith(POOLS):
            config.clear()
    n["Labels"] = clean_labels(n["Labels"])
    return n


def clean_volume(v):
    v.pop("CreatedAt", None)
    v["Labels"] = clean_labels(v["Labels"])
    return v


def look(project):
    """Everything of the project: "container NAME" → what it is."""
    containers = inspect(project, "container", "-a")
    names = {c["Id"]: c["Name"].lstrip("/") for c in containers}
    text = json.dumps([clean_container(project, c) for c in containers])
    for id_, name in names.items():
        text = text.replace(id_, name).replace(id_[:12], name)
    found = {f"container {c['Name']}": c for c in json.loads(text)}
    for c in found.values():
        for m in c["Mounts"]:
            if re.fullmatch(r"[0-9a-f]{64}", m.get("Name", "")):
                m["Source"] = m["Source"].replace(m["Name"], "ANY")
                m["Name"] = "ANY"
    for n in inspect(project, "network"):
        found[f"network {n['Name']}"] = clean_network(n)
    for v in inspect(project, "volume"):
        found[f"volume {v['Name']}"] = clean_volume(v)
    return found


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            where = f"{path}.{key}" if path and " " in path else f"{path} {key}".strip()
            yield from differences(ours.get(key), theirs.get(key), where)
    elif ours != theirs and (ours or theirs or path in MEANT):
        yield path, ours, theirs


def reported(ours, theirs):
    for name in sorted(set(ours) | set(theirs)):
        if name not in ours or name not in theirs:
            yield f"{name}: only {'theirs' if name in theirs else 'ours'} has it"
            continue
        for place, a, b in differences(ours[name], theirs[name]):
            where = f"{name} {place}"
            if not any(re.search(path, where) and holds(ours[name]) for path, holds, _ in EXCEPTIONS):
                yield f"{where}:\n      ours   {json.dumps(a)}\n      theirs {json.dumps(b)}"


class Project:
    """A case under a name of its own."""

    def __init__(self, name, case, file, environment=None, wait=True):
        self.name, self.case, self.file, self.wait = name, case, file, wait
        self.environment = os.environ | (environment or {})

    def ids(self):
        return sorted(docker_ids(self.name, "container", "-a"))

    def look(self):
        return look(self.name)

    def sweep(self):
        """What a failure has left."""
        for kind, remove in (("container", ["rm", "-fv"]), ("network", ["rm"]), ("volume", ["rm"])):
            ids = docker_ids(self.name, kind, *(["-a"] if kind == "container" else []))
            subprocess.run(["docker", kind, *remove, *ids], capture_output=True)


class Tool:
    """One that is not under test, the witness, may fail once: it loses races of its own, as with a
    daemon that has not yet let go of what it removes."""

    def __init__(self, name, command, up, without_wait=(), tries=1):
        self.name, self.command, self.up_options, self.without_wait = name, command, up, without_wait
        self.tries = tries

    def __call__(self, project, *arguments):
        base = [*self.command, "-p", project.name, "-f", str(project.file)]
        return run(*base, *arguments, cwd=project.case, env=project.environment)

    def attempt(self, action, project):
        for left in reversed(range(self.tries)):
            try:
                return action(project)
            except Failed:
                if not left:
                    raise
                time.sleep(3)

    def up(self, project):
        self.attempt(self.up_once, project)

    def down(self, project):
        self.attempt(self.down_once, project)

    def up_once(self, project):
        self(project, "up", *self.up_options, *(() if project.wait else self.without_wait))

    def down_once(self, project):
        self(project, "down", "-v", "-t", "1")
        # Here, and not by --rmi local: Docker Compose removes an image and dangling ones side by side,
        # which old daemons answer with an error now and then.
        images = run(
            "docker", "image", "ls", "-q", "--filter", f"reference={project.name}-*"
        ).stdout.split()
        if images:
            run("docker", "image", "rm", "-f", *sorted(set(images)))
        left = project.ids()
        left += docker_ids(project.name, "network") + docker_ids(project.name, "volume")
        if left:
            raise Failed(f"down of {self.name} leaves {left}")


def compare(project, runner, compose):
    problems = []
    runner.up(project)
    ours, ours_ids = project.look(), project.ids()
    compose.up(project)
    if project.ids() != ours_ids:
        problems.append("Docker Compose replaces what runner has made")
    compose.down(project)
    compose.up(project)
    theirs, theirs_ids = project.look(), project.ids()
    runner.up(project)
    if project.ids() != theirs_ids:
        problems.append("runner replaces what Docker Compose has made")
    runner.down(project)
    return problems + list(reported(ours, theirs))


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def adapted(name, case, witness, ports):
    """A case whose file is what Docker Compose makes of it, with what can be had here."""
    environment = dict(line.split("=", 1) for line in lines(case / "environment"))
    done = run(
        witness, *lines(case / "options"), "config", "--format", "json",
        cwd=case, env=os.environ | environment,
    )
    file = case / "adapted.json"
    model = adapt(json.loads(done.stdout), case, ports)
    file.write_text(json.dumps(model, indent=2))
    # Options and settings of the project have had their effect.
    kept = {k: v for k, v in environment.items() if not k.startswith("COMPOSE_")}
    for entry in [*model["secrets"].values(), *model["configs"].values()]:
        if "environment" in entry:
            kept.setdefault(entry["environment"], "value")
    return Project(name, case, file, kept, wait=False)


def main():
    program, witness, *cases = sys.argv[1:]
    runner = Tool("runner", [str(pathlib.Path(program).resolve()), "compose"], [], ["--no-wait"])
    compose = Tool("Docker Compose", [witness], ["-d", "--quiet-pull"], tries=2)
    plain = cases.index("--adapt") if "--adapt" in cases else len(cases)
    cases = [pathlib.Path(case) for case in cases[:plain] + cases[plain + 1 :]]
    ports = Ports()
    with tempfile.TemporaryDirectory() as scratch:

        def look_at(number, case):
            copy = pathlib.Path(scratch) / f"{number}-{case.name}"
            project = Project(f"same{number}", copy, copy / "compose.yaml")
            try:
                run("cp", "-r", str(case), str(copy))
                if number >= plain:
                    project = adapted(project.name, copy, witness, ports)
                return compare(project, runner, compose)
            except Failed as failed:
                project.sweep()
                return [str(failed)]

        bad = 0
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            for case, problems in zip(cases, pool.map(look_at, range(len(cases)), cases)):
                print(f"{'FAIL' if problems else 'ok  '} {case.name}", flush=True)
                for problem in problems:
                    print(f"    {problem}")
                bad += bool(problems)
    print(f"{len(cases) - bad} of {len(cases)} cases are the same")
    return 1 if bad or not cases else 0


sys.exit(main())
