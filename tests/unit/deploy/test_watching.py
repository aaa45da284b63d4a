"""Dashboard and alert rules, held against the figures that the programs really show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.photos import fill

from imgbatch import run_batch
from imgbatch.server.metrics import Metrics
from imgbatch.workers.status import MOST_HISTOGRAMS

yaml = pytest.importorskip("yaml", reason="the extra named deploy is not installed")
WATCHING = Path(__file__).parents[3] / "deploy" / "watching"
OURS = re.compile(r"\bimgbatch_\w+")


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((WATCHING / "dashboard.json").read_text())
    return loaded


def expressions() -> Iterator[str]:
    """Yield all that Grafana and Prometheus ask for."""
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
    for group in yaml.safe_load((WATCHING / "alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of every figure that a server and a run show, by its name."""
    folder = tmp_path_factory.mktemp("shown")
    fill(folder / "in", 1)
    (folder / "in" / "notes.txt").write_text("no image")
    file = folder / "run.prom"
    run_batch(folder / "in", folder / "out", html=False, metrics_file=file)
    text = file.read_text() + server_page()
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, labels = line.rpartition(" ")[0].partition("{")
            found.setdefault(name, set()).update(re.findall(r"(\w+)=\"", labels))
    return found


def server_page() -> str:
    from urllib.request import urlopen

    class Pool:
        ready = busy = images = busy_seconds = crashes = 1
        histograms = ([1.0] * 16,) * MOST_HISTOGRAMS

    metrics = Metrics(0)
    try:
        metrics.show(Pool(), 1, 1.0, 1, connected=True)  # type: ignore[arg-type]
        with urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=30) as page:
            text: str = page.read().decode()
            return text
    finally:
        metrics.close()


def test_every_figure_that_is_asked_for_is_shown(shown: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in OURS.findall(expression)}
    assert len(asked) > 10
    assert asked <= shown.keys()


def test_labels_that_are_asked_for_are_those_of_the_figures(shown: dict[str, set[str]]) -> None:
    from_prometheus = {"instance", "job"}
    for expression in expressions():
        known = set().union(*(shown[name] for name in OURS.findall(expression))) | from_prometheus
        by = re.findall(r"\bby \(([^)]*)\)", expression)
        named = {label.strip() for labels in by for label in labels.split(",")}
        named |= set(re.findall(r"[{,]\s*(\w+)\s*=", expression))
        assert named <= known, expression


def test_no_panel_lies_on_another_or_beside_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_says_what_to_do() -> None:
    for group in yaml.safe_load((WATCHING / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"].keys() == {"summary", "action"}
