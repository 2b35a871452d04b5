"""The HTTP API: what may be asked, how it is asked, and that a wrong question is told what is wrong
with it. The forms of its answers are test_http_forms.py's."""
import json
import re
from urllib.parse import quote, urlsplit

import pytest
from harness.env import amount, wait_until
from harness.http_client import SMALL, TIME, check_problem, fill
from harness.redis_server import KEY

# Ids that only survive when nobody takes them for syntax: of JSON, of URLs, of C.
ODD = ["a", "nul\0nul", "\0", 'quote"', "back\\slash", "line\nfeed", "tab\t", "a&b=c", "a+b", "a b"]
ODD += ["100%", "%41", "a/b", "..", "a?b#c", "é", "🛰", "\x7f", "<b>", "cursor=x;q", ",", "~._-"]


def rows(tallyd, path):
    """The array that a path answers, as pairs in its order."""
    return [(row["device_id"], row["count"]) for row in tallyd.get_json(path)]


# ---- The parameters of /metrics ----------------------------------------------------------------


@pytest.mark.parametrize(
    "query, devices",
    [
        ("", "a1 a2 b b1 b2 c"),
        ("?", "a1 a2 b b1 b2 c"),
        ("?sort=device_id", "a1 a2 b b1 b2 c"),
        ("?sort=-count", "a1 b2 b b1 a2 c"),
        ("?sort=count", "c a2 b1 b b2 a1"),
        ("?prefix=", "a1 a2 b b1 b2 c"),
        ("?prefix=b", "b b1 b2"),
        ("?prefix=b&sort=-count", "b2 b b1"),
        ("?prefix=b1x", ""),
        ("?prefix=zz&sort=count", ""),
        ("?limit=2", "a1 a2"),
        ("?limit=2&sort=-count", "a1 b2"),
        ("?limit=2&sort=count&prefix=b", "b1 b"),
        ("?limit=1000000", "a1 a2 b b1 b2 c"),
        ("?limit=%32", "a1 a2"),
        ("?l%69mit=2&&", "a1 a2"),
        ("?device_id=c", "c"),
        ("?device_id=c&device_id=a2&device_id=nobody&device_id=c", "a2 c"),
        ("?device_id=nobody", ""),
    ],
)
def test_a_query_selects_and_sorts(redis, tallyd, query, devices):
    fill(redis)
    assert rows(tallyd, "/metrics" + query) == [(id, SMALL[id]) for id in devices.split()]


@pytest.mark.parametrize(
    "path, parameter",
    [
        ("/metrics?x=1", "x"),
        ("/metrics?Limit=1", "Limit"),
        ("/metrics?limit=1&offset=2", "offset"),
        ("/metrics?limit=0", "limit"),
        ("/metrics?limit=1000001", "limit"),
        ("/metrics?limit=", "limit"),
        ("/metrics?limit", "limit"),
        ("/metrics?limit=ten", "limit"),
        ("/metrics?limit=-1", "limit"),
        ("/metrics?limit=1e3", "limit"),
        ("/metrics?limit=1%00", "limit"),
        ("/metrics?limit=99999999999999999999999", "limit"),
        ("/metrics?limit=1&limit=1", "limit"),
        ("/metrics?sort=", "sort"),
        ("/metrics?sort=id", "sort"),
        ("/metrics?sort=+count", "sort"),
        ("/metrics?sort=count&sort=-count", "sort"),
        ("/metrics?prefix=a&prefix=b", "prefix"),
        ("/metrics?prefix=%ff", "prefix"),
        ("/metrics?prefix=%", "prefix"),
        ("/metrics?prefix=%4", "prefix"),
        ("/metrics?cursor=", "cursor"),
        ("/metrics?cursor=AAAA", "cursor"),
        ("/metrics?cursor=%00", "cursor"),
        ("/metrics?cursor=a&cursor=a", "cursor"),
        ("/metrics?device_id=", "device_id"),
        ("/metrics?device_id=a&device_id=", "device_id"),
        ("/metrics?device_id=%c3", "device_id"),
        ("/metrics?device_id=a&prefix=a", "prefix"),
        ("/metrics?sort=count&device_id=a", "sort"),
        ("/metrics?device_id=a&limit=1", "limit"),
        ("/metrics?device_id=a&cursor=x", "cursor"),
        ("/metrics?" + "&".join(["device_id=d"] * 1001), "device_id"),
        ("/devices/a?x=1", "x"),
        ("/stats?limit=1", "limit"),
        ("/healthz?a=b", "a"),
        ("/metrics/prom?prefix=a", "prefix"),
    ],
)
def test_a_bad_query_is_told_which_parameter_is_wrong(redis, tallyd, path, parameter):
    fill(redis)
    assert parameter in check_problem(tallyd.get(path), 400, parameter)


def test_a_thousand_ids_can_be_asked_for(redis, tallyd):
    wanted = [f"d{i}" for i in range(1000)]
    redis.client.hset(KEY, mapping={device: 1 for device in [f"d{i}" for i in range(500, 2000)]})
    found = rows(tallyd, "/metrics?" + "&".join("device_id=" + device for device in wanted))
    assert [device for device, _ in found] == sorted(wanted[500:])


def test_odd_ids_pass_through_every_parameter(redis, tallyd):
    counts = {device: number for number, device in enumerate(ODD, 1)}
    fill(redis, counts)
    ordered = sorted(counts, key=lambda device: device.encode())
    assert rows(tallyd, "/metrics") == [(device, counts[device]) for device in ordered]
    for device, count in counts.items():
        one = quote(device, safe="")
        assert tallyd.device(device) == count
        assert rows(tallyd, "/metrics?device_id=" + one) == [(device, count)]
        with_prefix = [other for other in ordered if other.startswith(device)]
        assert [id for id, _ in rows(tallyd, "/metrics?prefix=" + one)] == with_prefix
    every = "&".join("device_id=" + quote(device, safe="") for device in counts)
    assert [device for device, _ in rows(tallyd, "/metrics?" + every)] == ordered
    assert rows(tallyd, "/metrics?device_id=a+b") == [("a b", counts["a b"])]


# ---- Pages -------------------------------------------------------------------------------------


def walk(tallyd, path):
    """All rows of all pages, by the links; each cursor must say the same as its link."""
    found = []
    while path:
        status, headers, body = tallyd.get(path)
        assert status == 200, body[:500]
        found += [(row["device_id"], row["count"]) for row in json.loads(body)]
        link, cursor = headers["Link"], headers["X-Tally-Next-Cursor"]
        assert (link is None) == (cursor is None)
        if link is None:
            return found
        path = re.fullmatch(r'<(/metrics\?[!-~]+)>; rel="next"', link)[1]
        assert re.fullmatch(r"[\w-]+", cursor) and f"cursor={cursor}" in urlsplit(path).query
    return found


@pytest.mark.parametrize("sort", ["device_id", "count", "-count"])
@pytest.mark.parametrize("prefix", ["", "n", "a&b", "%", "nul\0", "é"])
def test_pages_put_together_are_the_whole(redis, tallyd, sort, prefix):
    suffixes = ["", "x", "\0y", "é"]
    fill(redis, {device + suffix: len(suffix) for device in ODD for suffix in suffixes})
    query = f"/metrics?sort={sort}&prefix=" + quote(prefix, safe="")
    whole = rows(tallyd, query)
    assert len(whole) >= 4
    for limit in [1, 3, len(whole) - 1, len(whole), len(whole) + 1]:
        assert walk(tallyd, f"{query}&limit={limit}") == whole


def test_the_last_page_has_no_link(redis, tallyd):
    fill(redis)
    for limit, more in [(5, True), (6, False), (7, False)]:
        headers = tallyd.get(f"/metrics?limit={limit}")[1]
        assert ("Link" in headers) == more
        assert ("X-Tally-Next-Cursor" in headers) == more
    assert "Link" not in tallyd.get("/metrics")[1]


def test_a_cursor_belongs_to_its_sort_and_prefix(redis, tallyd):
    fill(redis)
    cursor = tallyd.get("/metrics?limit=1&prefix=b")[1]["X-Tally-Next-Cursor"]
    assert rows(tallyd, f"/metrics?prefix=b&cursor={cursor}") == [("b1", 5), ("b2", 7)]
    assert rows(tallyd, f"/metrics?cursor={cursor}") == [("b1", 5), ("b2", 7), ("c", -1)]
    check_problem(tallyd.get(f"/metrics?sort=count&cursor={cursor}"), 400, "cursor")
    check_problem(tallyd.get(f"/metrics?prefix=c&cursor={cursor}"), 400, "cursor")
    check_problem(tallyd.get(f"/metrics?cursor={cursor}="), 400, "cursor")
    check_problem(tallyd.get(f"/metrics?cursor={cursor[:-1]}"), 400, "cursor")


@pytest.mark.parametrize("length", [256, 257, 5000])
def test_long_ids_are_on_some_page_too(redis, start_tallyd, length):
    """A cursor holds 256 bytes of id: a page goes on until it ends behind one that fits."""
    tallyd = start_tallyd(redis.port, max_device_id_bytes=length)
    long = "🛰" * (length // 4 - 1)  # in a URL each byte takes three
    alike = [long + last + "x" * (length % 4) for last in "🛰🛸"]
    devices = alike + [f"{i:0{length}}" for i in range(4)] + ["short", "~"]
    fill(redis, dict.fromkeys(devices, 1))
    for sort in ["device_id", "count"]:
        found = walk(tallyd, f"/metrics?limit=1&sort={sort}")
        assert sorted(device for device, _ in found) == sorted(devices)
    prefix = quote(long, safe="")
    found = walk(tallyd, f"/metrics?limit=1&prefix={prefix}")
    assert sorted(device for device, _ in found) == sorted(alike)


@pytest.mark.parametrize("sort", ["device_id", "count", "-count"])
def test_pages_miss_nobody_while_counting_goes_on(redis, start_tallyd, start_sender, sort):
    """By id every device that is there all along stands on one page; by count so does every one
    whose count stays."""
    tallyd = start_tallyd(redis.port, flush_interval_ms=10)
    still = {f"still-{i:05}": i % 97 for i in range(10_000)}
    redis.client.hset(KEY, mapping=still)
    sender = start_sender(tallyd.target, n=100_000_000, devices=2000, rate=50_000)
    wait_until(lambda: redis.client.hlen(KEY) > len(still), "counts of the sender")
    limit = amount(500, long=100, sanitized=2000)
    found = walk(tallyd, f"/metrics?limit={limit}&sort={sort}")
    assert sender.process.poll() is None, "counting was over before the walk"
    sender.close()
    assert sorted(row for row in found if row[0] in still) == sorted(still.items())
    devices = [device for device, _ in found]
    assert len(devices) > len(still)
    if sort != "count":  # from the small ones up, one that grows is met again
        assert len(devices) == len(set(devices))


# ---- Errors ------------------------------------------------------------------------------------


def test_an_unknown_device_is_named_in_the_problem(redis, tallyd):
    for device in ["nobody", 'no"body', "no\0body", "é"]:
        answer = tallyd.get("/devices/" + quote(device, safe=""))
        check_problem(answer, 404)
        assert json.loads(answer[2])["device_id"] == device


@pytest.mark.parametrize("rest", ["", "%", "%4", "%ff", "x" * 257])
def test_what_cannot_be_a_device_id_is_a_bad_request(tallyd, rest):
    check_problem(tallyd.get("/devices/" + rest), 400)


@pytest.mark.parametrize("path", ["/nowhere", "/metrics/", "/metricsx", "/devices", "//metrics"])
def test_an_unknown_path_is_not_found(tallyd, path):
    check_problem(tallyd.get(path), 404)


def test_a_key_of_another_type_is_an_error_that_says_so(redis, tallyd):
    redis.client.set(KEY, "no hash")
    for path in ["/metrics", "/metrics?limit=1", "/devices/a"]:
        assert "not a hash" in check_problem(tallyd.get(path), 500)


def test_a_device_is_told_from_the_last_snapshot_while_redis_is_away(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, http_refresh_ms=500)
    fill(redis)
    redis.kill()
    check_problem(tallyd.get("/devices/a1"), 503)
    redis.start()
    fill(redis)
    wait_until(lambda: tallyd.get("/metrics")[0] == 200, "Redis to be noticed again")
    redis.kill()
    status, headers, body = tallyd.get("/devices/a1")
    assert (status, json.loads(body)) == (200, {"device_id": "a1", "count": 7})
    assert headers["X-Tally-Stale"] == "true"
    assert TIME.fullmatch(headers["X-Tally-Committed-At"])
    check_problem(tallyd.get("/devices/nobody"), 503)  # who may have come since
