"""Which machines there are, and which of them work for a run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.frames import announcement

from imgbatch.batch.model import MachineUse
from imgbatch.engines.rabbitmq.machines import (
    AGREED_SECONDS,
    DIFFERING_SECONDS,
    MOST_MACHINES,
    MOST_USES,
    REFUSED_SECONDS,
    STATUS_SECONDS,
    STATUSES_PER_SECOND,
    MachineRegistry,
)
from imgbatch.logs import MOST_SAID
from imgbatch.protocol.frames import ServerStatus

SILENT_SECONDS = announcement().silence_seconds


def machine(name: str, /, **changes: object) -> ServerStatus:
    fields = {"machine": name, "name": name, "host": f"{name}.example", "procs": 4}
    return announcement(**(fields | {"queue": f"imgbatch.server.{name}"} | changes))


def registry_of(*names: str, most: int | None = None, mixed: bool = False) -> MachineRegistry:
    """Return a registry that heard of machines a second ago, and may choose."""
    registry = MachineRegistry(most, mixed)
    for name in names:
        registry.hear(machine(name), -DIFFERING_SECONDS)
    return registry


def working(registry: MachineRegistry, now: float = 0.0) -> list[str]:
    registry.update(now)
    return [status.machine for status in registry.leased]


def test_all_machines_that_are_heard_of_work() -> None:
    registry = registry_of("a", "b")
    assert len(registry.leased) == registry.procs == 0
    assert working(registry) == ["a", "b"]
    assert (len(registry.leased), registry.procs) == (2, 8)
    registry.hear(machine("late"), 1.0)
    assert working(registry, 1.0) == ["a", "b", "late"]


def test_no_more_work_than_were_asked_for_and_they_stay_the_same() -> None:
    registry = registry_of("a", "b", "c", most=2)
    assert working(registry) == ["a", "b"]
    registry.hear(machine("c", busy=0), 1.0)
    assert working(registry, 1.0) == ["a", "b"]
    assert registry.procs == 8


def test_a_machine_that_says_how_seldom_it_speaks_is_waited_for_though_not_for_ever() -> None:
    registry = MachineRegistry(None, mixed=False)
    for name, seconds in (("often", 3.0), ("seldom", 25.0), ("never", 2.0**53)):
        registry.hear(machine(name, interval_seconds=seconds), 0.0)
    assert working(registry, SILENT_SECONDS) == ["often", "seldom", "never"]
    assert working(registry, 75.0) == ["seldom", "never"]
    assert working(registry, 180.0) == ["never"]
    assert working(registry, 182.0) == []


@pytest.mark.parametrize("machines", [1, 60, 61, 300, MOST_MACHINES])
def test_however_many_machines_there_are_a_client_hears_no_more_than_so_much(machines: int) -> None:
    registry = registry_of(*map(str, range(machines)))
    per_second = machines / registry.status_seconds
    assert per_second == pytest.approx(min(machines / STATUS_SECONDS, STATUSES_PER_SECOND))


def test_a_machine_that_falls_silent_is_replaced() -> None:
    registry = registry_of("a", "b", "c", most=2)
    working(registry)
    for name in ("b", "c"):
        registry.hear(machine(name), SILENT_SECONDS)
    heard = -DIFFERING_SECONDS
    assert working(registry, heard + SILENT_SECONDS) == ["a", "b"]
    assert working(registry, heard + SILENT_SECONDS + 0.1) == ["b", "c"]


def test_machines_that_are_forgotten_are_told_so_once() -> None:
    """They may have stood still, and would go on working beside their replacement."""
    registry = registry_of("a", "b", most=1)
    assert registry.update(0.0) == []
    registry.hear(machine("b"), 20.0)
    assert registry.update(20.0) == [machine("a")]
    assert working(registry, 20.0) == ["b"]
    assert registry.update(20.0) == []


def test_asking_who_works_changes_nothing() -> None:
    registry = registry_of("a", "b", most=1)
    assert registry.leased == []
    assert working(registry) == ["a"]
    assert [status.machine for status in registry.leased] == ["a"]
    registry.hear(machine("b"), 100.0)
    assert [status.machine for status in registry.leased] == ["a"]


def test_a_machine_that_leaves_is_replaced_at_once() -> None:
    registry = registry_of("a", "b", most=1)
    assert working(registry) == ["a"]
    registry.hear(machine("a", leaving=True), 1.0)
    assert working(registry, 1.0) == ["b"]


def test_a_machine_says_itself_that_it_can_not_work() -> None:
    registry = registry_of("a", "b", most=1)
    working(registry)
    registry.refuse("a", "it works for 200 batches already", 0.0)
    registry.refuse("unheard of", "why", 0.0)
    assert working(registry) == ["b"]
    assert registry.refusals == ["it works for 200 batches already"]
    registry.hear(machine("a"), 1.0)
    assert working(registry, 1.0) == ["b"]


def test_a_machine_that_could_not_work_is_asked_again_later() -> None:
    registry = registry_of("a")
    working(registry)
    registry.refuse("a", "it works for 200 batches already", 0.0)
    for now in (5.0, REFUSED_SECONDS - 0.1):
        registry.hear(machine("a"), now)
        assert working(registry, now) == []
    assert working(registry, REFUSED_SECONDS) == ["a"]
    assert registry.refusals == []


def test_a_machine_that_computes_other_bits_is_refused_by_name() -> None:
    registry = registry_of("first")
    assert working(registry) == ["first"]
    registry.hear(machine("odd", digest="other", components={"numba": "0.1"}), 0.0)
    assert working(registry) == ["first"]
    (refusal,) = registry.refusals
    assert refusal.startswith("odd (odd.example) computes other bits than first: numba 0.1; ")
    assert "--mixed-fleet" in refusal


def test_one_outdated_machine_that_answers_first_locks_nobody_out() -> None:
    registry = MachineRegistry(None, mixed=False)
    registry.hear(machine("old", digest="old"), 0.0)
    for number in range(49):
        registry.hear(machine(f"new-{number}"), AGREED_SECONDS * 0.9)
    assert working(registry, AGREED_SECONDS) == []
    assert registry.is_collecting(AGREED_SECONDS)
    assert len(working(registry, DIFFERING_SECONDS)) == 49
    (refusal,) = registry.refusals
    assert refusal.startswith("old (old.example) computes other bits than new-0: ")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 100)), min_size=1))
def test_the_digest_of_most_machines_is_taken(machines: list[tuple[str, int]]) -> None:
    """However many processes one of them says that it has."""
    registry = MachineRegistry(None, mixed=False)
    for number, (digest, procs) in enumerate(machines):
        registry.hear(machine(f"m{number}", digest=digest, procs=procs), 0.0)
    registry.update(DIFFERING_SECONDS)
    (taken,) = {status.digest for status in registry.leased}
    digests = [digest for digest, _ in machines]
    assert digests.count(taken) == max(map(digests.count, digests))
    assert len(registry.leased) + len(registry.refusals) == len(machines)


def test_no_more_machines_are_known_than_a_fleet_may_have() -> None:
    registry = MachineRegistry(None, mixed=False)
    for number in range(2 * MOST_MACHINES):
        registry.hear(machine(f"m{number}"), 0.0)
    assert len(working(registry, AGREED_SECONDS)) == MOST_MACHINES


def test_machines_that_agree_are_not_waited_for_long() -> None:
    registry = MachineRegistry(None, mixed=False)
    assert not registry.is_collecting(0.0)
    registry.hear(machine("a"), 0.0)
    registry.hear(machine("b"), AGREED_SECONDS / 4)
    assert working(registry, AGREED_SECONDS / 2) == []
    assert working(registry, AGREED_SECONDS) == ["a", "b"]
    registry.hear(machine("odd", digest="other"), 1.0)
    assert not registry.is_collecting(1.0)
    assert working(registry, 1.0) == ["a", "b"]


def test_a_mixed_fleet_may_compute_different_bits() -> None:
    registry = MachineRegistry(None, mixed=True)
    registry.hear(machine("a", digest="1"), 0.0)
    registry.hear(machine("b", digest="2"), 0.0)
    assert working(registry, AGREED_SECONDS) == ["a", "b"]
    assert registry.refusals == []
    assert {use.id: use.digest for use in registry.uses} == {"a": "1", "b": "2"}


def test_what_each_machine_has_done_is_counted_also_when_it_is_gone() -> None:
    registry = registry_of("a")
    working(registry)
    registry.count("a", 0.5)
    registry.count("a", 0.25)
    registry.hear(machine("a", leaving=True), 1.0)
    registry.count("a", 0.25)
    assert registry.uses == [MachineUse("a", "a.example", 4, 3, 1.0, machine("a").digest)]


def test_a_result_of_a_machine_that_was_never_heard_of_is_counted() -> None:
    registry = registry_of()
    registry.count("z", 2.0)
    assert registry.uses == [MachineUse("z", "", 0, 1, 2.0)]


@pytest.mark.parametrize("most", [1, None])
def test_machines_of_the_same_name_are_two(most: int | None) -> None:
    registry = MachineRegistry(most, mixed=False)
    for suffix in ("1", "2"):
        registry.hear(machine(f"box-{suffix}", name="box"), 0.0)
    assert len(working(registry, AGREED_SECONDS)) == (most or 2)


def test_machines_that_come_and_go_and_do_nothing_are_forgotten() -> None:
    registry = registry_of("a")
    working(registry)
    registry.count("a", 1.0)
    registry.hear(machine("a", leaving=True), 1.0)
    for number in range(MOST_USES + 10):
        registry.hear(machine(f"m{number}"), 1.0)
        registry.update(1.0)
        registry.hear(machine(f"m{number}", leaving=True), 1.0)
    assert len(registry.uses) <= MOST_USES
    assert [use.images for use in registry.uses if use.id == "a"] == [1]


def test_refusals_are_logged_once_each_and_not_without_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = registry_of("a")
    for number in range(2 * MOST_SAID):
        registry.refuse("a", f"for reason {number}", 1.0)
        registry.refuse("a", "for another reason", 1.0)
    assert len(caplog.records) == MOST_SAID
