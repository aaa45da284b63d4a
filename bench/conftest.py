"""Options and fixtures of the suites: one session of measuring for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.harness.processes import scratch
from bench.harness.replay import RecordedClock
from bench.harness.results import Race, Results
from bench.harness.session import Pace, Session, session

NO_TABLES = {"memory", "costs"}
"""Groups whose times mean nothing: what they found are measures."""

SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    options = parser.getgroup("imgbatch")
    options.addoption(
        "--pace", type=Pace, choices=list(Pace), default=Pace.WHOLE, help="how thorough to be"
    )
    options.addoption("--photos", type=Path, metavar="DIR", help="photographs instead of stand-ins")
    options.addoption("--results", type=Path, metavar="FILE", help="add what was measured to FILE")


def pytest_configure(config: pytest.Config) -> None:
    # A contender that is not installed is skipped before its clock runs, which is no mistake.
    unused = "ignore:Benchmark fixture was not used at all"
    config.addinivalue_line("filterwarnings", unused)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(0))  # a race takes as long as its slowest contender


@pytest.fixture(scope="session")
def bench(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Open the session of measuring, which all suites share."""
    config = request.config
    with (
        scratch() as workspace,
        session(
            workspace,
            pace=config.getoption("pace"),
            photos=config.getoption("photos"),
            cores=len(os.sched_getaffinity(0)),
        ) as opened,
    ):
        config.stash[SESSION] = opened
        yield opened


@pytest.fixture(autouse=True)
def save_as_we_go(request: pytest.FixtureRequest, bench: Session) -> Iterator[None]:
    """Write the results file after each test: a session that is cut short keeps what it has.

    It opens the session for the suites, too, that need nothing of it but its results file.
    """
    yield
    _save(request.config, bench)


def pytest_sessionfinish(session: pytest.Session) -> None:
    opened = session.config.stash.get(SESSION, None)
    if opened is not None:
        _add_plain_benchmarks(session.config, opened.results)
        _save(session.config, opened)


def _save(config: pytest.Config, opened: Session) -> None:
    path = config.getoption("results")
    if path is None:
        return
    known = Results.load(path) if path.exists() else Results()
    known.updated(opened.results).save(path)


def _add_plain_benchmarks(config: pytest.Config, results: Results) -> None:
    """Add the groups of suites that let pytest-benchmark do the timing: kernels and codecs."""
    for done in config._benchmarksession.benchmarks:  # type: ignore[attr-defined]
        is_ours = done.group in results.races or done.group in NO_TABLES
        if done.group is None or is_ours or not done.stats.data:
            continue
        row = {
            "name": done.name,
            "median_seconds": done.stats.median,
            "low_seconds": done.stats.q1,
            "high_seconds": done.stats.q3,
            "rounds": done.stats.rounds,
            **{key: value for key, value in done.extra_info.items() if key != "group"},
        }
        results.tables.setdefault(f"suite/{done.group}", []).append(row)


@pytest.fixture
def show(benchmark: Any) -> Callable[[Race, str], None]:
    """Show one contender's times of a race as the test's own; skip if it could not take part."""

    def shown(race: Race, contender: str) -> None:
        if contender in race.skipped:
            pytest.skip(race.skipped[contender])
        if contender in race.failed:
            pytest.fail(race.failed[contender], pytrace=False)
        benchmark.group = race.name
        RecordedClock().play(benchmark, race.seconds[contender])

    return shown
