"""Two instances of one name: the younger fences the older, and no count suffers."""
import grpc
import pytest
from harness import grpc_client
from harness.env import amount, wait_until
from harness.grpc_client import OpenStream
from harness.sender import assert_between, assert_same

LEDGER = "device_metrics:ledger:twin"
FENCED = 4  # exit status


def test_the_first_is_fenced_says_so_and_exits_4(redis, start_tallyd, closing):
    first = start_tallyd(redis.port, instance="twin")
    assert grpc_client.send(first.target, ["a"] * 3) == 3
    stream = closing(OpenStream(first.target))
    stream.send(["a"])
    wait_until(lambda: redis.totals() == {"a": 4}, "the open stream's packet")

    second = start_tallyd(redis.port, instance="twin")
    stream.send(["b"] * 7)
    stream.end()
    assert stream.error().code() == grpc.StatusCode.UNAVAILABLE
    assert first.wait() == FENCED
    assert "fenced" in first.log()
    assert "twin" in first.log()

    assert grpc_client.send(second.target, ["c"] * 2) == 2
    assert_same(redis.totals(), {"a": 4, "c": 2})  # none of "b", which was never acknowledged


def test_an_idle_first_notices_as_well(redis, start_tallyd):
    first = start_tallyd(redis.port, instance="twin")
    start_tallyd(redis.port, instance="twin")
    assert first.wait() == FENCED


def test_fencing_under_load_doubles_nothing(redis, start_tallyd, start_sender):
    rate = amount(100_000, long=300_000, sanitized=10_000)
    first = start_tallyd(redis.port, instance="twin")
    cut_off = start_sender(first.target, n=20 * rate, rate=rate, devices=2000, streams=4, seed=1)
    wait_until(lambda: redis.client.hlen("device_metrics") > 100, "packets in Redis")
    second = start_tallyd(redis.port, instance="twin")
    assert first.wait() == FENCED
    assert cut_off.wait() != 0
    before = redis.totals()
    assert_between(before, cut_off.expected())

    sender = start_sender(second.target, n=rate // 2, devices=2000, seed=2)
    assert sender.wait() == 0, sender.output
    sent = sender.acknowledged()
    assert_same(redis.totals(), {d: before.get(d, 0) + sent.get(d, 0) for d in before | sent})


def test_other_names_do_not_fence(redis, start_tallyd):
    tallyds = [start_tallyd(redis.port, instance=f"worker-{i}") for i in range(3)]
    for tallyd in tallyds:
        assert grpc_client.send(tallyd.target, ["d"] * 5) == 5
    assert_same(redis.totals(), {"d": 15})
    assert [tallyd.metrics() for tallyd in tallyds] == [{"d": 15}] * 3
    assert [tallyd.stop() for tallyd in tallyds] == [0, 0, 0]


def test_a_default_name_differs_between_two_on_one_host(redis, start_tallyd):
    tallyds = [start_tallyd(redis.port, instance=None) for _ in range(2)]
    for tallyd in tallyds:
        assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert len(redis.client.keys("device_metrics:ledger:*")) == 2


def test_a_ledger_expires_unless_its_instance_lives(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, instance="twin")
    full = redis.client.ttl(LEDGER)
    assert full > 3600, "a ledger must outlive a long pause"
    redis.client.expire(LEDGER, 1000)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert redis.client.ttl(LEDGER) > full - 60, "a commit must renew the ledger"
    assert tallyd.stop() == 0
    assert redis.client.ttl(LEDGER) > 0, "a dead instance's ledger must go away by itself"


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "busy"])
def test_a_lost_ledger_is_told_and_restored(redis, start_tallyd, idle):
    """As after a fail-over to a replica that lagged behind: tallyd cannot know what is gone, but
    says so, and counts on."""
    tallyd = start_tallyd(redis.port, instance="twin")
    assert grpc_client.send(tallyd.target, ["d"] * 3) == 3
    redis.client.flushall()
    if not idle:
        assert grpc_client.send(tallyd.target, ["d"] * 2) == 2
    wait_until(lambda: redis.client.exists(LEDGER), "the ledger to be restored")
    wait_until(lambda: tallyd.stats()["flusher"]["rollbacks"] == 1, "the loss in /stats")
    tallyd.wait_for_log("lost")
    assert grpc_client.send(tallyd.target, ["d"] * 4) == 4
    assert_same(redis.totals(), {"d": 4 if idle else 6})
    assert redis.client.ttl(LEDGER) > 0
