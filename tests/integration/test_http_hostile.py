"""What an attacker found: requests that hide another one, readings that fail."""
import socket

import pytest
from harness import tokens
from harness.env import PATIENCE, wait_until
from harness.http_client import ask, check_problem, raw
from harness.link import say

NEVER_MS = 3_600_000
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
# Lines behind which civetweb reads no header of the same head.
CUTTING = [
    b"X: a\r\n b\r\n", b": a\r\n", b"\xe9: a\r\n", b"X: a\r\n\rY: b\r\n", b"X: a\n\r\n",
    b"X: a\n b\n",
]
MANY = b"".join(b"X-%d: 1\r\n" % i for i in range(70))


def answers(tallyd, request):
    """How many answers one request brings, until the server closes or has nothing more to say."""
    return say(tallyd.http_port, request, silence=2).count(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "length",
    [
        b"Content-Length: %d\r\n" % len(HIDDEN),
        b"Content-Length: 0\r\nContent-Length: %d\r\n" % len(HIDDEN),
        b"Content-Length: 0, %d\r\n" % len(HIDDEN),
        b"Content-Length: 0x10\r\n",
        b"Content-Length: +1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n",
        MANY + b"Content-Length: %d\r\n" % len(HIDDEN),
        *(line + b"Content-Length: %d\r\n" % len(HIDDEN) for line in CUTTING),
    ],
)
def test_a_body_is_no_further_request(tallyd, length):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n" + HIDDEN
    assert answers(tallyd, request) <= 1


def test_a_request_without_a_body_may_be_followed_by_another(tallyd):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    assert answers(tallyd, request + HIDDEN) == 2
    assert answers(tallyd, request + b"\r\n" + HIDDEN) == 2  # an empty line is let pass


def test_a_blank_behind_a_length_is_no_part_of_it(tallyd):
    assert raw(tallyd, b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0 \r\n\r\n")[0] == 200


@pytest.mark.parametrize("line", CUTTING)
def test_a_head_that_would_be_read_in_part_is_refused(tallyd, line):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + line + b"Authorization: x\r\n\r\n"
    status, headers, body = raw(tallyd, request)
    assert headers["connection"] == "close"
    check_problem((status, {"Content-Type": headers["content-type"]}, body), 400, detail="folded")


@pytest.mark.parametrize("line", [b"(X: a", b"X;: a", b"X : a", b"X :a", b"X :", b"X\"Y\": a"])
def test_what_is_no_name_is_refused(tallyd, line):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + line + b"\r\nY: b\r\n\r\n"
    status, headers, body = raw(tallyd, request)
    check_problem((status, {"Content-Type": headers["content-type"]}, body), 400, detail="name")


def test_odd_names_and_values_are_let_pass(tallyd):
    names = b"X:\r\n!#$%&'*+-.^_`|~: \xff(;)\r\nX-Y:a\r\nZ:    a:b   \r\n0: \r\n"
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + names + b"\r\n"
    assert answers(tallyd, request + HIDDEN) == 2


@pytest.mark.parametrize(
    "length",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: x\r\n",
        b"Content-Length: -5\r\n",
        b"Content-Length:\r\n",
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_an_unclear_length_is_refused(tallyd, length):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n0\r\n\r\n"
    status, headers, body = raw(tallyd, request)
    check_problem((status, {"Content-Type": headers["content-type"]}, body), 400, detail="(?i)length")


def test_lines_may_end_in_lf_alone(tallyd):
    for version in b"1.0", b"1.1":
        status, headers, _ = raw(tallyd, b"GET /healthz HTTP/" + version + b"\nHost: x\n\n")
        assert (status, headers["connection"]) == (200, "close")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\r\n\n"])
def test_a_head_may_fill_the_whole_buffer(tallyd, end):
    good = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    head = good[:-2] + b"X: "
    for bytes_short in range(4):  # of 64 KiB and three times the longest id
        large = head + b"x" * (65536 + 3 * 256 - bytes_short - len(head) - len(end)) + end
        said = say(tallyd.http_port, good + large, silence=2)
        assert said.count(b"HTTP/1.1 ") == 2
        assert said.count(b"HTTP/1.1 200 ") == (2 if end == b"\r\n\r\n" else 1)


@pytest.mark.parametrize("blanks", [b"\r\n\r\n", b"\n\n", b"   ", b"\n" * 100])
def test_blanks_before_a_request_are_refused(tallyd, blanks):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    said = say(tallyd.http_port, request + blanks + request + HIDDEN, silence=2)
    assert said.count(b"HTTP/1.1 200 ") == 1 and said.count(b"HTTP/1.1 400 ") == 1
    assert said.count(b"HTTP/1.1 ") == 2


def test_nobody_speaks_with_what_others_left_behind(redis, start_tallyd, tmp_path):
    """civetweb's threads read each client into the bytes of the one before, and past two empty
    lines it took those for a request."""
    secret = tokens.bearer(tokens.add(tmp_path / "tokens", "reader", "read"))["authorization"]
    tallyd = start_tallyd(
        redis.port, ready=False, token_file=tmp_path / "tokens", http_connections=8
    )
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 300 + b"\r\n\r\n"
    second = f"GET /stats HTTP/1.1\r\nHost: x\r\nAuthorization: {secret}\r\n\r\n".encode()
    address = ("127.0.0.1", tallyd.http_port)
    for _ in range(3):
        victims = [socket.create_connection(address) for _ in range(8)]
        for victim in victims:
            victim.sendall(first + second)
        for victim in victims:
            victim.settimeout(10 * PATIENCE)
            said = b""
            while b'"balance"' not in said:
                said += victim.recv(65536)
            victim.close()
        for _ in range(16):
            assert b'"balance"' not in say(tallyd.http_port, b"\n" * len(first), silence=2)


def test_one_failure_is_soon_forgotten_however_seldom_redis_is_read(redis, start_tallyd):
    redis.kill()
    tallyd = start_tallyd(redis.port, ready=False, http_refresh_ms=NEVER_MS)
    assert tallyd.get("/metrics")[0] == 503
    redis.start()
    wait_until(lambda: tallyd.get("/metrics")[0] == 200, "the counts, within seconds")


def test_not_modified_has_no_content_type(tallyd):
    for path in ["/", "/metrics"]:
        tag = ask(tallyd, path)[1]["ETag"]
        status, headers, _ = ask(tallyd, path, If_None_Match=tag)
        assert status == 304
        assert headers["Content-Type"] is None and headers["ETag"] == tag
