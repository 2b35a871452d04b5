"""Debian's python3-grpcio as a client: a gRPC implementation that is not ours."""
import contextlib
import importlib
import json
import queue
import subprocess
import sys
import tempfile

import grpc

from .env import PATIENCE, ROOT, WAIT_S, wait_until
from .wire import PATH


def _generate():
    """Lets protoc make the message classes from the contract itself, in a directory that goes."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run(
            ["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={directory}"]
            + ["telemetry.proto"],
            check=True,
        )
        sys.dont_write_bytecode = True
        sys.path.insert(0, directory)
        try:
            return importlib.import_module("telemetry_pb2")
        finally:
            sys.path.remove(directory)


telemetry_pb2 = _generate()
Packet, Ack = telemetry_pb2.Packet, telemetry_pb2.Ack


def connect(target, credentials=None):
    """A channel with a connection of its own; grpc shares one between equal channels otherwise.
    A refused connection is tried again at once, since servers here come and go. With credentials it
    speaks TLS."""
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]
    if credentials:
        return grpc.secure_channel(target, credentials, options=options)
    return grpc.insecure_channel(target, options=options)


def stub(channel):
    """StreamPackets of `channel`: callable with an iterator of Packet, returns the Ack."""
    return channel.stream_unary(
        PATH, request_serializer=Packet.SerializeToString, response_deserializer=Ack.FromString
    )


def packets(devices):
    return (Packet(device_id=device, timestamp=1, payload=b"x") for device in devices)


def send(target, devices, timeout=WAIT_S, credentials=None, metadata=None):
    """One stream of one packet for each of `devices`, on a connection of its own. Returns what
    its Ack says, or raises grpc.RpcError."""
    with connect(target, credentials) as channel:
        ack = stub(channel)(packets(devices), timeout=timeout * PATIENCE, metadata=metadata)
    return ack.received


class OpenStream:
    """A stream that a test feeds step by step and leaves open as long as it likes."""

    _END = object()

    def __init__(self, target, timeout=120, metadata=None, credentials=None):
        self.queue = queue.Queue()
        self.channel = connect(target, credentials)
        feed = iter(self.queue.get, self._END)
        self.call = stub(self.channel).future(
            feed, timeout=timeout * PATIENCE, metadata=metadata
        )

    def send(self, devices):
        for packet in packets(devices):
            self.queue.put(packet)

    def end(self):
        """Ends the sending side: now the server owes an Ack."""
        self.queue.put(self._END)

    def acknowledged(self):
        """True once the Ack, or an error, is there."""
        return self.call.done()

    def received(self, timeout=WAIT_S):
        """What the Ack says; raises grpc.RpcError when the stream failed."""
        return self.call.result(timeout * PATIENCE).received

    def error(self, timeout=WAIT_S):
        """The error that the stream ended with: has code() and details()."""
        error = self.call.exception(timeout * PATIENCE)
        assert error is not None, "the stream was acknowledged"
        return error

    def close(self):
        self.queue.put(self._END)
        self.call.cancel()
        self.channel.close()


@contextlib.contextmanager
def draining(tallyd, device, metadata=None):
    """A tallyd that drains, since a stream of one packet is open; behind the block it has ended.
    Its Redis has to be there."""
    before = counted(tallyd, metadata)
    with contextlib.closing(OpenStream(tallyd.target, metadata=metadata)) as stream:
        stream.send([device])
        wait_until(lambda: counted(tallyd, metadata) > before, "the stream to be open")
        tallyd.terminate()
        wait_until(lambda: tallyd.get("/readyz")[0] == 503, "the drain")
        yield
        stream.end()
        assert stream.received() == 1
    assert tallyd.wait() == 0


def counted(tallyd, metadata):
    """Packets so far, as who has the token that a call sends may read."""
    return json.loads(tallyd.get("/stats", headers=dict(metadata or ()))[2])["balance"]["received"]
