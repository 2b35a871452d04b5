"""What the ledger itself may suffer, and Redis under it: each was once a wrong Ack, a doubled count,
or a server that stayed stuck."""
import time

import grpc
import pytest
from harness import grpc_client
from harness.env import wait_until
from harness.grpc_client import OpenStream
from harness.proxy import Cut, Proxy, Way
from harness.sender import assert_same

LEDGER = "device_metrics:ledger:twin"
FENCED = 4
PATIENT = {"instance": "twin", "redis_grace_ms": 60000}


@pytest.mark.parametrize("how", ["deleted", "flushed"])
def test_after_a_lost_ledger_the_younger_instance_wins(redis, start_tallyd, how):
    older = start_tallyd(redis.port, instance="twin", flush_interval_ms=60000)
    for _ in range(3):
        assert grpc_client.send(older.target, ["d"]) == 1
    redis.client.delete(LEDGER) if how == "deleted" else redis.client.flushall()
    younger = start_tallyd(redis.port, instance="twin")
    assert older.wait() == FENCED
    assert grpc_client.send(younger.target, ["d"] * 2) == 2
    assert_same(redis.totals(), {"d": 5 if how == "deleted" else 2})


def test_a_twin_of_the_same_epoch_is_not_taken_for_oneself(redis, closing, start_tallyd):
    """Two instances, both of epoch 1 because the ledger was deleted between their starts: the
    batch 1 of one must not pass for that of the other."""
    one, other = closing(Proxy(redis.port)), closing(Proxy(redis.port))
    older = start_tallyd(one.port, **PATIENT)
    one.committing().hold(Way.UP)
    redis.client.delete(LEDGER)
    younger = start_tallyd(other.port, **PATIENT)
    link = other.committing()
    link.hold_from(b"MULTI")
    stream = closing(OpenStream(younger.target))
    stream.send(["younger"] * 7)
    stream.end()
    wait_until(lambda: b"EXEC\r\n" in link.held[Way.UP], "the younger one's batch 1")
    rival = closing(OpenStream(older.target))
    rival.send(["older"] * 5)
    rival.end()
    one.committing().release(Way.UP)
    assert older.wait() == FENCED
    link.end(Cut.RST)  # that batch 1 never arrives
    assert stream.received() == 7
    assert_same(redis.totals(), {"younger": 7})


def test_a_restored_ledger_never_stands_for_a_batch(redis, proxy, start_tallyd, closing):
    """The transaction that restores a lost ledger is applied, but its answer is lost: the batch
    that follows must not be taken for committed because of it."""
    tallyd = start_tallyd(proxy.port, **PATIENT)
    assert grpc_client.send(tallyd.target, ["before"] * 3) == 3
    link = proxy.committing()
    link.hold_from(b"MULTI")
    stream = closing(OpenStream(tallyd.target))
    redis.client.flushall()
    wait_until(lambda: b"EXEC\r\n" in link.held[Way.UP], "the restoring transaction")
    with proxy.lock:  # the guard refuses the first, since FLUSHALL touched the ledger
        link.release(Way.UP)
        link.hold_from(b"MULTI")
    wait_until(lambda: b"EXEC\r\n" in link.held[Way.UP], "the restoring transaction, again")
    link.hold(Way.DOWN)
    link.release(Way.UP)
    wait_until(lambda: redis.client.exists(LEDGER), "the restored ledger")
    stream.send(["real"] * 7)
    stream.end()
    time.sleep(0.2)
    link.cut_tallyd_side()
    assert stream.received() == 7
    assert_same(redis.totals(), {"real": 7})


def test_a_ledger_lost_under_an_unknown_outcome_is_told(redis, proxy, start_tallyd, closing):
    """Nothing can tell then whether the batch went in. It is sent again, and the log and /stats
    say so."""
    tallyd = start_tallyd(proxy.port, **PATIENT)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    link = proxy.committing()
    link.hold(Way.DOWN)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 4)
    stream.end()
    wait_until(lambda: redis.totals() == {"d": 5}, "the batch in Redis, unheard of")
    redis.client.delete(LEDGER)
    link.cut_tallyd_side()
    assert stream.received() == 4
    assert tallyd.stats()["flusher"]["batches_resent_blind"] == 1
    tallyd.wait_for_log("nothing tells now whether it was applied")


# One batch, and one with another behind it: see BATCH_MAX in batch.h.
@pytest.mark.parametrize("devices", [1, 3000], ids=["one batch", "two batches"])
def test_a_transaction_that_ran_bare_is_found_in_the_ledger(
    start_redis, start_tallyd, closing, devices
):
    """MULTI is forbidden in mid-run, so that its commands run one by one and EXEC fails. No counts
    may be sent ahead then, since they would be executed at once."""
    redis = start_redis(options=["--user", "tally", "on", ">pw", "~*", "+@all"])
    login = {"redis_username": "tally", "redis_password": "pw"}
    tallyd = start_tallyd(redis.port, flush_interval_ms=60000, **login, **PATIENT)
    names = [f"d{i}" for i in range(devices)]
    assert grpc_client.send(tallyd.target, names * 2) == 2 * devices
    redis.client.execute_command("ACL", "SETUSER", "tally", "-multi")
    stream = closing(OpenStream(tallyd.target))
    stream.send(names * 5)
    stream.end()
    assert stream.received() == 5 * devices
    redis.client.execute_command("ACL", "SETUSER", "tally", "+multi")
    assert_same(redis.totals(), dict.fromkeys(names, 7))


def test_a_demoted_master_is_left(start_redis, start_tallyd, closing):
    """After a fail-over the old master answers READONLY, and the name leads to the new one."""
    old, new = start_redis(), start_redis()
    proxy = closing(Proxy(old.port))
    tallyd = start_tallyd(proxy.port, instance="twin", redis_grace_ms=500)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    new.client.replicaof("127.0.0.1", old.port)
    wait_until(lambda: new.client.exists(LEDGER), "the replica to follow")
    new.client.execute_command("REPLICAOF", "NO", "ONE")
    old.client.replicaof("127.0.0.1", new.port)
    proxy.redis_port = new.port
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 5)
    stream.end()
    assert stream.received() == 5
    assert_same(new.totals(), {"d": 6})


def test_out_of_memory_is_as_good_as_away(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=300)
    redis.client.config_set("maxmemory", "1")
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 5)
    stream.end()
    wait_until(lambda: tallyd.get("/readyz")[0] == 503, "/readyz to answer 503")
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(tallyd.target, ["refused"])
    assert refused.value.details() == "redis down"
    redis.client.config_set("maxmemory", "0")
    assert stream.received() == 5
    assert_same(redis.totals(), {"d": 5})


def test_a_policy_that_evicts_is_warned_of(start_redis, start_tallyd):
    redis = start_redis(options=["--maxmemory-policy", "allkeys-lru"])
    tallyd = start_tallyd(redis.port)
    tallyd.wait_for_log("maxmemory-policy is allkeys-lru")
