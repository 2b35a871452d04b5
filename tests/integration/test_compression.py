"""grpc-encoding: gzip and identity are taken, anything else is refused with what would be."""
import gzip
import socket
import threading
import time

import grpc
import pytest
from harness import grpc_client, h2_raw
from harness.env import amount, wait_until
from harness.h2_client import H2Client
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import framed, framed_packets, packet

OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 8, 12, 13, 14
MAX_MESSAGE = 10_000
CHECK = "/grpc.health.v1.Health/Check"


def squeezed(message, level=6):
    """A compressed message with its prefix."""
    return framed(gzip.compress(message, level), flag=1)


@pytest.fixture
def tallyd(redis, start_tallyd):
    return start_tallyd(redis.port, max_message_bytes=MAX_MESSAGE)


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


@pytest.mark.parametrize("kind", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_a_library_that_compresses_is_served(redis, tallyd, kind):
    devices = [f"device-{i % 5}" + "x" * 100 for i in range(amount(2000, long=20_000))]
    with grpc_client.connect(tallyd.target) as channel:
        ack = grpc_client.stub(channel)(
            grpc_client.packets(devices), compression=kind, timeout=60
        )
    assert ack.received == len(devices)
    assert_same(redis.totals(), {d: len(devices) // 5 for d in set(devices)})


def test_compressed_messages_are_counted_at_every_split(redis, tallyd, client):
    members = gzip.compress(packet("twice")[:4]) + gzip.compress(packet("twice")[4:])
    stored = squeezed(packet("a", payload=b"x" * 40), level=0)
    data = squeezed(packet("a", 5, b"x" * 100)) + framed(packet("b")) + framed(members, flag=1)
    data += framed_packets(["b", "c"]) + stored
    for cut in range(0, len(data) + 1, 3):
        stream = client.open(grpc_encoding="gzip")
        client.send(stream, data[:cut])
        client.send(stream, data[cut:], end=True)
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"\x08\x06")), (cut, reply)
    n = len(range(0, len(data) + 1, 3))
    assert_same(redis.totals(), {"a": 2 * n, "b": 2 * n, "c": n, "twice": n})


@pytest.mark.parametrize("encoding", ["deflate", "snappy", "br", "GZIP", "gzip,identity", "", "x" * 99])
def test_other_encodings_are_refused_with_what_is_taken(client, encoding):
    reply = client.finish(client.open(grpc_encoding=encoding))
    assert reply.status == UNIMPLEMENTED
    assert reply.field("grpc-accept-encoding") == "identity,gzip"
    assert "gzip" in reply.message


def test_each_answer_says_what_is_taken(client):
    for reply in (
        client.call(framed_packets(["a"])),
        client.call(framed_packets([""])),
        client.call(framed(b""), path=CHECK),
        client.finish(client.open(path="/x")),
    ):
        assert reply.headers["grpc-accept-encoding"] == "identity,gzip"


BOMB = packet("d", payload=b"\0" * 5_000_000)
WRONG = [
    ("no gzip", framed(packet("d"), flag=1), INTERNAL, "gzip", "malformed"),
    ("nothing", framed(b"", flag=1), INTERNAL, "gzip", "malformed"),
    ("cut short", framed(gzip.compress(packet("d"))[:-1], flag=1), INTERNAL, "whole", "malformed"),
    ("garbage behind", framed(gzip.compress(packet("d")) + b"\0", flag=1), INTERNAL, "gzip")
    + ("malformed",),
    ("no packet in it", squeezed(b"\x0a\x05abc"), INTERNAL, "telemetry.Packet", "malformed"),
    ("not UTF-8 in it", squeezed(packet(b"caf\xe9")), INTERNAL, "UTF-8", "utf8"),
    ("over the limit when inflated", squeezed(packet("d", payload=b"x" * MAX_MESSAGE)))
    + (RESOURCE_EXHAUSTED, f"inflates to more than the limit of {MAX_MESSAGE}", "too_large"),
    ("a bomb", squeezed(BOMB), RESOURCE_EXHAUSTED, str(MAX_MESSAGE), "too_large"),
    ("over the limit as it is", b"\1\0\1\0\0", RESOURCE_EXHAUSTED, "65536", "too_large"),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong[0].replace(" ", "-"))
@pytest.mark.parametrize("pieces", [1, 20])
def test_a_wrong_message_ends_its_stream_and_keeps_the_others(
    redis, tallyd, client, wrong, pieces
):
    _, data, status, word, reason = wrong
    stream = client.open(grpc_encoding="gzip")
    client.send(stream, squeezed(packet("good")))
    step = len(data) // pieces + 1
    for at in range(0, len(data), step):
        client.send(stream, data[at : at + step])
        if pieces > 1:
            time.sleep(0.001)  # so that each piece is a read of its own
    client.send(stream, squeezed(packet("after")))
    reply = client.finish(stream)
    assert (reply.status, reply.received) == (status, 1), reply
    assert word in reply.message
    assert client.call(framed_packets(["good"])).status == OK
    assert_same(redis.totals(), {"good": 2})
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["rejected"][reason] == stats["balance"]["rejected_total"] == 1


def test_the_limit_itself_is_allowed(redis, client):
    whole = packet("d", payload=b"x" * (MAX_MESSAGE - 6))
    assert len(whole) == MAX_MESSAGE
    assert client.call(squeezed(whole), grpc_encoding="gzip").status == OK
    assert_same(redis.totals(), {"d": 1})


def test_streams_that_end_inside_a_compressed_message_hold_nothing(redis, tallyd, client):
    """Each takes a state to inflate with; more of them than there are states, one by one."""
    half = squeezed(packet("d" * 50))[:-5]
    for way in ("reset", "end"):
        for _ in range(amount(700, long=700, sanitized=100)):
            stream = client.open(grpc_encoding="gzip")
            client.send(stream, half, end=way == "end")
            if way == "reset":
                client.reset(stream)
    assert client.finish(stream).status == INTERNAL
    assert client.call(squeezed(packet("d")), grpc_encoding="gzip").status == OK
    assert_same(redis.totals(), {"d": 1})


def test_requests_of_other_methods_may_be_compressed(client):
    reply = client.call(squeezed(b""), path=CHECK, grpc_encoding="gzip")
    assert (reply.status, reply.data) == (OK, framed(b"\x08\x01"))
    data = squeezed(b"\x0a\x19telemetry.TelemetryIngest")
    for cut in range(len(data)):
        stream = client.open(path=CHECK, grpc_encoding="gzip")
        client.send(stream, data[:cut])
        client.send(stream, data[cut:], end=True)
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"\x08\x01"))
    reply = client.call(squeezed(b"\x0a\x00" * 5000), path=CHECK, grpc_encoding="gzip")
    assert reply.status == RESOURCE_EXHAUSTED
    reply = client.call(framed(b"x", flag=1), path=CHECK, grpc_encoding="gzip")
    assert reply.status == INTERNAL


def test_many_streams_inside_compressed_messages_are_bounded(redis, start_tallyd, closing):
    """A worker has 1,024 states, of which a connection may have as many as it leaves free: the
    first half of them, the second a quarter. Past that, streams are told when to come again, and
    one that ends makes room."""
    tallyd = start_tallyd(redis.port, workers=1)
    clients = [closing(H2Client(tallyd.grpc_port)) for _ in range(2)]
    half = squeezed(packet("d" * 50))[:-5]

    def refused(client):
        return sum(reply.ended for reply in client.read_now().replies.values())

    for client, room in zip(clients, (1024 // 2, 1024 // 4)):
        streams = [client.open(grpc_encoding="gzip") for _ in range(600)]
        for stream in streams:
            client.send(stream, half)
        wait_until(lambda: refused(client) == 600 - room, "those past the bound to be told")
    replies = clients[1].replies
    ended = [reply for reply in replies.values() if reply.ended]
    assert {reply.status for reply in ended} == {UNAVAILABLE}, "no message is too large"
    assert all(1000 <= int(reply.field("grpc-retry-pushback-ms")) < 2000 for reply in ended)
    clients[0].close()
    wait_until(lambda: tallyd.stats()["totals"]["connections_closed"] == 1, "the connection's end")
    reply = clients[1].call(squeezed(packet("d")), grpc_encoding="gzip")
    assert reply.status == OK


def test_messages_that_inflate_a_thousandfold_leave_others_their_turns(
    redis, start_tallyd, closing
):
    """Each is within the limit, so it is counted; but who sends nothing else gets fewer turns.
    Without that, a call of another client on the same worker took a hundred times as long."""
    tallyd = start_tallyd(redis.port, workers=1)
    good = closing(H2Client(tallyd.grpc_port))

    def ten_calls():
        begin = time.monotonic()
        for _ in range(10):
            assert good.call(framed_packets(["good"])).status == OK
        return time.monotonic() - begin

    alone, over = ten_calls(), threading.Event()
    raw = closing(h2_raw.Raw(tallyd.grpc_port)).greet()
    raw.send(raw.request(1, grpc_encoding="gzip"))
    bombs = h2_raw.data(1, squeezed(packet("bomb", payload=b"\0" * 4_000_000), 9)) * 100
    attacker = threading.Thread(target=attack, args=(raw, bombs, over))
    attacker.start()
    wait_until(lambda: redis.totals().get("bomb", 0) > 0, "the attack")
    attacked = min(ten_calls() for _ in range(3))  # others may hold the machine up for a moment
    over.set()
    raw.socket.shutdown(socket.SHUT_RDWR)
    attacker.join()
    assert attacked < 20 * alone
    assert redis.totals()["good"] == 40


def attack(raw, bombs, over):
    """Sends them as fast as the server takes them."""
    raw.socket.settimeout(60)
    while not over.is_set():
        try:
            raw.socket.sendall(bombs)
        except OSError:  # it is over, or the window is
            return
