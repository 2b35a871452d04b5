"""Attacks on the gRPC port, one for each bound: the attacker is sent away and counted, and a client
that behaves well, on another connection, keeps its rate and all of its counts meanwhile."""
import itertools
import re
import subprocess
import time

import pytest
from harness.attack import memory
from harness.bystander import Bystander, assert_back_to_normal, total
from harness.env import PATIENCE, SANITIZED, have, wait_until
from harness.h2_raw import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PADDED,
    Raw,
    data,
    frame,
    padded,
    ping,
    priority,
    reset,
    settings,
    window_update,
)

MIB = 1 << 20


@pytest.fixture
def bystander(tallyd, start_sender, redis):
    return Bystander(tallyd, start_sender, redis)


def attack(port, what, seconds=20):
    """Greets, and sends what `what(client)` yields until the server has enough. Returns what was
    seen of the server."""
    with Raw(port) as client:
        client.greet()
        deadline = time.monotonic() + seconds * PATIENCE
        for piece in what(client):
            client.send(piece)
            while not client.seen.closed and client._read(0):
                pass
            if client.seen.closed or client.seen.goaway is not None:
                break
            assert time.monotonic() < deadline, "the server lets it go on"
        if client.seen.goaway is None and not client.seen.closed:
            client.settle()
        return client.seen


def endlessly(piece, times=100):
    """An attack that sends the same bytes again and again."""

    def pieces(_):
        for _ in range(100000):
            yield piece * times

    return pieces


def empty_data(client):
    yield client.request(1)
    yield from endlessly(data(1))(client)


def padding_only(client):
    yield client.request(1)
    yield from endlessly(frame(0, PADDED, 1, padded(b"", 255)))(client)


def window_updates_of_a_stream(client):
    yield client.request(1)
    yield from endlessly(window_update(1, 1))(client)


FLOODS = {
    "settings": endlessly(settings()),
    "settings_that_change_windows": endlessly(
        settings(*[(INITIAL_WINDOW_SIZE, 65535 + i) for i in range(30)]), 5),
    "pings": endlessly(ping()),
    "ping_acks": endlessly(ping(flags=ACK)),
    "priorities": endlessly(priority(3)),
    "window_updates": endlessly(window_update(0, 1)),
    "window_updates_of_a_stream": window_updates_of_a_stream,
    "empty_data": empty_data,
    "padding_only": padding_only,
    "unknown_types": endlessly(frame(0xBE, payload=b"x" * 8)),
    "unknown_types_large": endlessly(frame(0x77, payload=b"x" * 16384), 2),
}


def test_frames_that_carry_nothing_end_the_connection(tallyd, bystander):
    for i, name in enumerate([*FLOODS, *FLOODS], 1):
        seen = attack(tallyd.grpc_port, FLOODS[name])
        assert seen.goaway in (ENHANCE_YOUR_CALM, None), name  # or a reset of TCP overtook it
        wait_until(lambda n=i: total(tallyd, "bad_peers") == n, f"{name} to be counted")
    totals = tallyd.stats()["totals"]
    assert totals["bad_peer_pings"] == 2
    assert totals["bad_peer_flood"] == 2 * len(FLOODS) - 2
    bystander.assert_well()
    assert_back_to_normal(tallyd)
    assert "kind=bad_peer_flood" in tallyd.log()


def in_batches(what, size=50):
    def pieces(client):
        each = what(client)
        while True:
            yield b"".join(itertools.islice(each, size))

    return pieces


def rapid_resets(client):
    for stream in range(1, 1 << 30, 2):
        yield client.request(stream) + reset(stream)


def malformed_requests(client):
    """MadeYouReset: what the server must answer with RST_STREAM."""
    for stream in range(1, 1 << 30, 2):
        yield client.request(stream, connection="close")


def bodies_over_their_length(client):
    for stream in range(1, 1 << 30, 2):
        yield client.request(stream, content_length="1") + data(stream, b"four")


def too_many_streams(client):
    """Streams past the limit, each refused with RST_STREAM."""
    for stream in range(1, 1 << 30, 2):
        yield client.request(stream)


RESETS = {
    "by_the_client": rapid_resets,
    "by_the_server": malformed_requests,
    "by_the_server_later": bodies_over_their_length,
    "past_max_streams": too_many_streams,
}


def test_streams_that_are_reset_end_the_connection(tallyd, bystander):
    for i, name in enumerate(RESETS, 1):
        attack(tallyd.grpc_port, in_batches(RESETS[name]))
        wait_until(lambda n=i: total(tallyd, "bad_peers") == n, f"{name} to be counted")
    totals = tallyd.stats()["totals"]
    assert totals["bad_peer_reset"] + totals["bad_peer_flood"] == len(RESETS)
    bystander.assert_well()
    assert_back_to_normal(tallyd)


def test_resets_of_all_streams_at_once_are_no_attack(tallyd):
    """A client that goes away cancels what it had."""
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        streams = range(1, 2000, 2)
        client.send(*[client.request(stream) for stream in streams])
        client.send(*[reset(stream) for stream in streams])
        assert client.settle().goaway is None
    assert total(tallyd, "bad_peers") == 0


def test_requests_that_bring_nothing_leave_half_of_the_time(redis, start_tallyd, start_sender):
    """As fast as they come, legal, and refused one by one: nothing to close a connection for."""
    if SANITIZED or not have("h2load"):
        pytest.skip("a sanitizer's costs are others" if SANITIZED else "h2load is not installed")
    tallyd = start_tallyd(redis.port, workers=1)

    def rate():
        sender = start_sender(
            tallyd.target, n=5_000_000, replay=True, packet_bytes=45, connections=2
        )
        assert sender.wait() == 0, sender.output
        return int(re.search(r"^packets/s\s+(\d+)$", sender.output, re.MULTILINE)[1])

    alone = rate()
    with subprocess.Popen(
        ["h2load", "-D", "60", "-c", "8", "-m", "1000", f"http://{tallyd.target}/nothing"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as flood:
        try:
            wait_until(lambda: total(tallyd, "streams_refused") > 1000, "the attack to begin")
            disturbed = rate()
        finally:
            flood.kill()
    # Half of the worker's time; the attacker takes of the machine's, too, and so do others on it.
    assert disturbed > alone / 5, f"{disturbed} packets/s, and {alone} without the attack"
    assert sum(redis.totals().values()) == 10_000_000
    assert_back_to_normal(tallyd)


# ---- Headers ------------------------------------------------------------------------------------


def continuations(payload):
    def pieces(client):
        yield frame(HEADERS, 0, 1, client.block_of(client.fields()))
        for _ in range(100000):
            yield frame(CONTINUATION, 0, 1, payload)

    return pieces


def hpack_bomb(client):
    """One large entry in the table, and references to it of a byte each."""
    client.encoder.header_table_size = 4096
    block = client.block_of(client.fields()) + b"\x40\x01x\x7f" + b"\xa1\x1e" + b"y" * 4000
    yield frame(HEADERS, 0, 1, block)
    for _ in range(1000):
        yield frame(CONTINUATION, 0, 1, b"\xbe" * 16384)


def test_continuations_without_end_end_the_connection(tallyd, bystander):
    for i, payload in enumerate((b"", b"\x82", b"\x00\x01a\x01b"), 1):
        attack(tallyd.grpc_port, continuations(payload))
        wait_until(lambda n=i: total(tallyd, "bad_peer_headers") == n, "the peer to be counted")
    bystander.assert_well()
    assert_back_to_normal(tallyd)


def test_an_hpack_bomb_costs_little(tallyd, bystander):
    before = memory(tallyd)
    for i in range(1, 6):
        attack(tallyd.grpc_port, hpack_bomb)
        wait_until(lambda n=i: total(tallyd, "bad_peer_headers") == n, "the peer to be counted")
    assert memory(tallyd) < before + 16 * MIB * PATIENCE
    bystander.assert_well()
    assert_back_to_normal(tallyd)


def test_headers_over_the_limit_are_answered(tallyd):
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        large = [("x-large", "v" * 1000)] * 17
        client.send(client.request(1, extra=large), client.request(3, extra=large, content_type="x"))
        client.wait(lambda seen: 1 in seen.headers and 3 in seen.headers, "two answers")
        assert client.seen.field(1, "grpc-status") == "8"
        assert "headers" in client.seen.field(1, "grpc-message")
        assert client.seen.field(3, ":status") == "431"
        client.send(client.request(5, extra=[("x-small", "v" * 1000)], flags=END_STREAM))
        client.wait(lambda seen: 5 in seen.ended, "the Ack of a stream without packets")
        assert client.settle().goaway is None
    assert total(tallyd, "bad_peers") == 0
    assert_back_to_normal(tallyd)


def test_trailers_over_the_limit_fail_the_stream(tallyd):
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.send(client.request(1))
        trailers = client.block_of([("x-large", "v" * 1000)] * 17)
        client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers[:16384]))
        client.wait(lambda seen: seen.field(1, "grpc-status"), "an answer")
        assert client.seen.field(1, "grpc-status") == "8"
