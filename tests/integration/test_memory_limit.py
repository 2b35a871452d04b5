"""--memory-limit-bytes: an attack by new device_ids ends in the overflow counter, not in the kernel's
out-of-memory killer, and no packet is lost in it."""
import time

import grpc
import pytest
from harness import grpc_client
from harness.env import SANITIZED, amount, wait_until
from harness.grpc_client import OpenStream
from harness.sender import add
from harness.tallyd import assert_balance

MIB = 1 << 20
LIMIT = 28 * MIB
SLACK = 32 * MIB  # what may come between two looks, and what was asked for before
RATE = 350_000
OVERFLOW = "__overflow__"

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer's memory is not the server's")


def resident_bytes(tallyd):
    with open(f"/proc/{tallyd.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096


def pressure(tallyd):
    return tallyd.stats()["main"]["memory_pressure"]


def test_new_devices_go_to_overflow_and_totals_stay_exact(redis, start_tallyd, start_sender):
    tallyd = start_tallyd(redis.port, memory_limit_bytes=LIMIT, http_connections=8)
    n = amount(700_000, 10_000_000)
    before = start_sender(tallyd.target, n=10_000, devices=100, id_prefix="known-")
    assert before.wait() == 0, before.output
    # Slow enough for tallyd, which looks ten times a second, to see its memory grow.
    attack = start_sender(tallyd.target, n=n, devices=n, streams=4, rate=RATE)
    most = 0
    while attack.process.poll() is None:
        most = max(most, resident_bytes(tallyd))
        time.sleep(0.02)
    assert attack.wait() == 0, attack.output
    assert most < LIMIT + SLACK, f"{most / MIB:.0f} MiB"
    assert pressure(tallyd) == 2, "the attack was too small to test anything"

    totals = redis.totals()
    assert totals[OVERFLOW] > 0
    assert sum(totals.values()) == n + 10_000
    sent = add(before.acknowledged(), attack.acknowledged())
    for device, count in totals.items():
        assert device == OVERFLOW or count <= sent[device]
    assert_balance(tallyd.stats())
    for device in list(before.acknowledged())[:10]:
        assert totals[device] == before.acknowledged()[device], "a known device goes on counting"


def test_streams_are_refused_while_it_is_full_and_taken_again(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, memory_limit_bytes=1)  # less than any process has
    wait_until(lambda: pressure(tallyd) == 2, "the level to be FULL")
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(tallyd.target, ["a"])
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "memory" in refused.value.details()
    totals = tallyd.stats()["totals"]
    assert totals["streams_overload"] == totals["streams_refused"] >= 1
    assert redis.totals() == {}


def test_below_the_limit_nothing_is_different(redis, start_tallyd, start_sender, closing):
    tallyd = start_tallyd(redis.port, memory_limit_bytes=1 << 40)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["a"] * 10)
    stream.end()
    assert stream.received() == 10
    assert pressure(tallyd) == 0


def wait_for_received(tallyd, n):
    wait_until(lambda: tallyd.stats()["balance"]["received"] == n, f"{n} packets to be counted")


def test_the_limit_is_kept_while_streams_are_drained(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, workers=1, http_connections=8)
    limit = resident_bytes(tallyd) + 8 * MIB
    assert tallyd.stop() == 0
    tallyd = start_tallyd(redis.port, workers=1, http_connections=8, memory_limit_bytes=limit)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["first"])
    wait_until(lambda: redis.totals().get("first"), "the stream to be open")
    tallyd.terminate()
    tallyd.wait_for_log("draining")

    sent = 1
    while sent < 200_000 and not tallyd.stats()["flusher"]["overflow_packets"]:  # 40 MB of ids
        stream.send(f"{sent + i}-{'x' * 200}" for i in range(5000))
        sent += 5000
        wait_for_received(tallyd, sent)
    assert pressure(tallyd) == 2
    stream.end()
    assert stream.received() == sent
    assert tallyd.wait() == 0
    totals = redis.totals()
    assert totals[OVERFLOW] > 0
    assert sum(totals.values()) == sent
