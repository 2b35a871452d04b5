"""Certificates for a test: an authority of its own, and what it signs. Made by the openssl program."""
import subprocess
from typing import NamedTuple

_CA_EXTENSIONS = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]


class Certificate(NamedTuple):
    cert: str  # paths of PEM files
    key: str


class Authority:
    """A CA in `directory`, which must exist. `path` is its certificate."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = directory, name
        self._files = self._make(name, f"/CN={name} of the tests", _CA_EXTENSIONS, [])
        self.path = self._files.cert

    def _make(self, name, subject, extensions, signer):
        made = Certificate(*(str(self.directory / f"{name}.{kind}") for kind in ("crt", "key")))
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        command += ["-noenc", "-days", "2", "-subj", subject, "-out", made.cert, "-keyout", made.key]
        for extension in extensions:
            command += ["-addext", extension]
        subprocess.run(command + signer, check=True, capture_output=True, timeout=30)
        return made

    def sign(self, file, *names):
        """A certificate in files called `file`, for `names`: "DNS:redis.test", "IP:127.0.0.1"."""
        extensions = ["basicConstraints=critical,CA:FALSE"]
        if names:
            extensions.append("subjectAltName=" + ",".join(names))
        signer = ["-CA", self._files.cert, "-CAkey", self._files.key]
        return self._make(file, f"/CN={file}", extensions, signer)
