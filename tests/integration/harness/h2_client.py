"""A hand-driven HTTP/2 client on python3-h2: it sends exactly what a test asks for, right or
wrong, and shows exactly what came back."""
import dataclasses
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

from .env import WAIT_S
from .link import Link
from .wire import request_headers


@dataclasses.dataclass
class Reply:
    """All that came back on one stream. gRPC's status stands in the trailers, or in the headers
    when the server had nothing else to say."""

    headers: dict = dataclasses.field(default_factory=dict)
    trailers: dict = dataclasses.field(default_factory=dict)
    data: bytes = b""
    reset: int = None  # error code of RST_STREAM
    ended: bool = False

    def field(self, name):
        return self.trailers.get(name, self.headers.get(name))

    @property
    def http_status(self):
        return int(self.headers[":status"])

    @property
    def status(self):
        """grpc-status as a number, or None."""
        value = self.field("grpc-status")
        return None if value is None else int(value)

    @property
    def message(self):
        return unquote(self.field("grpc-message") or "")

    @property
    def received(self):
        """The trailer tally-received as a number, or None."""
        value = self.field("tally-received")
        return None if value is None else int(value)


class H2Client(Link):
    """One connection."""

    headers = staticmethod(request_headers)

    def __init__(self, port, initial_window=None, tls=None):
        super().__init__(port, tls=tls)
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.connection = h2.connection.H2Connection(config)
        if initial_window is not None:
            setting = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            self.connection.local_settings = h2.settings.Settings(
                client=True, initial_values={setting: initial_window}
            )
        self.connection.initiate_connection()
        self.replies = {}
        self.goaway = None  # error code
        self.flush()

    def open(self, end=False, **changed):
        """Begins a call of StreamPackets with headers(**changed) and returns its stream id."""
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, self.headers(**changed), end_stream=end)
        self.replies[stream] = Reply()
        self.flush()
        return stream

    def send(self, stream, data, end=False):
        """Sends DATA as the server's windows allow; stops when the server ends the stream."""
        reply, window = self.replies[stream], self.connection.local_flow_control_window
        while data:
            self._read_until(
                lambda: reply.reset is not None or window(stream), lambda: f"a window: {reply}"
            )
            if reply.reset is not None:
                return
            room = min(window(stream), self.connection.max_outbound_frame_size)
            self.connection.send_data(stream, data[:room])
            data = data[room:]
            self.flush()
        if end:
            self.connection.end_stream(stream)
            self.flush()

    def reset(self, stream):
        self.connection.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def window(self, stream, bytes):
        """Lets the server send so many bytes more on a stream."""
        self.connection.increment_flow_control_window(bytes, stream)
        self.flush()

    def read_now(self):
        """Reads what comes within a moment; returns the client."""
        self._read(0.1)
        return self

    def finish(self, stream, timeout=WAIT_S):
        """Waits until the server ended or reset the stream, and returns the Reply."""
        reply = self.replies[stream]
        self._read_until(
            lambda: reply.ended or reply.reset is not None,
            lambda: f"the end of stream {stream}: {reply}",
            timeout,
        )
        return reply

    def read_to_the_end(self, timeout=WAIT_S):
        """Reads until the server closes the connection, and then raises ConnectionError."""
        self._read_until(lambda: False, lambda: "the end of the connection", timeout)

    def call(self, data, **changed):
        """A whole call: headers, data, end, reply."""
        stream = self.open(**changed)
        self.send(stream, data, end=True)
        return self.finish(stream)

    def flush(self):
        """Sends what a test has made with `connection` itself."""
        data = self.connection.data_to_send()
        if data:
            self.socket.sendall(data)

    def _take(self, octets):
        if not octets:
            raise ConnectionError("the server closed the connection")
        for event in self.connection.receive_data(octets):
            self._note(event)
        self.flush()

    def _note(self, event):
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.error_code
            return
        reply = self.replies.get(getattr(event, "stream_id", None))
        if reply is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            reply.headers = dict(event.headers)
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            reply.data += event.data
            self.connection.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id
            )
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset):
            reply.reset = event.error_code
