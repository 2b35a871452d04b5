"""How many packets a second a server takes, and what a packet costs it.

A run is looked at from its first packet to its last Ack: packets divided by that time, CPU time of
that time divided by packets. With many devices tallyd's last Ack waits for Redis, for seconds in
which the server has next to nothing to do, however long the run was. There the last packet ends
what is looked at: the figures are of the time in which packets came, with the commits of that
time. `run_ns` is of the whole run in any case.
"""
import bisect
import threading
import time

import machine

SAMPLE_S = 0.004
AWAKE_NS = 2_000_000  # of CPU time: more than an idle server takes while a load is being rendered
WARM_UP_S = 0.25
LEAST_PACKETS = 100
MANY_PASSES = 5  # packets a device before a run with many devices


class Sampler:
    """Notes the CPU time of a process while a load runs, some hundred times a second; afterwards
    `threads` has what each kind of its threads took."""

    def __init__(self, pid):
        self.pid = pid
        self.times, self.cpu = [], []
        self.threads = machine.threads_cpu_ns(pid)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._note()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self._note()
        after = machine.threads_cpu_ns(self.pid)
        self.threads = {name: ns - self.threads.get(name, 0) for name, ns in after.items()}

    def _run(self):
        while not self.stop.wait(SAMPLE_S):
            self._note()

    def _note(self):
        self.times.append(time.monotonic())
        self.cpu.append(machine.cpu_ns(self.pid))

    @property
    def total(self):
        return self.cpu[-1] - self.cpu[0]

    def first(self, seconds):
        """The CPU time of so many seconds from the moment that the process had something to do."""
        awake = self.cpu[0] + AWAKE_NS
        begin = next((t for t, cpu in zip(self.times, self.cpu) if cpu >= awake), self.times[0])
        end = bisect.bisect(self.times, begin + seconds)
        return self.cpu[min(end, len(self.cpu) - 1)] - self.cpu[0]


def _run_once(result, server, load, count, many):
    with Sampler(server.process.pid) as sampler:
        sent = load.run(server.target, count)
    seconds = sent.seconds - (sent.wait_s if many else 0)
    cpu_ns = sampler.first(seconds) if many else sampler.total
    result.add("rate", "packets/s", sent.packets / seconds)
    result.add("cpu_ns", "ns/packet", cpu_ns / sent.packets)
    result.add("run_ns", "ns/packet", sampler.total / sent.packets)
    result.add("busy", "%", cpu_ns / (seconds * 1e9) * 100)
    if "worker" in sampler.threads:
        result.add("worker_ns", "ns/packet", sampler.threads["worker"] / sent.packets)


def _packets_for(seconds, server, load, guess, many):
    """Warms up, and returns how many packets a run of so many seconds takes."""
    count = max(int(guess * WARM_UP_S), many * MANY_PASSES, LEAST_PACKETS)
    if many:
        load.run(server.target, count)  # new devices take longer than known ones
    sent = load.run(server.target, count)
    rate = sent.packets / (sent.seconds - (sent.wait_s if many else 0))
    return max(LEAST_PACKETS, int(rate * seconds))


def measure(result, server, load, settings, guess, many=0):
    """Runs a load settings.repeats times for about settings.seconds each. `guess` is the packets a
    second to expect, for the warm-up; `many` devices, unless it is 0, are all sent for in the
    warm-up, and keep Redis busy: these runs take settings.many_seconds."""
    measure_in_turns([(result, server, load, guess)], settings, many)


def measure_in_turns(rows, settings, many=0):
    """The same for several (result, server, load, guess), whose runs take turns: what the machine
    does from minute to minute is then in each of them alike."""
    seconds = settings.many_seconds if many else settings.seconds
    counts = []
    for _, server, load, guess in rows:
        machine.reset_peak(server.process.pid)
        counts.append(_packets_for(seconds, server, load, guess, many))
    for _ in range(settings.repeats):
        for (result, server, load, _), count in zip(rows, counts):
            _run_once(result, server, load, count, many)
    for result, server, load, _ in rows:
        result.add("peak", "bytes", machine.peak_bytes(server.process.pid))
        result.add("wire", "bytes/packet", load.wire_bytes)
