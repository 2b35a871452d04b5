"""A real headless Chromium, driven through Debian's python3-selenium and chromium-driver.

    browser = closing(Browser())                      # skips the test when it is not installed
    browser.open(f"http://127.0.0.1:{tallyd.http_port}/docs")
    browser.wait_for("document.querySelectorAll('.opblock').length > 3", "the operations")
    assert browser.console_errors() == []
    assert browser.foreign_requests() == []
"""
import base64
import json
import os
from urllib.parse import urlsplit

import pytest

from .env import BUILD, WAIT_S, have, wait_until

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    webdriver = None

SCREENSHOTS = BUILD / "screenshots"
_LOCAL_SCHEMES = ("data", "blob", "about")

# Every text that is seen, with its contrast to what lies behind it, by WCAG 2.1's formula. Grounds
# are opaque; a control that is disabled need not be readable, but ours are held to it as well.
_CONTRASTS = """
(() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const luminance = ([r, g, b]) =>
    0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = channels(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
      if (colour[3] !== 0) throw new Error('a ground that can be seen through');
    }
    return [255, 255, 255];
  };
  const seen = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true })
    && e.getClientRects().length > 0 && !e.closest('.unseen');
  const own = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
  return [...document.body.querySelectorAll('*')]
    .filter((e) => !['SCRIPT', 'NOSCRIPT', 'STYLE'].includes(e.tagName) && own(e) && seen(e))
    .map((e) => {
      const [a, b] = [luminance(channels(getComputedStyle(e).color)), luminance(ground(e))];
      return [e.textContent.trim().slice(0, 40),
              (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    });
})()
"""


def skip_without_browser():
    """Skips the test, and says why, where there is no browser to run."""
    if webdriver is None:
        pytest.skip("python3-selenium is not installed")
    for program in ("chromium", "chromedriver"):
        if not have(program):
            pytest.skip(f"{program} is not installed")


def _arguments(languages):
    arguments = [
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",  # containers have a small /dev/shm
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        f"--lang={languages.split(',')[0]}",
    ]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's sandbox refuses root
    return arguments


class Browser:
    """One browser with one tab, of `width` times `height` CSS pixels. `languages` is what its
    user has chosen, the best liked first: "zh-CN,en"; `any_server` is for one whose certificate a
    test's own authority has signed."""

    def __init__(self, width=1280, height=900, languages="en-US,en", any_server=False):
        skip_without_browser()
        options = webdriver.ChromeOptions()
        for argument in _arguments(languages):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"intl.accept_languages": languages})
        options.accept_insecure_certs = any_server
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(service=Service("chromedriver"), options=options)
        self.driver.set_script_timeout(30)
        self.requests = []
        self.origin = None
        self.resize(width, height)

    def close(self):
        self.driver.quit()

    # What the user does

    def open(self, url):
        """Opens the page and waits until it is loaded."""
        parts = urlsplit(url)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.driver.get(url)

    def find(self, selector):
        """The first element of that CSS selector; fails when there is none."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector):
        self.find(selector).click()

    def type(self, selector, text):
        """Replaces what stands in an input field, key by key."""
        field = self.find(selector)
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text or Keys.DELETE)

    def press(self, key):
        """One key to whatever has the focus: "TAB", "ENTER"."""
        self.driver.switch_to.active_element.send_keys(getattr(Keys, key))

    def new_tab(self):
        """Opens an empty tab and shows it; those before it are hidden."""
        self.driver.switch_to.new_window("tab")

    def show_tab(self, handle):
        """Goes back to a tab, by what driver.current_window_handle was there."""
        self.driver.switch_to.window(handle)
        self.cdp("Page.bringToFront")

    # How it is set up

    def cdp(self, command, **parameters):
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def resize(self, width, height, phone=False):
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    def prefer(self, **features):
        """Media features: prefer(color_scheme="dark", reduced_motion="reduce")."""
        listed = [
            {"name": "prefers-" + name.replace("_", "-"), "value": value}
            for name, value in features.items()
        ]
        self.cdp("Emulation.setEmulatedMedia", features=listed)

    def run_at_start(self, script):
        """Runs `script` in each page that is opened from now on, before the page's own."""
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)

    # What can be seen

    def js(self, expression, *arguments):
        """The value of a JavaScript expression; `arguments` are arguments[0] and so on."""
        return self.driver.execute_script(f"return ({expression});", *arguments)

    def wait_for(self, expression, what, timeout=WAIT_S):
        """Waits until the expression is true and returns its value."""
        return wait_until(lambda: self.js(expression), what, timeout)

    def text(self, selector):
        return self.find(selector).text

    def contrasts(self):
        """Of each text that is seen: how it begins, and its contrast as WCAG defines it."""
        return self.js(_CONTRASTS)

    def screenshot(self, name):
        """Keeps a picture of the whole page as a test artefact."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (SCREENSHOTS / f"{name}.png").write_bytes(self._picture())

    def _picture(self):
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        picture = self.cdp(
            "Page.captureScreenshot",
            captureBeyondViewport=True,
            clip={"x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"]},
        )
        return base64.b64decode(picture["data"])

    # What went on behind it

    def console_errors(self):
        """What the console has as an error since the last call: scripts that threw, requests that
        failed, what the Content-Security-Policy refused."""
        return [line["message"] for line in self.driver.get_log("browser")
                if line["level"] == "SEVERE"]

    def _read_requests(self):
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])

    def requested(self):
        """Every address that the page asked for, from the start of the browser on."""
        self._read_requests()
        return list(self.requests)

    def foreign_requests(self):
        """Those of them that went to anywhere but the server of the page that is open."""
        return [
            url
            for url in self.requested()
            if not url.startswith(self.origin + "/")
            and urlsplit(url).scheme not in _LOCAL_SCHEMES
        ]
