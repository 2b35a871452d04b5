"""Odd but legal: more devices than allowed, keys in Redis that are not what they should be, and
device ids of every kind of character."""
import pytest
from harness import grpc_client
from harness.env import amount, wait_until
from harness.grpc_client import OpenStream
from harness.proxy import Cut, Way
from harness.redis_server import KEY
from harness.sender import assert_same
from harness.tallyd import assert_balance

QUARANTINE = KEY + ":quarantine"
OVERFLOW = "__overflow__"
LARGEST = str(2**63 - 1)


@pytest.mark.parametrize("workers", [1, 4])
def test_devices_past_the_cap_share_the_overflow_counter(
    redis, start_tallyd, start_sender, workers
):
    tallyd = start_tallyd(redis.port, workers=workers, max_devices=100)
    packets = amount(100_000, long=1_000_000)
    sender = start_sender(tallyd.target, n=packets, devices=1000, connections=8)
    assert sender.wait() == 0, sender.output
    sent, totals = sender.acknowledged(), redis.totals()
    assert sum(totals.values()) == packets
    overflow = totals.pop(OVERFLOW)
    assert overflow > 0
    assert 1 <= len(totals) <= 100
    assert all(count <= sent[device] for device, count in totals.items())

    assert_same(tallyd.metrics(), totals | {OVERFLOW: overflow})
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["flusher"]["overflow_packets"] == overflow
    assert stats["flusher"]["devices"] <= 101


def test_devices_up_to_the_cap_have_counters_of_their_own(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, workers=1, max_devices=100)
    devices = [f"d{i}" for i in range(100)]
    assert grpc_client.send(tallyd.target, devices * 2) == 200
    assert_same(redis.totals(), dict.fromkeys(devices, 2))


def test_a_device_of_the_overflow_name_raises_no_alarm(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, max_devices=2)
    assert grpc_client.send(tallyd.target, [OVERFLOW] * 5 + ["d"]) == 6
    assert_same(redis.totals(), {OVERFLOW: 5, "d": 1})
    assert tallyd.stats()["flusher"]["overflow_packets"] == 0
    assert "--max-devices" not in tallyd.log()
    assert grpc_client.send(tallyd.target, ["further"] * 3 + [OVERFLOW] * 2) == 5
    assert_same(redis.totals(), {OVERFLOW: 10, "d": 1})
    assert tallyd.stats()["flusher"]["overflow_packets"] >= 3
    tallyd.wait_for_log("--max-devices")


def send_in_quarantine(tallyd, devices, quarantined):
    """Sends; the Ack must come all the same, and /stats and the log must tell."""
    assert grpc_client.send(tallyd.target, devices) == len(devices)
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["committed"] == len(devices)
    assert stats["balance"]["quarantined"] == quarantined
    tallyd.wait_for_log("quarantine")
    return stats


@pytest.mark.parametrize("value", ["abc", "", " 1", "1.5", "9" * 30, LARGEST])
def test_a_field_that_cannot_be_counted_up_harms_no_other(redis, tallyd, value):
    redis.client.hset(KEY, "bad", value)
    stats = send_in_quarantine(tallyd, ["bad"] * 3 + ["good"] * 5, quarantined=3)
    assert stats["flusher"]["quarantined_fields"] == 1
    assert redis.client.hgetall(KEY) == {"bad": value, "good": "5"}
    assert redis.client.hgetall(QUARANTINE) == {"bad": "3"}
    assert tallyd.device("good") == 5
    assert tallyd.metrics()["good"] == 5


@pytest.mark.parametrize("devices", [2000, 7000])  # fewer and more than in a transaction
def test_many_fields_that_cannot_be_counted_up_go_to_the_quarantine(redis, tallyd, devices):
    """Every other one is bad, so that counts are refused while others are sent ahead."""
    names = [f"d{i}" for i in range(devices)]
    bad, good = names[::2], names[1::2]
    redis.client.hset(KEY, mapping=dict.fromkeys(bad, "x"))
    for round in (1, 2):
        assert grpc_client.send(tallyd.target, names) == devices
        wanted = dict.fromkeys(bad, "x") | dict.fromkeys(good, str(round))
        assert redis.client.hgetall(KEY) == wanted
        assert redis.client.hgetall(QUARANTINE) == dict.fromkeys(bad, str(round))
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["quarantined"] == 2 * len(bad)
    assert stats["balance"]["pending"] == 0


def test_a_key_that_is_no_hash_is_told_and_loses_nothing(redis, tallyd):
    redis.client.set(KEY, "something else")
    send_in_quarantine(tallyd, ["a", "a", "b"], quarantined=3)
    assert redis.client.get(KEY) == "something else"
    assert redis.client.hgetall(QUARANTINE) == {"a": "2", "b": "1"}
    status, _, _ = tallyd.get("/metrics")
    assert status >= 500
    assert tallyd.get("/healthz")[0] == 200

    redis.client.delete(KEY)
    assert grpc_client.send(tallyd.target, ["a"]) == 1
    assert_same(redis.totals(), {"a": 1})
    assert tallyd.metrics() == {"a": 1}


def test_without_a_quarantine_acks_wait_until_it_is_repaired(redis, tallyd, closing):
    redis.client.set(KEY, "no hash")
    redis.client.set(QUARANTINE, "no hash either")
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 4)
    stream.end()
    wait_until(lambda: tallyd.stats()["flusher"]["quarantined_fields"] > 0, "a refused count")
    assert_balance(tallyd.stats())
    assert not stream.acknowledged()
    redis.client.delete(QUARANTINE)
    assert stream.received() == 4
    assert redis.client.hgetall(QUARANTINE) == {"d": "4"}


@pytest.mark.parametrize("broken", ["keys", "fields"])
def test_without_a_quarantine_a_drain_ends_all_the_same(redis, start_tallyd, closing, broken):
    for key in (KEY, QUARANTINE):
        redis.client.set(key, "x") if broken == "keys" else redis.client.hset(key, "d", "x")
    tallyd = start_tallyd(redis.port, drain_timeout_ms=1000)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 4)
    stream.end()
    wait_until(lambda: tallyd.stats()["flusher"]["quarantined_fields"] > 0, "a refused count")
    assert tallyd.stop() == 3
    assert "4 packets of 1 devices were never committed" in tallyd.log()


@pytest.mark.parametrize("value", ["abc", LARGEST, "5"])
def test_what_redis_refused_is_found_out_when_its_answer_is_lost(
    redis, proxy, start_tallyd, value
):
    """The ledger says that the transaction went in; which of its commands failed must be asked."""
    tallyd = start_tallyd(proxy.port, redis_grace_ms=60_000)
    redis.client.hset(KEY, "odd", value)
    link = proxy.committing()
    link.cut_after(Way.DOWN, 0, Cut.RST)
    assert grpc_client.send(tallyd.target, ["odd"] * 3 + ["good"] * 5) == 8
    assert link.cut_done
    wanted = "8" if value == "5" else value
    assert redis.client.hgetall(KEY) == {"odd": wanted, "good": "5"}
    assert redis.client.hgetall(QUARANTINE) == ({} if value == "5" else {"odd": "3"})
    assert tallyd.stats()["flusher"]["outcomes_applied"] == 1


ODD_IDS = [
    '"quoted"',
    "back\\slash",
    "new\nline",
    "tab\tand\rreturn",
    "nul\x00inside",
    "\x00",
    "\x01\x1f\x7f",
    "Temperaturfühler",
    "温度センサー",
    "\U0001f4c8\U0010ffff",
    "\ufeffbom",
    "line\u2028separator",
    "e\u0301 is not \u00e9",
    "slash/inside",
    "/",
    "..",
    ".",
    "%41",
    "100%",
    "a+b c",
    "a?b=c&d#e;f",
    "<script>alert(1)</script>",
    "$9\r\nnot a redis command\r\n",
    " ",
    "__proto__",
    "0",
    "x" * 256,
]


def test_odd_device_ids_survive_the_whole_way(redis, tallyd):
    expected = {device: n for n, device in enumerate(ODD_IDS, start=1)}
    packets = [device for device, n in expected.items() for _ in range(n)]
    assert grpc_client.send(tallyd.target, packets) == len(packets)
    assert_same(redis.totals(), expected)
    assert_same(tallyd.metrics(), expected)
    wrong = {device: tallyd.device(device) for device in ODD_IDS}
    assert_same(wrong, expected)


def test_a_device_that_is_not_there_is_404(tallyd):
    assert tallyd.device("nobody") is None
