"""An OpenAPI description, whether answers are as it says, and whether its page is built in.

    description = Description(tallyd.get_json("/openapi.json"))
    description.check("/metrics?limit=2", *tallyd.get("/metrics?limit=2"))
"""
import datetime
import json
import re
from urllib.parse import urlsplit

import pytest

from .env import BUILD

try:
    import jsonschema
except ImportError:
    jsonschema = None

# Headers of an answer that are there only at times.
_SOMETIMES = {"Link", "X-Tally-Next-Cursor", "X-Tally-Stale"}
# Headers that the description need not name: HTTP's own framing, and what any answer may have.
_UNNAMED = {"Date", "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding",
            "Connection", "Cache-Control", "X-Content-Type-Options", "Referrer-Policy", "Vary"}


_PROBLEM = "application/problem+json"


def has_docs_ui():
    return "DOCS_UI:BOOL=ON" in (BUILD / "CMakeCache.txt").read_text()


def needs_docs_ui():
    """Skips the test, and says why, when Swagger UI is not built in."""
    if not has_docs_ui():
        pytest.skip("built with -DDOCS_UI=OFF")


class Description:
    """`checked` gathers the (path, status) pairs that check() has seen, `problems` the problem
    details."""

    def __init__(self, document):
        if jsonschema is None:
            pytest.skip("python3-jsonschema is not installed")
        self.document = document
        self.paths = document["paths"]
        self.checked = set()
        self.problems = []
        self._formats = jsonschema.FormatChecker(formats=())
        self._formats.checks("date-time", ValueError)(_is_date_time)

    # What it says

    def operations(self):
        """Path to operation; no path has two."""
        assert all(len(item) == 1 for item in self.paths.values())
        return {path: operation for path, item in self.paths.items() for operation in item.values()}

    def nodes(self, node=None):
        """Every object in it, with all that they hold."""
        node = self.document if node is None else node
        if isinstance(node, dict):
            yield node
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                if isinstance(child, (dict, list)):
                    yield from self.nodes(child)

    def problem_examples(self):
        """What it says that problem details look like."""
        for node in self.nodes():
            content = node.get("content", {}).get(_PROBLEM, {})
            yield from (each["value"] for each in content.get("examples", {}).values())
            yield from ([content["example"]] if "example" in content else [])

    def resolve(self, node):
        """What a reference leads to, or the node itself. KeyError when it leads nowhere."""
        while isinstance(node, dict) and "$ref" in node:
            where = node["$ref"]
            assert where.startswith("#/"), f"{where} is outside of the description"
            node = self.document
            for name in where[2:].split("/"):
                node = node[name]
        return node

    def expand(self, node):
        """A copy with each reference replaced by what it leads to. Objects are closed: what the
        description does not name must not be there."""
        node = self.resolve(node)
        if isinstance(node, list):
            return [self.expand(child) for child in node]
        if not isinstance(node, dict):
            return node
        copy = {name: self.expand(child) for name, child in node.items()}
        if copy.get("type") == "object" and "properties" in copy:
            copy.setdefault("additionalProperties", False)
        return copy

    def find(self, target):
        """The described path that a request's target belongs to."""
        path = urlsplit(target).path
        if path in self.paths:
            return path
        for template in self.paths:
            if "{" in template and re.fullmatch(re.sub(r"\{\w+\}", ".*", template), path):
                return template
        raise AssertionError(f"{target} is not described")

    # Whether that is so

    def validate_schema(self, schema):
        jsonschema.Draft202012Validator.check_schema(self.expand(schema))

    def validate(self, value, schema, where):
        schema = self.expand(schema)
        validator = jsonschema.Draft202012Validator(schema, format_checker=self._formats)
        errors = [f"{list(error.absolute_path)}: {error.message}"
                  for error in validator.iter_errors(value)]
        assert not errors, f"{where}: {errors}"

    def check(self, target, status, headers, body):
        """Fails unless the answer to GET `target` is one that is described."""
        path = self.find(target)
        responses = self.operations()[path]["responses"]
        where = f"{target}: {status}"
        assert str(status) in responses, f"{where} is not described: {body[:300]}"
        response = self.resolve(responses[str(status)])
        self.checked.add((path, str(status)))
        text_form = self._check_body(response, headers, body, where)
        self._check_headers(response, headers, where, text_form)
        allowed = set(response.get("headers", {})) | _UNNAMED
        if status == 304:  # says what the 200 would have said
            allowed |= set(self.resolve(responses["200"])["headers"])
        assert set(headers.keys()) <= allowed, f"{where}: {set(headers.keys()) - allowed}"

    def _check_body(self, response, headers, body, where):
        """Returns whether the form of the body is another one than JSON."""
        if "content" not in response:
            assert body == b"", where
            return False
        kind = headers["Content-Type"].split(";")[0]
        assert kind in response["content"], f"{where}: {kind} is not described"
        is_json = kind.endswith("json")
        value = json.loads(body) if is_json else body.decode()
        self.validate(value, response["content"][kind]["schema"], where)
        if kind == _PROBLEM:
            self.problems.append(value)
        return not is_json

    def _check_headers(self, response, headers, where, text_form):
        described = response.get("headers", {})
        for name, header in described.items():
            if name not in headers:
                assert name in _SOMETIMES or text_form, f"{where}: lacks {name}"
                continue
            schema = self.resolve(header)["schema"]
            value = int(headers[name]) if schema["type"] == "integer" else headers[name]
            self.validate(value, schema, f"{where}: {name}")


def _is_date_time(value):
    """An RFC 3339 time in UTC with milliseconds, as tallyd writes them; null is no string."""
    if value is not None:
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ")
    return True
