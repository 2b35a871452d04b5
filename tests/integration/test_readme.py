"""The commands that README.md prints do what it says: each is run here, or is one of those that the
tests of a bare machine and of the container run."""
import json
import re
import ssl
import subprocess

import pytest
from harness import grpc_client
from harness.env import BUILD, ROOT, have

README = (ROOT / "README.md").read_text()
RUN_ELSEWHERE = {
    "./scripts/run.sh --demo",  # tests/bare
    "./scripts/test.sh",  # tests/bare
    "./scripts/bench.sh --quick",  # tests/bench/test_bench.py, with smaller loads
    "./scripts/perf.sh",  # tests/bench/test_perf.py, for a second
    "docker compose up -d",  # tests/container
    "docker compose --profile monitoring up -d",  # tests/container, without Grafana
}


def blocks(language):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def commands():
    lines = {line for block in blocks("sh") for line in block.splitlines() if line}
    assert lines >= RUN_ELSEWHERE
    return sorted(lines - RUN_ELSEWHERE)


def aimed_at(tallyd, redis, command):
    """The command, with the ports of this test in place of the default ones."""
    command = command.replace("127.0.0.1:8000", f"127.0.0.1:{tallyd.http_port}")
    command = command.replace("redis-cli", f"redis-cli -p {redis.port}")
    return command.replace("send_once.sh", f"send_once.sh --target {tallyd.target}")


@pytest.mark.parametrize("command", commands())
def test_a_printed_command_works(redis, tallyd, start_sender, command):
    assert start_sender(tallyd.target, n=1000, devices=10).wait() == 0
    done = subprocess.run(
        aimed_at(tallyd, redis, command),
        shell=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert any(word in done.stdout for word in ("device-7", "acknowledged", "tallyd_devices"))


def test_the_printed_repair_of_a_refused_count_works(redis, tallyd):
    redis.client.hset("device_metrics", "device-1", "abc")
    assert grpc_client.send(tallyd.target, ["device-1"] * 3) == 3
    assert redis.client.hgetall("device_metrics") == {"device-1": "abc"}
    (repair,) = (block for block in blocks("") if "quarantine" in block)
    for command in repair.splitlines():
        subprocess.run(aimed_at(tallyd, redis, command), shell=True, check=True, timeout=60)
    assert redis.totals() == {"device-1": 3}
    assert not redis.client.exists("device_metrics:quarantine")


def shell_commands(block):
    """The commands of a block, whole where they go over several lines."""
    return block.replace("\\\n", " ").splitlines()


def run_as_printed(line, tallyd, redis, directory):
    """A command of a block that is tried in a directory of its own."""
    line = aimed_at(tallyd, redis, line) if tallyd else line
    line = line.replace("build/", f"{BUILD}/")
    if tallyd:
        line = line.replace("tally-send ", f"tally-send --target {tallyd.target} ")
        line = line.replace("$(pidof tallyd)", str(tallyd.process.pid))
    return subprocess.run(
        ["bash", "-c", "umask 077; " + line], cwd=directory, capture_output=True, text=True,
        timeout=120, check=False
    )


def test_the_printed_tokens_work(redis, start_tallyd, tmp_path):
    making, using = (block.splitlines() for block in blocks("bash") if " --token-file " in block)
    assert making[-1] == "./scripts/run.sh --token-file tokens"  # test_run_script.py runs that
    assert making[0] == using[0] == "umask 077"
    for line in making[:-1]:
        done = run_as_printed(line, None, redis, tmp_path)
        assert done.returncode == 0, done.stderr
    assert "kitchen/" in done.stdout and "graphs" in done.stdout
    tallyd = start_tallyd(redis.port, token_file=tmp_path / "tokens", http_refresh_ms=0)
    for line in using:
        done = run_as_printed(line, tallyd, redis, tmp_path)
        assert done.returncode == 0, done.stderr
        if line.startswith("curl"):
            assert "kitchen/" in done.stdout
    tallyd.wait_for_log("read again")
    assert run_as_printed(using[1], tallyd, redis, tmp_path).returncode != 0


def test_the_printed_tls_works(redis, start_tallyd, tmp_path):
    if not have("openssl"):
        pytest.skip("openssl is not installed")
    (*make, start), trying, mutual = (
        shell_commands(block) for block in blocks("bash") if "ca.pem" in block
    )
    assert start.startswith("./scripts/run.sh ")  # test_run_script.py runs that

    def run_aimed(tallyd, command):
        command = command.replace("build/", f"{BUILD}/").replace("50051", str(tallyd.grpc_port))
        command = command.replace("localhost:8000", f"localhost:{tallyd.http_port}")
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for command in make:
        subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)
    options = dict(re.findall(r"--(tls-\w+) (\S+)", start))
    assert options == {"tls-cert": "server.pem", "tls-key": "server.key"}
    files = {name.replace("-", "_"): tmp_path / file for name, file in options.items()}
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    tallyd = start_tallyd(redis.port, trust=trust, **files)
    send, read = (run_aimed(tallyd, command) for command in trying)
    assert "acknowledged  10000" in send
    assert json.loads(read)["total"] == 10000

    tallyd = start_tallyd(redis.port, trust=trust, tls_client_ca=tmp_path / "ca.pem", **files)
    for command in mutual:
        printed = run_aimed(tallyd, command)
    assert json.loads(printed)["total"] == 20000


def test_the_python_client_works(tallyd, tmp_path):
    (example,) = blocks("python")
    (make,) = (line for line in README.splitlines() if line.startswith("python3 -m grpc_tools"))
    program = tmp_path / "example.py"
    program.write_text(example.replace("127.0.0.1:50051", tallyd.target))
    make = make.replace("python3", "/usr/bin/python3").replace("_out=.", f"_out={tmp_path}")
    made = subprocess.run(
        make, shell=True, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if "No module named" in made.stderr:
        pytest.skip("python3-grpc-tools or its python3-pkg-resources is not installed")
    assert made.returncode == 0, made.stderr
    done = subprocess.run(
        ["/usr/bin/python3", str(program)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "1000\n", done.stderr
    assert tallyd.metrics() == {"kitchen": 1000}


def test_the_json_is_as_shown(tallyd, start_sender):
    assert start_sender(tallyd.target, n=100, devices=3).wait() == 0
    status, headers, body = tallyd.get("/metrics")
    assert status == 200 and headers["Content-Type"] == "application/json"
    rows = json.loads(body)
    assert [set(row) for row in rows] == [{"device_id", "count"}] * 3
    assert sum(row["count"] for row in rows) == 100
    assert [row["device_id"] for row in rows] == ["device-0", "device-1", "device-2"]
