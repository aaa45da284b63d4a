"""A TCP proxy that can do to a connection what networks do: break, fall silent, damage, delay."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

_TURN_SECONDS = 0.05
_PIECE_BYTES = 65536


class Way(Enum):
    """A direction through the proxy, seen from whoever connects to it."""

    UP = "to the broker"
    DOWN = "from the broker"


@dataclass(eq=False)
class _Link:
    """Two sockets, and the threads that carry bytes from each to the other."""

    near: socket.socket
    far: socket.socket
    broken: threading.Event = field(default_factory=threading.Event)
    silent: set[Way] = field(default_factory=set)
    carriers: list[threading.Thread] = field(default_factory=list)

    def end(self, *, with_reset: bool) -> None:
        self.broken.set()
        for carrier in self.carriers:
            if carrier is not threading.current_thread():
                carrier.join()
        for side in (self.near, self.far):
            if with_reset:
                linger = struct.pack("ii", 1, 0)
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            side.close()


class Proxy:
    """Listens on a port of its own and carries every connection to another.

    Parameters
    ----------
    upstream_port
        On this machine.
    host, port
        The address that is listened on; a free port by default.
    """

    def __init__(self, upstream_port: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server((host, port))
        self._listener.settimeout(_TURN_SECONDS)
        self.host = host
        self.port = int(self._listener.getsockname()[1])
        self._links: list[_Link] = []
        self._lock = threading.Lock()
        self._lines = {way: threading.Lock() for way in Way}
        self._silent: set[Way] = set()
        self._ending = threading.Event()
        self._damage_after_bytes: dict[Way, int] = {}
        self._bytes_per_second: dict[Way, float] = {}
        self.damaged = 0
        self.carried_bytes = dict.fromkeys(Way, 0)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def heal(self) -> None:
        """Carry everything again, with what was held back first."""
        self._silent.clear()
        with self._lock:
            for link in self._links:
                link.silent.clear()

    def cut_off(self) -> None:
        """Carry nothing, and tell neither side; new connections are as silent as old ones."""
        self._silent.update(Way)

    def half_open(self, *ways: Way) -> int:
        """Carry nothing of the connections that there are in these directions, and tell neither
        side, as a router does that lost its tables; return how many connections there are."""
        with self._lock:
            for link in self._links:
                link.silent.update(ways)
            return len(self._links)

    def reset(self) -> int:
        """Break every connection, as a firewall does that forgot them; return how many."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.end(with_reset=True)
        return len(links)

    def damage(self, way: Way, after_bytes: int) -> None:
        """Flip one bit of what is carried, so many bytes from now, on whatever connection."""
        with self._lock:
            self._damage_after_bytes[way] = after_bytes

    def slow_down(self, way: Way, bytes_per_second: float) -> None:
        """Carry no more than this in a direction, all connections together."""
        self._bytes_per_second[way] = bytes_per_second

    def close(self) -> None:
        self._ending.set()
        self.heal()
        self._thread.join()
        self._listener.close()
        self.reset()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                near, _ = self._listener.accept()
            except TimeoutError:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._upstream_port), timeout=5)
            except OSError:
                near.close()
                continue
            self._join(near, far)

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        link = _Link(near, far)
        for source, sink, way in ((near, far, Way.UP), (far, near, Way.DOWN)):
            source.settimeout(_TURN_SECONDS)
            carrier = threading.Thread(
                target=self._carry, args=(link, source, sink, way), daemon=True
            )
            link.carriers.append(carrier)
        with self._lock:
            self._links.append(link)
        for carrier in link.carriers:
            carrier.start()

    def _carry(self, link: _Link, source: socket.socket, sink: socket.socket, way: Way) -> None:
        with suppress(OSError):
            while piece := self._receive(link, source):
                self._wait_until_heard(link, way)
                self._take_time(link, way, len(piece))
                self._send(link, sink, self._damaged(way, piece))
        # The end of one direction is told to the other side, unless we are to be silent.
        self._wait_until_heard(link, way)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _take_time(self, link: _Link, way: Way, size_bytes: int) -> None:
        self.carried_bytes[way] += size_bytes
        if way in self._bytes_per_second:
            with self._lines[way]:  # one piece after the other, as on a line
                link.broken.wait(size_bytes / self._bytes_per_second[way])

    def _wait_until_heard(self, link: _Link, way: Way) -> None:
        while (way in self._silent or way in link.silent) and not link.broken.is_set():
            link.broken.wait(_TURN_SECONDS)

    def _receive(self, link: _Link, source: socket.socket) -> bytes:
        while not link.broken.is_set():
            with suppress(TimeoutError):
                return source.recv(_PIECE_BYTES)
        return b""

    def _send(self, link: _Link, sink: socket.socket, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest and not link.broken.is_set():
            with suppress(TimeoutError):
                rest = rest[sink.send(rest) :]

    def _damaged(self, way: Way, piece: bytes) -> bytes:
        with self._lock:
            after_bytes = self._damage_after_bytes.pop(way, None)
            if after_bytes is None:
                return piece
            if after_bytes >= len(piece):
                self._damage_after_bytes[way] = after_bytes - len(piece)
                return piece
            self.damaged += 1
        changed = bytearray(piece)
        changed[after_bytes] ^= 0x10
        return bytes(changed)


@contextmanager
def proxy_to(upstream_port: int, host: str = "127.0.0.1", port: int = 0) -> Iterator[Proxy]:
    """Run a proxy for as long as the block lasts."""
    proxy = Proxy(upstream_port, host, port)
    try:
        yield proxy
    finally:
        proxy.close()
