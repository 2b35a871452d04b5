"""How much a run measures."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Settings:
    name: str
    repeats: int  # runs of a row, of which the median counts; a shared machine needs some
    seconds: float  # that one run lasts, about
    many_seconds: float  # the same with so many devices that Redis is busy all the time
    many: int  # devices, where a title says a million
    sizes: tuple  # bytes of a packet
    memory: tuple  # devices for the bytes a device
    connections: int  # idle ones with an open stream
    acks: int  # streams of the latency rows
    probes: int  # of freshness
    cut_seconds: float
    leaves_out: str = ""  # beside whole rows


FULL = Settings(
    name="full",
    repeats=5,
    seconds=1.5,
    many_seconds=3,
    many=1_000_000,
    sizes=(45, 128, 1024),
    memory=(1_000_000, 10_000_000),
    connections=10_000,
    acks=40_000,
    probes=50,
    cut_seconds=8,
)
QUICK = dataclasses.replace(
    FULL,
    name="quick",
    sizes=(45,),
    seconds=0.7,
    many_seconds=2,
    memory=(1_000_000,),
    acks=5_000,
    probes=15,
    cut_seconds=3,
    leaves_out="packets of 45 B only, memory with 1 M devices only, shorter runs",
)
# For the test that this still works: its figures mean nothing.
SMOKE = Settings(
    name="smoke",
    repeats=2,
    seconds=0.05,
    many_seconds=0.05,
    many=2_000,
    sizes=(45,),
    memory=(2_000,),
    connections=50,
    acks=200,
    probes=3,
    cut_seconds=0.2,
    leaves_out="everything that would make its figures mean something",
)
