"""tally-send --replay: pre-rendered frames carry the packets that were promised, to tallyd and to
servers that are not ours, with windows as small as HTTP/2 allows."""
import concurrent.futures
import socket
import threading
from collections import Counter

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from harness.env import PATIENCE, amount
from harness.grpc_client import Ack, Packet
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import PATH, framed

PACKETS = amount(400_000, long=20_000_000, sanitized=40_000)
MODES = {"full-frames": 0, "one-a-frame": 1, "seven-a-frame": 7}
by_mode = pytest.mark.parametrize("frame_packets", MODES.values(), ids=MODES)


# Against tallyd


@by_mode
def test_every_replayed_packet_is_counted_once(redis, tallyd, start_sender, frame_packets):
    sender = start_sender(
        tallyd.target, replay=True, frame_packets=frame_packets, n=PACKETS, devices=1000, zipf="1.1",
        connections=3, streams=2, packets_per_stream=PACKETS // 10 + 1,
    )  # fmt: skip
    assert sender.wait(timeout=300) == 0, sender.output
    sent = sender.acknowledged()
    assert sum(sent.values()) == PACKETS
    assert sent["device-0"] > 5 * sent["device-9"], "that is not Zipf's law"

    assert_same(redis.totals(), sent)
    assert_same(tallyd.metrics(), sent)
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["committed"] == PACKETS


def test_replay_sends_what_a_run_without_it_sends(redis, tallyd, start_sender):
    """As long as no packet is repeated, which here begins after 20,971."""
    options = {"n": 20_000, "devices": 300, "seed": 9, "packet_bytes": 45, "streams": 3}
    runs = [start_sender(tallyd.target, **options, **replay) for replay in ({}, {"replay": True})]
    assert [run.wait() for run in runs] == [0, 0]
    first, second = (run.acknowledged() for run in runs)
    assert_same(first, second)
    assert_same(redis.totals(), {device: 2 * count for device, count in first.items()})
    assert {len(device) for device in first} == {len("device-000")}


def test_replay_of_a_small_ring_is_exact(redis, tallyd, start_sender):
    sender = start_sender(
        tallyd.target, replay=True, replay_mib=1, packet_bytes=16384, n=5000, streams=2
    )
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())


def test_replay_keeps_the_rate(redis, tallyd, start_sender):
    sender = start_sender(tallyd.target, replay=True, n=3000, rate=2000, streams=3, json=True)
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())
    assert '"seconds":' in sender.output
    assert float(sender.output.split('"seconds":')[1].split(",")[0]) > 1.2


def test_replay_tells_when_nobody_is_there(start_sender):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    sender = start_sender(f"127.0.0.1:{port}", replay=True, n=10)
    assert sender.wait() == 1
    assert "Connection refused" in sender.output


# Against servers that are not ours


def test_a_grpc_server_gets_every_packet(start_sender, closing):
    """gRPC's own core: windows of 64 KiB that grow, pings to measure the line, trailers."""
    counts, lock = Counter(), threading.Lock()

    def stream_packets(packets, _):
        own = Counter(packet.device_id for packet in packets)
        with lock:
            counts.update(own)
        return Ack(received=sum(own.values()))

    handler = grpc.stream_unary_rpc_method_handler(
        stream_packets, Packet.FromString, Ack.SerializeToString
    )
    service, method = PATH.strip("/").split("/")
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(service, {method: handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        for frame_packets in MODES.values():
            counts.clear()
            sender = start_sender(
                f"127.0.0.1:{port}", replay=True, frame_packets=frame_packets,
                n=amount(20_000, long=200_000), devices=50, streams=2, connections=2,
                packets_per_stream=4000,
            )  # fmt: skip
            assert sender.wait() == 0, sender.output
            assert_same(dict(counts), sender.acknowledged())
    finally:
        server.stop(None)


class TinyServer:
    """An HTTP/2 server on python3-h2, for one connection. Its stream window is tiny and changes
    while streams are open, below what was sent already too; few streams may be open; it pings."""

    def __init__(self, windows, max_streams):
        self.windows, self.max_streams = windows, max_streams
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.bodies, self.frames, self.open_at_most, self.pings = {}, [], 0, 0
        self.done = []  # bodies of streams that ended
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def close(self):
        self.listener.close()
        self.thread.join(30 * PATIENCE)
        assert not self.thread.is_alive()

    def _serve(self):
        sock, _ = self.listener.accept()
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        codes = h2.settings.SettingCodes
        connection.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                codes.INITIAL_WINDOW_SIZE: self.windows[0],
                codes.MAX_CONCURRENT_STREAMS: self.max_streams,
                codes.HEADER_TABLE_SIZE: 0,
            },
        )
        connection.initiate_connection()
        turn = 0
        with sock:
            sock.sendall(connection.data_to_send())
            while data := sock.recv(65536):
                for event in connection.receive_data(data):
                    self._handle(connection, event)
                turn += 1
                if turn % 5 == 1:
                    window = self.windows[turn // 5 % len(self.windows)]
                    connection.update_settings({codes.INITIAL_WINDOW_SIZE: window})
                    connection.ping(turn.to_bytes(8, "big"))
                sock.sendall(connection.data_to_send())

    def _handle(self, connection, event):
        if isinstance(event, h2.events.RequestReceived):
            self.bodies[event.stream_id] = b""
            self.open_at_most = max(self.open_at_most, len(self.bodies))
        elif isinstance(event, h2.events.DataReceived):
            self.frames.append(len(event.data))
            self.bodies[event.stream_id] += event.data
            if event.flow_controlled_length:
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.PingAckReceived):
            self.pings += 1
        elif isinstance(event, h2.events.StreamEnded):
            body = self.bodies.pop(event.stream_id)
            self.done.append(body)
            received = len(messages(body))
            connection.send_headers(
                event.stream_id, [(":status", "200"), ("content-type", "application/grpc")]
            )
            connection.send_data(
                event.stream_id, framed(Ack(received=received).SerializeToString())
            )
            connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)


def messages(body):
    """The messages of a stream's body; fails when the last one is not whole."""
    found = []
    while body:
        length = int.from_bytes(body[1:5], "big")
        assert body[0] == 0 and len(body) >= 5 + length
        found.append(body[5 : 5 + length])
        body = body[5 + length :]
    return found


@by_mode
@pytest.mark.parametrize("windows", [[7], [1000, 20_000, 1], [65535]], ids=str)
def test_tiny_and_changing_windows_are_obeyed(start_sender, closing, windows, frame_packets):
    server = closing(TinyServer(windows, max_streams=2))
    sender = start_sender(
        server.target, replay=True, frame_packets=frame_packets, packet_bytes=45,
        n=amount(700 if windows == [7] else 20_000, long=60_000, sanitized=700), devices=50,
        streams=5, packets_per_stream=200, timeout_ms=20_000,
    )  # fmt: skip
    assert sender.wait() == 0, sender.output
    counts = Counter(
        Packet.FromString(message).device_id for body in server.done for message in messages(body)
    )
    assert_same(dict(counts), sender.acknowledged())
    assert server.open_at_most <= 2
    assert server.pings > 0
    assert max(server.frames) <= max(windows)
    if windows == [65535] and frame_packets == 1:
        assert set(server.frames) == {50}
