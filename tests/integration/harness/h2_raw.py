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
import ssl
import struct

import hpack
from hyperframe.frame import Frame

from .link import Link
from .wire import framed_packets, request_headers

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


class Raw(Link):
    """One connection."""

    fields = staticmethod(request_headers)

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.seen = Seen()
        self.bytes = b""
        self.block = b""
        self.count = 0

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

    def request(self, stream, flags=0, extra=(), **changed):
        """A HEADERS frame that opens a call of StreamPackets, with `extra` fields behind."""
        fields = self.fields(**changed) + list(extra)
        return frame(HEADERS, flags | END_HEADERS, stream, self.block_of(fields))

    # What comes

    def _take(self, octets):
        self.seen.closed = not octets
        self.bytes += octets
        while len(self.bytes) >= 9:
            length = int.from_bytes(self.bytes[:3], "big")
            if len(self.bytes) < 9 + length:
                break
            parsed, _ = Frame.parse_frame_header(memoryview(self.bytes[:9]))
            parsed.parse_body(memoryview(self.bytes[9 : 9 + length]))
            self.bytes = self.bytes[9 + length :]
            self._note(parsed)

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
        seen = self.seen
        self._read_until(
            lambda: condition(seen) or seen.closed, lambda: f"{what}: {seen}", timeout
        )
        assert condition(seen), f"closed while waiting for {what}: {seen}"
        return seen

    def settle(self):
        """Reads until the server has said all that it has to say about what was sent: it answers
        frames in their order, and what it owed at the first PING is out at the second one's
        answer. Returns what was seen so far; a connection that is going away is read to its
        end."""
        seen = self.seen
        for _ in range(2):
            self.count += 1
            mark = b"settle%02d" % (self.count % 100)
            due = seen.pings.count(mark) + 1
            self.send(ping(mark))
            self._read_until(
                lambda: seen.pings.count(mark) == due or seen.closed or seen.goaway,
                lambda: f"an answer, or the end: {seen}",
            )
            if seen.goaway:
                return self.read_to_the_end()
        return seen

    def read_to_the_end(self):
        """Reads until the server has closed its side."""
        self._read_until(lambda: self.seen.closed, lambda: f"the end: {self.seen}")
        return self.seen


def send_one(tallyd, authority):
    """Sends one packet, of the device d, over TLS, and waits for the Ack."""
    with Raw(tallyd.grpc_port, tls=authority.context(protocols=["h2"])) as client:
        client.greet()
        client.send(client.request(1), data(1, framed_packets(["d"]), END_STREAM))
        client.wait(lambda seen: 1 in seen.ended, "the Ack")


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
