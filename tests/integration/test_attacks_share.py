"""What all clients of a worker share can be taken from nobody: attackers who hold as many streams,
or messages that inflate, as they can leave others their part. (test_health.py has requests of
health checks.)"""
import gzip

import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness.env import SANITIZED, wait_until
from harness.h2_client import H2Client
from harness.h2_raw import END_HEADERS, HEADERS, Raw, data, frame, literals
from harness.sender import assert_same
from harness.wire import PATH, framed, framed_packets, packet

CHECK = "/grpc.health.v1.Health/Check"
OK, UNAVAILABLE = 0, 14
A_CONNECTION = 1000  # streams
CALLS = 65_536  # of a worker, that are let in

pytestmark = pytest.mark.skipif(SANITIZED, reason="thousands of streams take a sanitizer too long")


@pytest.fixture
def tallyd(redis, start_tallyd):
    return start_tallyd(redis.port, workers=1)


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


def crowd(tallyd, closing, connections, fields, behind=b""):
    """Connections with A_CONNECTION streams each, on which `behind` is said and then nothing."""
    block, total = literals(fields), lambda: tallyd.stats()["totals"]
    raws = [closing(Raw(tallyd.grpc_port)).greet() for _ in range(connections)]
    for raw in raws:
        for stream in range(1, 2 * A_CONNECTION, 2):
            raw.send(frame(HEADERS, END_HEADERS, stream, block), behind and data(stream, behind))
    wait_until(lambda: sum(total()[f"{kind}_opened"] for kind in ("streams", "service_calls"))
               >= connections * A_CONNECTION, "all of them")
    return raws


def refused(raws):
    """(connection, stream) of all that have an answer, which is an error."""
    return [(raw, stream) for raw in raws for stream in raw.settle().headers]


def test_streams_that_say_nothing_leave_room(redis, tallyd, client, closing):
    raws = crowd(tallyd, closing, CALLS // A_CONNECTION + 1, Raw.fields())
    raw, stream = refused(raws)[0]
    assert raw.seen.field(stream, "grpc-status") == str(UNAVAILABLE)
    assert raw.seen.field(stream, "grpc-message") == "too many streams; end some first"
    assert 1000 <= int(raw.seen.field(stream, "grpc-retry-pushback-ms")) < 2000
    assert tallyd.stats()["totals"]["streams_overload"] == len(refused(raws))
    assert client.call(framed_packets(["d"]), path=PATH).status == OK
    assert client.call(framed(b""), path=CHECK).status == OK
    assert_same(redis.totals(), {"d": 1})


def test_answers_that_nobody_reads_leave_room(redis, tallyd, client, closing):
    """Errors, which wait to be sent: they are as good as open streams."""
    raws = [closing(Raw(tallyd.grpc_port, receive_bytes=4096)).greet() for _ in range(4)]
    block = literals(Raw.fields(path="/no.such/Thing"))
    for raw in raws:
        raw.send(*(frame(HEADERS, END_HEADERS, 1 + 2 * n, block) for n in range(2 * A_CONNECTION)))
    assert client.call(framed_packets(["d"]), path=PATH).status == OK
    for raw in raws:
        raw.close()
    totals = lambda: tallyd.stats()["totals"]
    wait_until(lambda: totals()["streams_closed"] == totals()["streams_opened"], "their end")


def test_compressed_messages_that_do_not_end_leave_room(redis, tallyd, client, closing):
    begun = b"\1" + (1000).to_bytes(4, "big") + gzip.compress(b"")[:10]
    raws = crowd(tallyd, closing, 3, [*Raw.fields(), ("grpc-encoding", "gzip")], begun)
    raw, stream = refused(raws)[0]
    assert raw.seen.field(stream, "grpc-status") == str(UNAVAILABLE)
    message = framed(gzip.compress(packet("d")), flag=1)
    for cut in (0, 7, 20):
        stream = client.open(grpc_encoding="gzip")
        client.send(stream, message[:cut])
        client.send(stream, message[cut:], end=True)
        assert client.finish(stream).status == OK
    assert_same(redis.totals(), {"d": 3})
