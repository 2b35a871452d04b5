"""HTTP over TLS: who gets in with which certificate, and who must not cost more than a moment."""
import http.client
import json
import os
import resource
import select
import socket
import ssl
import subprocess
import time

import pytest
from harness.certificates import Authority, tls_options
from harness.env import PATIENCE, amount, free_port, have, wait_until
from harness.http_client import check_problem
from harness.prometheus import Prometheus, samples, scrape
from harness.tallyd import run

HANDSHAKE_MS = 3000 * PATIENCE


@pytest.fixture
def over_tls(redis, start_tallyd, authority, server):
    """Handshakes have a bound of their own here."""
    return start_tallyd(
        redis.port, handshake_timeout_ms=HANDSHAKE_MS, **tls_options(authority, server)
    )


def curl(tallyd, path, *arguments):
    url = f"https://127.0.0.1:{tallyd.http_port}{path}"
    return subprocess.run(
        ["curl", "--silent", "--show-error", *map(str, arguments), url],
        capture_output=True,
        text=True,
        timeout=60 * PATIENCE,
        check=False,
    )


def connect(tallyd):
    return socket.create_connection(("127.0.0.1", tallyd.http_port), timeout=60 * PATIENCE)


def ends(connection):
    """Whether the server closes it, having sent less than an answer."""
    try:
        return len(connection.recv(1000)) < 50 and not connection.recv(1000)
    except ConnectionError:
        return True


def test_curl_reads_counts_with_its_ca_and_not_without(redis, over_tls, authority):
    redis.client.hset("device_metrics", mapping={f"device-{i}": i for i in range(5000)})
    good = curl(over_tls, "/metrics", "--cacert", authority.path, "--verbose")
    assert good.returncode == 0, good.stderr
    assert {row["device_id"]: row["count"] for row in json.loads(good.stdout)} == {
        f"device-{i}": i for i in range(5000)
    }
    assert "ALPN: server accepted http/1.1" in good.stderr
    assert curl(over_tls, "/metrics").returncode == 60  # CURLE_PEER_FAILED_VERIFICATION
    old = curl(over_tls, "/healthz", "--cacert", authority.path, "--tls-max", "1.1")
    assert old.returncode == 35  # CURLE_SSL_CONNECT_ERROR
    assert curl(over_tls, "/healthz", "--cacert", authority.path, "--tls-max", "1.2").stdout


def test_a_connection_carries_many_requests(over_tls):
    connection = over_tls.connect_http()
    for _ in range(50):
        connection.request("GET", "/stats")
        assert json.loads(connection.getresponse().read())["balance"]["received"] == 0
    connection.close()


def test_a_plain_request_is_closed_and_logged(over_tls):
    for request in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 2000, b"\x16\x03\x01\xff"):
        with connect(over_tls) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            assert ends(connection)
    over_tls.wait_for_log(r"TLS with a client of HTTP failed.*peer=127\.0\.0\.1")
    assert over_tls.get("/healthz")[0] == 200
    assert refused(over_tls, "tls") == 3


def test_slow_handshakes_end_and_hold_nobody_up(over_tls):
    """More of them than there are threads that serve."""
    slow = [connect(over_tls) for _ in range(150)]
    for connection in slow[::2]:
        connection.sendall(b"\x16\x03\x01\x02\x00")  # a record of 512 bytes, of which none comes
    began = time.monotonic()
    assert over_tls.get("/healthz")[0] == 200
    assert time.monotonic() - began < HANDSHAKE_MS / 1000
    for connection in slow:
        assert ends(connection)
        connection.close()
    over_tls.wait_for_log("had not ended its TLS handshake in --handshake-timeout-ms")


def test_an_address_has_its_share(redis, start_tallyd, authority, server):
    tallyd = start_tallyd(
        redis.port, http_connections_per_address=5, **tls_options(authority, server)
    )
    held = [connect(tallyd) for _ in range(5)]
    with connect(tallyd) as sixth:
        assert ends(sixth)
    tallyd.wait_for_log("http-connections-per-address")
    for connection in held:
        connection.close()
    wait_until(lambda: answers(tallyd), "a place to be free again")
    assert refused(tallyd, "address") >= 1


def test_who_cannot_be_served_for_want_of_descriptors_is_counted(over_tls, closing):
    """The last descriptor is taken by the client's connection; the one to civetweb gets none."""
    pid = over_tls.process.pid
    client = closing(over_tls.trust.wrap_socket(
        connect(over_tls), server_hostname="127.0.0.1", do_handshake_on_connect=False
    ))
    begin_handshake(client)  # it is accepted, and civetweb is not yet asked
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        client.settimeout(60 * PATIENCE)
        client.do_handshake()
        assert ends(client)
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    over_tls.wait_for_log("a client of TLS cannot be served: Too many open files.*peer=127")
    wait_until(lambda: answers(over_tls), "descriptors to be had again")
    assert {reason: refused(over_tls, reason) for reason in ("tls", "address", "short")} == {
        "tls": 0, "address": 0, "short": 1
    }


def begin_handshake(client):
    """Sends the ClientHello and waits for what the server says to it, which is left unread."""
    client.settimeout(0)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    assert select.select([client], [], [], 60 * PATIENCE)[0]


def test_the_log_names_the_client_whose_connection_is_shut(
    redis, start_tallyd, authority, server, closing
):
    """And not the relay, from which civetweb has all its connections."""
    tallyd = start_tallyd(redis.port, http_connections=16, **tls_options(authority, server))
    for _ in range(20):
        raw = closing(socket.create_connection(
            ("127.0.0.1", tallyd.http_port), 60 * PATIENCE, ("127.0.0.2", 0)
        ))
        closing(tallyd.trust.wrap_socket(raw, server_hostname="127.0.0.1"))
    tallyd.wait_for_log(r"closed an HTTP connection without a request.*peer=127\.0\.0\.2")


def test_who_shakes_no_hands_makes_room(redis, start_tallyd, authority, server):
    tallyd = start_tallyd(
        redis.port, http_connections=8, http_connections_per_address=100,
        handshake_timeout_ms=60_000, **tls_options(authority, server)
    )
    silent = [connect(tallyd) for _ in range(20)]  # 16 of them; others wait in the kernel's queue
    assert tallyd.get("/healthz", timeout=25)[0] == 200
    tallyd.wait_for_log("had not ended its TLS handshake when no more connections were left")
    assert refused(tallyd, "tls") >= 1
    for connection in silent:
        connection.close()


def refused(tallyd, reason):
    return samples(scrape(tallyd)[0])[f'tallyd_http_connections_refused_total{{reason="{reason}"}}']


def answers(tallyd):
    try:
        return tallyd.get("/healthz")[0] == 200
    except OSError:
        return False


def test_a_client_that_does_not_read_is_dropped_and_hurts_nobody(redis, over_tls):
    redis.client.hset("device_metrics", mapping={f"device-{i:09}": i for i in range(100_000)})
    raw = connect(over_tls)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf = over_tls.trust.wrap_socket(raw, server_hostname="127.0.0.1")
    deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    for _ in range(10):
        assert over_tls.get("/healthz")[0] == 200
    deaf.close()


def test_large_answers_come_through_whole_at_once(redis, over_tls):
    """Each byte of many answers at a time, read in odd pieces."""
    redis.client.hset("device_metrics", mapping={f"device-{i:09}": i for i in range(20_000)})
    plain = over_tls.get("/metrics")[2]
    connections = [over_tls.connect_http() for _ in range(amount(8, 30))]
    for connection in connections:
        connection.request("GET", "/metrics")
    for connection in connections:
        response, body = connection.getresponse(), b""
        while part := response.read(4097):
            body += part
        assert body == plain
        connection.close()


def test_events_come_at_once(over_tls):
    connection = over_tls.connect_http()
    connection.request("GET", "/events")
    response = connection.getresponse()
    assert response.status == 200
    assert b"data:" in response.read1(100_000) + response.read1(100_000) + response.read1(100_000)
    connection.close()


def test_the_port_behind_serves_nobody_but_the_proxy(over_tls):
    """civetweb's own port, as any process of this host could find it."""
    (port,) = own_ports(over_tls) - {over_tls.http_port, over_tls.grpc_port}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/healthz")
    response = connection.getresponse()
    assert response.status == 403
    assert b"is not served here" in response.read()


def test_the_proxy_s_port_on_another_address_is_a_stranger_s(mutual, authority):
    """Of this host's addresses 127.0.0.1 is only one: the port that the proxy has there for a
    client with a certificate may be had by anybody on 127.0.0.2."""
    (port,) = own_ports(mutual) - {mutual.http_port, mutual.grpc_port}
    client = http.client.HTTPSConnection(
        "127.0.0.1", mutual.http_port, context=authority.context(authority.issue("client"))
    )
    client.request("GET", "/events")
    events = client.getresponse()  # kept: without it the connection is closed
    assert events.status == 200
    (from_port,) = connected_from("0100007F", port)
    stranger = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=60, source_address=("127.0.0.2", from_port)
    )
    stranger.request("GET", "/metrics")
    assert stranger.getresponse().status == 403
    events.close()
    client.close()


def test_the_proxy_s_port_is_a_stranger_s_as_soon_as_it_is_free(mutual, authority, closing):
    """While the client's connection lingers, the one to civetweb is closed, and its port may be had
    by anybody."""
    (port,) = own_ports(mutual) - {mutual.http_port, mutual.grpc_port}
    client = closing(authority.context(authority.issue("client")).wrap_socket(
        connect(mutual), server_hostname="127.0.0.1"
    ))
    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
    wait_until(lambda: connected_from("0100007F", port), "the proxy to connect")
    (from_port,) = connected_from("0100007F", port)
    client.sendall(b"Connection: close\r\n\r\n")
    answer = b""
    while part := client.recv(65536):
        answer += part
    assert answer.startswith(b"HTTP/1.1 200 ")
    stranger = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=60, source_address=("127.0.0.1", from_port)
    )
    wait_until(lambda: connects(stranger), "the port to be free")
    stranger.request("GET", "/metrics")
    assert stranger.getresponse().status == 403


def connects(connection):
    try:
        connection.connect()
        return True
    except OSError:
        return False


def connected_from(address, port):
    """The ports from which an address, as /proc writes it, has connected to a port of this host."""
    fields = [line.split() for line in open("/proc/net/tcp").readlines()[1:]]
    peers = [own.split(":") for _, own, peer, state, *_ in fields
             if state == "01" and peer == f"0100007F:{port:04X}"]
    return [int(own[1], 16) for own in peers if own[0] == address]


def own_ports(tallyd):
    """The TCP ports that the process listens on, by /proc."""
    listening = {}
    for line in open("/proc/net/tcp").readlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            listening[f"socket:[{fields[9]}]"] = int(fields[1].split(":")[1], 16)
    directory = f"/proc/{tallyd.process.pid}/fd"
    names = {os.readlink(f"{directory}/{fd}") for fd in os.listdir(directory)}
    return {port for name, port in listening.items() if name in names}


# ---- Clients' certificates


@pytest.fixture
def mutual(redis, start_tallyd, authority, server):
    return start_tallyd(redis.port, **tls_options(authority, server, client_ca=authority))


def test_what_is_not_public_needs_a_certificate(mutual, authority, tmp_path):
    assert mutual.get("/healthz")[0] == 200  # so that a container can be asked
    assert mutual.get("/readyz")[0] == 200
    for path in "/metrics", "/metrics/prom", "/stats", "/summary", "/top", "/devices/a", "/events":
        check_problem(mutual.get(path), 403, detail="client certificate")
    assert mutual.get("/")[0] == 200  # the page has no data in it
    mutual.trust = authority.context(authority.issue("client"))
    for path in "/metrics", "/metrics/prom", "/stats", "/summary", "/top":
        assert mutual.get(path)[0] == 200

    stranger = Authority(tmp_path, "other").issue("stranger")
    for pair in stranger, authority.issue_expired("late"):
        mutual.trust = authority.context(pair)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            mutual.get("/healthz")
    mutual.wait_for_log("the peer.s certificate is refused: (certificate has expired|unable to get)")


def test_healthcheck_over_tls(mutual, authority, server):
    options = ["--http-port", mutual.http_port, "--tls-cert", server[0], "--tls-key", server[1]]
    assert run("--healthcheck", *options).returncode == 0
    assert run("--healthcheck", *options, "--tls-client-ca", authority.path).returncode == 0
    plain = run("--healthcheck", "--http-port", mutual.http_port)
    assert plain.returncode == 1 and "TLS: give --tls-cert and --tls-key" in plain.stderr
    assert run("--healthcheck", "--http-port", free_port(), *options[2:]).returncode == 1


def test_a_healthcheck_over_tls_of_what_is_plain_fails_soon(tallyd, server):
    cert, key = server
    options = ["--http-port", tallyd.http_port, "--tls-cert", cert, "--tls-key", key]
    assert run("--healthcheck", *options).returncode == 1


def test_prometheus_scrapes_with_a_certificate(mutual, authority, tmp_path, closing):
    if not have("prometheus"):
        pytest.skip("prometheus is not installed")
    cert, key = authority.issue("prometheus")
    (tmp_path / "prometheus.yml").write_text(
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: tallyd
    metrics_path: /metrics/prom
    scheme: https
    tls_config: {{ca_file: {authority.path}, cert_file: {cert}, key_file: {key}}}
    static_configs: [{{targets: ["127.0.0.1:{mutual.http_port}"]}}]
"""
    )
    prometheus = closing(Prometheus(tmp_path)).start()
    wait_until(lambda: [value for _, value in prometheus.query("up")] == [1], "a scrape")


# ---- Files


def test_bad_files_are_told_before_anything_starts(authority, server, tmp_path):
    cert, key = server
    other = authority.issue("other")
    for arguments, says in [
        (("--tls-cert", tmp_path / "none", "--tls-key", key), "none cannot be read"),
        (("--tls-cert", cert, "--tls-key", other[1]), "is not the one of the first certificate"),
        (("--tls-cert", cert, "--tls-key", key, "--tls-client-ca", key), "no certificate"),
        (("--tls-cert", cert), "one needs the other"),
    ]:
        for command in [("--check-config",), ()]:
            done = run(*arguments, *command, "--http-port", free_port(), "--grpc-port", free_port())
            assert done.returncode in (1, 2) and says in done.stderr, done.stderr
            assert done.stderr.count("\n") == 1
    good = run("--check-config", "--tls-cert", cert, "--tls-key", key)
    assert good.returncode == 0 and not good.stderr
    late = authority.issue_expired("late")
    odd = run("--check-config", "--tls-cert", late[0], "--tls-key", late[1])
    assert odd.returncode == 0 and "has expired" in odd.stderr


def test_a_port_in_use_is_told(over_tls, authority, server):
    cert, key = server
    done = run(
        "--http-port",
        over_tls.http_port,
        *("--grpc-port", free_port(), "--tls-cert", cert, "--tls-key", key),
    )
    assert done.returncode == 1
    assert "is in use: stop the program that holds it" in done.stderr


def test_both_a_certificate_and_a_token_may_be_needed(
    redis, start_tallyd, authority, server, tmp_path
):
    tokens = tmp_path / "tokens"
    made = run("token", "add", "r", "--read", "--token-file", tokens)
    assert made.returncode == 0, made.stderr
    token = {"Authorization": f"Bearer {made.stdout.strip()}"}
    options = tls_options(authority, server, client_ca=authority) | {"token_file": tokens}
    tallyd = start_tallyd(redis.port, http_public="/healthz,/readyz,/top", **options)
    check_problem(tallyd.get("/stats", headers=token), 403, detail="client certificate")
    assert tallyd.get("/top")[0] == 200
    tallyd.trust = authority.context(authority.issue("client"))
    check_problem(tallyd.get("/stats"), 401)
    assert tallyd.get("/stats", headers=token)[0] == 200
