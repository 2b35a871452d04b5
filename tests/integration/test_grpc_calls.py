"""What gRPC lets a client do, and what each answer carries; frames are test_rfc9113_frames.py's."""
import json
import random
import re

import grpc
import pytest
from harness import grpc_client
from harness.env import LONG, SANITIZED, amount, wait_until
from harness.h2_client import H2Client
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import PATH, framed, framed_packets, packet

OK, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 0, 8, 12, 13, 14
CHECK = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


# ---- Ways to send a stream ---------------------------------------------------------------------


def ends(client):
    """The ways in which a client can end its side; each takes an open stream."""

    def empty_data(stream):
        client.send(stream, b"", end=True)

    def many_empty_data(stream):
        for _ in range(5):
            client.connection.send_data(stream, b"")
        client.send(stream, b"", end=True)

    def trailers(stream):
        client.connection.send_headers(stream, [("x-checksum", "7")], end_stream=True)
        client.flush()

    return [empty_data, many_empty_data, trailers]


def test_an_empty_stream_has_an_ack_of_zero(redis, client):
    reply = client.finish(client.open(end=True))
    assert (reply.status, reply.data) == (OK, framed(b"")), "HEADERS that end the stream"
    for end in ends(client):
        stream = client.open()
        end(stream)
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"")), end
    assert redis.totals() == {}


def test_each_way_to_end_a_stream_is_an_end(redis, client):
    for end in ends(client):
        stream = client.open()
        client.send(stream, framed_packets(["d"] * 3))
        end(stream)
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"\x08\x03")), end
        assert reply.headers["content-type"] == "application/grpc"
    assert_same(redis.totals(), {"d": 9})


def test_packets_may_be_split_anywhere_over_frames(redis, client):
    """Two frames, the first of them padded, and cut at each byte there is."""
    data = framed_packets(["a", "a"]) + framed(packet("b", 5, b"x" * 30)) + framed_packets(["c"])
    for cut in range(len(data) + 1):
        stream = client.open()
        client.connection.send_data(stream, data[:cut], pad_length=cut % 7)
        client.connection.send_data(stream, data[cut:], end_stream=True)
        client.flush()
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(b"\x08\x04")), cut
    n = len(data) + 1
    assert_same(redis.totals(), {"a": 2 * n, "b": n, "c": n})


def test_headers_may_go_on_in_many_frames(redis, client):
    client.connection.max_outbound_frame_size = 70  # so there are some CONTINUATIONs
    stream = client.open(x_custom="v" * 300)
    client.connection.max_outbound_frame_size = 16384
    client.connection.streams[stream].max_outbound_frame_size = 16384
    client.send(stream, framed_packets(["d"]), end=True)
    assert client.finish(stream).status == OK
    assert_same(redis.totals(), {"d": 1})


def test_streams_may_be_interleaved_by_single_bytes(redis, client):
    choose, expected = random.Random(3), {}
    left = {}
    for i in range(amount(40, long=200)):
        devices = [f"d{choose.randrange(5)}" for _ in range(choose.randrange(1, 9))]
        left[client.open()] = (framed_packets(devices), len(devices))
        for device in devices:
            expected[device] = expected.get(device, 0) + 1
    counts = {stream: count for stream, (_, count) in left.items()}
    while left:
        stream = choose.choice(sorted(left))
        data, count = left.pop(stream)
        take = choose.randrange(1, 40)
        client.send(stream, data[:take], end=take >= len(data))
        if take < len(data):
            left[stream] = (data[take:], count)
    for stream, count in counts.items():
        reply = client.finish(stream)
        assert (reply.status, reply.data) == (OK, framed(bytes([8, count])))
    assert_same(redis.totals(), expected)


@pytest.mark.parametrize("kept", [0, 1, 4, 5, 6, 20])
def test_a_cancelled_stream_keeps_its_whole_packets(redis, tallyd, client, kept):
    """RST_STREAM anywhere inside a message, and the connection goes on."""
    half = framed(packet("half" * 10))
    stream = client.open()
    client.send(stream, framed_packets(["d"] * 4) + half[:kept])
    client.reset(stream)
    assert client.call(framed_packets(["e"])).status == OK
    assert_same(redis.totals(), {"d": 4, "e": 1})
    stats = tallyd.stats()
    assert_balance(stats)
    totals = stats["totals"]
    assert totals["streams_opened"] == totals["streams_closed"] == 2
    assert (totals["streams_acknowledged"], totals["streams_failed"]) == (1, 0)


def test_an_ack_that_cannot_be_sent_is_not_counted(redis, tallyd, closing):
    """Its client gives no window for it. One that leaves never got it; one that gives some does."""
    leaves, reads = (closing(H2Client(tallyd.grpc_port, initial_window=0)) for _ in range(2))
    streams = {client: client.open() for client in (leaves, reads)}
    for client, stream in streams.items():
        client.send(stream, framed_packets(["d"]), end=True)
        wait_until(lambda c=client, s=stream: c.read_now().replies[s].headers, "the answer's begin")
    assert_same(redis.totals(), {"d": 2})
    assert tallyd.stats()["totals"]["streams_acknowledged"] == 0
    leaves.close()
    wait_until(lambda: tallyd.stats()["totals"]["streams_closed"] == 1, "the stream's end")
    reads.window(streams[reads], 100)
    assert reads.finish(streams[reads]).data == framed(b"\x08\x01")
    wait_until(lambda: tallyd.stats()["totals"]["streams_closed"] == 2, "the other's")
    totals = tallyd.stats()["totals"]
    assert (totals["streams_acknowledged"], totals["streams_failed"]) == (1, 0)


# ---- What answers carry ------------------------------------------------------------------------

ERRORS = [
    ("unknown service", {"path": "/x.Y/Z"}, b"", 200, UNIMPLEMENTED, "unknown service"),
    ("unknown method", {"path": PATH + "s"}, b"", 200, UNIMPLEMENTED, "unknown method"),
    ("a method of health", {"path": CHECK + "x"}, b"", 200, UNIMPLEMENTED, "unknown method"),
    ("no path to speak of", {"path": "/"}, b"", 200, UNIMPLEMENTED, "unknown service"),
    ("JSON", {"content_type": "application/grpc+json"}, b"", 200, UNIMPLEMENTED, "protobuf"),
    ("text", {"content_type": "text/plain"}, b"", 415, 3, "content-type"),
    ("GET", {"method": "GET"}, b"", 405, INTERNAL, "POST"),
    ("a timeout", {"grpc_timeout": "soon"}, b"", 400, INTERNAL, "grpc-timeout"),
    ("an encoding", {"grpc_encoding": "zstd"}, b"", 200, UNIMPLEMENTED, "gzip"),
    ("a bad packet", {}, framed(b"\x0a"), 200, INTERNAL, "packet 0"),
    ("an empty id", {}, framed(b""), 200, 3, "packet 0"),
    ("no such service", {"path": CHECK}, framed(b"\x0a\x01x"), 200, 5, "unknown service"),
    ("not one request", {"path": CHECK}, b"", 200, UNIMPLEMENTED, "one request"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[0].replace(" ", "-"))
def test_an_error_is_trailers_only_and_complete(client, error):
    _, headers, data, http_status, status, word = error
    for leave_open in (False, True):
        stream = client.open(**headers)
        client.send(stream, data, end=not leave_open or "path" in headers)
        reply = client.finish(stream)
        assert (reply.http_status, reply.status) == (http_status, status), reply
        assert reply.trailers == {}, "one HEADERS frame"
        speaks_grpc = http_status in (200, 400)
        assert (reply.data == b"") == speaks_grpc, "a text is for who speaks none"
        assert (reply.headers["content-type"] == "application/grpc") == speaks_grpc
        assert word in reply.message
        assert re.fullmatch("[0-9a-f]{16}", reply.headers["tally-request-id"])


def test_each_error_has_an_id_that_the_log_shows(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, log_format="json", log_level="debug")
    clients = [closing(H2Client(tallyd.grpc_port)) for _ in range(4)]
    replies = [client.call(framed(b"\x0a")) for client in clients for _ in range(5)]
    replies += [clients[0].finish(clients[0].open(path="/x"))]
    ids = [reply.field("tally-request-id") for reply in replies]
    assert len(set(ids)) == len(ids)
    lines = [json.loads(line) for line in tallyd.log().splitlines()]
    lines = [line for line in lines if line.get("kind") == "request_failed"]
    assert {line["request_id"] for line in lines} <= set(ids)
    # A line of each status and each worker, and the others held back.
    levels = {(line["message"].split(":")[0], line["level"]) for line in lines}
    assert levels == {("INTERNAL", "warn"), ("UNIMPLEMENTED", "debug")}
    assert 2 <= len(lines) <= 4
    assert {line["peer"].split(":")[0] for line in lines} == {"127.0.0.1"}
    (line,) = [line for line in lines if line["level"] == "debug"]
    assert line["request_id"] == ids[-1]
    ok = clients[0].call(framed_packets(["d"]))
    assert ok.field("tally-request-id") is None


def test_two_servers_ids_differ(redis, start_tallyd, closing):
    ids = set()
    for _ in range(3):
        tallyd = start_tallyd(redis.port)
        reply = closing(H2Client(tallyd.grpc_port)).call(framed(b"\x0a"))
        ids.add(reply.field("tally-request-id"))
    assert len(ids) == 3


def test_a_library_shows_what_the_trailers_say(tallyd):
    with grpc_client.connect(tallyd.target) as channel:
        with pytest.raises(grpc.RpcError) as error:
            grpc_client.stub(channel)(grpc_client.packets(["a", "a", ""]), timeout=60)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    trailers = {key: value for key, value in error.value.trailing_metadata()}
    assert trailers["tally-received"] == "2"
    assert len(trailers["tally-request-id"]) == 16


# ---- Too much ----------------------------------------------------------------------------------

def test_with_memory_short_new_streams_are_told_and_health_goes_on(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, memory_limit_bytes=1)
    client = closing(H2Client(tallyd.grpc_port))
    wait_until(lambda: tallyd.stats()["main"]["memory_pressure"] == 2, "the limit to be seen")
    for path in (PATH, REFLECTION):
        reply = client.finish(client.open(path=path))
        assert (reply.status, reply.message) == (UNAVAILABLE, "memory is short; come again later")
        assert 1000 <= int(reply.field("grpc-retry-pushback-ms")) < 2000
    assert client.call(framed(b""), path=CHECK).data == framed(b"\x08\x01")
    assert tallyd.stats()["totals"]["streams_overload"] == 1
    assert redis.totals() == {}


def test_a_stream_may_have_more_packets_than_32_bits_can_count(redis, start_tallyd, start_sender):
    """2^31 and more take a while, so only the long version crosses that."""
    tallyd = start_tallyd(redis.port)
    packets = 2**31 + 10_000 if LONG and not SANITIZED else amount(300_000, long=300_000)
    sender = start_sender(
        tallyd.target, n=packets, devices=10, replay=True, packet_bytes=16, id_prefix="d"
    )
    assert sender.wait(timeout=600) == 0, sender.output
    acknowledged = sender.acknowledged()
    assert sum(acknowledged.values()) == packets
    assert_same(redis.totals(), acknowledged)
    assert tallyd.stats()["totals"]["streams_acknowledged"] == 1
