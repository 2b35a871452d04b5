"""What the project set out to reach, as ratios and figures within one run, and whether it did."""
import dataclasses
from typing import Callable

FLUSH_FLOOR_MS = 5  # FLOOR_MS of aggregator/flusher.c


@dataclasses.dataclass(frozen=True)
class Target:
    """`value` takes a function from the names of a row and a figure to the Figure, and returns what
    was reached. That meets the target when it is at most `limit`, or at least with at_least."""

    what: str
    unit: str
    limit: float
    value: Callable
    at_least: bool = False

    def judge(self, find):
        """Returns (value, met), or None when a row that it needs was not run."""
        try:
            value = self.value(find)
        except KeyError:
            return None
        return value, value >= self.limit if self.at_least else value <= self.limit


def _median(what, unit, limit, row, figure, at_least=False, scale=1):
    return Target(what, unit, limit, lambda find: find(row, figure).median / scale, at_least)


def _most(what, unit, limit, row, figure, scale=1):
    """The largest of all runs."""
    return Target(what, unit, limit, lambda find: max(find(row, figure).values) / scale)


def _ratio(what, unit, limit, above, below, at_least):
    """The ratio of two medians, each named by (row, figure)."""

    def value(find):
        return find(*above).median / find(*below).median

    return Target(what, unit, limit, value, at_least)


def to_limit(find, row):
    """The share of raw TCP's bytes a CPU-second that this row reaches with its packets."""
    limit_ns_a_byte = find("limit-tcp", "cpu_ns").median / find("limit-tcp", "wire").median
    return limit_ns_a_byte * find(row, "wire").median / find(row, "cpu_ns").median


def finder(results):
    """The function that targets take."""
    by_row = {result.row: result for result in results}
    return lambda row, figure: by_row[row].figures[figure]


HEADLINE = ("tallyd-1k-45", "cpu_ns")

TARGETS = (
    _median("CPU a packet, 45 B, full frames, 1 k devices", "ns", 22, *HEADLINE),
    Target(
        "the same, share of raw TCP discard a CPU-second",
        "",
        0.30,
        lambda find: to_limit(find, HEADLINE[0]),
        at_least=True,
    ),
    _ratio("the same, against grpc-go", "times", 18, ("peer-go", "cpu_ns"), HEADLINE, True),
    _ratio("the same, against gRPC C++", "times", 60, ("peer-cpp", "cpu_ns"), HEADLINE, True),
    _ratio(
        "the same, against the Python original",
        "times",
        5000,
        ("peer-python", "cpu_ns"),
        HEADLINE,
        True,
    ),
    _median("CPU a packet, 1 M devices, uniform", "ns", 50, "tallyd-1m-45", "cpu_ns"),
    _median("CPU a packet, one message a frame", "ns", 100, "one-a-frame", "cpu_ns"),
    _ratio(
        "two workers against one, CPU a packet",
        "",
        1.10,
        ("workers-2", "cpu_ns"),
        ("workers-1", "cpu_ns"),
        False,
    ),
    _most("longest pause at a cut, 1 M dirty devices", "us", 1000, "cut-pause", "pause_us"),
    Target(
        "flush, share of bare pipelined MULTI/EXEC",
        "",
        0.90,
        lambda find: find("flush", "share").median,
        at_least=True,
    ),
    _median("Ack latency p99, idle", "ms", 2 * FLUSH_FLOOR_MS + 10, "ack-idle", "p99"),
    _median("Ack latency p99, loaded", "ms", 2 * FLUSH_FLOOR_MS + 10, "ack-loaded", "p99"),
    _median("a device beside its id, 1 worker", "B", 64, "memory-1m-1", "device"),
    _median("a device beside its id, 2 workers, each", "B", 64, "memory-1m-2", "device"),
    _median("an idle connection with a stream", "B", 32 * 1024, "connections", "connection"),
    _median("/metrics, 1 M devices, first byte", "ms", 50, "http-metrics", "first_byte"),
    _median("the same, body a second", "MB", 200, "http-metrics", "body", True, 1e6),
    _most("the same, memory beside the snapshot", "MB", 64, "http-metrics", "extra", 1e6),
    _median("a device in the snapshot, beside its id", "B", 80, "http-metrics", "snapshot_device"),
    _most("1,000 clients of /summary, errors", "", 0, "http-clients", "errors"),
    _median("the same, p99", "ms", 50, "http-clients", "answers_p99"),
    _most("the same, readings of Redis, share of allowed", "", 1, "http-clients", "readings"),
    _median("CPU a packet beside them, ratio", "", 1.05, "http-beside", "counting_ratio"),
)


def judged(results):
    """(target, value, met) for each target; value and met are None when its rows were not run."""
    find = finder(results)
    return [(target, *(target.judge(find) or (None, None))) for target in TARGETS]
