"""Runs rows of the benchmark, prints its table, and writes results.json and charts.

    python3 tests/bench/run.py [--quick | --smoke] [--list] [ROW...]

scripts/bench.sh is the way to call it; it builds first. TALLYD_BUILD_DIR says where the programs
are. A ROW is a name of --list or a pattern such as 'tallyd-*'. Exit status: 0 when every row was
run or skipped for a reason that it told, 1 when one failed, 2 for wrong arguments.
"""
import argparse
import datetime
import fnmatch
import json
import re
import subprocess
import sys
import time
import traceback

import charts
import machine
import settings
import table
from figures import Result
from harness.env import BUILD, ROOT
from rows import ROWS, Bench
from stage import Missing
from targets import judged


def parse(arguments):
    parser = argparse.ArgumentParser(usage="bench.sh [--quick] [--list] [ROW...]")
    parser.add_argument("--quick", action="store_true", help="fewer rows, sizes and seconds")
    parser.add_argument("--smoke", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="print the names of the rows")
    parser.add_argument("rows", metavar="ROW", nargs="*", help="only these; * and ? match")
    return parser, parser.parse_args(arguments)


def chosen_rows(parser, options):
    """Rows named on the command line, or else those of the kind of run."""
    if not options.rows:
        return [row for row in ROWS if row.quick or not options.quick]
    for pattern in options.rows:
        if not any(fnmatch.fnmatch(row.name, pattern) for row in ROWS):
            parser.error(f"there is no row {pattern}; see --list")
    return [row for row in ROWS if any(fnmatch.fnmatch(row.name, p) for p in options.rows)]


def run_row(row, bench):
    """The row's results; one that could not be had says why, and so does one that failed."""
    start = time.monotonic()
    print(f"{row.name} ...", file=sys.stderr, end=" ", flush=True)
    try:
        results, verdict = row.run(bench), "done"
    except Missing as missing:
        results, verdict = [Result(row.name, row.name)], f"SKIPPED: {missing}"
        results[0].skipped = str(missing)
    except Exception as error:  # the other rows are worth having
        traceback.print_exc()
        results, verdict = [Result(row.name, row.name)], "FAILED"
        results[0].failed = str(error)
    print(f"{verdict} ({time.monotonic() - start:.0f} s)", file=sys.stderr, flush=True)
    return results


def build():
    """The commit and the compiler of what is measured; refuses what would measure something else."""
    cache = (BUILD / "CMakeCache.txt").read_text()
    options = dict(re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE))
    if options.get("SANITIZE") or options.get("CMAKE_BUILD_TYPE") == "Debug":
        raise SystemExit(f"run.py: {BUILD} is a build with sanitizers or for debugging")
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ).stdout.strip()
    return {"commit": commit, "compiler": options.get("CMAKE_C_COMPILER")}


def redis_version():
    said = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, text=True).stdout
    return re.search(r"v=([\d.]+)", said).group(1)


def write(path, results, settings_name, left_out):
    run = {
        "settings": settings_name,
        "date": datetime.date.today().isoformat(),
        "machine": machine.description(),
        "build": build(),
        "redis": redis_version(),
        "rows_left_out": left_out,
        "results": [result.to_json() for result in results],
        "targets": [
            {"target": target.what, "limit": target.limit, "reached": value, "met": met}
            for target, value, met in judged(results)
        ],
    }
    path.write_text(json.dumps(run, indent=1) + "\n")


def show(results, chosen, left_out):
    print(table.whole(results))
    for remark in table.remarks(results):
        print(remark)
    if left_out:
        print("left out:", ", ".join(left_out))
    if chosen.leaves_out:
        print(f"{chosen.name}: {chosen.leaves_out}")


def main(arguments):
    parser, options = parse(arguments)
    if options.list:
        print("\n".join(row.name for row in ROWS))
        return 0
    chosen = settings.SMOKE if options.smoke else settings.QUICK if options.quick else settings.FULL
    rows = chosen_rows(parser, options)
    left_out = [row.name for row in ROWS if row not in rows]
    build()
    directory = BUILD / ("bench-smoke" if options.smoke else "bench")
    directory.mkdir(parents=True, exist_ok=True)
    with machine.pinned(machine.LOAD_CPUS):  # what measures must not disturb what is measured
        results = [one for row in rows for one in run_row(row, Bench(chosen, directory))]
    write(directory / "results.json", results, chosen.name, left_out)
    show(results, chosen, left_out)
    for path in [directory / "results.json", *charts.draw(results, directory)]:
        print("wrote", path)
    return int(any(result.failed for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
