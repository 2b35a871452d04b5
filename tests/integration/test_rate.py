"""The rate of one worker, as CPU time a packet: user and system time of the whole process, so that
a busy machine and a slow client make no difference. Only in long runs, since it measures."""
import os
import random
import re
import subprocess

import pytest
from harness.env import LONG, SANITIZED, have
from harness.wire import PATH, framed, packet

REQUESTS, PACKETS_A_REQUEST = 50, 400_000
MAX_NS_A_PACKET = 100  # 10 million packets a second on a core


def cpu_ns(pid):
    fields = open(f"/proc/{pid}/stat", encoding="utf-8").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10**9 // os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not LONG or SANITIZED, reason="measures; only with TALLYD_LONG=1")
@pytest.mark.skipif(not have("h2load"), reason="h2load (nghttp2-client) is not installed")
def test_one_worker_counts_ten_million_packets_a_second(redis, start_tallyd, tmp_path):
    choose = random.Random(3)
    body = tmp_path / "packets.bin"
    with open(body, "wb") as file:
        for _ in range(PACKETS_A_REQUEST):
            one = packet(f"device-{choose.randrange(1000):03}", 1_700_000_000_000, bytes(24))
            assert len(one) == 45
            file.write(framed(one))
    tallyd = start_tallyd(redis.port, workers=1)
    before = cpu_ns(tallyd.process.pid)

    run = subprocess.run(
        ["h2load", "-n", str(REQUESTS), "-c", "2", "-m", "2", "-d", str(body)]
        + ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        + [f"http://{tallyd.target}{PATH}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert re.search(rf"\b{REQUESTS} succeeded, 0 failed", run.stdout), run.stdout
    packets = REQUESTS * PACKETS_A_REQUEST
    assert tallyd.stats()["balance"]["committed"] == packets
    ns = (cpu_ns(tallyd.process.pid) - before) / packets
    print(f"{ns:.1f} ns of CPU a packet, {1000 / ns:.1f} million packets a second on a core")
    assert ns <= MAX_NS_A_PACKET
