"""The Redis users that are shipped (deploy/redis): tallyd's can do all that it needs and nothing
else, with the default user off. The harness logs tallyd in with the same rights everywhere else."""
import subprocess
import threading
import time

import pytest
import redis as redis_py
from harness import grpc_client
from harness.env import ROOT, free_port, wait_until
from harness.grpc_client import OpenStream
from harness.proxy import Cut, Proxy, Way
from harness.redis_server import KEY, USERS, shipped_user
from harness.sender import assert_same
from harness.tallyd import assert_balance

MAKE_USERS = ROOT / "deploy/redis/make-users.sh"
RIGHTS = {word[1:] for word in shipped_user() if word.startswith("+")}


class Users:
    """What make-users.sh makes, in directories of its own."""

    def __init__(self, directory):
        self.redis, self.tallyd = directory / "for-redis", directory / "for-tallyd"
        self.file = self.redis / "users.acl"
        self.password_file = self.tallyd / "redis-password"
        self.redis.mkdir()
        self.tallyd.mkdir()
        self.make()

    def make(self, *arguments):
        subprocess.run(["sh", MAKE_USERS, *arguments, self.redis, self.tallyd], check=True)

    @property
    def admin_password(self):
        return (self.redis / "admin-password").read_text().strip()


@pytest.fixture
def users(tmp_path):
    return Users(tmp_path)


@pytest.fixture
def guarded_redis(start_redis, users, tmp_path):
    """A Redis with the shipped users. Its client is the admin, by a Unix socket, so that MONITOR
    tells what came from tallyd."""
    redis = start_redis(
        username="admin",
        password=users.admin_password,
        options=["--aclfile", users.file, "--unixsocket", tmp_path / "redis.sock"],
    )
    redis.client = redis_py.Redis(
        unix_socket_path=str(tmp_path / "redis.sock"),
        decode_responses=True,
        encoding_errors="surrogateescape",
        **redis.login,
    )
    return redis


class Monitor:
    """The names of the commands that came by TCP, in lower case."""

    def __init__(self, redis):
        self.commands = set()
        self.feed = redis.client.monitor()
        self.feed.__enter__()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while True:
                command = self.feed.next_command()
                if command["client_type"] == "tcp":
                    self.commands.add(command["command"].split()[0].lower())
        except (redis_py.exceptions.ConnectionError, ValueError):
            pass  # the end of that Redis


def live(redis, proxy, tallyd, closing):
    """All that tallyd does to Redis: commits of one batch and of several, counts that are refused,
    unknown outcomes of both kinds, a lost ledger, all kinds of readings."""
    expected = {f"d{i}": 2 for i in range(5000)}
    assert grpc_client.send(tallyd.target, list(expected) * 2) == 10_000
    redis.client.hset(KEY, "bad", "x")
    assert grpc_client.send(tallyd.target, ["bad"] * 3 + ["good"]) == 4

    for held in (Way.DOWN, Way.UP):  # it went in and nobody heard; it did not go in
        link = proxy.committing()
        link.hold_from(b"*1\r\n$4\r\nEXEC" if held is Way.UP else b":", held)
        stream = closing(OpenStream(tallyd.target))
        stream.send(["fault"] * 5)
        stream.end()
        wait_until(lambda: link.held[held], "the transaction")
        link.end(Cut.RST)
        assert stream.received() == 5

    redis.client.delete(f"{KEY}:ledger:{tallyd.options['instance']}")
    assert grpc_client.send(tallyd.target, ["after"]) == 1
    assert_same(
        redis.client.hgetall(KEY),
        {name: "2" for name in expected} | {"bad": "x", "good": "1", "fault": "10", "after": "1"},
    )
    assert redis.client.hgetall(KEY + ":quarantine") == {"bad": "3"}
    assert len(tallyd.metrics()) == 5003
    assert tallyd.device("good") == 1
    assert tallyd.device("nobody") is None
    for path in ("/top", "/summary", "/metrics?prefix=d1&limit=3", "/metrics/prom", "/readyz"):
        assert tallyd.get(path)[0] == 200
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["flusher"]["outcomes_applied"] == 1
    assert stats["flusher"]["outcomes_not_applied"] >= 1
    assert stats["flusher"]["rollbacks"] == 1


def test_the_shipped_rights_are_enough_and_none_is_too_many(
    guarded_redis, users, start_tallyd, closing
):
    monitor = Monitor(guarded_redis)
    proxy = closing(Proxy(guarded_redis.port))
    tallyd = start_tallyd(
        proxy.port,
        redis_username="tallyd",
        redis_password_file=users.password_file,
        redis_grace_ms=60_000,
    )
    live(guarded_redis, proxy, tallyd, closing)
    assert tallyd.stop() == 0
    assert guarded_redis.client.acl_log() == []
    time.sleep(0.2)  # for the monitor to hear the last of it
    assert monitor.commands - {"auth"} == RIGHTS


def test_transactions_in_the_append_only_file_are_loaded(guarded_redis, users, start_tallyd):
    """Redis 7.0 loads the file as the default user, and drops each transaction that this user has
    no right to: with it off, all counts were gone at the next start."""
    guarded_redis.client.config_set("appendonly", "yes")
    guarded_redis.client.config_set("appendfsync", "always")
    wait_until(
        lambda: guarded_redis.client.info("persistence")["aof_rewrite_in_progress"] == 0,
        "the first append-only file",
    )
    tallyd = start_tallyd(
        guarded_redis.port, redis_username="tallyd", redis_password_file=users.password_file
    )
    assert grpc_client.send(tallyd.target, ["d"] * 7) == 7
    assert tallyd.stop() == 0
    guarded_redis.kill()
    guarded_redis.options += ["--appendonly", "yes"]
    guarded_redis.start()
    assert_same(guarded_redis.totals(), {"d": 7})


def test_nobody_else_gets_in_and_tallyd_not_further(guarded_redis, users):
    def client(**login):
        return redis_py.Redis(port=guarded_redis.port, decode_responses=True, **login)

    nobody = client()
    for command in ("PING", "HGETALL " + KEY, "INFO", "CONFIG GET *"):
        with pytest.raises(redis_py.exceptions.AuthenticationError):
            nobody.execute_command(command)
    tallyd = client(username="tallyd", password=users.password_file.read_text().strip())
    assert tallyd.hset(KEY, "d", 1) == 1
    for command in (
        *("DEL " + KEY, "FLUSHALL", "KEYS *", "CONFIG GET *", "ACL LIST", "HDEL {0} d".format(KEY)),
        *("HGET other d", "HSET device_metric d 1", "EVAL x 0", "SHUTDOWN", "MONITOR", "SELECT 1"),
        *("SUBSCRIBE x", "PUBLISH x y", "MIGRATE h 1 k 0 1", "REPLICAOF h 1"),
    ):
        with pytest.raises(redis_py.exceptions.NoPermissionError):
            tallyd.execute_command(*command.split())


def test_passwords_are_made_once_and_of_them_redis_has_hashes_only(users):
    before = users.file.read_text(), users.password_file.read_text()
    users.make()
    assert (users.file.read_text(), users.password_file.read_text()) == before
    for password in (users.admin_password, users.password_file.read_text().strip()):
        assert len(password) == 64
        assert password not in before[0]
    assert users.admin_password != before[1].strip()
    assert "SHA256" not in before[0]


def test_nothing_is_made_unless_all_can_be(tmp_path):
    (tmp_path / "for-redis").mkdir()
    for directories in (["for-redis", "none"], ["none", "for-redis"]):
        done = subprocess.run(
            ["sh", MAKE_USERS, *directories], cwd=tmp_path, capture_output=True, text=True,
            check=False
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1 and "none" in done.stderr, done.stderr
    assert list((tmp_path / "for-redis").iterdir()) == []


def test_a_new_password_reaches_both_without_a_restart(guarded_redis, users, start_tallyd):
    tallyd = start_tallyd(
        guarded_redis.port,
        redis_username="tallyd",
        redis_password_file=users.password_file,
        redis_grace_ms=60_000,
    )
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    before = users.password_file.read_text()
    users.make("--new")
    assert users.password_file.read_text() != before
    guarded_redis.client.acl_load()  # cuts the connections of users that it changes
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert tallyd.device("d") == 2
    assert guarded_redis.client.acl_log() == []
    assert tallyd.stop() == 0


def test_a_user_without_a_password_in_place_is_refused_by_redis(tmp_path):
    """The shipped file as it is, with the place-holders, must not open anything."""
    done = subprocess.run(
        ["redis-server", "--port", str(free_port()), "--aclfile", USERS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode != 0
    assert "users.acl:2" in done.stdout
