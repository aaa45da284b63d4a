"""A server's figures for Prometheus, on a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgbatch.server.crew import Crew


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

    def show(self, crew: Crew, batches: int) -> None:
        """Bring the figures up to date."""
        tally = crew.tally
        images, seconds = self._shown
        self._shown = (tally.images, tally.busy_seconds)
        self._workers.set(crew.ready)
        self._busy.set(crew.busy)
        self._batches.set(batches)
        self._rate.set(tally.images_per_second)
        self._images.inc(tally.images - images)
        self._seconds.inc(tally.busy_seconds - seconds)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
