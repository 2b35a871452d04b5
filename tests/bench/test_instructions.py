"""Instructions a packet, held to the budget in instructions.budget: what makes the packet path
longer is seen without timing anything, and so is what makes it shorter."""
import platform
import re
import subprocess
from pathlib import Path

import pytest
from harness.env import SANITIZED, have, program

BUDGET = Path(__file__).with_name("instructions.budget")
OVER, UNDER = 1.02, 0.95  # a change within them is noise of the compiler's, or not worth a commit

LOADS = {
    "full-frames": ["--frame-packets", "0"],
    "one-message-a-frame": ["--frame-packets", "1"],
}
PACKETS, SHORT, LONG = 20_000, 1, 3  # of a pass; passes


def read_budget():
    """The lines "name value", as a dict."""
    lines = (line.partition("#")[0].strip() for line in BUDGET.read_text().splitlines())
    return dict(line.split(" ", 1) for line in lines if line)


@pytest.fixture(scope="module", name="budget")
def usable_budget():
    """The budget, if it is one for this build on this machine."""
    if SANITIZED:
        pytest.skip("a sanitizer adds instructions of its own")
    if not have("valgrind"):
        pytest.skip("valgrind is not installed")
    if platform.machine() == "x86_64" and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("the budget is for processors with AVX2, which the C library makes use of")
    budget = read_budget()
    run = subprocess.run(
        [program("ingest_loop"), "--packets", "1"], capture_output=True, text=True, check=True
    )
    build = re.search("^build: (.*)$", run.stdout, re.MULTILINE)[1]
    if build != budget["build"]:
        pytest.skip(f"the budget is for another build ({budget['build']}), this is {build}")
    return budget


def count(load, passes, directory):
    """The instructions of so many passes. ingest_loop itself fails when a count is wrong."""
    out = directory / f"callgrind.{passes}"
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
        + ["--collect-atstart=no", "--toggle-collect=measured_receive*"]
        + [program("ingest_loop"), "--devices", "1000", "--packet-bytes", "45"]
        + ["--packets", str(PACKETS), "--repeat", str(passes), *LOADS[load]],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    total = int(re.search(r"^totals: (\d+)$", out.read_text(), re.MULTILINE)[1])
    assert total, "callgrind found no measured_receive() to count in"
    return total


@pytest.mark.parametrize("load", LOADS)
def test_instructions_stay_in_their_budget(load, budget, tmp_path):
    # What is done once, as making the counters, is in both runs and goes out in the difference.
    short, long = (count(load, passes, tmp_path) for passes in (SHORT, LONG))
    figure = (long - short) / (PACKETS * (LONG - SHORT))
    allowed = float(budget[load])
    print(f"{load}: {figure:.1f} instructions a packet, budget {allowed}")
    assert figure <= allowed * OVER, (
        f"{load}: {figure:.1f} instructions a packet are over the budget of {allowed}. Find them "
        f"with callgrind_annotate {tmp_path}/callgrind.{LONG}; if they are worth it, raise the "
        f'budget in {BUDGET.name} to "{load} {figure:.1f}" and say why in the commit'
    )
    assert figure >= allowed * UNDER, (
        f"{load}: {figure:.1f} instructions a packet, well under the budget of {allowed}. Lower "
        f'the budget, so that nobody loses this again: in {BUDGET.name}, "{load} {figure:.1f}"'
    )
