"""How long a client waits for its Ack, and how old a count is when it can be read."""
import contextlib
import time

from harness.h2_client import H2Client
from harness.wire import framed, packet
from loads import Packets, TallySend

STREAM_PACKETS = 100
STREAMS = 50
DEVICES = 1000
SETTLE_S = 0.5
POLL_FOR_S = 20


@contextlib.contextmanager
def background(tallyd):
    """Full frames as fast as tallyd takes them, while the block runs."""
    process = TallySend(Packets(devices=DEVICES)).start(tallyd.target)
    try:
        time.sleep(SETTLE_S)
        if process.poll() is not None:
            raise AssertionError(f"the load behind the row ended: {process.communicate()}")
        yield
        assert process.poll() is None, "the load behind the row ended too early"
    finally:
        process.kill()
        process.communicate()


def acks(result, tallyd, settings):
    """Streams of 100 packets, 50 of them open at a time on one connection; each begins when one
    before it has its Ack."""
    load = TallySend(
        Packets(devices=DEVICES),
        connections=1,
        replay=False,
        streams=STREAMS,
        packets_per_stream=STREAM_PACKETS,
    )
    for _ in range(settings.repeats):
        count = settings.acks // settings.repeats * STREAM_PACKETS
        report = load.run(tallyd.target, count).report
        for name, milliseconds in report["ack_latency_ms"].items():
            result.add(name, "ms", milliseconds)
        result.add("streams", "streams/s", report["streams"]["acknowledged"] / report["seconds"])


def freshness(result, tallyd, settings):
    """One packet of a device of its own on a stream that stays open, so that nothing hurries the
    flush; then GET /devices/ID again and again until it is there: that asks Redis each time."""
    client = H2Client(tallyd.grpc_port)
    try:
        stream = client.open()
        for i in range(settings.probes):
            time.sleep(0.037 * (i % 7))  # to meet the flush interval at any of its moments
            result.add("age", "ms", _age_ms(client, stream, tallyd, f"fresh-{i}"))
    finally:
        client.close()


def _age_ms(client, stream, tallyd, device):
    client.send(stream, framed(packet(device)))
    sent = time.monotonic()
    while tallyd.get(f"/devices/{device}")[0] != 200:
        assert time.monotonic() < sent + POLL_FOR_S, f"{device} never came to be seen"
    return (time.monotonic() - sent) * 1000
