"""A server's figures for Prometheus, on a port of its own."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgbatch.workers.pool import WorkerPool

RATE_SECONDS = 10.0
"""The time over which the rate of images is taken."""


class Throughput:
    """How many images a second were done lately; times are handed in."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, images: int, now_seconds: float) -> None:
        """Take note of how many were done up to a time."""
        self._seen.append((now_seconds, images))
        # One is kept from before the window: what was done since then was done within it.
        while len(self._seen) > 1 and self._seen[1][0] <= now_seconds - RATE_SECONDS:
            self._seen.popleft()

    @property
    def images_per_second(self) -> float:
        """The rate over the last few seconds."""
        return (self._seen[-1][1] - self._seen[0][1]) / RATE_SECONDS if self._seen else 0.0


class Metrics:
    """What `--metrics-port` shows, under ``http://…:PORT/metrics``.

    Parameters
    ----------
    port
        To listen on; 0 takes a free one.
    address
        Of the interface that is listened on; ``0.0.0.0`` is all of them.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

        registry = CollectorRegistry()

        def gauge(name: str, what: str) -> Any:
            return Gauge(f"imgbatch_{name}", what, registry=registry)

        self._workers = gauge("workers", "Worker processes that can compute")
        self._busy = gauge("workers_busy", "Worker processes that hold an image")
        self._batches = gauge("batches", "Batches that the machine works for")
        self._rate = gauge("images_per_second", "Images done a second, over the last ten")
        self._images = Counter("imgbatch_images", "Images done", registry=registry)
        self._seconds = Counter(
            "imgbatch_busy_seconds", "Time that workers spent on images", registry=registry
        )
        self._shown = (0, 0.0)
        self._server, _ = start_http_server(port, address, registry=registry)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def show(self, pool: WorkerPool, images_per_second: float, batches: int) -> None:
        """Bring the figures up to date."""
        images, seconds = self._shown
        self._shown = (pool.images, pool.busy_seconds)
        self._workers.set(pool.ready)
        self._busy.set(pool.busy)
        self._batches.set(batches)
        self._rate.set(images_per_second)
        self._images.inc(self._shown[0] - images)
        self._seconds.inc(self._shown[1] - seconds)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
