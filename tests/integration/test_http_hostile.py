"""What an attacker found: requests that hide another one, readings that fail."""
import pytest
from harness.env import wait_until
from harness.http_client import ask
from harness.link import say

NEVER_MS = 3_600_000
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
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
    ],
)
def test_a_body_is_no_further_request(tallyd, length):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n" + HIDDEN
    assert answers(tallyd, request) <= 1


def test_a_request_without_a_body_may_be_followed_by_another(tallyd):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    assert answers(tallyd, request + HIDDEN) == 2


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
