"""Tokens in gRPC: who may send, which devices, how many of them, and until when.

Files of tokens and the command that makes them are test_token_command.py's.
"""
import signal

import grpc
import pytest
from harness import grpc_client, tokens
from harness.env import amount, wait_until
from harness.h2_client import H2Client
from harness.h2_raw import END_STREAM, Raw, data
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import framed, framed_packets, packet

OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
LIST = framed(b"\x3a\x00")
OVERFLOW = "__overflow__"


class Tokens:
    """A token file and what is in it."""

    def __init__(self, path):
        self.file = path
        self.all = tokens.add(path, "all", "ingest")
        self.admin = tokens.add(path, "admin", "admin")
        self.reader = tokens.add(path, "reader", "read")
        self.north = tokens.add(path, "north", "ingest", prefix="north/")
        self.south = tokens.add(path, "south", "ingest", prefix="south/")
        self.five = tokens.add(path, "five", "ingest", max_devices=5)


@pytest.fixture
def known(tmp_path):
    return Tokens(tmp_path / "tokens")


@pytest.fixture
def tallyd(redis, start_tallyd, known):
    public = "/healthz,/readyz,/stats"  # so that these tests can look
    return start_tallyd(redis.port, workers=1, token_file=known.file, http_public=public)


@pytest.fixture
def client(tallyd, closing):
    return closing(H2Client(tallyd.grpc_port))


def bearer(token):
    return tokens.bearer(token)["authorization"]


NO_TOKENS = [None, "", "Bearer", "Bearer x", "Basic dTpw", "bearer", "x"]


@pytest.mark.parametrize("which", [(0, 0), (0, 1), (1, 0), (1, 1, 0)], ids=str)
def test_two_authorizations_are_refused(redis, tallyd, known, which):
    values = [bearer(known.all), bearer(known.all)[:-1]]
    extra = [("authorization", values[i]) for i in which]
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.send(client.request(1, extra=extra), data(1, framed_packets(["d"]), END_STREAM))
        client.wait(lambda seen: seen.field(1, "grpc-status"), "the refusal")
        assert client.seen.field(1, "grpc-status") == str(UNAUTHENTICATED)
        assert "one token" in client.seen.field(1, "grpc-message")
    assert redis.totals() == {}


@pytest.mark.parametrize("value", NO_TOKENS, ids=repr)
def test_without_a_good_token_nothing_comes_in(redis, tallyd, client, known, value):
    values = [value] if value is not None else [None, known.all, bearer(known.all[:-1])]
    for wrong in values + [bearer(known.all) + "x"]:
        for path in ({}, {"path": REFLECTION}):
            reply = client.finish(client.open(authorization=wrong, **path))
            assert reply.status == UNAUTHENTICATED, reply
            assert "token" in reply.message
            assert known.all not in str(reply)
    stream = client.open(authorization=value)
    client.send(stream, framed_packets(["d"]))
    assert client.finish(stream).status == UNAUTHENTICATED
    assert redis.totals() == {}
    totals = tallyd.stats()["totals"]
    assert totals["streams_unauthenticated"] == totals["streams_refused"] == len(values) + 2
    assert known.all not in tallyd.log()


def test_rights_say_who_may_send(redis, tallyd, client, known):
    for token in (known.all, known.admin):
        assert client.call(framed_packets(["d"]), authorization=bearer(token)).status == OK
    reply = client.finish(client.open(authorization=bearer(known.reader)))
    assert reply.status == PERMISSION_DENIED
    assert_same(redis.totals(), {"d": 2})
    totals = tallyd.stats()["totals"]
    assert (totals["streams_denied"], totals["streams_refused"]) == (1, 1)


def test_health_needs_no_token_and_reflection_any(client, known):
    for token in (None, "Bearer unknown", bearer(known.reader)):
        assert client.call(framed(b""), path=CHECK, authorization=token).status == OK
    for token in (known.reader, known.all, known.north):
        reply = client.call(LIST, path=REFLECTION, authorization=bearer(token))
        assert reply.status == OK and b"telemetry.TelemetryIngest" in reply.data


def test_a_library_sends_tokens_as_metadata(redis, tallyd, known):
    with grpc_client.connect(tallyd.target) as channel:
        stream_packets = grpc_client.stub(channel)
        metadata = list(tokens.bearer(known.all).items())
        assert stream_packets(grpc_client.packets(["d"] * 5), metadata=metadata).received == 5
        with pytest.raises(grpc.RpcError) as error:
            stream_packets(grpc_client.packets(["d"]))
        assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
    assert_same(redis.totals(), {"d": 5})


def test_tally_send_shows_its_token(redis, tallyd, known, start_sender, tmp_path):
    (tmp_path / "mine").write_text(known.north + "\n")
    sender = start_sender(
        tallyd.target, n=20_000, id_prefix="north/", token_file=tmp_path / "mine"
    )
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())


# Where the id stands that the token does not cover: whole in a run, alone, in parts, odd.
ODD = b"\x1a\x01x"  # a payload before the id: no usual shape
OUTSIDE = ["south/1", "north", "North/1", "nort", "x", "/north/", "north\\1", "\u00f1orth/"]


@pytest.mark.parametrize("way", ["run", "alone", "parts", "odd"])
def test_a_packet_outside_the_prefix_ends_its_stream(redis, tallyd, client, known, way):
    for device in OUTSIDE:
        good, bad = ["north/1", "north/", "north/2"] * 20, framed(packet(device))
        if way == "odd":
            bad = framed(ODD + packet(device))
        stream = client.open(authorization=bearer(known.north))
        if way == "run":
            client.send(stream, framed_packets(good) + bad + framed_packets(good))
        else:
            client.send(stream, framed_packets(good))
            cut = len(bad) - 2 if way == "parts" else 0
            client.send(stream, bad[:cut])
            client.send(stream, bad[cut:] + framed_packets(good))
        reply = client.finish(stream)
        assert (reply.status, reply.received) == (PERMISSION_DENIED, 60), reply
        assert "packet 60" in reply.message
    counted = 20 * len(OUTSIDE)
    assert_same(redis.totals(), {d: counted for d in ("north/1", "north/", "north/2")})
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["balance"]["rejected"]["denied"] == len(OUTSIDE)
    assert stats["totals"]["streams_not_allowed"] == len(OUTSIDE)


def test_streams_of_many_tokens_on_one_connection_are_kept_apart(redis, tallyd, client, known):
    """They share one worker and one receive, and so the group in which packets are counted."""
    devices = {
        "north/1": known.north,
        "south/1": known.south,
        "d": known.all,
        "f1": known.five,
        "e": known.admin,
    }
    streams = [
        (client.open(authorization=bearer(token)), device)
        for device, token in [*devices.items()] * 3
    ]
    for _ in range(7):
        for stream, device in streams:
            client.connection.send_data(stream, framed_packets([device] * 3))
        client.flush()
    for stream, _ in streams:
        client.send(stream, b"", end=True)
        assert client.finish(stream).status == OK
    assert_same(redis.totals(), dict.fromkeys(devices, 63))


def test_past_its_allowance_a_token_makes_no_more_devices(redis, tallyd, client, known):
    """Totals stay exact: what has no counter of its own is counted together. Others' devices are
    not touched by it, also when the streams take turns."""
    five = client.open(authorization=bearer(known.five))
    other = client.open(authorization=bearer(known.all))
    for i in range(20):
        client.connection.send_data(five, framed_packets([f"five-{i}", "five-0"]))
        client.connection.send_data(other, framed_packets([f"other-{i}"]))
        client.flush()
    for stream, count in ((five, 40), (other, 20)):
        client.send(stream, b"", end=True)
        assert client.finish(stream).data == framed(bytes([8, count]))
    totals = redis.totals()
    assert totals.pop(OVERFLOW) == 15
    assert totals.pop("five-0") == 21
    expected = {f"five-{i}": 1 for i in range(1, 5)} | {f"other-{i}": 1 for i in range(20)}
    assert_same(totals, expected)
    assert_balance(tallyd.stats())


def test_a_revoked_token_ends_its_streams(redis, tallyd, client, known):
    """At the reload, or a moment later; the others, and health, do not notice."""
    gone = client.open(authorization=bearer(known.north))
    stays = client.open(authorization=bearer(known.all))
    asks = client.open(path=REFLECTION, authorization=bearer(known.north))
    watch = client.open(path=WATCH)
    client.send(watch, framed(b""), end=True)
    client.send(gone, framed_packets(["north/1"] * 4))
    client.send(stays, framed_packets(["d"]))
    client.send(asks, LIST)
    wait_until(lambda: redis.totals() == {"north/1": 4, "d": 1}, "both to be counted")
    tokens.revoke(known.file, "north")
    new = tokens.add(known.file, "new", "ingest")
    tallyd.process.send_signal(signal.SIGHUP)
    reply = client.finish(gone)
    assert (reply.status, reply.received) == (UNAUTHENTICATED, 4), reply
    assert client.finish(asks).status == UNAUTHENTICATED
    reply = client.finish(client.open(authorization=bearer(known.north)))
    assert reply.status == UNAUTHENTICATED
    client.send(stays, framed_packets(["d"]), end=True)
    assert client.finish(stays).status == OK
    assert client.call(framed_packets(["d"]), authorization=bearer(new)).status == OK
    assert not client.replies[watch].ended
    assert_same(redis.totals(), {"north/1": 4, "d": 3})


def test_many_streams_with_tokens_are_exact(redis, tallyd, closing, known):
    client, expected = closing(H2Client(tallyd.grpc_port)), {}
    for i in range(amount(300, long=3000)):
        name = ["north", "south"][i % 2]
        token = getattr(known, name)
        reply = client.call(framed_packets([f"{name}/{i % 7}"] * 5), authorization=bearer(token))
        assert reply.status == OK
        expected[f"{name}/{i % 7}"] = expected.get(f"{name}/{i % 7}", 0) + 5
    assert_same(redis.totals(), expected)
