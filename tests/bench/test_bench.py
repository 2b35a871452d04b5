"""That the benchmark still works: every row once, with loads so small that its figures mean
nothing, and what is made of them. What is not built or installed here is skipped loudly."""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import pytest
from harness.env import BUILD, SANITIZED, have

HERE = Path(__file__).resolve().parent

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitized build is not what is measured")


@pytest.fixture(scope="module")
def smoke():
    """A whole run, of a second or two a row; returns what it printed and results.json."""
    if not have("redis-server"):
        pytest.skip("redis-server is not installed")
    done = subprocess.run(
        [sys.executable, "-B", str(HERE / "run.py"), "--smoke"],
        env=os.environ | {"PYTHONPATH": str(HERE.parent / "integration")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((BUILD / "bench-smoke" / "results.json").read_text())


def test_every_row_has_figures_or_a_reason(smoke):
    printed, run = smoke
    assert not run["rows_left_out"]
    for result in run["results"]:
        assert not result["failed"]
        assert bool(result["figures"]) != bool(result["skipped"]), result
        for name, figure in result["figures"].items():
            assert 0 <= figure["min"] <= figure["median"] <= figure["max"], (name, figure)
        assert result["title"] in printed
    skipped = [one["row"] for one in run["results"] if one["skipped"]]
    if skipped:
        pytest.skip(f"needs what tests/bench/build.sh builds: {', '.join(skipped)}")


def test_charts_are_whole_svg(smoke):
    if not have("gnuplot"):
        pytest.skip("gnuplot is not installed")
    charts = re.findall(r"^wrote (.*\.svg)$", smoke[0], re.MULTILINE)
    assert len(charts) >= 3  # the fourth needs the limit
    for chart in charts:
        assert xml.etree.ElementTree.parse(chart).getroot().tag.endswith("svg")


def test_the_document_takes_the_tables(smoke):
    import document  # with the harness on its path, which conftest.py has put there

    text = document.section(smoke[1])
    assert "| row |" in text and "| target |" in text
    document_text = document.DOCUMENT.read_text()
    assert document_text.count(document.BEGIN) == 1 == document_text.count(document.END)


def test_a_target_is_judged_by_its_row():
    from figures import Result
    from targets import judged

    result = Result("tallyd-1m-45", "")
    result.add("cpu_ns", "ns/packet", 50.1)
    verdicts = [one for one in judged([result]) if one[1] is not None]
    ((target, value, met),) = verdicts
    assert (target.limit, value, met) == (50, 50.1, False)
