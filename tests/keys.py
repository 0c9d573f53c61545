#!/usr/bin/python3
"""Holds every key of the pipeline file against its documentation and the examples.

    tests/keys.py RUNNER

The keys are those of `RUNNER schema`. Each must have an entry in docs/pipeline-file.md, in the section
of its map or in one that this section refers to, and stand in that map in one of examples/*.yaml,
which tests/e2e/examples.sh runs. A key of a shared section may stand in any of the maps that have it.
Prints each that is missing and exits 1 if there is any. Debian's python3 is named because it is the
one that has Debian's modules.
"""
import json
import pathlib
import re
import subprocess
import sys

import yaml

root = pathlib.Path(__file__).resolve().parent.parent

# Keys that no example has, with the reason. "section: key", as in the reference.
NOT_IN_EXAMPLES = {
    "Resources: disk": "needs a daemon that keeps its containers on XFS with quotas",
    "Every level: state": "accepted in files of others, means nothing",
    "Stage: mode": "deprecated",
    "Stage: type": "accepted in files of others, means nothing",
    "Stage: title": "accepted in files of others, means nothing",
}


def sections(document):
    """Title -> (keys that it has an entry for, titles that it refers to for further keys)."""
    found = {}
    for part in re.split(r"^### ", document, flags=re.M)[1:]:
        title, text = part.split("\n", 1)
        keys = set(re.findall(r"^\| `([^`]+)`", text, re.M))
        for line in re.findall(r"^(?:Deprecated: |Accepted )(.*)", text, re.M):
            keys.update(re.findall(r"`([^`]+)`", line))
        parts = re.findall(r"^Beside these it takes the keys of (.*)$", text, re.M)
        found[title] = (keys, re.findall(r"\[([^]]+)\]\(#", " ".join(parts)))
    return found


def place_of(found, title, key):
    """The section with the entry of a key of that map, or None."""
    keys, parts = found.get(title, (set(), []))
    if key in keys:
        return title
    for part in parts:
        part = part[0].upper() + part[1:]
        if key in found.get(part, (set(), []))[0]:
            return part
    return None


def title_of(name):
    return name[0].upper() + name[1:]


def properties_for(schema, node):
    """The schemas of the keys of this map, some of which hang on the value of another one."""
    properties = dict(schema.get("properties", {}))
    for clause in schema.get("allOf", []):
        conditions = clause.get("if", {}).get("properties", {})
        if all(node.get(key) == value.get("const") for key, value in conditions.items()):
            properties |= clause.get("then", {}).get("properties", {})
    return properties


class Examples:
    """Which keys of which maps the examples have, by walking them along the schema."""

    def __init__(self, definitions):
        self.definitions = definitions
        self.used = set()

    def walk(self, schema, node):
        name = schema.get("$ref", "").removeprefix("#/$defs/")
        if name:
            schema = self.definitions[name]
        for alternative in schema.get("anyOf", []):
            self.walk(alternative, node)
        if isinstance(node, list):
            for item in node:
                self.walk(schema.get("items", {}), item)
        elif isinstance(node, dict):
            others = schema.get("additionalProperties")
            properties = properties_for(schema, node)
            for key, value in node.items():
                # YAML takes `on` for a truth value.
                key = "on" if key is True else str(key)
                if key in properties:
                    self.used.add((name, key))
                    self.walk(properties[key], value)
                elif isinstance(others, dict):
                    self.walk(others, value)


def main(runner):
    schema = json.loads(subprocess.run([runner, "schema"], check=True, capture_output=True).stdout)
    definitions = schema["$defs"]
    found = sections((root / "docs/pipeline-file.md").read_text())
    examples = Examples(definitions)
    for file in sorted(root.glob("examples/*.yaml")):
        examples.walk(schema, yaml.safe_load(file.read_text()))
    shown = {f"{place_of(found, title_of(name), key)}: {key}" for name, key in examples.used}
    keys, bad = set(), set()
    for name, definition in definitions.items():
        for key in definition.get("properties", {}):
            place = place_of(found, title_of(name), key)
            if place:
                keys.add(f"{place}: {key}")
            else:
                bad.add(f"{title_of(name)}: {key} has no entry in docs/pipeline-file.md")
    bad |= {f"{key} is in no example" for key in keys - shown - NOT_IN_EXAMPLES.keys()}
    bad |= {f"{key} is an exception without need" for key in NOT_IN_EXAMPLES if key not in keys - shown}
    print("\n".join(sorted(bad)) if bad else f"{len(keys)} keys are documented and shown")
    return 1 if bad or not keys else 0


sys.exit(main(sys.argv[1]))
