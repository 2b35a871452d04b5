"""Clients that we did not write: Debian's python3-grpcio, and h2load of nghttp2."""
import random
import re
import subprocess
import threading
from collections import Counter

import pytest
from harness import grpc_client
from harness.env import PATIENCE, amount, have
from harness.sender import add, assert_same
from harness.tallyd import assert_balance
from harness.wire import PATH, framed, packet


def assert_counted(redis, tallyd, expected):
    assert_same(redis.totals(), expected)
    assert_same(tallyd.metrics(), expected)
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["committed"] == sum(expected.values())


def test_python_grpcio_streams_are_exact(redis, tallyd):
    threads, streams = 4, 3
    each = amount(50_000, long=1_000_000, sanitized=6_000) // (threads * streams)
    names = [f"sensor-{i:04}" for i in range(1000)]
    sent = []

    def run(thread):
        choose = random.Random(thread)
        with grpc_client.connect(tallyd.target) as channel:
            batches = [choose.choices(names, k=each) for _ in range(streams)]
            stream_packets = grpc_client.stub(channel)
            acks = [
                stream_packets.future(grpc_client.packets(batch), timeout=600)
                for batch in batches
            ]
            if [ack.result().received for ack in acks] == [each] * streams:
                sent.extend(batches)

    running = [threading.Thread(target=run, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(sent) == threads * streams, "a stream was not acknowledged in full"
    assert_counted(redis, tallyd, add(*map(Counter, sent)))


@pytest.mark.skipif(not have("h2load"), reason="h2load (nghttp2-client) is not installed")
@pytest.mark.parametrize("streams", [1, 16])
def test_h2load_posting_a_file_is_exact(redis, tallyd, tmp_path, streams):
    requests = amount(60, long=1000, sanitized=16)
    devices = random.Random(2).choices([f"meter/{i}" for i in range(2000)], k=10_000)
    body = tmp_path / "packets.bin"
    body.write_bytes(b"".join(framed(packet(d, 1_700_000_000_000, b"21.5")) for d in devices))

    run = subprocess.run(
        ["h2load", "-n", str(requests), "-c", "4", "-m", str(streams), "-d", str(body)]
        + ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        + [f"http://{tallyd.target}{PATH}"],
        capture_output=True,
        text=True,
        timeout=600 * PATIENCE,
        check=False,
    )
    assert re.search(rf"\b{requests} succeeded, 0 failed, 0 errored", run.stdout), run.stdout
    once = Counter(devices)
    assert_counted(redis, tallyd, {device: n * requests for device, n in once.items()})
    assert tallyd.stats()["totals"]["streams_acknowledged"] == requests
