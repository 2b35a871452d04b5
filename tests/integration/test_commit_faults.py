"""The connection to Redis breaks at every byte of a flush, and no count is lost or doubled.

tallyd reaches Redis through a proxy that cuts exactly where it is told. One tallyd lives through
many cuts in a row, as it would in the field; the totals in Redis are compared after each.
"""
import pytest
from harness import grpc_client
from harness.env import LONG, SANITIZED, wait_until
from harness.proxy import Cut, Way
from harness.sender import assert_same

DEVICES = ["pump-1", "pump-2", "pump-2", "Zähler"]
NIL = b"*-1\r\n"  # the answer to an EXEC that the guard refused


class Rig:
    """A tallyd behind a proxy, one gRPC connection to it, and what Redis must hold by now."""

    def __init__(self, redis, proxy, tallyd):
        self.redis, self.proxy, self.tallyd = redis, proxy, tallyd
        self.channel = grpc_client.connect(tallyd.target)
        self.streams = 0

    def begin(self):
        """One stream of DEVICES, ended; returns the future of its Ack."""
        self.streams += 1
        packets = grpc_client.packets(DEVICES)
        return grpc_client.stub(self.channel).future(packets, timeout=120)

    def send(self):
        assert self.begin().result().received == len(DEVICES)

    def assert_exact(self):
        expected = {device: self.streams * DEVICES.count(device) for device in DEVICES}
        assert_same(self.redis.totals(), expected)

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
        """What one flush of DEVICES moves over the connection."""
        link = self.quiet_link()
        before = len(link.passed[way])
        self.send()
        assert self.quiet_link() is link
        return bytes(link.passed[way][before:])

    def close(self):
        self.channel.close()


@pytest.fixture
def rig(redis, proxy, start_tallyd, closing):
    # The interval is long so that only the ended stream makes a flush, and makes exactly one.
    tallyd = start_tallyd(proxy.port, flush_interval_ms=2000, redis_grace_ms=60000)
    rig = closing(Rig(redis, proxy, tallyd))
    rig.send()  # names are known, counts exist: from here on one flush is like the other
    return rig


def exec_edges(flush, way):
    """Where the fate of a transaction turns: around its EXEC, or around the answer to it."""
    if way is Way.UP:
        start = flush.index(b"EXEC") - len(b"*1\r\n$4\r\n")
        end = flush.index(b"EXEC") + len(b"EXEC\r\n")
    else:
        start = flush.rindex(b"+QUEUED\r\n") + len(b"+QUEUED\r\n")
        end = flush.index(b"\r\n", start) + 2
    return {start - 1, start, start + 1, end - 1, end, end + 1}


def offsets(flush, way):
    size = len(flush)
    if LONG and not SANITIZED:
        return range(size + 1)
    spread = {size * part // 5 for part in range(1, 5)}
    return sorted(exec_edges(flush, way) | spread | {0, 1, size - 1, size})


@pytest.mark.parametrize("how", list(Cut), ids=lambda how: how.name)
@pytest.mark.parametrize("way", list(Way), ids=lambda way: way.name)
def test_a_cut_at_any_byte_of_a_flush_keeps_totals_exact(rig, way, how):
    for offset in offsets(rig.flush_bytes(way), way):
        link = rig.quiet_link()
        link.cut_after(way, offset, how)
        rig.send()
        wait_until(lambda: link.cut_done, f"the cut after {offset} bytes {way.value}")
        rig.assert_exact()
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
    assert ack.result().received == len(DEVICES)
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
    wait_until(lambda: rig.redis.totals().get("pump-1") == rig.streams, "its counts")
    assert not ack.done()
    new.release(Way.UP)
    assert ack.result().received == len(DEVICES)
    assert NIL in new.passed[Way.DOWN]
    rig.assert_exact()


def test_a_connection_gone_silent_is_given_up_and_resolved(rig):
    """Redis applied the transaction, but its answer never arrives and nothing is closed."""
    link = rig.quiet_link()
    link.hold(Way.DOWN)
    rig.send()
    rig.assert_exact()
    assert rig.tallyd.stats()["flusher"]["outcomes_applied"] == 1
