"""What the ledger itself may suffer, and Redis under it: each was once a wrong Ack, a doubled count,
or a server that stayed stuck."""
import re
import signal
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


@pytest.mark.parametrize("starts", [0, 2], ids=["of epoch 1", "of epoch 3"])
@pytest.mark.parametrize("how", ["deleted", "flushed"])
def test_after_a_lost_ledger_the_younger_instance_wins(redis, start_tallyd, how, starts):
    for _ in range(starts):
        start_tallyd(redis.port, instance="twin").stop()
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


# A Redis that keeps snapshots only, killed: it comes back with the ledger of an earlier instance.

WENT_BACK = "Redis went back to before this tallyd started"


def counted_by_an_earlier_one(redis, start_tallyd):
    """The snapshot: three packets, and the ledger of an instance that has ended, of epoch 1."""
    earlier = start_tallyd(redis.port, instance="twin")
    assert grpc_client.send(earlier.target, ["a"] * 3) == 3
    assert earlier.stop() == 0
    redis.client.save()


def roll_back(redis):
    redis.kill()
    redis.start()


def epoch(redis):
    return int(redis.client.hget(LEDGER, "epoch") or 0)


def assert_counts_on(redis, tallyd, before):
    assert grpc_client.send(tallyd.target, ["on"] * 5) == 5
    assert_same(redis.totals(), before | {"on": 5})


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "busy"])
def test_a_redis_that_went_back_to_an_earlier_instance_is_gone_on_with(redis, start_tallyd, idle):
    counted_by_an_earlier_one(redis, start_tallyd)
    tallyd = start_tallyd(redis.port, **PATIENT)
    for times in (1, 2):
        assert grpc_client.send(tallyd.target, ["lost"] * 2) == 2
        roll_back(redis)
        if idle:
            wait_until(lambda: epoch(redis) == 2, "the ledger to be claimed again", 20)
            assert_same(redis.totals(), {"a": 3})
        assert_counts_on(redis, tallyd, {"a": 3})
        assert tallyd.stats()["flusher"]["rollbacks"] == times
        assert tallyd.log().count(WENT_BACK) == times
    if idle:
        assert tallyd.stats()["flusher"]["batches_resent_blind"] == 0
    assert "appendonly yes" in tallyd.log()
    assert tallyd.stop() == 0
    assert redis.client.ttl(LEDGER) > 0


def test_an_unknown_outcome_when_redis_went_back_is_sent_again(redis, proxy, start_tallyd, closing):
    """It went in, nobody heard, and it is gone with the rest."""
    counted_by_an_earlier_one(redis, start_tallyd)
    tallyd = start_tallyd(proxy.port, **PATIENT)
    link = proxy.committing()
    link.hold(Way.DOWN)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 4)
    stream.end()
    wait_until(lambda: redis.totals() == {"a": 3, "d": 4}, "the batch in Redis, unheard of")
    roll_back(redis)
    assert stream.received() == 4
    assert_same(redis.totals(), {"a": 3, "d": 4})
    assert tallyd.stats()["flusher"]["batches_resent_blind"] == 1


def test_a_claim_of_which_nobody_hears_is_made_once(redis, proxy, start_tallyd, closing):
    """The batch that takes the ledger back goes in, and the connection breaks before its answer."""
    counted_by_an_earlier_one(redis, start_tallyd)
    tallyd = start_tallyd(proxy.port, **PATIENT)
    roll_back(redis)
    link = proxy.committing()
    link.hold_from(b":", Way.DOWN)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 4)
    stream.end()
    wait_until(lambda: link.held[Way.DOWN] and epoch(redis) == 2, "the claim", 20)
    link.cut_tallyd_side()
    assert stream.received() == 4
    assert_same(redis.totals(), {"a": 3, "d": 4})
    assert tallyd.log().count(WENT_BACK) == 1


def pause(tallyd):
    tallyd.process.send_signal(signal.SIGSTOP)


def resume(tallyd):
    tallyd.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("first", ["older", "younger"])
def test_of_two_that_outlive_a_rollback_the_younger_stays(redis, start_tallyd, first):
    """The older one slept when the younger one fenced it, and the snapshot knows neither."""
    counted_by_an_earlier_one(redis, start_tallyd)
    older = start_tallyd(redis.port, **PATIENT)
    pause(older)
    younger = start_tallyd(redis.port, **PATIENT)
    pause(younger)
    roll_back(redis)
    one, other = (older, younger) if first == "older" else (younger, older)
    resume(one)
    wait_until(lambda: epoch(redis) == (2 if first == "older" else 3), "the first claim", 20)
    resume(other)
    assert older.wait() == FENCED
    assert_counts_on(redis, younger, {"a": 3})
    assert epoch(redis) == 3


def test_an_instance_started_after_the_rollback_fences_one_that_slept(redis, start_tallyd):
    """Though its epoch is the lower one: the snapshot is older than the epoch of the other."""
    counted_by_an_earlier_one(redis, start_tallyd)
    assert start_tallyd(redis.port, instance="twin").stop() == 0
    asleep = start_tallyd(redis.port, **PATIENT)
    assert epoch(redis) == 3
    pause(asleep)
    roll_back(redis)
    younger = start_tallyd(redis.port, **PATIENT)
    assert epoch(redis) == 2
    resume(asleep)
    assert asleep.wait() == FENCED
    assert_counts_on(redis, younger, {"a": 3})


def test_the_clock_of_the_earlier_instance_does_not_matter(redis, start_tallyd):
    """Its machine's was decades ahead: who starts next counts from there."""
    counted_by_an_earlier_one(redis, start_tallyd)
    ahead = 4_000_000_000_000
    redis.client.hset(LEDGER, "started", ahead)
    redis.client.save()
    tallyd = start_tallyd(redis.port, **PATIENT)
    assert int(redis.client.hget(LEDGER, "started")) == ahead + 1
    roll_back(redis)
    assert_counts_on(redis, tallyd, {"a": 3})


def test_a_ledger_that_does_not_say_when_it_began_fences(redis, start_tallyd):
    """As one written by an earlier version."""
    counted_by_an_earlier_one(redis, start_tallyd)
    redis.client.hdel(LEDGER, "started")
    redis.client.save()
    tallyd = start_tallyd(redis.port, **PATIENT)
    roll_back(redis)
    assert tallyd.wait() == FENCED
    assert_same(redis.totals(), {"a": 3})


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
    proxy.server_port = new.port
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


UNSAFE = "Redis may lose counts that it has acknowledged"


def of_durability(tallyd):
    return [line for line in tallyd.log().splitlines() if UNSAFE in line]


def test_a_redis_without_an_append_only_file_is_warned_of(redis, start_tallyd):
    """With the shipped rights, which let nothing more be seen; once for each connection."""
    tallyd = start_tallyd(redis.port, **PATIENT)
    tallyd.wait_for_log(UNSAFE)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    (line,) = of_durability(tallyd)
    assert "appendonly is no" in line
    for remedy in ("config set appendonly yes", "config set appendfsync always", "config rewrite"):
        assert remedy in line
    redis.client.client_kill_filter(user="tallyd")
    wait_until(lambda: len(of_durability(tallyd)) == 2, "the warning of the second connection")
    for remedy in re.findall("config set [a-z]+ [a-z]+", line):
        redis.client.execute_command(*remedy.split())
    assert of_durability(start_tallyd(redis.port, redis_username=None)) == []


@pytest.mark.parametrize("login", [False, True], ids=["default user", "shipped user"])
@pytest.mark.parametrize("appendfsync", ["everysec", "always"])
def test_how_often_redis_syncs_is_warned_of(start_redis, start_tallyd, login, appendfsync):
    """Only CONFIG tells, which the shipped user may not ask for."""
    redis = start_redis(appendfsync=appendfsync)
    tallyd = start_tallyd(redis.port, **{} if login else {"redis_username": None})
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    if appendfsync == "everysec" and not login:
        assert "appendfsync is everysec" in of_durability(tallyd)[0]
    else:
        assert of_durability(tallyd) == []
    assert redis.client.acl_log() == []
