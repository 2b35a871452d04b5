"""Tokens: who may send, who may read, and what a reload ends."""
import signal
import subprocess

import grpc
import pytest
from harness import grpc_client, tokens
from harness.env import PATIENCE, program, wait_until
from harness.event_stream import EventStream
from harness.http_client import check_problem
from harness.tallyd import run

GUARDED = ("/metrics", "/metrics/prom", "/devices/a", "/top", "/summary", "/events", "/stats")
PAGES = ("/", "/docs", "/openapi.json")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text("")
    path.chmod(0o600)
    return path


@pytest.fixture
def start(redis, start_tallyd, file):
    """Starts a tallyd with the token file."""
    return lambda **options: start_tallyd(redis.port, token_file=file, **options)


def send(tallyd, token, devices):
    """One stream with a token; None: without one. Returns what its Ack says."""
    metadata = list(tokens.bearer(token).items()) if token else None
    return grpc_client.send(tallyd.target, devices, metadata=metadata)


def refusal(tallyd, token, devices):
    """The status of a stream that is refused."""
    with pytest.raises(grpc.RpcError) as error:
        send(tallyd, token, devices)
    return error.value.code()


def get(tallyd, path, token=None, **kwargs):
    return tallyd.get(path, headers=tokens.bearer(token) if token else {}, **kwargs)


def status(tallyd, path, token=None, **kwargs):
    return get(tallyd, path, token, **kwargs)[0]


def reload(tallyd):
    """SIGHUP, and the wait for its end."""
    before = len(tallyd.log())
    tallyd.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "read again" in tallyd.log()[before:], "the reload")


# ---- Over HTTP


def test_without_a_token_file_everybody_may(tallyd):
    for path in ("/metrics", "/stats", "/metrics/prom"):
        assert status(tallyd, path) == 200
        assert status(tallyd, path, "tally_" + 43 * "x") == 200
    answer = tallyd.get("/-/reload", method="POST")
    assert answer[0] == 405 and b"--token-file" in answer[2] and b"SIGHUP" in answer[2]
    assert status(tallyd, "/-/reload") == 404


def test_reading_needs_a_token_with_the_right_to_read(start, file):
    reader, sender = tokens.add(file, "reader", "read"), tokens.add(file, "sender", "ingest")
    admin = tokens.add(file, "admin", "admin")
    tallyd = start()
    for path in GUARDED:
        answer = get(tallyd, path)
        check_problem(answer, 401, detail="a token is needed")
        assert answer[1]["WWW-Authenticate"] == 'Bearer realm="tallyd"'
        answer = get(tallyd, path, reader[:-1] + ("A" if reader[-1] != "A" else "B"))
        check_problem(answer, 401, detail="not known")
        assert 'error="invalid_token"' in answer[1]["WWW-Authenticate"]
        answer = get(tallyd, path, sender)
        check_problem(answer, 403, detail='lacks the right "read"')
        assert 'error="insufficient_scope", scope="read"' in answer[1]["WWW-Authenticate"]
    for path in GUARDED:
        if path not in ("/devices/a", "/events"):
            assert status(tallyd, path, reader) == status(tallyd, path, admin) == 200
            assert status(tallyd, path, method="HEAD") == 401
    assert status(tallyd, "/devices/a", reader) == 404
    for path in PAGES + ("/healthz", "/readyz"):
        assert status(tallyd, path) == 200
    assert status(tallyd, "/nowhere") == 404


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer  x", "Bearer " + "x" * 4000, "{}",
              "Bearer {} {}", "Bearer x{}", "Bearer {}=", "Token {}"])
def test_what_is_no_bearer_token_is_refused(start, file, value):
    token = tokens.add(file, "reader", "read")
    tallyd = start()
    answer = tallyd.get("/stats", headers={"Authorization": value.format(token, token)})
    check_problem(answer, 401)
    assert token not in tallyd.log()


@pytest.mark.parametrize("first, second", [("good", "good"), ("good", "bad"), ("bad", "good")])
def test_two_authorizations_are_refused(start, file, first, second):
    values = {"good": tokens.bearer(tokens.add(file, "reader", "read"))["authorization"], "bad": "x"}
    connection = start().connect_http()
    connection.putrequest("GET", "/stats")
    for value in (first, second):
        connection.putheader("Authorization", values[value])
    connection.endheaders()
    answer = connection.getresponse()
    assert "invalid_request" in answer.headers["WWW-Authenticate"]
    check_problem((answer.status, answer.headers, answer.read()), 400)
    connection.close()


def test_the_public_paths_are_what_the_option_says(start, file):
    tallyd = start(http_public="/metrics/prom,/devices/*,/readyz", ready=False)
    wait_until(lambda: status(tallyd, "/readyz") == 200, "tallyd to be ready")
    for path, want in (("/metrics/prom", 200), ("/devices/x", 404), ("/metrics", 401),
                       ("/healthz", 401), ("/readyz", 200), ("/stats", 401), ("/", 200)):
        assert status(tallyd, path) == want, path
    assert run("--healthcheck", "--http-port", tallyd.http_port).returncode == 0
    tallyd = start(http_public="/*")
    assert status(tallyd, "/stats") == 200
    assert status(tallyd, "/-/reload", method="POST") == 401


def test_a_public_path_that_is_none_is_refused():
    for value in ("/metric", "/metrics,/nowhere", "*", "/-/reload"):
        done = run("--check-config", "--http-public", value)
        assert done.returncode == 2 and "--http-public" in done.stderr
    assert run("--check-config", "--http-public", "").returncode == 0


def test_check_config_reads_the_file(file):
    assert run("--check-config", "--token-file", file).returncode == 0
    file.write_text("\nnorth write\n")
    done = run("--check-config", "--token-file", file)
    assert done.returncode == 2
    assert f"token file {file}, line 2: " in done.stderr
    done = run("--token-file", file)
    assert done.returncode == 2 and "line 2" in done.stderr


def test_a_file_that_is_missing_or_limits_a_reader_is_an_option_that_is_wrong(file, tmp_path):
    """systemd tries no more after exit status 2, and would each second after 1."""
    for option in ("--token-file", "--tls-cert"):
        key = ["--tls-key", tmp_path / "none"] if option == "--tls-cert" else []
        for check in ([], ["--check-config"]):
            done = run(option, tmp_path / "none", *key, *check)
            assert done.returncode == 2, done
            assert str(tmp_path / "none") in done.stderr and done.stderr.count("\n") == 1
    file.write_text(f"nosy read sha256={'0' * 64} prefix=kitchen/\n")
    done = run("--token-file", file)
    assert done.returncode == 2 and "line 1: prefix= and max-devices= limit" in done.stderr


def test_a_file_that_others_may_write_to_is_warned_of(start, file):
    file.chmod(0o666)
    assert "others may write" in start().log()
    file.chmod(0o644)
    assert "everybody may read" in start().log()
    file.chmod(0o640)
    assert "token file" not in start().log()


def test_refused_requests_are_counted(start, file):
    reader, sender = tokens.add(file, "reader", "read"), tokens.add(file, "sender", "ingest")
    tallyd = start()
    for _ in range(3):
        status(tallyd, "/stats")
    status(tallyd, "/stats", sender)
    wait_until(lambda: all(line in get(tallyd, "/metrics/prom", reader)[2].decode() for line in (
        'tallyd_http_responses_total{code="401"} 3\n',
        'tallyd_http_responses_total{code="403"} 1\n')), "the refused requests to be counted")


# ---- Reloads


def test_a_reload_takes_new_tokens_and_ends_revoked_ones(start, file):
    reader = tokens.add(file, "reader", "read")
    tallyd = start()
    second = tokens.add(file, "second", "read")
    assert status(tallyd, "/stats", second) == 401
    reload(tallyd)
    assert status(tallyd, "/stats", second) == 200
    tokens.revoke(file, "reader")
    assert status(tallyd, "/stats", reader) == 200
    reload(tallyd)
    assert status(tallyd, "/stats", reader) == 401
    assert status(tallyd, "/stats", second) == 200


def test_a_reload_of_a_wrong_file_changes_nothing(start, file):
    reader = tokens.add(file, "reader", "read")
    tallyd = start()
    file.write_text("north write\n")
    reload(tallyd)
    assert "line 1: after the name come rights" in tallyd.log()
    assert status(tallyd, "/stats", reader) == 200
    file.unlink()
    reload(tallyd)
    assert status(tallyd, "/stats", reader) == 200


def test_events_end_when_their_token_is_revoked(start, file, closing):
    reader, kept = tokens.add(file, "reader", "read"), tokens.add(file, "kept", "read")
    tallyd = start()
    ends, goes_on = (closing(EventStream(tallyd, token=each)) for each in (reader, kept))
    assert ends.next("summary") and goes_on.next("summary")
    tokens.revoke(file, "reader")
    reload(tallyd)
    while ends.next():
        pass
    assert goes_on.next("summary")


def test_an_administrator_can_reload_over_http(start, file):
    admin, reader = tokens.add(file, "admin", "admin"), tokens.add(file, "reader", "read")
    tallyd = start()
    post = {"method": "POST"}
    check_problem(get(tallyd, "/-/reload", **post), 401)
    check_problem(get(tallyd, "/-/reload", reader, **post), 403, detail='"admin"')
    answer = get(tallyd, "/-/reload", admin)
    check_problem(answer, 405)
    assert answer[1]["Allow"] == "POST"
    tokens.revoke(file, "reader")
    assert status(tallyd, "/-/reload", admin, **post) == 202
    wait_until(lambda: status(tallyd, "/stats", reader) == 401, "the reload")
    assert "admin asks by HTTP for a reload" in tallyd.log()


def test_no_reload_over_http_while_draining(start, file):
    """It would be passed over, as SIGHUP is, and who asks must not think otherwise."""
    admin = tokens.add(file, "admin", "admin")
    tallyd = start()
    with grpc_client.draining(tallyd, "a", list(tokens.bearer(admin).items())):
        answer = get(tallyd, "/-/reload", admin, method="POST")
        check_problem(answer, 503, detail="tallyd is stopping")


# ---- Over gRPC


def test_sending_needs_a_token_with_the_right_to_send(start, file):
    reader, sender = tokens.add(file, "reader", "read"), tokens.add(file, "sender", "ingest")
    admin = tokens.add(file, "admin", "admin")
    tallyd = start()
    assert refusal(tallyd, None, ["a"]) == grpc.StatusCode.UNAUTHENTICATED
    assert refusal(tallyd, "tally_" + 43 * "x", ["a"]) == grpc.StatusCode.UNAUTHENTICATED
    assert refusal(tallyd, reader, ["a"]) == grpc.StatusCode.PERMISSION_DENIED
    assert send(tallyd, sender, ["a"] * 3) == 3
    assert send(tallyd, admin, ["a"] * 2) == 2
    assert get(tallyd, "/devices/a", reader)[2] == b'{"device_id":"a","count":5}\n'
    assert sender not in tallyd.log() and reader not in tallyd.log()


def test_a_prefix_keeps_other_devices_out(start, file, redis):
    sender = tokens.add(file, "north", "ingest", prefix="north/ä")
    tallyd = start()
    assert send(tallyd, sender, ["north/ä1", "north/ä"]) == 2
    for device in ("north/", "north/a1", "south", "North/ä1"):
        assert refusal(tallyd, sender, ["north/ä1", device]) == grpc.StatusCode.PERMISSION_DENIED
    assert redis.totals() == {"north/ä1": 5, "north/ä": 1}


def test_an_allowance_bounds_devices_and_loses_no_packet(start, file, redis):
    small = tokens.add(file, "small", "ingest", max_devices=3)
    free = tokens.add(file, "free", "ingest", "read")
    tallyd = start(workers=1)
    assert send(tallyd, small, [f"s{i}" for i in range(10)] * 2) == 20
    assert send(tallyd, free, [f"f{i}" for i in range(10)]) == 10
    totals = redis.totals()
    assert totals.pop("__overflow__") == 14
    assert totals == {f"s{i}": 2 for i in range(3)} | {f"f{i}": 1 for i in range(10)}
    # It outlives a reload, by name.
    tokens.revoke(file, "small")
    small = tokens.add(file, "small", "ingest", max_devices=4)
    reload(tallyd)
    assert send(tallyd, small, ["s0", "s8", "s9"]) == 3
    totals = redis.totals()
    assert (totals["s0"], totals["s8"], totals["__overflow__"]) == (3, 1, 15)
    wait_until(lambda: 'tallyd_token_devices{name="small"} 4\n' in get(
        tallyd, "/metrics/prom", free)[2].decode(), "the gauge of devices")


def test_an_allowance_is_taken_once_a_device_by_whichever_worker(start, file, redis, closing):
    small = tokens.add(file, "small", "ingest", max_devices=5)
    free = tokens.add(file, "free", "read")
    tallyd = start(workers=4)
    devices = [f"s{i}" for i in range(5)]
    streams = []  # all open, so that each is another worker's
    for n in range(1, 5):
        streams.append(closing(grpc_client.OpenStream(
            tallyd.target, metadata=list(tokens.bearer(small).items()))))
        streams[-1].send([*devices, "one-too-many"])
        wait_until(lambda n=n: redis.totals().get("s4") == n, "them to be counted")
    for stream in streams:
        stream.end()
        assert stream.received() == 6
    assert redis.totals() == dict.fromkeys(devices, 4) | {"__overflow__": 4}
    assert 'tallyd_token_devices{name="small"} 5\n' in get(
        tallyd, "/metrics/prom", free)[2].decode()


def test_a_stream_ends_when_its_token_is_revoked(start, file, closing, redis):
    sender = tokens.add(file, "sender", "ingest")
    tallyd = start()
    stream = closing(grpc_client.OpenStream(tallyd.target, metadata=list(
        tokens.bearer(sender).items())))
    stream.send(["a"] * 3)
    wait_until(lambda: redis.totals() == {"a": 3}, "its packets to be counted")
    tokens.revoke(file, "sender")
    reload(tallyd)
    assert stream.error().code() == grpc.StatusCode.UNAUTHENTICATED
    assert redis.totals() == {"a": 3}


def test_tally_send_shows_its_token(start, file, tmp_path, redis):
    sender = tmp_path / "sender"
    sender.write_text(tokens.add(file, "sender", "ingest") + "\n")
    sender.chmod(0o600)
    tallyd = start()
    command = [program("tally-send"), "--target", tallyd.target, "--n", "100", "--devices", "3"]
    for arguments, want in (([], False), (["--token-file", sender], True)):
        done = subprocess.run(command + arguments, capture_output=True, text=True, check=False,
                              timeout=60 * PATIENCE)
        assert (done.returncode == 0) == want, done.stderr
    assert sum(redis.totals().values()) == 100
