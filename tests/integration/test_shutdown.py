"""tallyd ends, politely or not: what it promised is in Redis, and nothing is there twice."""
import re
import threading
import time

import grpc
import pytest
from harness import grpc_client
from harness.certificates import tls_options
from harness.env import BUILD, PATIENCE, SANITIZED, amount, wait_until
from harness.grpc_client import OpenStream
from harness.h2_raw import END_STREAM, NO_ERROR, PREFACE, Raw, data, full_frames, settings
from harness.proxy import Proxy, Way
from harness.sender import add, assert_between, assert_same
from harness.wire import framed_packets

CHANGE_CIPHER_SPEC = b"\x14\x03\x03\0\1\1"  # a client's last words of a handshake begin with it

UNAVAILABLE = "14"
RATE = amount(100_000, long=300_000, sanitized=10_000)


def acknowledged_and_not(*runs):
    """The sum of several Sender.expected()."""
    acked = add(*({d: a for d, (a, _) in run.items()} for run in runs))
    unacked = add(*({d: u for d, (_, u) in run.items()} for run in runs))
    return {device: (acked[device], unacked[device]) for device in acked}


def sender_under_way(redis, start_sender, tallyd, **options):
    """A tally-send of about three seconds whose packets are seen in Redis."""
    options = {"n": 3 * RATE, "rate": RATE, "devices": 2000, "streams": 4} | options
    sender = start_sender(tallyd.target, **options)
    wait_until(lambda: redis.client.hlen("device_metrics") > 100, "packets in Redis")
    return sender


def test_sigterm_lets_running_streams_end_and_exits_0(redis, tallyd, start_sender):
    sender = sender_under_way(redis, start_sender, tallyd)
    assert tallyd.stop() == 0
    assert sender.wait() == 0, sender.output  # each stream ended by itself, within the bound
    assert_same(redis.totals(), sender.acknowledged())


def test_a_stream_on_its_way_at_sigterm_is_served(redis, tallyd):
    """Its client was idle, and begins one before it has heard of the end."""
    with Raw(tallyd.grpc_port) as client:
        client.greet()
        client.settle()
        tallyd.terminate()
        tallyd.wait_for_log("draining")
        client.send(client.request(1), data(1, framed_packets(["d"]), END_STREAM))
        client.read_to_the_end()
        assert client.seen.field(1, "grpc-status") == "0"
        assert [last for last, _ in client.seen.goaways][-1] == 1
    assert tallyd.wait() == 0
    assert_same(redis.totals(), {"d": 1})


def test_the_last_goaway_names_every_stream_that_was_counted(redis, start_tallyd, authority,
                                                             closing):
    """RFC 9113, 6.8: what is behind it may be sent again, and would be counted twice. Here the end
    of the handshake and the first stream come at once, when the last stream is already asked for."""
    context = authority.context(protocols=["h2"])
    tallyd = start_tallyd(redis.port, workers=1, **tls_options(authority, authority.issue("server")))
    proxy = closing(Proxy(tallyd.grpc_port))
    proxy.prepare = lambda link: link.hold_from(CHANGE_CIPHER_SPEC)
    with Raw(tallyd.grpc_port, context) as other, Raw(proxy.port, context) as client:
        other.greet()
        other.send(other.request(1))
        other.settle()
        wait_until(lambda: tallyd.stats()["totals"]["connections_opened"] == 2, "it to be taken")
        tallyd.terminate()
        tallyd.wait_for_log("draining")
        client.send(PREFACE, settings(), client.request(1),
                    data(1, framed_packets(["d"]), END_STREAM))
        time.sleep(0.5)
        proxy.links[0].release(Way.UP)
        wait_until(lambda: redis.totals() == {"d": 1}, "it to be counted")
        other.send(data(1, b"", END_STREAM))
        other.read_to_the_end()
        client.read_to_the_end()
        assert client.seen.goaways[-1] == (1, NO_ERROR)
        assert client.seen.field(1, "grpc-status") == "0"
    assert tallyd.wait() == 0
    assert_same(redis.totals(), {"d": 1})


def test_sigterm_while_draining_refuses_new_work(redis, tallyd, closing):
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 5)
    wait_until(lambda: redis.totals() == {"d": 5}, "the stream to be counted")
    tallyd.terminate()
    wait_until(lambda: tallyd.get("/readyz")[0] == 503, "/readyz to answer 503")
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(tallyd.target, ["late"])
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    stream.send(["d"] * 2)
    stream.end()
    assert stream.received() == 7
    assert tallyd.wait() == 0
    assert_same(redis.totals(), {"d": 7})


def test_a_stream_that_never_ends_is_ended_at_the_bound(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, drain_timeout_ms=1500)  # the default is 30 s
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 50)
    wait_until(lambda: redis.totals() == {"d": 50}, "the stream to be counted")
    begin = time.monotonic()
    assert tallyd.stop() == 0
    assert time.monotonic() - begin < 20 * PATIENCE
    assert stream.error().code() == grpc.StatusCode.UNAVAILABLE
    assert_same(redis.totals(), {"d": 50})  # counted, though never acknowledged


def test_sigterm_at_the_bound_under_load_conserves_all_it_counted(
    redis, start_tallyd, start_sender
):
    tallyd = start_tallyd(redis.port, drain_timeout_ms=500)
    sender = sender_under_way(redis, start_sender, tallyd, n=30 * RATE)
    assert tallyd.stop() == 0
    sender.wait()
    assert_between(redis.totals(), sender.expected())


def test_sigterm_without_load_exits_at_once(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, drain_timeout_ms=3_600_000)
    assert tallyd.stop(timeout=20) == 0


def test_sigkill_under_load_keeps_every_acknowledged_stream(
    start_redis, start_tallyd, start_sender
):
    """Three lives of one instance, each killed; many short streams, so that many were
    acknowledged by then."""
    redis = start_redis(appendfsync="always")
    runs = []
    for _ in range(3):
        tallyd = start_tallyd(redis.port, instance="phoenix")
        acknowledged, stopping = {"short": 0}, threading.Event()
        sender = start_sender(tallyd.target, n=10 * RATE, rate=RATE, devices=2000, streams=4)
        short = threading.Thread(target=send_short, args=(tallyd, acknowledged, stopping))
        short.start()
        wait_until(lambda: acknowledged["short"] > 20, "acknowledged streams")
        tallyd.kill()
        stopping.set()
        short.join()
        assert sender.wait() != 0
        runs.append(sender.expected() | {"short": (acknowledged["short"], 1)})
        assert_between(redis.totals(), acknowledged_and_not(*runs))

    tallyd = start_tallyd(redis.port, instance="phoenix")
    assert grpc_client.send(tallyd.target, ["last"] * 3) == 3
    assert redis.totals()["last"] == 3


def send_short(tallyd, acknowledged, stopping):
    """Streams of one packet until the server is gone; at most one is left in doubt."""
    with grpc_client.connect(tallyd.target) as channel:
        stream_packets = grpc_client.stub(channel)
        while not stopping.is_set():
            try:
                stream_packets(grpc_client.packets(["short"]), timeout=30)
            except grpc.RpcError:
                return
            acknowledged["short"] += 1


@pytest.mark.parametrize("devices", [3, 9000])  # less than a transaction, and several
def test_sigterm_with_redis_away_says_what_is_lost_and_exits_3(
    start_redis, start_tallyd, closing, devices
):
    redis = start_redis(appendfsync="always")
    # The interval is long, so that a stream is cut whole.
    tallyd = start_tallyd(
        redis.port, drain_timeout_ms=2000, redis_grace_ms=60_000, flush_interval_ms=60_000
    )
    assert grpc_client.send(tallyd.target, ["safe"] * 5) == 5
    redis.kill()
    client = closing(Raw(tallyd.grpc_port)).greet()
    for i, stream in enumerate((1, 3, 5)):
        lost = framed_packets(f"lost-{n}" for n in range(i, devices, 3)) * 10
        client.send(client.request(stream), full_frames(stream, lost, END_STREAM))
    wait_until(lambda: waiting_streams(tallyd) == 3, "three streams to wait for their Acks")

    assert tallyd.stop() == 3
    lost = tallyd.wait_for_log(r"^.*never committed.*$").group()
    assert {f"{10 * devices}", f"{devices}"} <= set(re.findall(r"\d+", lost)), lost
    seen = client.read_to_the_end()
    assert [seen.field(stream, "grpc-status") for stream in (1, 3, 5)] == [UNAVAILABLE] * 3
    redis.start()
    assert_same(redis.totals(), {"safe": 5})


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's runtime must be the first that is loaded")
def test_sigterm_while_names_are_not_found_ends_in_time(
    start_redis, start_tallyd, closing, tmp_path
):
    slow = tmp_path / "slow"
    redis = start_redis()
    tallyd = start_tallyd(
        redis.port,
        redis_host="redis.test",
        drain_timeout_ms=1000,
        environment={"LD_PRELOAD": str(BUILD / "libslow_names.so"), "SLOW_NAMES": str(slow)},
    )
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 3)
    wait_until(lambda: redis.totals() == {"d": 3}, "its packets to be counted")
    slow.touch()
    redis.kill()
    stream.send(["d"] * 4)
    wait_until(lambda: slow.stat().st_size, "a look-up to begin")
    assert tallyd.stop(timeout=20) == 3
    assert "4 packets of 1 devices were never committed" in tallyd.log()


def test_sigterm_with_redis_frozen_says_that_an_outcome_is_not_known(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port, drain_timeout_ms=1000, redis_grace_ms=60_000)
    assert grpc_client.send(tallyd.target, ["d"] * 5) == 5
    redis.pause()
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 10)
    stream.end()
    wait_until(lambda: waiting_streams(tallyd) == 1, "the stream to wait for its Ack")
    assert tallyd.stop() == 3
    assert "10 packets of 1 devices were never committed" in tallyd.log()
    assert "its outcome is not known" in tallyd.log()
    redis.resume()
    wait_until(lambda: redis.totals()["d"] in (5, 15), "all of it, or nothing")


def waiting_streams(tallyd):
    return sum(worker["streams_waiting"] for worker in tallyd.stats()["workers"])


def test_a_restart_goes_on_where_the_last_one_ended(start_redis, start_tallyd, start_sender):
    redis = start_redis(appendfsync="always")
    sent = {}
    for life in range(3):
        tallyd = start_tallyd(redis.port, instance="phoenix")
        sender = start_sender(tallyd.target, n=RATE // 10, devices=500, seed=life)
        assert sender.wait() == 0, sender.output
        assert tallyd.stop() == 0
        sent = add(sent, sender.acknowledged())
    assert_same(redis.totals(), sent)
