"""RFC 9113, sections 3.4, 6.5 to 6.9: the preface, and what frames bring about together."""
import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness import h2_raw as h2
from harness.h2_raw import (
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    PROTOCOL_ERROR,
    Raw,
    data,
    goaway,
    ping,
    settings,
    window_update,
)
from harness.rfc9113 import SHUT, call, open_call
from harness.wire import framed_packets

PACKET = framed_packets(["a"])


# 3.4, the preface


@pytest.mark.parametrize("preface", [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\x00",
    b"INVALID CONNECTION PREFACE\r\n\r\n",
    b"\r\n" * 20,
    b"pri * http/2.0\r\n\r\nsm\r\n\r\n",
], ids=["last-octet", "text", "blank", "small"])
def test_a_wrong_preface_ends_the_connection_and_is_not_answered(h2_port, preface):
    with Raw(*h2_port) as client:
        client.send(preface)
        seen = client.read_to_the_end()
        assert client.bytes == b"" and not seen.headers


def test_the_preface_may_come_octet_by_octet(h2_port):
    with Raw(*h2_port) as client:
        for octet in h2.PREFACE + settings():
            client.send(bytes([octet]))
        client.wait(lambda seen: seen.settings_acks, "the ACK")
        call(client)


@pytest.mark.parametrize("first", [ping(), data(1, b"x"), window_update(0, 1)],
                         ids=["PING", "DATA", "WINDOW_UPDATE"])
def test_the_preface_without_settings_is_a_connection_error(h2_port, first):
    with Raw(*h2_port) as client:
        client.send(h2.PREFACE, first)
        assert client.read_to_the_end().goaway == PROTOCOL_ERROR


def test_the_servers_preface_comes_first_and_says_what_holds(h2_port):
    with Raw(*h2_port) as client:
        client.send(h2.PREFACE, settings())
        seen = client.wait(lambda seen: seen.settings_acks, "the ACK")
        assert seen.settings[0][h2.MAX_CONCURRENT_STREAMS] >= 100  # 6.5.2 recommends it
        assert seen.settings[0].get(h2.ENABLE_PUSH, 0) == 0


def test_a_call_may_begin_before_the_servers_settings_are_there(h2_port):
    with Raw(*h2_port) as client:
        client.send(h2.PREFACE, settings(), client.request(1), data(1, PACKET, END_STREAM))
        client.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack")


# What several frames do together


def test_settings_are_acknowledged_one_by_one(h2_port):
    with Raw(*h2_port) as client:
        client.greet()
        client.send(*[settings((INITIAL_WINDOW_SIZE, 65535 + i)) for i in range(5)])
        assert client.settle().settings_acks == 1 + 5


def test_a_ping_comes_back_as_it_was(h2_port):
    with Raw(*h2_port) as client:
        client.greet()
        client.send(ping(b"\0\xff\1\xfe\2\xfd\3\xfc"))
        assert b"\0\xff\1\xfe\2\xfd\3\xfc" in client.settle().pings


def ack_bytes(client, stream=1):
    return b"".join(client.seen.data.get(stream, []))


def test_a_window_of_one_octet_is_kept_to(h2_port):
    with Raw(*h2_port) as client:
        client.greet((INITIAL_WINDOW_SIZE, 1))
        client.send(client.request(1), data(1, PACKET, END_STREAM))
        client.wait(lambda seen: 1 in seen.data, "the first octet")
        for octets in range(1, 7):
            client.settle()
            assert len(ack_bytes(client)) == octets
            client.send(window_update(1, 1))
        client.wait(lambda seen: 1 in seen.ended, "the end")
        assert ack_bytes(client) == b"\0\0\0\0\2\x08\1"


def test_a_change_of_the_initial_window_moves_open_windows(h2_port):
    with Raw(*h2_port) as client:
        client.greet(*SHUT)
        client.send(client.request(1), data(1, PACKET, END_STREAM))
        client.wait(lambda seen: 1 in seen.headers, "the headers")
        client.settle()
        assert ack_bytes(client) == b""
        client.send(settings((INITIAL_WINDOW_SIZE, 3)))
        client.settle()
        assert len(ack_bytes(client)) == 3
        client.send(settings((INITIAL_WINDOW_SIZE, 1)))  # 2 below nothing
        client.send(window_update(1, 2))
        client.settle()
        assert len(ack_bytes(client)) == 3
        client.send(window_update(1, 1))
        client.settle()
        assert len(ack_bytes(client)) == 4
        client.send(settings((INITIAL_WINDOW_SIZE, 100)))
        client.wait(lambda seen: 1 in seen.ended, "the end")


def test_the_last_of_two_values_in_one_frame_holds(h2_port):
    with Raw(*h2_port) as client:
        client.greet((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1))
        client.send(client.request(1), data(1, PACKET, END_STREAM))
        client.wait(lambda seen: 1 in seen.data, "the first octet")
        client.settle()
        assert len(ack_bytes(client)) == 1


def test_streams_go_on_behind_the_clients_goaway(h2_port):
    """6.8: it stops new streams of the server, and no stream of the client."""
    with Raw(*h2_port) as client:
        client.greet()
        open_call(client)
        client.send(goaway(text=b"bye"))
        seen = client.settle()
        assert seen.goaway is None and not seen.closed
        client.send(data(1, framed_packets(["later"]), END_STREAM))
        client.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack")
        assert ack_bytes(client) == b"\0\0\0\0\2\x08\2"
