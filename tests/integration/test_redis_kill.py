"""Redis is killed under load, again and again; with appendfsync always nothing is lost."""
import random
import threading
import time

from harness import grpc_client
from harness.env import amount, wait_until
from harness.proxy import Proxy, Way
from harness.sender import add, assert_same
from harness.tallyd import assert_balance

KILLS = amount(3, long=20, sanitized=2)
PACKETS = amount(100_000, long=200_000, sanitized=10_000)


class Acknowledger:
    """Sends short streams, one after the other, and adds up what was acknowledged so far."""

    DEVICES = ("ack-a", "ack-b", "ack-c")

    def __init__(self, target):
        self.acknowledged = dict.fromkeys(self.DEVICES, 0)
        self.errors = []
        self.stopping = False
        self.thread = threading.Thread(target=self._run, args=(target,), daemon=True)
        self.thread.start()

    def _run(self, target):
        choose = random.Random(3)
        with grpc_client.connect(target) as channel:
            stream_packets = grpc_client.stub(channel)
            while not self.stopping and not self.errors:
                device, count = choose.choice(self.DEVICES), choose.randrange(1, 20)
                try:
                    ack = stream_packets(grpc_client.packets([device] * count), timeout=300)
                    assert ack.received == count
                    self.acknowledged[device] += count
                except Exception as error:  # told to the test, which runs in another thread
                    self.errors.append(error)

    def close(self):
        self.stopping = True
        self.thread.join()
        assert not self.errors


def test_kills_under_load_lose_and_double_nothing(start_redis, start_tallyd, start_sender, closing):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=300_000)
    background = closing(Acknowledger(tallyd.target))
    choose = random.Random(4)
    sent = {}
    for kill in range(KILLS):
        sender = start_sender(
            tallyd.target, n=PACKETS, rate=PACKETS, devices=5000, connections=2, streams=2,
            seed=kill,
        )  # takes about a second, so that the kill falls into it
        time.sleep(choose.uniform(0.1, 0.8))
        redis.kill()
        promised = dict(background.acknowledged)
        time.sleep(choose.uniform(0, 0.3))
        redis.start()
        found = redis.totals()
        assert all(found.get(device, 0) >= n for device, n in promised.items()), (promised, found)

        assert sender.wait(timeout=120) == 0, sender.output
        sent = add(sent, sender.acknowledged())
    background.close()

    assert background.acknowledged["ack-a"] > 0
    assert_same(redis.totals(), add(sent, background.acknowledged))
    wait_until(lambda: tallyd.stats()["balance"]["pending"] == 0, "nothing pending")
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["flusher"]["rollbacks"] == 0
    assert stats["flusher"]["redis_connects"] > KILLS


def tear_last_transaction(redis):
    """Leaves the append-only file as a kill in the middle of a write does."""
    path = max(redis.append_only_directory.glob("*.incr.aof"))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"HINCRBY") + 3])


def test_a_transaction_torn_by_the_kill_is_dropped_whole(start_redis, start_tallyd, closing):
    """Redis wrote half of a transaction and died before it answered: tallyd must send it again,
    and no half of it may come back with a later restart."""
    redis = start_redis(appendfsync="always")
    proxy = closing(Proxy(redis.port))
    tallyd = start_tallyd(proxy.port, redis_grace_ms=300_000)
    link = proxy.committing()
    link.hold(Way.DOWN)
    with grpc_client.connect(tallyd.target) as channel:
        ack = grpc_client.stub(channel).future(grpc_client.packets(["a", "b", "c"]), timeout=120)
        wait_until(lambda: len(redis.totals()) == 3, "the counts in Redis, not yet confirmed")
        redis.kill()
        tear_last_transaction(redis)
        redis.start()
        assert ack.result().received == 3
    for _ in range(2):
        assert_same(redis.totals(), {"a": 1, "b": 1, "c": 1})
        redis.kill()
        redis.start()
    assert grpc_client.send(tallyd.target, ["a"]) == 1
    assert_same(redis.totals(), {"a": 2, "b": 1, "c": 1})
