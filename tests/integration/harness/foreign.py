"""gRPC clients of three makers, played from one script: what they do on the wire is theirs.

    stack = Stack("grpc-js")                           # skips the test where it cannot be had
    results = stack.play([tallyd.target], [call(messages=[packet("d")], repeat=100)])
    assert results[0].received == 100

Each is a program in clients/ that reads a JSON object (targets, keepalive_ms, ca, calls) and writes
a list of results. What they need beyond Debian's packages comes from npm and the Go module proxy,
pinned by hashes, into the build directory.
"""
import base64
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from .env import BUILD, PATIENCE, ROOT, WAIT_S, have
from .wire import PATH

CLIENTS = ROOT / "tests/integration/clients"
STACKS = ["grpcio", "grpc-js", "grpc-go"]

OK, CANCELLED, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 3, 4, 5
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED = 8, 12, 13, 14, 16


def call(path=PATH, messages=(), **changed):
    """A call: `messages` as bytes, sent `repeat` times; then the client waits `hold_ms`, and ends
    its side. All of it is done `times` times, with `pause_ms` between."""
    return {
        "path": path,
        "messages": [base64.b64encode(message).decode() for message in messages],
        "repeat": 1,
        "deadline_ms": 60_000 * PATIENCE,
        "cancel_ms": 0,
        "hold_ms": 0,
        "gzip": False,
        "metadata": {},
        "times": 1,
        "pause_ms": 0,
    } | changed


@dataclasses.dataclass
class Result:
    code: int
    message: str
    responses: list
    trailers: dict

    @property
    def received(self):
        """What the Ack says; None when there is none."""
        if self.code != OK or len(self.responses) != 1:
            return None
        if self.responses[0] == b"":
            return 0
        assert self.responses[0][0] == 0x08
        value = 0
        for octet in reversed(self.responses[0][1:]):
            value = value << 7 | octet & 0x7F
        return value


def _directory(name):
    """A directory in the build for what the client's files are now."""
    files = sorted(path for path in (CLIENTS / name).iterdir() if path.is_file())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    return BUILD / "clients" / f"{name}-{digest}"


def _run(command, directory, **environment):
    """Returns the last line of what went wrong, or None when all is well."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300 * PATIENCE,
        check=False,
    )
    return None if done.returncode == 0 else (done.stderr.strip() or "failed").splitlines()[-1]


def _python():
    return ["/usr/bin/python3", "-B", str(CLIENTS / "grpc_python.py")]


def _node():
    for tool in ("node", "npm"):
        if not have(tool):
            pytest.skip(f"{tool} is not installed")
    directory = _directory("grpc-js")
    if not (directory / "ready").exists():
        shutil.copytree(CLIENTS / "grpc-js", directory, dirs_exist_ok=True)
        wrong = _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
                     + ["--prefer-offline"], directory)
        if wrong:
            pytest.skip(f"npm cannot fetch grpc-js: {wrong}")
        (directory / "ready").touch()
    return ["node", str(directory / "client.js")]


def _go():
    """From the modules that go.mod pins, or from Debian's packages."""
    if not have("go"):
        pytest.skip("go is not installed")
    directory = _directory("grpc-go")
    program = directory / "client"
    if not program.exists():
        source = directory / "src/client"  # under a GOPATH; a module otherwise
        shutil.copytree(CLIENTS / "grpc-go", source, dirs_exist_ok=True)
        build = ["go", "build", "-buildvcs=false", "-o", str(program), "."]
        wrong = _run(build, source)
        if wrong and _run(build, source, GO111MODULE="off", GOFLAGS="",
                          GOPATH=f"{directory}:/usr/share/gocode"):
            pytest.skip(f"grpc-go cannot be built: {wrong}")
    return [str(program)]


class Stack:
    """One of STACKS, ready to be used."""

    def __init__(self, name):
        self.name = name
        self.command = {"grpcio": _python, "grpc-js": _node, "grpc-go": _go}[name]()

    def start(self, targets, calls, keepalive_ms=0, ca=None):
        """Begins all the calls at once, on one channel; they are spread over the targets."""
        script = {"targets": targets, "keepalive_ms": keepalive_ms, "ca": ca, "calls": calls}
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"no_proxy": "*"},
        )
        process.stdin.write(json.dumps(script))
        process.stdin.close()
        process.stdin = None  # communicate() would flush it
        return process

    @staticmethod
    def finish(process, timeout=3 * WAIT_S):
        """The results, in the order of the calls."""
        try:
            output, errors = process.communicate(timeout=timeout * PATIENCE)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        return [
            Result(r["code"], r["message"], [base64.b64decode(m) for m in r["responses"]],
                   r["trailers"])
            for r in json.loads(output)
        ]

    def play(self, targets, calls, **options):
        return self.finish(self.start(targets, calls, **options))
