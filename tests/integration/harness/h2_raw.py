"""An HTTP/2 client that has no opinion: it sends frames as bytes, legal or not, and notes all that
comes back. Parsing is hyperframe's, header compression hpack's; nothing stands between a test and
the wire.

    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.send(client.request(1), data(1, b"...", END_STREAM))
        seen = client.settle()          # all that the server had to say about it
        assert seen.goaway is None and seen.resets == {}
"""
import dataclasses
import socket
import ssl
import struct
import time

import hpack
from hyperframe.frame import Frame

from .env import PATIENCE, WAIT_S
from .wire import PATH

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 0x20

# Error codes, RFC 9113, 7.
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL = 5, 6, 7, 8
COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 9, 11

# Settings, 6.5.2.
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """Any frame. `length` may lie."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def data(stream, payload=b"", flags=0):
    return frame(DATA, flags, stream, payload)


def full_frames(stream, payload, flags=0):
    """DATA in frames as large as any server takes, with `flags` on the last one."""
    pieces = [payload[i : i + 16384] for i in range(0, len(payload), 16384)]
    return b"".join(data(stream, piece) for piece in pieces[:-1]) + data(stream, pieces[-1], flags)


def padded(payload, padding, announced=None):
    """The payload of a DATA or HEADERS frame with the flag PADDED."""
    return bytes([padding if announced is None else announced]) + payload + bytes(padding)


def priority(stream, depends_on=0, weight=16):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", depends_on, weight - 1))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def ping(payload=b"8 octets", flags=0, stream=0):
    return frame(PING, flags, stream, payload)


def goaway(last=0, code=NO_ERROR, text=b"", stream=0):
    return frame(GOAWAY, 0, stream, struct.pack(">II", last, code) + text)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


@dataclasses.dataclass
class Seen:
    """What the server has sent since the connection began."""

    settings: list = dataclasses.field(default_factory=list)  # a dict a frame
    settings_acks: int = 0
    pings: list = dataclasses.field(default_factory=list)  # payloads of ACKs
    headers: dict = dataclasses.field(default_factory=dict)  # stream to a list of header lists
    data: dict = dataclasses.field(default_factory=dict)  # stream to the list of payloads
    ended: set = dataclasses.field(default_factory=set)
    resets: dict = dataclasses.field(default_factory=dict)  # stream to error code
    goaway: int = None  # error code of the last one
    goaways: list = dataclasses.field(default_factory=list)  # (last stream, error code)
    closed: bool = False

    def field(self, stream, name):
        """A header or a trailer of a response; None when it is not there, or not yet."""
        for block in self.headers.get(stream, []):
            for key, value in block:
                if key == name:
                    return value
        return None


class Raw:
    """One connection; `tls` is a context for TLS. It reads only inside its own calls."""

    def __init__(self, port, tls=None, timeout=WAIT_S, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.timeout = timeout * PATIENCE
        self.socket.settimeout(self.timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.seen = Seen()
        self.bytes = b""
        self.block = b""
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # What is sent

    def send(self, *frames):
        """Writes all of it at once. A server that has closed already is no error here."""
        try:
            self.socket.sendall(b"".join(frames))
        except (ConnectionError, ssl.SSLError):
            pass

    def greet(self, *pairs):
        """The connection preface with these settings; waits for the server's and acknowledges."""
        self.send(PREFACE, settings(*pairs))
        self.wait(lambda seen: seen.settings and seen.settings_acks, "the server's preface")
        self.send(frame(SETTINGS, ACK))
        return self

    def block_of(self, fields):
        """A header block, encoded in this connection's compression context."""
        return self.encoder.encode(fields, huffman=False)

    @staticmethod
    def fields(**changed):
        """The request headers of StreamPackets. Keywords replace: method="GET", or leave out:
        content_type=None."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": PATH,
            ":authority": "localhost",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        for name, value in changed.items():
            name = name.replace("_", "-")
            headers[":" + name if ":" + name in headers else name] = value
        return [(name, value) for name, value in headers.items() if value is not None]

    def request(self, stream, flags=0, extra=(), **changed):
        """A HEADERS frame that opens a call of StreamPackets, with `extra` fields behind."""
        fields = self.fields(**changed) + list(extra)
        return frame(HEADERS, flags | END_HEADERS, stream, self.block_of(fields))

    # What comes

    def _read(self, timeout):
        """Reads once. Returns False when nothing came in that time."""
        self.socket.settimeout(max(timeout, 0.001))
        try:
            chunk = self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except (ConnectionError, ssl.SSLError):
            chunk = b""
        if not chunk:
            self.seen.closed = True
            return True
        self.bytes += chunk
        while len(self.bytes) >= 9:
            length = int.from_bytes(self.bytes[:3], "big")
            if len(self.bytes) < 9 + length:
                break
            parsed, _ = Frame.parse_frame_header(memoryview(self.bytes[:9]))
            parsed.parse_body(memoryview(self.bytes[9 : 9 + length]))
            self.bytes = self.bytes[9 + length :]
            self._note(parsed)
        return True

    def _note(self, got):
        seen, stream = self.seen, got.stream_id
        if got.type == SETTINGS and "ACK" in got.flags:
            seen.settings_acks += 1
        elif got.type == SETTINGS:
            seen.settings.append(dict(got.settings))
        elif got.type == PING and "ACK" in got.flags:
            seen.pings.append(bytes(got.opaque_data))
        elif got.type == GOAWAY:
            seen.goaway = got.error_code
            seen.goaways.append((got.last_stream_id, got.error_code))
        elif got.type == RST_STREAM:
            seen.resets[stream] = got.error_code
        elif got.type == DATA:
            seen.data.setdefault(stream, []).append(bytes(got.data))
        elif got.type in (HEADERS, CONTINUATION):
            self.block += bytes(got.data)
            if "END_HEADERS" in got.flags:
                seen.headers.setdefault(stream, []).append(self.decoder.decode(self.block))
                self.block = b""
        if got.type in (DATA, HEADERS) and "END_STREAM" in got.flags:
            seen.ended.add(stream)

    def wait(self, condition, what, timeout=None):
        """Reads until `condition(seen)` is true; fails when the server closes before."""
        deadline = time.monotonic() + (timeout * PATIENCE if timeout else self.timeout)
        while not condition(self.seen):
            assert not self.seen.closed, f"closed while waiting for {what}: {self.seen}"
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain for {what}: {self.seen}"
            self._read(left)
        return self.seen

    def settle(self):
        """Reads until the server has said all that it has to say about what was sent: it answers
        frames in their order, and what it owed at the first PING is out at the second one's
        answer. Returns what was seen so far; a connection that is going away is read to its
        end."""
        for _ in range(2):
            self.count += 1
            mark = b"settle%02d" % (self.count % 100)
            before = self.seen.pings.count(mark)
            self.send(ping(mark))
            deadline = time.monotonic() + self.timeout
            while self.seen.pings.count(mark) == before and not self.seen.closed:
                assert time.monotonic() < deadline, f"neither answer nor end: {self.seen}"
                self._read(deadline - time.monotonic())
                if self.seen.goaway:
                    return self.read_to_the_end()
        return self.seen

    def read_to_the_end(self):
        """Reads until the server has closed its side."""
        deadline = time.monotonic() + self.timeout
        while not self.seen.closed:
            assert time.monotonic() < deadline, f"it does not close: {self.seen}"
            self._read(deadline - time.monotonic())
        return self.seen


def literals(fields):
    """A header block that needs no compression context: literal fields that are not indexed."""

    def text(value):
        value = value if isinstance(value, bytes) else value.encode()
        if len(value) < 127:
            return bytes([len(value)]) + value
        rest, out = len(value) - 127, bytearray([127])
        while rest > 127:
            out.append(rest & 127 | 128)
            rest >>= 7
        return bytes([*out, rest]) + value

    return b"".join(b"\0" + text(name) + text(value) for name, value in fields)
