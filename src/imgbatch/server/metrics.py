"""A server's figures for Prometheus, on a port of its own."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from imgbatch.workers.pool import WorkerPool


class Metrics(Collector):
    """What `--metrics-port` shows, under ``http://…:PORT/metrics``.

    Parameters
    ----------
    port
        To listen on; 0 takes a free one.
    address
        Of the interface that is listened on; ``0.0.0.0`` is all of them.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._shown: list[Metric] = []
        registry = CollectorRegistry()
        registry.register(self)
        self._server, _ = start_http_server(port, address, registry=registry)

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def collect(self) -> Iterable[Metric]:
        """Return the figures that were last shown; called for each request."""
        return self._shown

    def show(self, pool: WorkerPool, images_per_second: float, batches: int) -> None:
        """Bring the figures up to date."""
        gauges = {
            "workers": ("Worker processes that can compute", pool.ready),
            "workers_busy": ("Worker processes that hold an image", pool.busy),
            "batches": ("Batches that the machine works for", batches),
            "images_per_second": ("Images done a second, over the last ten", images_per_second),
        }
        counters = {
            "images": ("Images done", pool.images),
            "busy_seconds": ("Time that workers spent on images", pool.busy_seconds),
        }
        self._shown = [
            *(GaugeMetricFamily(f"imgbatch_{name}", *told) for name, told in gauges.items()),
            *(CounterMetricFamily(f"imgbatch_{name}", *told) for name, told in counters.items()),
        ]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
