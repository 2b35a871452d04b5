"""A listener of /events: reads server-sent events as the HTML standard says, as far as tallyd uses
them, and keeps the tables that `top` events tell of."""
import json
import socket
from http.client import HTTPResponse

from .env import PATIENCE, WAIT_S


class EventStream:
    """Connected at once; `status` and `headers` are the answer's. A `receive_bytes` bounds the
    socket's buffer, so that a listener who does not read is soon noticed. `http` is the version
    of HTTP that it speaks."""

    def __init__(self, tallyd, path="/events", timeout=WAIT_S, receive_bytes=None, http="1.1",
                 token=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(timeout * PATIENCE)
        self.socket.connect(("127.0.0.1", tallyd.http_port))
        self.socket.sendall(
            f"GET {path} HTTP/{http}\r\nHost: tallyd\r\nAccept: text/event-stream\r\n"
            f"{f'Authorization: Bearer {token}' if token else 'X-Token: none'}\r\n\r\n".encode()
        )
        self.response = HTTPResponse(self.socket, method="GET")
        self.response.begin()
        self.status, self.headers = self.response.status, self.response.headers
        self.retry_ms = None
        self.tables = {"by_count": [], "by_rate": []}
        self.full = 0  # top events that were whole

    def _field(self):
        """The next line as (name, value); ("", "") ends an event. None at the end."""
        line = self.response.readline()
        if not line.endswith(b"\n"):
            return None  # a line that the end has cut is no line
        name, _, value = line.decode().rstrip("\n").partition(":")
        return name, value.removeprefix(" ")

    def next(self, kind=None):
        """The next event, or the next one of a kind, as (event, its data); None at the end."""
        event, data = None, []
        while (field := self._field()) is not None:
            name, value = field
            if name == "event":
                event = value
            elif name == "data":
                data.append(value)
            elif name == "retry":
                self.retry_ms = int(value)
            elif name == "" and data:
                parsed = json.loads("\n".join(data))
                if event == "top":
                    self._replay(parsed)
                if kind in (None, event):
                    return event, parsed
                event, data = None, []
        return None

    def data(self, kind):
        """What the next event of a kind tells."""
        event = self.next(kind)
        assert event is not None, f"the stream ended before an event {kind}"
        return event[1]

    def until(self, kind, condition, what, events=30):
        """The first event of a kind for which `condition` is true."""
        for _ in range(events):
            data = self.data(kind)
            if condition(data):
                return data
        raise AssertionError(f"no {kind} event told of {what}; the last one: {data}")

    def _replay(self, top):
        """Applies a top event to the tables, as a page does it."""
        self.full += top["full"]
        for order, rows in self.tables.items():
            length = top[f"{order}_length"]
            rows[length:] = []
            rows += [None] * (length - len(rows))
            for row in top[order]:
                rows[row["rank"] - 1] = row
            assert None not in rows, f"{order}: a row is missing"
            if top["full"]:
                assert len(top[order]) == length

    def rest(self):
        """Everything up to the end, which must come."""
        return self.response.read()

    def close(self):
        self.response.close()
        self.socket.close()
