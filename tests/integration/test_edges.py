"""Corners that once went wrong: each test is a fault that was found and mended."""
import re
import socket
import time

import grpc
import pytest
from harness import grpc_client, tallyd as tallyd_module
from harness.certificates import Authority, tls_options
from harness.env import free_port, wait_until
from harness.h2_client import H2Client
from harness.h2_raw import END_STREAM, Raw, data
from harness.sender import assert_same
from harness.wire import framed_packets

LEDGER = "device_metrics:ledger:"


@pytest.mark.parametrize("taken", ["grpc_port", "http_port"])
def test_a_start_that_fails_fences_nobody(redis, start_tallyd, taken):
    first = start_tallyd(redis.port, instance="twin")
    ports = {"grpc_port": free_port(), "http_port": free_port(), taken: getattr(first, taken)}
    second = tallyd_module.run(
        *["--redis-host", "127.0.0.1", "--redis-port", redis.port, "--instance", "twin"],
        *["--grpc-port", ports["grpc_port"], "--http-port", ports["http_port"]],
    )
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1, second.stderr
    assert redis.client.hget(LEDGER + "twin", "epoch") == "1"
    time.sleep(1.5)  # longer than it takes to notice a fence
    assert grpc_client.send(first.target, ["a"]) == 1


def test_a_drain_without_time_still_commits_what_it_can(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, drain_timeout_ms=0, flush_interval_ms=60000)
    client = closing(H2Client(tallyd.grpc_port))
    client.send(client.open(), framed_packets(["d"] * 500))
    assert client.call(b"").status == 0  # it came behind them on the same connection
    assert tallyd.stop() == 0
    assert_same(redis.totals(), {"d": 500})


def test_the_grace_does_not_wait_for_the_flush_interval(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, flush_interval_ms=60000, redis_grace_ms=300)
    redis.kill()
    wait_until(lambda: tallyd.stats()["flusher"]["redis_up"] == 0, "the flusher to notice")
    time.sleep(0.5)
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(tallyd.target, ["refused"])
    assert refused.value.details() == "redis down"


def test_a_flood_of_connections_leaves_descriptors_for_redis(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, open_files=260)
    good = grpc_client.connect(tallyd.target)
    assert grpc_client.stub(good)(grpc_client.packets(["a"])).received == 1
    flood = [socket.create_connection(("127.0.0.1", tallyd.grpc_port)) for _ in range(400)]
    redis.client.client_kill_filter(_type="normal", skipme=True)
    assert grpc_client.stub(good)(grpc_client.packets(["a"]), timeout=60).received == 1
    for peer in flood:
        peer.close()
    good.close()
    assert grpc_client.send(tallyd.target, ["a"]) == 1


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_where_descriptors_are_few_each_has_its_share(redis, start_tallyd, closing, tmp_path, tls):
    options, context = {}, None
    if tls:
        authority = Authority(tmp_path)
        context = authority.context(protocols=["h2"])
        options = tls_options(authority, authority.issue("server"))
    tallyd = start_tallyd(redis.port, open_files=400, http_connections=200, **options)
    for kind in ("HTTP connections", "connections"):
        tallyd.wait_for_log(rf"at most \d+ {kind}, of the \d+ of --.*ulimit -n")
    client = closing(Raw(tallyd.grpc_port, tls=context)).greet()

    def flood(port):
        return [socket.create_connection(("127.0.0.1", port)) for _ in range(400)]

    floods = flood(tallyd.grpc_port)
    tallyd.wait_for_log("refused a connection: .*--max-connections")
    assert tallyd.metrics() == {}  # HTTP has its own
    floods += flood(tallyd.http_port)
    redis.client.client_kill_filter(_type="normal", skipme=True)
    client.send(client.request(1), data(1, framed_packets(["a"]), END_STREAM))
    client.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack", timeout=20)
    for peer in floods:
        peer.close()
    wait_until(lambda: tallyd.metrics() == {"a": 1}, "HTTP again", timeout=20)
    assert "cannot accept" not in tallyd.log()


def test_too_small_a_limit_of_open_files_is_refused(redis, start_tallyd):
    with pytest.raises(AssertionError) as failure:
        start_tallyd(redis.port, open_files=90)
    assert "exited 1" in str(failure.value)
    assert re.search(r"tallyd: cannot start: the process may open 90 files \(ulimit -n\), and 106 "
                     r"are the least", str(failure.value))
    assert start_tallyd(redis.port, open_files=106).metrics() == {}


@pytest.mark.parametrize("how", ["deleted", "flushed"])
def test_a_ledger_that_redis_lost_is_restored(redis, start_tallyd, how):
    tallyd = start_tallyd(redis.port, instance="lost")
    assert grpc_client.send(tallyd.target, ["a"] * 3) == 3
    expected = {"a": 3}
    if how == "deleted":
        redis.client.delete(LEDGER + "lost")
    else:
        redis.client.flushall()
        expected = {}
    wait_until(lambda: redis.client.hget(LEDGER + "lost", "epoch") == "1", "the ledger again")
    assert redis.client.ttl(LEDGER + "lost") > 0
    assert grpc_client.send(tallyd.target, ["a"] * 2) == 2
    assert_same(redis.totals(), {"a": expected.get("a", 0) + 2})
    assert tallyd.stats()["flusher"]["rollbacks"] == 1
    assert "lost data" in tallyd.log()


@pytest.mark.parametrize("streams", [900, 1020])
def test_a_burst_of_short_streams_does_not_end_the_connection(tallyd, closing, streams):
    """Many answers become due in one receive: a queue that is only not sent yet is no flood."""
    client = closing(H2Client(tallyd.grpc_port))
    stream = client.open()
    client.send(stream, framed_packets(["d"]))
    requests = b""
    for _ in range(streams):
        empty = client.connection.get_next_available_stream_id()
        client.connection.send_headers(empty, client.headers(), end_stream=True)
        requests += client.connection.data_to_send()
    client.socket.sendall(requests)
    client.send(stream, framed_packets(["d"]), end=True)
    assert client.finish(stream).status == 0
