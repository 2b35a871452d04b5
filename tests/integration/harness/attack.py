"""Attacks, and what must hold under any of them: whoever behaves is served, and all is as before
afterwards.

    siege = Siege(tallyd, redis, tmp_path)  # or besieged(), for all tests of a file
    siege.withstand(Attack(opening=greeting(), unit=ping()), counters=["bad_peer_pings"])

The attacker is a program (tests/attack/blast.c) that says the same thing over and over, as fast as
the server takes it, on several connections, and comes again when it is sent away.
"""
import contextlib
import dataclasses
import json
import os
import struct
import subprocess
import time

from . import h2_raw as h2
from .env import PATIENCE, SANITIZED, program, wait_until
from .sender import Sender, add
from .tallyd import assert_balance
from .wire import framed_packets

PACKETS = 20_000 if SANITIZED else 600_000  # of the client that behaves
RATE = 20_000 if SANITIZED else 1_000_000  # a second: a small part of what a core can do
DEAF, ONCE, LEGAL = 1, 2, 4


def greeting(*pairs):
    return h2.PREFACE + h2.settings(*pairs)


@dataclasses.dataclass
class Attack:
    """What is said on each connection: `opening` once, then `unit` again and again. `ids` are the
    places in the unit where a stream id stands; they grow from unit to unit. With LEGAL the unit
    is of `data` octets of DATA, on the one stream that the opening opens."""

    opening: bytes
    unit: bytes = b""
    ids: tuple = ()
    first_id: int = 1
    flags: int = 0
    connections: int = 8
    data: int = 0

    @classmethod
    def on_streams(cls, *frames, opening=None, **options):
        """A unit of frames that are all of one stream, which is another in each unit."""
        places, at = [], 0
        for frame in frames:
            places.append(at + 5)
            at += len(frame)
        return cls(greeting() if opening is None else opening, b"".join(frames), tuple(places),
                   **options)

    @classmethod
    def of_data(cls, octets, frame_octets=16384, headers=None):
        """DATA without end on one stream, which `headers` opens, in frames of so many octets."""
        frames = [h2.data(1, octets[i : i + frame_octets])
                  for i in range(0, len(octets), frame_octets)]
        return cls(greeting() + headers, b"".join(frames), flags=LEGAL, data=len(octets))

    def write(self, path):
        def blob(octets):
            return struct.pack("=I", len(octets)) + octets

        numbers = [self.flags, self.first_id, self.data, len(self.ids), *self.ids]
        path.write_bytes(
            blob(self.opening) + blob(self.unit) + struct.pack(f"={len(numbers)}I", *numbers)
        )


class Attacker:
    """The program at work; it ends by itself after `seconds`."""

    def __init__(self, directory, port, attack, seconds):
        path = directory / f"attack-{id(self):x}"
        attack.write(path)
        self.process = subprocess.Popen(
            [program("attack_blast"), str(port), str(attack.connections), str(seconds), str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def end(self):
        """What it did: connects, closes, units, bytes."""
        output, _ = self.process.communicate(timeout=60 * PATIENCE)
        assert self.process.returncode == 0
        return json.loads(output)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def memory(tallyd):
    """Resident bytes."""
    with open(f"/proc/{tallyd.process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(tallyd):
    return len(os.listdir(f"/proc/{tallyd.process.pid}/fd"))


def totals(tallyd):
    """All counters, those of the workers in sum."""
    stats = tallyd.stats()
    return stats["main"] | stats["totals"]


class Siege:
    """A server under attack, with a client beside that behaves."""

    def __init__(self, tallyd, redis, directory):
        self.tallyd, self.redis, self.directory = tallyd, redis, directory
        self.expected = {}
        self.undisturbed = None
        self.grown = 0

    def behave(self):
        """One run of tally-send, which must be acknowledged whole. Returns the seconds it took,
        and the most memory that the server was seen to have."""
        began = time.monotonic()
        sender = Sender(self.directory, self.tallyd.target, n=PACKETS, rate=RATE, replay=True,
                        packet_bytes=45, devices=1000, packets_per_stream=PACKETS // 8,
                        replay_mib=4)
        try:
            most = 0
            while sender.process.poll() is None:
                most = max(most, memory(self.tallyd))
                time.sleep(0.02)
            seconds = time.monotonic() - began
            assert sender.wait() == 0, sender.output
        finally:
            sender.close()
        self.expected = add(self.expected, sender.acknowledged())
        return seconds, most

    def _under(self, attack, before, counters):
        """behave() while that goes on, which goes on until it was noticed as well."""
        attacker = Attacker(self.directory, self.tallyd.grpc_port, attack, 60)
        try:
            time.sleep(0.2)
            result = self.behave()
            wait_until(lambda: not counters or any(self._grew(before, counters).values()),
                       f"one of {counters} to grow", timeout=30)
            assert attacker.process.poll() in (None, 0), "the attacker failed"
            return result
        finally:
            attacker.stop()

    def _grew(self, before, counters):
        now = totals(self.tallyd)
        return {name: now[name] - before[name] for name in counters}

    def withstand(self, attack, counters=(), grow_bytes=100 << 20, patient=3):
        """Attacks, and checks all that is to be checked. One of `counters` must grow. On a busy
        machine the client gets several tries to be as fast as it should."""
        before, fds = totals(self.tallyd), descriptors(self.tallyd)
        memory_before = memory(self.tallyd)
        ratios = []
        for _ in range(patient):
            if self.undisturbed is None or ratios:
                self.undisturbed, _ = self.behave()
            seconds, most = self._under(attack, before, counters)
            ratios.append(round(self.undisturbed / seconds, 2))
            if ratios[-1] >= 0.5:
                break
        self.check_calm(before, fds)
        self.grown = most - memory_before
        assert SANITIZED or self.grown <= grow_bytes, f"{self.grown >> 20} MiB more memory"
        assert SANITIZED or max(ratios) >= 0.5, f"the client's speed, of what it was: {ratios}"
        return {"ratios": ratios, "grew": self._grew(before, counters), "MiB": self.grown >> 20}

    def check_calm(self, before, fds):
        """All that the attack had is gone, everything is counted, and a new client is served."""
        # The HTTP face's own come and go: the test's questions are among them.
        wait_until(lambda: self._open("connections") <= before["connections_opened"]
                   - before["connections_closed"], "the attacker's connections closed")
        wait_until(lambda: self._open("streams") <= before["streams_opened"]
                   - before["streams_closed"], "its streams closed")
        wait_until(lambda: descriptors(self.tallyd) <= fds, "its descriptors back")
        with h2.Raw(self.tallyd.grpc_port) as client:
            client.greet()
            client.send(client.request(1),
                        h2.data(1, framed_packets(["newcomer"]), h2.END_STREAM))
            client.wait(lambda seen: seen.field(1, "grpc-status") == "0", "the Ack")
        self.expected = add(self.expected, {"newcomer": 1})
        assert_balance(self.tallyd.stats())

    def check_counts(self, but=()):
        """Everything that was acknowledged is in Redis, once, and nothing else is; `but` begins
        the ids of devices that attackers sent packets for."""
        counted = {d: n for d, n in self.redis.totals().items() if not d.startswith(tuple(but))}
        assert counted == self.expected

    def _open(self, what):
        now = totals(self.tallyd)
        return now[f"{what}_opened"] - now[f"{what}_closed"]


@contextlib.contextmanager
def besieged(start_once, but, **options):
    """A siege of a tallyd with these options, for all tests of a file; at its end the counts are
    checked, `but` for what attackers sent, and it must stop as it should."""
    redis, tallyd, directory = start_once(**options)
    siege = Siege(tallyd, redis, directory)
    yield siege
    siege.check_counts(but)
    assert tallyd.stop() == 0
