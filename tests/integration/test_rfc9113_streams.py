"""RFC 9113, section 5: each frame in each state of a stream, stream numbers, how many there may be,
and what a server has ended before its client had."""
import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness import h2_raw as h2
from harness import rfc9113
from harness.h2_raw import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    Raw,
    data,
    frame,
    priority,
    reset,
    settings,
    window_update,
)
from harness.rfc9113 import (
    ACCEPTED,
    SHUT,
    Case,
    call,
    connection_error,
    end_call,
    half_close,
    open_call,
    stream_error_that_ends_the_connection,
)
from harness.wire import framed_packets

PACKET = framed_packets(["a"])


# How a stream comes into each of its states; it is stream 1, and the client's first.


def idle(client):
    pass


def opened(client):
    open_call(client)


def half_closed(client):
    half_close(client)


def ended_by_both(client):
    end_call(client)


def reset_by_client(client):
    open_call(client)
    client.send(reset(1))


def reset_by_client_and_seen(client):
    reset_by_client(client)
    client.settle()


def answered_early(client):
    """A server may answer before the request has ended and then, with RST_STREAM and NO_ERROR, ask
    the client to stop (8.1). What that sends until it hears of it is no error."""
    client.send(client.request(1, method="PUT"))
    client.wait(lambda seen: seen.resets.get(1) == h2.NO_ERROR, "the reset")


def answered_early_and_reset(client):
    """Behind its own reset the client has no excuse."""
    answered_early(client)
    client.send(reset(1))


def answered_early_and_ended(client):
    answered_early(client)
    client.send(data(1, PACKET, END_STREAM))


# What is sent then.


def send_data(client):
    client.send(data(1, PACKET))


def send_headers(client):
    client.send(client.request(1, END_STREAM))


def send_trailers(client):
    block = client.block_of([("x-trailer", "1")])
    client.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))


def send_priority(client):
    client.send(priority(1, weight=99))


def send_reset(client):
    client.send(reset(1))


def send_window_update(client):
    client.send(window_update(1, 1))


def send_continuation(client):
    client.send(frame(CONTINUATION, END_HEADERS, 1, client.block_of([("x", "1")])))


def send_push_promise(client):
    client.send(frame(h2.PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2\x82"))


# 5.1. DATA and HEADERS behind the client's own end are stream errors (half-closed) or may be
# connection errors (closed); both are the connection's here, since nothing legal leads there.
BROKEN = connection_error(PROTOCOL_ERROR)
CLOSED = stream_error_that_ends_the_connection(STREAM_CLOSED)
STATES = {
    idle: {
        send_data: BROKEN,
        send_reset: BROKEN,
        send_window_update: BROKEN,
        send_continuation: BROKEN,
        send_push_promise: BROKEN,
        send_priority: ACCEPTED,
        send_headers: ACCEPTED,
    },
    opened: {
        send_data: ACCEPTED,
        send_trailers: ACCEPTED,
        send_reset: ACCEPTED,
        send_window_update: ACCEPTED,
        send_priority: ACCEPTED,
        send_continuation: BROKEN,
        send_push_promise: BROKEN,
    },
    half_closed: {
        send_data: CLOSED,
        send_headers: CLOSED,
        send_trailers: CLOSED,
        send_reset: ACCEPTED,
        send_window_update: ACCEPTED,
        send_priority: ACCEPTED,
        send_continuation: BROKEN,
        send_push_promise: BROKEN,
    },
    ended_by_both: {
        send_data: CLOSED,
        send_headers: CLOSED,
        send_trailers: CLOSED,
        send_reset: ACCEPTED,
        send_window_update: ACCEPTED,
        send_priority: ACCEPTED,
        send_continuation: BROKEN,
    },
    reset_by_client: {
        send_data: CLOSED,
        send_headers: CLOSED,
        send_trailers: CLOSED,
        send_reset: ACCEPTED,
        send_window_update: ACCEPTED,
        send_priority: ACCEPTED,
        send_continuation: BROKEN,
    },
    reset_by_client_and_seen: {
        send_data: CLOSED,
        send_headers: CLOSED,
        send_reset: ACCEPTED,
        send_continuation: BROKEN,
    },
    answered_early: {
        send_data: ACCEPTED,
        send_trailers: ACCEPTED,
        send_reset: ACCEPTED,
        send_window_update: ACCEPTED,
        send_priority: ACCEPTED,
        send_continuation: BROKEN,
    },
    answered_early_and_reset: {send_data: CLOSED, send_headers: CLOSED, send_reset: ACCEPTED},
    answered_early_and_ended: {send_data: CLOSED, send_headers: CLOSED, send_reset: ACCEPTED},
}


def then(state, action):
    def act(client):
        state(client)
        action(client)

    return act


def name(function):
    return function.__name__.replace("_", " ")


STATE_CASES = [
    Case("5.1", f"{name(state)} {name(action)}", then(state, action), demand,
         greeting=SHUT if state is half_closed else ())
    for state, actions in STATES.items()
    for action, demand in actions.items()
]


def headers_of(*streams):
    """Requests on these streams, in this order, in one write."""
    return lambda c: c.send(*[c.request(stream, END_STREAM) for stream in streams])


NUMBER_CASES = [
    Case("5.1.1", "an even number", headers_of(2), BROKEN),
    Case("5.1.1", "a number below the last", headers_of(5, 3), BROKEN),
    Case("5.1.1", "a number below the last, later",
         lambda c: (end_call(c, 5), headers_of(3)(c)), BROKEN),
    Case("5.1.1", "gaps", headers_of(1, 7, 9, 101), ACCEPTED),
    Case("5.1.1", "DATA of a number that was skipped",
         lambda c: (end_call(c, 5), c.send(data(3, PACKET))), BROKEN),
    Case("5.3", "exclusive dependencies in a ring",
         lambda c: (open_call(c, 1), open_call(c, 3),
                    c.send(priority(1, 1 << 31 | 3), priority(3, 1 << 31 | 1))), ACCEPTED),
    Case("5.4.2", "an error of one stream leaves the others",
         lambda c: (open_call(c, 1), c.send(c.request(3, extra=[("UPPER", "x")])),
                    c.send(data(1, PACKET, END_STREAM)),
                    c.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack")),
         rfc9113.stream_error(PROTOCOL_ERROR, stream=3)),
]


@pytest.mark.parametrize("case", rfc9113.unique([STATE_CASES, NUMBER_CASES]), ids=str)
def test_a_stream(h2_port, case):
    with Raw(*h2_port) as client:
        rfc9113.check(client, case)


def test_the_last_number_there_can_be_is_served(h2_port):
    with Raw(*h2_port) as client:
        client.greet()
        call(client, (1 << 31) - 1)


def test_streams_past_the_limit_are_refused(h2_port):
    """5.1.2: a stream error, also once the client has acknowledged the limit and so knows it. It is
    REFUSED_STREAM, upon which a client may try again, and the connection serves on."""
    with Raw(*h2_port) as client:
        client.greet()
        most = client.seen.settings[0][h2.MAX_CONCURRENT_STREAMS]
        client.send(*[client.request(2 * i + 1) for i in range(most)])
        assert client.settle().goaway is None
        client.send(client.request(2 * most + 1))
        seen = client.settle()
        assert seen.goaway is None and seen.resets == {2 * most + 1: REFUSED_STREAM}
        client.send(data(1, PACKET, END_STREAM))
        client.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack")


def test_streams_past_the_limit_before_it_is_acknowledged_are_refused_one_by_one(h2_port):
    with Raw(*h2_port) as client:
        client.send(h2.PREFACE, settings())
        client.wait(lambda seen: seen.settings, "the server's settings")
        most = client.seen.settings[0][h2.MAX_CONCURRENT_STREAMS]
        client.send(*[client.request(2 * i + 1) for i in range(most + 2)])
        client.wait(lambda seen: len(seen.resets) == 2, "two resets")
        refused = {2 * most + 1: REFUSED_STREAM, 2 * most + 3: REFUSED_STREAM}
        assert client.settle().resets == refused
        # Of those that were refused the client may not have heard yet.
        client.send(*[data(stream, PACKET) for stream in refused])
        client.send(*[data(stream, PACKET, END_STREAM) for stream in (1, 3)])
        client.wait(lambda seen: seen.ended >= {1, 3}, "the Acks")
        assert client.settle().goaway is None
        client.send(frame(h2.SETTINGS, h2.ACK))
        call(client, 2 * most + 5)


def test_room_comes_back_as_streams_end(h2_port):
    with Raw(*h2_port) as client:
        client.greet()
        most = client.seen.settings[0][h2.MAX_CONCURRENT_STREAMS]
        client.send(*[client.request(2 * i + 1) for i in range(most)])
        client.settle()
        client.send(reset(1), data(3, PACKET, END_STREAM))
        client.wait(lambda seen: 3 in seen.ended, "an Ack")
        client.send(client.request(2 * most + 1), client.request(2 * most + 3))
        seen = client.settle()
        assert seen.goaway is None and seen.resets == {}


def test_streams_that_interleave_are_counted_apart(h2_port):
    with Raw(*h2_port) as client:
        client.greet()
        streams, packet = range(1, 41, 2), framed_packets(["interleaved"])
        client.send(*[client.request(stream) for stream in streams])
        for octet in range(len(packet)):  # each packet in as many frames as it has octets
            client.send(*[data(stream, packet[octet : octet + 1]) for stream in streams])
        client.send(*[data(stream, b"", END_STREAM) for stream in reversed(streams)])
        client.wait(lambda seen: seen.ended >= set(streams), "all Acks")
        assert all(client.seen.field(stream, "grpc-status") == "0" for stream in streams)


def test_a_window_of_nothing_holds_one_stream_up_and_no_other(h2_port):
    with Raw(*h2_port) as client:
        client.greet((INITIAL_WINDOW_SIZE, 0))
        for stream in (1, 3):
            client.send(client.request(stream), data(stream, PACKET, END_STREAM))
        client.wait(lambda seen: {1, 3} <= seen.headers.keys(), "both responses")
        client.send(window_update(3, 100))
        client.wait(lambda seen: 3 in seen.ended, "the Ack of stream 3")
        assert 1 not in client.settle().data
