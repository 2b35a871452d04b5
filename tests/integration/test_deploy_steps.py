"""What deploy/README.md has people type on a machine with Debian's Redis: the counts that were there
stay, what is acknowledged outlives a kill, and the users get in. systemd is left out; what it would
execute is executed here."""
import re
import shlex
import subprocess

import pytest
import redis as redis_py
from harness import grpc_client
from harness.env import ROOT, have
from harness.redis_server import KEY
from harness.sender import assert_same

DROP_IN = ROOT / "deploy/systemd/redis-server.conf"
README = (ROOT / "deploy/README.md").read_text()
(STEPS,) = (
    text for text in re.findall(r"^```\n(.*?)^```$", README, re.M | re.S) if "enable" in text
)
USERS = "/etc/redis/tallyd"
LOGIN = "/etc/tallyd"


def shell(command):
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


def before_start(directory):
    """Runs the drop-in's ExecStartPre on the files of a Redis in `directory`."""
    (line,) = re.findall(r"^ExecStartPre=(.*)$", DROP_IN.read_text(), re.M)
    line = line.replace("$$", "$").replace("/var/lib/redis", str(directory))
    return subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)


@pytest.fixture
def debians_redis(start_redis):
    """As Debian starts it: a snapshot, no append-only file, no login; and with counts."""
    redis = start_redis()
    redis.client.hset(KEY, "old", 5)
    redis.client.save()
    return redis


def test_the_steps_keep_every_count(debians_redis, start_tallyd, tmp_path):
    redis, conf = debians_redis, tmp_path / "redis.conf"
    places = {LOGIN: tmp_path / "login", USERS: tmp_path / "users"}
    for directory in places.values():
        directory.mkdir()
    ran = 0
    for line in STEPS.splitlines():
        if re.search(r"redis-cli|redis\.conf$|make-users", line):
            line = line.replace("/etc/redis/redis.conf", str(conf))
            for place, directory in places.items():
                line = re.sub(place + r"(?=[/ ']|$)", str(directory), line)
            done = shell(line.replace("redis-cli", f"redis-cli -p {redis.port}"))
            assert done.returncode == 0, done.stderr
            ran += 1
    assert ran == 4
    said = dict(line.split() for line in conf.read_text().splitlines())
    assert (said["appendonly"], said["appendfsync"]) == ("yes", "always")

    redis.client.shutdown(nosave=True)
    redis.process.wait()
    redis.options = [word for name, value in said.items() for word in (f"--{name}", value)]
    admin = (places[USERS] / "admin-password").read_text().strip()
    redis.client = redis_py.Redis(
        port=redis.port, username="admin", password=admin, decode_responses=True
    )
    redis.start()
    tallyd = start_tallyd(
        redis.port,
        redis_username="tallyd",
        redis_password_file=places[LOGIN] / "redis-password",
    )
    assert grpc_client.send(tallyd.target, ["new"] * 3) == 3
    redis.kill()
    assert before_start(redis.directory).returncode == 0
    redis.start()
    assert_same(redis.totals(), {"old": 5, "new": 3})


def test_a_torn_transaction_is_dropped_before_redis_starts(start_redis):
    redis = start_redis(appendfsync="always")
    assert before_start(redis.directory / "nowhere").returncode == 0  # the first start of all
    redis.client.hset(KEY, "whole", 1)
    redis.kill()
    (log,) = redis.append_only_directory.glob("*.incr.aof")
    whole = log.read_bytes()
    log.write_bytes(whole + b"*1\r\n$5\r\nMULTI\r\n*4\r\n$7\r\nHINCRBY\r\n$14\r\ndevice_me")
    done = before_start(redis.directory)
    assert done.returncode == 0, done.stdout + done.stderr
    assert log.read_bytes() == whole


@pytest.mark.skipif(not have("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_drop_in(tmp_path):
    """With a unit that executes as little as Debian's redis-server.service does."""
    unit = tmp_path / "redis-server.service"
    unit.write_text("[Service]\nExecStart=/usr/bin/redis-server\nNoExecPaths=/\n")
    drop_in = tmp_path / "redis-server.service.d" / "tallyd.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN.read_text())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--no-pager", unit],
        capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    drop_in.write_text(DROP_IN.read_text().replace("/bin/sh -c", "/bin/nowhere -c"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "--no-pager", unit],
        capture_output=True, text=True, timeout=60, check=False
    )
    assert "/bin/nowhere" in done.stderr  # it was read
