"""The page, GET /, in a real browser, on a real tallyd that real packets flow into. Pictures of it
are kept in the build directory, under screenshots/."""
import contextlib
import json
import re
import signal
import time

from harness import grpc_client
from harness.browser import Browser
from harness.env import amount
from harness.event_stream import EventStream
from harness.page import (
    LIVE,
    STALE,
    assert_clean,
    assert_readable,
    number,
    open_page,
    wait_for_stage,
    wait_for_words,
)
from harness.redis_server import KEY

MAX_ROWS = 50  # of a page of devices
MAX_LISTENERS = 64  # EVENTS_MAX_LISTENERS
MAX_CONNECTIONS = 6  # of a browser to one host, for all of its tabs
GONE = "document.body.dataset.link === 'gone'"

# take() tells the longest task since it was last called, work() how long a known piece of work takes,
# one of the browser's own that no compiler has to see first. In ms.
WATCH_TASKS = """
window.tasks = {
  observer: new PerformanceObserver((list) => tasks.note(list.getEntries())),
  longest: 0,
  note(entries) {
    for (const entry of entries) tasks.longest = Math.max(tasks.longest, entry.duration);
  },
  take() {
    tasks.note(tasks.observer.takeRecords());
    const longest = tasks.longest;
    tasks.longest = 0;
    return longest;
  },
  work() {
    const numbers = new Float64Array(5e5), start = performance.now();
    numbers.sort();
    return performance.now() - start;
  },
};
tasks.observer.observe({ type: 'longtask', buffered: true });
"""


class Pace:
    """How long steps of a kind keep the page's main thread, compared with a known piece of work that
    is done between them. A busy machine makes some of both long; what the page takes too long over
    is in all steps of that kind. So the shortest of each are compared."""

    MAX_RATIO = 50  # the work is 3 to 5 ms, and on an idle machine no step has a task of 50

    def __init__(self, browser):
        self.browser = browser
        self.work = []
        self.tasks = {}  # a kind to the longest task of each step
        assert browser.js("PerformanceObserver.supportedEntryTypes.includes('longtask')")

    @contextlib.contextmanager
    def step(self, kind):
        self.browser.js("tasks.take()")
        yield
        time.sleep(0.1)  # for what a step leaves to be done behind it
        self.tasks.setdefault(kind, []).append(self.browser.js("tasks.take()"))
        self.work += self.browser.js("[1, 2, 3, 4, 5].map(tasks.work)")

    def assert_kept(self):
        most = self.MAX_RATIO * min(self.work)
        for kind, tasks in self.tasks.items():
            assert len(tasks) >= 5, "too few to tell a slow page from a busy machine"
            assert min(tasks) <= most, f"{kind}: {tasks} ms, of at most {most:.0f}"


# What the pipeline says after figures that come one after the other; the last two of each row are
# when they came and when they were rendered.
JUDGE = """
arguments[0].map((row, i) => {
  if (i === 0) pipeline.forget();
  const [received, in_workers, pending, committed, at, rendered] =
    row.map((value) => typeof value === 'string' ? BigInt(value) : value);
  pipeline.update({ connections: 1, streams: 1, acks_waiting: 0, rejected: 0, commit_ms: 1,
    redis_up: true, accepting: true, draining: false, received, in_workers, pending, committed },
    1, at, rendered);
  return ['workers', 'pending'].map((stage) => document.getElementById(`stage-${stage}`))
    .map((stage) => stage.dataset.state)
    .concat(document.getElementById('committed').textContent).join(' ');
})
"""


def device_rows(browser):
    return browser.js("[...document.querySelectorAll('#find-rows th')].map((e) => e.textContent)")


def wait_for_rows(browser, first, count):
    rows = "document.querySelectorAll('#find-rows tr')"
    browser.wait_for(
        f"{rows}.length === {count} && {rows}[0].cells[0].textContent === {json.dumps(first)}",
        f"{count} rows that begin with {first}",
    )


def load_devices(redis, count):
    pipeline = redis.client.pipeline(transaction=False)
    for first in range(0, count, 10_000):
        last = min(first + 10_000, count)
        pipeline.hset(KEY, mapping={f"device-{i:06}": i + 1 for i in range(first, last)})
    pipeline.execute()


def test_the_figures_move_while_packets_flow(tallyd, closing, start_sender):
    browser = closing(Browser())
    open_page(browser, tallyd)
    assert number(browser, "#total") == 0
    chart = "typeof uPlot === 'undefined' ? '#chart svg' : '#chart canvas'"  # without npm
    assert browser.js(f"document.querySelector({chart}) !== null")
    assert "nobody" in wait_for_stage(browser, "clients", "idle")

    sender = start_sender(tallyd.target, n=20_000, devices=40, rate=2000, zipf=1, connections=2)
    assert wait_for_stage(browser, "workers", "good") == "flowing"
    wait_for_stage(browser, "clients", "good")
    wait_for_stage(browser, "redis", "good")
    assert number(browser, "#connections") == 2
    browser.wait_for("document.querySelectorAll('#busiest-rows tr').length === 20", "20 devices")
    seen = number(browser, "#total")
    browser.wait_for(
        f"Number(document.getElementById('total').textContent.replaceAll(',', '')) > {seen}",
        "the total to grow",
    )
    assert 500 < number(browser, "#rate") < 8000
    browser.wait_for(
        "document.querySelector('#busiest-rows polyline')?.getAttribute('points').split(' ')"
        ".length >= 6",
        "a sparkline",
    )
    browser.screenshot("light")
    browser.prefer(color_scheme="dark")
    browser.wait_for("getComputedStyle(document.body).backgroundColor !== 'rgb(244, 246, 248)'",
                     "the dark colours")
    browser.screenshot("dark")

    assert sender.wait() == 0
    browser.wait_for("document.getElementById('total').textContent === '20,000'", "all packets")
    browser.click(".choice label:last-of-type")
    top = tallyd.get_json("/metrics?sort=-count&limit=1")[0]
    row = "document.querySelector('#busiest-rows tr')"
    assert browser.js(f"{row}.cells[1].textContent") == top["device_id"]
    assert browser.js(f"{row}.cells[2].textContent") == f"{top['count']:,}"
    assert_clean(browser)


def test_the_history_can_be_read_as_words_and_as_a_table(tallyd, closing, start_sender):
    start_sender(tallyd.target, n=10**9, devices=5, rate=1000)
    browser = closing(Browser())
    open_page(browser, tallyd)
    browser.wait_for("/highest [1-9]/.test(document.getElementById('chart-words').textContent)",
                     "the rate in words")
    browser.click("#chart-table summary")
    rows = "[...document.querySelectorAll('#chart-rows tr')].map((row) => row.textContent)"
    browser.wait_for(f"{rows}.length === 10", "ten half minutes")
    assert re.match(r"30 seconds ago[1-9]", browser.js(rows)[0])
    browser.wait_for(f"/2 minutes 30 seconds ago–/.test({rows}[4])", "no rate before the start")
    assert_clean(browser)


def test_the_pipeline_judges_by_what_moves(tallyd, closing):
    browser = closing(Browser())
    open_page(browser, tallyd)
    # One long commit, during which there is no cut by design, and one that stands still.
    moves = [[9000 + i, 4000 + i, 5000 - i, i, 1000 * i, None] for i in range(5)]
    assert browser.js(JUDGE, moves)[1:] == ["good good 1"] * 4
    stands = [[9000 + i, 4000 + i, 5000, 0, 1000 * i, None] for i in range(5)]
    assert browser.js(JUDGE, stands)[1:] == ["good good 0"] + ["stuck stuck 0"] * 3
    # The first packets after a rest are not late, nor are those right after a commit's end.
    rests = [[5, 0, 0, 5, 0, None], [9, 2, 2, 5, 9000, None], [9, 2, 0, 7, 10_000, None]]
    assert [row[:9] for row in browser.js(JUDGE, rests)[1:]] == ["good good", "good idle"]
    # An event that came late: the rate is by the server's clock; without it, by the browser's.
    late = [[0, 0, 0, 0, 1000, 8000], [0, 0, 0, 500, 2500, 9000], [0, 0, 0, 800, 3000, None]]
    assert [row.split()[2] for row in browser.js(JUDGE, late)] == ["–", "500", "600"]
    past = [[str(2**53 + i * 1000), 0, 0, str(2**53 + i * 1000), 1000 * i, None] for i in (0, 1)]
    assert browser.js(JUDGE, past)[1] == "good idle 1,000"
    assert_clean(browser)


def test_search_and_paging_do_not_freeze(redis, start_tallyd, closing):
    count = amount(100_000, 1_000_000, sanitized=2000)
    load_devices(redis, count)
    tallyd = start_tallyd(redis.port, http_refresh_ms=500)
    browser = closing(Browser())
    browser.run_at_start(WATCH_TASKS)
    open_page(browser, tallyd)
    wait_for_rows(browser, "device-000000", MAX_ROWS)
    pace = Pace(browser)
    for page in range(1, 11):
        with pace.step("next"):
            browser.click("#next")
            wait_for_rows(browser, f"device-{page * MAX_ROWS:06}", MAX_ROWS)
    assert browser.text("#find-words") == "501 to 550"
    for page in range(9, -1, -1):
        with pace.step("previous"):
            browser.click("#previous")
            wait_for_rows(browser, f"device-{page * MAX_ROWS:06}", MAX_ROWS)
    assert browser.js("document.getElementById('previous').disabled")

    for order, first in [("-count", count - 1), ("count", 0)] * 3 + [("-count", count - 1)]:
        with pace.step("order"):
            browser.click(f"#sort option[value='{order}']")
            wait_for_rows(browser, f"device-{first:06}", MAX_ROWS)
    for ten in range(17, 11, -1):
        with pace.step("prefix"):
            browser.type("#prefix", f"device-000{ten}")
            wait_for_rows(browser, f"device-000{ten}9", 10)
    assert browser.js("document.getElementById('next').disabled")
    browser.type("#prefix", "device-0000")
    wait_for_rows(browser, "device-000099", MAX_ROWS)
    browser.js("(() => {"
               " const prefix = document.getElementById('prefix');"
               " prefix.value = 'device-0001';"
               " prefix.dispatchEvent(new Event('input'));"
               " document.getElementById('next').click();"  # whose cursor is another prefix's
               "})()")
    wait_for_rows(browser, "device-000199", MAX_ROWS)
    assert browser.text("#find-words") == "1 to 50"
    browser.type("#prefix", "device-x")
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 0", "no rows")
    assert "No device" in browser.text("#find-words")

    pace.assert_kept()
    assert_clean(browser)


def test_a_device_id_is_shown_as_the_text_that_it_is(redis, tallyd, closing):
    odd = {"<b>bold</b>": 9, "nul\0line\nright\u202eleft": 2**53 + 1, "设备-1": 7, " ": 5}
    redis.client.hset(KEY, mapping=odd)
    browser = closing(Browser())
    open_page(browser, tallyd)
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 4", "the devices")
    shown = "nul<U+0000>line<U+000A>right<U+202E>left"
    assert set(device_rows(browser)) == {"<b>bold</b>", shown, "设备-1", " "}
    browser.type("#prefix", "nul")
    wait_for_rows(browser, shown, 1)
    assert browser.text("#find-rows td") == "9,007,199,254,740,993"
    assert_clean(browser)


def test_redis_away_is_told_and_recovered_from(start_redis, start_tallyd, start_sender, closing):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=5000, http_refresh_ms=500)
    browser = closing(Browser())
    open_page(browser, tallyd)
    start_sender(tallyd.target, n=10**9, devices=100, rate=2000, connections=2)
    wait_for_stage(browser, "redis", "good")
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 50", "the devices")

    redis.kill()
    wait_for_words(browser, "redis", "Redis is down")
    wait_for_words(browser, "pending", "nothing was committed for")
    wait_for_words(browser, "workers", "nothing is handed over")
    wait_for_words(browser, "workers", "new streams are refused")
    browser.wait_for(STALE, "the page to be stale")
    assert re.search(r"totals are \d+ seconds old", browser.text("#banner"))
    points = "document.querySelector('#busiest-rows polyline')?.getAttribute('points')"
    browser.wait_for(f"parseFloat({points}?.split(' ').at(-1)) < 93", "the sparklines to stop")
    announced = "document.getElementById('announcement').textContent"
    assert browser.js(announced) != ""
    for scheme in ("light", "dark"):
        browser.prefer(color_scheme=scheme)
        assert_readable(browser)
        browser.screenshot("redis-down" if scheme == "light" else "redis-down-dark")

    redis.start()
    browser.wait_for(LIVE, "the page to be live again")
    for stage in ("workers", "redis"):
        wait_for_stage(browser, stage, "good")
    assert browser.js("document.getElementById('banner').hidden")
    assert_clean(browser)


def test_a_redis_that_was_never_there_leaves_dashes(start_redis, start_tallyd, closing):
    redis = start_redis()
    redis.kill()
    tallyd = start_tallyd(redis.port, ready=False)
    browser = closing(Browser())
    open_page(browser, tallyd, until=STALE)
    assert browser.text("#total") == "–"
    assert "cannot be read" in browser.text("#banner")
    redis.start()
    browser.wait_for(LIVE, "the page to be live")
    assert browser.text("#total") == "0"
    assert_clean(browser, but=r"/metrics\?\S* - Failed to load resource: .* 503")


def test_a_draining_server_says_so(redis, start_tallyd, closing):
    tallyd = start_tallyd(redis.port)
    stream = closing(grpc_client.OpenStream(tallyd.target))
    stream.send(["d"] * 3)
    browser = closing(Browser())
    open_page(browser, tallyd)
    wait_for_stage(browser, "clients", "good")
    tallyd.terminate()
    assert "draining" in wait_for_stage(browser, "workers", "warning")


def test_hidden_tabs_hold_no_connection(tallyd, closing):
    browser = closing(Browser())
    open_page(browser, tallyd)
    first = browser.driver.current_window_handle
    for _ in range(MAX_CONNECTIONS):
        browser.new_tab()
        open_page(browser, tallyd)
        wait_for_stage(browser, "redis", "good")
    assert_clean(browser)
    browser.show_tab(first)
    browser.wait_for(LIVE, "the first tab to be live again")
    wait_for_stage(browser, "redis", "good")
    assert_clean(browser)


def test_a_page_too_many_says_so_until_there_is_room(tallyd, closing):
    listeners = [closing(EventStream(tallyd)) for _ in range(MAX_LISTENERS)]
    assert listeners[-1].status == 200
    browser = closing(Browser())
    open_page(browser, tallyd, until="document.body.dataset.link === 'crowded'")
    assert browser.text("#banner") == "Too many viewers; trying again."
    assert browser.text("#link-state") == "too many viewers"
    assert browser.js("document.getElementById('announcement').textContent") != ""
    assert_readable(browser)
    listeners[0].close()
    browser.wait_for(LIVE, "the page to be live")
    assert browser.js("document.getElementById('banner').hidden")
    assert_clean(browser, but=r"/events - Failed to load resource: .* 503")


def assert_goes_and_comes_back(browser, leave, come_back):
    leave()
    browser.wait_for(GONE, "the server to be missed")
    browser.wait_for("/came [1-9]\\d* seconds? ago/.test("
                     "document.getElementById('banner').textContent)", "the time since")
    assert browser.text("#stage-redis .words") == "no figures yet"
    assert_readable(browser)
    come_back()
    browser.wait_for(LIVE, "the page to be live again")
    wait_for_stage(browser, "redis", "good")


def test_a_killed_server_is_told_and_recovered_from(tallyd, closing):
    assert grpc_client.send(tallyd.target, ["d"] * 5) == 5
    browser = closing(Browser())
    open_page(browser, tallyd)
    assert_goes_and_comes_back(browser, tallyd.kill, tallyd.start)
    browser.wait_for("document.getElementById('total').textContent === '5'", "the total")
    assert_clean(browser, but="net::ERR_")  # what the browser says of a server that is not there


def test_a_server_that_fell_silent_is_told_and_recovered_from(tallyd, closing):
    class Thaw:
        close = staticmethod(lambda: tallyd.process.send_signal(signal.SIGCONT))

    assert grpc_client.send(tallyd.target, ["d"] * 5) == 5
    browser = closing(Browser())
    open_page(browser, tallyd)
    browser.click(".choice label:last-of-type")
    line = "document.querySelectorAll('#busiest-rows tr:first-child polyline')"
    browser.wait_for(f"{line}.length === 1", "a sparkline")
    closing(Thaw)
    assert_goes_and_comes_back(
        browser, lambda: tallyd.process.send_signal(signal.SIGSTOP), Thaw.close
    )
    browser.wait_for(f"{line}.length === 2", "the sparkline to go on after a gap")
    ends = browser.js(f"[...{line}].map((e) => e.getAttribute('points').split(/[ ,]/)"
                      ".filter((_, i) => i % 2 === 0).map(Number))")
    assert ends[1][0] - ends[0][-1] > 5 * 96 / 60  # silence is told after five seconds
    assert_clean(browser, but="net::ERR_")
