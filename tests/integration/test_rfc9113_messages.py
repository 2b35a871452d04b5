"""RFC 9113, section 8, and RFC 7541: requests that are malformed, and header blocks that are."""
import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness import h2_raw as h2
from harness import rfc9113
from harness.h2_raw import (
    COMPRESSION_ERROR,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PROTOCOL_ERROR,
    Raw,
    data,
    frame,
    settings,
)
from harness.rfc9113 import ACCEPTED, MALFORMED, Case, call, connection_error, open_call
from harness.wire import PATH, framed_packets

PACKET = framed_packets(["a"])
WHOLE = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "localhost")]
GRPC = [("content-type", "application/grpc"), ("te", "trailers")]


def fields(listed, flags=0):
    """A request of exactly these fields, as literals, whatever they are."""

    def act(c):
        block = b"".join(literal(name, value) for name, value in listed)
        c.send(frame(HEADERS, END_HEADERS | flags, 1, block))

    return act


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return bytes([len(value)]) + value


def literal(name, value):
    """A literal field without indexing, RFC 7541, 6.2.2."""
    return b"\0" + text(name) + text(value)


def plus(*more):
    return fields(WHOLE + GRPC + list(more))


def without(name):
    return fields([field for field in WHOLE if field[0] != name] + GRPC)


def with_trailers(listed, flags=END_STREAM):
    def act(c):
        open_call(c)
        block = b"".join(literal(name, value) for name, value in listed)
        c.send(frame(HEADERS, END_HEADERS | flags, 1, block))

    return act


PSEUDO = [
    Case("8.3", "unknown", fields([*WHOLE, (":unknown", "x"), *GRPC]), MALFORMED),
    Case("8.3", "one of responses", fields([*WHOLE, (":status", "200"), *GRPC]), MALFORMED),
    Case("8.3", "protocol without a setting for it",
         fields([*WHOLE, (":protocol", "websocket"), *GRPC]), MALFORMED),
    Case("8.3", "behind a regular field", fields(WHOLE[:2] + GRPC + WHOLE[2:]), MALFORMED),
    Case("8.3", "in trailers", with_trailers([(":path", "/")]), MALFORMED),
    Case("8.3", "of responses in trailers", with_trailers([(":status", "200")]), MALFORMED),
    Case("8.3", "method twice", fields([*WHOLE, (":method", "POST"), *GRPC]), MALFORMED),
    Case("8.3", "scheme twice", fields([*WHOLE, (":scheme", "http"), *GRPC]), MALFORMED),
    Case("8.3", "path twice", fields([*WHOLE, (":path", PATH), *GRPC]), MALFORMED),
    Case("8.3", "authority twice", fields([*WHOLE, (":authority", "x"), *GRPC]), MALFORMED),
    Case("8.3.1", "no method", without(":method"), MALFORMED),
    Case("8.3.1", "no scheme", without(":scheme"), MALFORMED),
    Case("8.3.1", "no path", without(":path"), MALFORMED),
    # Of http and https the authority is a part that must be there (RFC 9110, 4.2), here or in host.
    Case("8.3.1", "no authority", without(":authority"), MALFORMED),
    Case("8.3.1", "host for authority",
         fields([field for field in WHOLE if field[0] != ":authority"] + GRPC + [("host", "x")]),
         ACCEPTED),
    Case("8.3.1", "an empty path", fields(WHOLE[:2] + [(":path", "")] + GRPC), MALFORMED),
    Case("8.3.1", "no fields at all", fields([]), MALFORMED),
    Case("8.5", "CONNECT with a path",
         fields([(":method", "CONNECT"), (":scheme", "http"), (":path", "/"), (":authority", "x")]),
         MALFORMED),
    Case("8.5", "CONNECT without an authority", fields([(":method", "CONNECT")]), MALFORMED),
    Case("8.5", "CONNECT as it should be",
         fields([(":method", "CONNECT"), (":authority", "x:1")]), ACCEPTED),
]

# 8.2.1 has them malformed, and has them be treated so; nghttp2 would leave some out.
FIELDS = [
    Case("8.2.1", "capital letters", plus(("X-Upper", "1")), MALFORMED),
    Case("8.2.1", "a space in a name", plus(("a b", "1")), MALFORMED),
    Case("8.2.1", "a control character in a name", plus(("a\1b", "1")), MALFORMED),
    Case("8.2.1", "an octet over 0x7f in a name", plus((b"a\xffb", "1")), MALFORMED),
    Case("8.2.1", "a colon inside a name", plus(("a:b", "1")), MALFORMED),
    Case("8.2.1", "an empty name", plus(("", "1")), MALFORMED),
    Case("8.2.1", "NUL in a value", plus(("x", "a\0b")), MALFORMED),
    Case("8.2.1", "CR in a value", plus(("x", "a\rb")), MALFORMED),
    Case("8.2.1", "LF in a value", plus(("x", "a\nb")), MALFORMED),
    Case("8.2.1", "a space before a value", plus(("x", " a")), MALFORMED),
    Case("8.2.1", "a tab behind a value", plus(("x", "a\t")), MALFORMED),
    Case("8.2.1", "an empty value", plus(("x", "")), ACCEPTED),
    Case("8.2.1", "octets over 0x7f in a value", plus(("x", b"\xff\xfe")), ACCEPTED),
    Case("8.2.1", "capital letters in trailers", with_trailers([("X-Upper", "1")]), MALFORMED),
    *(Case("8.2.2", name, plus((name, value)), MALFORMED)
      for name, value in (("connection", "close"), ("keep-alive", "timeout=5"),
                          ("proxy-connection", "close"), ("transfer-encoding", "chunked"),
                          ("upgrade", "h2c"))),
    Case("8.2.2", "te but trailers", fields([*WHOLE, GRPC[0], ("te", "gzip")]), MALFORMED),
    Case("8.2.2", "te trailers and more", fields([*WHOLE, GRPC[0], ("te", "trailers, gzip")]),
         MALFORMED),
    Case("8.2.3", "cookies in crumbs", plus(("cookie", "a=b"), ("cookie", "c=d")), ACCEPTED),
]


def body(*frames, length):
    def act(c):
        c.send(c.request(1, extra=[("content-length", length)]), *frames)

    return act


CONTENT_LENGTH = [
    Case("8.1.1", "right", body(data(1, PACKET, END_STREAM), length=str(len(PACKET))), ACCEPTED),
    Case("8.1.1", "right over two frames",
         body(data(1, PACKET[:3]), data(1, PACKET[3:], END_STREAM), length=str(len(PACKET))),
         ACCEPTED),
    Case("8.1.1", "too little came", body(data(1, PACKET, END_STREAM), length="9"), MALFORMED),
    Case("8.1.1", "too much came", body(data(1, PACKET), length="2"), MALFORMED),
    Case("8.1.1", "too much came in two frames", body(data(1, PACKET), data(1, PACKET), length="9"),
         MALFORMED),
    Case("8.1.1", "nothing came",
         lambda c: c.send(c.request(1, END_STREAM, extra=[("content-length", "1")])), MALFORMED),
    Case("8.1.1", "no number", body(length="eight"), MALFORMED),
    Case("8.1.1", "below nothing", body(length="-1"), MALFORMED),
    Case("8.1.1", "over 64 bits", body(length="99999999999999999999"), MALFORMED),
    Case("8.1.1", "twice", plus(("content-length", "8"), ("content-length", "8")), MALFORMED),
]

TRAILERS = [
    Case("8.1", "trailers", with_trailers([("x-sum", "1")]), ACCEPTED),
    Case("8.1", "trailers of no fields", with_trailers([]), ACCEPTED),
    Case("8.1", "trailers that do not end the stream", with_trailers([("x-sum", "1")], 0),
         MALFORMED),
    Case("8.1", "DATA behind trailers",
         lambda c: (with_trailers([("x-sum", "1")])(c), c.send(data(1, PACKET))),
         rfc9113.stream_error_that_ends_the_connection(h2.STREAM_CLOSED)),
]


def block(octets):
    """A header block as it is."""
    return lambda c: c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, octets))


def request_block(before=b"", behind=b""):
    """The block of a request with octets before or behind it."""
    middle = b"".join(literal(name, value) for name, value in WHOLE + GRPC)
    return block(before + middle + behind)


def integer(value, prefix, first=0):
    """RFC 7541, 5.1."""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out = bytearray([first | most])
    value -= most
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


BROKEN = connection_error(COMPRESSION_ERROR)  # RFC 9113, 4.3
HPACK = [
    Case("7541-5.1", "an integer without an end", request_block(behind=b"\xff" + b"\x80" * 20),
         BROKEN),
    Case("7541-5.1", "an integer over 64 bits", request_block(behind=b"\xff" + b"\xff" * 10 + b"\1"),
         BROKEN),
    Case("7541-5.2", "a string longer than the block", request_block(behind=b"\0\x7fabc"), BROKEN),
    Case("7541-5.2", "padding of Huffman's code over 7 bits",
         request_block(behind=b"\0\1x\x82\x1f\xff"), BROKEN),
    Case("7541-5.2", "padding with zeros", request_block(behind=b"\0\1x\x81\x18"), BROKEN),
    Case("7541-5.2", "EOS in Huffman's code", request_block(behind=b"\0\1x\x84\xff\xff\xff\xff"),
         BROKEN),
    Case("7541-5.2", "Huffman's code as it should be", request_block(behind=b"\0\1x\x81\x1f"),
         ACCEPTED),
    Case("7541-6.1", "index 0", request_block(behind=b"\x80"), BROKEN),
    Case("7541-2.3.3", "an index past both tables", request_block(behind=integer(62, 7, 0x80)),
         BROKEN),
    Case("7541-2.3.3", "a name of an index past both tables",
         request_block(behind=integer(70, 4) + text("x")), BROKEN),
    Case("7541-2.3.3", "the greatest index of the dynamic table",
         request_block(behind=b"\x40\1x\1y" + integer(62, 7, 0x80)), ACCEPTED),
    Case("7541-4.2", "a size update behind a field", request_block(behind=b"\x20"), BROKEN),
    Case("7541-6.3", "a size update over the setting",
         request_block(before=integer(4097, 5, 0x20)), BROKEN),
    Case("7541-6.3", "a size update at the setting", request_block(before=integer(4096, 5, 0x20)),
         ACCEPTED),
    Case("7541-4.2", "two size updates", request_block(before=b"\x20" + integer(4096, 5, 0x20)),
         ACCEPTED),
    Case("7541-4.3", "an entry that is gone after a size update of 0",
         lambda c: (request_block(behind=b"\x40\1x\1y")(c),
                    c.send(frame(HEADERS, END_HEADERS, 3, b"\x20" + integer(62, 7, 0x80)))), BROKEN),
    Case("7541-4.4", "an entry larger than the table",
         request_block(before=integer(40, 5, 0x20), behind=b"\x40\1x" + b"\x20" + b"y" * 32),
         ACCEPTED),
    Case("7541-6.2.3", "a field never to be indexed", request_block(behind=b"\x10\1x\1y"), ACCEPTED),
]

CASES = rfc9113.unique([PSEUDO, FIELDS, CONTENT_LENGTH, TRAILERS, HPACK])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_message(h2_port, case):
    with Raw(*h2_port) as client:
        rfc9113.check(client, case)


def test_a_malformed_request_keeps_both_tables_in_step(h2_port):
    """8.1.1 ends the stream, and the connection's compression goes on (4.3)."""
    with Raw(*h2_port) as client:
        client.greet()
        client.send(client.request(1, extra=[("connection", "close"), ("x-both", "sides know it")]))
        assert client.settle().resets == {1: PROTOCOL_ERROR}
        call(client, 3)
        client.send(client.request(5, extra=[("x-both", "sides know it")]))
        assert client.settle().resets == {1: PROTOCOL_ERROR}


@pytest.mark.parametrize("size", [0, 64, 4096, 65536])
def test_the_servers_encoder_keeps_to_the_clients_table(h2_port, size):
    """RFC 7541, 4.2: the response says when the table is smaller, and hpack holds it to that."""
    with Raw(*h2_port) as client:
        client.decoder.max_allowed_table_size = max(size, 4096)
        client.greet((h2.HEADER_TABLE_SIZE, size))
        client.decoder.max_allowed_table_size = size
        for stream in range(1, 9, 2):
            call(client, stream)
        client.send(settings((h2.HEADER_TABLE_SIZE, 0)))
        client.settle()
        client.decoder.max_allowed_table_size = 0
        call(client, 9)
