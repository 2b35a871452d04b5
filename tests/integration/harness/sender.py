"""tally-send as a client: our own load generator, which writes down what it sent."""
import subprocess

from .env import PATIENCE, WAIT_S, program


class Sender:
    """One run of tally-send against `target`, begun at once. `options` are named as on its
    command line; a flag is True."""

    def __init__(self, directory, target, **options):
        self.expect_path = directory / f"expect-{id(self):x}.tsv"
        arguments = [program("tally-send"), "--target", target, "--expect", str(self.expect_path)]
        for name, value in options.items():
            arguments += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output = ""

    def wait(self, timeout=5 * WAIT_S):
        """Waits for its end; returns the exit status: 0 when everything was acknowledged."""
        self.output, _ = self.process.communicate(timeout=timeout * PATIENCE)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()

    def expected(self):
        """What it sent, a dict: device to (packets acknowledged, packets not acknowledged)."""
        rows = (line.split("\t") for line in self.expect_path.read_text().splitlines())
        return {device: (int(acked), int(unacked)) for device, acked, unacked in rows}

    def acknowledged(self):
        """The same, when all of it must have been acknowledged: device to packets."""
        expected = self.expected()
        assert not any(unacked for _, unacked in expected.values())
        return {device: acked for device, (acked, _) in expected.items()}


def add(*tallies):
    """The sum of several dicts of device to packets."""
    total = {}
    for tally in tallies:
        for device, count in tally.items():
            total[device] = total.get(device, 0) + count
    return total


def assert_between(totals, expected):
    """What must hold after any crash: everything acknowledged is there, nothing is there twice."""
    for device, (acked, unacked) in expected.items():
        count = totals.get(device, 0)
        assert acked <= count <= acked + unacked, f"{device}: {acked} <= {count} <= +{unacked}"
    assert set(totals) <= set(expected)


def assert_same(totals, expected):
    """Device by device; on a difference shows a few devices instead of 100,000."""
    if totals == expected:
        return
    wrong = [d for d in totals.keys() | expected.keys() if totals.get(d) != expected.get(d)]
    shown = "\n".join(f"{d!r}: {totals.get(d)}, not {expected.get(d)}" for d in sorted(wrong)[:10])
    raise AssertionError(f"{len(wrong)} devices differ:\n{shown}")
