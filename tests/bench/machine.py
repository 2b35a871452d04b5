"""The machine: who runs on which processor, and what a process has used of it.

Half of the processors (rounded down) carry the load, the first ones serve. Redis runs with the
load, on the last processor. With one processor everything shares it, and no figure means much.
"""
import contextlib
import os
import platform
import time
from pathlib import Path

CPUS = sorted(os.sched_getaffinity(0))
_LOADED = max(1, len(CPUS) // 2)
SERVER_CPUS = CPUS[: len(CPUS) - _LOADED] or CPUS
LOAD_CPUS = CPUS[-_LOADED:]
SERVER_CPU = SERVER_CPUS[:1]  # one worker, one processor: what the rows compare
REDIS_CPU = LOAD_CPUS[-1:]


@contextlib.contextmanager
def pinned(cpus):
    """What is started inside inherits these processors."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_ns(pid):
    """User and system time of a process in nanoseconds, its ended threads included: the scheduler's
    own sum, behind clock_getcpuclockid(3), not the 10 ms ticks of /proc/PID/stat."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process


def threads_cpu_ns(pid):
    """The same for each living thread, summed by its name without the digits at its end."""
    total = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip().rstrip("0123456789-")
            total[name] = total.get(name, 0) + int((task / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended
    return total


def _status_bytes(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no {name}")


def resident_bytes(pid):
    return _status_bytes(pid, "VmRSS")


def peak_bytes(pid):
    """The most that was resident since the start, or since reset_peak()."""
    return _status_bytes(pid, "VmHWM")


def reset_peak(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def description():
    """What a reader needs to judge the figures."""
    cpu = _cpu_fields()
    return {
        "processors": len(CPUS),
        "model": cpu.get("model name", "unknown"),
        "architecture": platform.machine(),
        "virtual": "hypervisor" in cpu.get("flags", "").split(),  # as x86 tells
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
        "server_processors": SERVER_CPUS,
        "load_processors": LOAD_CPUS,
    }


def _cpu_fields():
    """/proc/cpuinfo of the first processor."""
    block = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
