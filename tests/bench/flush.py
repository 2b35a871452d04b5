"""How fast the flusher commits, beside what Redis takes from programs that do nothing else."""
import csv
import json
import subprocess
import threading
import time

import machine
from loads import Packets, TallySend
from stage import bench_program

INTERVAL_MS = 60000  # no flush but the one that a stream's end asks for
POLL_S = 0.02
PASSES = 5  # packets for each device, of which then less than one in a hundred has none
PIPELINE = 512


class Commits:
    """Watches how many HINCRBYs a Redis has executed."""

    def __init__(self, redis):
        self.client = redis.client
        self.client.config_resetstat()
        self.samples = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self._note()

    def _run(self):
        while not self.stop.wait(POLL_S):
            self._note()

    def _note(self):
        calls = self.client.info("commandstats").get("cmdstat_hincrby", {}).get("calls", 0)
        self.samples.append((time.monotonic(), calls))

    @property
    def count(self):
        return self.samples[-1][1]

    @property
    def rate(self):
        """HINCRBYs a second between the first and the last sample that lie inside the flush."""
        inside = [sample for sample in self.samples if 0 < sample[1] < self.count]
        if len(inside) < 2:
            return None  # over before it was seen twice
        (t0, n0), (t1, n1) = inside[0], inside[-1]
        return (n1 - n0) / (t1 - t0)


def a_round(result, tallyd, redis, settings):
    """tallyd and its limit one after the other, so that `share` is of the same minute."""
    commit = _tallyd_commits(result, tallyd, redis, settings)
    limit = _bare_transactions(redis, settings)
    result.add("limit", "HINCRBYs/s", limit)
    result.add("redis_benchmark", "HINCRBYs/s", _redis_benchmark(redis, settings))
    if commit:
        result.add("commit", "HINCRBYs/s", commit)
        result.add("share", "", commit / limit)


def _tallyd_commits(result, tallyd, redis, settings):
    """All devices become dirty without a flush, since the interval is long; then the end of the
    stream asks for one, and its Ack tells that all of them are in Redis."""
    load = TallySend(Packets(devices=settings.many), connections=1)
    with Commits(redis) as commits:
        sent = load.run(tallyd.target, settings.many * PASSES)
    result.add("to_ack", "HINCRBYs/s", commits.count / sent.wait_s)
    return commits.rate


def _bare_transactions(redis, settings):
    """MULTI, as many HINCRBYs as tallyd sends, EXEC, rendered before and pipelined: the limit."""
    command = [bench_program("bench_redis_limit"), "--port", redis.port]
    output = _run(*command, "--devices", settings.many, "--n", settings.many)
    return json.loads(output)["hincrby_per_s"]


def _redis_benchmark(redis, settings):
    """Redis's own tool: pipelined HINCRBYs at random, without transactions."""
    output = _run(
        *["redis-benchmark", "-p", redis.port, "-c", 1, "-P", PIPELINE, "--csv"],
        *["-n", max(settings.many // 4, 4 * PIPELINE), "-r", settings.many],
        *["HINCRBY", "redis-benchmark", "device-__rand_int__", 1],
    )
    return float(list(csv.DictReader(output.splitlines()))[-1]["rps"])


def _run(*command):
    """A client of Redis where the server would run; returns what it printed."""
    with machine.pinned(machine.SERVER_CPU):
        return subprocess.run(
            [str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
