"""The page and the API's page, in a real browser, on a tallyd that wants a token, or a certificate."""
import signal

import pytest
from harness import grpc_client, tokens
from harness.browser import Browser
from harness.certificates import Authority, tls_options
from harness.env import have
from harness.openapi import needs_docs_ui
from harness.page import LIVE, assert_clean, assert_readable, number, open_page
from harness.redis_server import KEY

LOCKED = "document.body.dataset.link === 'locked'"
REFUSED = r"Failed to load resource: .* 40[13]"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens"


def enter(browser, token):
    browser.type("#token", token)
    browser.press("ENTER")


def wait_for_words(browser, words):
    said = "document.getElementById('access-words').textContent"
    browser.wait_for(f"{said}.includes('{words}')", f"the page to say: {words}")


def is_shown(browser, selector):
    return browser.find(selector).is_displayed()


def test_the_page_asks_for_a_token_and_takes_it(redis, start_tallyd, closing, file):
    reader, sender = tokens.add(file, "reader", "read"), tokens.add(file, "sender", "ingest")
    redis.client.hset(KEY, mapping={"device-1": 42})
    tallyd = start_tallyd(redis.port, token_file=file)
    browser = closing(Browser())
    open_page(browser, tallyd, until=LOCKED)
    assert is_shown(browser, "#access") and not is_shown(browser, "#log-out")
    wait_for_words(browser, "wants a token")
    assert browser.text("#link-state") == "token needed"
    assert browser.text("#total") == "–"
    assert browser.js("document.activeElement.id") == "token"
    assert browser.js("document.getElementById('token').labels.length") == 1
    assert_readable(browser)
    browser.screenshot("locked")

    for wrong in (reader[:-4] + "0000", "世界", "two words"):
        enter(browser, wrong)
        wait_for_words(browser, "does not know this token")
        enter(browser, sender)
        wait_for_words(browser, "lacks the right")
    enter(browser, reader)
    browser.wait_for(LIVE, "the page to be live")
    browser.wait_for("document.getElementById('total').textContent === '42'", "the total")
    browser.wait_for("document.querySelectorAll('#find-rows tr').length === 1", "the device")
    assert not is_shown(browser, "#access") and is_shown(browser, "#log-out")
    assert browser.js("document.getElementById('token').value") == ""
    assert_readable(browser)

    open_page(browser, tallyd)  # anew: the tab has kept it
    assert not is_shown(browser, "#access")
    assert number(browser, "#total") == 42
    assert browser.js("document.cookie + JSON.stringify(localStorage)") == "{}"

    browser.click("#log-out")
    browser.wait_for(LOCKED, "the page to be locked again")
    wait_for_words(browser, "wants a token")
    assert browser.text("#total") == "–"
    assert browser.js("sessionStorage.length") == 0
    assert not any(reader in address for address in browser.requested())
    assert_clean(browser, but=REFUSED)


def test_a_revoked_token_locks_the_page(redis, start_tallyd, closing, file):
    reader = tokens.add(file, "reader", "read")
    tallyd = start_tallyd(redis.port, token_file=file)
    browser = closing(Browser(languages="zh-CN"))
    open_page(browser, tallyd, until=LOCKED)
    wait_for_words(browser, "读取权限的令牌")
    assert browser.text("#access button") == "登录"
    enter(browser, reader)
    browser.wait_for(LIVE, "the page to be live")
    tokens.revoke(file, "reader")
    tallyd.process.send_signal(signal.SIGHUP)
    browser.wait_for(LOCKED, "the page to be locked")
    wait_for_words(browser, "不认识此令牌")
    assert_clean(browser, but=REFUSED)


def test_without_a_token_file_nobody_is_asked(tallyd, closing):
    browser = closing(Browser())
    open_page(browser, tallyd)
    assert not is_shown(browser, "#access") and not is_shown(browser, "#log-out")
    assert_clean(browser)


@pytest.mark.parametrize("wants_tokens", [False, True])
def test_without_a_certificate_the_page_says_that_it_takes_one(
    redis, start_tallyd, closing, file, tmp_path, wants_tokens
):
    if not have("openssl"):
        pytest.skip("openssl is not installed")
    authority = Authority(tmp_path)
    options = tls_options(authority, authority.issue("server"), client_ca=authority)
    if wants_tokens:
        tokens.add(file, "reader", "read")
        options["token_file"] = file
    tallyd = start_tallyd(redis.port, **options)
    browser = closing(Browser(any_server=True))
    open_page(browser, tallyd, until="document.body.dataset.link === 'barred'")
    assert browser.text("#link-state") == "certificate needed"
    assert "client certificate" in browser.text("#banner")
    assert not is_shown(browser, "#access") and not is_shown(browser, "#log-out")
    browser.wait_for(
        "document.getElementById('find-words').textContent.includes('certificate')", "the search"
    )
    assert_readable(browser)
    assert_clean(browser, but=REFUSED)


def test_the_docs_take_a_token(redis, start_tallyd, closing, file):
    needs_docs_ui()
    reader, sender = tokens.add(file, "reader", "read"), tokens.add(file, "sender", "ingest")
    tallyd = start_tallyd(redis.port, token_file=file)
    assert grpc_client.send(tallyd.target, ["tried-out"] * 3, metadata=list(
        tokens.bearer(sender).items())) == 3
    browser = closing(Browser())
    browser.open(f"http://127.0.0.1:{tallyd.http_port}/docs")
    browser.wait_for("document.querySelector('.btn.authorize')", "the button")
    browser.click(".btn.authorize")
    browser.wait_for("document.querySelector('.auth-container input')", "the field")
    browser.type(".auth-container input", reader)
    browser.click(".auth-btn-wrapper .authorize")
    browser.click(".auth-btn-wrapper .btn-done")
    operation = "#operations-counts-listTop"
    browser.click(f"{operation} .opblock-summary-control")
    browser.wait_for(f"document.querySelector('{operation} .execute')", "the button")
    browser.click(f"{operation} .execute")
    answer = f"document.querySelector('{operation} .live-responses-table')"
    browser.wait_for(f"{answer} && {answer}.innerText.includes('tried-out')", "the answer")
    assert_clean(browser)
