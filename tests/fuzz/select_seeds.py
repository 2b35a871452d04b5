#!/usr/bin/env python3
"""Adds to a target's committed corpus what a fuzzer found that reaches code the corpus does not: of
all that reaches it the shortest, one by one. tests/fuzz/select_seeds.py TARGET, behind a run of
scripts/fuzz.sh."""
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build-fuzz"


def edges(program, *directories):
    """How much code the inputs in these directories reach."""
    run = subprocess.run(
        [program, "-runs=0", *directories], capture_output=True, text=True, check=True
    )
    return int(re.search(r"INITED cov: (\d+)", run.stderr)[1])


def main():
    target = sys.argv[1]
    program = BUILD / "tests/fuzz" / f"fuzz_{target}"
    corpus = ROOT / "tests/fuzz/corpus" / target
    with tempfile.TemporaryDirectory() as merged:
        subprocess.run(
            [program, "-merge=1", merged, corpus, BUILD / "corpus" / target],
            stderr=subprocess.DEVNULL,
            check=True,
        )
        reached, all_there_is = edges(program, corpus), edges(program, merged)
        for found in sorted(Path(merged).iterdir(), key=lambda path: path.stat().st_size):
            if reached >= all_there_is:
                break
            added = corpus / found.name[:12]
            if added.exists():
                continue
            shutil.copy(found, added)
            now = edges(program, corpus)
            if now <= reached:
                added.unlink()
            reached = max(reached, now)
        print(f"{target}: the corpus of {len(list(corpus.iterdir()))} reaches {reached} edges")


if __name__ == "__main__":
    main()
