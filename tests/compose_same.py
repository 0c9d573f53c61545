#!/usr/bin/env python3
"""Holds `runner compose config` against a current Docker Compose, field by field.

    tests/compose_same.py RUNNER DOCKER-COMPOSE [CASE...]

A case is a directory of tests/data/compose: compose.yaml, further files, `options` (one word of the
command line on each line) and `environment` (NAME=VALUE). For each, the model as JSON, the hash of each
service and the names of services, volumes, networks, images and profiles must be the same; and our YAML,
read again by both, must give the same model. Prints what differs and exits 1 if anything does.
"""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile

data = pathlib.Path(__file__).resolve().parent / "data/compose"

LISTS = ["--services", "--volumes", "--networks", "--images", "--profiles", "--hash=*"]


def drop_extensions(value, top=True):
    """Docker Compose keeps x-... of the file itself in JSON, and none below."""
    if isinstance(value, dict):
        return {
            key: item if top and key.startswith("x-") else drop_extensions(item, False)
            for key, item in value.items()
            if top or not key.startswith("x-")
        }
    if isinstance(value, list):
        return [drop_extensions(item, False) for item in value]
    return value


def small_letters(value):
    """It writes Path, Rate and Weight in blkio_config, which it does not read."""
    if isinstance(value, dict):
        return {key.lower(): small_letters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [small_letters(item) for item in value]
    return value


def single_dollars(value):
    """It doubles the dollars of keys, too, which are not expanded when they are read."""
    if isinstance(value, dict):
        return {key.replace("$$", "$"): single_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [single_dollars(item) for item in value]
    return value


def normal_theirs(model):
    model = single_dollars(model)
    for service in model["services"].values():
        for limit in service.get("ulimits", {}).values():
            # Its JSON leaves limits of 0 out, which its YAML has.
            if isinstance(limit, dict):
                limit.setdefault("soft", 0)
                limit.setdefault("hard", 0)
        if "blkio_config" in service:
            service["blkio_config"] = small_letters(service["blkio_config"])
    return model


def normal_ours(model):
    # It does not show models that it knows.
    model.pop("models", None)
    return drop_extensions(model)


class Case:
    def __init__(self, directory):
        self.directory = directory
        self.options = self.lines("options")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "DOCKER_HOST": "unix:///nonexistent",
        }
        self.environment |= {
            name: os.environ[name]
            for name in os.environ
            if name.endswith("SAN_OPTIONS")
        }
        self.environment |= dict(line.split("=", 1) for line in self.lines("environment"))

    def lines(self, name):
        path = self.directory / name
        return path.read_text().splitlines() if path.exists() else []

    def run(self, program, *arguments, options=None):
        options = self.options if options is None else options
        return subprocess.run(
            [*program, *options, "config", *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
        )


class Failed(Exception):
    pass


def model_of(case, program, **keywords):
    done = case.run(program, "--format", "json", **keywords)
    if done.returncode:
        raise Failed(f"{program[0]} exits {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(
                ours.get(key, "(nothing)"), theirs.get(key, "(nothing)"), f"{path}.{key}"
            )
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, pair in enumerate(zip(ours, theirs)):
            yield from differences(*pair, f"{path}[{i}]")
    elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
        yield f"{path[1:]}: ours {json.dumps(ours)}, theirs {json.dumps(theirs)}"


def again(case, program):
    """The model that our YAML gives when it is read instead of the files."""
    shown = case.run(case.ours)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(shown.stdout)
        file.flush()
        options = ["-f", file.name, "--project-directory", str(case.directory)]
        profiles = [
            word
            for option, word in zip(case.options, case.options[1:])
            if option == "--profile"
        ]
        for profile in profiles:
            options += ["--profile", profile]
        return model_of(case, program, options=options)


def has_missing_dependencies(model):
    """Whether a service can do without one that no profile has: nobody reads that again."""
    return any(
        name not in model["services"]
        for service in model["services"].values()
        for name in service.get("depends_on", {})
    )


def compare(case):
    theirs = normal_theirs(model_of(case, case.theirs))
    ours = normal_ours(model_of(case, case.ours))
    yield from differences(ours, theirs)
    for option in LISTS:
        # It shows an image for each service that has it.
        lines = [
            sorted(set(case.run(one, option).stdout.split("\n")))
            for one in (case.ours, case.theirs)
        ]
        yield from differences(*lines, f" {option}")
    if has_missing_dependencies(ours):
        return
    yield from differences(normal_ours(again(case, case.ours)), ours, " our YAML, read by us: ")
    yield from differences(
        normal_theirs(again(case, case.theirs)), theirs, " our YAML, read by them: "
    )


def main(runner, witness, names):
    directories = [data / name for name in names] or sorted(data.iterdir())
    bad = 0

    def look_at(directory):
        case = Case(directory)
        case.ours, case.theirs = [runner, "compose"], [witness]
        try:
            return list(compare(case))
        except Failed as error:
            return [str(error)]

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for directory, found in zip(directories, pool.map(look_at, directories)):
            for line in found:
                print(f"{directory.name}: {line}")
            bad += bool(found)
    print(f"{len(directories)} projects, {bad} differ")
    return 1 if bad or not directories else 0


sys.exit(main(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), sys.argv[3:]))
