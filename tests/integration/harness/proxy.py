"""A TCP proxy between tallyd and Redis, or between a client and tallyd, that breaks connections
exactly where a test says. Its words are those of the first.

One thread moves the bytes of all connections. A test arms a fault on one connection (a Link):
cut it after so many more bytes in one direction, hold what goes in one direction and let it go
later, or cut only tallyd's side. New connections always get through.
"""
import enum
import selectors
import socket
import struct
import threading

from .env import WAIT_S, wait_until


class Way(enum.Enum):
    UP = "to Redis"
    DOWN = "to tallyd"


class Cut(enum.Enum):
    FIN = "closed in order"
    RST = "reset"


def _close(sock, cut):
    """Closes so that the peer sees an end of file, or a reset."""
    if cut is Cut.RST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the peer was first
    sock.close()


class Link:
    """One connection of tallyd and the one to Redis behind it. Everything that passed is kept in
    `passed`, what is held back in `held`; both are for tests with little traffic."""

    def __init__(self, proxy, client, server):
        self.proxy = proxy
        self.sockets = {Way.UP: server, Way.DOWN: client}  # where bytes that go this way leave
        self.passed = {Way.UP: bytearray(), Way.DOWN: bytearray()}
        self.held = {Way.UP: bytearray(), Way.DOWN: bytearray()}
        self.holding = {Way.UP: False, Way.DOWN: False}
        self.hold_marker = {Way.UP: None, Way.DOWN: None}
        self.cut_at = None  # (way, count of bytes that pass, how)
        self.cut_done = False

    # What a test asks for

    def cut_after(self, way, count, how):
        """Lets `count` more bytes go `way`, then cuts both sides: at once after the last of them,
        or with 0 as soon as there is one to go."""
        with self.proxy.lock:
            self.cut_done = False
            self.cut_at = (way, len(self.passed[way]) + count, how)

    def disarm(self):
        with self.proxy.lock:
            self.cut_at = None

    def hold(self, way):
        """From now on nothing goes `way`; it is kept for release()."""
        with self.proxy.lock:
            self.holding[way] = True

    def hold_from(self, marker, way=Way.UP):
        """As hold(way), but only from the next bytes on that begin with `marker` or hold it."""
        with self.proxy.lock:
            self.hold_marker[way] = marker

    def release(self, way):
        """Lets go what was held, and everything after it."""
        with self.proxy.lock:
            self.holding[way] = False
            self.hold_marker[way] = None
            data, self.held[way] = bytes(self.held[way]), bytearray()
            self._pass_on(way, data)

    def cut_tallyd_side(self, how=Cut.RST):
        """Takes the connection from tallyd while Redis keeps its own: what is held upward can
        still be delivered, and the answers to it are kept in `passed`."""
        with self.proxy.lock:
            self._drop(Way.DOWN, how)

    def forget(self):
        """Gives back the memory of what passed, for a test that makes many links."""
        with self.proxy.lock:
            self.end(Cut.FIN)
            for passed in self.passed.values():
                passed.clear()

    def is_alive(self):
        return self.sockets[Way.UP] is not None and self.sockets[Way.DOWN] is not None

    # Called by the proxy's thread, under its lock

    def take(self, way, data):
        marker = self.hold_marker[way]
        if marker and marker in data:
            at = data.index(marker)
            self._pass_on(way, data[:at])
            self.holding[way], self.hold_marker[way] = True, None
            data = data[at:]
        if self.holding[way]:
            self.held[way] += data
        else:
            self._pass_on(way, data)

    def _pass_on(self, way, data):
        cut = self.cut_at if self.cut_at and self.cut_at[0] is way and data else None
        if cut:
            data = data[: cut[1] - len(self.passed[way])]
        self.passed[way] += data
        if self.sockets[way]:
            try:
                self.sockets[way].sendall(data)
            except OSError:
                self.end(Cut.FIN)  # that peer is gone
        if cut and len(self.passed[way]) == cut[1]:
            self.cut_at, self.cut_done = None, True
            self.end(cut[2])

    def ended(self, way):
        """The side that sends `way` closed. What is held upward keeps Redis's side open."""
        if way is Way.UP and self.holding[Way.UP]:
            self._drop(Way.DOWN, Cut.FIN)
        else:
            self.end(Cut.FIN)

    def end(self, how):
        self._drop(Way.UP, how)
        self._drop(Way.DOWN, how)

    def _drop(self, way, how):
        sock, self.sockets[way] = self.sockets[way], None
        if sock:
            self.proxy.selector.unregister(sock)
            _close(sock, how)


class Proxy:
    """Listens on `port` of its own from its construction until close()."""

    def __init__(self, port):
        self.server_port = port
        self.lock = threading.RLock()  # `prepare` arms links under it
        self.links = []
        self.prepare = None  # called with each new Link, to arm a fault before its first byte
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.stopping = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def close(self):
        self.stopping = True
        self.thread.join()
        with self.lock:
            for link in self.links:
                link.end(Cut.FIN)
        self.listener.close()
        self.selector.close()

    def find_committing(self):
        """The connection that tallyd's flusher commits on, a live one that carried a WATCH; or
        None."""
        live = [l for l in self.links if l.is_alive() and b"WATCH" in l.passed[Way.UP]]
        return live[-1] if live else None

    def committing(self):
        """The same, waited for."""
        return wait_until(self.find_committing, "the flusher's connection")

    def _run(self):
        while not self.stopping:
            for key, _ in self.selector.select(timeout=0.05):
                with self.lock:
                    if key.fileobj is self.listener:
                        self._accept()
                    elif key.fileobj.fileno() >= 0:  # not closed by an event before this one
                        self._move(key.fileobj, *key.data)

    def _accept(self):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.server_port), timeout=WAIT_S)
        except OSError:
            _close(client, Cut.RST)  # as near to "connection refused" as a proxy gets
            return
        link = Link(self, client, server)
        for sock, way in ((client, Way.UP), (server, Way.DOWN)):
            sock.settimeout(WAIT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(sock, selectors.EVENT_READ, (link, way))
        self.links.append(link)
        if self.prepare:
            self.prepare(link)

    @staticmethod
    def _move(sock, link, way):
        try:
            data = sock.recv(1 << 18)
        except OSError:
            data = b""
        if data:
            link.take(way, data)
        else:
            link.ended(way)
