"""Attacks on the gRPC port, one for each bound: the attacker is sent away and counted, and a client
that behaves well, on another connection, keeps its rate and all of its counts meanwhile."""
import itertools
import os
import re
import subprocess
import time

import pytest
from harness import h2_raw
from harness.env import PATIENCE, SANITIZED, amount, have, wait_until
from harness.h2_raw import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PADDED,
    SETTINGS,
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
from harness.sender import assert_same

RATE = 20000  # of the client that behaves well
MIB = 1 << 20


class Bystander:
    """tally-send at a steady rate while an attack goes on."""

    def __init__(self, tallyd, start_sender, redis):
        self.redis = redis
        self.n = amount(2 * RATE, 10 * RATE, RATE // 10)
        self.sender = start_sender(tallyd.target, n=self.n, rate=RATE, packets_per_stream=500)

    def assert_well(self):
        assert self.sender.wait() == 0, self.sender.output
        took = float(re.search(r"^seconds\s+([\d.]+)$", self.sender.output, re.MULTILINE)[1])
        assert took < PATIENCE * (2 * self.n / RATE + 5), f"{took:.1f} s for {self.n} packets"
        assert_same(self.redis.totals(), self.sender.acknowledged())


@pytest.fixture
def bystander(tallyd, start_sender, redis):
    return Bystander(tallyd, start_sender, redis)


def total(tallyd, name):
    return tallyd.stats()["totals"][name]


def descriptors(tallyd):
    return len(os.listdir(f"/proc/{tallyd.process.pid}/fd"))


def resident_bytes(tallyd):
    with open(f"/proc/{tallyd.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def assert_back_to_normal(tallyd):
    def quiet():
        totals = tallyd.stats()["totals"]
        return (
            totals["connections_opened"] == totals["connections_closed"]
            and totals["streams_opened"] == totals["streams_closed"]
        )

    wait_until(quiet, "all connections and streams to be closed")


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
    "settings_that_change_windows": endlessly(settings(*[(INITIAL_WINDOW_SIZE, 65535 + i) for i in range(30)]), 5),
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
    before = resident_bytes(tallyd)
    for i in range(1, 6):
        attack(tallyd.grpc_port, hpack_bomb)
        wait_until(lambda n=i: total(tallyd, "bad_peer_headers") == n, "the peer to be counted")
    assert resident_bytes(tallyd) < before + 16 * MIB * PATIENCE
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


# ---- Slow peers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begin",
    [b"", h2_raw.PREFACE[:9], h2_raw.PREFACE, h2_raw.PREFACE + settings()[:5]],
    ids=["nothing", "part-of-the-preface", "no-settings", "part-of-settings"],
)
def test_a_handshake_has_to_end_in_time(redis, start_tallyd, begin):
    tallyd = start_tallyd(redis.port, handshake_timeout_ms=300)
    with Raw(tallyd.grpc_port) as client:
        client.send(begin)
        client.read_to_the_end()
    assert total(tallyd, "bad_peer_slow") == 1
    assert_back_to_normal(tallyd)


@pytest.mark.parametrize("trickle", [False, True])
def test_a_header_block_has_to_end_in_time(redis, start_tallyd, trickle):
    tallyd = start_tallyd(redis.port, handshake_timeout_ms=1000)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        time.sleep(1.5)  # an idle connection is none
        client.send(frame(HEADERS, 0, 1, client.block_of(client.fields())))
        deadline = time.monotonic() + 30 * PATIENCE
        while trickle and not client.seen.closed:
            client.send(frame(CONTINUATION, 0, 1, b"\x82"))
            client._read(0.1)
            assert time.monotonic() < deadline, "it may trickle for ever"
        client.read_to_the_end()
    assert total(tallyd, "bad_peer_slow") == 1
    assert_back_to_normal(tallyd)


def test_a_frame_that_trickles_has_to_end_in_time(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, handshake_timeout_ms=1000)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.send(frame(0x77, length=16000))
        deadline = time.monotonic() + 30 * PATIENCE
        while not client.seen.closed:
            client.send(b"x")
            client._read(0.05)
            assert time.monotonic() < deadline, "it may trickle for ever"
    assert total(tallyd, "bad_peer_slow") == 1


def test_a_slow_stream_of_packets_is_not_a_slow_peer(redis, start_tallyd):
    from harness.wire import framed_packets

    tallyd = start_tallyd(redis.port, handshake_timeout_ms=1000)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        packets = framed_packets(["d"])
        client.send(client.request(1), frame(0, 0, 1, length=100 * len(packets)))
        for _ in range(100):
            client.send(packets)
            time.sleep(0.02)
        client.send(data(1, b"", END_STREAM))
        client.wait(lambda seen: 1 in seen.ended, "the Ack")
        assert client.seen.field(1, "grpc-status") == "0"
    assert_same(redis.totals(), {"d": 100})


# ---- Peers that do not read ---------------------------------------------------------------------


def test_a_peer_without_a_window_for_its_answer_is_cut_off(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, stall_timeout_ms=1000)
    with Raw(tallyd.grpc_port) as client:
        client.greet((INITIAL_WINDOW_SIZE, 0))
        client.send(client.request(1, END_STREAM))
        client.read_to_the_end()
    assert total(tallyd, "bad_peer_stall") == 1
    assert_back_to_normal(tallyd)


def test_a_peer_that_does_not_read_is_cut_off(redis, start_tallyd, start_sender):
    tallyd = start_tallyd(redis.port, stall_timeout_ms=1000, max_streams=65536)
    bystander = Bystander(tallyd, start_sender, redis)
    before = resident_bytes(tallyd)
    with Raw(tallyd.grpc_port, receive_bytes=4096) as client:
        client.greet()
        client.socket.settimeout(1)
        stream = 1
        deadline = time.monotonic() + 60 * PATIENCE
        while not total(tallyd, "bad_peer_stall"):
            assert time.monotonic() < deadline, "the server keeps it"
            try:
                for _ in range(200):
                    client.socket.sendall(client.request(stream, END_STREAM, method="GET"))
                    stream += 2
            except OSError:
                time.sleep(0.1)
        assert resident_bytes(tallyd) < before + 64 * MIB * PATIENCE
    bystander.assert_well()
    assert_back_to_normal(tallyd)


# ---- Keepalive ----------------------------------------------------------------------------------


def test_a_silent_peer_is_pinged_and_a_dead_one_closed(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, keepalive_time_ms=300, keepalive_timeout_ms=2000)
    with Raw(tallyd.grpc_port) as living, Raw(tallyd.grpc_port) as dead:
        living.greet()
        dead.greet()

        def dead_one_closed():
            living.socket.settimeout(0.1)
            try:
                got = living.socket.recv(100)
            except TimeoutError:
                return total(tallyd, "bad_peer_gone") == 1
            assert got[3] == h2_raw.PING and len(got) == 17, got
            living.send(ping(got[9:], ACK))
            return False

        wait_until(dead_one_closed, "the dead one to be closed")
        living.settle()
    assert total(tallyd, "bad_peers") == 1
    assert_back_to_normal(tallyd)


def test_pings_too_often_are_told_so(redis, start_tallyd):
    tallyd = start_tallyd(redis.port)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.send(*[ping()] * 4)
        data_seen = b""
        while not client.seen.closed:
            client._read(10)
            data_seen += client.bytes
        assert client.seen.goaway == ENHANCE_YOUR_CALM
    assert total(tallyd, "bad_peer_pings") == 1


@pytest.mark.parametrize("min_ping_ms,pings", [(0, 300), (10, 1)])
def test_pings_as_often_as_allowed_are_fine(redis, start_tallyd, min_ping_ms, pings):
    tallyd = start_tallyd(redis.port, keepalive_min_ping_ms=min_ping_ms)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        for _ in range(5):
            client.send(*[ping()] * pings)
            time.sleep(0.05)
        client.wait(lambda seen: len(seen.pings) == 5 * pings, "all answers")
    assert total(tallyd, "bad_peers") == 0


def test_a_ping_for_each_answer_is_fine(tallyd):
    """As clients do that measure the bandwidth."""
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        for stream in range(1, 400, 2):
            client.send(client.request(stream, END_STREAM))
            client.wait(lambda seen, s=stream: s in seen.ended, "the Ack")
            client.send(ping(), window_update(0, 16), window_update(0, 16))
        client.wait(lambda seen: len(seen.pings) == 200, "all answers")
    assert total(tallyd, "bad_peers") == 0


# ---- Caps ---------------------------------------------------------------------------------------


def test_connections_past_the_cap_of_an_address_are_refused(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, max_connections_per_address=5)
    clients = [closing(Raw(tallyd.grpc_port)).greet() for _ in range(5)]
    before = descriptors(tallyd)
    for _ in range(20):
        closing(Raw(tallyd.grpc_port)).read_to_the_end()
    wait_until(
        lambda: tallyd.stats()["main"]["connections_refused_address"] == 20, "20 refusals in /stats"
    )
    assert "--max-connections-per-address" in tallyd.log()
    clients[0].settle()
    clients[1].close()
    wait_until(lambda: total(tallyd, "connections_closed") == 1, "one to be closed")
    closing(Raw(tallyd.grpc_port)).greet()
    assert descriptors(tallyd) <= before + 1


def test_connections_past_the_cap_are_refused(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, max_connections=3)
    for _ in range(3):
        closing(Raw(tallyd.grpc_port)).greet()
    closing(Raw(tallyd.grpc_port)).read_to_the_end()
    wait_until(lambda: tallyd.stats()["main"]["connections_refused"] == 1, "a refusal in /stats")


def test_max_streams_is_announced_and_held(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, max_streams=7)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        assert client.seen.settings[0][h2_raw.MAX_CONCURRENT_STREAMS] == 7
        client.send(*[client.request(stream) for stream in range(1, 20, 2)])
        client.wait(lambda seen: len(seen.resets) == 3, "three streams refused")
        assert client.seen.resets == {15: 7, 17: 7, 19: 7}  # REFUSED_STREAM
