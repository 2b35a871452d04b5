"""scripts/run.sh: it builds in build/ and serves until Ctrl-C, with a Redis that is there already."""
import os
import signal
import subprocess

import pytest
from harness.certificates import Authority
from harness.env import BUILD, ROOT, free_port, have, wait_until

pytestmark = pytest.mark.skipif(
    BUILD != ROOT / "build", reason="the script builds in build/, which is not what is tested"
)
START_S = 60


class Run:
    """The script as somebody's job in a terminal. What it says goes to a file."""

    def __init__(self, log, *arguments):
        self.log = log
        self.process = subprocess.Popen(
            [ROOT / "scripts/run.sh", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if "TALLYD" not in name},
        )

    def said(self):
        return self.log.read_text()

    def wait_until_it_serves(self):
        def serves():
            assert self.process.poll() is None, self.said()
            return "send packets" in self.said()

        wait_until(serves, "the script to serve", START_S)

    def interrupt(self):
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(START_S)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_S)


@pytest.fixture
def start(redis, tmp_path):
    runs = []

    def start(*arguments):
        ports = ["--grpc-port", free_port(), "--http-port", free_port()]
        runs.append(Run(tmp_path / f"{len(runs)}.log", *ports, "--redis-port", redis.port, *arguments))
        return runs[-1]

    yield start
    for run in runs:
        run.close()


def send_as_printed(run, *more):
    """The command that the script shows, by the program behind scripts/send_once.sh."""
    (line,) = (one for one in run.said().splitlines() if "send packets" in one)
    command = line.split("send_once.sh ")[1].split()
    return subprocess.run(
        [BUILD / "tally-send", *command, *more], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_demo_sends_and_ctrl_c_ends_it(redis, start):
    run = start("--demo")
    wait_until(lambda: "demo succeeded" in run.said(), "the demo", START_S)
    assert sum(redis.totals().values()) == 10_000
    done = send_as_printed(run)
    assert done.returncode == 0, done.stderr
    assert run.interrupt() == 0, run.said()
    assert "tallyd exited with status 0" in run.said()
    assert redis.client.ping()  # which is not the script's


def test_with_tls_it_says_how_to_send(redis, start, tmp_path):
    if not have("openssl"):
        pytest.skip("openssl is not installed")
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    run = start("--tls-cert", cert, f"--tls-key={key}", "--bind", "::")
    run.wait_until_it_serves()
    assert "HTTP on https://127.0.0.1:" in run.said()
    done = send_as_printed(run, "--tls-ca", authority.path)
    assert done.returncode == 0, done.stderr
    assert sum(redis.totals().values()) == 10_000
    assert run.interrupt() == 0, run.said()


def test_the_demo_of_a_closed_server_is_refused(start):
    run = start("--demo", "--token-file", "/nowhere")
    assert run.process.wait(START_S) == 1
    assert "--demo sends without" in run.said()
    assert "starting" not in run.said()
