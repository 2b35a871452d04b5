"""SECURITY.md promises options and counters: each is there, by just that name."""
import json
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


def rows():
    """What the table of bounds names: the fields of /stats, and the metrics, each with labels."""
    lines = iter(TEXT.splitlines())
    while not next(lines).startswith("| attack |"):
        pass
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        attack, _, fields, metrics = (cell.strip() for cell in line.strip("|").split(" |"))
        named = [re.findall(r"`([^`]+)`", metric) for metric in metrics.split(";")]
        yield attack, re.findall(r"`([^`]+)`", fields), [metric for metric in named if metric]


def keys(value):
    """All names in /stats, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(keys, value.values()))


def test_each_field_of_stats_that_it_names_is_there(tallyd):
    there = keys(json.loads(tallyd.get("/stats")[2]))
    named = [name for _, fields, _ in rows() for name in fields]
    assert len(named) > 15
    assert not set(named) - there


def test_each_metric_that_it_names_is_there_with_its_labels(tallyd):
    lines = tallyd.get("/metrics/prom")[2].decode().splitlines()
    samples = {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}
    names = {sample.split("{")[0] for sample in samples}
    labelled = {(sample.split("{")[0], value)
                for sample in samples for value in re.findall(r'="([^"]*)"', sample)}
    named = [metric for _, _, metrics in rows() for metric in metrics]
    assert len(named) > 15
    for name, *labels in named:
        assert name in names
        assert not {(name, label) for label in labels} - labelled


def test_each_attack_with_a_field_has_a_metric():
    for attack, fields, metrics in rows():
        assert not fields or metrics, attack
