"""A real redis-server that a test starts, kills, freezes and starts again.

Unless a test brings users of its own, tallyd logs in there as the user that deploy/redis/users.acl
describes: all that it does, it does with those rights. Tests themselves are the default user, who
may do everything.
"""
import hashlib
import signal
import subprocess

import redis as redis_py

from .env import ROOT, free_port, wait_until

KEY = "device_metrics"
USERS = ROOT / "deploy/redis/users.acl"
USERNAME, PASSWORD = "tallyd", "a-password-of-the-tests"


def shipped_user():
    """The line of the shipped ACL file that is tallyd's, as a list of words, with PASSWORD."""
    (line,) = (line for line in USERS.read_text().splitlines() if line.startswith("user tallyd "))
    secret = hashlib.sha256(PASSWORD.encode()).hexdigest()
    return line.replace("TALLYD_PASSWORD_SHA256", secret).split()


class Redis:
    """One redis-server with its data in `directory`; it survives kill() and start() like a real
    machine's does, through the append-only file when one was asked for."""

    def __init__(self, directory, appendfsync=None, username=None, password=None, options=()):
        self.directory = directory
        self.port = free_port()
        self.login = {"username": username, "password": password}
        self.options = list(options)
        if "--user" not in self.options and "--aclfile" not in self.options:
            self.options += ["--user", *shipped_user()[1:]]
        self.process = None
        if appendfsync:
            self.options += ["--appendonly", "yes", "--appendfsync", appendfsync]
            self.options += ["--aof-load-truncated", "no"]  # see _repair()
        self.client = redis_py.Redis(
            host="127.0.0.1",
            port=self.port,
            decode_responses=True,
            encoding_errors="surrogateescape",
            **self.login,
        )

    @property
    def append_only_directory(self):
        return self.directory / "appendonlydir"

    def _repair(self):
        """Drops a transaction that a kill has torn, as an administrator must.

        Left to itself (aof-load-truncated yes) Redis 7 drops only the last, half-written command
        of a torn transaction. Its MULTI and the commands before stay in the file, and the next
        load but one executes them with the transaction that follows: those counts double.
        redis-check-aof drops the whole transaction.
        """
        manifest = self.append_only_directory / "appendonly.aof.manifest"
        if manifest.exists():
            subprocess.run(
                ["redis-check-aof", "--fix", str(manifest)],
                input=b"y\n",
                stdout=subprocess.DEVNULL,
                check=True,
            )

    def start(self):
        self.directory.mkdir(exist_ok=True)
        self._repair()
        with open(self.directory / "redis.log", "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""]
                + ["--dir", str(self.directory), *self.options],
                stdout=log,
                stderr=log,
            )
        wait_until(self._answers, "redis-server to answer")
        return self

    def _answers(self):
        if self.process.poll() is not None:
            raise AssertionError((self.directory / "redis.log").read_text())
        try:
            return self.client.ping()
        except redis_py.exceptions.ConnectionError:  # a server that still loads its file as well
            return False

    def kill(self):
        """SIGKILL: nothing is saved that was not saved already."""
        self.process.kill()
        self.process.wait()
        self.client.connection_pool.disconnect()

    def pause(self):
        """SIGSTOP: connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.resume()
            self.kill()

    def totals(self):
        """The counts as a dict: device to count."""
        return {device: int(count) for device, count in self.client.hgetall(KEY).items()}
