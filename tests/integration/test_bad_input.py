"""Wrong messages and wrong calls: each gets its status, and nothing else suffers.

A hand-driven HTTP/2 client sends what no gRPC library would.
"""
import socket
import time

import pytest

pytest.importorskip("h2", reason="python3-h2 is not installed")
from harness.env import wait_until
from harness.h2_client import H2Client
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import framed, framed_packets, packet, varint

OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 8, 12, 13
MAX_MESSAGE = 1000

GOOD = ["good-1", "good-2", "good-1"]
COUNTED = {"good-1": 2, "good-2": 1}

# What a stream brings after three good packets: name, bytes, status, a word of the message, and
# the reason under which /stats counts it.
NOT_A_PACKET = (INTERNAL, "telemetry.Packet", "malformed")
NOT_UTF8 = (INTERNAL, "UTF-8", "utf8")
EMPTY = (INVALID_ARGUMENT, "empty", "device_id")
TOO_LONG = (INVALID_ARGUMENT, "257", "device_id")
BAD_MESSAGES = [
    ("field cut short", framed(b"\x0a\x05abc"), *NOT_A_PACKET),
    ("tag without value", framed(b"\x0a"), *NOT_A_PACKET),
    ("group wire type", framed(b"\x0a\x01d\x0b"), *NOT_A_PACKET),
    ("varint without end", framed(packet("d") + b"\x10" + b"\xff" * 10), *NOT_A_PACKET),
    ("not UTF-8", framed(packet(b"caf\xe9")), *NOT_UTF8),
    ("a surrogate in UTF-8", framed(packet(b"\xed\xa0\x80")), *NOT_UTF8),
    ("no device_id", framed(b"\x10\x01"), *EMPTY),
    ("empty message", framed(b""), *EMPTY),
    ("empty device_id", framed(packet("")), *EMPTY),
    ("device_id of 257 bytes", framed(packet("x" * 257)), *TOO_LONG),
    ("over the limit", framed(packet("d", payload=b"x" * MAX_MESSAGE)))
    + (RESOURCE_EXHAUSTED, "1000", "too_large"),
    ("4 GiB announced", b"\x00\xff\xff\xff\xff", RESOURCE_EXHAUSTED, "4294967295", "too_large"),
    ("compressed flag", framed(packet("d"), flag=1), INTERNAL, "compressed", "malformed"),
    ("flag 2", framed(packet("d"), flag=2), INTERNAL, "flag", "malformed"),
]


@pytest.fixture
def tallyd(redis, start_tallyd):
    return start_tallyd(redis.port, max_message_bytes=MAX_MESSAGE)


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


@pytest.mark.parametrize("bad", BAD_MESSAGES, ids=lambda bad: bad[0].replace(" ", "-"))
@pytest.mark.parametrize("pieces", ["whole", "bytewise"])
def test_a_bad_message_ends_its_stream_and_nothing_else(redis, tallyd, client, bad, pieces):
    _, data, status, word, reason = bad
    other = client.open()
    client.send(other, framed_packets(["other"]))

    stream = client.open()
    client.send(stream, framed_packets(GOOD))
    step = len(data) if pieces == "whole" else max(1, len(data) // 50)
    for at in range(0, len(data), step):
        client.send(stream, data[at : at + step])
        if pieces == "bytewise":
            time.sleep(0.001)  # so that each piece is a read of its own
    client.send(stream, framed_packets(["after"]))  # never counted: the stream has failed
    reply = client.finish(stream)

    assert reply.status == status, reply
    assert word in reply.message, reply.message
    assert "packet 3" in reply.message, "the index of the bad one, from 0"
    assert reply.received == len(GOOD)
    assert reply.data == b"", "an error carries no Ack"

    client.send(other, framed_packets(["other"]), end=True)
    assert client.finish(other).status == OK
    assert client.goaway is None
    wait_until(lambda: redis.totals() == COUNTED | {"other": 2}, "what was counted before")
    balance = tallyd.stats()["balance"]
    assert_balance(tallyd.stats())
    assert balance["rejected"] == {r: int(r == reason) for r in balance["rejected"]}


def test_the_limits_themselves_are_allowed(redis, client):
    longest = "é" * 128  # 256 bytes
    room = MAX_MESSAGE - len(packet(longest)) - len(b"\x1a" + varint(MAX_MESSAGE))
    biggest = packet(longest, payload=b"x" * room)
    assert len(biggest) == MAX_MESSAGE
    reply = client.call(framed(biggest))
    assert (reply.status, reply.data) == (OK, framed(b"\x08\x01"))
    assert_same(redis.totals(), {longest: 1})


def test_what_protobuf_allows_is_allowed(redis, client):
    unknown = b"\xa2\x1f\x03abc" + b"\xa8\x1f\x07" + b"\xa5\x1f1234" + b"\xa1\x1f12345678"
    twice = packet("first") + packet("last")
    backwards = b"\x1a\x02hi" + b"\x10\x05" + packet("last")
    reply = client.call(b"".join(map(framed, [twice, backwards, unknown + packet("last")])))
    assert (reply.status, reply.data) == (OK, framed(b"\x08\x03"))
    assert_same(redis.totals(), {"last": 3})


@pytest.mark.parametrize("tail", [b"\x00", framed(packet("d"))[:4], framed(packet("d"))[:-1]])
def test_a_stream_that_ends_inside_a_message_fails(redis, client, tail):
    reply = client.call(framed_packets(GOOD) + tail)
    assert reply.status == INTERNAL
    assert "packet 3" in reply.message
    assert reply.received == len(GOOD)
    wait_until(lambda: redis.totals() == COUNTED, "what was counted before")


# Calls that are wrong before their first message: headers, HTTP status, gRPC status.
BAD_CALLS = [
    ("unknown method", {"path": "/telemetry.TelemetryIngest/Nope"}, 200, UNIMPLEMENTED),
    ("unknown service", {"path": "/x"}, 200, UNIMPLEMENTED),
    ("GET", {"method": "GET"}, 405, None),
    ("PUT", {"method": "PUT"}, 405, None),
    ("content-type of JSON", {"content_type": "application/json"}, 415, None),
    ("content-type like gRPC's", {"content_type": "application/grpcx"}, 415, None),
    ("no content-type", {"content_type": None}, 415, None),
    ("unknown encoding", {"grpc_encoding": "snappy-9000"}, 200, UNIMPLEMENTED),
    ("messages of JSON", {"content_type": "application/grpc+json"}, 200, UNIMPLEMENTED),
    ("a timeout that is none", {"grpc_timeout": "1s"}, 400, INTERNAL),
]


@pytest.mark.parametrize("bad", BAD_CALLS, ids=lambda bad: bad[0].replace(" ", "-"))
def test_a_bad_call_is_refused_and_the_connection_lives(redis, client, bad):
    _, headers, http_status, status = bad
    for end_at_once in (True, False):
        stream = client.open(end=end_at_once, **headers)
        reply = client.finish(stream)
        assert reply.http_status == http_status
        assert reply.status == status or status is None
        assert reply.data.endswith(b"\n") == (http_status in (405, 415)), "a text for people"
        if "grpc_encoding" in headers:
            assert "identity" in reply.field("grpc-accept-encoding")
    assert client.call(framed_packets(GOOD)).status == OK
    assert client.goaway is None
    assert_same(redis.totals(), COUNTED)


def test_head_is_answered_without_a_body(client):
    reply = client.finish(client.open(end=True, method="HEAD"))
    assert (reply.http_status, reply.data) == (405, b"")


@pytest.mark.parametrize("content_type", ["application/grpc+proto", "application/grpc;charset=x"])
def test_other_names_of_grpc_are_served(client, content_type):
    assert client.call(framed_packets(GOOD), content_type=content_type).status == OK


@pytest.mark.parametrize("way", ["ended", "reset", "gone"])
def test_a_client_that_vanishes_leaves_its_whole_packets(redis, tallyd, client, way):
    stream = client.open()
    client.send(stream, framed_packets(GOOD) + framed(packet("cut off"))[:-2])
    if way == "ended":  # nothing more comes, and nobody waits for an answer
        client.socket.shutdown(socket.SHUT_WR)
    wait_until(lambda: redis.totals() == COUNTED, "the whole packets")
    if way == "reset":
        client.reset(stream)
    client.close()
    wait_until(lambda: tallyd.stats()["totals"]["streams_closed"] == 1, "the stream's end")
    time.sleep(0.3)
    assert_same(redis.totals(), COUNTED)
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["totals"]["streams_acknowledged"] == 0


def test_trailers_are_bounded_as_headers_are(redis, client):
    stream = client.open()
    client.send(stream, framed_packets(GOOD))
    client.connection.send_headers(
        stream, [(f"x-{i}", "v" * 1000) for i in range(40)], end_stream=True
    )
    client.socket.sendall(client.connection.data_to_send())
    reply = client.finish(stream)
    assert reply.status == 8, reply
    assert reply.received == len(GOOD)
    assert client.call(framed_packets(["d"])).status == OK
