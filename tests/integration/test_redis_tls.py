"""TLS to Redis: refused by a tallyd that was built without it, and never left out by one with it."""
import os
import shutil
import socket

import pytest
import redis as redis_py
from harness import grpc_client
from harness.certificates import Authority
from harness.env import free_port, wait_until
from harness.proxy import Cut, Proxy, Way
from harness.sender import assert_same
from harness.tallyd import assert_balance, run

WITHOUT = "built without TLS to Redis"
BUILT_WITH = WITHOUT not in run("--redis-tls", "--check-config").stderr
only_with = pytest.mark.skipif(
    not BUILT_WITH, reason="this tallyd was built without TLS to Redis: hiredis is older than 1.0"
)
only_without = pytest.mark.skipif(BUILT_WITH, reason="this tallyd was built with TLS to Redis")


def assert_refused(result, *words):
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


def test_tls_options_that_contradict_each_other_are_refused():
    assert_refused(run("--redis-tls-ca", "ca.crt"), "--redis-tls")
    assert_refused(run("--redis-tls", "--redis-socket", "/nowhere"), "--redis-socket")
    assert_refused(run("--redis-tls", "--redis-tls-cert", "a.crt"), "--redis-tls-key")


@only_without
def test_a_build_without_tls_refuses_it_at_start():
    """Before anything is sent, in whichever way it is asked for."""
    for result in (
        run("--redis-tls"),
        run("--redis-tls", "--check-config"),
        run(environment={"REDIS_TLS": "true"}),
    ):
        assert_refused(result, WITHOUT, "hiredis 1.0")


# What follows needs TLS


class TlsRedis:
    """A Redis whose `port` speaks TLS only. Tests themselves come by a Unix socket."""

    def __init__(self, start_redis, directory, authority, *names):
        self.authority = authority
        self.made = authority.sign("redis", *names)
        self.port = free_port()
        socket_path = directory / "redis.sock"
        self.server = start_redis(
            appendfsync="always",
            options=["--tls-port", str(self.port), "--tls-auth-clients", "optional"]
            + ["--tls-cert-file", self.made.cert, "--tls-key-file", self.made.key]
            + ["--tls-ca-cert-file", authority.path, "--unixsocket", str(socket_path)],
        )
        self.client = redis_py.Redis(unix_socket_path=str(socket_path), decode_responses=True)

    def totals(self):
        return {device: int(count) for device, count in self.client.hgetall("device_metrics").items()}


@pytest.fixture
def tls_redis(start_redis, tmp_path, authority):
    return TlsRedis(start_redis, tmp_path, authority, "DNS:redis.test", "IP:127.0.0.1")


@pytest.fixture
def start(start_tallyd, authority):
    """Starts a tallyd that trusts the authority."""

    def start(port, **options):
        return start_tallyd(
            port, **{"redis_tls_ca": authority.path} | options, environment=options_of_tls()
        )

    return start


def options_of_tls():
    """--redis-tls is a flag without a value, which the harness does not write."""
    return {"REDIS_TLS": "true"}


@only_with
def test_files_of_no_use_are_refused_at_start(tmp_path, authority):
    (tmp_path / "junk").write_text("no PEM")
    made = authority.sign("some", "DNS:some.test")
    tls = ["--redis-tls", "--check-config"]
    assert run(*tls, "--redis-tls-ca", authority.path).returncode == 0
    assert_refused(run(*tls, "--redis-tls-ca", tmp_path / "none"), "none", "No such file")
    assert_refused(run(*tls, "--redis-tls-ca", tmp_path / "junk"), "junk")
    other = Authority(tmp_path, "other").sign("stranger")
    pair = ["--redis-tls-cert", made.cert, "--redis-tls-key"]
    assert run(*tls, *pair, made.key).returncode == 0
    assert_refused(run(*tls, *pair, other.key), "key")


@only_with
def test_packets_are_committed_and_read_by_tls(tls_redis, start, start_sender):
    """Large batches and large readings, so that records and buffers are filled and split."""
    tallyd = start(tls_redis.port)
    sender = start_sender(tallyd.target, n=30_000, devices=9_000, connections=2)
    assert sender.wait() == 0, sender.output
    assert_same(tls_redis.totals(), sender.acknowledged())
    assert_same(tallyd.metrics(), sender.acknowledged())
    assert tallyd.device("device-1") == sender.acknowledged()["device-1"]
    assert tallyd.get("/readyz")[0] == 200
    assert_balance(tallyd.stats())
    assert tallyd.stop() == 0


@only_with
def test_faults_on_a_tls_connection_are_resolved(tls_redis, start, closing):
    """Cut both ways, gone silent, and killed: as without TLS, each packet is counted once."""
    proxy = closing(Proxy(tls_redis.port))
    tallyd = start(proxy.port, redis_grace_ms=60_000)
    sent = 0

    def send():
        nonlocal sent
        sent += 10
        with grpc_client.connect(tallyd.target) as channel:
            ack = grpc_client.stub(channel).future(grpc_client.packets(["d"] * 10), timeout=60)
            yield ack
            assert ack.result().received == 10
        assert_same(tls_redis.totals(), {"d": sent})

    for fault in ("none", "answers held", "requests cut", "answers cut", "server killed"):
        links = [link for link in proxy.links if link.is_alive()]
        for link in links:
            if fault == "answers held":
                link.hold(Way.DOWN)
            elif fault == "requests cut":
                link.cut_after(Way.UP, 40, Cut.RST)
            elif fault == "answers cut":
                link.cut_after(Way.DOWN, 10, Cut.FIN)
        round = send()
        next(round)
        if fault == "server killed":
            tls_redis.server.kill()
            tls_redis.server.start()
        next(round, None)
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["flusher"]["redis_connects"] >= 4
    assert tallyd.stop() == 0


@only_with
def test_no_certificate_but_the_right_one_is_believed(tls_redis, start, tmp_path, authority):
    stranger = Authority(tmp_path, "stranger")
    for given, why in [
        ({"redis_tls_ca": stranger.path}, "certificate"),
        ({"redis_tls_ca": None}, "certificate"),  # the system does not know this authority
        ({"redis_tls_server_name": "other.test"}, "name mismatch"),
    ]:
        tallyd = start(tls_redis.port, ready=False, log_level="debug", **given)
        tallyd.wait_for_log(f"TLS: .*{why}")
        assert tallyd.get("/readyz")[0] == 503
        assert tallyd.stop() == 0
    tallyd = start(tls_redis.port, redis_tls_server_name="redis.test")
    assert grpc_client.send(tallyd.target, ["d"]) == 1


@only_with
def test_a_certificate_of_ours_is_shown_where_redis_wants_one(tls_redis, start, authority):
    tls_redis.client.config_set("tls-auth-clients", "yes")
    tallyd = start(tls_redis.port, ready=False)
    tallyd.wait_for_log("Redis: ")
    assert tallyd.get("/readyz")[0] == 503
    ours = authority.sign("tallyd")
    tallyd = start(tls_redis.port, redis_tls_cert=ours.cert, redis_tls_key=ours.key)
    assert grpc_client.send(tallyd.target, ["d"]) == 1


@only_with
def test_a_redis_without_tls_never_hears_the_password(redis, start):
    """There is no way back to plain text, whatever the other side does."""
    tallyd = start(redis.port, ready=False, redis_username="tallyd", redis_password="s3cret-word")
    tallyd.wait_for_log("TLS: |Redis: ")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        deaf = start(
            silent.getsockname()[1],
            ready=False,
            redis_username="tallyd",
            redis_password="s3cret-word",
        )
        peer, _ = silent.accept()
        with peer:
            peer.settimeout(20)
            assert peer.recv(65536).startswith(b"\x16\x03")  # a ClientHello
            deaf.wait_for_log("TLS: no answer within")
    assert redis.client.info("commandstats").get("cmdstat_auth") is None
    assert "s3cret" not in tallyd.log() + deaf.log()


@only_with
def test_new_files_are_taken_at_the_next_connect(tls_redis, start, tmp_path):
    """Redis gets a certificate of another authority, and tallyd the authority, in place."""
    trusted = tmp_path / "trusted.crt"
    shutil.copy(tls_redis.authority.path, trusted)
    tallyd = start(tls_redis.port, redis_tls_ca=trusted, redis_grace_ms=60_000)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    (tmp_path / "new").mkdir()
    new = Authority(tmp_path / "new", "new")
    made = new.sign("redis", "IP:127.0.0.1")
    for option, path in [("cert", made.cert), ("key", made.key)]:
        shutil.copy(path, getattr(tls_redis.made, option))
    tls_redis.client.config_set("tls-ca-cert-file", new.path)
    tls_redis.client.client_kill_filter(_type="normal", skipme=True)
    tallyd.wait_for_log("TLS: .*certificate")
    os.replace(shutil.copy(new.path, tmp_path / "trusted.new"), trusted)
    wait_until(lambda: tallyd.get("/readyz")[0] == 200, "tallyd to trust it")
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert_same(tls_redis.totals(), {"d": 2})


@only_with
def test_redis_saw_no_plain_text(tls_redis, start, closing):
    proxy = closing(Proxy(tls_redis.port))
    tallyd = start(proxy.port)
    assert grpc_client.send(tallyd.target, ["a-device-of-the-test"]) == 1
    assert tallyd.device("a-device-of-the-test") == 1
    assert proxy.links
    for link in proxy.links:
        for way in Way:
            assert link.passed[way]
            assert b"a-device-of-the-test" not in link.passed[way]
            assert b"HINCRBY" not in link.passed[way]
