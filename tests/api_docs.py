#!/usr/bin/env python3
"""The reference in docs/api.md, made of the description that the server gives.

    api_docs.py            whether it is up to date
    api_docs.py --write    writes it

What stands above the mark is written by hand.
"""
import json
import pathlib
import sys

root = pathlib.Path(__file__).resolve().parent.parent
page = root / "docs" / "api.md"
document = json.loads((root / "runner" / "server" / "openapi.json").read_text())
MARK = "<!-- From here on this is made by tests/api_docs.py. -->\n"


def resolve(schema):
    """The schema behind a reference."""
    while "$ref" in schema:
        node = document
        for key in schema["$ref"].lstrip("#/").split("/"):
            node = node[key]
        schema = node
    if "allOf" in schema:
        parts = [resolve(part) for part in schema["allOf"]]
        return {**schema, "properties": {k: v for part in parts for k, v in part.get("properties", {}).items()},
                "required": [name for part in parts for name in part.get("required", [])]}
    return schema


def type_of(schema):
    """In a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})" if "properties" in resolve(schema) else type_of(resolve(schema))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and "additionalProperties" in schema and "properties" not in schema:
        return "object of " + (type_of(schema["additionalProperties"])
                               if isinstance(schema["additionalProperties"], dict) else "anything")
    return {"date-time": "time"}.get(schema.get("format"), kind)


def limits(schema):
    """", from 0 to 10000", or nothing."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", from {low} to {high}"
    return f", at least {low}" if low is not None else f", at most {high}" if high is not None else ""


def rows(properties, required=()):
    for name, schema in properties.items():
        text = schema.get("description") or resolve(schema).get("description", "")
        always = "" if name in required else " (optional)"
        yield f"| `{name}` | {type_of(schema)}{limits(schema)}{always} | {text} |"


def table(head, lines):
    lines = list(lines)
    return ["", f"| {head} | type | |", "|---|---|---|", *lines] if lines else []


def body(content):
    """Members of a JSON body, or what else it is."""
    for media, entry in content.items():
        schema = entry.get("schema", {})
        properties = resolve(schema).get("properties")
        if media != "application/json":
            yield media, None, schema
        elif "$ref" in schema or not properties:
            yield type_of(schema), None, schema
        else:
            yield None, properties, schema


def operation(method, path, given):
    lines = ["", f"### `{method.upper()} {path}`", "", given["summary"] + "."]
    if given.get("description"):
        lines += ["", given["description"]]
    lines += table("parameter", (
        row for parameter in given.get("parameters", []) if parameter["in"] == "query"
        for row in rows({parameter["name"]: {**parameter["schema"],
                                             "description": parameter.get("description", "")}},
                        [parameter["name"]])))
    for what, properties, schema in body(given.get("requestBody", {}).get("content", {})):
        lines += table("in the request", rows(properties, schema.get("required", ()))) if properties \
            else ["", f"In the request: {what}."]
    errors = []
    for status, response in given["responses"].items():
        if response.get("$ref", "").endswith("/Error"):
            errors.append(status)
            continue
        response = resolve(response)
        parts = list(body(response.get("content", {})))
        lines += ["", f"**{status}** {response['description']}" + "".join(
            f": {what}" for what, properties, _ in parts if not properties) + "."]
        for _, properties, schema in parts:
            if properties:
                lines += table("in the answer", rows(properties, schema.get("required", ())))
    return lines + (["", f"Errors: {', '.join(errors)}."] if errors else [])


def reference():
    lines = []
    for tag in document["tags"]:
        lines += ["", f"## {tag['name'].capitalize()}"]
        for path, methods in document["paths"].items():
            for method, given in methods.items():
                if tag["name"] in given["tags"]:
                    lines += operation(method, path, given)
    lines += ["", "## Objects"]
    for name, schema in document["components"]["schemas"].items():
        schema = resolve(schema)
        if "properties" not in schema:
            continue
        lines += ["", f"### {name}"]
        if schema.get("description"):
            lines += ["", schema["description"]]
        lines += table("member", rows(schema["properties"], schema.get("required", ())))
    return "\n".join(lines) + "\n"


above = page.read_text().partition(MARK)[0]
wanted = above + MARK + reference()
if "--write" in sys.argv:
    page.write_text(wanted)
elif page.read_text() != wanted:
    sys.exit("docs/api.md is not what runner/server/openapi.json says: tests/api_docs.py --write")
