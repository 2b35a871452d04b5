"""The servers of one row, pinned to their processors, and their orderly end."""
import contextlib
import signal
import subprocess
import tempfile
from pathlib import Path

import machine
from harness.env import BUILD, free_port
from harness.redis_server import Redis
from harness.tallyd import Tallyd

PROGRAMS = BUILD / "bench-bin"  # what tests/bench/build.sh builds


class Missing(Exception):
    """What a row needs is not on this machine; the row is skipped, and says so."""


def bench_program(name):
    """The path of a limit, peer or client; raises Missing when it was left out of the build."""
    path = PROGRAMS / name
    if not path.exists():
        raise Missing(f"no {name}: tests/bench/build.sh builds it, or says why not")
    return str(path)


class Program:
    """A limit or a peer: prints "listening on 127.0.0.1:PORT" when it is ready, ends on SIGTERM."""

    def __init__(self, command, log_path):
        self.port = free_port()
        self.log_path = log_path
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        line = self.process.stdout.readline()
        if "listening on" not in line:
            self.close()
            raise AssertionError(f"{command[0]} said {line!r}: {log_path.read_text()}")

    @property
    def target(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        """SIGTERM; returns what it printed after its first line."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            output, _ = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            output, _ = self.process.communicate()
        return output


class Stage(contextlib.ExitStack):
    """A directory and the servers started in it; leaving the `with` block ends them, the last one
    first."""

    def __init__(self):
        super().__init__()
        self.directory = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="tallyd-")))
        self.count = 0

    def _next(self):
        """A number for the name of a file."""
        self.count += 1
        return self.count

    def redis(self):
        """An in-memory Redis on the load's last processor."""
        redis = Redis(self.directory / f"redis-{self._next()}")
        self.callback(redis.close)
        with machine.pinned(machine.REDIS_CPU):
            redis.start()
        return redis

    def tallyd(self, redis, cpus=None, **options):
        """One worker on the first processor, unless told otherwise; HTTP as it is by default. It is
        Redis's default user, as what it is compared with."""
        by_default = {"http_refresh_ms": None, "http_connections": None, "redis_username": None}
        options = {"workers": 1, "log_level": "warn"} | by_default | options
        tallyd = Tallyd(self.directory, redis.port, **options)
        self.callback(tallyd.close)
        with machine.pinned(cpus or machine.SERVER_CPU):
            tallyd.start()
        return tallyd

    def program(self, *command):
        """A limit or a peer on the server's processor."""
        log = self.directory / f"{Path(command[0]).name}-{self._next()}.log"
        with machine.pinned(machine.SERVER_CPU):
            started = Program(list(command), log)
        self.callback(started.close)
        return started
