"""Resident memory of tallyd, as it grows: what a device costs, and an idle connection."""
import resource
import socket

import h2.config
import h2.connection
import machine
from harness.env import wait_until
from harness.h2_client import H2Client
from harness.wire import framed, packet
from loads import Packets, TallySend

PASSES = 4  # packets for each device and worker
MESSAGE_BYTES = 50  # of a packet of 45 B
COMMIT_TIMEOUT_MS = 240_000  # for 10 M HINCRBYs, twice, with room
SPARE_FILES = 200
SETTINGS_ACK = b"\0\0\0\4\1\0\0\0\0"


def devices(result, tallyd, count, workers):
    """Grows the maps from nothing to about `count` devices, each of them on every worker: each has
    one connection, on which all the packets come that tally-send renders: PASSES a device."""
    pid = tallyd.process.pid
    TallySend(Packets(devices=100), connections=workers).run(tallyd.target, 1_000_000)
    before = machine.resident_bytes(pid)
    load = TallySend(
        Packets(devices=count),
        connections=workers,
        replay_mib=-(-count * PASSES * MESSAGE_BYTES // 2**20),
        timeout_ms=COMMIT_TIMEOUT_MS,
    )
    load.run(tallyd.target, count * PASSES * workers)
    growth = machine.resident_bytes(pid) - before

    seen = tallyd.stats()["flusher"]["devices"]
    id_bytes = len(f"device-{count - 1}")  # of all of them: tally-send adds leading zeros
    result.add("device", "bytes", growth / seen / workers - id_bytes)
    result.add("resident", "bytes", machine.resident_bytes(pid))


def connections(result, tallyd, count):
    """Connections with an open stream each, on which one packet came and nothing more. Kernel
    memory (socket buffers) is not in it."""
    _allow_files(count + SPARE_FILES)
    greeting = _greeting()
    pid = tallyd.process.pid
    sockets = [_connect(tallyd, greeting)]
    _wait_for_streams(tallyd, 1)
    before = machine.resident_bytes(pid)
    try:
        sockets += [_connect(tallyd, greeting) for _ in range(count)]
        _wait_for_streams(tallyd, count + 1)
        result.add("connection", "bytes", (machine.resident_bytes(pid) - before) / count)
    finally:
        for one in sockets:
            one.close()


def _allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise AssertionError(f"{count} open files needed, the limit is {hard}: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))


def _greeting():
    """What a client sends for an open stream with one packet; the same on every connection."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    stream = client.get_next_available_stream_id()
    client.send_headers(stream, H2Client.headers())
    client.send_data(stream, framed(packet("idle")))
    return client.data_to_send()


def _connect(tallyd, greeting):
    one = socket.create_connection(("127.0.0.1", tallyd.grpc_port), timeout=30)
    one.sendall(greeting)
    one.recv(1024)  # its SETTINGS
    one.sendall(SETTINGS_ACK)
    return one


def _wait_for_streams(tallyd, count):
    wait_until(
        lambda: tallyd.stats()["totals"]["streams_opened"] >= count
        and tallyd.stats()["balance"]["committed"] >= count,
        f"{count} open streams with a packet each",
        60,
    )
