"""Peers that speak something else on the gRPC port: shut out at once, and harmless."""
import socket

import pytest
from harness import grpc_client
from harness.env import PATIENCE, WAIT_S, wait_until
from harness.link import say
from harness.sender import assert_same

# The first bytes of a TLS 1.3 ClientHello: record header, handshake header, version, random.
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(32)) + b"\x20" * 470
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


def frame(kind, flags, stream, payload):
    header = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return header + payload


STRANGERS = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.1-upgrade": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    "TLS": CLIENT_HELLO,
    "garbage": bytes(range(255, 0, -1)) * 4,
    "preface-then-garbage": PREFACE + b"\xff" * 400,
    "data-on-stream-0": PREFACE + SETTINGS + frame(0, 0, 0, b"hello"),
    "headers-on-even-stream": PREFACE + SETTINGS + frame(1, 4, 2, b"\x82"),
    "broken-hpack": PREFACE + SETTINGS + frame(1, 4, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
    "frame-over-the-size": PREFACE + SETTINGS + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 99,
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_shut_out_with_one_line_in_the_log(redis, tallyd, name):
    say(tallyd.grpc_port, STRANGERS[name])
    wait_until(lambda: tallyd.stats()["totals"]["bad_peers"] == 1, "the peer in /stats")
    lines = len(tallyd.log().splitlines())
    for _ in range(50):
        say(tallyd.grpc_port, STRANGERS[name])
    wait_until(lambda: tallyd.stats()["totals"]["bad_peers"] == 51, "all of them in /stats")
    assert len(tallyd.log().splitlines()) - lines <= 3, "the log must not follow a flood"
    assert "127.0.0.1" in tallyd.log()
    assert grpc_client.send(tallyd.target, ["d"] * 2) == 2
    assert_same(redis.totals(), {"d": 2})


def test_plain_http_is_answered_so_that_curl_shows_it(tallyd):
    answer = say(tallyd.grpc_port, STRANGERS["HTTP/1.1"])
    assert answer.startswith(b"HTTP/1.1 4")
    assert b"\r\n\r\n" in answer
    assert answer.endswith(b"/metrics.\n"), "nothing of HTTP/2 behind it"


def test_plain_http_with_much_behind_it_is_answered_without_a_reset(tallyd):
    """More than one receive takes: closing with the rest unread would reset the connection, and
    could take the answer along."""
    with socket.create_connection(("127.0.0.1", tallyd.grpc_port), timeout=WAIT_S * PATIENCE) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * (1 << 20))
        answer = b""
        while part := sock.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"/metrics.\n")


def test_silent_and_slow_peers_do_not_hold_up_others(redis, tallyd):
    silent = [socket.create_connection(("127.0.0.1", tallyd.grpc_port)) for _ in range(200)]
    for sock in silent[::2]:
        sock.sendall(PREFACE[:7])
    assert grpc_client.send(tallyd.target, ["d"] * 3) == 3
    for sock in silent:
        sock.close()
    wait_until(
        lambda: tallyd.stats()["totals"]["connections_closed"] >= 200, "their connections closed"
    )
    assert_same(redis.totals(), {"d": 3})


def test_rapid_resets_are_cut_off(redis, tallyd, closing):
    """CVE-2023-44487: streams opened and reset as fast as a peer can write."""
    pytest.importorskip("h2", reason="python3-h2 is not installed")
    from harness.h2_client import H2Client

    client = closing(H2Client(tallyd.grpc_port))
    with pytest.raises(ConnectionError):
        for _ in range(5000):
            client.reset(client.open())
        client.read_to_the_end()
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert_same(redis.totals(), {"d": 1})
