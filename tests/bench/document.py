"""Puts the tables of the last full run into docs/benchmarks.md, between its two marks, so that no
figure there was typed by hand: scripts/bench.sh --document."""
import json
import sys
import textwrap

import table
from figures import Result
from harness.env import BUILD, ROOT

WIDTH = 99
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: scripts/bench.sh --document -->\n", "<!-- end of results -->\n"


def section(run):
    """The text between the marks."""
    machine = run["machine"]
    kind = "a virtual machine" if machine["virtual"] else "a machine"
    where = (
        f"Run of {run['date']}, {run['settings']}: {machine['processors']} cores of {kind}, "
        f"{machine['architecture']}, {machine['system']}, Redis {run['redis']}; server on "
        f"processor {_list(machine['server_processors'])}, load on "
        f"{_list(machine['load_processors'])}."
    )
    results = [Result.from_json(result) for result in run["results"]]
    text = textwrap.fill(where, WIDTH) + "\n\n" + table.whole(results, table.markdown)
    remarks = "".join(f"- {remark}\n" for remark in table.remarks(results))
    return text + ("\n" + remarks if remarks else "")


def _list(processors):
    return " and ".join(map(str, processors))


def main():
    path = BUILD / "bench" / "results.json"
    if not path.exists():
        print(f"document.py: {path} is not there: run scripts/bench.sh first", file=sys.stderr)
        return 1
    run = json.loads(path.read_text())
    if run["settings"] != "full" or run["rows_left_out"]:
        print(f"document.py: {path} is not of a full run", file=sys.stderr)
        return 1
    head, rest = DOCUMENT.read_text().split(BEGIN)
    tail = rest.split(END)[1]
    DOCUMENT.write_text(head + BEGIN + "\n" + section(run) + "\n" + END + tail)
    return 0


if __name__ == "__main__":
    sys.exit(main())
