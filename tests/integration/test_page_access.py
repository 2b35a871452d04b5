"""The page, GET /, for everyone: languages, contrast, phones, keyboards, screen readers, browsers
without data or without uPlot."""
import gzip
import re

import pytest
from harness import grpc_client
from harness.browser import Browser
from harness.page import assert_clean, assert_readable, open_page
from harness.redis_server import KEY

MAX_BYTES = 100_000  # compressed
MAX_COUNT = 2**63 - 1

# The figures of a table that stick out of their cell or of the box around it, and the ids of which
# something is cut off.
CUT_OFF = """
[...document.querySelectorAll(arguments[0] + ' tbody :is(th, td.figure)')]
  .filter((cell) => cell.getClientRects().length > 0)
  .filter((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    const text = range.getBoundingClientRect();
    return [cell, cell.closest('.rows, .panel')].map((e) => e.getBoundingClientRect())
      .some((box) => text.left < box.left - 0.5 || text.right > box.right + 0.5);
  })
  .map((cell) => cell.textContent)
"""


@pytest.mark.parametrize(
    "languages, lang, heading",
    [
        ("zh-CN,en", "zh-Hans", "最繁忙的设备"),
        ("en-GB,zh-CN", "en", "Busiest devices"),
        ("fr-FR,zh-TW", "zh-Hans", "最繁忙的设备"),
        ("fr-FR,de", "en", "Busiest devices"),
    ],
)
def test_the_language_is_the_browsers(tallyd, closing, languages, lang, heading):
    assert grpc_client.send(tallyd.target, [f"设备-{i}" for i in range(30)]) == 30
    browser = closing(Browser(languages=languages))
    open_page(browser, tallyd)
    assert browser.js("document.documentElement.lang") == lang
    assert browser.text("#busiest-heading") == heading
    keys = "JSON.stringify(Object.keys(strings.TEXTS.{}))"
    assert browser.js(keys.format("en")) == browser.js(keys.format("zh"))
    if languages.startswith("zh"):
        browser.wait_for("document.querySelectorAll('#find-rows tr').length === 30", "the devices")
        browser.screenshot("zh")
    assert_clean(browser)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast_enough(tallyd, closing, scheme):
    assert grpc_client.send(tallyd.target, [f"d-{i}" for i in range(30)]) == 30
    browser = closing(Browser())
    browser.prefer(color_scheme=scheme)
    open_page(browser, tallyd)
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 30", "the devices")
    assert len(browser.contrasts()) > 100
    assert_readable(browser)


def test_figures_are_whole_and_nothing_scrolls_sideways(redis, tallyd, closing):
    long_id = "sensor-7" * 25
    none = {f"d-{i}": 0 for i in range(18)}
    redis.client.hset(KEY, mapping={"most": MAX_COUNT, long_id: 0, **none})
    browser = closing(Browser())
    open_page(browser, tallyd)
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 20", "the devices")
    browser.click(".choice label:last-of-type")
    browser.wait_for("document.querySelector('#busiest-rows th')?.textContent === 'most'", "counts")
    assert browser.text("#total") == f"{MAX_COUNT:,}"
    for width, phone in ((1280, False), (1080, False), (360, True), (320, True)):
        browser.resize(width, 780, phone=phone)
        browser.wait_for(f"innerWidth === {width}", f"a width of {width}")
        browser.wait_for(f"document.documentElement.scrollWidth <= {width}", "the charts to fit")
        assert browser.js("document.getElementById('find-box').scrollWidth"
                          " <= document.getElementById('find-box').clientWidth")
        assert browser.js(CUT_OFF, "#find-box") == []
        cut = browser.js(CUT_OFF, "#busiest-table")
        assert cut == ([] if phone else [long_id])  # whose title tells it all
        browser.screenshot(f"wide-figures-{width}")
    assert_clean(browser)


def test_a_phone_needs_no_sideways_scrolling(tallyd, closing):
    assert grpc_client.send(tallyd.target, ["d" * 200] + [f"d-{i}" for i in range(30)]) == 31
    browser = closing(Browser())
    browser.resize(360, 780, phone=True)
    open_page(browser, tallyd)
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 31", "the devices")
    assert browser.js("innerWidth") == 360
    assert browser.js("document.documentElement.scrollWidth") <= 360
    browser.screenshot("phone")
    assert_clean(browser)


def test_the_first_paint_does_not_wait_for_data(tallyd, closing):
    browser = closing(Browser())
    held = [{"urlPattern": f"*{path}*"} for path in ("/events", "/metrics", "/summary")]
    browser.cdp("Fetch.enable", patterns=held)  # and nobody lets them go on
    open_page(browser, tallyd, until="true")
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    painted = browser.wait_for(paint, "the first paint")
    assert browser.text("#total") == "–"
    assert browser.text("#link-state") == "connecting"
    assert browser.js("document.querySelectorAll('.stage').length") == 4
    browser.screenshot("without-data")
    print(f"first contentful paint after {painted:.0f} ms")
    assert_clean(browser)


def said(browser):
    """What a screen reader finds: (role, name) of each part."""
    return [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in browser.cdp("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    ]


def nameless(parts):
    needing = ("searchbox", "combobox", "button", "radio", "link", "table", "image", "region")
    return [role for role, name in parts if role in needing and not name]


def test_keyboard_and_screen_reader_find_their_way(tallyd, closing):
    browser = closing(Browser())
    browser.prefer(reduced_motion="reduce")
    open_page(browser, tallyd)
    active = "document.activeElement"
    browser.press("TAB")
    assert browser.js(f"{active}.className") == "skip"
    assert browser.js(f"{active}.getBoundingClientRect().left") >= 0
    browser.press("ENTER")
    assert browser.js(f"{active}.id") == "main"
    for _ in range(20):
        browser.press("TAB")
        assert browser.js(f"{active}.matches(':focus-visible')")
        if browser.js(f"{active}.name === 'order'"):
            break
    browser.press("ARROW_RIGHT")
    assert browser.js(f"{active}.value") == "by_count"
    assert browser.js("document.getElementById('busiest-table').dataset.order") == "by_count"

    named = said(browser)
    roles = {role for role, _ in named}
    assert {"main", "banner", "navigation", "search", "status", "table"} <= roles
    landmarks = [each for each in named if each[0] in ("region", "search", "navigation")]
    assert len(set(landmarks)) == len(landmarks)
    assert sum(name == "Find a device" for _, name in landmarks) == 1
    assert nameless(named) == []
    levels = browser.js("[...document.querySelectorAll('h1,h2,h3')].map((h) => +h.tagName[1])")
    assert levels[0] == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:]))
    assert browser.js("document.getAnimations().length") == 0


def test_without_uplot_the_chart_is_a_plain_line(tallyd, closing, start_sender):
    start_sender(tallyd.target, n=10**9, devices=3, rate=1000)
    browser = closing(Browser())
    browser.run_at_start("Object.defineProperty(window, 'uPlot', { get() {}, set() {} });")
    open_page(browser, tallyd)
    line = "document.querySelector('#chart polyline')"
    browser.wait_for(f"{line} && {line}.getAttribute('points').includes(' ')", "the line")
    assert browser.js("document.querySelector('#chart canvas')") is None
    parts = said(browser)
    assert nameless(parts) == []
    heading = browser.text("#history-heading")
    assert [name for role, name in parts if role == "image"] == [heading]
    assert_clean(browser)


def test_the_page_is_one_small_file(tallyd):
    status, headers, body = tallyd.get("/", headers={"Accept-Encoding": "gzip"})
    assert status == 200
    assert headers["Content-Encoding"] == "gzip"
    assert len(body) < MAX_BYTES
    page = gzip.decompress(body).decode()
    assert "<!-- inline" not in page
    markup = re.sub(r"<(script|style)>.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.search(r"\s(src|style|on\w+)=|rel=.stylesheet|<(script|style)", markup)
