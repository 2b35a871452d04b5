"""Those who read /metrics/prom understand it, odd device ids as well: the parsers of Python's
client library, promtool, and a real Prometheus."""
import http.server
import subprocess
import threading

import pytest
from harness import grpc_client, tokens
from harness.env import ROOT, free_port, have, wait_until
from harness.prometheus import OPENMETRICS, Prometheus, scrape
from harness.redis_server import KEY

try:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
    from prometheus_client.parser import text_string_to_metric_families as text_format
except ImportError:
    openmetrics = text_format = None

ODD_IDS = (
    ['quote"', "back\\slash", "new\nline", "\\n", "\\", "nul\0inside", "\0", "end\0", "\t\r"]
    + ['a="b",c}', "\U0001f41f", "\u2028", "{}", " "]
)


def parsed(parse, text):
    """The device series as a client library understands them: id -> count."""
    if parse is None:
        pytest.skip("python3-prometheus-client is not installed")
    return {
        sample.labels["device_id"]: sample.value
        for family in parse(text)
        for sample in family.samples
        if sample.name == "tallyd_device_packets_total"
    }


def start_with_odd_ids(redis, start_tallyd):
    """A tallyd that shows odd ids, and what their counts are."""
    expected = {device: 1000 + i for i, device in enumerate(ODD_IDS)}
    redis.client.hset(KEY, mapping=expected)
    return start_tallyd(redis.port, prom_devices=100), expected


def test_odd_ids_come_through_the_client_librarys_parsers(redis, start_tallyd):
    tallyd, expected = start_with_odd_ids(redis, start_tallyd)
    assert grpc_client.send(tallyd.target, ["a", "a", "b"]) == 3
    expected |= {"a": 2, "b": 1}
    assert parsed(text_format, scrape(tallyd)[0]) == expected
    assert parsed(openmetrics, scrape(tallyd, accept=OPENMETRICS)[0]) == expected


def test_promtool_finds_nothing_to_say(redis, start_tallyd, start_sender):
    if not have("promtool"):
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    plain = start_tallyd(redis.port)
    tallyd, _ = start_with_odd_ids(redis, start_tallyd)
    assert start_sender(tallyd.target, n=5000, devices=50).wait() == 0
    for text in scrape(plain)[0], scrape(tallyd)[0]:
        check = subprocess.run(
            ["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False
        )
        assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")


class Relay:
    """Serves what tallyd answers to those who name no form: Prometheus itself always asks for
    OpenMetrics."""

    def __init__(self, tallyd):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                _, headers, body = tallyd.get("/metrics/prom")
                self.send_response(200)
                self.send_header("Content-Type", headers["Content-Type"])
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def test_prometheus_reads_both_forms(redis, start_tallyd, closing, tmp_path):
    if not have("prometheus"):
        pytest.skip("prometheus is not installed")
    tallyd, expected = start_with_odd_ids(redis, start_tallyd)
    assert grpc_client.send(tallyd.target, ["a", "a", "b"]) == 3
    expected |= {"a": 2, "b": 1}
    jobs = {"openmetrics": tallyd.http_port, "text": closing(Relay(tallyd)).port}
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
        + "".join(
            f"- {{job_name: {job}, metrics_path: /metrics/prom,"
            f" static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
            for job, port in jobs.items()
        )
    )
    prometheus = closing(Prometheus(tmp_path)).start()
    for job in jobs:
        up = f'up{{job="{job}"}} == 1'
        wait_until(lambda up=up: prometheus.query(up), up)
        rows = prometheus.query(f'tallyd_device_packets_total{{job="{job}"}}')
        assert {labels["device_id"]: value for labels, value in rows} == expected
        balance = (
            f'tallyd_packets_received_total{{job="{job}"}} - on() tallyd_packets_committed_total'
            f'{{job="{job}"}} - on() tallyd_packets_pending{{job="{job}"}} - on() '
            f'sum(tallyd_packets_rejected_total{{job="{job}"}})'
        )
        assert [value for _, value in prometheus.query(balance)] == [0]
        quantile = (
            "histogram_quantile(0.99, sum by (le)"
            f'(tallyd_commit_duration_seconds_bucket{{job="{job}"}}))'
        )
        assert 0 < prometheus.query(quantile)[0][1] <= 5
    # Which form it was does not make other series.
    bounds = prometheus.query("count by (job) (count by (job, le) (tallyd_batch_devices_bucket))")
    assert [value for _, value in bounds] == [8, 8]
    assert len(prometheus.query("count by (le) (tallyd_batch_devices_bucket)")) == 8


def test_prometheus_brings_its_token(redis, start_tallyd, closing, tmp_path):
    """With the shipped configuration, the comment taken off."""
    if not have("prometheus"):
        pytest.skip("prometheus is not installed")
    file = tmp_path / "tokens"
    token = tokens.add(file, "prometheus", "read")
    tallyd = start_tallyd(redis.port, token_file=file)
    shipped = (ROOT / "deploy/prometheus/prometheus.yml").read_text()
    commented = "    # authorization:\n    #   credentials_file: token\n"
    assert commented in shipped
    (tmp_path / "prometheus.yml").write_text(
        shipped.replace(commented, commented.replace("# ", "")).replace("interval: 5s", "interval: 1s")
    )
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/tallyd.yml").write_text(f"- targets: ['127.0.0.1:{tallyd.http_port}']\n")
    (tmp_path / "token").write_text("tally_" + 43 * "x" + "\n")
    prometheus = closing(Prometheus(tmp_path)).start()
    wait_until(lambda: prometheus.query("up == 0"), "a scrape to be refused")
    (tmp_path / "token").write_text(token + "\n")
    wait_until(lambda: prometheus.query("up == 1"), "a scrape to succeed")
    wait_until(lambda: prometheus.query('tallyd_http_responses_total{code="401"} > 0'),
               "the refused scrapes")
