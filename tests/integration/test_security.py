"""SECURITY.md promises options and counters: each is there."""
import re

from harness.env import ROOT
from harness.tallyd import run

TEXT = (ROOT / "SECURITY.md").read_text()


def test_each_option_that_it_names_is_there():
    help = run("--help").stdout
    names = set(re.findall(r"`--([a-z0-9-]+)", TEXT))
    assert len(names) > 20
    for name in names:
        assert f"--{name} " in help or f"--{name}\n" in help, name


def test_each_counter_that_it_names_is_there(tallyd):
    statistics = tallyd.get("/stats")[2].decode() + tallyd.get("/metrics/prom")[2].decode()
    names = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT)) - {"__overflow__"}
    assert len(names) > 15
    for name in names:
        assert name in statistics, name
