"""A server's figures, as Prometheus reads them."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from imgbatch.server.metrics import Metrics
from imgbatch.server.supervisor import Throughput


@dataclass
class Pool:
    ready: int = 3
    busy: int = 2
    images: int = 5
    busy_seconds: float = 2.5


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics(0)
    yield metrics
    metrics.close()


def figures(metrics: Metrics) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=30) as page:
        lines = page.read().decode().splitlines()
    pairs = [line.split() for line in lines if not line.startswith("#")]
    return {name: float(value) for name, value in pairs if not name.endswith("_created")}


def test_only_this_machine_is_shown_anything_unless_an_address_says_otherwise() -> None:
    for address, *arguments in (("127.0.0.1",), ("0.0.0.0", "0.0.0.0")):
        metrics = Metrics(0, *arguments)
        assert metrics._server.server_address[0] == address
        metrics.close()


def test_the_figures_are_those_of_the_pool(metrics: Metrics) -> None:
    metrics.show(Pool(), 0.5, batches=4)  # type: ignore[arg-type]
    assert figures(metrics) == {
        "imgbatch_workers": 3,
        "imgbatch_workers_busy": 2,
        "imgbatch_batches": 4,
        "imgbatch_images_per_second": 0.5,
        "imgbatch_images_total": 5,
        "imgbatch_busy_seconds_total": 2.5,
    }


def test_what_was_done_is_counted_once_however_often_it_is_shown(metrics: Metrics) -> None:
    for shown in range(1, 4):
        for _ in range(3):
            metrics.show(Pool(images=shown), 0.0, 0)  # type: ignore[arg-type]
        assert figures(metrics)["imgbatch_images_total"] == shown


def test_the_rate_is_that_of_the_last_seconds() -> None:
    throughput = Throughput()
    assert throughput.images_per_second == 0.0
    for second in range(20):
        throughput.note(3 * second, float(second))
    assert throughput.images_per_second == pytest.approx(3.0)
    throughput.note(57, 100.0)
    assert throughput.images_per_second == 0.0
