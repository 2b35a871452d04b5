"""--max-connection-age-ms: connections are told to come again, and nothing is lost or doubled."""
import time

import grpc
import pytest
from harness import grpc_client
from harness.bystander import total
from harness.env import PATIENCE, amount, wait_until
from harness.grpc_client import OpenStream
from harness.h2_raw import END_STREAM, Raw, data
from harness.sender import add, assert_same
from harness.wire import framed_packets

LAST_STREAM = (1 << 31) - 1


@pytest.fixture
def ageing(redis, start_tallyd):
    return start_tallyd(
        redis.port, max_connection_age_ms=500, max_connection_age_grace_ms=1000 * PATIENCE
    )


def test_an_idle_connection_hears_of_its_end_twice(ageing):
    with Raw(ageing.grpc_port) as client:
        client.greet()
        seen = client.read_to_the_end()
        assert seen.goaways == [(LAST_STREAM, 0), (0, 0)]
    assert total(ageing, "connections_aged") == 1
    assert total(ageing, "bad_peers") == 0


def test_a_stream_begun_after_the_notice_is_served_one_after_the_last_id_is_not(redis, ageing):
    with Raw(ageing.grpc_port) as client:
        client.greet()
        client.send(client.request(1))
        client.wait(lambda seen: seen.goaways, "the notice")
        client.send(client.request(3), data(3, framed_packets(["b"]), END_STREAM))
        client.wait(lambda seen: 3 in seen.ended, "the Ack of a stream begun behind the notice")
        assert client.seen.field(3, "grpc-status") == "0"
        client.wait(lambda seen: len(seen.goaways) == 2, "the last stream's id")
        assert client.seen.goaways[1] == (3, 0)
        client.send(client.request(5), data(5, framed_packets(["lost"]), END_STREAM))
        client.send(data(1, framed_packets(["a"]), END_STREAM))
        client.read_to_the_end()
        assert client.seen.field(1, "grpc-status") == "0"
        assert 5 not in client.seen.headers and 5 not in client.seen.resets
    assert_same(redis.totals(), {"a": 1, "b": 1})


def test_past_the_grace_a_stream_is_ended_and_told_what_was_counted(redis, ageing, closing):
    stream = closing(OpenStream(ageing.target))
    stream.send(["d"] * 7)
    error = stream.error()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert dict(error.trailing_metadata())["tally-received"] == "7"
    assert redis.totals() == {"d": 7}
    wait_until(
        lambda: total(ageing, "connections_closed") == total(ageing, "connections_opened"),
        "the connection to be closed",
    )


def test_one_channel_of_grpc_goes_on_over_many_connections(redis, ageing):
    """grpcio opens a new connection by itself, and retries what a GOAWAY has refused."""
    channel = grpc_client.connect(ageing.target)
    send, count = grpc_client.stub(channel), 0
    deadline = time.monotonic() + amount(4, 20, 6)
    while time.monotonic() < deadline:
        assert send(grpc_client.packets(["d"] * 3), timeout=30 * PATIENCE).received == 3
        count += 3
    channel.close()
    assert total(ageing, "connections_opened") >= 2
    assert_same(redis.totals(), {"d": count})


def test_connections_that_came_together_do_not_go_together(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, max_connection_age_ms=4000)
    clients = [closing(Raw(tallyd.grpc_port)).greet() for _ in range(30)]
    start = time.monotonic()
    ends = []
    for client in clients:
        client.read_to_the_end()
        ends.append(time.monotonic() - start)
    wait_until(lambda: total(tallyd, "connections_aged") == 30, "all of them to be told")
    assert ends[-1] > 3
    assert tallyd.process.poll() is None


def test_tally_send_loses_nothing(redis, ageing, start_sender):
    senders = [
        start_sender(ageing.target, n=amount(20000, 200000, 15000), rate=6000, **options)
        for options in (
            {"packets_per_stream": 50, "connections": 2, "streams": 3},
            {"packets_per_stream": 40, "replay": True},
        )
    ]
    for sender in senders:
        assert sender.wait(120) == 0, sender.output
    assert total(ageing, "connections_aged") >= 3
    assert_same(redis.totals(), add(*[sender.acknowledged() for sender in senders]))
