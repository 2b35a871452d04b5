"""Certificates for a test: an authority of its own, and what it signs. Made by the openssl program."""
import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

from .env import WAIT_S

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
        subprocess.run(command + signer, check=True, capture_output=True, timeout=WAIT_S)
        return made

    def sign(self, file, *names):
        """A certificate in files called `file`, for `names`: "DNS:redis.test", "IP:127.0.0.1"."""
        extensions = ["basicConstraints=critical,CA:FALSE"]
        if names:
            extensions.append("subjectAltName=" + ",".join(names))
        signer = ["-CA", self._files.cert, "-CAkey", self._files.key]
        return self._make(file, f"/CN={file}", extensions, signer)

    def issue(self, file):
        """The same for localhost, as paths."""
        made = self.sign(file, "DNS:localhost", "IP:127.0.0.1")
        return Path(made.cert), Path(made.key)

    def issue_expired(self, file):
        """By way of a request, since openssl makes nothing else that is over already."""
        cert, key = self.issue(file)
        request = cert.with_suffix(".csr")
        ask = ["openssl", "req", "-new", "-key", str(key), "-subj", f"/CN={file}"]
        sign = ["openssl", "x509", "-req", "-in", str(request), "-out", str(cert)]
        sign += ["-CA", self._files.cert, "-CAkey", self._files.key, "-CAcreateserial"]
        subprocess.run(ask + ["-out", str(request)], check=True, capture_output=True, timeout=WAIT_S)
        was_valid = ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
        if subprocess.run(sign + was_valid, capture_output=True, timeout=WAIT_S).returncode:
            # OpenSSL before 3.4 has no such options, and later ones no days below 0.
            subprocess.run(sign + ["-days", "-1"], check=True, capture_output=True, timeout=WAIT_S)
        return cert, key

    def context(self, pair=None, protocols=()):
        """What a Python client needs that trusts this authority, and shows `pair`."""
        context = ssl.create_default_context(cafile=self.path)
        if pair:
            context.load_cert_chain(*pair)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def tls_options(authority, pair, client_ca=None):
    """The options of a tallyd that shows `pair`; its harness asks it over TLS."""
    options = {"tls_cert": pair[0], "tls_key": pair[1], "trust": authority.context()}
    return options | ({"tls_client_ca": client_ca.path} if client_ca else {})
