"""What asks the HTTP face: curl for large answers, wrk for many clients, and what they found."""
import re
import subprocess
import time

import machine
from harness.env import have, wait_until
from stage import Missing

ID_BYTES = len("device-0000000")
BATCH = 10_000  # fields an HSET
FIRST_READING_S = 120
CURL_FORMAT = "%{time_starttransfer} %{time_total} %{size_download} %{http_code}"
MILLISECONDS = {"us": 1e-3, "ms": 1, "s": 1e3}


def _need(tool):
    if not have(tool):
        raise Missing(f"{tool} is not installed: scripts/setup.sh --bench installs it")


def fill(redis, devices):
    """Writes the counts of so many devices, as tallyd would have."""
    for first in range(0, devices, BATCH):
        numbers = range(first, min(first + BATCH, devices))
        redis.client.hset("device_metrics", mapping={f"device-{i:07}": 1000 + i for i in numbers})


def snapshot(result, tallyd, settings):
    """GET /metrics with every device there is, and the memory that it takes: first for the snapshot,
    then for answering from it."""
    _need("curl")
    pid = tallyd.process.pid
    before = machine.resident_bytes(pid)
    started = time.monotonic()
    tallyd.get("/summary", timeout=FIRST_READING_S)
    result.add("reading", "ms", (time.monotonic() - started) * 1000)
    held = machine.resident_bytes(pid)
    result.add("snapshot_device", "bytes", (held - before) / settings.many - ID_BYTES)
    machine.reset_peak(pid)
    for _ in range(2 * settings.repeats):
        first_byte, total, size, status = _curl(tallyd, "/metrics").split()
        assert status == "200", status
        result.add("first_byte", "ms", float(first_byte) * 1000)
        result.add("body", "bytes/s", float(size) / float(total))
    result.add("extra", "bytes", max(0, machine.peak_bytes(pid) - held))


def _curl(tallyd, path):
    with machine.pinned(machine.LOAD_CPUS):
        return subprocess.run(
            ["curl", "-s", "-o", "/dev/null", "-w", CURL_FORMAT, "--max-time", "120"]
            + [f"http://127.0.0.1:{tallyd.http_port}{path}"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout


class Wrk:
    """wrk with so many clients, each of which asks again as soon as it has its answer."""

    def __init__(self, tallyd, path, clients, seconds, cpus=None):
        _need("wrk")
        self.clients = clients
        with machine.pinned(cpus or machine.LOAD_CPUS):
            self.process = subprocess.Popen(
                ["wrk", "-t", "1", "-c", str(clients), "-d", f"{max(1, round(seconds))}s"]
                + ["--latency", f"http://127.0.0.1:{tallyd.http_port}{path}"],
                stdout=subprocess.PIPE,
                text=True,
            )

    def wait_until_it_runs(self, tallyd):
        """Until the connections are open, which is the hard part."""
        before = _answers(tallyd)
        wait_until(lambda: _answers(tallyd) > before + self.clients, "wrk to get answers", 30)

    def finish(self, tallyd, result):
        """Adds what it found, when its connections are closed. wrk leaves out of its latencies
        whoever got no answer at all, and tells of him only as a time-out; so both must be looked
        at."""
        output, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, output
        wait_until(lambda: _connections(tallyd) <= 1, "wrk's connections to close", 30)
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", output).groups()
        errors = re.search(r"Socket errors: (.*)", output)
        wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
        failed = sum(map(int, re.findall(r"\d+", errors.group(1)))) if errors else 0
        result.add("answers_p99", "ms", float(value) * MILLISECONDS[unit])
        result.add("answers", "answers/s", float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]))
        result.add("errors", "", failed + int(wrong[1] if wrong else 0))


def _connections(tallyd):
    text = tallyd.get("/metrics/prom")[2].decode()
    return float(re.search(r"^tallyd_http_connections (\S+)", text, re.M)[1])


def _answers(tallyd):
    text = tallyd.get("/metrics/prom")[2].decode()
    return sum(map(float, re.findall(r"^tallyd_http_responses_total\{.*\} (\S+)", text, re.M)))


class Scans:
    """How often Redis was asked for all counts while a block ran, beside how often it may be."""

    def __init__(self, redis, tallyd, refresh_ms):
        self.redis, self.tallyd, self.refresh_ms = redis, tallyd, refresh_ms

    def _read(self):
        text = self.tallyd.get("/metrics/prom")[2].decode()
        readings = float(re.search(r"^tallyd_snapshot_readings_total (\S+)", text, re.M)[1])
        calls = self.redis.client.info("commandstats").get("cmdstat_hscan", {}).get("calls", 0)
        return time.monotonic(), readings, calls

    def __enter__(self):
        self.before = self._read()
        return self

    def __exit__(self, *_):
        self.after = self._read()

    def add_to(self, result):
        """The share of the readings allowed that were made; with few devices a reading is one HSCAN,
        so Redis's own count must tell the same. One reading may be under way at the end: Redis has
        counted its HSCAN, tallyd counts it when it ends."""
        seconds, readings, calls = (b - a for a, b in zip(self.before, self.after))
        assert calls <= readings + 1, f"{calls} HSCANs, {readings} readings"
        result.add("readings", "", readings / (seconds * 1000 / self.refresh_ms + 1))
