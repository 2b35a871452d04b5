"""Redis is away or hangs: what clients, probes and the log are told."""
import time

import grpc
import pytest
from harness import grpc_client
from harness.env import free_port, wait_until
from harness.grpc_client import OpenStream
from harness.sender import assert_same
from harness.tallyd import assert_balance

GRACE_MS = 500


def assert_refused(tallyd):
    """A new stream is refused, whole, with the words that the documentation promises."""
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(tallyd.target, ["refused"] * 10)
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "redis down" in refused.value.details()


def wait_until_down(tallyd):
    """Until tallyd has seen that Redis is away, and the grace is over as well."""
    wait_until(lambda: tallyd.get("/readyz")[0] == 503, "/readyz to answer 503")
    wait_until(lambda: tallyd.stats()["flusher"]["redis_up"] == 0, "the flusher to notice")
    time.sleep(2 * GRACE_MS / 1000)


def wait_until_up(tallyd):
    wait_until(lambda: tallyd.get("/readyz")[0] == 200, "/readyz to answer 200")


def go_away_and_come_back(redis, tallyd, closing, leave, come_back):
    running = closing(OpenStream(tallyd.target))
    running.send(["running"] * 100)
    wait_until(lambda: redis.totals() == {"running": 100}, "the running stream's packets")
    leave()
    wait_until_down(tallyd)
    assert tallyd.get("/healthz")[0] == 200
    assert_refused(tallyd)
    running.send(["running"] * 50)
    running.end()
    time.sleep(0.3)
    assert not running.acknowledged()

    come_back()
    assert running.received() == 150
    wait_until_up(tallyd)
    assert grpc_client.send(tallyd.target, ["after"] * 3) == 3
    assert_same(redis.totals(), {"running": 150, "after": 3})
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["received"] == 153
    assert stats["totals"]["streams_refused"] >= 1


def test_redis_killed_for_longer_than_the_grace(start_redis, start_tallyd, closing):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=GRACE_MS)
    go_away_and_come_back(redis, tallyd, closing, redis.kill, redis.start)


def test_redis_frozen_for_longer_than_the_grace(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=GRACE_MS)
    go_away_and_come_back(redis, tallyd, closing, redis.pause, redis.resume)


def test_without_a_grace_a_commit_under_way_is_no_outage(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=0)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    redis.client.client_pause(300)
    first = closing(OpenStream(tallyd.target))
    first.send(["d"])
    first.end()
    time.sleep(0.1)  # its commit waits for Redis now
    assert grpc_client.send(tallyd.target, ["d"] * 2) == 2
    assert first.received() == 1
    redis.kill()
    wait_until_down(tallyd)
    assert_refused(tallyd)


def test_tallyd_starts_without_redis_and_finds_it_later(start_redis, start_tallyd):
    redis = start_redis()
    redis.kill()
    tallyd = start_tallyd(redis.port, ready=False, redis_grace_ms=GRACE_MS)
    wait_until_down(tallyd)
    assert_refused(tallyd)
    tallyd.wait_for_log(r"redis.*refused")
    redis.start()
    wait_until_up(tallyd)
    assert grpc_client.send(tallyd.target, ["first"]) == 1
    assert_same(redis.totals(), {"first": 1})


def test_ready_means_that_streams_are_taken(redis, start_tallyd):
    """From the first 200 of /readyz on: what waits for it, as scripts and Kubernetes do, must not
    be refused."""
    for _ in range(10):
        tallyd = start_tallyd(redis.port, ready=False, log_level="warn")
        wait_until_up(tallyd)
        assert grpc_client.send(tallyd.target, ["d"]) == 1


def test_a_short_absence_within_the_grace_refuses_no_one(start_redis, start_tallyd):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    redis.kill()
    with grpc_client.connect(tallyd.target) as channel:
        ack = grpc_client.stub(channel).future(grpc_client.packets(["d"] * 9), timeout=60)
        time.sleep(1)
        assert not ack.done()
        redis.start()
        assert ack.result().received == 9
    assert_same(redis.totals(), {"d": 9})


def test_another_database_is_selected_after_each_reconnect(start_redis, start_tallyd):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_db=3, redis_key="counts", redis_grace_ms=60_000)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    redis.kill()
    redis.start()
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert redis.client.keys() == []
    redis.client.select(3)
    assert redis.client.hgetall("counts") == {"d": "2"}
    assert tallyd.device("d") == 2


def test_redis_by_a_unix_socket(start_redis, start_tallyd, tmp_path):
    path = tmp_path / "redis.sock"
    start_redis(options=["--unixsocket", str(path)])
    tallyd = start_tallyd(free_port(), redis_socket=path)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert tallyd.device("d") == 1
