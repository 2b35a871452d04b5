"""The page, GET /, as its tests see it."""
import re

from .env import WAIT_S

LIVE = "document.body.dataset.link === 'live'"
STALE = "document.body.dataset.link === 'stale'"


def open_page(browser, tallyd, until=LIVE):
    """Opens the page and waits until it is live, or for another condition."""
    scheme = "https" if tallyd.trust else "http"
    browser.open(f"{scheme}://127.0.0.1:{tallyd.http_port}/")
    browser.wait_for(until, f"the page to have {until}")


def number(browser, selector):
    """The figure that the element shows, 0 for a dash."""
    return float(re.sub(r"[^\d.]", "", browser.text(selector)) or 0)


def wait_for_stage(browser, stage, state, timeout=WAIT_S):
    """Waits until the stage of the pipeline has that state; returns the words that it says."""
    element = f"document.getElementById('stage-{stage}')"
    browser.wait_for(f"{element}.dataset.state === '{state}'", f"{stage} to be {state}", timeout)
    return browser.text(f"#stage-{stage} .words")


def wait_for_words(browser, stage, words):
    """Waits until the stage is stuck and says so in these words."""
    said = f"document.querySelector('#stage-{stage}[data-state=stuck] .words')"
    browser.wait_for(f"{said} && {said}.textContent.includes('{words}')", f"{stage}: {words}")


def assert_readable(browser):
    """WCAG 2.1, success criterion 1.4.3: each text has a contrast of 4.5 at least."""
    faint = [(text, round(ratio, 2)) for text, ratio in browser.contrasts() if ratio < 4.5]
    assert faint == []


def assert_clean(browser, but=None):
    """No error on the console, `but` for those that match, and no request to anywhere else."""
    errors = [line for line in browser.console_errors() if not (but and re.search(but, line))]
    assert errors == []
    assert browser.foreign_requests() == []
