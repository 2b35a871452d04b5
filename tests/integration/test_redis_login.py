"""Logging in to Redis: where the password may come from, where it must never show, and how it is
replaced without a restart."""
import os
from pathlib import Path

import pytest
from harness import grpc_client
from harness.env import free_port, wait_until
from harness.sender import assert_same
from harness.tallyd import run

PASSWORD = "correct-horse-battery"


@pytest.fixture
def locked_redis(start_redis):
    """A Redis that asks for PASSWORD."""
    return start_redis(password=PASSWORD, options=["--requirepass", PASSWORD])


@pytest.fixture
def secret(tmp_path):
    """The path of a password file."""
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


def check(*arguments, **kwargs):
    return run(*arguments, "--check-config", **kwargs)


def assert_refused(result, *words):
    """Exit 2, and one line that has all of `words`, but never the password."""
    assert result.returncode == 2, result
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert PASSWORD not in result.stdout + result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


# Where it may come from


@pytest.mark.parametrize("form", [["--redis-password", PASSWORD], [f"--redis-password={PASSWORD}"]])
def test_no_flag_takes_a_password(form):
    instead = ("REDIS_PASSWORD", "--redis-password-file")
    assert_refused(run(*form), *instead)
    assert_refused(check(*form, environment={"REDIS_PASSWORD": PASSWORD}), *instead)


def test_help_shows_no_flag_for_a_password():
    result = run("--help")
    assert "REDIS_PASSWORD=" in result.stdout
    assert "--redis-password " not in result.stdout


@pytest.mark.parametrize("where", ["REDIS_PASSWORD", "REDIS_PASSWORD_FILE", "file", "config"])
def test_a_password_works_and_is_seen_nowhere(locked_redis, start_tallyd, tmp_path, secret, where):
    given = {"environment": {}}
    if where == "file":
        given["redis_password_file"] = secret
    elif where == "config":
        given["config"] = tmp_path / "tallyd.conf"
        given["config"].write_text(f"redis-password = {PASSWORD}\n")
    else:
        given["environment"][where] = str(secret) if where.endswith("FILE") else PASSWORD
    tallyd = start_tallyd(locked_redis.port, log_level="debug", **given)
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert_same(locked_redis.totals(), {"d": 1})
    process = Path(f"/proc/{tallyd.process.pid}")
    assert PASSWORD.encode() not in (process / "cmdline").read_bytes()
    for task in (process / "task").iterdir():
        assert PASSWORD[:15] not in (task / "comm").read_text()
    for path in ("/stats", "/metrics/prom", "/metrics", "/readyz", "/summary"):
        assert PASSWORD.encode() not in tallyd.get(path)[2]
    assert tallyd.stop() == 0
    assert PASSWORD not in tallyd.log()


def test_a_password_in_two_places_is_refused(secret):
    assert_refused(
        check("--redis-password-file", secret, environment={"REDIS_PASSWORD": PASSWORD}),
        "--redis-password-file",
        "not both",
    )


def test_a_password_file_that_is_of_no_use_is_refused_at_start(tmp_path, secret):
    os.mkfifo(tmp_path / "fifo")  # to open it would wait for a writer
    (tmp_path / "empty").touch()
    (tmp_path / "long").write_text("x" * 5000)
    for name, why in [
        ("none", "No such file"),
        ("empty", "it is empty"),
        ("fifo", "no regular file"),
        ("long", "longer than"),
    ]:
        environment = {"REDIS_PASSWORD_FILE": str(tmp_path / name)}
        assert_refused(check(environment=environment), str(tmp_path / name), why)
        assert_refused(run(environment=environment), str(tmp_path / name), why)
    assert check("--redis-password-file", secret).returncode == 0


# What Redis says to it


@pytest.mark.parametrize(
    "given", [{"redis_password": "no-" + PASSWORD}, {"redis_username": None}], ids=["wrong", "none"]
)
def test_a_refused_login_is_told_in_the_log(locked_redis, start_tallyd, given):
    tallyd = start_tallyd(locked_redis.port, ready=False, log_level="debug", **given)
    tallyd.wait_for_log("WRONGPASS|NOAUTH")
    assert tallyd.get("/readyz")[0] == 503
    assert PASSWORD not in tallyd.log()


def break_connections(redis):
    """As an administrator does after a password was replaced; our own connection stays."""
    redis.client.client_kill_filter(_type="normal", skipme=True)


def test_a_new_password_is_taken_without_a_restart(locked_redis, start_tallyd, secret):
    tallyd = start_tallyd(locked_redis.port, redis_password_file=secret, redis_grace_ms=60_000)
    assert grpc_client.send(tallyd.target, ["d"]) == 1

    locked_redis.client.config_set("requirepass", "another")
    break_connections(locked_redis)
    tallyd.wait_for_log("WRONGPASS")
    assert tallyd.get("/readyz")[0] == 503
    secret.write_text("another\n")
    wait_until(lambda: tallyd.get("/readyz")[0] == 200, "tallyd to log in again")
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert tallyd.device("d") == 2
    assert "another" not in tallyd.log()


def test_connections_outlive_their_password_file(locked_redis, start_tallyd, secret):
    """A file that goes away harms nothing until something connects; then the log says what is
    missing, and /readyz that it matters, neither of them where the file was."""
    tallyd = start_tallyd(locked_redis.port, redis_password_file=secret, redis_grace_ms=60_000)
    assert tallyd.metrics() == {}
    secret.unlink()
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    break_connections(locked_redis)
    tallyd.wait_for_log("cannot read the file of the Redis password: No such file")
    assert tallyd.get("/readyz")[0] == 503
    status, _, body = tallyd.get("/devices/d")
    assert status in (200, 503)
    assert str(secret).encode() not in body
    secret.write_text(PASSWORD)
    wait_until(lambda: tallyd.get("/readyz")[0] == 200, "tallyd to log in again")
    assert grpc_client.send(tallyd.target, ["d"]) == 1
    assert_same(locked_redis.totals(), {"d": 2})


def test_a_password_file_that_became_a_fifo_holds_nothing_up(locked_redis, start_tallyd, secret):
    tallyd = start_tallyd(locked_redis.port, redis_password_file=secret)
    secret.unlink()
    os.mkfifo(secret)
    break_connections(locked_redis)
    tallyd.wait_for_log("no regular file")
    assert tallyd.get("/healthz")[0] == 200
    assert tallyd.stop() == 0


def test_a_username_needs_a_password():
    assert_refused(check("--redis-username", "tally"), "--redis-username", "--redis-password-file")


def test_a_password_for_a_redis_that_has_none_is_told(redis, start_tallyd):
    tallyd = start_tallyd(redis.port, ready=False, redis_password=PASSWORD, http_port=free_port())
    tallyd.wait_for_log("called without any password")
    assert PASSWORD not in tallyd.log()
