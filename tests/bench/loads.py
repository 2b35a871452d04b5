"""What sends: each load runs once against a server, and tells how many packets it sent in which
time. All of them run on the load's processors.

The packets' wire_bytes are what one of them takes in HTTP/2 DATA frames, headers included; from
them follows what the same bytes cost a server that throws them away.
"""
import dataclasses
import json
import random
import re
import subprocess

import machine
from harness.env import program
from harness.wire import PATH, framed, packet
from stage import bench_program

MESSAGE_PREFIX_BYTES = 5
FRAME_HEADER_BYTES = 9
FULL_FRAME_BYTES = 16384  # HTTP/2's default for a frame's payload
PATIENCE_S = 300
TIMESTAMP = 1_700_000_000_000


@dataclasses.dataclass(frozen=True)
class Packets:
    """Which packets: how many devices, how often each, how large, how many to a DATA frame (0:
    frames as full as they can be, packets split where a frame ends)."""

    devices: int = 1000
    packet_bytes: int = 45
    zipf: float = 0
    frame_packets: int = 0

    @property
    def wire_bytes(self):
        message = self.packet_bytes + MESSAGE_PREFIX_BYTES
        if self.frame_packets:
            return message + FRAME_HEADER_BYTES / self.frame_packets
        return message * (1 + FRAME_HEADER_BYTES / FULL_FRAME_BYTES)


@dataclasses.dataclass
class Sent:
    """One run of a load. `seconds` ends with the last Ack; `wait_s` of it passed after the last
    packet had been handed to the socket, as far as the sender tells."""

    packets: int
    seconds: float
    wait_s: float = 0
    report: dict = None


def _run(*commands):
    """Runs a load's processes side by side to their ends; returns what each printed."""
    with machine.pinned(machine.LOAD_CPUS):
        started = [_start(command) for command in commands]
    try:
        return [_finish(process) for process in started]
    finally:
        for process in started:
            process.kill()  # does nothing to one that has ended


def _start(command):
    return subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    output, errors = process.communicate(timeout=PATIENCE_S)
    if process.returncode:
        raise AssertionError(f"{process.args} exited {process.returncode}:\n{output}{errors}")
    return output


class TallySend:
    """tally-send, by default replaying DATA frames that it rendered before the run. Several of
    them run at once when one processor could not feed all workers."""

    def __init__(self, packets, connections=2, replay=True, senders=1, **options):
        self.wire_bytes = packets.wire_bytes
        self.senders = senders
        self.words = ["--json", "--devices", packets.devices, "--connections", connections]
        self.words += ["--packet-bytes", packets.packet_bytes]
        if packets.zipf:
            self.words += ["--zipf", packets.zipf]
        if replay:
            self.words += ["--replay", "--frame-packets", packets.frame_packets]
        for name, value in options.items():
            self.words += ["--" + name.replace("_", "-")] + ([] if value is True else [value])

    def command(self, target, count):
        return [program("tally-send"), "--target", target, "--n", count, *self.words]

    def run(self, target, count):
        command = self.command(target, max(1, count // self.senders))
        reports = [json.loads(output) for output in _run(*[command] * self.senders)]
        assert all(report["complete"] for report in reports), reports
        # One stream a connection, and all of them end together: what one waits, the run waits.
        wait_s = min(report["ack_latency_ms"]["p50"] for report in reports) / 1000
        seconds = max(report["seconds"] for report in reports)
        packets = sum(report["acknowledged"] for report in reports)
        return Sent(packets, seconds, wait_s, reports[0])

    def start(self, target):
        """Begins to send without an end; returns the process, which its caller stops."""
        with machine.pinned(machine.LOAD_CPUS):
            return _start(self.command(target, 10**12))


class H2Load:
    """h2load with a file of packets as the body of every request: full frames, by a client that
    shares no line with tally-send."""

    REQUEST_PACKETS = 200_000
    STREAMS = 4

    def __init__(self, packets, directory):
        self.wire_bytes = packets.wire_bytes
        self.body = directory / f"body-{packets.devices}-{packets.packet_bytes}.bin"
        if not self.body.exists():
            self.body.write_bytes(render(packets, self.REQUEST_PACKETS))

    def run(self, target, count):
        requests = max(self.STREAMS, round(count / self.REQUEST_PACKETS))
        (output,) = _run(
            ["h2load", "-n", requests, "-c", 2, "-m", self.STREAMS // 2, "-d", self.body]
            + ["-H", "content-type: application/grpc", "-H", "te: trailers"]
            + [f"http://{target}{PATH}"]
        )
        assert re.search(rf"\b{requests} succeeded, 0 failed", output), output
        value, unit = re.search(r"finished in ([\d.]+)(us|ms|s)\b", output).groups()
        seconds = float(value) * {"us": 1e-6, "ms": 1e-3, "s": 1}[unit]
        return Sent(requests * self.REQUEST_PACKETS, seconds)


class RawSend:
    """The bytes of full frames over plain TCP, for the server that discards them."""

    FILE_PACKETS = 100_000

    def __init__(self, packets, directory):
        self.wire_bytes = packets.wire_bytes
        self.path = directory / f"frames-{packets.packet_bytes}.bin"
        if not self.path.exists():
            self.path.write_bytes(frames(render(packets, self.FILE_PACKETS)))

    def run(self, target, count):
        repeat = max(1, round(count / self.FILE_PACKETS))
        (output,) = _run(
            [bench_program("bench_raw_send"), "--port", target.rpartition(":")[2]]
            + ["--bytes", self.path, "--repeat", repeat]
        )
        return Sent(repeat * self.FILE_PACKETS, json.loads(output)["seconds"])


class RealClient:
    """A client of a gRPC library, which renders each packet when it sends it."""

    def __init__(self, command, packets, streams=4):
        self.command, self.packets, self.streams = command, packets, streams
        # What a library makes of it is its affair; mostly one message a frame.
        self.wire_bytes = dataclasses.replace(packets, frame_packets=1).wire_bytes

    def run(self, target, count):
        (output,) = _run(
            [*self.command, "--target", target, "--n", count, "--streams", self.streams]
            + ["--devices", self.packets.devices, "--packet-bytes", self.packets.packet_bytes]
        )
        report = json.loads(output)
        assert report["acked"] == report["packets"] == count, report
        return Sent(count, report["seconds"])


def render(packets, count):
    """`count` gRPC messages of exactly packets.packet_bytes each, uniform over the devices."""
    choose = random.Random(3)
    digits = len(str(packets.devices - 1))
    start = len(packet("device-" + "0" * digits, TIMESTAMP, b"x")) - 1
    length = packets.packet_bytes - start
    length -= length > 127  # a longer length takes a second byte
    out = bytearray()
    for _ in range(count):
        device = f"device-{choose.randrange(packets.devices):0{digits}}"
        out += framed(packet(device, TIMESTAMP, bytes(length)))
    assert len(out) == count * (packets.packet_bytes + MESSAGE_PREFIX_BYTES)
    return bytes(out)


def frames(body):
    """The body cut into full DATA frames of stream 1."""
    out = bytearray()
    for at in range(0, len(body), FULL_FRAME_BYTES):
        part = body[at : at + FULL_FRAME_BYTES]
        out += len(part).to_bytes(3, "big") + b"\0\0\0\0\0\1" + part
    return bytes(out)
