"""gRPC over TLS: exact counts, who is let in, what a reload changes and what it does not."""
import re
import signal
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from harness import grpc_client
from harness.certificates import Authority, tls_options
from harness.env import PATIENCE, amount, have, wait_until
from harness.grpc_client import OpenStream
from harness.h2_client import H2Client
from harness.sender import add, assert_same
from harness.tallyd import assert_balance
from harness.wire import PATH, framed_packets


@pytest.fixture
def client(authority):
    return authority.issue("client")


@pytest.fixture
def mutual(redis, start_tallyd, authority, server, client):
    tallyd = start_tallyd(redis.port, **tls_options(authority, server, client_ca=authority))
    tallyd.trust = authority.context(client)
    return tallyd


def credentials(authority, pair=None):
    cert, key = (path.read_bytes() for path in pair) if pair else (None, None)
    return grpc.ssl_channel_credentials(Path(authority.path).read_bytes(), key, cert)


def shown(tallyd, authority, pair=None):
    """The number of the certificate that the gRPC port shows."""
    context = authority.context(pair, ["h2"])
    with socket.create_connection(("127.0.0.1", tallyd.grpc_port), timeout=60) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as secure:
            assert secure.selected_alpn_protocol() == "h2"
            return secure.getpeercert()["serialNumber"]


# ---- Counts


@pytest.mark.parametrize("replay", [False, True])
def test_tally_send_over_tls_is_exact(redis, over_tls, authority, start_sender, replay):
    options = {"tls": True, "tls_ca": authority.path} | ({"replay": True} if replay else {})
    sender = start_sender(
        over_tls.target,
        n=amount(300_000, long=10_000_000, sanitized=20_000),
        devices=1000,
        connections=3,
        streams=4,
        packets_per_stream=amount(9_999, long=99_999, sanitized=999),
        **options,
    )
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())
    assert_same(over_tls.metrics(), sender.acknowledged())
    assert_balance(over_tls.stats())


def test_python_grpcio_over_tls_is_exact(redis, over_tls, authority):
    trust = credentials(authority)
    devices = [f"sensor-{i % 100}" for i in range(amount(5_000, 500_000, 2_000))]
    threads = [
        threading.Thread(target=grpc_client.send, args=(over_tls.target, devices, 60, trust))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    once = {f"sensor-{i}": len(devices) // 100 for i in range(100)}
    assert_same(redis.totals(), add(once, once, once))


def test_tls_1_2_alone_will_do(redis, over_tls, authority):
    context = authority.context(protocols=["h2"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = H2Client(over_tls.grpc_port, tls=context)
    assert client.socket.version() == "TLSv1.2"
    stream = client.open()
    client.send(stream, framed_packets(["a", "b", "a"]), end=True)
    assert client.finish(stream).status == 0
    client.close()
    assert redis.totals() == {"a": 2, "b": 1}


def test_h2load_over_tls(redis, over_tls, tmp_path):
    if not have("h2load"):
        pytest.skip("h2load is not installed (Debian's package nghttp2-client)")
    body = tmp_path / "body"
    body.write_bytes(framed_packets(["a"] * 300 + ["b"] * 700))
    requests = amount(200, long=5000, sanitized=20)
    load = subprocess.run(
        ["h2load", "-n", str(requests), "-c", "4", "-m", "5", "-d", str(body)]
        + ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        + [f"https://{over_tls.target}{PATH}"],
        capture_output=True,
        text=True,
        timeout=100 * PATIENCE,
        check=False,
    )
    assert re.search(rf"\b{requests} succeeded, 0 failed, 0 errored", load.stdout), load.stdout
    assert redis.totals() == {"a": 300 * requests, "b": 700 * requests}


# ---- Who gets in


def s_client(port, *arguments):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *map(str, arguments)],
        input="",
        capture_output=True,
        encoding="latin-1",  # what the server says is no text
        timeout=60 * PATIENCE,
        check=False,
    )


def test_what_openssl_sees(over_tls, authority):
    ca = ["-CAfile", authority.path, "-verify_return_error"]
    port = over_tls.grpc_port
    good = s_client(port, "-alpn", "h2", *ca)
    assert "ALPN protocol: h2" in good.stdout and "Verify return code: 0 (ok)" in good.stdout
    assert "TLSv1.3" in good.stdout
    assert "Secure Renegotiation IS supported" in s_client(port, "-alpn", "h2", "-tls1_2").stdout
    assert s_client(port, "-alpn", "http/1.1", *ca).returncode != 0
    assert s_client(port, *ca).returncode != 0  # gRPC demands ALPN
    weak = ["-cipher", "ALL:@SECLEVEL=0"]
    assert s_client(port, "-alpn", "h2", "-tls1_1", *weak).returncode != 0
    assert s_client(port, "-alpn", "h2", "-tls1_2", "-cipher", "AES128-SHA").returncode != 0
    for first in ("TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"):  # the client chooses
        order = ["-ciphersuites", f"{first}:TLS_AES_256_GCM_SHA384"]
        assert f"Cipher is {first}" in s_client(port, "-alpn", "h2", *order).stdout
    again = s_client(port, "-alpn", "h2", "-tls1_2", "-reconnect")
    assert "Reused" not in again.stdout and again.stdout.count("New, TLSv1.2") > 1
    assert "no TLS session ticket" not in again.stdout and "TLS session ticket:" not in again.stdout


def test_a_client_certificate_is_demanded(redis, mutual, authority, client, tmp_path):
    assert grpc_client.send(mutual.target, ["a"], credentials=credentials(authority, client)) == 1
    stranger = Authority(tmp_path, "other").issue("stranger")
    for pair in (None, stranger, authority.issue_expired("late")):
        with pytest.raises(grpc.RpcError) as refusal:
            grpc_client.send(
                mutual.target, ["a"], credentials=credentials(authority, pair)
            )
        assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    assert redis.totals() == {"a": 1}
    assert mutual.stats()["totals"]["bad_peer_tls"] >= 3


def test_tally_send_shows_its_certificate(redis, mutual, authority, client, start_sender):
    cert, key = client
    options = {"n": 1000, "tls": True, "tls_ca": authority.path}
    sender = start_sender(mutual.target, tls_cert=cert, tls_key=key, **options)
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())
    for replay in {}, {"replay": True}:
        naked = start_sender(mutual.target, **options, **replay)
        assert naked.wait() == 1
        assert re.search(r"TLS ended with .*certificate required", naked.output), naked.output


def test_tally_send_says_why_there_is_no_tls(over_tls, tallyd, authority, start_sender, tmp_path):
    stranger = Authority(tmp_path, "other")
    name = f"localhost:{over_tls.grpc_port}"
    for target, options, says in [
        (name, {"tls_ca": stranger.path}, "certificate is refused: unable to get local issuer"),
        (name, {}, "certificate is refused: unable to get local issuer|self.signed"),
        (
            name,
            {"tls_ca": authority.path, "tls_server_name": "example.org"},
            "certificate is refused: hostname mismatch",
        ),
        (tallyd.target, {"tls_ca": authority.path}, "does it speak TLS"),
    ]:
        sender = start_sender(target, n=10, tls=True, **options)
        assert sender.wait() == 1
        assert re.search(says, sender.output), sender.output
    named = start_sender(
        over_tls.target, n=10, tls=True, tls_ca=authority.path, tls_server_name="localhost"
    )
    assert named.wait() == 0, named.output
    plain = start_sender(over_tls.target, n=10)
    assert plain.wait() == 1
    over_tls.wait_for_log("TLS")


# ---- Reload


def replace(server, pair):
    for old, new in zip(server, pair):
        old.write_bytes(new.read_bytes())


def reload(tallyd):
    def outcomes():
        main = tallyd.stats()["main"]
        return main["reloads"], main["reloads_failed"]

    before = outcomes()
    tallyd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: outcomes() != before, "the reload")
    return outcomes()


def test_a_stream_runs_across_a_reload(redis, over_tls, authority, server):
    stream = OpenStream(over_tls.target, credentials=credentials(authority))
    stream.send(["a"] * 100)
    wait_until(lambda: redis.totals() == {"a": 100}, "the packets before")
    before = shown(over_tls, authority)
    replace(server, authority.issue("next"))
    assert reload(over_tls) == (1, 0)
    assert shown(over_tls, authority) != before
    stream.send(["a"] * 100)
    stream.end()
    assert stream.received() == 200
    stream.close()
    assert redis.totals() == {"a": 200}


def test_a_bad_reload_keeps_the_old_certificate(over_tls, authority, server):
    before = shown(over_tls, authority)
    server[0].write_bytes(authority.issue("other")[0].read_bytes())  # and not its key
    assert reload(over_tls) == (0, 1)
    over_tls.wait_for_log("is not the one of the first certificate")
    assert shown(over_tls, authority) == before
    replace(server, authority.issue_expired("late"))
    assert reload(over_tls) == (0, 2)
    over_tls.wait_for_log("has expired; the old one stays")
    assert shown(over_tls, authority) == before


def test_reloads_under_load_lose_nothing(redis, over_tls, authority, server, start_sender):
    pairs = [authority.issue("one"), authority.issue("two")]
    sender = start_sender(
        over_tls.target,
        n=amount(400_000, long=5_000_000, sanitized=20_000),
        devices=100,
        connections=2,
        packets_per_stream=1000,
        tls=True,
        tls_ca=authority.path,
    )
    for i in range(6):
        replace(server, pairs[i % 2])
        reload(over_tls)
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())


def test_a_new_client_ca_shuts_the_old_clients_out(mutual, authority, client, tmp_path):
    assert mutual.get("/stats")[0] == 200
    other = Authority(tmp_path, "other")
    authority_file = Path(authority.path)
    trust = credentials(authority, client)
    friend = credentials(authority, other.issue("friend"))
    mutual.trust = authority.context(other.issue("reader"))
    authority_file.write_bytes(Path(other.path).read_bytes())
    mutual.process.send_signal(signal.SIGHUP)
    wait_until(lambda: is_served(mutual), "the new client CA to be in force")
    with pytest.raises(grpc.RpcError):
        grpc_client.send(mutual.target, ["a"], credentials=trust)
    assert grpc_client.send(mutual.target, ["a"], credentials=friend) == 1


def is_served(tallyd):
    try:
        return tallyd.get("/stats")[0] == 200
    except OSError:
        return False
