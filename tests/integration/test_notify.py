"""What tallyd tells a service manager (sd_notify), and that its watchdog proves something."""
import ctypes
import os
import signal
import socket
import time

import pytest
from harness import grpc_client
from harness.env import PATIENCE, WAIT_S, free_port, wait_until
from harness.grpc_client import OpenStream
from harness.tallyd import run

WATCHDOG_S = 1
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH = 0x4206, 0x4207, 17


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address.replace("@", "\0"))
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": address}
        self.heard = []

    def listen(self):
        """Everything heard up to now."""
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def wait_for(self, start, timeout=WAIT_S):
        """Waits for a message that begins with `start`, and forgets all up to it."""

        def found():
            for i, message in enumerate(self.listen()):
                if message.startswith(start):
                    del self.heard[: i + 1]
                    return message
            return None

        return wait_until(found, f"{start} in {self.heard}", timeout)

    def beats(self, seconds):
        """How often the watchdog is told that all is well, in so many seconds."""
        self.listen()
        self.heard.clear()
        time.sleep(seconds)
        return sum(message == "WATCHDOG=1" for message in self.listen())

    def close(self):
        self.socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, closing):
    name = "/notify" if request.param == "path" else f"/{time.monotonic_ns()}"
    return closing(Manager((str(tmp_path) if request.param == "path" else "@tallyd") + name))


def test_ready_reloading_and_stopping_are_told(redis, start_tallyd, manager):
    tallyd = start_tallyd(redis.port, environment=manager.environment)
    manager.wait_for("READY=1")
    assert "WATCHDOG=1" not in manager.listen()  # nobody waits for it
    tallyd.process.send_signal(signal.SIGHUP)
    told = manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
    assert 0 < time.monotonic() - int(told.split("=")[-1]) / 1e6 < 60 * PATIENCE
    manager.wait_for("READY=1")
    tallyd.terminate()
    manager.wait_for("STOPPING=1")
    assert tallyd.wait() == 0


def test_ready_is_not_told_before_the_ports_are_open(redis, start_tallyd, tmp_path, closing):
    manager = closing(Manager(str(tmp_path / "notify")))
    taken = start_tallyd(redis.port)
    ports = ["--grpc-port", free_port(), "--http-port", taken.http_port]
    assert run(*ports, environment=manager.environment).returncode == 1
    assert manager.listen() == []


def threads(pid):
    """The threads of a process by name."""
    found = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="utf-8") as comm:
            found[comm.read().strip()] = int(tid)
    return found


class Halted:
    """Holds one thread of a process, and no other, as a debugger does."""

    def __init__(self, tid):
        self.tid = tid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.ask(PTRACE_SEIZE)
        self.ask(PTRACE_INTERRUPT)
        os.waitpid(tid, 0x40000000)  # __WALL

    def ask(self, request):
        if self.libc.ptrace(request, self.tid, None, None):
            pytest.skip(f"ptrace is not allowed here: {os.strerror(ctypes.get_errno())}")

    def close(self):
        if self.tid:
            self.libc.ptrace(PTRACE_DETACH, self.tid, None, None)
            self.tid = None


def watched(redis, start_tallyd, manager):
    """A tallyd whose watchdog wants to hear of it each second."""
    usec = {"WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}
    tallyd = start_tallyd(redis.port, environment=manager.environment | usec)
    manager.wait_for("WATCHDOG=1")
    return tallyd


@pytest.fixture
def path_manager(tmp_path, closing):
    return closing(Manager(str(tmp_path / "notify")))


def test_the_watchdog_is_told_twice_in_its_time(redis, start_tallyd, path_manager):
    tallyd = watched(redis, start_tallyd, path_manager)
    assert path_manager.beats(3 * WATCHDOG_S) >= 3
    redis.kill()
    assert path_manager.beats(4 * WATCHDOG_S) >= 3  # that counting goes on is well
    redis.start()
    grpc_client.send(tallyd.target, ["d"] * 3)
    assert redis.totals() == {"d": 3}


def test_the_watchdog_of_another_process_is_left_alone(redis, start_tallyd, path_manager):
    others = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    start_tallyd(redis.port, environment=path_manager.environment | others)
    path_manager.wait_for("READY=1")
    assert path_manager.beats(1.5) == 0


def test_a_worker_that_hangs_ends_the_watchdog(redis, start_tallyd, path_manager, closing):
    tallyd = watched(redis, start_tallyd, path_manager)
    stream = closing(OpenStream(tallyd.target))
    stream.send(["d"] * 3)
    wait_until(lambda: redis.totals() == {"d": 3}, "the stream to be counted")
    halted = closing(Halted(threads(tallyd.process.pid)["worker-1"]))
    path_manager.wait_for("STATUS=worker 1 has not gone round")
    assert path_manager.beats(3 * WATCHDOG_S) == 0
    tallyd.wait_for_log("error main .*worker 1 has not gone round for")
    halted.close()
    path_manager.wait_for("WATCHDOG=1")
    stream.send(["d"] * 2)
    stream.end()
    assert stream.received() == 5
    assert tallyd.stop() == 0
