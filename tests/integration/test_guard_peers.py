"""Peers of the gRPC port that are slow, do not read, are silent, ping too often, or are too many: each
is sent away at its bound, and those who only look like them are not."""
import os
import resource
import socket
import time

import pytest
from harness import h2_raw
from harness.attack import descriptors, memory
from harness.bystander import Bystander, assert_back_to_normal, total
from harness.certificates import tls_options
from harness.env import PATIENCE, VALGRIND, wait_until
from harness.h2_raw import (
    ACK,
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    Raw,
    data,
    frame,
    ping,
    settings,
    window_update,
)
from harness.sender import assert_same
from harness.wire import framed_packets

MIB = 1 << 20


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
    tallyd = start_tallyd(redis.port, stall_timeout_ms=1000, max_streams=32768)
    bystander = Bystander(tallyd, start_sender, redis)
    before = memory(tallyd)
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
        assert memory(tallyd) < before + 64 * MIB * PATIENCE
    bystander.assert_well()
    assert_back_to_normal(tallyd)


def send_until_it_is_blocked(client):
    """Opens streams until nothing more is taken for a second, however little. Returns how many, and
    what is left of the requests that were cut."""
    streams, left = 0, b""
    # So long that there is not room in the kernel for more streams than may be open.
    block = h2_raw.literals(client.fields(path="/no.such/Thing") + [("wide", 1000 * "x")])
    deadline = time.monotonic() + 60 * PATIENCE
    client.socket.settimeout(1)
    while time.monotonic() < deadline:
        if not left:
            left = b"".join(
                frame(HEADERS, END_HEADERS | END_STREAM, 2 * (streams + i) + 1, block)
                for i in range(100)
            )
            streams += 100
        try:
            left = left[client.socket.send(left):]
        except TimeoutError:
            return streams, left
    raise AssertionError("the server goes on to hear a peer that does not read")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_peer_that_does_not_read_is_not_heard_until_it_does(redis, start_tallyd, authority, tls):
    """Meanwhile it is neither silent nor slow: what it has said is not looked at."""
    options = tls_options(authority, authority.issue("server")) if tls else {}
    tallyd = start_tallyd(redis.port, handshake_timeout_ms=1000, keepalive_time_ms=1000,
                          keepalive_timeout_ms=1000, max_streams=32768, **options)
    context = authority.context(protocols=["h2"]) if tls else None
    with Raw(tallyd.grpc_port, context, receive_bytes=4096) as client:
        client.greet()
        streams, left = send_until_it_is_blocked(client)
        heard = total(tallyd, "bytes_received")
        time.sleep(2.5)
        assert total(tallyd, "bytes_received") == heard
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        while left:
            client._read(0.01)
            client.socket.settimeout(0.01)
            try:
                left = left[client.socket.send(left):]
            except TimeoutError:
                pass
        client.wait(lambda seen: len(seen.ended) == streams, "all answers")
    assert_back_to_normal(tallyd)
    assert [total(tallyd, f"bad_peer_{reason}") for reason in ("slow", "gone", "stall")] == [0] * 3


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


def main_cpu_s(tallyd):
    """The processor time that the main thread, which accepts connections, has taken."""
    pid = tallyd.process.pid
    with open(f"/proc/{pid}/task/{pid}/stat", encoding="ascii") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(VALGRIND, reason="Valgrind keeps descriptors, and the limit, for itself")
def test_connections_wait_while_no_descriptor_is_left(redis, tallyd):
    pid = tallyd.process.pid
    with Raw(tallyd.grpc_port) as served:
        served.greet()
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, limits[1]))  # what is open stays so
        with Raw(tallyd.grpc_port) as waiting:
            waiting.send(h2_raw.PREFACE, settings())
            tallyd.wait_for_log("cannot accept connections: Too many open files")
            cpu_s = main_cpu_s(tallyd)
            for stream in range(1, 21, 2):
                send_packet(served, stream)
                time.sleep(0.1)
            assert main_cpu_s(tallyd) - cpu_s < 0.1, "it should pause, and asks again and again"
            assert not waiting._read(0)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            waiting.wait(lambda seen: seen.settings_acks, "the server's preface")
            send_packet(waiting, 1)
    with Raw(tallyd.grpc_port) as late:
        late.greet()
        send_packet(late, 1)
    assert_same(redis.totals(), {"d": 12})
    assert_back_to_normal(tallyd)


def send_packet(client, stream):
    client.send(client.request(stream), data(stream, framed_packets(["d"]), END_STREAM))
    client.wait(lambda seen: stream in seen.ended, "the Ack")
    assert client.seen.field(stream, "grpc-status") == "0"


def test_max_streams_is_announced_and_held(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, max_streams=7)
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        assert client.seen.settings[0][h2_raw.MAX_CONCURRENT_STREAMS] == 7
        client.send(*[client.request(stream) for stream in range(1, 20, 2)])
        client.wait(lambda seen: len(seen.resets) == 3, "three streams refused")
        assert client.seen.resets == {15: 7, 17: 7, 19: 7}  # REFUSED_STREAM
