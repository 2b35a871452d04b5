"""GET /events: what each event tells, that the pieces of the top table fit together, and that it
goes on, or ends, whatever happens around it."""
import copy
import json
import time

import pytest
from harness import grpc_client
from harness.env import PATIENCE, amount, wait_until
from harness.event_stream import EventStream
from harness.grpc_client import OpenStream
from harness.http_client import check_problem, raw
from harness.redis_server import KEY

MAX_LISTENERS = 64
PIPELINE = {
    "connections", "streams", "acks_waiting", "received", "received_bytes", "rejected",
    "in_workers", "pending", "committed", "devices_known", "redis_up", "accepting", "draining",
    "workers", "commit_ms",
}
SUMMARY = {"instance", "devices", "total", "rates", "committed_at", "age_ms", "stale", "pipeline"}


@pytest.fixture
def listen(closing):
    """Starts a listener: listen(tallyd)."""

    def start(tallyd, **options):
        stream = closing(EventStream(tallyd, **options))
        assert stream.status == 200, stream.rest()
        return stream

    return start


# What is told


def test_first_the_history_then_summaries_and_tables(tallyd, listen):
    stream = listen(tallyd)
    assert stream.headers["Content-Type"] == "text/event-stream"
    assert stream.headers["Cache-Control"] == "no-store"
    assert stream.headers["Connection"] == "close"
    assert stream.headers["Content-Length"] is stream.headers["Transfer-Encoding"] is None
    event, history = stream.next()
    assert event == "history"
    assert stream.retry_ms == 2000
    assert history["interval_ms"] == 1000
    assert len(history["rates"]) <= 300
    for full in (True, False, False):
        event, summary = stream.next()
        assert event == "summary"
        assert set(summary) == SUMMARY
        assert set(summary["pipeline"]) == PIPELINE
        event, top = stream.next()
        assert event == "top"
        assert (top["full"], top["n"]) == (full, 20)


def test_events_tell_where_every_packet_is(tallyd, listen, closing):
    odd = "quo\"te\\, line\nend, nul\0, é, 💡"
    stream = listen(tallyd)
    assert grpc_client.send(tallyd.target, ["a"] * 30 + [odd] * 5) == 35
    summary = stream.until("summary", lambda summary: summary["total"] == 35, "35 packets")
    assert (summary["devices"], summary["stale"]) == (2, False)
    assert summary["instance"] == tallyd.options["instance"]
    pipeline = summary["pipeline"]
    expected = {
        "received": 35, "committed": 35, "pending": 0, "in_workers": 0, "rejected": 0,
        "devices_known": 2, "workers": 2, "acks_waiting": 0,
        "redis_up": True, "accepting": True, "draining": False,
    }
    assert {name: pipeline[name] for name in expected} == expected
    assert pipeline["received_bytes"] > 35
    assert 0 < pipeline["commit_ms"] < 60_000
    stream.next("top")
    rows = [(row["rank"], row["device_id"], row["count"]) for row in stream.tables["by_count"]]
    assert rows == [(1, "a", 30), (2, odd, 5)]

    running = closing(OpenStream(tallyd.target))
    running.send(["a"])
    stream.until("summary", lambda s: s["pipeline"]["streams"] == 1, "the open stream")
    assert stream.data("summary")["pipeline"]["connections"] >= 1
    running.close()
    stream.until("summary", lambda s: s["pipeline"]["connections"] == 0, "its end")


def test_the_history_holds_what_came_before(tallyd, listen):
    sent = 0
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        sent += grpc_client.send(tallyd.target, ["d"] * 100)
    time.sleep(1.5)  # until the second in which the last ones came is over
    rates = listen(tallyd).data("history")["rates"]
    assert len(rates) >= 3
    assert sum(rates) == pytest.approx(sent, abs=1)


# The top table


def tables_by_summary(stream, seconds):
    """The tables as they were after each of some seconds, by the summary that came with them."""
    found = {}
    for _ in range(seconds):
        summary = stream.data("summary")
        stream.data("top")
        found[json.dumps(summary)] = copy.deepcopy(stream.tables)
    return found


def test_the_changes_add_up_to_the_whole_table(redis, tallyd, listen, start_sender):
    """One listener gets changes; others come while packets flow, and get the table whole."""
    redis.client.hset(KEY, mapping={f"idle-{i}": 100 * i for i in range(15)})
    rate = amount(20_000, long=100_000, sanitized=2_000)
    seconds = 8
    start_sender(tallyd.target, n=60 * rate, rate=rate, devices=1000, zipf=1.1, streams=4)
    first = listen(tallyd)
    others = []
    for _ in range(seconds):
        first.data("summary")
        first.data("top")
        others.append(listen(tallyd))
    assert first.full == 1
    assert len(first.tables["by_count"]) == len(first.tables["by_rate"]) == 20
    tables = tables_by_summary(first, 3)
    for i, other in enumerate(others):
        mine = tables_by_summary(other, seconds - i + 2)
        assert other.full == 1
        assert mine.keys() & tables.keys(), "they saw no second together"
        for second in mine.keys() & tables.keys():
            assert mine[second] == tables[second]


def test_the_table_shrinks_when_devices_go(redis, tallyd, listen):
    redis.client.hset(KEY, mapping={f"d{i}": 100 - i for i in range(30)})
    stream = listen(tallyd)
    assert stream.data("top")["by_count_length"] == 20
    redis.client.delete(KEY)
    redis.client.hset(KEY, "last", 1)
    stream.until("top", lambda top: top["by_count_length"] == 1, "one row")
    assert [row["device_id"] for row in stream.tables["by_count"]] == ["last"]
    assert stream.tables["by_rate"] == []
    assert stream.full == 1


def big_and_busy(redis, length=3000):
    """Adds to 20 devices with long names, so that every row of the table changes."""
    for i in range(20):
        redis.client.hincrby(KEY, f"{i:02}" + "x" * length, 1 + i)


def test_a_slow_listener_skips_seconds_and_gets_the_table_whole(redis, tallyd, listen):
    big_and_busy(redis)
    slow = listen(tallyd, receive_bytes=4096)
    quick = listen(tallyd)
    slow.data("top")
    for _ in range(5):  # nothing is read from the slow one; it may stall for up to 10 s
        big_and_busy(redis)
        quick.data("top")
    while slow.full < 2:
        slow.data("top")
    assert quick.full == 1
    mine = tables_by_summary(slow, 2)
    tables = tables_by_summary(quick, 5)
    together = mine.keys() & tables.keys()
    assert together
    for second in together:
        assert mine[second] == tables[second]


# Listeners come and go


def test_one_too_many_is_refused_until_another_goes(tallyd, listen):
    streams = [listen(tallyd) for _ in range(MAX_LISTENERS)]
    refusal = tallyd.get("/events")
    check_problem(refusal, 503, detail=f"^{MAX_LISTENERS} clients listen already")
    assert int(refusal[1]["Retry-After"]) > 0
    assert f"\ntallyd_http_event_listeners {MAX_LISTENERS}\n" in (
        tallyd.get("/metrics/prom")[2].decode()
    )
    assert tallyd.get("/summary")[0] == 200  # the others have their threads
    streams[0].close()

    def taken():
        stream = EventStream(tallyd)
        if stream.status != 200:
            stream.close()
        return stream if stream.status == 200 else None

    wait_until(taken, "the place of the one that went").close()
    for stream in streams[1:]:
        assert stream.data("summary")["stale"] is False


def test_a_listener_that_takes_nothing_is_let_go(redis, tallyd, listen):
    """After civetweb's 10 s for a write that does not get on."""
    listen(tallyd, receive_bytes=4096)
    quick = listen(tallyd)

    def one_left():
        big_and_busy(redis)
        quick.data("top")
        text = tallyd.get("/metrics/prom")[2].decode()
        return "\ntallyd_http_event_listeners 1\n" in text

    wait_until(one_left, "the stalled listener to be dropped")
    assert quick.full == 1


def test_head_gets_the_head_and_http_1_0_the_events(tallyd, listen):
    status, headers, body = raw(tallyd, b"HEAD /events HTTP/1.1\r\nHost: tallyd\r\n\r\n")
    assert (status, headers["content-type"], body) == (200, "text/event-stream", b"")
    old = listen(tallyd, http="1.0")
    assert "Transfer-Encoding" not in old.headers
    assert old.next()[0] == "history"
    assert old.data("top")["full"]


def test_a_parameter_is_refused(tallyd):
    check_problem(tallyd.get("/events?since=1"), 400, "since")


# Redis away, and the end


def assert_goes_stale_and_recovers(redis, tallyd, stream, leave, come_back):
    assert grpc_client.send(tallyd.target, ["d"] * 7) == 7
    stream.until("summary", lambda s: s["total"] == 7, "7 packets")
    leave()
    stale = stream.until("summary", lambda s: s["stale"], "Redis being away")
    assert (stale["devices"], stale["total"]) == (1, 7)
    later = stream.until("summary", lambda s: not s["pipeline"]["redis_up"], "the flusher's view")
    assert later["stale"]
    assert later["age_ms"] > 0
    assert later["committed_at"] == stale["committed_at"]
    assert stream.data("summary")["age_ms"] > later["age_ms"]
    come_back()
    stream.until("summary", lambda s: not s["stale"] and s["pipeline"]["redis_up"], "its return")
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    stream.until("summary", lambda s: s["total"] == 8, "the packet sent after")


def test_redis_killed_is_told_each_second_and_its_return(start_redis, start_tallyd, listen):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    stream = listen(tallyd)
    assert_goes_stale_and_recovers(redis, tallyd, stream, redis.kill, redis.start)


def test_redis_frozen_is_told_each_second_and_its_return(redis, start_tallyd, listen):
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    stream = listen(tallyd)
    assert_goes_stale_and_recovers(redis, tallyd, stream, redis.pause, redis.resume)


def test_without_redis_from_the_start_all_but_this_instance_is_null(start_redis, start_tallyd,
                                                                    listen):
    redis = start_redis()
    redis.kill()
    tallyd = start_tallyd(redis.port, ready=False, redis_grace_ms=500)
    stream = listen(tallyd)
    for _ in range(3):
        summary = stream.data("summary")
        assert [summary[name] for name in ("devices", "total", "committed_at", "age_ms")] == (
            [None] * 4
        )
        assert summary["stale"] is True
        assert summary["pipeline"]["redis_up"] is False
        assert summary["pipeline"]["accepting"] is False
        assert stream.data("top")["by_count_length"] == 0
    redis.start()
    stream.until("summary", lambda s: s["devices"] == 0 and not s["stale"], "the empty Redis")


def test_a_drain_is_told_and_then_ends_the_stream(tallyd, listen, closing):
    running = closing(OpenStream(tallyd.target))
    running.send(["d"])
    stream = listen(tallyd)
    stream.until("summary", lambda s: s["pipeline"]["streams"] == 1, "the open stream")
    tallyd.terminate()
    draining = stream.until("summary", lambda s: s["pipeline"]["draining"], "the drain")
    assert draining["pipeline"]["accepting"] is False
    running.end()
    assert running.received() == 1
    stream.rest()
    assert tallyd.wait() == 0


def test_sigterm_does_not_wait_for_listeners(redis, tallyd, listen):
    big_and_busy(redis)
    listen(tallyd, receive_bytes=4096)  # one that is stuck
    streams = [listen(tallyd) for _ in range(20)]
    for _ in range(2):
        big_and_busy(redis)
        for stream in streams:
            stream.data("top")
    begin = time.monotonic()
    assert tallyd.stop() == 0
    assert time.monotonic() - begin < 9 * PATIENCE  # or the stuck one's write was waited for
    for stream in streams:
        stream.rest()
