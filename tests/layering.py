#!/usr/bin/env python3
"""Holds the #include lines of every folder against the list of folders that it may use.

The lists are those of runner_library() in CMakeLists.txt and in *.cmake files: what a folder may
include is what it USES, and itself. Prints each violation and exits 1 if there is any.
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent


def libraries():
    """Folder -> (library, folders' libraries it may use)."""
    found = {}
    for cmake in [root / "CMakeLists.txt", *root.glob("runner/*/*.cmake")]:
        text = re.sub(r"#.*", "", cmake.read_text())
        for call in re.findall(r"^runner_library\(([^)]*)\)", text, re.M):
            words = call.split()
            folder = words[words.index("DIR") + 1]
            uses = set()
            if "USES" in words:
                for word in words[words.index("USES") + 1 :]:
                    if word == "LINK":
                        break
                    uses.add(word)
            found[folder] = (words[0], uses)
    return found


def folder_of(include, folders):
    """The folder that an include path names, relative to the root or to runner/."""
    if include == "runner.h":
        return "runner/library"
    for start in (f"runner/{include}", include):
        parent = str(pathlib.PurePosixPath(start).parent)
        if parent in folders:
            return parent
    return None


def main():
    folders = libraries()
    bad = []
    for folder, (library, uses) in sorted(folders.items()):
        for source in sorted((root / folder).glob("*.[ch]")):
            for number, line in enumerate(source.read_text().splitlines(), 1):
                match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
                if not match:
                    continue
                place = f"{source.relative_to(root)}:{number}"
                target = folder_of(match[1], folders)
                if target is None:
                    bad.append(f'{place}: "{match[1]}" is not in the folder of any library')
                elif target != folder and folders[target][0] not in uses:
                    bad.append(
                        f'{place}: {library} may not include "{match[1]}": '
                        f"{folders[target][0]} is not among what it USES"
                    )
    print("\n".join(bad) if bad else f"{len(folders)} folders keep to their layers")
    return 1 if bad or not folders else 0


sys.exit(main())
