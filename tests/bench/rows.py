"""The rows of the benchmark by name, in the order of its table."""
import dataclasses
from pathlib import Path
from typing import Callable

import http_rows
import other_rows
import rate_rows
from loads import H2Load, Packets, TallySend
from rate_rows import FAST, INTERPRETER, LIBRARY, ONE_A_FRAME, ORIGINAL, ZIPF
from settings import Settings


@dataclasses.dataclass(frozen=True)
class Bench:
    """What all rows of one run share."""

    settings: Settings
    directory: Path  # rendered bodies, kept from run to run


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    run: Callable  # takes the Bench, returns a list of Result
    quick: bool = True  # part of --quick


def _one_a_frame(_):
    return TallySend(Packets(frame_packets=1))


def _h2load(bench):
    return H2Load(Packets(), bench.directory)


def _tallyd(name, title, load, guess, **options):
    return Row(name, rate_rows.tallyd_under(name, title, load, guess), **options)


def _full_frames(name, devices, **options):
    zipf = ZIPF if name.endswith("zipf") else 0
    return Row(name, rate_rows.full_frames(name, devices, zipf), **options)


def _peer(name, title, command, load, guess, **options):
    return Row(name, rate_rows.peer_under(name, title, command, load, guess), **options)


ROWS = (
    Row("headline", rate_rows.headline),
    Row("tallyd-1k", rate_rows.full_frames("tallyd-1k", 1_000, first_size=1), quick=False),
    _full_frames("tallyd-1k-zipf", 1_000, quick=False),
    _full_frames("tallyd-100k", 100_000, quick=False),
    _full_frames("tallyd-100k-zipf", 100_000, quick=False),
    _full_frames("tallyd-1m", None),
    _full_frames("tallyd-1m-zipf", None, quick=False),
    _tallyd("one-a-frame", "one message a frame, 1 k, 45 B", _one_a_frame, ONE_A_FRAME),
    _tallyd("h2load", "1 k devices, 45 B, sent by h2load", _h2load, FAST),
    Row("workers", rate_rows.workers),
    Row("tls", rate_rows.tls),
    _tallyd("cpp-client", "gRPC C++ client", rate_rows.cpp_client, LIBRARY, quick=False),
    _tallyd(
        "python-client", "gRPC Python client", rate_rows.python_client, INTERPRETER, quick=False
    ),
    _peer(
        "peer-cpp-client",
        "gRPC C++, gRPC C++ client",
        rate_rows.cpp_peer,
        rate_rows.cpp_client,
        LIBRARY,
        quick=False,
    ),
    _peer(
        "peer-python-client",
        "Python original, gRPC Python client",
        rate_rows.python_peer,
        rate_rows.python_client,
        ORIGINAL,
        quick=False,
    ),
    Row("ack", other_rows.ack_latency),
    Row("freshness", other_rows.freshness),
    Row("flush", other_rows.flush_rate),
    Row("cut-pause", other_rows.cut_pause),
    Row("memory", other_rows.device_memory),
    Row("connections", other_rows.connection_memory),
    Row("http-metrics", http_rows.snapshot),
    Row("http-clients", http_rows.clients),
)
