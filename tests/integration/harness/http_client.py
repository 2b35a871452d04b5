"""What tests of the HTTP face share: questions with headers, questions as bytes, what every error
must be, and a few counts to ask for."""
import json
import re

from .link import say
from .redis_server import KEY

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

SMALL = {"b1": 5, "b2": 7, "a1": 7, "c": -1, "a2": 0, "b": 5}


def fill(redis, counts=SMALL):
    """Puts counts of any size into Redis, where no tallyd has counted."""
    redis.client.hset(KEY, mapping=counts)


def ask(tallyd, path, **headers):
    """GET; header names are given with underscores."""
    return tallyd.get(path, headers={name.replace("_", "-"): v for name, v in headers.items()})


def check_problem(answer, status, parameter=None, detail=""):
    """An error as RFC 9457 has it, with what the expression `detail` finds in its detail, which
    it returns."""
    code, headers, body = answer
    assert code == status, body[:500]
    assert headers["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    assert problem.get("parameter") == parameter
    assert re.search(detail, problem["detail"]), problem
    return problem["detail"]


def raw(tallyd, request):
    """Sends bytes and returns (status, headers with small names, body) of what comes until the
    server closes; None when nothing does."""
    answer = say(tallyd.http_port, request)
    if not answer:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in headers.items()}, body


def varies(headers):
    return {name.strip() for line in headers.get_all("Vary") for name in line.split(",")}
