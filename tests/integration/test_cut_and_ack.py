"""An Ack is true, comes when it is true and not much later."""
import time

import pytest
from harness import grpc_client
from harness.env import wait_until
from harness.grpc_client import OpenStream
from harness.proxy import Way
from harness.sender import assert_same
from harness.tallyd import assert_balance


@pytest.fixture
def behind_proxy(proxy, start_tallyd):
    return start_tallyd(proxy.port, flush_interval_ms=50, redis_grace_ms=60000)


def assert_stays_unacknowledged(streams, seconds=0.5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert not any(stream.acknowledged() for stream in streams)
        time.sleep(0.02)


@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
def test_no_ack_before_redis_confirmed(redis, proxy, behind_proxy, closing, way):
    link = proxy.committing()
    link.hold(way)
    stream = closing(OpenStream(behind_proxy.target))
    stream.send(["valve"] * 7)
    stream.end()
    if way is Way.DOWN:  # Redis has the counts, only tallyd cannot know it
        wait_until(lambda: redis.totals() == {"valve": 7}, "the counts in Redis")
    proxy.prepare = lambda later: later.hold(way)  # when tallyd gives up on this one, after 3 s
    assert_stays_unacknowledged([stream])
    proxy.prepare = None
    for held in list(proxy.links):
        held.release(way)
    assert stream.received() == 7
    assert_same(redis.totals(), {"valve": 7})


def test_a_stream_that_ends_while_a_batch_is_on_its_way_waits_for_the_next(
    redis, proxy, behind_proxy, closing
):
    link = proxy.committing()
    link.hold(Way.UP)
    first, second = (closing(OpenStream(behind_proxy.target)) for _ in range(2))
    first.send(["valve"] * 3)
    first.end()
    wait_until(lambda: b"EXEC" in link.held[Way.UP], "the first batch on its way")
    second.send(["valve"] * 5)
    second.end()
    assert_stays_unacknowledged([first, second], seconds=0.3)
    link.release(Way.UP)
    assert (first.received(), second.received()) == (3, 5)
    assert_same(redis.totals(), {"valve": 8})


def test_a_long_stream_is_committed_while_it_runs(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, flush_interval_ms=50)
    stream = closing(OpenStream(tallyd.target))
    for packets in (100, 200, 300):
        stream.send(["meter"] * 100)
        wait_until(lambda: redis.totals() == {"meter": packets}, f"{packets} packets in Redis")
        assert not stream.acknowledged()
    stream.end()
    assert stream.received() == 300
    assert_same(redis.totals(), {"meter": 300})
    assert_balance(tallyd.stats())


def test_an_ack_does_not_wait_for_the_interval(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, flush_interval_ms=60_000)
    with grpc_client.connect(tallyd.target) as channel:
        stream_packets = grpc_client.stub(channel)
        for _ in range(5):
            assert stream_packets(grpc_client.packets(["a", "b"]), timeout=30).received == 2


def test_each_stream_gets_its_own_number(redis, tallyd):
    sizes = list(range(1, 60))
    with grpc_client.connect(tallyd.target) as channel:
        stream_packets = grpc_client.stub(channel)
        acks = [
            stream_packets.future(grpc_client.packets([f"d{size}"] * size), timeout=60)
            for size in sizes
        ]
        assert [ack.result().received for ack in acks] == sizes
    assert_same(redis.totals(), {f"d{size}": size for size in sizes})


def test_an_empty_stream_is_acknowledged_with_zero(redis, tallyd):
    assert grpc_client.send(tallyd.target, []) == 0
    assert redis.totals() == {}
