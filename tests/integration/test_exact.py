"""tally-send at full speed: Redis and /metrics hold what was sent, device by device."""
import random

from harness.env import amount, wait_until
from harness.grpc_client import OpenStream
from harness.sender import assert_same
from harness.tallyd import assert_balance

PACKETS = amount(500_000, long=10_000_000, sanitized=60_000)
DEVICES = amount(100_000, long=100_000, sanitized=10_000)


def test_every_packet_of_many_streams_is_counted_once(redis, tallyd, start_sender):
    sender = start_sender(
        tallyd.target, n=PACKETS, devices=DEVICES, connections=4, streams=8, payload="mix"
    )
    assert sender.wait(timeout=300) == 0, sender.output
    sent = sender.acknowledged()
    assert sum(sent.values()) == PACKETS

    assert_same(redis.totals(), sent)
    assert_same(tallyd.metrics(), sent)
    for device in random.Random(1).sample(sorted(sent), 100):
        assert tallyd.device(device) == sent[device]

    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["received"] == stats["balance"]["committed"] == PACKETS
    assert stats["balance"]["pending"] == stats["balance"]["rejected_total"] == 0


def test_the_balance_holds_at_every_moment_of_a_run(tallyd, start_sender):
    sender = start_sender(tallyd.target, n=PACKETS // 2, devices=1000, streams=4)
    received = []
    while sender.process.poll() is None:
        stats = tallyd.stats()
        assert_balance(stats)
        received.append(stats["balance"]["received"])
    assert sender.wait() == 0, sender.output
    assert received == sorted(received)


def test_a_second_run_adds_to_the_first(redis, tallyd, start_sender):
    runs = [start_sender(tallyd.target, n=20_000, devices=50, seed=seed) for seed in (1, 2)]
    assert [run.wait() for run in runs] == [0, 0]
    first, second = (run.acknowledged() for run in runs)
    assert_same(redis.totals(), {d: first.get(d, 0) + second.get(d, 0) for d in first | second})


def test_few_connections_spread_evenly_over_the_workers(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, workers=2)
    streams = [closing(OpenStream(tallyd.target)) for _ in range(4)]
    for stream in streams:
        stream.send(["d"])
    wait_until(lambda: redis.totals() == {"d": 4}, "four streams counted")
    opened = [worker["connections_opened"] for worker in tallyd.stats()["workers"]]
    assert sum(opened) == 4
    assert max(opened) - min(opened) <= 1
