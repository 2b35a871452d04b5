"""scripts/perf.sh, briefly: it ends well, and its flame graph shows the packet path. And the
drawing alone, which needs no perf."""
import re
import shutil
import subprocess
from collections import Counter
from xml.etree import ElementTree

import flame_graph
import pytest
from harness.env import ROOT, SANITIZED, have

SVG = "{http://www.w3.org/2000/svg}"
PERF_SH = str(ROOT / "scripts" / "perf.sh")

SCRIPT = """\
worker-0 
	          10a974 __libc_recv (/usr/lib/x86_64-linux-gnu/libc.so.6)
	          10a974 __libc_recv (/usr/lib/x86_64-linux-gnu/libc.so.6)
	            c182 connection_receive (inlined)
	            b717 thread_main (/home/me/my build/tallyd)

worker-0 
	ffffffff81b6ccb0 _copy_to_iter ([kernel.kallsyms])
	          10a974 __libc_recv (/usr/lib/x86_64-linux-gnu/libc.so.6)
	            c182 connection_receive (inlined)
	            b717 thread_main (/home/me/my build/tallyd)

my thread 
	            5320 [unknown] (/usr/lib/x86_64-linux-gnu/libck.so.0.7.1)
	            5328 [unknown] (/usr/lib/x86_64-linux-gnu/libck.so.0.7.1)
	            9994 operator<<(a<b>&, c;d) (/usr/bin/c++)

worker-0 
	          10a974 __libc_recv (/usr/lib/x86_64-linux-gnu/libc.so.6)
	            c182 connection_receive (inlined)
	            b717 thread_main (/home/me/my build/tallyd)

idle 

"""
STACKS = {
    ("worker-0", "thread_main", "connection_receive", "__libc_recv"): 2,
    ("worker-0", "thread_main", "connection_receive", "__libc_recv", "_copy_to_iter_[k]"): 1,
    ("my thread", "operator<<(a<b>&, c:d)", "[libck.so.0.7.1]"): 1,
    ("idle",): 1,
}


def boxes(root):
    """Name to width in pixels; of boxes with the same name, the last one's."""
    return {
        group.get("data-name"): float(group.find(f"{SVG}rect").get("width"))
        for group in root.findall(f"{SVG}g")
    }


def test_stacks_are_read_as_perf_prints_them():
    assert flame_graph.read_stacks(SCRIPT.splitlines(keepends=True)) == STACKS


def test_stacks_are_folded_as_other_tools_read_them(tmp_path):
    flame_graph.write_folded(Counter(STACKS), tmp_path / "folded")
    lines = (tmp_path / "folded").read_text().splitlines()
    assert len(lines) == len(STACKS)
    assert "worker-0;thread_main;connection_receive;__libc_recv;_copy_to_iter_[k] 1" in lines
    assert "my_thread;operator<<(a<b>&,_c:d);[libck.so.0.7.1] 1" in lines


def test_a_box_is_as_wide_as_its_share():
    picture = flame_graph.draw(Counter(STACKS), "<title>", "a & b")
    root = ElementTree.fromstring(ElementTree.tostring(picture.getroot()))
    width = boxes(root)
    whole = width["all"]
    assert width["worker-0"] == width["connection_receive"] == pytest.approx(whole * 3 / 5, abs=0.1)
    assert width["_copy_to_iter"] == pytest.approx(whole / 5, abs=0.1)
    assert width["idle"] == width["[libck.so.0.7.1]"] == pytest.approx(whole / 5, abs=0.1)
    assert [text.text for text in root.findall(f"{SVG}text")] == ["<title>", "a & b"]


def run(*arguments, **environment):
    return subprocess.run(
        [PERF_SH, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **environment,
    )


def skip_without_tools():
    for tool in ("perf", "redis-server"):
        if not have(tool):
            pytest.skip(f"{tool} is not installed")


def skip_without_permission(done):
    if "perf is not permitted" in done.stderr:
        pytest.skip(done.stderr.strip())


@pytest.mark.skipif(SANITIZED, reason="a sanitized build spends its time elsewhere")
def test_a_run_shows_the_packet_path(tmp_path):
    skip_without_tools()
    done = run("--seconds", "1", "--out", str(tmp_path), "--devices", "100")
    skip_without_permission(done)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "connection_receive" in boxes(ElementTree.parse(tmp_path / "flame.svg").getroot())
    stacks = (tmp_path / "stacks.txt").read_text()
    assert re.search("^worker-.*;call_receive;", stacks, re.MULTILINE)
    assert (tmp_path / "perf.data").exists()
    assert "function" in done.stdout


@pytest.mark.skipif(SANITIZED, reason="a sanitized build spends its time elsewhere")
@pytest.mark.parametrize(
    "load, said", [(["--bogus"], "unknown option --bogus"), (["--n", "10"], "a larger --n")]
)
def test_a_load_that_does_not_last_is_told(tmp_path, load, said):
    skip_without_tools()
    done = run("--out", str(tmp_path), *load)
    skip_without_permission(done)
    assert done.returncode == 1 and said in done.stderr, done.stdout + done.stderr


def lone_tools(directory, *tools):
    """An environment whose PATH has a few tools and nothing else but what is in `directory`."""
    for tool in tools:
        (directory / tool).symlink_to(shutil.which(tool))
    return {"PATH": str(directory)}


def test_without_perf_it_says_what_to_install(tmp_path):
    done = run(env=lone_tools(tmp_path, "bash", "dirname"))
    assert done.returncode == 1
    assert "scripts/setup.sh --perf installs it" in done.stderr and done.stderr.count("\n") == 1


def test_without_permission_it_says_whose_it_is(tmp_path):
    fake = tmp_path / "perf"
    fake.write_text("#!/bin/sh\necho >&2\necho 'Access to events is limited' >&2\nexit 255\n")
    fake.chmod(0o755)
    done = run(env=lone_tools(tmp_path, "bash", "dirname", "grep", "cat"))
    assert done.returncode == 1
    assert "perf_event_paranoid" in done.stderr and "is limited" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds"], ["--target", "x"]])
def test_a_wrong_option_is_refused(arguments):
    done = run(*arguments)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr


def test_help_tells_the_options():
    done = run("--help")
    assert done.returncode == 0 and "scripts/perf.sh [--seconds S]" in done.stdout
