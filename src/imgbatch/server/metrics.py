"""A server's figures for Prometheus, and whether it is well, on a port of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Metric, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from imgbatch.histograms import BUCKETS_SECONDS
from imgbatch.server.durations import FETCH, IMAGES, WAIT

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from imgbatch.workers.pool import WorkerPool

LONGEST_SILENCE_SECONDS = 60.0
"""A supervisor that shows nothing for so long hangs; it leaves within 30 s of SIGTERM."""


class Metrics(Collector):
    """What `--metrics-port` shows under ``http://…:PORT/``: ``metrics``, ``healthy``, ``ready``.

    Parameters
    ----------
    port
        To listen on; 0 takes a free one.
    address
        Of the interface that is listened on; ``0.0.0.0`` is all of them.
    """

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._shown: list[Metric] = []
        self._shown_seconds = time.monotonic()
        self._is_ready = False
        registry = CollectorRegistry()
        registry.register(self)
        self._server, _ = start_http_server(port, address, registry=registry)
        figures = self._server.get_app()
        assert figures is not None
        self._server.set_app(partial(self._answer, figures))

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_port)

    def _answer(
        self, figures: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthy":
                well = time.monotonic() - self._shown_seconds < LONGEST_SILENCE_SECONDS
            case "/ready":
                well = self._is_ready
            case _:
                return figures(environ, start_response)
        status = "200 OK" if well else "503 Service Unavailable"
        start_response(status, [("Content-Type", "text/plain")])
        return [b"yes\n" if well else b"no\n"]

    def collect(self) -> Iterable[Metric]:
        """Return the figures that were last shown; called for each request."""
        return self._shown

    def show(
        self,
        pool: WorkerPool,
        wanted: int,
        images_per_second: float,
        batches: int,
        *,
        connected: bool,
    ) -> None:
        """Bring the figures up to date."""
        self._shown_seconds = time.monotonic()
        self._is_ready = connected and pool.ready > 0
        gauges = {
            "broker_connected": ("Whether the broker is reached", connected),
            "workers": ("Worker processes that can compute", pool.ready),
            "workers_wanted": ("Worker processes that were asked for", wanted),
            "workers_busy": ("Worker processes that hold an image", pool.busy),
            "batches": ("Batches that the machine works for", batches),
            "images_per_second": ("Images done a second, over the last ten", images_per_second),
        }
        counters = {
            "images": ("Images done", pool.images),
            "busy_seconds": ("Time that workers spent on images", pool.busy_seconds),
            "worker_crashes": ("Workers that were killed, or ended by themselves", pool.crashes),
        }
        self._shown = [
            *(GaugeMetricFamily(f"imgbatch_{name}", *told) for name, told in gauges.items()),
            *(CounterMetricFamily(f"imgbatch_{name}", *told) for name, told in counters.items()),
            *_histograms(pool.histograms),
        ]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


def _histograms(durations: list[list[float]]) -> Iterator[Metric]:
    if not durations:  # no worker was ever started
        return
    text = "Time that a worker spent on an image, by its format and what became of it"
    images = HistogramMetricFamily("imgbatch_image_seconds", text, labels=["format", "outcome"])
    for number, labels in enumerate(IMAGES):
        _add(images, labels, durations[number])
    yield images
    for name, number, text in (
        ("fetch", FETCH, "Time until an image that its worker asked for had come"),
        ("wait", WAIT, "Time from a ticket's coming to a worker until its image was begun"),
    ):
        family = HistogramMetricFamily(f"imgbatch_{name}_seconds", text, labels=[])
        _add(family, (), durations[number])
        yield family


def _add(family: HistogramMetricFamily, labels: Iterable[str], durations: list[float]) -> None:
    """Give a family the figures of one histogram; see `imgbatch.workers.status`."""
    *counts, total = durations
    edges = [*map(str, BUCKETS_SECONDS), "+Inf"]
    buckets = list(zip(edges, itertools.accumulate(counts), strict=True))
    if buckets[-1][1]:
        family.add_metric(list(labels), buckets, total)
