"""A run's figures for Prometheus, as a text file that its node_exporter reads."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from imgbatch.batch.journal_tables import Row
from imgbatch.batch.report import Report, replacing
from imgbatch.histograms import BUCKETS_SECONDS
from imgbatch.images.formats import FORMATS
from imgbatch.text import printable

_FORMAT_OF = {suffix: name for name, known in FORMATS.items() for suffix in known.suffixes}


def write_metrics(path: Path, report: Report, files: Iterable[Row]) -> None:
    """Write the figures of a run that has ended, each with its output folder as a label.

    Raises
    ------
    OutputError
        If the file can't be written.
    """
    registry, output = CollectorRegistry(), printable(str(report.target))
    totals = report.totals
    for name, text, value in (
        ("end_timestamp_seconds", "When the run ended", time.time()),
        ("seconds", "How long it took", report.seconds),
        ("exit_status", "Of imgbatch-client: 0, 1, 3 or 130", report.exit_status),
        ("read_bytes", "Sizes of the sources of what was written", totals.bytes_in),
        ("written_bytes", "Sizes of the results", totals.bytes_out),
    ):
        Gauge(f"imgbatch_run_{name}", text, ["output"], registry=registry).labels(output).set(value)
    for name, text, label, values in (
        ("images", "Files by what became of them", "status", totals.by_status),
        ("failures", "Files that failed or were skipped, by reason", "code", totals.by_code),
    ):
        gauge = Gauge(f"imgbatch_run_{name}", text, ["output", label], registry=registry)
        for key, count in values.items():
            gauge.labels(output, str(key)).set(count)
    histogram = Histogram(
        "imgbatch_run_image_seconds",
        "Time that a worker spent on an image, by the format of its name and what became of it",
        ["output", "format", "outcome"],
        registry=registry,
        buckets=BUCKETS_SECONDS,
    )
    for row in files:
        if row["finished_seconds"] is not None:
            suffix = Path(row["source"].decode(errors="replace")).suffix.lower()
            labels = output, _FORMAT_OF.get(suffix, "none"), row["status"]
            histogram.labels(*labels).observe(row["seconds"])
    with replacing(path, "metrics file") as file:
        file.write(generate_latest(registry).decode())
