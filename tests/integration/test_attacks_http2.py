"""Floods of HTTP/2: under each of them a client that behaves keeps at least half of its speed and
all of its counts, memory stays bounded, the right counter tells, and nothing is left behind."""
import gzip
import struct
import zlib

import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness import h2_raw as h2
from harness.attack import DEAF, ONCE, Attack, besieged, greeting
from harness.h2_raw import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    Raw,
    data,
    frame,
    literals,
    ping,
    priority,
    reset,
    settings,
    window_update,
)
from harness.wire import framed, framed_packets, packet

FIELDS = [*Raw.fields()]
REQUEST = literals(FIELDS)
MOST = (1 << 31) - 1


def request(flags=0, extra=()):
    """HEADERS of a call; the attacker writes the stream's number."""
    return frame(HEADERS, END_HEADERS | flags, 1, REQUEST + literals(extra))


CODE_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)  # RFC 1951, 3.2.7
PACKETS = framed_packets(["attacker"]) * 100
GZIP_REQUEST = request(extra=[("grpc-encoding", "gzip")])


def of_empty_blocks(plain, octets):
    """A gzip member of about so many octets: first blocks of dynamic Huffman codes that give
    nothing (RFC 1951, 3.2.7), each of which has its tables made, then what `plain` is."""
    bits = (
        "0" "01"  # not the last block; dynamic codes, the least bit first
        "00000" "00000" "0111"  # 257 literals and lengths, 1 distance, 18 code lengths
        + "".join({18: "100", 0: "010", 1: "010"}.get(symbol, "000") for symbol in CODE_ORDER)
        + "0" "1111111" "0" "1101011"  # 138 zeros, 118 zeros
        + "11" "10"  # a length of 1 for the end of the block, 0 for the distance
        + "0"  # the end
    )
    two = int((bits * 2)[::-1], 2).to_bytes(len(bits) // 4, "little")
    assert len(bits) % 4 == 0
    packed = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    member = two * (octets // len(two)) + packed.compress(plain) + packed.flush()
    member = gzip.compress(b"")[:10] + member
    return member + struct.pack("<II", zlib.crc32(plain), len(plain))


def in_pieces(block, size=16000):
    """A header block of any size, as HEADERS and CONTINUATIONs."""
    parts = [block[i : i + size] for i in range(0, len(block), size)]
    frames = [frame(HEADERS, 0, 1, parts[0])]
    frames += [frame(CONTINUATION, 0, 1, part) for part in parts[1:-1]]
    return [*frames, frame(CONTINUATION, END_HEADERS, 1, parts[-1])]


# 16 KiB of headers are allowed; a block of references to one large entry grows a thousandfold.
ENTRY = b"\x40\x01b\x7f" + b"\xa1\x1e" + b"x" * 4000  # of 4,000 octets, into the dynamic table
REFERENCES = b"\xbe" * 16000

BY_NAME = {
    # Streams that are reset as soon as they are open, by the client and by the server.
    "rapid reset": (Attack.on_streams(request(), reset(1)), ["bad_peer_reset"]),
    "rapid reset of ended requests": (
        Attack.on_streams(request(END_STREAM), reset(1)), ["bad_peer_reset"]),
    "made you reset: a window of nothing": (
        Attack.on_streams(request(), window_update(1, 0)), ["bad_peer_protocol", "bad_peer_reset"]),
    "made you reset: a window past the greatest": (
        Attack.on_streams(request(), window_update(1, MOST)),
        ["bad_peer_protocol", "bad_peer_reset"]),
    "made you reset: DATA behind the end": (
        Attack.on_streams(request(END_STREAM), data(1, b"x")),
        ["bad_peer_protocol", "bad_peer_reset"]),
    "made you reset: HEADERS behind the end": (
        Attack.on_streams(request(END_STREAM), request(END_STREAM)),
        ["bad_peer_protocol", "bad_peer_reset"]),
    "made you reset: PRIORITY of four octets": (
        Attack.on_streams(request(), frame(h2.PRIORITY, 0, 1, bytes(4))),
        ["bad_peer_protocol", "bad_peer_reset"]),
    "made you reset: content-length": (
        Attack.on_streams(request(extra=[("content-length", "1")]), data(1, b"xxx", END_STREAM)),
        ["bad_peer_reset"]),
    "made you reset: malformed requests": (
        Attack.on_streams(request(extra=[("Upper", "x")])), ["bad_peer_reset"]),
    # Frames that carry nothing.
    "empty DATA": (
        Attack(greeting() + request(), data(1)), ["bad_peer_flood"]),
    "DATA of padding": (
        Attack(greeting() + request(), data(1, h2.padded(b"", 255), h2.PADDED)),
        ["bad_peer_flood"]),
    "SETTINGS": (Attack(greeting(), settings()), ["bad_peer_flood"]),
    "SETTINGS that move every window": (
        Attack(greeting() + b"".join(frame(HEADERS, END_HEADERS, 2 * i + 1, REQUEST)
                                     for i in range(500)),
               settings((INITIAL_WINDOW_SIZE, 1)) + settings((INITIAL_WINDOW_SIZE, MOST))),
        ["bad_peer_flood"]),
    "PING": (Attack(greeting(), ping()), ["bad_peer_flood", "bad_peer_pings"]),
    "PING, and nothing is read": (
        Attack(greeting(), ping(), flags=DEAF),
        ["bad_peer_flood", "bad_peer_pings", "bad_peer_stall"]),
    "PRIORITY": (Attack.on_streams(priority(1, 1), first_id=3), ["bad_peer_flood"]),
    "WINDOW_UPDATE": (Attack(greeting(), window_update(0, 1)), ["bad_peer_flood"]),
    "an unknown type": (Attack(greeting(), frame(0xEE, 0, 0, b"x" * 20)), ["bad_peer_flood"]),
    # Header blocks.
    "CONTINUATION": (
        Attack(greeting() + frame(HEADERS, 0, 1, REQUEST), frame(CONTINUATION, 0, 1, b"")),
        ["bad_peer_headers", "bad_peer_flood"]),
    "CONTINUATION with fields": (
        Attack(greeting() + frame(HEADERS, 0, 1, REQUEST),
               frame(CONTINUATION, 0, 1, literals([("x", "y" * 100)] * 50))),
        ["bad_peer_headers", "bad_peer_flood"]),
    "header lists over the limit": (
        Attack.on_streams(*in_pieces(REQUEST + literals([("x", "y" * 1000)] * 20))),
        ["streams_refused"]),
    "a bomb of HPACK": (
        Attack.on_streams(*in_pieces(REQUEST + REFERENCES), first_id=3,
                          opening=greeting() + frame(HEADERS, END_HEADERS, 1, REQUEST + ENTRY)),
        ["bad_peer_headers"]),
    # No frame of these is wrong. There are only many.
    "streams past the limit": (Attack.on_streams(request()),
                               ["bad_peer_reset", "bad_peer_protocol", "bad_peer_flood"]),
    "calls that are refused": (
        Attack.on_streams(frame(HEADERS, END_HEADERS | END_STREAM, 1,
                                literals(Raw.fields(path="/no.such/Thing")))), []),
    "DATA of one octet": (Attack.of_data(PACKETS, 1, request()), ["turns_costly"]),
    "DATA of two octets": (Attack.of_data(PACKETS, 2, request()), ["turns_costly"]),
    "messages that inflate a thousandfold": (
        Attack.of_data(framed(gzip.compress(packet("attacker", 1, bytes(1 << 20))), flag=1),
                       headers=GZIP_REQUEST), ["turns_costly"]),
    "compressed blocks of which nothing comes out": (
        Attack.of_data(framed(of_empty_blocks(packet("attacker"), 40_000), flag=1),
                       headers=GZIP_REQUEST), ["turns_costly"]),
    "octets that are no HTTP/2": (Attack(b"GET / HTTP/1.1\r\n\r\n", flags=ONCE, connections=20), []),
    "a preface, and gone": (Attack(greeting(), flags=ONCE, connections=20), []),
}


@pytest.fixture(name="siege", scope="module")
def make_siege(start_once):
    with besieged(start_once, but=["attacker"], stall_timeout_ms=2000, handshake_timeout_ms=2000,
                  max_streams=256) as siege:
        yield siege


@pytest.mark.parametrize("name", BY_NAME)
def test_others_are_served_under(siege, name):
    attack, counters = BY_NAME[name]
    print(name, siege.withstand(attack, counters))
