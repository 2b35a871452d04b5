"""What gRPC's users meet, once with each of three client libraries that we did not write: gRPC's C
core (python3-grpcio), grpc-js and grpc-go."""
import time
from collections import Counter

import pytest
from harness import tokens
from harness.certificates import Authority, tls_options
from harness.env import LONG, SANITIZED, amount, have, wait_until
from harness.foreign import (
    CANCELLED,
    DEADLINE_EXCEEDED,
    INTERNAL,
    INVALID_ARGUMENT,
    NOT_FOUND,
    OK,
    RESOURCE_EXHAUSTED,
    STACKS,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNIMPLEMENTED,
    Stack,
    call,
)
from harness.sender import assert_same
from harness.tallyd import assert_balance
from harness.wire import packet, varint

CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
REFLECTION = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
MAX_MESSAGE = 1000


def some(device, n=5, **changed):
    """A call that sends n packets of that device."""
    return call(messages=[packet(device, 1, b"x")], repeat=n, **changed)


@pytest.fixture(name="stack", scope="module", params=STACKS)
def made_stack(request):
    return Stack(request.param)


@pytest.fixture(name="server")
def started_server(redis, start_tallyd):
    return start_tallyd(redis.port, max_message_bytes=MAX_MESSAGE)


def test_streams_are_counted_exactly(stack, redis, server):
    streams, each = 20, amount(2000, long=100_000, sanitized=200)
    devices = [f"{stack.name}-{i % 7}" for i in range(streams)]
    results = stack.play([server.target], [some(device, each) for device in devices])
    assert [(r.code, r.received) for r in results] == [(OK, each)] * streams
    assert_same(redis.totals(), {d: n * each for d, n in Counter(devices).items()})
    assert_balance(server.stats())


def test_errors_come_with_their_status_and_a_reason(stack, redis, server):
    calls = {
        "unknown method": (call("/telemetry.TelemetryIngest/Nope"), UNIMPLEMENTED, "method"),
        "unknown service": (call("/no.Such/Thing"), UNIMPLEMENTED, "service"),
        "no device_id": (call(messages=[packet("good"), b""]), INVALID_ARGUMENT, "packet 1"),
        "no packet": (call(messages=[packet("good"), b"\xff"]), INTERNAL, "packet 1"),
        "too large": (call(messages=[packet("good"), bytes(MAX_MESSAGE + 1)]),
                      RESOURCE_EXHAUSTED, str(MAX_MESSAGE)),
        "late": (some("good", 1, hold_ms=8000, deadline_ms=3000), DEADLINE_EXCEEDED, ""),
        "cancelled": (some("good", 1, hold_ms=8000, cancel_ms=3000), CANCELLED, ""),
        "nothing sent": (call(), OK, ""),
    }
    results = stack.play([server.target], [c for c, _, _ in calls.values()])
    for (name, (_, code, word)), result in zip(calls.items(), results):
        assert result.code == code, (name, result)
        assert word in result.message, (name, result)
    assert results[-1].received == 0
    # What came before the error is counted, and the client is told how much that is.
    assert [r.trailers["tally-received"] for r in results[2:5]] == ["1"] * 3
    wait_until(lambda: redis.totals() == {"good": 5}, "the packets before the errors")
    wait_until(lambda: server.stats()["totals"]["streams_opened"]
               == server.stats()["totals"]["streams_closed"], "no stream left behind")


def test_messages_compressed_with_gzip_are_counted(stack, redis, server):
    small = some("small", 50, gzip=True)
    large = call(messages=[packet("large", 1, b"x" * 800)], repeat=50, gzip=True)
    results = stack.play([server.target], [small, large, some("plain")])
    assert [(r.code, r.received) for r in results] == [(OK, 50), (OK, 50), (OK, 5)], results
    assert_same(redis.totals(), {"small": 50, "large": 50, "plain": 5})


def test_a_message_that_is_too_large_once_unpacked_is_refused(stack, redis, server):
    bomb = call(messages=[packet("good"), packet("bomb", 1, bytes(1_000_000))], gzip=True)
    (result,) = stack.play([server.target], [bomb])
    assert result.code == RESOURCE_EXHAUSTED, result
    assert str(MAX_MESSAGE) in result.message
    wait_until(lambda: redis.totals() == {"good": 1}, "the packet before it")


def test_health_is_told_and_watched(stack, start_redis, start_tallyd):
    redis = start_redis()
    server = start_tallyd(redis.port, redis_grace_ms=300)
    service = b"\x0a\x19telemetry.TelemetryIngest"
    checks = [call(CHECK, [b""]), call(CHECK, [service]), call(CHECK, [b"\x0a\x02no"])]
    results = stack.play([server.target], checks)
    assert [(r.code, r.responses) for r in results[:2]] == [(OK, [SERVING])] * 2, results
    assert results[2].code == NOT_FOUND

    watches = [call(WATCH, [name], cancel_ms=8000) for name in (b"", service)]
    running = stack.start([server.target], watches)
    wait_until(lambda: server.stats()["totals"]["service_calls_opened"] == 5, "both watches")
    time.sleep(0.3)
    redis.kill()
    server.wait_for_log("redis")
    for result in stack.finish(running):
        assert (result.code, result.responses) == (CANCELLED, [SERVING, NOT_SERVING])


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services_and_finds_the_contract(stack, server, version):
    symbol = b"telemetry.TelemetryIngest"
    requests = [b"\x3a\x01*", b"\x22" + varint(len(symbol)) + symbol]
    (result,) = stack.play([server.target], [call(REFLECTION.format(version), requests)])
    assert result.code == OK, result
    services, file = result.responses
    for name in (symbol, b"grpc.health.v1.Health", b"grpc.reflection.v1.ServerReflection"):
        assert name in services
    assert b"telemetry.proto" in file and b"StreamPackets" in file
    assert requests[1] in file, "the answer repeats its request"


def test_a_drain_sends_clients_to_another_server(stack, redis, start_tallyd):
    """Every call is acknowledged, whether it was under way or not yet begun; none counts twice."""
    first, second = (start_tallyd(redis.port, drain_timeout_ms=60_000) for _ in range(2))
    calls = [some(f"d{i}", 10, hold_ms=100, times=25, pause_ms=5) for i in range(4)]
    running = stack.start([first.target, second.target], calls)
    wait_until(lambda: min(s.stats()["totals"]["streams_acknowledged"] for s in (first, second))
               >= 4, "both servers in use")
    assert first.stop() == 0
    results = stack.finish(running)
    assert {(r.code, r.received) for r in results} == {(OK, 10)}, results
    assert_same(redis.totals(), {f"d{i}": 250 for i in range(4)})


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is too slow for times as short as these")
def test_pings_as_often_as_is_allowed_are_answered(stack, redis, start_tallyd):
    if stack.name == "grpc-go" and not LONG:
        pytest.skip("grpc-go pings no more often than every ten seconds; TALLYD_LONG=1 waits")
    every_ms, allowed_ms = (10_000, 10_000) if stack.name == "grpc-go" else (600, 400)
    server = start_tallyd(redis.port, keepalive_min_ping_ms=allowed_ms)
    calls = [some("d", hold_ms=5 * every_ms, deadline_ms=10 * every_ms)]
    (result,) = stack.finish(stack.start([server.target], calls, keepalive_ms=every_ms), 100)
    assert (result.code, result.received) == (OK, 5), result
    assert server.stats()["totals"]["bad_peers"] == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer is too slow for times as short as these")
def test_pings_too_often_are_told_so(stack, redis, start_tallyd):
    if stack.name == "grpc-go":
        pytest.skip("grpc-go pings no more often than every ten seconds")
    server = start_tallyd(redis.port, keepalive_min_ping_ms=60_000)
    (result,) = stack.play([server.target], [some("d", hold_ms=4000)], keepalive_ms=300)
    # grpc-js has a status of its own for ENHANCE_YOUR_CALM.
    assert result.code == (RESOURCE_EXHAUSTED if stack.name == "grpc-js" else UNAVAILABLE), result
    assert server.stats()["totals"]["bad_peer_pings"] >= 1
    assert_same(redis.totals(), {"d": 5})


def test_connections_that_have_their_age_are_made_anew(stack, redis, start_tallyd):
    """The client comes again by itself, and no call notices."""
    server = start_tallyd(redis.port, max_connection_age_ms=400)
    calls = [some(f"d{i}", 10, hold_ms=100, times=30, pause_ms=10) for i in range(3)]
    results = stack.play([server.target], calls)
    assert {(r.code, r.received) for r in results} == {(OK, 10)}, results
    assert_same(redis.totals(), {f"d{i}": 300 for i in range(3)})
    assert server.stats()["totals"]["connections_aged"] >= 2


def test_tls_and_tokens(stack, redis, start_tallyd, tmp_path):
    if not have("openssl"):
        pytest.skip("openssl is not installed")
    authority, file = Authority(tmp_path), tmp_path / "tokens"
    token = tokens.add(file, "north", "ingest")
    server = start_tallyd(redis.port, token_file=file, **tls_options(authority,
                                                                     authority.issue("server")))
    target = f"localhost:{server.grpc_port}"
    calls = [some("d", 100, metadata=tokens.bearer(token)), some("d"),
             some("d", metadata=tokens.bearer("tally_" + "x" * 43))]
    results = stack.play([target], calls, ca=str(authority.path))
    assert (results[0].code, results[0].received) == (OK, 100), results
    assert [r.code for r in results[1:]] == [UNAUTHENTICATED] * 2
    assert_same(redis.totals(), {"d": 100})
