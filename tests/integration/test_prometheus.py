"""GET /metrics/prom: what it tells is right, whole, and in the form that was asked for."""
import os
import re
import signal
import socket
import time

import grpc
import pytest
from harness import grpc_client
from harness.env import PATIENCE, VALGRIND, amount, wait_until
from harness.http_client import check_problem
from harness.prometheus import OPENMETRICS, PROMETHEUS_2, TEXT, samples, scrape
from harness.redis_server import KEY

PACKETS = amount(100_000, long=1_000_000, sanitized=10_000)

COUNTERS = """
    tallyd_packets_received tallyd_packets_committed tallyd_packets_rejected
    tallyd_packets_quarantined tallyd_packets_overflow tallyd_packets_arrived
    tallyd_received_bytes tallyd_connections_opened tallyd_streams_opened tallyd_streams_finished
    tallyd_bad_peers tallyd_cuts tallyd_batches_committed tallyd_batches_resent
    tallyd_batches_resent_blind tallyd_unknown_outcomes tallyd_redis_connects
    tallyd_redis_reconnects tallyd_redis_errors tallyd_redis_rollbacks tallyd_quarantined_fields
    tallyd_worker_cpu_seconds tallyd_worker_received_bytes tallyd_worker_packets
    tallyd_flusher_cpu_seconds tallyd_http_responses tallyd_http_connections_refused
    tallyd_http_connections_shut tallyd_snapshot_readings
    tallyd_snapshot_failures process_cpu_seconds tallyd_connections_refused
    tallyd_connections_aged tallyd_turns_costly tallyd_streams_refused tallyd_streams_expired
    tallyd_streams_not_allowed tallyd_service_calls_opened tallyd_reloads
""".split()
GAUGES = """
    tallyd_packets_pending tallyd_connections tallyd_streams tallyd_acks_waiting tallyd_redis_up
    tallyd_devices tallyd_devices_limit tallyd_worker_memory_bytes tallyd_worker_connections
    tallyd_worker_streams tallyd_accepting tallyd_draining tallyd_http_event_listeners
    tallyd_snapshot_devices tallyd_snapshot_bytes tallyd_snapshot_age_seconds
    tallyd_snapshot_duration_seconds process_resident_memory_bytes process_virtual_memory_bytes
    process_open_fds process_max_fds process_start_time_seconds tallyd_connections_limit
    tallyd_http_connections tallyd_http_connections_limit tallyd_tls_certificate_expiry_seconds tallyd_service_calls tallyd_memory_pressure tallyd_memory_limit_bytes
""".split()
HISTOGRAMS = ["tallyd_commit_duration_seconds", "tallyd_batch_devices"]
INFOS = ["tallyd_build", "tallyd_instance"]


def own(tallyd):
    return samples(scrape(tallyd)[0])


def assert_balanced(values):
    """Promise P3, from one scrape."""
    rejected = sum(v for name, v in values.items() if name.startswith("tallyd_packets_rejected_"))
    assert values["tallyd_packets_received_total"] == (
        values["tallyd_packets_committed_total"] + values["tallyd_packets_pending"] + rejected
    ), values
    assert values["tallyd_packets_arrived_total"] >= values["tallyd_packets_received_total"]


def assert_none_fell(before, now):
    for name, value in before.items():
        if re.search(r"_(total|bucket|count|sum)(\{|$)", name):
            assert now.get(name, 0) >= value, f"{name} fell from {value} to {now.get(name)}"


# ---- What is there ----------------------------------------------------------------------------


def families(text):
    """The families as a dict: name -> type."""
    rows = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a family stands there twice"
    assert {name for name, _ in rows} == set(re.findall(r"^# HELP (\S+) ", text, re.MULTILINE))
    return dict(rows)


def test_every_metric_is_there(tallyd):
    tallyd.metrics()
    text, _ = scrape(tallyd)
    assert families(text) == (
        {name + "_total": "counter" for name in COUNTERS}
        | {name: "gauge" for name in GAUGES}
        | {name: "histogram" for name in HISTOGRAMS}
        | {name + "_info": "gauge" for name in INFOS}
    )
    text, _ = scrape(tallyd, accept=OPENMETRICS)
    assert families(text) == (
        {name: "counter" for name in COUNTERS}
        | {name: "gauge" for name in GAUGES}
        | {name: "histogram" for name in HISTOGRAMS}
        | {name: "info" for name in INFOS}
    )
    names = {re.split(r"[ {]", line)[0] for line in text.splitlines() if line[0] != "#"}
    for name in COUNTERS:
        assert name + "_total" in names
    for name in GAUGES:
        assert name in names


def test_figures_are_those_of_the_run(redis, tallyd):
    assert grpc_client.send(tallyd.target, ["a", "a", "b"]) == 3
    with pytest.raises(grpc.RpcError):
        grpc_client.send(tallyd.target, ["a", ""])
    wait_until(lambda: own(tallyd)["tallyd_packets_committed_total"] == 4, "all committed")
    values = own(tallyd)
    assert_balanced(values)
    expected = {
        "tallyd_packets_received_total": 5,
        "tallyd_packets_arrived_total": 5,
        'tallyd_packets_rejected_total{reason="device_id"}': 1,
        'tallyd_packets_rejected_total{reason="utf8"}': 0,
        "tallyd_streams_opened_total": 2,
        'tallyd_streams_finished_total{outcome="acknowledged"}': 1,
        'tallyd_streams_finished_total{outcome="failed"}': 1,
        'tallyd_streams_finished_total{outcome="refused"}': 0,
        "tallyd_connections_opened_total": 2,
        "tallyd_devices": 2,
        "tallyd_redis_up": 1,
        "tallyd_accepting": 1,
        "tallyd_draining": 0,
        "tallyd_redis_connects_total": 1,
        "tallyd_redis_reconnects_total": 0,
        "tallyd_batch_devices_sum": 3,
        f'tallyd_instance_info{{instance="{tallyd.options["instance"]}",redis_key="{KEY}"}}': 1,
    }
    assert {name: values.get(name) for name in expected} == expected
    for name in "tallyd_commit_duration_seconds", "tallyd_batch_devices":
        assert values[name + "_count"] == values["tallyd_batches_committed_total"] > 0
        assert values[name + '_bucket{le="+Inf"}'] == values[name + "_count"]
    assert values['tallyd_batch_devices_bucket{le="4.0"}'] == values["tallyd_batch_devices_count"]
    assert 0 < values["tallyd_commit_duration_seconds_sum"] < 60
    workers = range(tallyd.options["workers"])
    assert sum(values[f'tallyd_worker_packets_total{{worker="{i}"}}'] for i in workers) == 5
    for i in workers:
        assert values[f'tallyd_worker_cpu_seconds_total{{worker="{i}"}}'] > 0
        assert values[f'tallyd_worker_memory_bytes{{worker="{i}"}}'] > 0
    assert redis.totals() == {"a": 3, "b": 1}


def test_what_peers_did_is_told_by_reason(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, max_connections=1, memory_limit_bytes=1 << 40)
    with socket.create_connection(("127.0.0.1", tallyd.grpc_port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while stranger.recv(4096):
            pass
    wait_until(lambda: own(tallyd)["tallyd_connections"] == 0, "the stranger to be gone")
    stream = closing(grpc_client.OpenStream(tallyd.target))
    stream.send(["d"])
    wait_until(lambda: own(tallyd)['tallyd_streams{state="open"}'] == 1, "a stream")
    with socket.create_connection(("127.0.0.1", tallyd.grpc_port)) as late:
        assert late.recv(4096) == b""
    tallyd.process.send_signal(signal.SIGHUP)
    reloads = 'tallyd_reloads_total{result="taken"}'
    wait_until(lambda: own(tallyd)[reloads] == 1, "the reload")
    values = own(tallyd)
    expected = {
        'tallyd_bad_peers_total{reason="protocol"}': 1,
        'tallyd_bad_peers_total{reason="flood"}': 0,
        'tallyd_connections_refused_total{reason="full"}': 1,
        'tallyd_connections_refused_total{reason="address"}': 0,
        'tallyd_connections_refused_total{reason="busy"}': 0,
        'tallyd_connections_refused_total{reason="memory"}': 0,
        'tallyd_streams_refused_total{reason="other"}': 0,
        'tallyd_reloads_total{result="failed"}': 0,
        "tallyd_connections_limit": 1,
        "tallyd_memory_limit_bytes": 1 << 40,
        "tallyd_memory_pressure": 0,
        "tallyd_tls_certificate_expiry_seconds": 0,
    }
    assert {name: values.get(name) for name in expected} == expected
    assert tallyd.stats()["totals"]["bad_peers"] == 1


def test_streams_and_answers_are_told_by_state(redis, tallyd, closing):
    stream = closing(grpc_client.OpenStream(tallyd.target))
    stream.send(["d"])

    def state():
        values = own(tallyd)
        names = ['tallyd_streams{state="open"}', 'tallyd_streams{state="waiting"}']
        return tuple(values[n] for n in [*names, "tallyd_acks_waiting", "tallyd_connections"])

    wait_until(lambda: state() == (1, 0, 0, 1), "one open stream")
    redis.pause()
    stream.end()
    wait_until(lambda: state() == (0, 1, 1, 1), "one stream that waits for its Ack")
    redis.resume()
    assert stream.received() == 1
    wait_until(lambda: state()[:3] == (0, 0, 0), "no stream")
    stream.close()
    wait_until(lambda: state() == (0, 0, 0, 0), "no connection")


def test_redis_away_is_told_and_the_workers_go_on(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, redis_grace_ms=100)
    redis.kill()
    wait_until(lambda: own(tallyd)["tallyd_redis_up"] == 0, "Redis to be away")
    wait_until(lambda: own(tallyd)["tallyd_accepting"] == 0, "streams to be refused")
    before = own(tallyd)
    wait_until(
        lambda: own(tallyd)['tallyd_worker_cpu_seconds_total{worker="0"}']
        > before['tallyd_worker_cpu_seconds_total{worker="0"}'],
        "the workers' CPU time to be noted without cuts",
    )
    redis.start()
    wait_until(lambda: own(tallyd)["tallyd_accepting"] == 1, "streams to be taken")
    assert own(tallyd)["tallyd_redis_reconnects_total"] >= 1
    assert own(tallyd)["tallyd_redis_errors_total"] >= 1


def test_process_figures_are_those_of_the_system(tallyd):
    values, pid = own(tallyd), tallyd.process.pid
    assert values["process_open_fds"] == pytest.approx(len(os.listdir(f"/proc/{pid}/fd")), abs=3)
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        size, resident = (int(n) * os.sysconf("SC_PAGE_SIZE") for n in file.read().split()[:2])
    assert values["process_virtual_memory_bytes"] == pytest.approx(size, rel=0.1)
    assert values["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.5)
    assert 0 < values["process_cpu_seconds_total"] < 600
    assert values["process_start_time_seconds"] == pytest.approx(time.time(), abs=60 * PATIENCE)
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        limit = re.search(r"^Max open files\s+(\d+)", file.read(), re.MULTILINE)[1]
    kept = 100 if VALGRIND else 0  # some that Valgrind keeps for itself
    assert values["process_max_fds"] == pytest.approx(int(limit), abs=kept)


def test_answers_are_counted_by_status(tallyd):
    before = own(tallyd)
    for _ in range(3):
        assert tallyd.get("/nowhere")[0] == 404
    assert tallyd.get("/metrics/prom?a=b")[0] == 400
    wait_until(lambda: grown_since(before, tallyd, "400"), "the last one, counted once sent")
    assert grown_since(before, tallyd, "404") == 3
    assert grown_since(before, tallyd, "400") == 1
    assert grown_since(before, tallyd, "other") == 0
    assert grown_since(before, tallyd, "200") >= 4  # scrapes


def grown_since(before, tallyd, code):
    name = f'tallyd_http_responses_total{{code="{code}"}}'
    return own(tallyd)[name] - before[name]


# ---- In which form ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/json", TEXT),
        ("nonsense;;;q=,", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5", TEXT),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.4", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
    ],
)
def test_form_is_the_one_that_accept_prefers(tallyd, accept, content_type):
    text, got = scrape(tallyd, accept=accept)
    assert got == content_type
    assert text.endswith("# EOF\n") == (content_type == OPENMETRICS)
    assert text.endswith("\n")


def test_a_scraper_on_the_default_path_gets_the_same(tallyd):
    text, content_type = scrape(tallyd, accept=PROMETHEUS_2, path="/metrics")
    assert content_type == OPENMETRICS
    assert families(text) == families(scrape(tallyd, accept=OPENMETRICS)[0])
    text, content_type = scrape(tallyd, accept="text/plain;version=0.0.4", path="/metrics")
    assert content_type == TEXT
    assert tallyd.get_json("/metrics") == []


@pytest.mark.parametrize(
    "path, accept, parameter",
    [("/metrics/prom?limit=1", None, "limit"), ("/metrics?limit=1", OPENMETRICS, "limit")],
)
def test_parameters_are_refused(tallyd, path, accept, parameter):
    answer = tallyd.get(path, headers={"Accept": accept} if accept else None)
    check_problem(answer, 400, parameter)


def test_head_is_answered_without_a_body(tallyd):
    status, headers, body = tallyd.get("/metrics/prom", method="HEAD")
    assert (status, headers["Content-Type"], body) == (200, TEXT, b"")
    assert "Accept" in headers["Vary"]


# ---- Devices ----------------------------------------------------------------------------------


def devices_of(text):
    return {
        name: value
        for name, value in samples(text).items()
        if name.startswith("tallyd_device_packets_total")
    }


def test_devices_have_series_only_when_asked_for(redis, start_tallyd):
    redis.client.hset(KEY, mapping={f"d{i}": i for i in range(100)} | {"below-zero": -5})
    tallyd = start_tallyd(redis.port)
    assert not devices_of(scrape(tallyd)[0])
    tallyd = start_tallyd(redis.port, prom_devices=3)
    status, headers, body = tallyd.get("/metrics/prom")
    assert status == 200
    assert "Age" in headers and "X-Tally-Committed-At" in headers
    assert list(devices_of(body.decode())) == [
        f'tallyd_device_packets_total{{device_id="d{i}"}}' for i in (99, 98, 97)
    ]
    tallyd = start_tallyd(redis.port, prom_devices=10_000)
    assert len(devices_of(scrape(tallyd)[0])) == 100  # a counter is never below zero


def test_redis_away_takes_no_metric_of_our_own_along(redis, start_tallyd):
    redis.client.hset(KEY, "d", 7)
    seen, unseen = (start_tallyd(redis.port, prom_devices=5) for _ in range(2))
    assert devices_of(scrape(seen)[0])
    redis.kill()
    status, headers, body = seen.get("/metrics/prom")
    assert (status, headers["X-Tally-Stale"]) == (200, "true")
    assert list(devices_of(body.decode()).values()) == [7]
    text, _ = scrape(unseen)
    assert not devices_of(text)
    assert "tallyd_packets_received_total" in samples(text)


# ---- The balance ------------------------------------------------------------------------------


def test_one_scrape_balances_while_packets_flow_and_redis_dies(
    start_redis, start_tallyd, start_sender
):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=300_000)
    with pytest.raises(grpc.RpcError):
        grpc_client.send(tallyd.target, ["a", ""])
    before = own(tallyd)
    sender = start_sender(
        tallyd.target, n=PACKETS, rate=PACKETS // 2, devices=3000, connections=2, streams=4
    )  # takes two seconds
    begun, killed, scrapes = time.monotonic(), False, 0
    while sender.process.poll() is None:
        if not killed and time.monotonic() > begun + 0.7:
            redis.kill()
            killed = time.monotonic()
        if killed and redis.process.poll() is not None and time.monotonic() > killed + 0.5:
            redis.start()
        now = own(tallyd)
        assert_balanced(now)
        assert_none_fell(before, now)
        before, scrapes = now, scrapes + 1
    assert sender.wait() == 0, sender.output
    assert scrapes > 2 and killed  # before, with Redis away, and after
    values = own(tallyd)
    assert_balanced(values)
    assert_none_fell(before, values)
    assert values["tallyd_packets_committed_total"] == PACKETS + 1
    assert values["tallyd_packets_arrived_total"] == PACKETS + 2
    assert values["tallyd_redis_reconnects_total"] >= 1
