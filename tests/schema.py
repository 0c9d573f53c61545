#!/usr/bin/python3
"""Validates YAML files against a JSON Schema, by a validator that knows draft 2020-12.

    tests/schema.py SCHEMA FILE...

Prints "valid FILE", "invalid FILE: where: what" or "unreadable FILE: why" for each; exits 1 if one
is not valid, 2 if the schema itself is not. Debian's python3 is named because it is the one that has Debian's modules.
"""
import json
import sys

import jsonschema
import yaml
from jsonschema.validators import validator_for


class Loader(yaml.SafeLoader):
    """Keys are text (`on`, `1`), as are dates."""

    def construct_mapping(self, node, deep=False):
        self.flatten_mapping(node)
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag != "tag:yaml.org,2002:timestamp"]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_constructor(
    "tag:yaml.org,2002:map", lambda loader, node: loader.construct_mapping(node)
)


def main(schema_file, *files):
    with open(schema_file, encoding="utf-8") as stream:
        schema = json.load(stream)
    if "2020-12" not in schema.get("$schema", ""):
        sys.exit("the schema is not of draft 2020-12")
    if validator_for(schema, default=None) is not jsonschema.Draft202012Validator:
        sys.exit("this validator does not know draft 2020-12")
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        print(f"the schema is wrong: {error.message}", file=sys.stderr)
        return 2
    validator = jsonschema.Draft202012Validator(schema)
    bad = False
    for name in files:
        try:
            with open(name, encoding="utf-8-sig") as stream:
                document = yaml.load(stream, Loader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            bad = True
            print(f"unreadable {name}: {' '.join(str(error).split())}")
            continue
        error = jsonschema.exceptions.best_match(validator.iter_errors(document))
        bad = bad or error is not None
        print(f"invalid {name}: {error.json_path}: {error.message}" if error else f"valid {name}")
    return 1 if bad else 0


sys.exit(main(*sys.argv[1:]))
