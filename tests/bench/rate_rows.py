"""The rows that tell what a packet costs: the limits, tallyd, its peers.

A row is a function that takes the Bench, starts its servers on a stage of its own, and returns
its results.
"""
import machine
from figures import Result
from harness.certificates import Authority, tls_options
from harness.env import have
from loads import MESSAGE_PREFIX_BYTES, Packets, RawSend, RealClient, TallySend
from stage import Missing, Stage, bench_program
from throughput import measure, measure_in_turns

PYTHON = "/usr/bin/python3"  # Debian's, which has grpc
ZIPF = 1.0
MANY = 100_000  # devices, from which on commits take as long as anything else

# Packets a second to expect, for the first run only; what is measured does not depend on them.
FAST, ONE_A_FRAME, LIBRARY, INTERPRETER, ORIGINAL = 10e6, 4e6, 400e3, 20e3, 4e3


def amount(number):
    """1000 as "1 k"."""
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if number >= unit and number % unit == 0:
            return f"{number // unit}{name}"
    return str(number)


# ---- Side by side ------------------------------------------------------------------------------


def headline(bench):
    """The limits, tallyd and its peers, all with the same packets in full frames. They take turns,
    since the targets compare them."""
    packets = Packets()
    message_bytes = str(packets.packet_bytes + MESSAGE_PREFIX_BYTES)
    stage = Stage()

    def raw():
        return stage.program(bench_program("bench_raw_discard"))

    def nghttp2():
        return stage.program(bench_program("bench_h2_discard"), "--message-bytes", message_bytes)

    def tallyd():
        return stage.tallyd(stage.redis())

    def peer(command):
        return lambda: stage.program(*command(stage))

    contenders = (
        ("limit-tcp", "limit: raw TCP, receive and discard", raw, FAST),
        ("limit-nghttp2", "limit: nghttp2, receive and discard", nghttp2, FAST),
        ("tallyd-1k-45", "tallyd: 1 k devices, uniform, 45 B", tallyd, FAST),
        ("peer-cpp", "gRPC C++, no Redis", peer(cpp_peer), LIBRARY),
        ("peer-go", "grpc-go, no Redis", peer(go_peer), LIBRARY),
        ("peer-python", "Python original", peer(python_peer), ORIGINAL),
    )
    results, rows = [], []
    with stage:
        for name, title, start, guess in contenders:
            result = Result(name, title)
            results.append(result)
            try:
                load = RawSend(packets, bench.directory) if start is raw else TallySend(packets)
                rows.append((result, start(), load, guess))
            except Missing as missing:
                result.skipped = str(missing)
        measure_in_turns(rows, bench.settings)
    return results


# ---- tallyd ----------------------------------------------------------------------------------


def full_frames(name, devices, zipf=0, first_size=0):
    """Full frames for so many devices (None: as many as the settings call many), in each size from
    the first one on, one after another into one tallyd."""

    def run(bench):
        settings = bench.settings
        count = devices or settings.many
        kind = f"{amount(count)} devices, {'Zipf' if zipf else 'uniform'}"
        results = []
        with Stage() as stage:
            tallyd = stage.tallyd(stage.redis())
            for size in settings.sizes[first_size:]:
                result = Result(f"{name}-{size}", f"tallyd: {kind}, {size:,} B")
                load = TallySend(Packets(count, size, zipf))
                many = count if count >= MANY else 0
                measure(result, tallyd, load, settings, FAST, many)
                results.append(result)
        return results

    return run


def tallyd_under(name, title, load, guess):
    """One tallyd under the load that `load` makes of the Bench."""

    def run(bench):
        result = Result(name, f"tallyd: {title}")
        made = load(bench)
        with Stage() as stage:
            measure(result, stage.tallyd(stage.redis()), made, bench.settings, guess)
        return [result]

    return run


def workers(bench):
    """One worker and two, in turns, under the same load; with more processors as many as serve,
    too."""
    counts = sorted({1, 2, max(2, len(machine.SERVER_CPUS))})
    senders = min(counts[-1], len(machine.LOAD_CPUS))
    load = TallySend(Packets(), connections=2 * counts[-1] // senders, senders=senders)
    rows = []
    with Stage() as stage:
        for count in counts:
            plural = "s" * (count > 1)
            result = Result(f"workers-{count}", f"tallyd: {count} worker{plural}, 1 k devices, 45 B")
            cpus = machine.SERVER_CPUS[:count]
            if len(cpus) < count:
                result.note = f"{count} workers share {len(cpus)} processor here: CPU a packet only"
            tallyd = stage.tallyd(stage.redis(), cpus=cpus, workers=count)
            rows.append((result, tallyd, load, FAST))
        measure_in_turns(rows, bench.settings)
    return [row[0] for row in rows]


def tls(bench):
    """The same load without TLS and with it, in turns."""
    if not have("openssl"):
        raise Missing("openssl, which makes the certificates, is not installed")
    rows = []
    with Stage() as stage:
        authority = Authority(stage.directory)
        secure = tls_options(authority, authority.issue("server"))
        trust = {"tls": True, "tls_ca": authority.path}
        for name, title, options, client in (
            ("tls-none", "without TLS", {}, {}),
            ("tls-1.3", "TLS 1.3, AES-256-GCM", secure, trust),
        ):
            result = Result(name, f"tallyd: {title}, 1 k devices, 45 B")
            tallyd = stage.tallyd(stage.redis(), **options)
            rows.append((result, tallyd, TallySend(Packets(), **client), FAST))
        measure_in_turns(rows, bench.settings)
    return [row[0] for row in rows]


# ---- Peers -----------------------------------------------------------------------------------


def cpp_client(_):
    return RealClient([bench_program("client_grpc_cpp")], Packets())


def python_client(_):
    return RealClient([PYTHON, bench_program("client_python.py")], Packets())


def cpp_peer(_):
    return [bench_program("peer_grpc_cpp")]


def go_peer(_):
    return [bench_program("peer_grpc_go")]


def python_peer(stage):
    redis = stage.redis()
    return [PYTHON, bench_program("peer_python_original.py"), "--redis-port", str(redis.port)]


def peer_under(name, title, command, load, guess):
    """A peer, started by what `command` returns for a stage, under the load that `load` makes."""

    def run(bench):
        result = Result(name, title)
        made = load(bench)
        with Stage() as stage:
            server = stage.program(*command(stage))
            measure(result, server, made, bench.settings, guess)
        return [result]

    return run
