"""tallyd token: what it writes, what it prints, what it refuses."""
import fcntl
import hashlib
import os
import stat
import subprocess
import threading

import pytest
from harness import tokens
from harness.env import program
from harness.tallyd import run


@pytest.fixture
def file(tmp_path):
    return tmp_path / "tokens"


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_add_prints_the_token_once_and_keeps_its_hash(file):
    done = tokens.command("add", "north", "--ingest", file=file)
    assert done.returncode == 0
    token = done.stdout.removesuffix("\n")
    assert tokens.FORM.fullmatch(token)
    assert token not in done.stderr and "SIGHUP" in done.stderr
    assert file.read_text().splitlines()[-1] == f"north ingest sha256={sha256(token)}"
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["tokens"]  # and nothing beside it


def test_add_writes_all_that_it_is_told(file):
    a = tokens.add(file, "a", "ingest", prefix="nörd /%", max_devices=12)
    b = tokens.add(file, "b", "read", "admin")
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert lines == [
        f"a ingest sha256={sha256(a)} prefix=n%C3%B6rd%20/%25 max-devices=12",
        f"b read,admin sha256={sha256(b)}",
    ]


def test_list_shows_everything_but_hashes(file):
    a = tokens.add(file, "a", "ingest", "read", prefix="p", max_devices=12)
    tokens.add(file, "b", "admin")
    done = tokens.command("list", file=file)
    assert (done.returncode, done.stderr) == (0, "")
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["NAME", "RIGHTS", "MAX-DEVICES", "SHA256", "PREFIX"]
    assert first.split() == ["a", "ingest,read", "12", sha256(a)[:8], "p"]
    assert second.split()[:3] == ["b", "admin", "-"]


def test_revoke_takes_the_line_and_leaves_the_rest_as_it_was(file):
    text = "# one\n\n  a\tread sha256=" + "1" * 64 + "\r\n# two\nb read sha256=" + "2" * 64
    file.write_text(text)
    tokens.revoke(file, "a")
    assert file.read_text() == "# one\n\n# two\nb read sha256=" + "2" * 64
    tokens.add(file, "c", "read")
    assert len(file.read_text().splitlines()) == 5
    tokens.revoke(file, "b")
    tokens.revoke(file, "c")
    assert file.read_text() == "# one\n\n# two\n"


def test_a_name_is_there_once(file):
    tokens.add(file, "a", "read")
    before = file.read_text()
    done = tokens.command("add", "a", "--ingest", file=file)
    assert (done.returncode, done.stdout) == (1, "")
    assert "a has a token already" in done.stderr
    assert file.read_text() == before


def test_an_unknown_name_is_an_error(file):
    file.write_text("")
    done = tokens.command("revoke", "nobody", file=file)
    assert done.returncode == 1 and '"nobody"' in done.stderr
    assert tokens.command("revoke", "a", file=file.parent / "none").returncode == 1
    assert tokens.command("list", file=file.parent / "none").returncode == 1
    assert os.listdir(file.parent) == ["tokens"]


def test_a_wrong_file_is_left_alone(file):
    file.write_text("a read\n")
    for action in (["add", "b", "--read"], ["revoke", "a"], ["list"]):
        done = tokens.command(*action, file=file)
        assert (done.returncode, done.stdout) == (1, "")
        assert "line 1: sha256= is missing" in done.stderr
    assert file.read_text() == "a read\n"


@pytest.mark.parametrize(
    "arguments, word",
    [
        ([], "add, list or revoke"),
        (["remove", "a"], "add, list or revoke"),
        (["add"], "one name"),
        (["add", "--read"], "one name"),
        (["add", "a", "b", "--read"], "one name"),
        (["add", "a"], "--ingest, --read or --admin"),
        (["add", "a b", "--read"], "a name has"),
        (["add", "tally_x", "--read"], "a name has"),
        (["add", "a", "--ingest", "--max-devices", "0"], "--max-devices"),
        (["add", "a", "--ingest", "--prefix", "x" * 257], "--prefix"),
        (["add", "a", "--read", "--prefix", "kitchen/"], "--read is for every device"),
        (["add", "a", "--read", "--max-devices", "3"], "--read is for every device"),
        (["add", "a", "--write"], "--write"),
        (["list", "a"], "no name"),
        (["list", "--read"], "--token-file"),
        (["revoke", "a", "--prefix", "x"], "--token-file"),
    ],
)
def test_wrong_arguments_are_refused(file, arguments, word):
    done = run("token", *arguments, "--token-file", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr and len(done.stderr.splitlines()) == 1
    assert not file.exists()


def test_the_file_may_come_from_the_environment_and_must_come_from_somewhere(file):
    assert run("token", "add", "a", "--read", environment={"TOKEN_FILE": str(file)}).returncode == 0
    assert file.exists()
    done = run("token", "list")
    assert done.returncode == 2 and "--token-file" in done.stderr


def test_help_needs_no_file():
    for arguments in (["--help"], ["add", "--help"], ["-h"]):
        done = run("token", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "tallyd token revoke NAME" in done.stdout


def test_a_token_that_cannot_be_shown_is_said_to_be_lost(file):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(
            [program("tallyd"), "token", "add", "a", "--read", "--token-file", file],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1 and "revoke it" in done.stderr


def test_mode_and_owner_stay_and_a_link_stays_a_link(file, tmp_path):
    tokens.add(file, "a", "read")
    file.chmod(0o640)
    if os.getuid() == 0:
        os.chown(file, 1234, 2345)
    link = tmp_path / "link"
    link.symlink_to(file)
    tokens.add(link, "b", "read")
    assert link.is_symlink() and " read " in file.read_text().splitlines()[-1]
    status = file.stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    if os.getuid() == 0:
        assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_many_at_once_lose_nothing(file):
    names = [f"n{i}" for i in range(12)]
    threads = [threading.Thread(target=tokens.add, args=(file, name, "read")) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    listed = tokens.command("list", file=file).stdout.splitlines()[1:]
    assert sorted(line.split()[0] for line in listed) == sorted(names)


def test_a_change_waits_for_another_one(file):
    tokens.add(file, "a", "read")
    directory = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    adding = threading.Thread(target=tokens.add, args=(file, "b", "read"))
    adding.start()
    adding.join(0.5)
    assert adding.is_alive()
    assert len(tokens.command("list", file=file).stdout.splitlines()) == 2  # reading does not wait
    os.close(directory)
    adding.join()
    assert len(tokens.command("list", file=file).stdout.splitlines()) == 3
