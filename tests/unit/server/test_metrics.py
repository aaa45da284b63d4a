"""A server's figures, as Prometheus reads them."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.error import HTTPError

import pytest

from imgbatch.histograms import BUCKETS_SECONDS
from imgbatch.server.durations import FETCH, WAIT, histogram_of
from imgbatch.server.metrics import LONGEST_SILENCE_SECONDS, Metrics
from imgbatch.server.supervisor import Throughput
from imgbatch.workers.status import MOST_HISTOGRAMS


@dataclass
class Pool:
    ready: int = 3
    busy: int = 2
    images: int = 5
    busy_seconds: float = 2.5
    crashes: int = 1
    histograms: list[list[float]] = field(default_factory=list)


def show(metrics: Metrics, pool: Pool, *, connected: bool = True) -> None:
    metrics.show(pool, 4, 0.5, batches=4, connected=connected)  # type: ignore[arg-type]


def status_of(metrics: Metrics, page: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/{page}", timeout=30) as got:
            return int(got.status)
    except HTTPError as error:
        with error:
            return error.code


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
    show(metrics, Pool())
    assert figures(metrics) == {
        "imgbatch_broker_connected": 1,
        "imgbatch_workers": 3,
        "imgbatch_workers_wanted": 4,
        "imgbatch_workers_busy": 2,
        "imgbatch_batches": 4,
        "imgbatch_images_per_second": 0.5,
        "imgbatch_images_total": 5,
        "imgbatch_busy_seconds_total": 2.5,
        "imgbatch_worker_crashes_total": 1,
    }


def test_durations_are_shown_as_cumulative_buckets_by_format_and_outcome(metrics: Metrics) -> None:
    histograms = [[0.0] * (len(BUCKETS_SECONDS) + 2) for _ in range(MOST_HISTOGRAMS)]
    jpeg = histogram_of(memoryview(b"\xff\xd8\xff" + bytes(20)), "done")
    text = histogram_of(memoryview(b"no image at all, but text"), "skipped")
    histograms[jpeg][0], histograms[jpeg][2], histograms[jpeg][-1] = 3, 1, 0.04
    histograms[text][-2], histograms[text][-1] = 2, 500.0
    histograms[FETCH][1], histograms[FETCH][-1] = 1, 0.01
    show(metrics, Pool(histograms=histograms))
    shown = figures(metrics)
    of_jpegs = 'imgbatch_image_seconds_bucket{format="jpeg",le="%s",outcome="done"}'
    assert [shown[of_jpegs % edge] for edge in (*BUCKETS_SECONDS[:4], "+Inf")] == [3, 3, 4, 4, 4]
    assert shown['imgbatch_image_seconds_count{format="none",outcome="skipped"}'] == 2
    assert shown['imgbatch_image_seconds_sum{format="none",outcome="skipped"}'] == 500
    assert shown["imgbatch_fetch_seconds_count"] == 1
    assert not [name for name in shown if "png" in name]


def test_every_format_and_outcome_has_a_histogram_of_its_own() -> None:
    assert WAIT < MOST_HISTOGRAMS


def test_a_server_is_ready_while_it_is_connected_and_has_a_worker(metrics: Metrics) -> None:
    assert status_of(metrics, "ready") == 503
    show(metrics, Pool())
    assert status_of(metrics, "ready") == 200
    show(metrics, Pool(), connected=False)
    assert status_of(metrics, "ready") == 503
    show(metrics, Pool(ready=0))
    assert status_of(metrics, "ready") == 503


def test_a_server_that_turns_no_more_is_not_healthy(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(metrics, Pool(ready=0), connected=False)
    assert status_of(metrics, "healthy") == 200
    late = time.monotonic() + LONGEST_SILENCE_SECONDS
    monkeypatch.setattr("imgbatch.server.metrics.time.monotonic", lambda: late)
    assert status_of(metrics, "healthy") == 503


def test_what_was_done_is_counted_once_however_often_it_is_shown(metrics: Metrics) -> None:
    for shown in range(1, 4):
        for _ in range(3):
            show(metrics, Pool(images=shown))
        assert figures(metrics)["imgbatch_images_total"] == shown


def test_the_rate_is_that_of_the_last_seconds() -> None:
    throughput = Throughput()
    assert throughput.images_per_second == 0.0
    for second in range(20):
        throughput.note(3 * second, float(second))
    assert throughput.images_per_second == pytest.approx(3.0)
    throughput.note(57, 100.0)
    assert throughput.images_per_second == 0.0
