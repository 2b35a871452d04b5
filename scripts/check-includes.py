#!/usr/bin/python3
"""Holds the source to its layout: scripts/check-includes.py [BUILD_DIRECTORY]

 - A directory includes only from itself and from those below it (LAYERS).
 - Every header compiles alone, and none only gathers other headers.
 - Every .c file is in the code map of ARCHITECTURE.md.
 - A module exports only name_* symbols, where name is the module's, or that of a type that its
   own header brings (stats.h: struct balance, so balance_*).

The build directory (default: build) must have been built; its compile_commands.json says how.
"""
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What each directory may include from, itself aside. main() lies in server/ and starts http/.
LAYERS = {
    "common": set(),
    "proto": {"common"},
    "aggregator": {"common", "proto"},
    "http": {"common", "proto", "aggregator"},
    "server": {"common", "proto", "aggregator", "http"},
    "client": {"common", "proto"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
TYPE = re.compile(r"^(?:struct|enum) (\w+)(?:;| \{)", re.MULTILINE)
GUARD = re.compile(r"^\s*#\s*(ifndef|define|endif|include)\b.*$", re.MULTILINE)


def sources(pattern):
    return sorted(p for layer in LAYERS for p in (ROOT / layer).glob(pattern))


def check_directions():
    for path in sources("*.[ch]"):
        allowed = LAYERS[path.parent.name] | {path.parent.name}
        for name in INCLUDE.findall(path.read_text()):
            layer = name.split("/")[0] if "/" in name else None
            if layer is None:
                yield f'{path}: "{name}" needs its directory before it'
            elif layer not in allowed:
                yield f'{path}: {path.parent.name}/ may not include "{name}"'


def check_code_map():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for path in sources("*.c"):
        name = path.stem if path.parent.name == "common" else path.name  # common/ is one line there
        if not re.search(rf"\b{re.escape(name)}\b", text):
            yield f"{path}: is not in the code map of ARCHITECTURE.md"


def compile_flags(commands):
    """The -std, -D and -I flags of each directory, from the first file built in it."""
    flags = {}
    for entry in commands:
        layer = Path(entry["file"]).parent.name
        words = shlex.split(entry["command"])
        kept = []
        for i, word in enumerate(words):
            if word == "-isystem":
                kept += words[i : i + 2]
            elif word.startswith(("-std=", "-D", "-I")):
                kept.append(word)
        flags.setdefault(layer, kept)
    return flags


def check_headers(flags):
    for path in sources("*.h"):
        text = COMMENT.sub("", path.read_text())
        if INCLUDE.search(text) and not GUARD.sub("", text).strip():
            yield f"{path}: only gathers other headers"
        # A header is compiled as what a .c file would see that includes nothing else.
        done = subprocess.run(
            ["gcc", *flags[path.parent.name], "-Wall", "-Werror", "-fsyntax-only", "-x", "c", "-"],
            input=f'#include "{path.relative_to(ROOT)}"\n',
            cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode != 0:
            yield f"{path}: does not compile alone:\n{done.stderr.strip()}"


def module_of(path):
    """The module that a file belongs to: opt_help.c, which has no header, is a part of opt."""
    words = path.stem.split("_")
    for count in range(len(words), 0, -1):
        module = "_".join(words[:count])
        if path.with_name(module + ".h").exists():
            return module
    return path.stem


def prefixes(path, modules):
    """What the exports of a file may begin with."""
    module = module_of(path)
    header = path.with_name(module + ".h")
    types = set(TYPE.findall(header.read_text())) if header.exists() else set()
    return {module} | types - modules


def check_exports(commands):
    modules = {path.stem for path in sources("*.h")}
    for entry in commands:
        path = Path(entry["file"])
        if path.parent.name not in LAYERS or path.parent.parent != ROOT:
            continue
        words = shlex.split(entry["command"])
        output = Path(entry["directory"]) / words[words.index("-o") + 1]
        if not output.exists():
            yield f"{path}: not built yet ({output})"
            continue
        allowed = prefixes(path, modules)
        # gcc-nm reads the objects of link-time optimization too.
        symbols = subprocess.run(
            ["gcc-nm", "--extern-only", "--defined-only", "--format=posix", output],
            text=True, stdout=subprocess.PIPE, check=True).stdout
        for name in (line.split()[0] for line in symbols.splitlines()):
            if name != "main" and not any(f"{name}_".startswith(f"{p}_") for p in allowed):
                yield f"{path}: exports {name}, which is none of {', '.join(sorted(allowed))}_*"


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build")
    try:
        commands = json.loads((build / "compile_commands.json").read_text())
    except OSError as error:
        sys.exit(f"{error}; build first: scripts/test.sh or scripts/run.sh")
    problems = [*check_directions(), *check_code_map(), *check_headers(compile_flags(commands)),
                *check_exports(commands)]
    for problem in problems:
        print(problem.replace(str(ROOT) + os.sep, ""))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
