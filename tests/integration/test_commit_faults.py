"""The connection to Redis breaks at every byte of a flush, and no count is lost or doubled.

tallyd reaches Redis through a proxy that cuts exactly where it is told. One tallyd lives through
many cuts in a row, as it would in the field; the totals in Redis are compared after each. All of it
is done with a flush of one batch, and with one of two, whose second is sent ahead.
"""
import re

import pytest
from harness import grpc_client
from harness.env import LONG, SANITIZED, wait_until
from harness.proxy import Cut, Way
from harness.sender import assert_same

LONG_ID = 65535
FIRST_BATCH = 9  # ids of that length, in whatever order they come; see batch.h

DEVICES = {  # what one stream sends
    "one batch": ["pump-1", "pump-2", "pump-2", "Zähler"],
    "two batches": [f"{i}".ljust(LONG_ID, "x") for i in (*range(FIRST_BATCH + 1), 0)],
}
NIL = b"*-1\r\n"  # the answer to an EXEC that the guard refused


class Rig:
    """A tallyd behind a proxy, one gRPC connection to it, and what Redis must hold by now."""

    def __init__(self, redis, proxy, tallyd, devices):
        self.redis, self.proxy, self.tallyd = redis, proxy, tallyd
        self.devices = devices
        self.channel = grpc_client.connect(tallyd.target)
        self.streams = 0

    def begin(self):
        """One stream of the devices, ended; returns the future of its Ack."""
        self.streams += 1
        packets = grpc_client.packets(self.devices)
        return grpc_client.stub(self.channel).future(packets, timeout=120)

    def send(self):
        assert self.begin().result().received == len(self.devices)

    def expected(self):
        return {device: self.streams * self.devices.count(device) for device in self.devices}

    def assert_exact(self):
        assert_same(self.redis.totals(), self.expected())

    def counted(self):
        """The devices of which Redis has everything sent so far."""
        expected, totals = self.expected(), self.redis.totals()
        return [device for device in expected if totals[device] == expected[device]]

    def quiet_link(self):
        """The flusher's connection, with nothing on its way."""
        if not self.proxy.find_committing():
            self.send()  # tallyd notices the cut of an idle connection when it uses it
        link = self.proxy.committing()
        sizes = []

        def is_quiet():
            sizes.append([len(link.passed[way]) for way in Way])
            return len(sizes) > 2 and sizes[-1] == sizes[-2] == sizes[-3]

        wait_until(is_quiet, "quiet on the flusher's connection")
        return link

    def flush_bytes(self, way):
        """What one flush of the devices moves over the connection."""
        link = self.quiet_link()
        before = len(link.passed[way])
        self.send()
        assert self.quiet_link() is link
        return bytes(link.passed[way][before:])

    def close(self):
        self.channel.close()


@pytest.fixture
def start_rig(redis, proxy, start_tallyd, closing):
    def start(kind):
        # The interval is long so that only the ended stream makes a flush, and makes exactly one.
        tallyd = start_tallyd(
            proxy.port, flush_interval_ms=2000, redis_grace_ms=60000, max_device_id_bytes=LONG_ID
        )
        rig = closing(Rig(redis, proxy, tallyd, DEVICES[kind]))
        rig.send()  # names are known, counts exist: from here on one flush is like the other
        return rig

    return start


@pytest.fixture(params=DEVICES)
def rig(request, start_rig):
    return start_rig(request.param)


@pytest.fixture
def rig_of_two(start_rig):
    return start_rig("two batches")


EXEC = re.compile(rb"\*1\r\n\$4\r\nEXEC\r\n")
AHEAD = re.compile(rb"\*1\r\n\$5\r\nMULTI\r\n")
EXECUTED = re.compile(rb"\*\d+\r\n(:\d+\r\n)+")  # the answer to EXEC
EDGES = {Way.UP: (EXEC, AHEAD), Way.DOWN: (EXECUTED,)}


def exec_edges(flush, way):
    """Where the fate of a transaction turns: around its EXEC, or around the answer to it; and
    around the MULTI of what is sent ahead."""
    found = [match for edge in EDGES[way] for match in edge.finditer(flush)]
    return {place + by for match in found for place in match.span() for by in (-1, 0, 1)}


def offsets(flush, way):
    """All, but within a long id only where it begins; or a sample of them."""
    size = len(flush)
    if LONG and not SANITIZED:
        boring = {place for id in re.finditer(rb"x{100,}", flush) for place in range(*id.span())}
        return sorted(set(range(size + 1)) - boring)
    spread = {size * part // 5 for part in range(1, 5)}
    chosen = exec_edges(flush, way) | spread | {0, 1, size - 1, size}
    return sorted(place for place in chosen if 0 <= place <= size)


@pytest.mark.parametrize("how", list(Cut), ids=lambda how: how.name)
@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
def test_a_cut_at_any_byte_of_a_flush_keeps_totals_exact(rig, way, how):
    for offset in offsets(rig.flush_bytes(way), way):
        link = rig.quiet_link()
        link.cut_after(way, offset, how)
        rig.send()
        wait_until(lambda: link.cut_done, f"the cut after {offset} bytes {way.value}")
        rig.assert_exact()
        link.forget()
    assert rig.tallyd.stats()["flusher"]["rollbacks"] == 0


@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
def test_a_second_cut_while_the_first_is_resolved_keeps_totals_exact(rig, way):
    flush = rig.flush_bytes(way)
    step = 1 if LONG else 23
    for second in range(0, 160, step):  # more than the exchange that resolves an outcome
        for first in (len(flush) // 2, len(flush)):
            armed = []

            def arm(link, after=second, armed=armed):
                if not armed:
                    link.cut_after(way, after, Cut.RST)
                armed.append(link)

            rig.quiet_link().cut_after(way, first, Cut.RST)
            rig.proxy.prepare = arm
            rig.send()
            rig.proxy.prepare = None
            for link in armed:
                link.disarm()
            rig.assert_exact()


def begin_with_exec_held(rig):
    """Starts a stream whose whole transaction stays in the proxy; returns link and Ack."""
    link = rig.quiet_link()
    link.hold(Way.UP)
    ack = rig.begin()
    wait_until(lambda: b"EXEC\r\n" in link.held[Way.UP], "the transaction to be sent")
    return link, ack


def test_an_exec_that_lands_after_the_resend_is_refused(rig):
    """The late EXEC that the guard is for (ARCHITECTURE.md): without it, it would count twice."""
    old, ack = begin_with_exec_held(rig)
    old.cut_tallyd_side()
    assert ack.result().received == len(rig.devices)
    rig.assert_exact()

    before = len(old.passed[Way.DOWN])
    old.release(Way.UP)  # Redis still has the old connection open, and now gets all of it
    wait_until(lambda: NIL in old.passed[Way.DOWN][before:], "the late EXEC to be refused")
    rig.assert_exact()
    assert rig.tallyd.stats()["flusher"]["outcomes_not_applied"] == 1


def test_an_exec_that_lands_before_the_resend_counts_and_the_resend_does_not(rig):
    """The late EXEC lands just after tallyd read in the ledger that it had not."""
    old, ack = begin_with_exec_held(rig)
    rig.proxy.prepare = lambda link: link.hold_from(b"MULTI")
    known = len(rig.proxy.links)
    old.cut_tallyd_side()

    def resent():
        links = [link for link in rig.proxy.links[known:] if b"EXEC\r\n" in link.held[Way.UP]]
        return links[0] if links else None

    new = wait_until(resent, "the transaction to be sent again")
    rig.proxy.prepare = None
    old.release(Way.UP)
    wait_until(lambda: b"+QUEUED" in old.passed[Way.DOWN][-200:], "the late EXEC to land")
    wait_until(rig.counted, "its counts")
    assert not ack.done()
    new.release(Way.UP)
    assert ack.result().received == len(rig.devices)
    assert NIL in new.passed[Way.DOWN]
    rig.assert_exact()


def test_a_connection_gone_silent_is_given_up_and_resolved(rig):
    """Redis applied the transaction, but its answer never arrives and nothing is closed."""
    link = rig.quiet_link()
    link.hold(Way.DOWN)
    rig.send()
    rig.assert_exact()
    assert rig.tallyd.stats()["flusher"]["outcomes_applied"] == 1


def begin_with_one_sent_ahead(rig, held):
    """Starts a stream of two batches. Redis's answers are held back from `held` on, until the
    counts of the second batch are there; returns link, Ack and what was sent."""
    link = rig.quiet_link()
    before = len(link.passed[Way.UP])
    link.hold_from(held, Way.DOWN)
    ack = rig.begin()

    def sent_ahead():
        sent = bytes(link.passed[Way.UP][before:])
        whole = len(AHEAD.findall(sent)) == 2 and sent.count(b"HINCRBY") == FIRST_BATCH + 1
        return sent if whole else None

    return link, ack, wait_until(sent_ahead, "the counts of the second batch")


def test_counts_sent_ahead_are_not_executed_and_go_with_their_connection(rig_of_two):
    rig = rig_of_two
    old, ack, sent = begin_with_one_sent_ahead(rig, held=b"+QUEUED")
    wait_until(rig.counted, "the first batch")
    assert len(EXEC.findall(sent)) == 1
    assert len(rig.counted()) == FIRST_BATCH
    old.hold(Way.UP)
    old.cut_tallyd_side()  # while Redis keeps the transaction open
    assert ack.result().received == len(rig.devices)
    rig.assert_exact()
    old.end(Cut.FIN)
    rig.send()
    rig.assert_exact()
    stats = rig.tallyd.stats()["flusher"]
    assert stats["outcomes_applied"] == 1
    assert stats["batches_resent"] == 0


def test_counts_sent_ahead_are_not_in_flight(rig_of_two):
    """The first batch is in, and the connection breaks before the second may be executed: that
    one was never at risk, so nothing is to be found out, nor sent again."""
    rig = rig_of_two
    executed = EXECUTED.search(rig.flush_bytes(Way.DOWN)).group()
    link, ack, _ = begin_with_one_sent_ahead(rig, held=executed[: executed.index(b":")])
    link.cut_after(Way.DOWN, len(executed) + len(b"+OK\r\n"), Cut.RST)  # all but the look
    link.release(Way.DOWN)
    assert ack.result().received == len(rig.devices)
    rig.assert_exact()
    stats = rig.tallyd.stats()["flusher"]
    assert stats["redis_connects"] == 2
    resolved = ("outcomes_applied", "outcomes_not_applied", "batches_resent")
    assert [stats[name] for name in resolved] == [0, 0, 0]


def test_a_tripped_guard_drops_what_was_sent_ahead(rig_of_two):
    """Somebody touches the ledger and leaves its fields as they were. The first batch is refused,
    and goes again; the transaction left open behind it must not get mixed up with that."""
    rig = rig_of_two
    link = rig.quiet_link()
    link.hold_from(b"*1\r\n$4\r\nEXEC")
    ack = rig.begin()
    wait_until(lambda: AHEAD.search(link.held[Way.UP]), "the counts of the second batch")
    rig.redis.client.hset(f"device_metrics:ledger:{rig.tallyd.options['instance']}", "note", "x")
    link.release(Way.UP)
    assert ack.result().received == len(rig.devices)
    rig.assert_exact()
    assert NIL in link.passed[Way.DOWN]
    stats = rig.tallyd.stats()["flusher"]
    assert stats["redis_errors"] == 0
    assert [stats["outcomes_applied"], stats["outcomes_not_applied"]] == [0, 0]
