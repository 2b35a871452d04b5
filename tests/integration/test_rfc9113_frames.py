"""RFC 9113, sections 4, 5.5 and 6: each frame by itself, right and wrong."""
import struct

import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness import h2_raw as h2
from harness import rfc9113
from harness.h2_raw import (
    COMPRESSION_ERROR,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PRIORITY,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Raw,
    data,
    frame,
    goaway,
    padded,
    ping,
    priority,
    reset,
    settings,
    window_update,
)
from harness.rfc9113 import (
    ACCEPTED,
    Case,
    call,
    connection_error,
    open_call,
    stream_error_that_ends_the_connection,
)
from harness.wire import framed_packets

PACKET = framed_packets(["a"])
MOST = (1 << 31) - 1


def sends(*frames):
    return lambda c: c.send(*frames)


def on_an_open_stream(*frames):
    def act(c):
        open_call(c)
        c.send(*frames)

    return act


def in_a_header_block(*frames):
    """Frames between HEADERS without END_HEADERS and the CONTINUATION that it needs."""

    def act(c):
        block = c.block_of(c.fields())
        c.send(frame(HEADERS, 0, 1, block[:5]), *frames)
        c.send(frame(CONTINUATION, END_HEADERS, 1, block[5:]))

    return act


def request_in(*pieces):
    """A whole call whose header block lies in HEADERS and CONTINUATIONs, cut there."""

    def act(c):
        block = c.block_of(c.fields())
        cuts = [0, *pieces, len(block)]
        parts = [block[a:b] for a, b in zip(cuts, cuts[1:])]
        c.send(frame(HEADERS, END_HEADERS if len(parts) == 1 else 0, 1, parts[0]))
        for part in parts[1:-1]:
            c.send(frame(CONTINUATION, 0, 1, part))
        c.send(frame(CONTINUATION, END_HEADERS, 1, parts[-1]), data(1, PACKET, END_STREAM))
        c.wait(lambda seen: 1 in seen.ended, "the Ack")

    return act


def headers_with(flags, wrap):
    """A request whose HEADERS has these flags, and as payload what wrap(block) makes."""

    def act(c):
        block = c.block_of(c.fields())
        c.send(frame(HEADERS, flags | END_HEADERS, 1, wrap(block)), data(1, PACKET, END_STREAM))

    return act


def deep(weight=16, depends_on=0):
    return struct.pack(">IB", depends_on, weight - 1)


FORMAT = [
    Case("4.1", "a frame of an unknown type", sends(frame(0xEE, 0xFF, 0, b"x" * 8)), ACCEPTED),
    Case("4.1", "unknown type on a stream", on_an_open_stream(frame(0xEE, 0, 1, b"x")), ACCEPTED),
    Case("4.1", "unknown type on an idle stream", sends(frame(0xEE, 0, 77, b"x")), ACCEPTED),
    Case("4.1", "undefined flags of PING", sends(frame(PING, 0xFE, 0, b"8 octets")), ACCEPTED),
    Case("4.1", "the reserved bit of PING", sends(ping(stream=1 << 31)), ACCEPTED),
    Case("4.1", "the reserved bit of DATA",
         on_an_open_stream(frame(h2.DATA, 0, 1 | 1 << 31, PACKET)), ACCEPTED),
    Case("4.2", "DATA of 16384 octets",
         on_an_open_stream(data(1, framed_packets(["x" * 248]) * 64)), ACCEPTED),
    Case("4.2", "DATA over the maximum", on_an_open_stream(data(1, bytes(16385))),
         stream_error_that_ends_the_connection(FRAME_SIZE_ERROR)),
    Case("4.2", "HEADERS over the maximum", sends(frame(HEADERS, END_HEADERS, 1, bytes(16385))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("4.2", "CONTINUATION over the maximum",
         lambda c: c.send(frame(HEADERS, 0, 1, c.block_of(c.fields())),
                          frame(CONTINUATION, END_HEADERS, 1, bytes(16385))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("4.2", "SETTINGS over the maximum", sends(frame(SETTINGS, payload=bytes(6 * 2731))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("4.2", "unknown type over the maximum", sends(frame(0xEE, payload=bytes(16385))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("4.2", "the greatest length there is", sends(frame(PING, length=0xFFFFFF)),
         connection_error(FRAME_SIZE_ERROR)),
    Case("4.3", "a header block of rubbish", sends(frame(HEADERS, END_HEADERS, 1, b"\xff" * 8)),
         connection_error(COMPRESSION_ERROR)),
    Case("4.3", "a block that ends inside a field",
         lambda c: c.send(frame(HEADERS, END_HEADERS, 1, c.block_of(c.fields())[:-3])),
         connection_error(COMPRESSION_ERROR)),
    Case("4.3", "PRIORITY inside a block", in_a_header_block(priority(1)),
         connection_error(PROTOCOL_ERROR)),
    Case("4.3", "PING inside a block", in_a_header_block(ping()),
         connection_error(PROTOCOL_ERROR)),
    Case("4.3", "DATA inside a block", in_a_header_block(data(1, b"x")),
         connection_error(PROTOCOL_ERROR)),
    Case("4.3", "SETTINGS inside a block", in_a_header_block(settings()),
         connection_error(PROTOCOL_ERROR)),
    Case("4.3", "HEADERS of another stream inside a block",
         in_a_header_block(frame(HEADERS, END_HEADERS, 3, b"\x82")),
         connection_error(PROTOCOL_ERROR)),
    Case("5.5", "unknown type inside a block", in_a_header_block(frame(0xEE, 0, 1, b"x")),
         connection_error(PROTOCOL_ERROR)),
    Case("5.5", "unknown setting", sends(settings((0xEEEE, MOST))), ACCEPTED),
]

DATA_FRAMES = [
    Case("6.1", "on stream 0", sends(data(0, b"x")), connection_error(PROTOCOL_ERROR)),
    Case("6.1", "padding", on_an_open_stream(data(1, padded(PACKET, 255), PADDED)), ACCEPTED),
    Case("6.1", "nothing but padding", on_an_open_stream(data(1, padded(b"", 9), PADDED)),
         ACCEPTED),
    Case("6.1", "padding of no octets", on_an_open_stream(data(1, padded(PACKET, 0), PADDED)),
         ACCEPTED),
    Case("6.1", "padding as long as the payload",
         on_an_open_stream(data(1, padded(b"", 4, announced=5), PADDED)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.1", "padding longer than the payload",
         on_an_open_stream(data(1, padded(PACKET, 0, announced=255), PADDED)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.1", "PADDED and no payload", on_an_open_stream(data(1, b"", PADDED)),
         connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    Case("6.1", "empty", on_an_open_stream(data(1), data(1), data(1)), ACCEPTED),
]

HEADERS_FRAMES = [
    Case("6.2", "on stream 0",
         lambda c: c.send(frame(HEADERS, END_HEADERS, 0, c.block_of(c.fields()))),
         connection_error(PROTOCOL_ERROR)),
    Case("6.2", "padding", headers_with(PADDED, lambda block: padded(block, 100)), ACCEPTED),
    Case("6.2", "priority", headers_with(WITH_PRIORITY, lambda block: deep(256) + block),
         ACCEPTED),
    Case("6.2", "padding and priority",
         headers_with(PADDED | WITH_PRIORITY, lambda block: padded(deep() + block, 7)), ACCEPTED),
    Case("6.2", "padding longer than the payload",
         headers_with(PADDED, lambda block: padded(block, 0, announced=255)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.2", "PADDED and no payload", sends(frame(HEADERS, END_HEADERS | PADDED, 1)),
         connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    Case("6.2", "priority cut short",
         sends(frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, b"\0\0\0")),
         connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR)),
    Case("6.2", "depends on an unknown stream",
         headers_with(WITH_PRIORITY, lambda block: deep(1, depends_on=1 << 30) + block), ACCEPTED),
    # 9113 has no rule any more: its stream priorities are deprecated. 7540, 5.3.1 has one, and
    # nghttp2 keeps it, as a connection error.
    Case("5.3", "depends on itself",
         headers_with(WITH_PRIORITY, lambda block: deep(depends_on=1) + block),
         stream_error_that_ends_the_connection(PROTOCOL_ERROR)),
]

PRIORITY_FRAMES = [
    Case("6.3", "on stream 0", sends(priority(0)), connection_error(PROTOCOL_ERROR)),
    Case("6.3", "of an idle stream", sends(priority(1), priority(3, 1), priority(5, 3, 256)),
         ACCEPTED),
    Case("6.3", "of an open stream", on_an_open_stream(priority(1, weight=256)), ACCEPTED),
    Case("6.3", "exclusive", on_an_open_stream(priority(1, depends_on=1 << 31 | 3)), ACCEPTED),
    Case("6.3", "of an idle stream does not open it",
         lambda c: (c.send(priority(9)), call(c, 3), call(c, 5)), ACCEPTED),
    Case("6.3", "four octets", on_an_open_stream(frame(PRIORITY, 0, 1, bytes(4))),
         stream_error_that_ends_the_connection(FRAME_SIZE_ERROR)),
    Case("6.3", "six octets", on_an_open_stream(frame(PRIORITY, 0, 1, bytes(6))),
         stream_error_that_ends_the_connection(FRAME_SIZE_ERROR)),
    # As with HEADERS: a rule of 7540 only.
    Case("5.3", "itself", on_an_open_stream(priority(1, depends_on=1)),
         stream_error_that_ends_the_connection(PROTOCOL_ERROR)),
]

RST_STREAM_FRAMES = [
    Case("6.4", "on stream 0", sends(reset(0)), connection_error(PROTOCOL_ERROR)),
    Case("6.4", "of an idle stream", sends(reset(1)), connection_error(PROTOCOL_ERROR)),
    Case("6.4", "three octets", on_an_open_stream(frame(RST_STREAM, 0, 1, bytes(3))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.4", "five octets", on_an_open_stream(frame(RST_STREAM, 0, 1, bytes(5))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.4", "an unknown error code", on_an_open_stream(reset(1, 0xDEADBEEF)), ACCEPTED),
]

SETTINGS_FRAMES = [
    Case("6.5", "ACK with a payload", sends(frame(SETTINGS, h2.ACK, payload=bytes(6))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.5", "on a stream", sends(frame(SETTINGS, stream=1)), connection_error(PROTOCOL_ERROR)),
    Case("6.5", "five octets", sends(frame(SETTINGS, payload=bytes(5))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.5", "seven octets", sends(frame(SETTINGS, payload=bytes(7))),
         connection_error(FRAME_SIZE_ERROR)),
    # 9113 has no rule; nghttp2 has.
    Case("6.5", "ACK that nobody owed", sends(frame(SETTINGS, h2.ACK)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.5.2", "ENABLE_PUSH 2", sends(settings((h2.ENABLE_PUSH, 2))),
         connection_error(PROTOCOL_ERROR)),
    Case("6.5.2", "ENABLE_PUSH 1", sends(settings((h2.ENABLE_PUSH, 1))), ACCEPTED),
    Case("6.5.2", "INITIAL_WINDOW_SIZE over the greatest window",
         sends(settings((INITIAL_WINDOW_SIZE, 1 << 31))), connection_error(FLOW_CONTROL_ERROR)),
    Case("6.5.2", "INITIAL_WINDOW_SIZE at it", sends(settings((INITIAL_WINDOW_SIZE, MOST))),
         ACCEPTED),
    Case("6.5.2", "MAX_FRAME_SIZE below the least", sends(settings((MAX_FRAME_SIZE, 16383))),
         connection_error(PROTOCOL_ERROR)),
    Case("6.5.2", "MAX_FRAME_SIZE over the greatest", sends(settings((MAX_FRAME_SIZE, 1 << 24))),
         connection_error(PROTOCOL_ERROR)),
    Case("6.5.2", "MAX_FRAME_SIZE at the greatest",
         sends(settings((MAX_FRAME_SIZE, (1 << 24) - 1))), ACCEPTED),
    Case("6.5.2", "HEADER_TABLE_SIZE 0 and back",
         sends(settings((h2.HEADER_TABLE_SIZE, 0)), settings((h2.HEADER_TABLE_SIZE, 4096))),
         ACCEPTED),
    Case("6.5.2", "all that there are, in one frame",
         sends(settings(*((i, 100000 if i == MAX_FRAME_SIZE else 1) for i in range(1, 7)),
                        (INITIAL_WINDOW_SIZE, 65535))), ACCEPTED),
]

PUSH_PING_GOAWAY = [
    Case("6.6", "PUSH_PROMISE from a client",
         on_an_open_stream(frame(h2.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82")),
         connection_error(PROTOCOL_ERROR)),
    Case("6.7", "on a stream", sends(ping(stream=1)), connection_error(PROTOCOL_ERROR)),
    Case("6.7", "seven octets", sends(ping(b"1234567")), connection_error(FRAME_SIZE_ERROR)),
    Case("6.7", "no octets", sends(ping(b"")), connection_error(FRAME_SIZE_ERROR)),
    Case("6.7", "nine octets", sends(ping(b"123456789")), connection_error(FRAME_SIZE_ERROR)),
    Case("6.7", "an ACK that nobody owed", sends(ping(flags=h2.ACK)), ACCEPTED),
    Case("6.8", "on a stream", sends(goaway(stream=1)), connection_error(PROTOCOL_ERROR)),
    Case("6.8", "cut short", sends(frame(h2.GOAWAY, payload=bytes(7))),
         connection_error(FRAME_SIZE_ERROR)),
]

WINDOW_UPDATES = [
    Case("6.9", "three octets", sends(frame(WINDOW_UPDATE, payload=bytes(3))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.9", "five octets", sends(frame(WINDOW_UPDATE, payload=bytes(5))),
         connection_error(FRAME_SIZE_ERROR)),
    Case("6.9", "nothing for the connection", sends(window_update(0, 0)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.9", "nothing for a stream", on_an_open_stream(window_update(1, 0)),
         stream_error_that_ends_the_connection(PROTOCOL_ERROR)),
    Case("6.9.1", "the connection's window to the greatest",
         sends(window_update(0, MOST - 65535)), ACCEPTED),
    Case("6.9.1", "the connection's window past it", sends(window_update(0, MOST - 65534)),
         connection_error(FLOW_CONTROL_ERROR)),
    Case("6.9.1", "the connection's window past it in two steps",
         sends(window_update(0, MOST // 2), window_update(0, MOST // 2 + 2)),
         connection_error(FLOW_CONTROL_ERROR)),
    Case("6.9.1", "a stream's window past it",
         on_an_open_stream(window_update(1, MOST), window_update(1, MOST)),
         stream_error_that_ends_the_connection(FLOW_CONTROL_ERROR)),
    Case("6.9.2", "INITIAL_WINDOW_SIZE that takes a stream's window past it",
         on_an_open_stream(window_update(1, MOST - 65535), settings((INITIAL_WINDOW_SIZE, 65536))),
         connection_error(FLOW_CONTROL_ERROR)),
    Case("6.9", "the reserved bit", sends(window_update(0, 1 << 31 | 1)), ACCEPTED),
]

CONTINUATIONS = [
    Case("6.10", "one", request_in(10), ACCEPTED),
    Case("6.10", "one for each octet", request_in(*range(1, 8)), ACCEPTED),
    Case("6.10", "empty ones", request_in(10, 10, 10), ACCEPTED),
    Case("6.10", "HEADERS without anything", request_in(0), ACCEPTED),
    Case("6.10", "on stream 0", sends(frame(HEADERS, 0, 1, b"\x83"),
                                      frame(CONTINUATION, END_HEADERS, 0, b"\x86")),
         connection_error(PROTOCOL_ERROR)),
    Case("6.10", "of another stream", sends(frame(HEADERS, 0, 1, b"\x83"),
                                            frame(CONTINUATION, END_HEADERS, 3, b"\x86")),
         connection_error(PROTOCOL_ERROR)),
    Case("6.10", "after END_HEADERS", on_an_open_stream(frame(CONTINUATION, END_HEADERS, 1)),
         connection_error(PROTOCOL_ERROR)),
    Case("6.10", "after DATA", on_an_open_stream(data(1, PACKET),
                                                 frame(CONTINUATION, END_HEADERS, 1)),
         connection_error(PROTOCOL_ERROR)),
]

CASES = rfc9113.unique(
    [FORMAT, DATA_FRAMES, HEADERS_FRAMES, PRIORITY_FRAMES, RST_STREAM_FRAMES, SETTINGS_FRAMES]
    + [PUSH_PING_GOAWAY, WINDOW_UPDATES, CONTINUATIONS]
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_frame(h2_port, case):
    with Raw(*h2_port) as client:
        rfc9113.check(client, case)
