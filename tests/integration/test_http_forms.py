"""The forms of HTTP answers: ETags, compression, HEAD, HTTP/1.0, what an Accept header chooses;
and that no answer is a page of the web server itself."""
import gzip
import json
import random
import re

import pytest
from harness import grpc_client
from harness.env import amount
from harness.http_client import SMALL, TIME, ask, check_problem, fill, raw, varies
from harness.prometheus import PROMETHEUS_2
from harness.redis_server import KEY


# ---- Freshness, ETags, compression -------------------------------------------------------------


def test_answers_tell_their_age(redis, tallyd):
    fill(redis)
    for path in ["/metrics", "/metrics?limit=1", "/devices/a1", "/devices/nobody"]:
        headers = tallyd.get(path)[1]
        assert int(headers["Age"]) == 0
        assert TIME.fullmatch(headers["X-Tally-Committed-At"])
        assert "X-Tally-Stale" not in headers


def test_an_etag_saves_the_body_until_something_changes(redis, tallyd):
    fill(redis)
    status, headers, body = ask(tallyd, "/metrics")
    tag = headers["ETag"]
    assert status == 200 and re.fullmatch(r'W/"[\w-]+"', tag)
    assert headers["Cache-Control"] == "no-cache"
    for known in [tag, tag.removeprefix("W/"), f'"x", {tag} , W/"y"', "*"]:
        status, headers, body = ask(tallyd, "/metrics", If_None_Match=known)
        assert (status, body, headers["ETag"]) == (304, b"", tag)
        assert TIME.fullmatch(headers["X-Tally-Committed-At"])
    assert ask(tallyd, "/metrics", If_None_Match='W/"other"')[0] == 200
    assert ask(tallyd, "/metrics?limit=2", If_None_Match=tag)[0] == 200
    assert ask(tallyd, "/metrics?sort=count", If_None_Match=tag)[0] == 200

    assert grpc_client.send(tallyd.target, ["a1"]) == 1
    status, headers, body = ask(tallyd, "/metrics", If_None_Match=tag)
    assert status == 200 and headers["ETag"] != tag
    assert {"device_id": "a1", "count": 8} in json.loads(body)


def test_an_etag_means_nothing_to_another_process(redis, start_tallyd):
    fill(redis)
    tags = {start_tallyd(redis.port).get("/metrics")[1]["ETag"] for _ in range(3)}
    assert len(tags) == 3


def test_gzip_is_the_same_body(redis, tallyd):
    redis.client.hset(KEY, mapping={f"device-{i}": i for i in range(20_000)})  # several pieces
    for query in ["", "?limit=100", "?sort=-count"]:
        _, plain, whole = ask(tallyd, "/metrics" + query)
        _, packed, body = ask(tallyd, "/metrics" + query, Accept_Encoding="gzip, deflate")
        assert plain["Content-Encoding"] is None
        assert packed["Content-Encoding"] == "gzip"
        assert gzip.decompress(body) == whole
        assert len(body) < len(whole)
        assert varies(plain) >= {"Accept", "Accept-Encoding"} <= varies(packed)
        assert plain["ETag"] == packed["ETag"]
        known = ask(tallyd, "/metrics" + query, Accept_Encoding="gzip", If_None_Match=plain["ETag"])
        assert known[0] == 304


@pytest.mark.parametrize("accepted", ["identity", "gzip;q=0", "br", "*;q=0", ""])
def test_who_does_not_take_gzip_gets_none(redis, tallyd, accepted):
    redis.client.hset(KEY, mapping={f"device-{i}": i for i in range(1000)})
    status, headers, body = ask(tallyd, "/metrics", Accept_Encoding=accepted)
    assert (status, headers["Content-Encoding"]) == (200, None)
    assert len(json.loads(body)) == 1000


# ---- Forms of HTTP -----------------------------------------------------------------------------


@pytest.mark.parametrize("devices", [6, 20_000])
@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics?limit=3", "/devices/d1", "/devices/x", "/stats", "/x", "/readyz"]
)
def test_head_is_get_without_the_body(redis, tallyd, path, devices):
    redis.client.hset(KEY, mapping={f"d{i}": i for i in range(devices)})

    def head(method):
        request = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        status, headers, body = raw(tallyd, request.encode())
        for volatile in ["date", "age", "x-tally-committed-at"]:
            headers.pop(volatile, None)
        if path == "/stats":  # its numbers move
            headers.pop("content-length")
        return status, headers, body

    whole, bare = head("GET"), head("HEAD")
    assert whole[:2] == bare[:2]
    assert whole[2] and not bare[2]


@pytest.mark.parametrize("devices", [6, 20_000])
def test_http_1_0_gets_a_body_without_chunks(redis, tallyd, devices):
    counts = {f"d{i}": i for i in range(devices)}
    redis.client.hset(KEY, mapping=counts)
    status, headers, body = raw(tallyd, b"GET /metrics HTTP/1.0\r\n\r\n")
    assert status == 200
    assert "transfer-encoding" not in headers
    assert headers["connection"] == "close"
    assert {row["device_id"]: row["count"] for row in json.loads(body)} == counts


def test_a_connection_carries_many_requests(redis, tallyd):
    """Also behind an error, behind 304 and behind HEAD, which must all leave it in step."""
    redis.client.hset(KEY, mapping={f"d{i}": i for i in range(20_000)})
    requests = "".join(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {known}\r\n\r\n"
        for method, path, known in [
            ("HEAD", "/metrics", '"x"'),
            ("GET", "/metrics", "*"),
            ("GET", "/metrics?x=1", '"x"'),
            ("GET", "/nowhere", '"x"'),
            ("GET", "/metrics?limit=2", '"x"'),
        ]
    )
    last = "GET /devices/d7 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    _, _, rest = raw(tallyd, (requests + last).encode())
    heads = re.findall(rb"^HTTP/1.1 (\d+) ", rest, re.MULTILINE)
    assert heads == [b"304", b"400", b"404", b"200", b"200"]
    assert rest.endswith(b'{"device_id":"d7","count":7}\n')


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/metrics", "/devices/a", "/healthz", "/nowhere"])
def test_other_methods_are_refused(tallyd, method, path):
    answer = tallyd.get(path, method=method)
    check_problem(answer, 405)
    assert answer[1]["Allow"] == "GET, HEAD"


# ---- Which form of /metrics --------------------------------------------------------------------

CURL = "*/*"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
AXIOS = "application/json, text/plain, */*"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_1 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;"
    "q=0.7,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
)
JSON, TEXT, OPEN = "application/json", "text/plain", "application/openmetrics-text"


@pytest.mark.parametrize(
    "accept, form",
    [
        (None, JSON),
        ("", JSON),
        (CURL, JSON),
        (BROWSER, JSON),
        (AXIOS, JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("text/html", JSON),
        ("image/png;q=1", JSON),
        ("rubbish", JSON),
        (";;;,,,=/*", JSON),
        ("text/plain;q=0", JSON),
        ("text/plain;q=0.3, application/json;q=0.4", JSON),
        ("application/openmetrics-text;version=0.0.1", JSON),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("TEXT/PLAIN ; Version=0.0.4", TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        (PROMETHEUS_1, TEXT),
        ("application/openmetrics-text", OPEN),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", OPEN),
        (PROMETHEUS_2, OPEN),
        (PROMETHEUS_3, OPEN),
    ],
)
def test_the_accept_header_chooses_the_form(redis, tallyd, accept, form):
    fill(redis)
    status, headers, body = tallyd.get("/metrics", headers={"Accept": accept} if accept else {})
    assert status == 200
    assert headers["Content-Type"].partition(";")[0] == form
    assert "Accept" in varies(headers)
    if form == JSON:
        assert len(json.loads(body)) == len(SMALL)
    else:
        assert b"\ntallyd_packets_received_total " in body
        assert body.endswith(b"# EOF\n") == (form == OPEN)


@pytest.mark.parametrize("accept", ["text/plain", PROMETHEUS_2])
def test_the_prometheus_forms_take_no_parameters(tallyd, accept):
    check_problem(ask(tallyd, "/metrics?prefix=a&sort=count", Accept=accept), 400, "prefix")
    check_problem(ask(tallyd, "/metrics?x=a", Accept=accept), 400, "x")


# ---- No pages ----------------------------------------------------------------------------------


def requests_of_all_kinds():
    """Requests that no browser would send, well-formed and not."""
    paths = ["/%", "/%00", "/..", "/../../etc/passwd", "/%2e%2e/", "//", "/;", "/?", "/.htaccess"]
    paths += ["/metrics/../stats", "/devices/<script>", "*", "http://x/metrics", "/a b", "/é", "x"]
    paths += ["/cgi-bin/x.cgi", "/index.html", "/metrics?" + "a" * 5000, "/" + "a" * 40_000]
    yield from (f"GET {path} HTTP/1.1\r\nHost: x\r\n" for path in paths)
    yield from ["GET", "GET /", "GET / HTTP/9.9\r\n", "BREW / HTTP/1.1\r\n", "GET\t/ HTTP/1.1\r\n"]
    yield from ["CONNECT x:1 HTTP/1.1\r\n", "TRACE / HTTP/1.1\r\n", "PROPFIND / HTTP/1.1\r\n"]
    yield "GET /metrics HTTP/1.1\r\nContent-Length: x\r\n"
    yield "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
    yield "POST /metrics HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n"
    yield "POST /metrics HTTP/1.1\r\nExpect: rubbish\r\nContent-Length: 5\r\n"
    yield "GET /metrics HTTP/1.1\r\nX: " + "x" * 100_000 + "\r\n"
    yield "GET /metrics HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
    yield "GET /metrics HTTP/1.1\r\nRange: bytes=0-1\r\n"
    source = random.Random(4)
    for _ in range(amount(200, long=5000, sanitized=100)):
        path = "".join(chr(source.randrange(1, 256)) for _ in range(source.randrange(1, 30)))
        yield f"GET /{path} HTTP/1.1\r\nHost: x\r\n"


def test_no_request_is_answered_with_a_page(tallyd):
    answered = 0
    for request in requests_of_all_kinds():
        answer = raw(tallyd, request.encode("latin-1") + b"Connection: close\r\n\r\n")
        if answer is None:
            continue
        status, headers, body = answer
        answered += 1
        if status < 400:
            assert headers["content-type"] in (JSON, "text/html; charset=utf-8"), request
            continue
        assert headers["content-type"] == "application/problem+json", request
        if body:  # to HEAD there is none
            assert json.loads(body)["status"] == status, request
    assert answered > 100
    assert tallyd.get("/healthz")[0] == 200
