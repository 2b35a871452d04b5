"""Tokens, made by "tallyd token" as a user makes them."""
import re

from .tallyd import run

FORM = re.compile(r"tally_[A-Za-z0-9_-]{43}")


def command(action, *arguments, file, **kwargs):
    """tallyd token ACTION; returns the completed process."""
    return run("token", action, *arguments, "--token-file", file, **kwargs)


def add(file, name, *rights, **options):
    """Adds a token: add(path, "north", "ingest", prefix="n/", max_devices=5). Returns it."""
    arguments = [f"--{right}" for right in rights]
    for option, value in options.items():
        arguments += ["--" + option.replace("_", "-"), str(value)]
    done = command("add", name, *arguments, file=file)
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert FORM.fullmatch(token), "standard output holds the token and nothing else"
    return token


def revoke(file, name):
    done = command("revoke", name, file=file)
    assert done.returncode == 0, done.stderr


def bearer(token):
    """The headers of an HTTP request, or the metadata of a call as a dict."""
    return {"authorization": f"Bearer {token}"}
