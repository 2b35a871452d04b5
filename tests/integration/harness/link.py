"""Bytes to a port of tallyd's and back, below any protocol."""
import socket
import ssl
import time

from .env import PATIENCE, WAIT_S


def say(port, octets, silence=None):
    """Says it, and returns all that is answered until the other side closes; with `silence` also
    until nothing has come for so many seconds."""
    answer = b""
    timeout = (silence or WAIT_S) * PATIENCE
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        try:
            sock.sendall(octets)
            while part := sock.recv(65536):
                answer += part
        except ConnectionError:  # it may close on rubbish before all of it is read
            pass
        except TimeoutError:
            assert silence, f"it does not close; it said {answer[:500]}"
    return answer


class Link:
    """One connection; `tls` is a context for TLS. Not thread-safe. It reads only inside its own
    calls, and gives what comes to its subclass: _take(octets), with b"" at the end."""

    def __init__(self, port, tls=None, timeout=WAIT_S, receive_bytes=None):
        self.timeout = timeout * PATIENCE
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(self.timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _take(self, octets):
        raise NotImplementedError

    def _read(self, timeout):
        """Reads once. Returns False when nothing came in that time."""
        self.socket.settimeout(max(timeout, 0.001))
        try:
            octets = self.socket.recv(65536)
        except (TimeoutError, ssl.SSLWantReadError):
            return False
        except (ConnectionError, ssl.SSLError):
            octets = b""
        finally:
            self.socket.settimeout(self.timeout)
        self._take(octets)
        return True

    def _read_until(self, condition, what, timeout=None):
        """Reads until the condition is true; fails when it is not in time, and says `what()`."""
        deadline = time.monotonic() + (timeout * PATIENCE if timeout else self.timeout)
        while not condition():
            left = deadline - time.monotonic()
            assert left > 0, f"waited in vain for {what()}"
            self._read(left)
