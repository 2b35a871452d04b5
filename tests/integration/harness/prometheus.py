"""What tallyd tells Prometheus, as numbers; and a real Prometheus that reads it."""
import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from .env import WAIT_S, free_port, wait_until

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# The Accept header of Prometheus 2.42.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


def scrape(tallyd, accept=None, path="/metrics/prom"):
    """Returns the text, and its content type."""
    status, headers, body = tallyd.get(path, headers={"Accept": accept} if accept else None)
    assert status == 200, body
    return body.decode(), headers["Content-Type"]


def samples(text):
    """The samples as a dict: name and labels as they stand there -> value. For labels without
    line feeds."""
    rows = re.findall(r"^([a-z_]+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)
    assert len(rows) == sum(not line.startswith("#") for line in text.splitlines())
    values = {name: float(value) for name, value in rows}
    assert len(values) == len(rows), "a sample stands there twice"
    return values


class Prometheus:
    """One prometheus (Debian's package of that name), with its data and its prometheus.yml, which
    the test has written, in `directory`."""

    def __init__(self, directory):
        self.directory = directory
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = None

    def start(self):
        with open(self.directory / "prometheus.log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.directory / 'prometheus.yml'}"]
                + [f"--storage.tsdb.path={self.directory / 'data'}"]
                + [f"--web.listen-address={self.url.removeprefix('http://')}"],
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_ready, "Prometheus to be ready")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, (self.directory / "prometheus.log").read_text()
        try:
            with urllib.request.urlopen(self.url + "/-/ready", timeout=30) as response:
                return response.status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of an API call; fails with Prometheus's words when it is refused."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read().decode()}") from error

    def query(self, expression):
        """The samples of an instant query: a list of (labels, value)."""
        rows = self.ask("query", query=expression)["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
