"""The rows of the HTTP face: a million devices in one answer, a thousand clients at once, and what
packets cost meanwhile."""
import time

import http_load
import machine
from figures import Result
from loads import Packets, TallySend
from rate_rows import amount
from stage import Stage

CLIENTS = 1000
DEVICES = 1000
REFRESH_MS = 500  # the default of --http-refresh-ms
SETTLE_S = 0.5
OWN_CLIENTS = 16  # the row's own, which read tallyd's metrics; one at a time, some still closing


def snapshot(bench):
    settings = bench.settings
    result = Result("http-metrics", f"GET /metrics with {amount(settings.many)} devices")
    with Stage() as stage:
        redis = stage.redis()
        http_load.fill(redis, settings.many)
        http_load.snapshot(result, stage.tallyd(redis), settings)
    return [result]


def clients(bench):
    """A thousand clients alone, then beside packets as fast as the server takes them; packets alone
    come before and after, for comparison. Alone, clients and server have all processors, since what
    is asked is how long clients wait, and not what a server on one processor can do."""
    settings = bench.settings
    alone = Result("http-clients", f"{amount(CLIENTS)} clients of GET /summary")
    beside = Result("http-beside", "the same beside full frames at full speed")
    seconds = max(1, settings.seconds)
    with Stage() as stage:
        redis = stage.redis()
        tallyd = _tallyd_for_clients(stage, redis, cpus=machine.CPUS)
        TallySend(Packets(devices=DEVICES)).run(tallyd.target, 100_000)
        for _ in range(settings.repeats):
            with http_load.Scans(redis, tallyd, REFRESH_MS) as scans:
                wrk = http_load.Wrk(tallyd, "/summary", CLIENTS, seconds, machine.CPUS)
                wrk.finish(tallyd, alone)
            scans.add_to(alone)
    with Stage() as stage:
        tallyd = _tallyd_for_clients(stage, stage.redis())
        for _ in range(settings.repeats):
            _beside_packets(beside, tallyd, seconds)
    return [alone, beside]


def _tallyd_for_clients(stage, redis, **options):
    """A tallyd that lets all clients come from one address."""
    return stage.tallyd(redis, http_connections_per_address=CLIENTS + OWN_CLIENTS, **options)


def _beside_packets(result, tallyd, seconds):
    """What counting packets costs alone and beside clients: the CPU time of the threads that do it,
    so what the HTTP threads take themselves is left out."""
    process = TallySend(Packets(devices=DEVICES)).start(tallyd.target)
    try:
        time.sleep(SETTLE_S)
        before = _cost_a_packet(tallyd, seconds)
        wrk = http_load.Wrk(tallyd, "/summary", CLIENTS, seconds + 2 * SETTLE_S)
        wrk.wait_until_it_runs(tallyd)
        meanwhile = _cost_a_packet(tallyd, seconds)
        wrk.finish(tallyd, result)
        time.sleep(SETTLE_S)
        after = _cost_a_packet(tallyd, seconds)
        assert process.poll() is None, "the load behind the row ended too early"
    finally:
        process.kill()
        process.communicate()
    result.add("counting_alone", "ns/packet", (before + after) / 2)
    result.add("counting_beside", "ns/packet", meanwhile)
    result.add("counting_ratio", "", meanwhile / ((before + after) / 2))


def _cost_a_packet(tallyd, seconds):
    """CPU nanoseconds that the worker and the flusher take for a packet."""
    start = _counting_ns(tallyd), _received(tallyd)
    time.sleep(seconds)
    end = _counting_ns(tallyd), _received(tallyd)
    return (end[0] - start[0]) / (end[1] - start[1])


def _counting_ns(tallyd):
    threads = machine.threads_cpu_ns(tallyd.process.pid)
    return threads["worker"] + threads["flusher"]


def _received(tallyd):
    return tallyd.stats()["balance"]["received"]
