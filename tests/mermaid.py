#!/usr/bin/env python3
"""Checks a Mermaid flowchart, as far as `runner plan --format mermaid` uses the language.

    tests/mermaid.py FILE...

Every line is one of the statements below, subgraphs end, and edges go between what is declared.
https://mermaid.js.org/syntax/flowchart.html
"""
import re
import sys

IDENTIFIER = r"[a-z][a-z0-9]*"
# In a quoted label `"` ends it; `#NUMBER;` is a character, and nothing else may begin with "#".
LABEL = r'"((?:[^"#\\`<>]|#[0-9]+;|<br/>)*)"'
STATEMENTS = {
    "class": re.compile(rf"  classDef ({IDENTIFIER}) [a-z-]+:[^,;]+(,[a-z-]+:[^,;]+)*"),
    "begin": re.compile(rf"  subgraph ({IDENTIFIER})\[{LABEL}\]"),
    "node": re.compile(rf"    ({IDENTIFIER})\[{LABEL}\](?::::({IDENTIFIER}))?"),
    "end": re.compile(r"  end"),
    "edge": re.compile(rf"  ({IDENTIFIER}) -->(?:\|[a-z]+\|)? ({IDENTIFIER})"),
}


def check(path):
    """What is wrong; None if nothing is."""
    with open(path, encoding="utf-8") as stream:
        lines = stream.read().split("\n")
    if lines[0] != "flowchart LR" or lines.pop() != "":
        return "it is no flowchart of whole lines"
    classes, declared, edges, is_open = set(), set(), [], False
    for number, line in enumerate(lines[1:], 2):
        kind, match = next(
            ((k, m) for k, p in STATEMENTS.items() if (m := p.fullmatch(line))), (None, None)
        )
        if kind is None or (kind in ("node", "end")) != is_open:
            return f"line {number} is not expected: {line}"
        if kind == "class":
            classes.add(match[1])
        elif kind in ("begin", "node"):
            if match[1] in declared or match[1] == "end":
                return f"line {number}: {match[1]} cannot be declared here"
            declared.add(match[1])
            if kind == "node" and match[3] and match[3] not in classes:
                return f"line {number}: there is no class {match[3]}"
        elif kind == "edge":
            edges.append((number, match[1], match[2]))
        is_open = kind == "begin" or (is_open and kind != "end")
    for number, *ends in edges:
        for end in ends:
            if end not in declared:
                return f"line {number}: {end} is not declared"
    return "a subgraph does not end" if is_open else None


wrong = [f"{path}: {what}" for path in sys.argv[1:] if (what := check(path))]
print("\n".join(wrong) if wrong else f"{len(sys.argv) - 1} flowcharts")
sys.exit(bool(wrong))
