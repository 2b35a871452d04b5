"""What RFC 9113 demands, as tables of cases can state it, and the check that it is met.

    CASES = [Case("6.7", "a PING of seven octets", lambda c: c.send(ping(b"1234567")),
                  connection_error(FRAME_SIZE_ERROR))]

A stream error may be answered as a connection error of the same code (5.4.1); where tallyd does
so, the case says it, and why.
"""
import dataclasses
import itertools
from typing import Callable

from . import h2_raw as h2
from .wire import framed_packets

LAST = 1001  # the stream that shows that a connection is still good


@dataclasses.dataclass
class Demand:
    kind: str  # "connection", "stream" or "accept"
    codes: tuple = ()
    stream: int = 1
    as_connection: bool = False


def connection_error(*codes):
    return Demand("connection", codes)


def stream_error(*codes, stream=1):
    return Demand("stream", codes, stream)


def stream_error_that_ends_the_connection(*codes):
    return Demand("stream", codes, as_connection=True)


ACCEPTED = Demand("accept")
MALFORMED = stream_error(h2.PROTOCOL_ERROR)  # 8.1.1


@dataclasses.dataclass
class Case:
    section: str
    name: str
    act: Callable
    demand: Demand
    greeting: tuple = ()  # settings in the client's preface

    def __str__(self):
        return f"{self.section}-{self.name}".replace(" ", "-")


def call(client, stream=LAST, devices=("good",)):
    """A whole call that must be acknowledged; waits for the Ack."""
    client.send(client.request(stream), h2.data(stream, framed_packets(devices), h2.END_STREAM))
    seen = client.wait(lambda seen: stream in seen.ended or stream in seen.resets, "the Ack")
    assert seen.field(stream, "grpc-status") == "0", seen


def open_call(client, stream=1):
    """A call that has begun and goes on: its stream is open."""
    client.send(client.request(stream), h2.data(stream, framed_packets(["begun"])))


def end_call(client, stream=1):
    """A call that both sides have ended: its stream is closed."""
    call(client, stream, ["ended"])


def half_close(client, stream=1):
    """A call that the client has ended and the server cannot, since the client's window for its
    streams is 0 (`greeting` of the case): its stream is half-closed (remote)."""
    client.send(client.request(stream), h2.data(stream, framed_packets(["half"]), h2.END_STREAM))
    client.wait(lambda seen: stream in seen.headers, "the response's headers")


SHUT = ((h2.INITIAL_WINDOW_SIZE, 0),)


def check(client, case):
    """Plays a case on a fresh connection and holds what came to what is demanded."""
    client.greet(*case.greeting)
    case.act(client)
    seen, demand = client.settle(), case.demand
    if demand.kind == "connection" or demand.as_connection:
        assert seen.goaway in demand.codes, seen
        assert seen.closed, "a connection error ends the connection (5.4.1)"
        return
    assert seen.goaway is None and not seen.closed, seen
    if demand.kind == "stream":
        assert seen.resets.get(demand.stream) in demand.codes, seen
    else:
        assert set(seen.resets.values()) <= {h2.NO_ERROR}, seen
    if case.greeting == SHUT:
        client.send(h2.settings((h2.INITIAL_WINDOW_SIZE, 65535)))
    call(client)


def unique(cases):
    """The cases of several tables, each with an id of its own."""
    cases = list(itertools.chain(*cases))
    names = [str(case) for case in cases]
    assert len(set(names)) == len(names), sorted(n for n in names if names.count(n) > 1)
    return cases
