"""Attackers who need no request and no token, since they speak TLS and nothing in it. One of them
must not hold a worker, for all commits wait for every worker, nor the thread of HTTPS, nor cost
much memory or time before it has shown who it is."""
import http.client
import socket
import struct
import subprocess
import time

import pytest
from harness.attack import memory
from harness.bystander import total
from harness.certificates import tls_options
from harness.env import PATIENCE, SANITIZED, program, wait_until
from harness.h2_raw import Raw, send_one
from harness.link import say
from harness.sender import assert_same

KEY_UPDATES = 3000 if SANITIZED else 30_000
CROWD, HANDSHAKE_BYTES = 200, 110_000
HELLO_MAX = 131_396  # what OpenSSL would take


@pytest.fixture
def tallyd(redis, start_tallyd, authority, server):
    return start_tallyd(redis.port, workers=1, **tls_options(authority, server))


def update_keys(port, protocol, how):
    return subprocess.Popen(
        [program("attack_key_updates"), str(port), protocol, str(KEY_UPDATES), how],
        stdout=subprocess.PIPE,
        text=True,
    )


def check_closed(attackers):
    for attacker in attackers:
        output, _ = attacker.communicate(timeout=50 * PATIENCE)
        assert output == "closed\n"


@pytest.mark.parametrize("how", ["silent", "asking"])
def test_key_updates_hold_up_no_acks(redis, tallyd, authority, how):
    attackers = [update_keys(tallyd.grpc_port, "h2", how) for _ in range(3)]
    sent = 0
    while sent < 5 or any(attacker.poll() is None for attacker in attackers):
        send_one(tallyd, authority)
        sent += 1
        time.sleep(0.02)
    check_closed(attackers)
    assert total(tallyd, "bad_peer_flood") == len(attackers)
    assert_same(redis.totals(), {"d": sent})


def test_key_updates_hold_up_no_https(tallyd, authority):
    attackers = [update_keys(tallyd.http_port, "http/1.1", "silent") for _ in range(3)]
    while any(attacker.poll() is None for attacker in attackers):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", tallyd.http_port, timeout=10 * PATIENCE, context=authority.context()
        )
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
        time.sleep(0.02)
    check_closed(attackers)
    wait_until(lambda: refused_by_tls(tallyd) == len(attackers), "all of them to be counted")
    tallyd.wait_for_log("records that carry no data")


def refused_by_tls(tallyd):
    text = tallyd.get("/metrics/prom")[2].decode()
    name = 'tallyd_http_connections_refused_total{reason="tls"} '
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return int(line.split()[-1])


def record(octets):
    return b"\x16\x03\x01" + struct.pack(">H", len(octets)) + octets


def records(octets, size):
    return b"".join(record(octets[i : i + size]) for i in range(0, len(octets), size))


def message(body, claimed=None):
    """A ClientHello; `claimed` is the length that its header says."""
    return b"\x01" + struct.pack(">I", len(body) if claimed is None else claimed)[1:] + body


def extension(number, body):
    return struct.pack(">HH", number, len(body)) + body


def hello_with_unknown_key():
    """For which the server asks for another key, and so for a second ClientHello."""
    extensions = (
        extension(10, struct.pack(">HHH", 4, 0x1234, 0x001D))  # groups: unknown, X25519
        + extension(13, struct.pack(">HH", 2, 0x0403))  # ECDSA with P-256
        + extension(43, b"\x02\x03\x04")  # TLS 1.3
        + extension(51, struct.pack(">HHH", 8, 0x1234, 4) + bytes(4))
        + extension(16, b"\0\x03\x02h2")
    )
    body = b"\x03\x03" + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"
    return body + struct.pack(">H", len(extensions)) + extensions


LARGE = message(bytes(40), HELLO_MAX)
HELLOS = {
    "one that claims to be large": record(LARGE),
    "its header in records of one octet": records(LARGE, 1),
    "one in records of one octet": records(message(b"\x03\x03" + bytes(16000)), 1),
    "a second one that claims to be large": record(message(hello_with_unknown_key()))
    + b"\x14\x03\x03\0\x01\x01" + record(LARGE),
}


@pytest.mark.parametrize("hello", HELLOS.values(), ids=HELLOS)
def test_a_hello_no_client_has_is_refused(tallyd, authority, hello):
    answer = say(tallyd.grpc_port, hello)
    if hello == HELLOS["a second one that claims to be large"]:
        assert answer.startswith(b"\x16")  # the demand for it
    wait_until(lambda: total(tallyd, "bad_peer_tls") == 1, "it to be counted")
    send_one(tallyd, authority)


def test_a_hello_of_ten_kilobytes_is_taken(tallyd, authority):
    protocols = [f"protocol-{i:03}" for i in range(800)]
    with Raw(tallyd.grpc_port, tls=authority.context(protocols=["h2", *protocols])) as client:
        client.greet()
    assert total(tallyd, "bad_peers") == 0


@pytest.mark.skipif(SANITIZED, reason="sanitizers have memory of their own")
@pytest.mark.parametrize("face", ["grpc", "http"])
def test_handshakes_that_wait_take_little_memory(tallyd, face):
    """16 KiB of a ClientHello but the last octet: the most that may wait on a connection."""
    unfinished = records(message(b"\x03\x03" + bytes(16382)), 16000)[:-1]
    before, sockets = memory(tallyd), []
    try:
        for _ in range(CROWD):
            sockets.append(socket.create_connection(("127.0.0.1", getattr(tallyd, f"{face}_port"))))
            sockets[-1].sendall(unfinished)
        time.sleep(0.5)
        assert (memory(tallyd) - before) / CROWD < HANDSHAKE_BYTES
    finally:
        for sock in sockets:
            sock.close()
