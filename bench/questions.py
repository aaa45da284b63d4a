"""The questions that the benchmarks answer, each with the least we accept and what we aim at.

Everything here is computed from a results file: the report and the comparison read the same
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.harness.results import Race, Results
from bench.harness.turns import ratio_of
from bench.paired import Ratio


class Kind(StrEnum):
    """What an answer's number is."""

    TIMES = "times as fast"
    SHARE = "of its throughput"
    SAVED = "of the time saved"
    BYTES = "times as few bytes"
    SECONDS = "s"
    MEGABYTES = "MB"

    @property
    def is_ceiling(self) -> bool:
        """Whether less is better."""
        return self in (Kind.SECONDS, Kind.MEGABYTES)

    @property
    def is_relative(self) -> bool:
        """Whether another machine should find about the same."""
        return not self.is_ceiling


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the table of answers.

    Parameters
    ----------
    text
        What a reader wants to know.
    kind
        Whether the answer is a ratio of times per image, a saving, bytes or seconds.
    where
        The race; for figures that are no race, the measure.
    ours, theirs
        The contenders, or measures, whose times are set against each other.
    floor, aim
        The least (for ceilings the most) that is accepted, and what is hoped for.
    """

    text: str
    kind: Kind
    where: str
    ours: str = "imgbatch"
    theirs: str = ""
    floor: float | None = None
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A question with what was found; None where nothing was."""

    question: Question
    found: Ratio | None
    why_not: str = ""

    @property
    def verdict(self) -> str:
        """Return how the answer stands to floor and aim."""
        question, found = self.question, self.found
        if found is None:
            return "not measured"
        if question.floor is None:
            return ""
        if question.aim is not None and _reaches(question, found.median, question.aim):
            return "aim met"
        return "floor met" if _reaches(question, found.median, question.floor) else "missed"


def _reaches(question: Question, value: float, bound: float) -> bool:
    return value <= bound if question.kind.is_ceiling else value >= bound


QUESTIONS = (
    Question(
        "RabbitMQ engine against the paper's system, Tokyo (an image)",
        *(Kind.TIMES, "broker/tokyo", "imgbatch", "paper", 18, 30),
    ),
    Question(
        "RabbitMQ engine against the paper's system, Crops",
        *(Kind.TIMES, "broker/crops", "imgbatch", "paper", 12, 20),
    ),
    Question(
        "… against the paper's system with our receive buffer lent to it, Tokyo (an image)",
        *(Kind.TIMES, "broker/tokyo", "imgbatch", "paper, wide receive"),
    ),
    Question(
        "… against the paper's system with our receive buffer lent to it, Crops",
        *(Kind.TIMES, "broker/crops", "imgbatch", "paper, wide receive"),
    ),
    Question(
        "Local engine against an OpenCV pool, Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "opencv pool", 1.3, 1.6),
    ),
    Question(
        "Local engine against an OpenCV pool, Crops",
        *(Kind.TIMES, "local/crops", "imgbatch", "opencv pool", 1.2, 1.4),
    ),
    Question(
        "Local engine against an OpenCV pool, Tokyo as PNG",
        *(Kind.TIMES, "local/tokyo-png", "imgbatch", "opencv pool", 2, 3),
    ),
    Question(
        "Local engine against an OpenCV pool, Crops as PNG",
        *(Kind.TIMES, "local/crops-png", "imgbatch", "opencv pool", 2, 3),
    ),
    Question(
        "Local engine against pyvips, Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "pyvips", 2.5, 4),
    ),
    Question(
        "Local engine against Pillow, Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "pillow", 3, 4),
    ),
    Question(
        "Local engine against ImageMagick told the same arithmetic, Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "imagemagick", 20, 30),
    ),
    Question(
        "Local engine against ImageMagick as it is mostly typed "
        "(-brightness-contrast, -sharpen), Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "imagemagick everyday"),
    ),
    Question(
        "Local engine against GraphicsMagick, Tokyo",
        *(Kind.TIMES, "local/tokyo", "imgbatch", "graphicsmagick"),
    ),
    Question(
        "RabbitMQ engine against Celery on the same broker, Tokyo",
        *(Kind.TIMES, "broker/tokyo", "imgbatch", "celery", 1.2, 1.5),
    ),
    Question(
        "RabbitMQ engine against Celery on the same broker, Crops",
        *(Kind.TIMES, "broker/crops", "imgbatch", "celery", 2, 3),
    ),
    Question(
        "Local engine, of decoding and encoding alone, Tokyo",
        *(Kind.SHARE, "local/tokyo", "imgbatch", "codec floor", 0.80, 0.92),
    ),
    Question(
        "Local engine, of decoding and encoding alone, Crops",
        *(Kind.SHARE, "local/crops", "imgbatch", "codec floor", 0.80, 0.92),
    ),
    Question(
        "RabbitMQ engine, of the local engine, Tokyo",
        *(Kind.SHARE, "broker/tokyo", "imgbatch", "imgbatch local", 0.80, 0.95),
    ),
    Question(
        "RabbitMQ engine, of the local engine, Crops",
        *(Kind.SHARE, "broker/crops", "imgbatch", "imgbatch local", 0.75, 0.88),
    ),
    Question(
        "Two machines instead of one, Tokyo (the paper: 19.91 %)",
        *(Kind.SAVED, "machines/tokyo", "imgbatch x2", "imgbatch x1", 0.40, 0.47),
    ),
    Question(
        "Two machines instead of one, Crops (the paper: 15.55 %)",
        *(Kind.SAVED, "machines/crops", "imgbatch x2", "imgbatch x1", 0.40, 0.47),
    ),
    Question(
        "A photograph in frames against JSON, base64 and pickle: bytes",
        *(Kind.BYTES, "protocol", "imgbatch", "json, base64, pickle", 40),
    ),
    Question(
        "A photograph in frames against JSON, base64 and pickle: time",
        *(Kind.TIMES, "protocol/photograph", "imgbatch", "json, base64, pickle", 100),
    ),
    Question(
        "One small image, local engine, whole process, warm cache",
        *(Kind.SECONDS, "start/one small image", "imgbatch", "", 2.0, 1.2),
    ),
    Question("Memory of a worker, Tokyo", Kind.MEGABYTES, "memory", "worker", "", 300),
    Question(
        "Memory of the client, 100,000 files, local engine",
        *(Kind.MEGABYTES, "memory", "client, 100,000 files, local", "", 150),
    ),
    Question(
        "Memory of the client, 100,000 files, RabbitMQ engine",
        *(Kind.MEGABYTES, "memory", "client, 100,000 files, rabbitmq", "", 150),
    ),
)


def answers(results: Results) -> list[Answer]:
    """Return the answer that a results file has to each question."""
    return [answer(question, results) for question in QUESTIONS]


def answer(question: Question, results: Results) -> Answer:
    """Return the answer to one question."""
    if question.kind in (Kind.BYTES, Kind.MEGABYTES):
        return _from_measures(question, results)
    race = results.races.get(question.where)
    if race is None:
        return Answer(question, None, "its suite was not run")
    for contender in filter(None, (question.ours, question.theirs)):
        if not race.seconds.get(contender):
            why = race.skipped.get(contender) or race.failed.get(contender, "it did not run")
            return Answer(question, None, why.splitlines()[0])
    return Answer(question, _from_race(question, race))


def _from_race(question: Question, race: Race) -> Ratio:
    ours = race.per_image(question.ours)
    if question.kind is Kind.SECONDS:
        return ratio_of(race.seconds[question.ours], [1.0] * len(ours))
    ratio = ratio_of(race.per_image(question.theirs), ours)
    if question.kind is not Kind.SAVED:
        return ratio
    return Ratio(1 - 1 / ratio.median, 1 - 1 / ratio.low, 1 - 1 / ratio.high, ratio.n)


def _from_measures(question: Question, results: Results) -> Answer:
    names = [f"{question.where}/{name}" for name in (question.ours, question.theirs) if name]
    if any(name not in results.measures for name in names):
        return Answer(question, None, "its suite was not run")
    values = [results.measures[name].value for name in names]
    number = values[1] / values[0] if question.kind is Kind.BYTES else values[0] / 1e6
    return Answer(question, Ratio(number, number, number, 1))
