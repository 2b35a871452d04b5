"""Attackers that take their time, and that come in great numbers:
the same standard as for floods (test_attacks_http2.py)."""
import pytest

pytest.importorskip("hpack", reason="python3-hpack is not installed")
pytest.importorskip("hyperframe", reason="python3-hyperframe is not installed")
from harness.attack import DEAF, Attack, besieged, greeting
from harness.env import SANITIZED, amount
from harness.h2_raw import (
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    Raw,
    data,
    frame,
    literals,
    ping,
)
from harness.sender import Sender
from harness.wire import framed_packets

CROWD = 40 if SANITIZED else 400
CAP, DEVICES = 600, 20_000  # of connections of one address, of devices


def request(flags=0, **changed):
    return frame(HEADERS, END_HEADERS | flags, 1, literals(Raw.fields(**changed)))


BY_NAME = {
    "silence": (Attack(b"", connections=CROWD), ["bad_peer_slow"]),
    "half a preface": (Attack(PREFACE[:12], connections=CROWD), ["bad_peer_slow"]),
    "half a header block": (
        Attack(greeting() + frame(HEADERS, 0, 1, literals(Raw.fields())), connections=CROWD),
        ["bad_peer_slow"]),
    # Not slow, as long as --stall-timeout-ms allows: they cost a connection, or a stream, no more.
    "half a frame": (Attack(greeting() + ping()[:12], connections=CROWD), []),
    "half a packet": (
        Attack(greeting() + request() + data(1, framed_packets(["attacker"])[:-3]),
               connections=CROWD), []),
    "no window for answers": (
        Attack.on_streams(request(), data(1, framed_packets(["attacker"]), END_STREAM),
                          opening=greeting((INITIAL_WINDOW_SIZE, 0))),
        ["bad_peer_stall", "bad_peer_reset", "bad_peer_protocol", "bad_peer_flood"]),
    "answers that are not read": (
        Attack.on_streams(request(END_STREAM, path="/no.such/Thing"), flags=DEAF),
        ["bad_peer_stall", "bad_peer_reset", "bad_peer_flood"]),
    "connections past the cap of their address": (
        Attack(greeting(), connections=CAP + 200), ["connections_refused_address"]),
}


@pytest.fixture(name="siege", scope="module")
def make_siege(start_once):
    with besieged(start_once, but=["attacker", "__overflow__"], handshake_timeout_ms=1000, stall_timeout_ms=1000,
                  max_connections_per_address=CAP, max_devices=DEVICES) as siege:
        yield siege


@pytest.mark.parametrize("name", BY_NAME)
def test_others_are_served_under(siege, name):
    attack, counters = BY_NAME[name]
    print(name, siege.withstand(attack, counters))


def test_more_devices_than_there_is_room_for_take_nothing_from_others(siege):
    """A cardinality attack: its packets go to one counter, each of them, and the devices that were
    there keep theirs."""
    siege.withstand(Attack(greeting(), connections=1))  # so that the client's devices are there
    before = siege.redis.totals()
    n = amount(600_000, 6_000_000, 60_000)
    attacker = Sender(siege.directory, siege.tallyd.target, n=n, devices=10 * DEVICES, replay=True,
                      id_prefix="attacker-")
    try:
        seconds, _ = siege.behave()
        assert attacker.wait() == 0, attacker.output
    finally:
        attacker.close()
    after = siege.redis.totals()
    came = {d: c - before.get(d, 0) for d, c in after.items()
            if d.startswith("attacker-") or d == "__overflow__"}
    assert sum(came.values()) == n, "each packet is counted, in one counter or the other"
    assert came["__overflow__"] > 0
    assert len(after) <= 2 * DEVICES + 1, "each worker knows up to --max-devices"
    print(f"{siege.undisturbed / seconds:.2f} of the speed, {len(after)} devices")
