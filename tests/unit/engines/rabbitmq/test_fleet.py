"""Which machines there are, and which of them work for a run."""

from __future__ import annotations

import pytest
from tests.support.frames import announcement

from imgbatch.batch.model import MachineUse
from imgbatch.engines.rabbitmq.fleet import SILENT_SECONDS, Fleet
from imgbatch.protocol import ServerStatus


def machine(name: str, /, **changes: object) -> ServerStatus:
    fields = {"machine": name, "name": name, "host": f"{name}.example", "procs": 4}
    return announcement(**(fields | {"queue": f"imgbatch.server.{name}"} | changes))


def fleet_of(*names: str, most: int | None = None, mixed: bool = False) -> Fleet:
    fleet = Fleet(most, mixed)
    for name in names:
        fleet.hear(machine(name), 0.0)
    return fleet


def working(fleet: Fleet, now: float = 0.0) -> list[str]:
    return [announced.machine for announced in fleet.enlist(now)]


def test_all_machines_that_are_heard_of_work() -> None:
    fleet = fleet_of("a", "b")
    assert fleet.working == fleet.procs == 0
    assert working(fleet) == ["a", "b"]
    assert (fleet.working, fleet.procs) == (2, 8)
    fleet.hear(machine("late"), 1.0)
    assert working(fleet, 1.0) == ["a", "b", "late"]


def test_no_more_work_than_were_asked_for_and_they_stay_the_same() -> None:
    fleet = fleet_of("a", "b", "c", most=2)
    assert working(fleet) == ["a", "b"]
    fleet.hear(machine("c", busy=0), 1.0)
    assert working(fleet, 1.0) == ["a", "b"]
    assert fleet.procs == 8


def test_a_machine_that_falls_silent_is_replaced() -> None:
    fleet = fleet_of("a", "b", "c", most=2)
    working(fleet)
    for name in ("b", "c"):
        fleet.hear(machine(name), SILENT_SECONDS)
    assert working(fleet, SILENT_SECONDS) == ["a", "b"]
    assert working(fleet, SILENT_SECONDS + 0.1) == ["b", "c"]


def test_machines_that_were_let_go_are_told_so_once() -> None:
    """They may have stood still, and would go on working beside their replacement."""
    fleet = fleet_of("a", "b", most=1)
    working(fleet)
    assert fleet.dropped() == []
    fleet.hear(machine("b"), 20.0)
    assert working(fleet, 20.0) == ["b"]
    assert fleet.dropped() == ["imgbatch.server.a"]
    assert fleet.dropped() == []


def test_a_machine_that_leaves_is_replaced_at_once() -> None:
    fleet = fleet_of("a", "b", most=1)
    assert working(fleet) == ["a"]
    fleet.hear(machine("a", leaving=True), 1.0)
    assert working(fleet, 1.0) == ["b"]


def test_a_machine_says_itself_that_it_can_not_work() -> None:
    fleet = fleet_of("a", "b", most=1)
    working(fleet)
    fleet.refuse("a", "its queue is another program's")
    fleet.refuse("unheard of", "why")
    assert working(fleet) == ["b"]
    assert fleet.refusals == ["its queue is another program's"]
    fleet.hear(machine("a"), 1.0)
    assert working(fleet, 1.0) == ["b"]


def test_a_machine_that_computes_other_bits_is_refused_by_name() -> None:
    fleet = fleet_of("first")
    fleet.hear(machine("odd", digest="other", components={"numba": "0.1"}), 0.0)
    assert working(fleet) == ["first"]
    (refusal,) = fleet.refusals
    assert refusal.startswith("odd (odd.example) computes other bits than first: numba 0.1; ")
    assert "--mixed-fleet" in refusal


def test_a_mixed_fleet_may_compute_different_bits() -> None:
    fleet = Fleet(None, mixed=True)
    fleet.hear(machine("a", digest="1"), 0.0)
    fleet.hear(machine("b", digest="2"), 0.0)
    assert working(fleet) == ["a", "b"]
    assert fleet.refusals == []
    assert {use.id: use.digest for use in fleet.uses} == {"a": "1", "b": "2"}


def test_what_each_machine_has_done_is_counted_also_when_it_is_gone() -> None:
    fleet = fleet_of("a")
    working(fleet)
    fleet.count("a", 0.5)
    fleet.count("a", 0.25)
    fleet.hear(machine("a", leaving=True), 1.0)
    fleet.count("a", 0.25)
    assert fleet.uses == [MachineUse("a", "a.example", 4, 3, 1.0, machine("a").digest)]


def test_a_result_of_a_machine_that_was_never_heard_of_is_counted() -> None:
    fleet = fleet_of()
    fleet.count("z", 2.0)
    assert fleet.uses == [MachineUse("z", "", 0, 1, 2.0)]


@pytest.mark.parametrize("most", [1, None])
def test_machines_of_the_same_name_are_two(most: int | None) -> None:
    fleet = Fleet(most, mixed=False)
    for suffix in ("1", "2"):
        fleet.hear(machine(f"box-{suffix}", name="box"), 0.0)
    assert len(working(fleet)) == (most or 2)
