"""Load from a real client library: Python's grpcio, one thread a stream. Packets are made and
rendered when they are sent, as devices do it; Python itself is what bounds the rate."""
import argparse
import json
import random
import sys
import threading
import time

import grpc
import telemetry_pb2
import telemetry_pb2_grpc

TIMESTAMP_MS = 1_700_000_000_000  # six bytes on the wire, like today's


def make_packet(device, payload=b""):
    return telemetry_pb2.Packet(
        device_id=f"device-{device:07}", timestamp=TIMESTAMP_MS, payload=payload
    )


def make_payload(packet_bytes):
    """What makes a packet so long, or None when nothing does."""
    for length in range(max(0, packet_bytes - make_packet(0).ByteSize()), -1, -1):
        if make_packet(0, bytes(length)).ByteSize() == packet_bytes:
            return bytes(length)
    return None


def send(options, number, payload, acked):
    """One stream on a connection of its own; equal channels would share one otherwise."""
    count = options.n // options.streams + (number < options.n % options.streams)
    choose = random.Random(number)
    packets = (make_packet(choose.randrange(options.devices), payload) for _ in range(count))
    with grpc.insecure_channel(
        options.target, options=[("grpc.use_local_subchannel_pool", 1)]
    ) as channel:
        stub = telemetry_pb2_grpc.TelemetryIngestStub(channel)
        acked[number] = stub.StreamPackets(packets).received


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="127.0.0.1:50051")
    parser.add_argument("--n", type=int, default=10_000, help="packets in all")
    parser.add_argument("--streams", type=int, default=2)
    parser.add_argument("--devices", type=int, default=1_000, help="at most 10 million")
    parser.add_argument("--packet-bytes", type=int, default=45, help="at least 23")
    options = parser.parse_args()
    payload = make_payload(options.packet_bytes)
    if payload is None or not 0 < options.devices <= 10_000_000:
        parser.error("no packet is like that")
    acked = [0] * options.streams
    threads = [
        threading.Thread(target=send, args=(options, i, payload, acked))
        for i in range(options.streams)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    print(json.dumps({"packets": options.n, "seconds": round(seconds, 6), "acked": sum(acked)}))
    sys.exit(0 if sum(acked) == options.n else 1)


if __name__ == "__main__":
    main()
