"""Words that belong to a question are shown with it, and belong to one that is asked."""

from __future__ import annotations

from bench import prose
from bench.harness.results import Race, Results
from bench.questions import QUESTIONS, answer


def test_every_reason_and_takeaway_belongs_to_a_question_that_is_asked() -> None:
    asked = {question.text for question in QUESTIONS}
    assert set(prose._REASONS) <= asked
    assert set(prose._TAKEAWAYS) <= asked


def test_a_reason_is_given_where_a_floor_is_missed_and_only_there() -> None:
    question = next(known for known in QUESTIONS if known.text in prose._REASONS)
    shown = []
    for seconds in (0.01, 1000.0):
        race = Race(question.where, {question.ours: [1.0], question.theirs: [seconds]})
        found = answer(question, Results(races={race.name: race}))
        shown.append(question.text in prose.reasons([found]))
    assert shown == [True, False]
