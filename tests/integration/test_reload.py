"""SIGHUP: the configuration is read again and taken as a whole, or not at all."""
import signal

import grpc
import pytest
from harness import grpc_client
from harness.env import amount, wait_until
from harness.grpc_client import OpenStream
from harness.sender import assert_same


class File:
    """A configuration file, and a tallyd that was started with it."""

    def __init__(self, path):
        self.path = path
        self.tallyd = None

    def write(self, **options):
        lines = (f"{name.replace('_', '-')} = {value}\n" for name, value in options.items())
        self.path.write_text("".join(lines))

    def reload(self, **options):
        """Writes the file, sends SIGHUP, and waits for the outcome. Returns what was logged."""
        if options:
            self.write(**options)
        before, logged = self.outcomes(), len(self.tallyd.log())
        self.tallyd.process.send_signal(signal.SIGHUP)
        wait_until(lambda: self.outcomes() != before, "the reload")
        return self.tallyd.log()[logged:]

    def outcomes(self):
        main = self.tallyd.stats()["main"]
        return main["reloads"], main["reloads_failed"]


@pytest.fixture
def file(tmp_path, redis, start_tallyd):
    file = File(tmp_path / "tallyd.conf")
    file.write(log_level="info", drain_timeout_ms=20000)
    file.tallyd = start_tallyd(redis.port, config=file.path)
    file.tallyd.wait_for_log("gRPC on")  # it answers before it says so
    return file


def test_a_valid_file_is_taken(redis, file):
    logged = file.reload(log_level="debug", log_format="json", drain_timeout_ms=4000)
    assert file.outcomes() == (1, 0)
    assert "--drain-timeout-ms, --log-level, --log-format" in logged
    assert '"level":"info"' in logged
    grpc_client.send(file.tallyd.target, ["d"])
    file.tallyd.wait_for_log('"level":"debug"')
    assert file.reload(log_level="warn") == ""  # the level is in force at once
    assert file.outcomes() == (2, 0)
    before = file.tallyd.log()
    assert file.tallyd.stop() == 0
    assert file.tallyd.log() == before
    assert redis.totals() == {"d": 1}


def test_the_drain_gets_its_new_time(file):
    file.reload(drain_timeout_ms=4000)
    assert file.tallyd.stop() == 0
    assert "until 4000 ms" in file.tallyd.log()


@pytest.mark.parametrize(
    "text, why",
    [
        ("log-level = debug\ndrain-timeout-ms = soon\n", r"drain-timeout-ms .*\"soon\""),
        ("log-level = debug\nno-such-option = 1\n", "unknown option no-such-option"),
        ("log-level = debug\ntls-cert = /nowhere\n", "--tls-cert and --tls-key"),
        ("log-level = debug\nnonsense\n", r"tallyd\.conf:2"),
        (None, "cannot read configuration file"),
    ],
)
def test_an_invalid_file_keeps_the_old_one_and_says_why(file, text, why):
    if text is None:
        file.path.unlink()
    else:
        file.path.write_text(text)
    logged = file.reload()
    assert file.outcomes() == (0, 1)
    assert "the old one stays in force" in logged
    assert logged.count("\n") == 1
    file.tallyd.wait_for_log(why)
    grpc_client.send(file.tallyd.target, ["d"])
    assert file.tallyd.stop() == 0
    assert "until 20000 ms" in file.tallyd.log()
    assert " debug " not in file.tallyd.log()


def test_what_needs_a_restart_is_named_and_the_rest_is_taken(file):
    logged = file.reload(
        log_level="debug",
        drain_timeout_ms=20000,
        max_streams=7,
        redis_key="other",
        token_file="/nowhere",
    )
    assert file.outcomes() == (1, 0)
    assert "configuration read again: --log-level\n" in logged
    assert (
        "changed, but not in force before a restart: --redis-key, --max-streams, --token-file\n"
        in logged
    )
    assert file.tallyd.stats()["instance"]["redis_key"] == "device_metrics"


def test_a_flag_beats_the_file_at_a_reload_too(tmp_path, redis, start_tallyd):
    file = File(tmp_path / "tallyd.conf")
    file.write(log_level="info")
    file.tallyd = start_tallyd(
        redis.port, config=file.path, log_level="error", environment={"DRAIN_TIMEOUT_MS": "1234"}
    )
    file.reload(log_level="debug", drain_timeout_ms=5)
    assert file.outcomes() == (1, 0)
    assert file.tallyd.log() == ""


def test_a_reload_without_a_file_changes_nothing(tallyd):
    tallyd.process.send_signal(signal.SIGHUP)
    tallyd.wait_for_log("configuration read again: no option that can change has")


def test_reloads_under_load_lose_nothing(redis, file, start_sender):
    rate = amount(100_000, long=200_000, sanitized=10_000)
    sender = start_sender(
        file.tallyd.target, n=4 * rate, rate=rate, devices=1000, streams=4, connections=2
    )
    wait_until(lambda: redis.client.hlen("device_metrics") > 100, "packets in Redis")
    for i in range(20):
        if i % 5 == 4:
            file.path.write_text("nonsense")
            file.reload()
        else:
            file.reload(
                log_level=("debug", "info")[i % 2],
                max_connections=100 + i,
                max_connections_per_address=100 + i,
                memory_limit_bytes=(i % 2) << 40,
                drain_timeout_ms=20000 + i,
            )
    assert file.outcomes() == (16, 4)
    assert sender.wait() == 0, sender.output
    assert_same(redis.totals(), sender.acknowledged())


def test_sighup_while_draining_is_passed_over(redis, file, closing):
    stream = closing(OpenStream(file.tallyd.target))
    stream.send(["d"] * 3)
    wait_until(lambda: redis.totals() == {"d": 3}, "the stream to be counted")
    file.tallyd.terminate()
    wait_until(lambda: file.tallyd.get("/readyz")[0] == 503, "the drain")
    file.tallyd.process.send_signal(signal.SIGHUP)
    file.tallyd.wait_for_log("SIGHUP passed over: tallyd is stopping")
    stream.send(["d"] * 2)
    stream.end()
    assert stream.received() == 5
    assert file.tallyd.wait() == 0


def test_a_new_limit_of_connections_is_in_force(file, closing):
    first = closing(OpenStream(file.tallyd.target))
    first.send(["d"])
    wait_until(lambda: file.tallyd.stats()["totals"]["streams_opened"], "the first stream")
    file.reload(max_connections=1)
    with pytest.raises(grpc.RpcError) as refused:
        grpc_client.send(file.tallyd.target, ["e"])
    assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
    assert file.tallyd.stats()["main"]["connections_refused"] >= 1
    file.reload(max_connections=100)
    assert grpc_client.send(file.tallyd.target, ["e"]) == 1
    first.end()
    assert first.received() == 1
