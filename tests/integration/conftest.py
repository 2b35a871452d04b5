"""Fixtures, and what tells ctest about skipped tests."""
import contextlib
from pathlib import Path

import pytest
from harness.certificates import Authority, tls_options
from harness.env import BUILD, have, wait_until
from harness.proxy import Proxy
from harness.redis_server import Redis
from harness.sender import Sender
from harness.tallyd import Tallyd, assert_balance

SKIPPED_EXIT_CODE = 77  # SKIP_RETURN_CODE in CMakeLists.txt


@pytest.fixture
def closing():
    """Closes what a test started, the last first, also when the test failed."""
    started = []
    yield lambda thing: (started.append(thing), thing)[1]
    errors = []
    for thing in reversed(started):
        try:
            thing.close()
        except Exception as error:  # the rest must be closed as well
            errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def start_redis(tmp_path, closing):
    """Starts a redis-server of its own: start_redis(appendfsync="always", password="x")."""
    if not have("redis-server"):
        pytest.skip("redis-server is not installed")
    count = iter(range(1000))

    def start(**options):
        return closing(Redis(tmp_path / f"redis-{next(count)}", **options)).start()

    return start


@pytest.fixture
def redis(start_redis):
    """A plain redis-server."""
    return start_redis()


@pytest.fixture
def start_tallyd(tmp_path, closing):
    """Starts a tallyd: start_tallyd(redis.port, flush_interval_ms=10). With ready=False it is
    only waited for until it is alive."""

    def start(redis_port, ready=True, **options):
        return closing(Tallyd(tmp_path, redis_port, **options)).start(ready)

    return start


@pytest.fixture
def tallyd(redis, start_tallyd):
    """A tallyd with default options on the plain redis-server."""
    return start_tallyd(redis.port)


def make_authority(directory):
    if not have("openssl"):
        pytest.skip("openssl is not installed")
    return Authority(directory)


@pytest.fixture
def authority(tmp_path):
    """What signs certificates for a test."""
    return make_authority(tmp_path)


@pytest.fixture
def server(authority):
    """A certificate for tallyd, and its key."""
    return authority.issue("server")


@pytest.fixture
def over_tls(redis, start_tallyd, authority, server):
    """A tallyd with TLS on both ports, on the plain redis-server."""
    return start_tallyd(redis.port, **tls_options(authority, server))


@pytest.fixture(scope="module")
def start_once(tmp_path_factory):
    """Starts a Redis and a tallyd that serve all tests of a file: start_once(max_streams=7) returns
    both, and their directory. They are closed behind the last test."""
    if not have("redis-server"):
        pytest.skip("redis-server is not installed")
    with contextlib.ExitStack() as started:

        def start(**options):
            directory = tmp_path_factory.mktemp("once")
            redis = started.enter_context(contextlib.closing(Redis(directory / "redis"))).start()
            tallyd = Tallyd(directory, redis.port, **options)
            return redis, started.enter_context(contextlib.closing(tallyd)).start(), directory

        yield start


@pytest.fixture(scope="module", params=["plain", "tls"])
def h2_port(start_once, tmp_path_factory, request):
    """The gRPC port of a tallyd that serves all tests of a file, once without TLS and once with:
    for those that ask many small questions of HTTP/2, each on a connection of its own,
    Raw(*h2_port). Pings may come as often as they like."""
    options, context = {}, None
    if request.param == "tls":
        authority = make_authority(tmp_path_factory.mktemp("h2"))
        options = tls_options(authority, authority.issue("server"))
        context = authority.context(protocols=["h2"])
    _, tallyd, _ = start_once(keepalive_min_ping_ms=0, **options)
    yield tallyd.grpc_port, context
    wait_until(lambda: _open_connections(tallyd.stats()) == 0, "all connections closed")
    stats = tallyd.stats()
    assert_balance(stats)
    assert stats["totals"]["streams_opened"] == stats["totals"]["streams_closed"]
    assert tallyd.stop() == 0


def _open_connections(stats):
    return stats["totals"]["connections_opened"] - stats["totals"]["connections_closed"]


@pytest.fixture
def proxy(redis, closing):
    """A proxy before the plain redis-server."""
    return closing(Proxy(redis.port))


@pytest.fixture
def start_sender(tmp_path, closing):
    """Starts tally-send: start_sender(tallyd.target, n=1000, devices=10)."""
    return lambda target, **options: closing(Sender(tmp_path, target, **options))


def _note_skip(report):
    """A skipped test must not go unseen: the test script shows this file at its end."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    file, _, test = report.nodeid.partition("::")
    name = f"integration/{Path(file).stem}: " + (f"{test}: " if test else "")
    with open(BUILD / "skips.txt", "a", encoding="utf-8") as skips:
        skips.write(name + reason.removeprefix("Skipped: ") + "\n")


def pytest_runtest_logreport(report):
    if report.skipped:
        _note_skip(report)


def pytest_collectreport(report):
    if report.skipped:
        _note_skip(report)


def pytest_sessionfinish(session, exitstatus):
    """When nothing ran because everything was skipped, ctest shall say so."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    ran = {kind for kind, reports in reporter.stats.items() if kind and reports}
    nothing = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if exitstatus in nothing and ran <= {"skipped", "deselected"} and "skipped" in ran:
        session.exitstatus = SKIPPED_EXIT_CODE


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the servers logged, since their directory may not be kept."""
    report = (yield).get_result()
    directory = item.funcargs.get("tmp_path") if hasattr(item, "funcargs") else None
    if report.failed and directory:
        for log in sorted(directory.glob("**/*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-5000:]))
