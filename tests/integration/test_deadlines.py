"""grpc-timeout: a stream ends when its time is up, and what it counted by then stays counted.
And streams that nobody goes on with, whatever their time."""
import random
import time

import pytest
from harness.env import PATIENCE, amount, wait_until
from harness.h2_client import H2Client
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import framed, framed_packets, packet

OK, INVALID_ARGUMENT, DEADLINE_EXCEEDED, INTERNAL = 0, 3, 4, 13
CANCEL = 8
WATCH, CHECK = "/grpc.health.v1.Health/Watch", "/grpc.health.v1.Health/Check"


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


def assert_cancelled(client, stream):
    wait_until(lambda: client.read_now().replies[stream].reset is not None, "RST_STREAM")
    assert client.replies[stream].reset == CANCEL


def test_an_open_stream_ends_and_names_what_it_counted(redis, tallyd, client):
    begin = time.monotonic()
    stream = client.open(grpc_timeout="1S")
    client.send(stream, framed_packets(["d"] * 7) + framed(packet("half"))[:-1])
    reply = client.finish(stream)
    assert time.monotonic() - begin >= 1
    assert (reply.status, reply.received) == (DEADLINE_EXCEEDED, 7), reply
    assert "deadline" in reply.message
    assert_cancelled(client, stream)
    assert_same(redis.totals(), {"d": 7})
    totals = tallyd.stats()["totals"]
    assert (totals["streams_expired"], totals["streams_failed"]) == (1, 1)
    assert client.call(framed_packets(["d"])).status == OK


@pytest.mark.parametrize("timeout", ["0n", "0H", "00000000S"])
def test_a_deadline_that_has_passed_lets_nothing_in(redis, tallyd, client, timeout):
    stream = client.open(grpc_timeout=timeout)
    client.send(stream, framed_packets(["d"]))
    reply = client.finish(stream)
    assert (reply.status, reply.received) == (DEADLINE_EXCEEDED, 0)
    assert_cancelled(client, stream)
    assert redis.totals() == {}
    totals = tallyd.stats()["totals"]
    assert (totals["streams_expired"], totals["streams_refused"]) == (1, 1)


@pytest.mark.parametrize("ended", [True, False], ids=["waits-for-its-ack", "still-open"])
def test_redis_away_holds_no_answer_past_the_deadline(redis, start_tallyd, closing, ended):
    """The client is told that it need not wait, and that what it sent is not lost; it is not told
    a number that Redis has not confirmed."""
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    client = closing(H2Client(tallyd.grpc_port))
    assert client.call(framed_packets(["d"])).status == OK
    redis.kill()
    begin = time.monotonic()
    stream = client.open(grpc_timeout="2S")
    client.send(stream, framed_packets(["d"] * 9), end=ended)
    reply = client.finish(stream)
    assert 2 <= time.monotonic() - begin < 40 * PATIENCE
    assert (reply.status, reply.received) == (DEADLINE_EXCEEDED, 0), reply
    assert "9 packets" in reply.message
    totals = tallyd.stats()["totals"]
    assert totals["streams_expired"] == totals["streams_failed"] == 1
    assert totals["streams_waiting"] == 0
    redis.start()
    wait_until(lambda: redis.totals().get("d", 0) >= 9, "what was counted")
    assert_balance(tallyd.stats())


def test_another_error_that_waits_is_not_held_past_the_deadline(redis, start_tallyd, closing):
    """It stays the error that it is, and tells beside it that what was counted is not lost."""
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    client = closing(H2Client(tallyd.grpc_port))
    redis.kill()
    stream = client.open(grpc_timeout="1S")
    client.send(stream, framed_packets(["d"] * 2) + framed(b"\x0a\x05abc"))
    reply = client.finish(stream)
    assert (reply.status, reply.received) == (INTERNAL, 0)
    assert "packet 2 (the first is 0): " in reply.message
    assert reply.message.endswith("; the 2 packets that were counted will be committed"), reply
    assert tallyd.stats()["totals"]["streams_expired"] == 0
    redis.start()
    wait_until(lambda: redis.totals() == {"d": 2}, "what was counted")
    assert_balance(tallyd.stats())


def test_the_longest_error_leaves_room_for_what_was_counted(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    client = closing(H2Client(tallyd.grpc_port))
    redis.kill()
    stream = client.open(grpc_timeout="1S")
    client.send(stream, framed_packets(["d"] * 10_000) + framed(packet("d" * 3_000_000)))
    reply = client.finish(stream)
    assert (reply.status, reply.received) == (INVALID_ARGUMENT, 0)
    assert "its device_id has 3000000 bytes" in reply.message
    assert reply.message.endswith("; the 10000 packets that were counted will be committed"), reply
    redis.start()
    wait_until(lambda: redis.totals() == {"d": 10_000}, "what was counted")


def test_a_stream_within_its_time_is_acknowledged(redis, tallyd, client):
    for timeout in ("20S", "99999999H", f"{2000 * PATIENCE}m", "1M"):
        assert client.call(framed_packets(["d"]), grpc_timeout=timeout).status == OK
    time.sleep(2.2 * PATIENCE)  # until the shortest would have passed: it must be forgotten
    assert client.call(framed_packets(["d"])).status == OK
    assert_same(redis.totals(), {"d": 5})
    assert tallyd.stats()["totals"]["streams_expired"] == 0


@pytest.mark.parametrize("timeout", ["", "1", "S", "1s", "-1S", "1.5S", "123456789S", "1 S", "1SS"])
def test_a_bad_timeout_is_a_bad_request(redis, client, timeout):
    for path in (None, CHECK):
        headers = {"path": path} if path else {}
        stream = client.open(grpc_timeout=timeout, **headers)
        reply = client.finish(stream)
        assert (reply.http_status, reply.status) == (400, INTERNAL)
        assert "grpc-timeout" in reply.message
    assert client.call(framed_packets(["d"])).status == OK


def test_deadlines_of_other_methods(tallyd, client):
    stream = client.open(path=WATCH, grpc_timeout="1S")
    client.send(stream, framed(b""), end=True)
    reply = client.finish(stream)
    assert (reply.status, reply.data) == (DEADLINE_EXCEEDED, framed(b"\x08\x01"))
    stream = client.open(path=CHECK, grpc_timeout="300m")
    assert client.finish(stream).status == DEADLINE_EXCEEDED
    assert_cancelled(client, stream)
    assert client.call(framed(b""), path=CHECK, grpc_timeout="9S").status == OK
    assert tallyd.stats()["totals"]["streams_expired"] == 0, "those are of packets"


def test_many_deadlines_each_end_their_stream(redis, tallyd, client):
    """Some streams end in time, some are reset, some come too late; each is counted once."""
    choose, expected = random.Random(5), {"in-time": 0, "late": 0, "reset": 0}
    all_of_them = []
    for _ in range(amount(400, long=1000, sanitized=60)):
        kind = choose.choice(sorted(expected))
        timeout = "60S" if kind == "in-time" else f"{choose.randrange(1000, 1600)}m"
        stream = client.open(grpc_timeout=timeout)
        client.send(stream, framed_packets([kind]), end=kind == "in-time")
        if kind == "reset":
            client.reset(stream)
        else:
            all_of_them.append((stream, OK if kind == "in-time" else DEADLINE_EXCEEDED))
        expected[kind] += 1
    for stream, status in all_of_them:
        assert client.finish(stream).status == status
    wait_until(lambda: redis.totals() == expected, "all that was counted")
    assert tallyd.stats()["totals"]["streams_expired"] == expected["late"]


def test_a_stream_that_stops_inside_a_packet_is_ended(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, stall_timeout_ms=1500)
    client = closing(H2Client(tallyd.grpc_port))
    half = framed(packet("d" * 250))
    stalled, service = client.open(), client.open(path=CHECK)
    between, trickling = client.open(), client.open()
    client.send(stalled, framed_packets(["d"] * 3) + half[:20])
    client.send(service, b"\0\0\0")
    client.send(between, framed_packets(["d"]))
    begin = time.monotonic()
    while not client.replies[stalled].ended or not client.replies[service].ended:
        assert time.monotonic() - begin < 60 * PATIENCE
        client.send(trickling, half[:1])
        half = half[1:]
        client.read_now()
    assert time.monotonic() - begin >= 1.5
    reply = client.finish(stalled)
    assert (reply.status, reply.received) == (DEADLINE_EXCEEDED, 3), reply
    assert "inside a message" in reply.message
    assert client.finish(service).status == DEADLINE_EXCEEDED
    client.send(between, framed_packets(["d"]), end=True)
    assert client.finish(between).status == OK, "one that stands between packets may stand there"
    assert not client.replies[trickling].ended, "one that goes on, however slowly, is no stall"
    assert_same(redis.totals(), {"d": 5})
