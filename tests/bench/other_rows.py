"""The rows that tell how long things take, and what they hold in memory."""
import json
import subprocess

import flush
import latency
import machine
import memory
from figures import Result
from rate_rows import amount
from stage import Stage, bench_program


def ack_latency(bench):
    results = []
    with Stage() as stage:
        tallyd = stage.tallyd(stage.redis())
        idle = Result("ack-idle", "Ack latency, 100-packet streams, 50 at a time")
        latency.acks(idle, tallyd, bench.settings)
        loaded = Result("ack-loaded", "the same beside full frames at full speed")
        with latency.background(tallyd):
            latency.acks(loaded, tallyd, bench.settings)
    return [idle, loaded]


def freshness(bench):
    result = Result("freshness", "freshness: last packet sent, to its count in /devices/ID")
    with Stage() as stage:
        latency.freshness(result, stage.tallyd(stage.redis()), bench.settings)
    return [result]


def flush_rate(bench):
    settings = bench.settings
    result = Result("flush", f"flush of {amount(settings.many)} dirty devices")
    warm_up = Result("", "")  # the fields are new, and Redis's hashes grow
    with Stage() as stage:
        redis = stage.redis()
        tallyd = stage.tallyd(redis, flush_interval_ms=flush.INTERVAL_MS)
        for into in [warm_up] + [result] * settings.repeats:
            flush.a_round(into, tallyd, redis, settings)
    return [result]


def cut_pause(bench):
    settings = bench.settings
    result = Result("cut-pause", f"pause of a worker at a cut, {amount(settings.many)} dirty")
    seconds = settings.cut_seconds / settings.repeats
    for _ in range(settings.repeats):
        with machine.pinned(machine.SERVER_CPU + machine.REDIS_CPU):
            done = subprocess.run(
                [bench_program("bench_cut_pause"), str(settings.many), str(seconds)],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        for name, value in json.loads(done.stdout).items():
            result.add(name, "us" if name.endswith("_us") else "", value)
    return [result]


def device_memory(bench):
    results = []
    for devices in bench.settings.memory:
        for workers in (1, 2):
            plural = "s" * (workers > 1)
            result = Result(
                f"memory-{amount(devices).replace(' ', '').lower()}-{workers}",
                f"memory: {amount(devices)} devices, {workers} worker{plural}",
            )
            with Stage() as stage:
                tallyd = stage.tallyd(stage.redis(), workers=workers)
                memory.devices(result, tallyd, devices, workers)
            results.append(result)
    return results


def connection_memory(bench):
    count = bench.settings.connections
    result = Result("connections", f"memory: {amount(count)} idle connections with an open stream")
    with Stage() as stage:
        tallyd = stage.tallyd(
            stage.redis(),
            open_files=count + memory.SPARE_FILES,
            http_connections=8,  # which leaves the descriptors to gRPC
            max_connections_per_address=count + 1,  # the first one warms up
        )
        memory.connections(result, tallyd, count)
    return [result]
