"""A client that behaves well while others attack, and what must hold after them."""
import re

from .env import PATIENCE, amount, wait_until
from .sender import assert_same

RATE = 20000


class Bystander:
    """tally-send at a steady rate while an attack goes on."""

    def __init__(self, tallyd, start_sender, redis):
        self.redis = redis
        self.n = amount(2 * RATE, 10 * RATE, RATE // 10)
        self.sender = start_sender(tallyd.target, n=self.n, rate=RATE, packets_per_stream=500)

    def assert_well(self):
        assert self.sender.wait() == 0, self.sender.output
        took = float(re.search(r"^seconds\s+([\d.]+)$", self.sender.output, re.MULTILINE)[1])
        assert took < PATIENCE * (2 * self.n / RATE + 5), f"{took:.1f} s for {self.n} packets"
        assert_same(self.redis.totals(), self.sender.acknowledged())


def total(tallyd, name):
    return tallyd.stats()["totals"][name]


def assert_back_to_normal(tallyd):
    def quiet():
        totals = tallyd.stats()["totals"]
        return (
            totals["connections_opened"] == totals["connections_closed"]
            and totals["streams_opened"] == totals["streams_closed"]
        )

    wait_until(quiet, "all connections and streams to be closed")
