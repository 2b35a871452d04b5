"""The command line: every rule of the options, on the real program."""
import re
import socket

import pytest
from harness.env import ROOT, free_port
from harness.tallyd import run

# The contract's options: flag, environment variable, default.
OPTIONS = [
    ("bind", "BIND", "127.0.0.1"),
    ("grpc-port", "GRPC_PORT", "50051"),
    ("http-port", "HTTP_PORT", "8000"),
    ("redis-host", "REDIS_HOST", "localhost"),
    ("redis-port", "REDIS_PORT", "6379"),
    ("redis-socket", "REDIS_SOCKET", None),
    ("redis-username", None, None),
    ("redis-password-file", "REDIS_PASSWORD_FILE", None),
    ("redis-db", None, None),
    ("redis-key", "REDIS_KEY", "device_metrics"),
    ("instance", "INSTANCE", None),
    ("workers", "WORKERS", "0"),
    ("flush-interval-ms", "FLUSH_INTERVAL_MS", "100"),
    ("redis-grace-ms", "REDIS_GRACE_MS", "5000"),
    ("drain-timeout-ms", "DRAIN_TIMEOUT_MS", "30000"),
    ("max-devices", "MAX_DEVICES", "10000000"),
    ("max-device-id-bytes", "MAX_DEVICE_ID_BYTES", "256"),
    ("max-message-bytes", "MAX_MESSAGE_BYTES", "4194304"),
    ("log-level", None, None),
    ("log-format", None, None),
    ("config", None, None),
    ("check-config", None, None),
    ("version", None, None),
    ("help", None, None),
]


def check(*arguments, **kwargs):
    return run(*arguments, "--check-config", **kwargs)


def assert_refused(result, *words):
    """Exit 2, and one line that has all of `words`."""
    assert result.returncode == 2, result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    for word in words:
        assert str(word) in lines[0], lines[0]


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "tallyd.conf"

    def write(text):
        path.write_text(text)
        return str(path)

    return write


def test_help_lists_every_option_with_its_variable_and_default():
    result = run("--help")
    assert result.returncode == 0
    assert result.stderr == ""
    entries = re.split(r"^  --", result.stdout, flags=re.MULTILINE)[1:]
    by_name = {re.match(r"[a-z-]+", entry).group(): entry for entry in entries}
    for name, variable, default in OPTIONS:
        assert name in by_name
        assert variable is None or f"[env: {variable}]" in by_name[name]
        assert default is None or f"[default: {default}]" in by_name[name]


def test_version_is_the_projects():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    version = re.search(r"project\(tallyd VERSION ([0-9.]+)", cmake).group(1)
    result = run("--version")
    assert result.returncode == 0
    assert version in result.stdout


def test_check_config_accepts_the_defaults_and_starts_nothing():
    result = check()
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("--flush-intervall-ms", "--flush-interval-ms"),
        ("--redis_host", "--redis-host"),
        ("--worker", "--workers"),
        ("--portt", "port"),
    ],
)
def test_an_unknown_option_is_refused_with_the_closest_name(wrong, right):
    assert_refused(run(wrong, "1"), wrong, right)


def test_what_is_no_option_is_refused():
    assert_refused(run("serve"), "serve")
    assert_refused(run("--redis-host"), "--redis-host")


@pytest.mark.parametrize(
    "option, low, high",
    [
        ("grpc-port", 1, 65535),
        ("http-port", 1, 65535),
        ("redis-port", 1, 65535),
        ("workers", 0, None),
        ("flush-interval-ms", 1, None),
        ("max-device-id-bytes", 1, None),
        ("max-message-bytes", 1, None),
        ("max-devices", 1, None),
    ],
)
def test_numbers_out_of_range_are_refused_with_the_range(option, low, high):
    for value in (-1, "", "12x", "1e3", 10**30) + ((0,) if low else ()):
        assert_refused(check(f"--{option}={value}"), f"--{option}", low, high or "")
    assert check(f"--{option}={low}").returncode == 0
    if high:
        assert check(f"--{option}={high}").returncode == 0
        assert_refused(check(f"--{option}={high + 1}"), f"--{option}", high)


def test_choices_are_refused_with_the_choices():
    assert_refused(check("--log-level", "loud"), "--log-level", "debug", "info", "warn", "error")
    assert_refused(check("--log-format", "xml"), "--log-format", "text", "json")


def test_a_bind_address_must_be_an_address():
    assert_refused(check("--bind", "not an address"), "--bind")
    for address in ("0.0.0.0", "::", "::1", "127.0.0.1"):
        assert check("--bind", address).returncode == 0


@pytest.mark.parametrize(
    "flag, environment, file, accepted",
    [
        ("2", "bad", "bad", True),
        ("bad", "2", "2", False),
        (None, "2", "bad", True),
        (None, "bad", "2", False),
        (None, None, "2", True),
        (None, None, "bad", False),
        (None, "", "2", True),  # set but empty counts as unset
        (None, None, None, True),
    ],
)
def test_flag_beats_environment_beats_file(config_file, flag, environment, file, accepted):
    """Only the value that holds is looked at, so a bad one shows which one held."""
    arguments = ["--config", config_file(f"workers = {file}\n" if file else "# nothing\n")]
    if flag:
        arguments += ["--workers", flag]
    result = check(*arguments, environment={} if environment is None else {"WORKERS": environment})
    if accepted:
        assert result.returncode == 0, result.stderr
    else:
        assert_refused(result, "workers", "bad")


def test_a_file_may_hold_comments_and_blanks(config_file):
    path = config_file("# tallyd\n\n  grpc-port=50051  \nredis-key = device_metrics\r\n")
    assert check("--config", path).returncode == 0


def test_mistakes_in_a_file_are_told_with_their_place(config_file):
    assert_refused(check("--config", config_file("workers = 2\nbogus\n")), "tallyd.conf:2")
    assert_refused(check("--config", config_file("worker = 2\n")), "worker", "workers")
    assert_refused(check("--config", config_file("help = true\n")), "help")
    assert_refused(check("--config", "/nowhere/tallyd.conf"), "/nowhere/tallyd.conf")


@pytest.mark.parametrize("option", ["grpc-port", "http-port"])
def test_a_port_in_use_is_one_line_and_exit_1(redis, option):
    ports = {"grpc-port": free_port(), "http-port": free_port()}
    with socket.create_server(("127.0.0.1", ports[option])):
        arguments = [f"--{name}={port}" for name, port in ports.items()]
        result = run(*arguments, f"--redis-port={redis.port}", "--log-level=error")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert str(ports[option]) in result.stderr
    assert "in use" in result.stderr


@pytest.mark.parametrize(
    "bind, given, line",
    [
        ("127.0.0.1", {}, None),
        ("0.0.0.0", {}, "may send and read"),
        ("0.0.0.0", {"token_file": True}, "tokens travel in the clear"),
    ],
)
def test_a_port_that_is_open_to_all_is_told(start_redis, start_tallyd, tmp_path, bind, given, line):
    """The default is this machine alone; what opens it without a lock says so, once."""
    if given:
        given = {"token_file": tmp_path / "tokens"}
        (tmp_path / "tokens").touch(mode=0o600)
    redis = start_redis(appendfsync="always")  # of which nothing is to be warned
    tallyd = start_tallyd(redis.port, ready=False, bind=bind, **given)
    assert tallyd.stop() == 0  # the warning comes after the ports are open
    warnings = [text for text in tallyd.log().splitlines() if " warn " in text]
    assert len(warnings) == (1 if line else 0), warnings
    assert line is None or line in warnings[0]


def test_healthcheck_tells_whether_a_tallyd_lives(tallyd):
    assert run("--healthcheck", "--http-port", tallyd.http_port).returncode == 0
    assert run("--healthcheck", "--http-port", free_port()).returncode == 1


def test_a_healthcheck_gives_up_on_what_never_answers():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = run("--healthcheck", "--http-port", silent.getsockname()[1])
    assert done.returncode == 1
    assert "timed out" in done.stderr


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_each_line_of_the_log_has_its_format(redis, start_tallyd, log_format):
    import json

    tallyd = start_tallyd(redis.port, log_format=log_format)
    assert tallyd.stop() == 0
    lines = tallyd.log().splitlines()
    assert lines
    for line in lines:
        if log_format == "json":
            assert isinstance(json.loads(line), dict)
        else:
            assert re.match(r"\d{4}-\d\d-\d\d", line), line
