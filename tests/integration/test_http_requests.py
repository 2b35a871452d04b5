"""Requests that no honest client sends: each gets a clear answer, and nothing else is served."""
import pytest
from harness.http_client import check_problem, raw
from harness.link import say

HOST = b"Host: x\r\nConnection: close\r\n\r\n"


def check_problem_of(answer):
    """What raw() returned must be an error as all are."""
    status, headers, body = answer
    check_problem((status, {"Content-Type": headers["content-type"]}, body), status)


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/healthz/../stats",
        "/healthz/.",
        "/healthz/",
        "//healthz",
        "/./healthz",
        "/healthz%00",
        "/healthz%00.html",
        "/healthz;x=1",
        "/%68ealthz",
        "/..\\healthz",
        "/%5c..%5chealthz",
        "/%c0%ae%c0%ae/healthz",
        "/%252e%252e/healthz",
        "/proc/self/environ",
        "/.git/config",
        "/cgi-bin/x",
    ],
)
def test_paths_have_one_spelling(tallyd, path):
    status, _, body = tallyd.get(path)
    assert status == 404, (path, status, body)


@pytest.mark.parametrize(
    "line, statuses",
    [
        (b"GET /heal\0thz HTTP/1.1", {400}),
        (b"GET \\healthz HTTP/1.1", {400}),
        (b"GET /healthz", {400}),
        (b" /healthz HTTP/1.1", {400}),
        (b"GET  /healthz HTTP/1.1", {200, 400}),
        (b"GET /a b HTTP/1.1", {400}),
        (b"GET /\xc0\xae\xc0\xae HTTP/1.1", {400}),
        (b"GET /healthz HTTP/9.9", {505}),
        (b"GET /healthz HTTP/1", {400, 505}),
        (b"get /healthz HTTP/1.1", {400, 405}),
        (b"FOO /healthz HTTP/1.1", {400, 405}),
        (b"TRACE / HTTP/1.1", {400, 405}),
        (b"CONNECT a:1 HTTP/1.1", {400, 405}),
        (b"PUT /healthz HTTP/1.1", {405}),
        (b"DELETE /metrics HTTP/1.1", {405}),
        (b"PRI * HTTP/2.0", {400, 505}),
        (b"GET /devices/%zz HTTP/1.1", {400}),
        (b"GET /devices/%c0%ae HTTP/1.1", {400}),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1", {414}),
        (b"GET /" + b"a" * 200_000 + b" HTTP/1.1", {400}),
        (b"\x16\x03\x01\x00\xb0\x01\x00\x00\xac\x03\x03", {400}),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_request_gets_a_problem(tallyd, line, statuses):
    answer = raw(tallyd, line + b"\r\n" + HOST)
    assert answer[0] in statuses, answer
    if answer[0] != 200:
        check_problem_of(answer)
    assert tallyd.get("/healthz")[0] == 200


@pytest.mark.parametrize(
    "line, detail",
    [
        (b"BREW / HTTP/1.1", "method is unknown"),
        ("GET /é HTTP/1.1".encode(), "request line"),
        (b"GET /healthz HTTP/1.1\r\nNo Name: x", "header line"),
        (b"GET /healthz HTTP/1.1\r\nX: \x01", "head of the request"),
    ],
)
def test_what_is_malformed_is_named(tallyd, line, detail):
    status, headers, body = raw(tallyd, line + b"\r\n" + HOST)
    check_problem((status, {"Content-Type": headers["content-type"]}, body), 400, detail=detail)


@pytest.mark.parametrize(
    "headers, status",
    [
        (b"X: " + b"a" * 100_000 + b"\r\nHost: x\r\n", 400),
        (b"".join(b"X-%d: a\r\n" % i for i in range(100)) + b"Host: x\r\n", 431),
        (b"", 400),
        (b"Host: a\r\nHost: b\r\n", 400),
    ],
    ids=["long", "many", "no host", "two hosts"],
)
def test_odd_headers_are_refused(tallyd, headers, status):
    answer = raw(tallyd, b"GET /healthz HTTP/1.1\r\n" + headers + b"Connection: close\r\n\r\n")
    assert answer[0] == status
    check_problem_of(answer)


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length : 41\r\n",
        b"Content-Length: 41\r\nContent-Length: 0\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Transfer-Encoding:\tchunked\r\n",
        b"Expect: 100-continue\r\nContent-Length: 41\r\n",
    ],
)
def test_what_is_hidden_in_a_body_is_never_answered(tallyd, headers):
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + headers + b"\r\n" + hidden
    said = say(tallyd.http_port, request, silence=3)
    assert said.count(b"HTTP/1.1 ") <= 1
    assert b"no such path" not in said
