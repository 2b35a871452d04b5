"""GET /summary and GET /top: what they count, over instances and over time, and how old it is."""
import json
import time
from datetime import datetime, timezone
from statistics import median

import pytest
from harness import grpc_client
from harness.env import amount, wait_until
from harness.http_client import TIME, check_problem
from harness.redis_server import KEY

ODD = "quo\"te\\, line\nend, nul\0, é, 💡"


def top(tallyd, query=""):
    return tallyd.get_json("/top" + query)


def ids(rows):
    return [row["device_id"] for row in rows]


# /summary


def test_summary_of_nothing(tallyd):
    summary = tallyd.get_json("/summary")
    assert list(summary) == (
        ["instance", "devices", "total", "rates", "committed_at", "age_ms", "stale"]
    )
    assert summary["instance"] == tallyd.options["instance"]
    assert (summary["devices"], summary["total"], summary["stale"]) == (0, 0, False)
    assert summary["rates"] == {"1s": 0, "10s": 0, "1m": 0}


def test_devices_and_total_are_of_all_instances_and_rates_of_one(redis, start_tallyd):
    one, other = start_tallyd(redis.port), start_tallyd(redis.port)
    assert grpc_client.send(one.target, ["a"] * 10 + [ODD] * 5) == 15
    assert grpc_client.send(other.target, ["a"] * 100 + ["b"]) == 101
    redis.client.hset(KEY, "of old", 2**53 + 1)
    for tallyd, packets in ((one, 15), (other, 101)):
        # Rates are as of the last sample, five a second: seconds later that makes no difference.
        wait_until(lambda: uptime_s(tallyd) > 2, "some samples")
        text = tallyd.get("/summary")[2].decode()
        assert f'"total":{2**53 + 1 + 116},' in text  # exact, also past what a double holds
        summary = json.loads(text)
        assert summary["devices"] == 4
        minute = summary["rates"]["1m"]
        assert minute * min(60, uptime_s(tallyd)) == pytest.approx(packets, rel=0.5)


def uptime_s(tallyd):
    return tallyd.stats()["instance"]["uptime_ms"] / 1000


def test_rates_follow_a_known_rate(tallyd, start_sender):
    """A band, since machines hang; whether the right packets are counted is what it shows."""
    rate = amount(20_000, long=200_000, sanitized=2_000)
    sender = start_sender(tallyd.target, n=8 * rate, rate=rate, devices=100, streams=2)
    wait_until(lambda: tallyd.stats()["balance"]["received"] > 2 * rate, "the first seconds")
    seconds = []
    while not seconds or tallyd.stats()["balance"]["received"] < 7 * rate:
        seconds.append(tallyd.get_json("/summary")["rates"]["1s"])
        time.sleep(0.1)
    assert median(seconds) == pytest.approx(rate, rel=0.5)
    assert sender.wait() == 0, sender.output
    summary = tallyd.get_json("/summary")
    assert summary["total"] == 8 * rate
    uptime_s = min(60, tallyd.stats()["instance"]["uptime_ms"] / 1000)
    assert summary["rates"]["1m"] * uptime_s == pytest.approx(8 * rate, rel=0.2)
    wait_until(lambda: tallyd.get_json("/summary")["rates"]["1s"] == 0, "the rate to fall to 0")


@pytest.mark.parametrize("path", ["/summary", "/top"])
def test_answers_tell_their_age(tallyd, path):
    before = datetime.now(timezone.utc).timestamp()
    status, headers, body = tallyd.get(path)
    after = datetime.now(timezone.utc).timestamp()
    answer = json.loads(body)
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Age"] == "0"
    assert headers["X-Tally-Stale"] is None
    assert answer["committed_at"] == headers["X-Tally-Committed-At"]
    assert TIME.fullmatch(answer["committed_at"])
    assert before - 0.01 <= datetime.fromisoformat(
        answer["committed_at"].replace("Z", "+00:00")
    ).timestamp() <= after + 0.01
    assert 0 <= answer["age_ms"] <= 1000 * (after - before) + 10


@pytest.mark.parametrize("path", ["/summary", "/top"])
def test_with_redis_away_the_last_answer_is_given_as_stale(start_redis, start_tallyd, path):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port)
    assert grpc_client.send(tallyd.target, ["d"] * 3) == 3
    fresh = tallyd.get_json(path)
    redis.kill()
    time.sleep(1.1)
    status, headers, body = tallyd.get(path)
    stale = json.loads(body)
    assert (status, headers["X-Tally-Stale"], stale["stale"]) == (200, "true", True)
    assert int(headers["Age"]) >= 1
    assert stale["age_ms"] >= 1100
    assert stale["committed_at"] == headers["X-Tally-Committed-At"] == fresh["committed_at"]
    assert stale.get("total") == fresh.get("total")
    assert stale.get("by_count") == fresh.get("by_count")
    redis.start()
    wait_until(lambda: not tallyd.get_json(path)["stale"], "a fresh answer")


@pytest.mark.parametrize("path", ["/summary", "/top"])
def test_without_redis_from_the_start_there_is_nothing_to_tell(start_redis, start_tallyd, path):
    redis = start_redis()
    redis.kill()
    tallyd = start_tallyd(redis.port, ready=False)
    check_problem(tallyd.get(path), 503, detail="Redis at .* is not available")
    redis.start()
    wait_until(lambda: tallyd.get(path)[0] == 200, "an answer")


@pytest.mark.parametrize("path", ["/summary", "/top"])
def test_a_key_that_is_no_hash_is_said_to_be_one(redis, tallyd, path):
    redis.client.set(KEY, "text")
    check_problem(tallyd.get(path), 500, detail="not a hash")


# /top


def test_top_is_ordered_by_count_and_ties_by_id(redis, tallyd):
    redis.client.hset(KEY, mapping={f"d{i:04}": 10 * (i // 2) for i in range(1500)} | {ODD: 10**15})
    expected = [ODD] + [f"d{i:04}" for i in sorted(range(1500), key=lambda i: (-(i // 2), i))]
    answer = top(tallyd)
    assert list(answer) == (
        ["by_count", "by_rate", "rate_window_ms", "committed_at", "age_ms", "stale"]
    )
    assert ids(answer["by_count"]) == expected[:20]
    assert answer["by_count"][0] == {"device_id": ODD, "count": 10**15, "rate": None}
    assert answer["by_rate"] == []
    assert answer["rate_window_ms"] is None
    for n in (1, 2, 999, 1000):
        rows = top(tallyd, f"?n={n}")["by_count"]
        assert ids(rows) == expected[:n]
        counts = [row["count"] for row in rows]
        assert counts == sorted(counts, reverse=True)


def test_rates_are_what_was_gained_between_two_readings(redis, tallyd):
    redis.client.hset(KEY, mapping={"idle": 1000, "a": 1, "b": 1, "c": 1, "falls": 50})
    top(tallyd)
    assert grpc_client.send(tallyd.target, ["a"] * 20 + ["b"] * 300 + ["c"] * 20) == 340
    redis.client.hincrby(KEY, "falls", -10)
    answer = top(tallyd)
    window_ms = answer["rate_window_ms"]
    assert 0 < window_ms < 60_000
    rows = [(row["device_id"], row["count"], row["rate"]) for row in answer["by_rate"]]
    assert rows == [
        ("b", 301, pytest.approx(300_000 / window_ms, abs=0.06)),
        ("a", 21, pytest.approx(20_000 / window_ms, abs=0.06)),
        ("c", 21, pytest.approx(20_000 / window_ms, abs=0.06)),
    ]
    rates = {row["device_id"]: row["rate"] for row in answer["by_count"]}
    assert (rates["idle"], rates["falls"]) == (0, 0)
    assert rates["b"] == rows[0][2]
    assert ids(top(tallyd, "?n=1")["by_count"]) == ["idle"]
    assert top(tallyd)["by_rate"] == []


def test_of_many_only_n_are_told(redis, tallyd):
    redis.client.hset(KEY, mapping={f"d{i}": 1 for i in range(3000)})
    top(tallyd)
    redis.client.hset(KEY, mapping={f"d{i}": 2 + i for i in range(3000)})
    answer = top(tallyd, "?n=1000")
    assert ids(answer["by_rate"]) == [f"d{i}" for i in range(2999, 1999, -1)]
    assert ids(answer["by_count"]) == ids(answer["by_rate"])


@pytest.mark.parametrize(
    "query", ["n=0", "n=1001", "n=-1", "n=", "n", "n=1.5", "n=ten", "n=" + "9" * 30, "n=1&n=1"]
)
def test_a_bad_n_is_refused_by_name(tallyd, query):
    check_problem(tallyd.get("/top?" + query), 400, "n", detail='parameter "n"')


@pytest.mark.parametrize(
    "path, parameter", [("/summary?n=1", "n"), ("/top?limit=1", "limit"), ("/top?n=1&x", "x")]
)
def test_an_unknown_parameter_is_refused_by_name(tallyd, path, parameter):
    check_problem(tallyd.get(path), 400, parameter, detail=f'parameter "{parameter}"')


@pytest.mark.parametrize("path", ["/summary", "/top"])
def test_head_tells_what_get_would(tallyd, path):
    status, headers, body = tallyd.get(path, method="HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Tally-Committed-At"]
