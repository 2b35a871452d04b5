"""The gRPC port with TLS under peers that do not speak it, or not to the end."""
import socket
import ssl
import threading
import time

import pytest
from harness.bystander import total
from harness.certificates import tls_options
from harness.env import PATIENCE, wait_until
from harness.h2_raw import (
    END_STREAM,
    PADDED,
    PREFACE,
    Raw,
    data,
    full_frames,
    padded,
    send_one,
    settings,
)
from harness.link import say
from harness.sender import assert_same
from harness.wire import framed_packets


@pytest.fixture
def tallyd(redis, start_tallyd, authority):
    return start_tallyd(
        redis.port, handshake_timeout_ms=2000, **tls_options(authority, authority.issue("server"))
    )


def test_who_speaks_plainly_is_told_so(redis, tallyd, authority):
    answer = say(tallyd.grpc_port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400") and b"TLS" in answer
    assert b"HTTP/1.1" not in say(tallyd.grpc_port, PREFACE + settings())
    say(tallyd.grpc_port, b"\0" * 100)
    wait_until(lambda: total(tallyd, "bad_peer_tls") == 3, "three of them to be counted")
    assert "without TLS" in tallyd.log()
    send_one(tallyd, authority)
    assert_same(redis.totals(), {"d": 1})


@pytest.mark.parametrize("begin", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_handshake_has_to_end_in_time(tallyd, authority, begin):
    assert say(tallyd.grpc_port, begin) == b""
    assert total(tallyd, "bad_peer_slow") == 1
    send_one(tallyd, authority)


def test_the_preface_has_to_come_in_time_behind_the_handshake(tallyd, authority):
    context = authority.context(protocols=["h2"])
    with socket.create_connection(("127.0.0.1", tallyd.grpc_port), timeout=60 * PATIENCE) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as secure:
            secure.sendall(PREFACE)
            start = time.monotonic()
            while secure.recv(1000):
                pass
            assert time.monotonic() - start < 9 * PATIENCE  # the default is 10 s
    assert total(tallyd, "bad_peer_slow") == 1


def test_a_handshake_that_fails_is_counted_with_its_reason(tallyd, authority):
    context = ssl.create_default_context()  # which trusts somebody else
    context.set_alpn_protocols(["h2"])
    for _ in range(5):
        with pytest.raises(ssl.SSLError):
            Raw(tallyd.grpc_port, tls=context)
    wait_until(lambda: total(tallyd, "bad_peer_tls") == 5, "all of them to be counted")
    assert len([line for line in tallyd.log().splitlines() if "bad_peer_tls" in line]) <= 2
    send_one(tallyd, authority)


def test_input_that_epoll_does_not_see_is_not_forgotten(redis, tallyd, authority):
    """Records that end behind the end of the receive buffer."""
    context = authority.context(protocols=["h2"])
    packets = framed_packets(["d"] * 500)
    with Raw(tallyd.grpc_port, tls=context) as client:
        client.greet()
        client.send(client.request(1))
        for _ in range(100):
            client.send(full_frames(1, packets) * 10)
            client._read(0)
        client.send(data(1, b"", END_STREAM))
        client.wait(lambda seen: 1 in seen.ended, "the Ack")
        assert client.seen.field(1, "grpc-status") == "0"
    assert_same(redis.totals(), {"d": 500 * 10 * 100})


def send_useless_records(tallyd, authority, stop):
    """Packets byte by byte, each between 255 bytes of padding, in records of 16 KiB: read in bites
    of a quarter of a record, so that there is always a part of one that epoll knows nothing of."""
    octets = framed_packets(["useless"])
    unit = b"".join(data(1, padded(octets[i : i + 1], 255), PADDED) for i in range(len(octets)))
    with Raw(tallyd.grpc_port, tls=authority.context(protocols=["h2"])) as client:
        client.greet()
        client.send(client.request(1))
        records = unit * 512
        while not stop.is_set() and not client.seen.closed:
            for at in range(0, len(records), 16384):
                client._read(0)  # window updates
                client.send(records[at : at + 16384])


def test_who_sends_much_of_no_use_holds_nobody_up(redis, start_tallyd, authority):
    tallyd = start_tallyd(redis.port, workers=1, **tls_options(authority, authority.issue("server")))
    stop = threading.Event()
    senders = [
        threading.Thread(target=send_useless_records, args=(tallyd, authority, stop))
        for _ in range(4)
    ]
    for sender in senders:
        sender.start()
    try:
        for _ in range(10):
            time.sleep(0.1)
            send_one(tallyd, authority)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert redis.totals()["d"] == 10
    wait_until(lambda: tallyd.stats()["totals"]["streams_closed"] == 14, "their streams closed")
