"""grpc.health.v1.Health: what health checkers of gRPC ask, by a library and by hand.

The messages are so small that they are written by hand: the request's one field is a name, the
response's a number.
"""
import queue
import threading

import grpc
import pytest
from harness import grpc_client
from harness.env import PATIENCE, WAIT_S, wait_until
from harness.grpc_client import OpenStream
from harness.h2_client import H2Client
from harness.h2_raw import Raw, data
from harness.wire import framed, packet

SERVICE = "/grpc.health.v1.Health/"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
TELEMETRY = "telemetry.TelemetryIngest"
CHECK = framed(b"")


def asking(service):
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def told(response):
    """The status in a response; 0, UNKNOWN, is left out on the wire."""
    assert response[:1] in (b"", b"\x08"), response
    return response[1] if response else 0


class Health:
    def __init__(self, target):
        self.channel = grpc_client.connect(target)

    def check(self, service="", timeout=WAIT_S):
        call = self.channel.unary_unary(SERVICE + "Check")
        return told(call(asking(service), timeout=timeout * PATIENCE))

    def watch(self, service=""):
        return Watch(self.channel.unary_stream(SERVICE + "Watch")(asking(service)))

    def close(self):
        self.channel.close()


class Watch:
    """What a watcher is told, as it comes, and the error at its end."""

    def __init__(self, call):
        self.call = call
        self.news = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            for response in self.call:
                self.news.put(told(response))
        except grpc.RpcError as error:
            self.news.put(error.code())

    def next(self, timeout=WAIT_S):
        return self.news.get(timeout=timeout * PATIENCE)

    def is_quiet(self, seconds=1.5):
        """True when there is no news for longer than two ticks may lie apart."""
        try:
            self.news.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def health(tallyd, closing):
    return closing(Health(tallyd.target))


@pytest.mark.parametrize("service", ["", TELEMETRY])
def test_a_server_that_can_be_used_is_serving(health, service):
    assert health.check(service) == SERVING
    assert health.watch(service).next() == SERVING


@pytest.mark.parametrize("service", ["nobody", "telemetry", TELEMETRY + "/StreamPackets", "x" * 99])
def test_an_unknown_service_is_not_found(health, service):
    with pytest.raises(grpc.RpcError) as error:
        health.check(service)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    watch = health.watch(service)
    assert watch.next() == SERVICE_UNKNOWN
    assert watch.is_quiet(), "it goes on, there is just nothing new"


def test_redis_away_past_the_grace_and_back_is_told(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=300)
    health = closing(Health(tallyd.target))
    watch = health.watch(TELEMETRY)
    assert watch.next() == SERVING
    redis.kill()
    assert watch.next() == NOT_SERVING
    assert health.check() == NOT_SERVING
    redis.start()
    assert watch.next() == SERVING
    assert health.check(TELEMETRY) == SERVING


def test_a_drain_is_told_at_once_and_ends_watches_last(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port)
    health = closing(Health(tallyd.target))
    watch = health.watch()
    assert watch.next() == SERVING
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 3)
    wait_until(lambda: redis.totals() == {"d": 3}, "the stream to be counted")
    tallyd.terminate()
    assert watch.next() == NOT_SERVING
    assert watch.is_quiet(0.5), "it goes on while streams drain"
    stream.end()
    assert stream.received() == 3
    assert watch.next() == grpc.StatusCode.UNAVAILABLE
    assert tallyd.wait() == 0


def test_watchers_do_not_hold_up_a_drain(redis, start_tallyd, closing):
    """The drain waits for packets only, though there be watchers that never leave."""
    tallyd = start_tallyd(redis.port, drain_timeout_ms=3_600_000)
    watches = [closing(Health(tallyd.target)).watch() for _ in range(5)]
    assert [watch.next() for watch in watches] == [SERVING] * 5
    assert tallyd.stop() == 0


def test_health_is_counted_apart_from_streams(tallyd, health):
    watch = health.watch()
    assert watch.next() == SERVING
    health.check()
    with pytest.raises(grpc.RpcError):
        health.check("nobody")
    totals = tallyd.stats()["totals"]
    assert (totals["service_calls_opened"], totals["service_calls_closed"]) == (3, 2)
    watch.call.cancel()
    wait_until(lambda: tallyd.stats()["totals"]["service_calls_closed"] == 3, "the watch's end")
    totals = tallyd.stats()["totals"]
    assert not any(totals[name] for name in totals if name.startswith("streams_"))


# What a client sends to Check and Watch by hand: a name, its bytes, the status that it gets.
OK, INTERNAL, RESOURCE_EXHAUSTED, UNIMPLEMENTED, UNAVAILABLE = 0, 13, 8, 12, 14
BY_HAND = [
    ("no request", b"", UNIMPLEMENTED),
    ("two requests", CHECK + CHECK, UNIMPLEMENTED),
    ("no protobuf", framed(b"\x0a\x05abc"), INTERNAL),
    ("a packet", framed(packet("d", 5)), 5),  # its device_id is taken for a service: NOT_FOUND
    ("half a request", framed(asking(TELEMETRY))[:-3], INTERNAL),
    ("half a prefix", b"\0\0", INTERNAL),
    ("a compressed flag", framed(b"", flag=1), INTERNAL),
    ("a flag of 2", framed(b"", flag=2), INTERNAL),
    ("a request over the limit", framed(b"\x0a\x82\x20" + b"x" * 4098), RESOURCE_EXHAUSTED),
    ("4 GiB announced", b"\0\xff\xff\xff\xff", RESOURCE_EXHAUSTED),
]


@pytest.mark.parametrize("step", [10_000, 1], ids=["whole", "bytewise"])
def test_wrong_requests_are_refused(tallyd, closing, step):
    client = closing(H2Client(tallyd.grpc_port))
    for name, data, status in BY_HAND:
        stream = client.open(path=SERVICE + "Check")
        for at in range(0, min(len(data), 200), step):
            client.send(stream, data[at : at + step])
        client.send(stream, data[200:] if step == 1 else b"", end=True)
        reply = client.finish(stream)
        assert reply.status == status, (name, reply)
        assert reply.field("tally-received") is None, "that is for packets"
    assert client.call(CHECK, path=SERVICE + "Check").status == OK


def test_a_request_split_anywhere_is_the_same(tallyd, closing):
    client = closing(H2Client(tallyd.grpc_port))
    data = framed(asking(TELEMETRY))
    for cut in range(len(data)):
        stream = client.open(path=SERVICE + "Check")
        client.send(stream, data[:cut])
        client.send(stream, data[cut:], end=True)
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"\x08\x01")), cut


def test_requests_that_come_in_parts_are_bounded(redis, start_tallyd, closing):
    """A worker has room for 4,096 of the greatest, of which a connection may take as many as it
    leaves free; who finds none is told when to come again, and others hear of health."""
    tallyd = start_tallyd(redis.port, workers=1)
    clients = [closing(Raw(tallyd.grpc_port)).greet() for _ in range(4)]
    part = (4096).to_bytes(5, "big") + b"\x0a"
    for client in clients:
        streams = range(1, 2 * 1000, 2)
        client.send(*[client.request(s, path=SERVICE + "Check") + data(s, part) for s in streams])
        seen = client.settle()
        statuses = [seen.field(s, "grpc-status") for s in seen.ended]
        if client is not clients[-1]:
            assert statuses == []
    assert 300 < len(statuses) < 600 and set(statuses) == {str(UNAVAILABLE)}
    assert all(int(seen.field(s, "grpc-retry-pushback-ms")) >= 1000 for s in seen.ended)
    assert closing(Health(tallyd.target)).check() == SERVING


def test_a_watch_whose_client_takes_nothing_holds_one_message(redis, start_tallyd, closing):
    """With no window the news cannot go out; what it is told then is the last of it."""
    tallyd = start_tallyd(redis.port, redis_grace_ms=100)
    client = closing(H2Client(tallyd.grpc_port, initial_window=0))
    stream = client.open(path=SERVICE + "Watch")
    client.send(stream, CHECK, end=True)
    health = closing(Health(tallyd.target))
    assert health.check() == SERVING
    redis.kill()
    wait_until(lambda: health.check() == NOT_SERVING, "Redis to be missed")
    client.window(stream, 1)  # a part of the first message
    client.window(stream, 1000)
    wait_until(lambda: client.read_now().replies[stream].data.endswith(b"\x08\x02"), "the news")
    assert client.replies[stream].data == framed(b"\x08\x01") + framed(b"\x08\x02")
