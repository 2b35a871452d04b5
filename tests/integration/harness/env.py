"""What the environment decides: where the build lies, how much a test runs, which ports it has."""
import os
import shutil
import socket
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("TALLYD_BUILD_DIR", ROOT / "build")).resolve()
LONG = os.environ.get("TALLYD_LONG") == "1"
SANITIZED = os.environ.get("TALLYD_SANITIZED") == "1"

VALGRIND = os.environ.get("TALLYD_VALGRIND") == "1"  # tallyd under memcheck; SANITIZED as well

# How long a test waits for what must come. A wait that succeeds costs nothing by being long, and one
# that gives up on a machine that is busy with something else says nothing of the program.
WAIT_S = 60

# A sanitizer slows the program five to fifteen times, Valgrind twice as much, and CI machines are
# slow already.
PATIENCE = 10 if VALGRIND else 5 if SANITIZED else 1

# What a program is run by. Errors go to its standard error, and so to its log, where
# harness/tallyd.py looks for them; what is left reachable at the end is no leak.
MEMCHECK = [
    "valgrind",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect,possible",
    "--errors-for-leak-kinds=definite,indirect,possible",
    "--fair-sched=try",  # or one of its threads may hold up all others
    "--max-threads=2000",
    f"--suppressions={ROOT / 'tests/valgrind.supp'}",
]
RUN_BY = MEMCHECK if VALGRIND else []


def amount(default, long, sanitized=None):
    """How much load a test makes: a sample by default, all of it with TALLYD_LONG=1, and little
    under a sanitizer."""
    if SANITIZED:
        return sanitized if sanitized is not None else max(1, default // 10)
    return long if LONG else default


def wait_until(condition, what, timeout=WAIT_S):
    """Polls until `condition()` is true and returns what it returned; fails after `timeout`
    seconds (longer under a sanitizer) and says what it waited for."""
    deadline = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout * PATIENCE} s in vain for: {what}")
        time.sleep(0.01)


def program(name):
    """The path of a program of this build; fails when it was not built."""
    path = BUILD / name
    if not path.exists():
        raise AssertionError(f"{path} is not there: build first, or set TALLYD_BUILD_DIR")
    return str(path)


def have(tool):
    return shutil.which(tool) is not None


class _Ports:
    """Ports for the servers of this process.

    They come from below the range that the kernel hands to outgoing connections, in blocks of
    100. Listening on a block's first port is what owns the block, so test files that run at the
    same time never meet, and a server can be killed and started again on the same port.
    """

    FIRST, BLOCK, BLOCKS = 20000, 100, 120

    def __init__(self):
        self.guard = None
        self.next = 0

    def _take_block(self):
        for i in range(self.BLOCKS):
            first = self.FIRST + self.BLOCK * ((os.getpid() + i) % self.BLOCKS)
            guard = socket.socket()
            try:
                guard.bind(("127.0.0.1", first))
                guard.listen()
            except OSError:
                guard.close()
                continue
            self.guard = guard
            return
        raise AssertionError("no free block of ports")

    def take(self):
        if self.guard is None:
            self._take_block()
        first = self.guard.getsockname()[1]
        for _ in range(self.BLOCK):
            self.next = self.next % (self.BLOCK - 1) + 1
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", first + self.next))
                except OSError:
                    continue
                return first + self.next
        raise AssertionError("all ports of this test process are in use")


_ports = _Ports()


def free_port():
    """A port of 127.0.0.1 that no one listens on and no other test process will take."""
    return _ports.take()
