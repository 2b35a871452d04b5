"""The real tallyd as a child process, with its HTTP face and its log."""
import http.client
import json
import os
import re
import resource
import signal
import subprocess
from urllib.parse import quote

from .env import PATIENCE, RUN_BY, WAIT_S, free_port, program, wait_until
from .redis_server import PASSWORD, USERNAME

_SANITIZER_REPORT = re.compile(
    r"(Address|Thread|Leak|Memory)Sanitizer|: runtime error: |^==\d+== ", re.MULTILINE
)
_count = 0

# Whoever gives one of them wants another login, or keys that the shipped rights do not cover.
_LOGIN = {"redis_username", "redis_password", "redis_password_file", "redis_key", "redis_db", "config"}
_LOGIN_VARIABLES = {"REDIS_USERNAME", "REDIS_PASSWORD", "REDIS_PASSWORD_FILE"}


def _environment(extra):
    """Only what a program needs anywhere, so that no option leaks in from the caller's shell."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG") or name.endswith("SAN_OPTIONS")
    }
    return kept | extra


def run(*arguments, environment=None, timeout=WAIT_S):
    """Runs tallyd for as long as it takes to exit; returns the completed process."""
    return subprocess.run(
        [program("tallyd"), *map(str, arguments)],
        env=_environment(environment or {}),
        capture_output=True,
        text=True,
        timeout=timeout * PATIENCE,
        check=False,
    )


class Tallyd:
    """Started by start(). `options` are named as on the command line, with underscores:
    flush_interval_ms=10. One that is None is left out; redis_password goes into the environment,
    the only place for it. Without anything about the login it logs in as the harness's user, with
    the rights that are shipped; redis_username=None logs in not at all. `wrapper` is
    a command that runs it. `open_files` bounds its descriptors. `trust` is an ssl.SSLContext for
    asking it over TLS.
    Unless a test says otherwise, HTTP reads Redis for each request, so that /metrics is exact."""

    def __init__(
        self, directory, redis_port, environment=None, open_files=None, wrapper=(), **options
    ):
        global _count
        _count += 1
        self.log_path = directory / f"tallyd-{_count}.log"
        self.environment = _environment(environment or {})
        self.open_files = open_files
        self.wrapper = [str(word) for word in wrapper]
        self.options = {
            "redis_host": "127.0.0.1",
            "redis_port": redis_port,
            "instance": f"test-{_count}",
            "workers": 2,
            "grpc_port": free_port(),
            "http_port": free_port(),
            "http_refresh_ms": 0,
            "http_connections": 100,  # threads, of which a sanitizer makes much
        } | options
        if not _LOGIN & options.keys() and not self.environment.keys() & _LOGIN_VARIABLES:
            self.options |= {"redis_username": USERNAME, "redis_password": PASSWORD}
        self.trust = self.options.pop("trust", None)
        password = self.options.pop("redis_password", None)
        if password is not None:
            self.environment["REDIS_PASSWORD"] = password
        self.process = None

    @property
    def grpc_port(self):
        return self.options["grpc_port"]

    @property
    def http_port(self):
        return self.options["http_port"]

    @property
    def target(self):
        return f"127.0.0.1:{self.grpc_port}"

    def start(self, ready=True):
        """Starts it and waits until it is ready, or only alive with ready=False."""
        arguments = [*self.wrapper, *RUN_BY, program("tallyd")]
        for name, value in self.options.items():
            if value is not None:
                arguments += ["--" + name.replace("_", "-"), str(value)]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                arguments,
                stdout=log,
                stderr=log,
                env=self.environment,
                preexec_fn=self._limit if self.open_files else None,
            )
        path = "/readyz" if ready else "/healthz"
        wait_until(lambda: self._answers(path), f"tallyd to answer 200 on {path}")
        return self

    def _limit(self):
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.open_files, self.open_files))

    def _answers(self, path):
        if self.process.poll() is not None:
            raise AssertionError(f"tallyd exited {self.process.returncode}:\n{self.log()}")
        try:
            return self.get(path)[0] in (200, 401)  # 401: it lives, and wants a token
        except OSError:
            return False

    # Its end

    def wait(self, timeout=WAIT_S):
        """Waits for its exit and returns the status; a signal's number is negative."""
        return self.process.wait(timeout * PATIENCE)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, timeout=WAIT_S):
        """SIGTERM, and the exit status."""
        self.terminate()
        return self.wait(timeout)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """For the end of a test: stops what still runs and fails on what a sanitizer reported."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.terminate()
            try:
                self.wait(10)  # longer only where Redis is away, and what is left is of no use
            except subprocess.TimeoutExpired:
                self.kill()
        report = _SANITIZER_REPORT.search(self.log())
        assert not report, f"sanitizer report:\n{self.log()[report.start():][:8000]}"

    # What it says

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, pattern, timeout=WAIT_S):
        """Waits for a line that matches `pattern`, case ignored, and returns the match."""
        find = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        return wait_until(lambda: find.search(self.log()), f"/{pattern}/ in the log", timeout)

    def connect_http(self, timeout=WAIT_S):
        if self.trust:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.http_port, timeout=timeout, context=self.trust
            )
        return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)

    def get(self, path, timeout=WAIT_S, method="GET", headers=None):
        """GET, or another method; returns (status, headers, body as bytes)."""
        connection = self.connect_http(timeout)
        try:
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def get_json(self, path):
        status, _, body = self.get(path)
        assert status == 200, f"{path}: {status} {body[:500]}"
        return json.loads(body)

    def metrics(self):
        """/metrics as a dict: device to count. Fails when a device is listed twice."""
        rows = self.get_json("/metrics")
        totals = {row["device_id"]: row["count"] for row in rows}
        assert len(totals) == len(rows), "a device stands twice in /metrics"
        return totals

    def device(self, device):
        """The count that /devices/{device_id} tells, or None when it answers 404."""
        status, _, body = self.get("/devices/" + quote(device, safe="", errors="surrogateescape"))
        assert status in (200, 404), f"{status} {body[:500]}"
        row = json.loads(body)  # an error is JSON too
        if status == 404:
            return None
        assert row["device_id"] == device
        return row["count"]

    def stats(self):
        return self.get_json("/stats")


def assert_balance(stats):
    """Promise P3: received = committed + pending + rejected, in one scrape."""
    balance = stats["balance"]
    assert balance["rejected_total"] == sum(balance["rejected"].values())
    assert balance["received"] == (
        balance["committed"] + balance["pending"] + balance["rejected_total"]
    ), balance
