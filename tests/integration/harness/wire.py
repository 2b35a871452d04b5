"""Requests, packets and gRPC messages, made by hand so that they can be wrong on purpose."""

PATH = "/telemetry.TelemetryIngest/StreamPackets"


def request_headers(**changed):
    """The request headers of StreamPackets. Keywords replace: method="GET", or leave out:
    content_type=None. Any other is another header."""
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


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def packet(device, timestamp=0, payload=b""):
    """A telemetry.Packet; a device given as bytes may be anything."""
    device = device.encode() if isinstance(device, str) else device
    out = b"\x0a" + varint(len(device)) + device
    if timestamp:
        out += b"\x10" + varint(timestamp)
    if payload:
        out += b"\x1a" + varint(len(payload)) + payload
    return out


def framed(message, flag=0):
    """A gRPC length-prefixed message."""
    return bytes([flag]) + len(message).to_bytes(4, "big") + message


def framed_packets(devices):
    return b"".join(framed(packet(device)) for device in devices)
