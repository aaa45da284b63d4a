"""A proxy in front of a web server that can do to a request what such servers and networks do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Fault(Enum):
    """What becomes of a request."""

    SLOW_DOWN = "it is answered 503, as by S3 under load"
    CUT = "its connection is reset before an answer"
    HALF = "its connection is reset in the middle of the answer's body"
    SLOW = "the answer's body comes in pieces, with pauses"
    OTHER_ETAG = "it is answered with another object's ETag"


_OURS = {"connection", "date", "server", "transfer-encoding"}
_BODY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><SecretKey>hidden</SecretKey></Error>"


@dataclass
class FaultyHttp:
    """The proxy.

    Parameters
    ----------
    port
        Where it listens.
    faults
        What becomes of the next requests that `chosen` takes, in order.
    requests
        Method and path of all that came.
    """

    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    chosen: Callable[[str, str], bool] = lambda _method, _path: True
    before: Callable[[str, str], None] = lambda _method, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.requests.append((method, path))
            return self.faults.pop(0) if self.faults and self.chosen(method, path) else None


@contextmanager
def faulty_http(upstream_port: int) -> Iterator[FaultyHttp]:  # noqa: C901  # counts methods
    """Run a proxy for as long as the block lasts."""
    faulty = FaultyHttp()

    class Handler(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = faulty.next_fault(self.command, self.path)
            faulty.before(self.command, self.path)
            if fault is Fault.CUT:
                self.reset()
                return
            if fault is Fault.SLOW_DOWN:
                self.answer(503, [], _BODY)
                return
            upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=30)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            self.answer(answer.status, answer.getheaders(), content, fault)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward  # noqa: N815

        def answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            body: bytes,
            fault: Fault | None = None,
        ) -> None:
            self.send_response(status)
            kept = {name: value for name, value in headers if name.lower() not in _OURS}
            if self.command != "HEAD":
                kept["Content-Length"] = str(len(body))
            if fault is Fault.OTHER_ETAG:
                kept["ETag"] = '"another"'
            for name, value in kept.items():
                self.send_header(name, value)
            self.end_headers()
            pieces = 10 if fault in {Fault.HALF, Fault.SLOW} and self.command != "HEAD" else 1
            size = len(body) // pieces + 1
            for first in range(0, len(body) if self.command != "HEAD" else 0, size):
                if fault is Fault.HALF and first > len(body) // 2:
                    self.wfile.flush()
                    self.reset()
                    return
                self.wfile.write(body[first : first + size])
                if fault is Fault.SLOW:
                    time.sleep(0.05)

        def reset(self) -> None:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
            self.close_connection = True

        def finish(self) -> None:
            if self.connection.fileno() >= 0:
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    faulty.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
