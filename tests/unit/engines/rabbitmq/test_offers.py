"""What the client knows of images in flight, whatever is heard of them in which order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from imgbatch.batch.model import Job
from imgbatch.engines.rabbitmq import offers as offers_module
from imgbatch.engines.rabbitmq.offers import (
    DOUBTED,
    MAX_ATTEMPTS,
    TRANSITIONS,
    Event,
    Offer,
    Offers,
    Phase,
    Verdict,
)


def job(index: int) -> Job:
    return Job(index, Path("in", str(index)), Path("out", str(index)), 4, 0, 0o644)


@pytest.fixture
def offers() -> Offers:
    made = Offers()
    made.add([job(0)], 100.0)
    return made


def offer_of(offers: Offers, index: int = 0) -> Offer:
    offer = offers.find(index)
    assert offer is not None
    return offer


@pytest.mark.parametrize(
    ("phase", "event"), [(phase, event) for phase in Phase for event in Event], ids=str
)
def test_every_sign_of_an_image_moves_it_as_the_table_says(phase: Phase, event: Event) -> None:
    offers = Offers()
    (offer,) = offers.add([job(0)], 1.0)
    offer.phase = phase
    assert offers.note(0, event, 2.0) is offer
    assert offer.phase is TRANSITIONS[phase][event]
    assert offer.heard_seconds == 2.0


def test_the_rules_at_the_top_of_the_file_are_those_of_the_table() -> None:
    """A row for each pair that moves, and `any` for what holds in each phase."""
    rules = offers_module.__doc__ or ""
    table = rules.split("::\n", 1)[1].split("\n\n    phase", 1)[-1]
    named = set()
    for line in table.splitlines():
        words = line.split()
        if len(words) >= 3 and words[0].upper() in (*Phase.__members__, "ANY"):
            phases = list(Phase) if words[0] == "any" else [Phase[words[0].upper()]]
            for phase in phases:
                event = Event[words[1].upper()]
                assert TRANSITIONS[phase][event] is Phase[words[2].upper()], line
                named.add((phase, event))
    moving = {
        (phase, event)
        for phase, moves in TRANSITIONS.items()
        for event, following in moves.items()
        if following is not phase
    }
    assert moving <= named


@pytest.mark.parametrize("event", Event)
def test_what_has_ended_hears_nothing_more(offers: Offers, event: Event) -> None:
    assert offers.end(0) is not None
    assert len(offers) == 0
    assert offers.note(0, event, 101.0) is None
    assert offers.ask(0, True, 101.0) == (Verdict.WITHDRAW, None)
    assert offers.mourn(0, "worker-crashed", "") is None
    for tell in (offers.excuse, lambda indexes: offers.hold(indexes, 101.0)):
        tell((0,))
    offers.doubt(0)
    assert offers.lost(1000.0, 1000.0) == []


def test_a_result_that_comes_twice_is_counted_and_no_more(offers: Offers) -> None:
    assert offers.end(0) is not None
    assert offers.repeated == 0
    assert offers.end(0) is None
    assert offers.end(7) is None
    assert offers.repeated == 2


def test_an_image_that_kills_every_worker_is_given_to_three(offers: Offers) -> None:
    """The first has it without asking, as the ticket was new; each later one asks."""
    killed = 1
    while offers.ask(0, True, 101.0)[0] is Verdict.SEND:
        killed += 1
        assert killed < 10
    assert killed == MAX_ATTEMPTS == 3
    assert offer_of(offers).attempts == 3


def test_casualties_count_also_where_no_claim_was_seen(offers: Offers) -> None:
    for number in range(MAX_ATTEMPTS):
        offers.mourn(0, "worker-crashed", f"worker {number}")
    assert offers.ask(0, True, 101.0)[0] is Verdict.FAIL
    assert offer_of(offers).casualties[-1] == ("worker-crashed", "worker 2")


def test_asking_again_for_a_lost_piece_is_no_attempt(offers: Offers) -> None:
    for _ in range(10):
        assert offers.ask(0, False, 101.0)[0] is Verdict.SEND
    assert offer_of(offers).attempts == 1


def test_tickets_that_come_back_unbegun_are_no_attempts(offers: Offers) -> None:
    for _ in range(10):
        offers.excuse((0, 99))
        assert offers.ask(0, True, 101.0)[0] is Verdict.SEND
    assert offer_of(offers).attempts == 1


def test_no_number_of_excuses_makes_room_for_more_than_three(offers: Offers) -> None:
    for _ in range(20):
        offers.excuse((0,))
    killed = 0
    while offers.ask(0, True, 101.0)[0] is Verdict.SEND:
        killed += 1
        assert killed < 10
    assert killed == MAX_ATTEMPTS


def test_a_broker_that_was_away_blames_no_worker(offers: Offers) -> None:
    for _ in range(2):
        offers.ask(0, True, 101.0)
    offers.forgive()
    assert offer_of(offers).attempts == 0
    offers.mourn(0, "worker-crashed", "but this one is known")
    assert offer_of(offers).attempts == 1


def test_an_image_without_a_sign_is_offered_again_once(offers: Offers) -> None:
    offers.add([job(1)], 200.0)
    assert offers.lost(100.0, 300.0) == []
    (lost,) = offers.lost(150.0, 300.0)
    assert lost.job.index == 0
    assert (lost.attempt, lost.phase) == (1, Phase.OFFERED)
    assert offers.lost(150.0, 301.0) == []


def test_what_a_worker_holds_is_not_lost_however_long(offers: Offers) -> None:
    for second in range(105, 1000, 5):
        offers.hold((0,), float(second))
        assert offers.lost(second - 30.0, float(second)) == []
    assert offer_of(offers).phase is Phase.HELD


def test_what_was_doubted_is_offered_at_once(offers: Offers) -> None:
    offers.doubt(0)
    assert [lost.job.index for lost in offers.lost(0.0, 101.0)] == [0]


def test_what_was_heard_before_a_cut_is_believed_less(offers: Offers) -> None:
    offers.add([job(1)], 10.0)
    offers.doubt_all(50.0)
    assert offer_of(offers, 0).heard_seconds == 50.0
    assert offer_of(offers, 1).heard_seconds == 10.0


@pytest.mark.parametrize(("tickets", "lost"), [(0, [0, 1, 2]), (1, [0, 1]), (3, []), (9, [])])
def test_of_those_that_were_offered_the_last_are_in_the_queue(
    tickets: int, lost: list[int]
) -> None:
    offers = Offers()
    for index in range(3):
        offers.add([job(index)], 100.0 + index)
    offers.count_waiting(tickets, 150.0)
    assert [offer.job.index for offer in offers.lost(120.0, 150.0)] == lost


@pytest.mark.parametrize(
    ("messages", "lost"), [(0, [0, 1, 2, 3, 4]), (1, [0, 1, 2, 3]), (2, [0, 1]), (3, []), (9, [])]
)
def test_images_whose_tickets_left_together_wait_together(messages: int, lost: list[int]) -> None:
    offers = Offers()
    for bundle, seconds in (([0, 1], 100.0), ([2, 3], 101.0), ([4], 102.0)):
        offers.add(map(job, bundle), seconds)
    offers.count_waiting(messages, 150.0)
    assert [offer.job.index for offer in offers.lost(120.0, 150.0)] == lost


def test_a_message_is_in_flight_as_long_as_an_image_of_its_tickets_is() -> None:
    offers = Offers()
    offers.add(map(job, range(3)), 100.0)
    offers.add([job(3)], 101.0)
    assert offers.bundles == 2
    offers.end(0)
    offers.end(2)
    assert (len(offers), offers.bundles) == (2, 2)
    offers.end(1)
    assert (len(offers), offers.bundles) == (1, 1)
    offers.end(1)
    assert offers.bundles == 1


def test_what_is_offered_again_is_alone_in_its_message() -> None:
    offers = Offers()
    offers.add(map(job, range(3)), 100.0)
    offers.doubt(0)
    offers.doubt(1)
    assert [offer.job.index for offer in offers.lost(90.0, 110.0)] == [0, 1]
    assert offers.bundles == 3
    offers.count_waiting(2, 150.0)
    assert [offer.job.index for offer in offers.lost(120.0, 160.0)] == [2]


def test_a_count_says_nothing_of_what_is_held_known_lost_or_offered_since() -> None:
    offers = Offers()
    for index in range(4):
        offers.add([job(index)], 100.0)
    offers.hold((0,), 100.0)
    offers.doubt(1)
    offers.note(2, Event.LOST, 160.0)
    offers.count_waiting(4, 150.0)
    heard = [offer_of(offers, index).heard_seconds for index in range(4)]
    assert heard == [100.0, DOUBTED, 160.0, 150.0]


class Poison(RuleBasedStateMachine):
    """One image, and workers that take it, ask, give it back, lose touch and die, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.offers = Offers()
        (self.offer,) = self.offers.add([job(0)], 0.0)
        self.now = 0.0
        self.allowed = 0
        self.reported = 0
        self.pardoned = 1

    @rule()
    def a_worker_is_about_to_begin(self) -> None:
        verdict, _ = self.offers.ask(0, True, self.now)
        self.allowed += verdict is Verdict.SEND
        if verdict is Verdict.FAIL:
            assert self.offer.attempts >= MAX_ATTEMPTS

    @rule()
    def a_piece_is_asked_for_again(self) -> None:
        assert self.offers.ask(0, False, self.now)[0] is Verdict.SEND

    @rule()
    def a_ticket_comes_back(self) -> None:
        self.offers.excuse((0,))
        self.pardoned += 1

    @precondition(lambda self: self.reported < self.allowed + 1)
    @rule()
    def a_worker_dies_and_its_machine_says_so(self) -> None:
        self.offers.mourn(0, "worker-crashed", "")
        self.reported += 1

    @rule()
    def the_broker_was_away(self) -> None:
        self.offers.forgive()
        self.pardoned += self.allowed + 1

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.offers.lost(self.now - 30.0, self.now)

    @invariant()
    def no_more_than_three_are_let_in_but_for_pardons(self) -> None:
        assert self.offer.attempts >= self.reported
        # Every worker that was let in beyond the third had another's pardon.
        assert self.allowed + 1 <= MAX_ATTEMPTS + self.pardoned
        assert 0 <= self.offer.excused <= self.offer.claims + 1

    @invariant()
    def it_is_in_a_phase_of_the_table(self) -> None:
        assert self.offer.phase in TRANSITIONS
        assert self.offer.attempt <= self.now / 30 + 1


TestPoison = Poison.TestCase
TestPoison.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_a_worker_whose_question_comes_twice_is_counted_once() -> None:
    offers = Offers()
    (offer,) = offers.add([job(0)], 0.0)
    for _ in range(5):
        assert offers.ask(0, True, 1.0, ("imgbatch.worker.a", 7))[0] is Verdict.SEND
    assert offer.claims == 1
    offers.ask(0, True, 1.0, ("imgbatch.worker.a", 8))
    assert offer.claims == 2
    assert offers.ask(0, True, 1.0, ("imgbatch.worker.b", 7))[0] is Verdict.FAIL
