#!/usr/bin/env python3
"""Holds real answers against the description of the interface.

    openapi.py DESCRIPTION <LIST

A line of LIST is METHOD PATH STATUS FILE: what was asked, without the query, and what came. Prints
what does not fit and exits 1.
"""
import json
import pathlib
import re
import sys

import jsonschema


def find(paths, path):
    """The template of a path; fixed ones win over those with parameters."""
    for template in sorted(paths, key=lambda t: t.count("{")):
        pattern = re.sub(r"\\\{file\\\}", ".*", re.escape(template))
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
        if re.fullmatch(pattern, path):
            return template
    return None


def check(document, method, path, status, file):
    template = find(document["paths"], path)
    if template is None:
        return [f"no path of the description fits {path}"]
    responses = document["paths"][template][method.lower()]["responses"]
    if status not in responses:
        return [f"{method} {template} has answered {status}, which is not described"]
    response = responses[status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema = response["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    return [
        f"{method} {template} {status}: {error.json_path}: {error.message}"
        for error in validator.iter_errors(json.loads(pathlib.Path(file).read_text()))
    ]


document = json.loads(pathlib.Path(sys.argv[1]).read_text())
wrong = [text for line in sys.stdin for text in check(document, *line.split())]
print("\n".join(wrong), end="")
sys.exit(bool(wrong))
