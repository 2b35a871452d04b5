"""The API's description, the server held to it, and its page in a browser."""
import json
import re

import pytest
from harness import grpc_client, tokens
from harness.browser import Browser
from harness.env import ROOT, wait_until
from harness.event_stream import EventStream
from harness.openapi import Description, has_docs_ui, needs_docs_ui
from harness.redis_server import KEY

# Described, but no test can bring them about: memory runs short.
UNSEEN = {("/metrics/prom", "503"), ("/stats", "503")}
RELOAD = "/-/reload"  # the only one that is no GET
TEXT = {"Accept": "text/plain;version=0.0.4"}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
ODD_ID = 'a/"b"\n\u00e9\u4e16'


def describe(tallyd):
    return Description(tallyd.get_json("/openapi.json"))


# ---- the description by itself


def test_the_description_is_sound(tallyd):
    description = describe(tallyd)
    document = description.document
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == tallyd.stats()["instance"]["version"]
    assert "@" not in json.dumps(document)
    names = [operation["operationId"] for operation in description.operations().values()]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for path, operation in description.operations().items():
        assert operation["summary"] and set(operation["tags"]) <= tags, path
        parameters = [description.resolve(each) for each in operation.get("parameters", [])]
        assert len({(each["name"], each["in"]) for each in parameters}) == len(parameters), path
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["description"] for each in parameters), path
        done = "202" if path == RELOAD else "200"
        assert done in operation["responses"] and "400" in operation["responses"], path
        assert ("401" in operation["responses"]) == (operation.get("security") != []), path


def test_all_references_lead_somewhere_and_all_parts_are_used(tallyd):
    description = describe(tallyd)
    used = {node["$ref"] for node in description.nodes() if "$ref" in node}
    for reference in used:
        assert description.resolve({"$ref": reference}), reference
    used |= {f"#/components/securitySchemes/{name}" for node in description.nodes()
             for way in node.get("security", []) for name in way}
    told = description.operations()["/events"]["description"]  # the data of events, by name
    for kind, parts in description.document["components"].items():
        for name in parts:
            assert f"#/components/{kind}/{name}" in used or name in told, name


def test_schemas_are_schemas_and_examples_fit_them(tallyd):
    description = describe(tallyd)
    examples = 0
    for node in description.nodes():
        if "schema" not in node:
            continue
        description.validate_schema(node["schema"])
        values = [each["value"] for each in node.get("examples", {}).values()]
        values += [node["example"]] if "example" in node else []
        for value in values:
            description.validate(value, node["schema"], f"example {value}")
            examples += 1
    for schema in description.document["components"]["schemas"].values():
        description.validate_schema(schema)
    assert examples > 25


def routes():
    """The paths that the sources serve: one that goes on ends in a slash."""
    rows = re.compile(r'^ +\{"(/[^"]*)", ', re.MULTILINE)
    files = ("http/router.c", "http/assets.c")
    return {path for name in files for path in rows.findall((ROOT / name).read_text())}


def test_every_route_is_described_and_nothing_else(tallyd):
    description = describe(tallyd)
    found = routes()
    assert {"/", "/metrics", "/devices/", "/events", "/openapi.json", "/docs"} <= found
    for path in found:
        description.find(path + "x" if path.endswith("/") and path != "/" else path)
    for path in description.paths:
        assert any(path == route or path.startswith(route) and route.endswith("/") and route != "/"
                   for route in found) or path == "/docs/{file}", path


# ---- the server held to it


def in_order(tallyd):
    """What an untroubled server is asked: (target, headers)."""
    page = tallyd.get("/metrics?limit=1")[1]
    yield from ((path, {}) for path in ("/top", "/top?n=1", "/summary", "/stats", "/healthz"))
    yield from ((path, {}) for path in ("/readyz", "/metrics/prom", "/metrics"))
    yield "/metrics?limit=1&sort=-count", {}
    yield "/metrics?limit=1&cursor=" + page["X-Tally-Next-Cursor"], {}
    yield "/metrics?prefix=a%2F", {}
    yield "/metrics?device_id=plain&device_id=unknown", {}
    yield from (("/metrics", accept) for accept in (TEXT, OPENMETRICS))
    yield from (("/metrics/prom", accept) for accept in (TEXT, OPENMETRICS))
    yield "/devices/plain", {}
    yield "/devices/a%2F%22b%22%0A%C3%A9%E4%B8%96", {}
    yield "/devices/sensor-3", {}
    yield from (("/devices/" + wrong, {}) for wrong in ("", "%", "%FF", "x" * 257))
    yield from (("/metrics?limit=0", {}), ("/metrics?lmit=1", {}))
    yield "/metrics", {"No Name": "of a header has a blank"}
    for path in ("/", "/docs", "/docs/licences.txt", "/docs/swagger-ui.css",
                 "/docs/swagger-ui-bundle.js", "/docs/docs.js", "/docs/docs.css", "/openapi.json"):
        if has_docs_ui() or not path.startswith("/docs/"):
            yield path, {}
            yield path, {"If-None-Match": tallyd.get(path)[1]["ETag"]}
    yield "/docs/other", {}
    yield "/metrics", {"If-None-Match": tallyd.get("/metrics")[1]["ETag"]}


def ask(description, tallyd, target, headers=None):
    answer = tallyd.get(target, headers=headers)
    description.check(target, *answer)
    return answer


def check_events_refused(description, tallyd):
    """One listener more than there may be."""
    listeners = []
    try:
        for _ in range(64):
            listeners.append(EventStream(tallyd))
            assert listeners[-1].status == 200
        assert ask(description, tallyd, "/events")[0] == 503
    finally:
        for listener in listeners:
            listener.close()


def check_troubles(description, tallyd, redis):
    counted = ("/metrics", "/top", "/summary", "/devices/plain")
    redis.client.rename(KEY, "kept")
    redis.client.set(KEY, "no hash")
    for path in counted:
        assert ask(description, tallyd, path)[0] == 500, path
    redis.client.delete(KEY)
    redis.client.rename("kept", KEY)
    wait_until(lambda: tallyd.get("/metrics")[0] == 200, "counts again")
    redis.kill()
    for path in counted:
        status, headers, _ = ask(description, tallyd, path)
        assert (status, headers["X-Tally-Stale"]) == (200, "true"), path
    wait_until(lambda: tallyd.get("/readyz")[0] == 503, "not to be ready")
    ask(description, tallyd, "/readyz")


def check_tokens(description, start_tallyd, redis, file):
    """Each path that may need a token, without one and with one that lacks the right; and what is
    there only with a token file."""
    reader = tokens.bearer(tokens.add(file, "reader", "read"))
    sender = tokens.bearer(tokens.add(file, "sender", "ingest"))
    admin = tokens.bearer(tokens.add(file, "admin", "admin"))
    stranger = tokens.bearer("tally_" + 43 * "x")
    tallyd = start_tallyd(redis.port, ready=False, token_file=file, http_public="/healthz")
    guarded = {path for path, operation in description.operations().items()
               if "401" in operation["responses"]} - {"/healthz"}
    for path in guarded:
        target = path.format(device_id="plain")
        method = "POST" if path == RELOAD else "GET"
        for headers, status in (({}, 401), (stranger, 401), (sender, 403)):
            answer = tallyd.get(target, method=method, headers=headers)
            description.check(target, *answer)
            assert answer[0] == status, target
    tallyd.stop()
    tallyd = start_tallyd(redis.port, ready=False, token_file=file, http_public="/readyz")
    for headers, status in (({}, 401), (sender, 403), (reader, 200)):
        assert ask(description, tallyd, "/healthz", headers)[0] == status
    for target, status in ((RELOAD + "?no_such=1", 400), (RELOAD, 202)):
        answer = tallyd.get(target, method="POST", headers=admin)
        description.check(target, *answer)
        assert answer[0] == status
    with grpc_client.draining(tallyd, "plain", list(admin.items())):
        answer = tallyd.get(RELOAD, method="POST", headers=admin)
        description.check(RELOAD, *answer)
        assert answer[0] == 503
    bare = start_tallyd(redis.port, ready=False)
    answer = bare.get(RELOAD, method="POST")
    description.check(RELOAD, *answer)
    assert answer[0] == 405


def assert_problem_examples_were_told(description, redis_port):
    told = json.dumps(description.problems).replace(f"127.0.0.1:{redis_port}", "127.0.0.1:6379")
    examples = list(description.problem_examples())
    assert len(examples) >= 10
    for example in examples:
        assert example in json.loads(told), example


def test_each_path_answers_as_described(redis, start_redis, start_tallyd, tmp_path):
    tallyd = start_tallyd(redis.port, prom_devices=10)
    assert grpc_client.send(tallyd.target, ["plain"] * 3 + [ODD_ID] * 2 + ["b"]) == 6
    description = describe(tallyd)
    for target, headers in in_order(tallyd):
        ask(description, tallyd, target, headers)
    for path in routes() - {RELOAD}:
        target = path + ("docs.js" if path == "/docs/" else "x" if path == "/devices/" else "")
        if has_docs_ui() or not path.startswith("/docs/"):
            status, _, body = ask(description, tallyd, target + "?no_such=1")
            assert (status, json.loads(body)["parameter"]) == (400, "no_such"), target
    check_events_refused(description, tallyd)
    check_tokens(description, start_tallyd, redis, tmp_path / "tokens")
    check_troubles(description, tallyd, redis)

    lonely = start_redis()
    lonely.kill()
    tallyd = start_tallyd(lonely.port, ready=False)
    for path in ("/metrics", "/top", "/summary", "/devices/plain"):
        assert ask(description, tallyd, path)[0] == 503, path
    assert_problem_examples_were_told(description, lonely.port)
    described = {(path, status) for path, operation in description.operations().items()
                 for status in operation["responses"]}
    without_ui = [] if has_docs_ui() else [("/docs/{file}", each) for each in ("200", "304", "400")]
    unseen = described - description.checked - UNSEEN - set(without_ui)
    assert unseen == {("/events", "200")}, unseen  # the next test's


@pytest.mark.parametrize("parameter, bad", [
    ("sort", "sideways"), ("limit", "0"), ("limit", "1000001"), ("limit", "x"), ("cursor", "!")])
def test_a_bad_value_is_refused_as_described(tallyd, parameter, bad):
    description = describe(tallyd)
    status, _, body = ask(description, tallyd, f"/metrics?{parameter}={bad}")
    assert (status, json.loads(body)["parameter"]) == (400, parameter)


def test_described_bounds_and_values_are_taken(tallyd):
    description = describe(tallyd)
    for path, operation in description.operations().items():
        for parameter in map(description.resolve, operation.get("parameters", [])):
            schema = parameter["schema"]
            values = schema.get("enum", [schema[b] for b in ("minimum", "maximum") if b in schema])
            for value in values if parameter["in"] == "query" else []:
                status, _, body = ask(description, tallyd, f"{path}?{parameter['name']}={value}")
                assert status == 200, body


def test_events_are_as_described(tallyd, closing):
    description = describe(tallyd)
    assert grpc_client.send(tallyd.target, ["a"] * 3 + ["b"]) == 4
    stream = closing(EventStream(tallyd))
    events = [stream.next() for _ in range(7)]
    assert {name for name, _ in events} == {"history", "summary", "top"}
    for name, data in events:
        schema = {"$ref": f"#/components/schemas/Event{name.capitalize()}"}
        description.validate(data, schema, f"event {name}")


# ---- in a browser


def test_the_docs_show_every_operation(tallyd, closing):
    needs_docs_ui()
    browser = closing(Browser())
    browser.open(f"http://127.0.0.1:{tallyd.http_port}/docs")
    paths = set(describe(tallyd).paths)
    browser.wait_for("document.querySelectorAll('.opblock').length > 0", "the operations")
    shown = browser.js(
        "Array.from(document.querySelectorAll('.opblock-summary-path')).map(e => e.dataset.path)")
    assert set(shown) == paths
    assert browser.js("document.querySelectorAll('.errors-wrapper').length") == 0
    browser.screenshot("docs")
    assert browser.console_errors() == []
    assert browser.foreign_requests() == []


def test_the_docs_have_one_main_part_and_name_their_fields(tallyd, closing):
    """For those who have the page read to them."""
    needs_docs_ui()
    browser = closing(Browser())
    browser.open(f"http://127.0.0.1:{tallyd.http_port}/docs")
    browser.wait_for("document.querySelectorAll('.opblock').length > 0", "the operations")
    assert browser.js("document.querySelectorAll('main').length") == 1
    assert browser.js(
        "Array.from(document.querySelectorAll('select, input, textarea'))"
        ".filter(e => !e.labels.length && !e.ariaLabel).map(e => e.outerHTML)") == []


def test_an_operation_can_be_tried_out(tallyd, closing):
    needs_docs_ui()
    assert grpc_client.send(tallyd.target, ["tried-out"] * 3) == 3
    browser = closing(Browser())
    browser.open(f"http://127.0.0.1:{tallyd.http_port}/docs")
    operation = "#operations-counts-listTop"
    browser.wait_for(f"document.querySelector('{operation}')", "the operation")
    browser.click(f"{operation} .opblock-summary-control")
    browser.wait_for(f"document.querySelector('{operation} .execute')", "the button")
    browser.click(f"{operation} .execute")
    answer = f"document.querySelector('{operation} .live-responses-table')"
    browser.wait_for(f"{answer} && {answer}.innerText.includes('tried-out')", "the answer")
    assert browser.console_errors() == []
    assert browser.foreign_requests() == []
