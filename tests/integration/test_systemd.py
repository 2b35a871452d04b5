"""The systemd unit: systemd finds it valid and closed, and tallyd makes do with what it allows.

No systemd runs where these tests run, so its sandbox is not put up; what the unit promises is
compared with what tallyd does.
"""
import os
import re
import subprocess

import pytest
from harness import grpc_client
from harness.env import ROOT, SANITIZED, have, program
from harness.tallyd import run

UNIT = ROOT / "deploy/systemd/tallyd.service"
EXPOSURE = 2.0  # of 10, at most

pytestmark = pytest.mark.skipif(
    not have("systemd-analyze"), reason="systemd-analyze is not installed (Debian: systemd)"
)


def analyze(*arguments):
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments), "--no-pager"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"SYSTEMD_COLORS": "0"},
    )


def settings(name):
    """The values of a setting of the unit, in order."""
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_it(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/tallyd", program("tallyd")))
    result = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert (result.returncode, result.stderr) == (0, "")


def test_it_is_closed():
    result = analyze("security", "--offline=true", f"--threshold={int(EXPOSURE * 10)}", UNIT)
    assert result.returncode == 0, result.stdout
    exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", result.stdout).group(1))
    assert exposure <= EXPOSURE, result.stdout


def test_secrets_come_from_files_and_no_option_is_misspelt():
    """From files themselves, not from systemd's copies of them, which stay as they were at start."""
    assert "REDIS_PASSWORD_FILE=/etc/tallyd/redis-password" in settings("Environment")
    assert settings("LoadCredential") == []
    example = (ROOT / "deploy/systemd/tallyd.env").read_text()
    names = re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)
    names += [words.split("=")[0] for words in settings("Environment")]
    help = run("--help").stdout
    for name in names:
        assert f"[env: {name}]" in help, name
    assert "REDIS_PASSWORD=" not in example


def test_a_redis_without_users_needs_what_the_example_says(redis, start_tallyd, tmp_path):
    """Without the comment signs, its lines on users beat the unit's; no password file is needed."""
    example = (ROOT / "deploy/systemd/tallyd.env").read_text()
    environment = dict(words.split("=") for words in settings("Environment"))
    environment |= dict.fromkeys(re.findall(r"^#([A-Z_]+)=$", example, re.MULTILINE), "")
    assert set(environment) == {"REDIS_USERNAME", "REDIS_PASSWORD_FILE"}
    tallyd = start_tallyd(redis.port, environment=environment)
    assert grpc_client.send(tallyd.target, ["d"]) == 1


def test_exits_that_do_not_get_better_are_not_tried_again(redis, start_tallyd):
    fenced = start_tallyd(redis.port, instance="twin")
    start_tallyd(redis.port, instance="twin")
    exits = {str(run("--workers", "bad").returncode), str(fenced.wait())}
    assert set(settings("RestartPreventExitStatus")[0].split()) == exits


def test_it_gets_the_time_and_the_files_that_it_may_need():
    help = run("--help").stdout

    def default(option):
        entry = help[help.index(f"--{option} ") :]
        return int(re.search(r"\[default: (\d+)\]", entry).group(1))

    assert int(settings("TimeoutStopSec")[0]) * 1000 > default("drain-timeout-ms")
    assert int(settings("LimitNOFILE")[0]) > default("max-connections") + default(
        "http-connections"
    )


def allowed_calls():
    """What SystemCallFilter= comes to, by systemd's own lists."""

    def expand(name):
        if not name.startswith("@"):
            return {name}
        lines = analyze("syscall-filter", name).stdout.splitlines()[1:]
        words = [line.strip() for line in lines if line.strip() and "#" not in line]
        return set().union(*map(expand, words))

    allowed = expand("@default")
    for value in settings("SystemCallFilter"):
        names = set().union(*map(expand, value.removeprefix("~").split()))
        allowed = allowed - names if value.startswith("~") else allowed | names
    return allowed


@pytest.mark.skipif(SANITIZED, reason="a sanitizer makes system calls of its own")
@pytest.mark.skipif(not have("strace"), reason="strace is not installed")
def test_every_system_call_that_it_makes_is_allowed(redis, start_tallyd, tmp_path, start_sender):
    """From the first to the last of its life, except for execve(), which systemd makes."""
    calls = tmp_path / "calls"
    tallyd = start_tallyd(redis.port, wrapper=["strace", "-D", "-f", "-qq", "-o", calls])
    assert start_sender(tallyd.target, n=2000, devices=100).wait() == 0
    assert len(tallyd.metrics()) == 100
    for path in ("/", "/top", "/summary", "/stats", "/metrics/prom", "/devices/device-1"):
        assert tallyd.get(path)[0] == 200
    with pytest.raises(Exception):
        grpc_client.send(tallyd.target, [""])
    redis.kill()
    redis.start()
    tallyd.wait_for_log("answers")
    assert tallyd.stop() == 0
    made = set(re.findall(r"^\d+ +(\w+)\(", calls.read_text(), re.MULTILINE))
    assert {"epoll_wait", "setpriority", "sendmsg", "poll"} & made
    assert made - allowed_calls() == set()
