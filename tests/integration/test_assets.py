"""The files that are built in: as they are served, as the build makes them, and without npm."""
import base64
import gzip
import hashlib
import re
import subprocess

import pytest
from harness import tallyd as tallyd_module
from harness.browser import Browser
from harness.env import BUILD, ROOT, program
from harness.openapi import needs_docs_ui

UPLOT_NOTICE = b"/*! https://github.com/leeoniya/uPlot"


# ---- as they are served


def test_what_comes_from_npm_is_there_with_its_licences(tallyd):
    needs_docs_ui()
    assert UPLOT_NOTICE in tallyd.get("/")[2]
    licences = tallyd.get("/docs/licences.txt")[2]
    for name in (b"Leon Sorokin", b"Apache License", b"SmartBear"):
        assert name in licences


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_a_file_is_the_same_in_all_forms(tallyd, path):
    status, headers, body = tallyd.get(path)
    assert (status, "Content-Encoding" in headers) == (200, False)
    assert headers["Cache-Control"] == "no-cache"
    assert int(headers["Content-Length"]) == len(body) > 0
    status, packed, packed_body = tallyd.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert (status, packed["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(packed_body) == body
    assert packed["ETag"] == headers["ETag"]
    status, _, nothing = tallyd.get(path, method="HEAD")
    assert (status, nothing) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_may_ask_no_other_server(tallyd, path):
    headers = tallyd.get(path)[1]
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    allowed = {source for sources in policy.values() for source in sources.split()}
    assert all(source in ("'none'", "'self'", "data:") or source.startswith("'sha256-")
               for source in allowed), allowed
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"


# ---- as the build makes them


def embed(directory, *arguments):
    """Runs the build tool on page.html of that directory; returns the completed process."""
    return subprocess.run(
        [program("http/www/embed"), "page", directory / "page.html", directory / "out", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def embedded(output):
    """What the tool wrote: the macros, and the file itself."""
    macros = dict(re.findall(r'^#define (\w+) "?(.*?)"?$', output, re.MULTILINE))
    digits = re.findall(r"\\([0-7]{3})", output)
    return macros, gzip.decompress(bytes(int(each, 8) for each in digits)).decode()


def source_hash(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@pytest.mark.parametrize("size", [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 5000])
def test_what_is_inlined_is_named_by_its_hash(tmp_path, size):
    script = ("// é\n" * size)[:size]
    (tmp_path / "a.js").write_text(script)
    (tmp_path / "npm/lib").mkdir(parents=True)
    (tmp_path / "npm/lib/b.css").write_text("b{}")
    (tmp_path / "page.html").write_text("<p>\n <!-- inline: a.js -->\n<!-- inline: lib/b.css -->\n")
    assert embed(tmp_path, tmp_path / "npm").returncode == 0
    macros, page = embedded((tmp_path / "out").read_text())
    assert page == f"<p>\n<script>{script}</script>\n<style>b{{}}</style>\n"
    assert macros["PAGE_SCRIPTS"] == " " + source_hash(script)
    assert macros["PAGE_STYLES"] == " " + source_hash("b{}")
    assert int(macros["PAGE_BYTES"]) == len(page.encode())
    assert macros["PAGE_TAG"] == hashlib.sha256(page.encode()).hexdigest()[:16]


def test_without_packages_their_lines_are_left_out(tmp_path):
    (tmp_path / "page.html").write_text("<p>\n<!-- inline: lib/b.css -->\n<!-- a comment -->")
    assert embed(tmp_path).returncode == 0
    macros, page = embedded((tmp_path / "out").read_text())
    assert page == "<p>\n<!-- a comment -->\n"
    assert macros["PAGE_SCRIPTS"] == macros["PAGE_STYLES"] == " 'none'"


@pytest.mark.parametrize("name, text", [
    ("a.js", "'</SCRIPT>'"), ("a.js", "'<!--'"), ("a.js", "a\r\n"), ("a.js", "a\0"),
    ("a.css", "</style>"), ("a.txt", ""), ("a.js", None)])
def test_what_cannot_be_inlined_is_refused(tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "page.html").write_text(f"<!-- inline: {name} -->\n")
    done = embed(tmp_path)
    assert done.returncode == 1
    assert name in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


# ---- without Swagger UI


@pytest.fixture(scope="module")
def plain_tallyd():
    """The program as -DDOCS_UI=OFF makes it, in a build of its own that later runs find again."""
    build = BUILD / "docs-off"
    options = ["-DDOCS_UI=OFF", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=Debug"]
    for command in (["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", *options],
                    ["cmake", "--build", build, "--target", "tallyd"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert not (build / "http/www/packages").exists(), "npm was run"
    return build / "tallyd"


@pytest.fixture
def start_plain_tallyd(plain_tallyd, redis, start_tallyd, monkeypatch):
    monkeypatch.setattr(tallyd_module, "program", lambda name: str(plain_tallyd))
    return lambda: start_tallyd(redis.port)


def test_without_swagger_ui_the_docs_say_so(start_plain_tallyd):
    tallyd = start_plain_tallyd()
    status, headers, body = tallyd.get("/docs")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"without Swagger UI" in body and b'href="/openapi.json"' in body
    assert len(body) < 4096
    assert tallyd.get("/docs/docs.js")[0] == 404
    assert tallyd.get_json("/openapi.json")["paths"]
    assert UPLOT_NOTICE not in tallyd.get("/")[2]


def test_without_npm_both_pages_still_work(start_plain_tallyd, closing):
    tallyd = start_plain_tallyd()
    browser = closing(Browser())
    for path in ("/docs", "/"):
        browser.open(f"http://127.0.0.1:{tallyd.http_port}{path}")
        browser.wait_for("document.querySelector('main h1, h1')", "a heading")
        assert browser.console_errors() == [], path
        assert browser.foreign_requests() == [], path
