"""More machines: the paper's tables repeated with 1, 2 and 4, and a curve up to 8 small ones."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.contenders import distributed, fleet
from bench.harness.results import Race
from bench.harness.session import Pace, Session
from bench.harness.turns import in_turn

PAPERS_RUNS = 4
MACHINE_CORES = 0.4
SMALL_MACHINE_CORES = 0.15
FLEETS = (("imgbatch", 1), ("imgbatch", 2), ("imgbatch", 4), ("paper", 1), ("paper", 2))
CURVE = (1, 2, 4, 8)
SLOW = "too slow for a brief session"


def contender_of(system: str, machines: int) -> str:
    """Return the name under which a fleet takes part."""
    return f"{system} x{machines}"


def fleet_run(
    bench: Session, system: str, machines: int, cores: float, set_name: str
) -> Callable[[], float]:
    """Return a run of a set on so many fresh machines; only the client's time counts."""
    url = bench.node().url
    client, folder = distributed(url)[system], bench.sets.folder(set_name)
    small = bench.sets.folder(f"warm-up-{set_name}")

    def run() -> float:
        with fleet(system, url, machines=machines, cores=cores):
            client.run(small, bench.output())
            return client.run(folder, bench.output()).seconds

    return run


def papers_tables(bench: Session, set_name: str) -> Race:
    """Race the fleets of both systems, four runs each as in the paper."""
    fleets = [one for one in FLEETS if one[0] == "imgbatch" or bench.pace is not Pace.BRIEF]
    runs = {contender_of(*one): fleet_run(bench, *one, MACHINE_CORES, set_name) for one in fleets}
    skipped = {contender_of(*one): SLOW for one in FLEETS if one not in fleets}
    return Race(f"machines/{set_name}", in_turn(runs, bench.rounds(PAPERS_RUNS)), {}, skipped)


def curve(bench: Session, set_name: str) -> Race:
    """Race fleets of small machines; no ratio is asked of them, so a brief session does not."""
    name = f"curve/{set_name}"
    if bench.pace is Pace.BRIEF:
        skipped = {contender_of("imgbatch", machines): SLOW for machines in CURVE}
        return Race(name, {}, {}, skipped)
    runs = {
        contender_of("imgbatch", machines): fleet_run(
            bench, "imgbatch", machines, SMALL_MACHINE_CORES, set_name
        )
        for machines in CURVE
    }
    return Race(name, in_turn(runs, bench.rounds(3)))


@pytest.mark.parametrize("set_name", ["tokyo", "crops"])
@pytest.mark.parametrize("contender", [contender_of(*one) for one in FLEETS])
def test_the_papers_tables(
    bench: Session, show: Callable[[Race, str], None], set_name: str, contender: str
) -> None:
    name = f"machines/{set_name}"
    show(bench.race(name, lambda: papers_tables(bench, set_name)), contender)


@pytest.mark.parametrize("set_name", ["tokyo", "crops"])
@pytest.mark.parametrize("machines", CURVE)
def test_a_curve_of_small_machines(
    bench: Session, show: Callable[[Race, str], None], set_name: str, machines: int
) -> None:
    race = bench.race(f"curve/{set_name}", lambda: curve(bench, set_name))
    show(race, contender_of("imgbatch", machines))
