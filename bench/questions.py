"""The questions that the benchmarks answer, each with the least we accept and what we aim at.

Everything here is computed from a results file: the report and the comparison read the same
answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.harness.ratios import Ratio, ratio_of
from bench.harness.results import Race, Results


class Kind(StrEnum):
    """What an answer's number is."""

    TIMES = "times as fast"
    SHARE = "of its throughput"
    SAVED = "of the time saved"
    BYTES = "times as few bytes"
    SECONDS = "s"
    MEGABYTES = "MB"


CEILINGS = (Kind.SECONDS, Kind.MEGABYTES)
"""Kinds of which less is better, and another machine finds another number."""
PERCENTAGES = (Kind.SHARE, Kind.SAVED)


@dataclass(frozen=True, slots=True)
class Question:
    """What a reader wants to know: a race, or a measure, and the contenders that are compared.

    `floor` and `aim` are the least (for ceilings the most) that is accepted, and what is hoped for.
    """

    text: str
    where: str
    theirs: str = ""
    floor: float | None = None
    aim: float | None = None
    kind: Kind = Kind.TIMES
    ours: str = "imgbatch"


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
            return f"not measured: {self.why_not}"
        sign = -1 if question.kind in CEILINGS else 1
        if question.floor is None:
            return ""
        if question.aim is not None and sign * found.median >= sign * question.aim:
            return "aim met"
        return "floor met" if sign * found.median >= sign * question.floor else "missed"


PAPER = "RabbitMQ engine against the paper's system"
LENT = "… against the paper's system with our receive buffer lent to it"
POOL = "Local engine against an OpenCV pool"
CELERY = "RabbitMQ engine against Celery on the same broker"
CODEC = "Local engine, of decoding and encoding alone"
ENGINES = "RabbitMQ engine, of the local engine"
MAGICK = "Local engine against ImageMagick"
FRAMES = "A photograph in frames against JSON, base64 and pickle"
JSON = "json, base64, pickle"
LOCAL = "imgbatch local"

_COMPARED = (
    Question(f"{PAPER}, Tokyo (an image)", "broker/tokyo", "paper", 18, 30),
    Question(f"{PAPER}, Crops", "broker/crops", "paper", 12, 20),
    Question(f"{POOL}, Tokyo", "local/tokyo", "opencv pool", 1.35, 1.6),
    Question(f"{POOL}, Crops", "local/crops", "opencv pool", 1.0, 1.4),
    Question(f"{POOL}, ten times Crops", "local/crops-x10", "opencv pool", 1.25),
    Question(f"{POOL}, Tokyo as PNG", "local/tokyo-png", "opencv pool", 1.7, 3),
    Question(f"{POOL}, Crops as PNG", "local/crops-png", "opencv pool", 1.5, 3),
    Question(f"{POOL}, 40 JPEGs of 12 megapixels", "local/large", "opencv pool", 1.35, 1.5),
    Question(f"{POOL}, 400 JPEGs of 0.5 megapixels", "local/small", "opencv pool", 1.08, 1.2),
    Question(f"{POOL}, 4,000 JPEGs of 0.5 megapixels", "local/small-x10", "opencv pool", 1.3, 1.4),
    Question(f"{POOL}, 10 PNGs of 8 megapixels", "local/large-png", "opencv pool", 1.4, 2),
    Question(f"{CELERY}, Tokyo", "broker/tokyo", "celery", 1.08, 1.5),
    Question(f"{CELERY}, Crops", "broker/crops", "celery", 1.27, 3),
    Question(f"{CODEC}, Tokyo", "local/tokyo", "codec floor", 0.80, 0.92, Kind.SHARE),
    Question(f"{CODEC}, Crops", "local/crops", "codec floor", 0.80, 0.92, Kind.SHARE),
    Question(f"{ENGINES}, Tokyo", "broker/tokyo", LOCAL, 0.92, 0.95, Kind.SHARE),
    Question(f"{ENGINES}, Crops", "broker/crops", LOCAL, 0.85, 0.88, Kind.SHARE),
    Question(f"{ENGINES}, 40 JPEGs of 12 megapixels", "broker/large", LOCAL, kind=Kind.SHARE),
    Question(
        f"{ENGINES}, 400 JPEGs of 0.5 megapixels",
        *("broker/small", LOCAL, 0.85, None, Kind.SHARE),
    ),
)

QUESTIONS = (
    *_COMPARED,
    Question(f"{LENT}, Tokyo (an image)", "broker/tokyo", "paper, wide receive"),
    Question(f"{LENT}, Crops", "broker/crops", "paper, wide receive"),
    Question("Local engine against pyvips, Tokyo", "local/tokyo", "pyvips", 2.5, 4),
    Question("Local engine against Pillow, Tokyo", "local/tokyo", "pillow", 3, 4),
    Question(f"{MAGICK} told the same arithmetic, Tokyo", "local/tokyo", "imagemagick", 20, 30),
    Question(
        f"{MAGICK} as it is mostly typed (-brightness-contrast, -sharpen), Tokyo",
        *("local/tokyo", "imagemagick everyday"),
    ),
    Question("Local engine against GraphicsMagick, Tokyo", "local/tokyo", "graphicsmagick"),
    Question(
        "Two machines instead of one, Tokyo (the paper: 19.91 %)",
        *("machines/tokyo", "imgbatch x1", 0.40, 0.47, Kind.SAVED, "imgbatch x2"),
    ),
    Question(
        "Two machines instead of one, Crops (the paper: 15.55 %)",
        *("machines/crops", "imgbatch x1", 0.40, 0.47, Kind.SAVED, "imgbatch x2"),
    ),
    Question(f"{FRAMES}: bytes", "protocol", JSON, 40, None, Kind.BYTES),
    Question(f"{FRAMES}: time", "protocol/photograph", JSON, 100),
    Question(
        "One small image, local engine, whole process, warm cache",
        *("start/one small image", "", 2.0, 1.2, Kind.SECONDS),
    ),
    Question("Memory of a worker, Tokyo", "memory", "", 300, None, Kind.MEGABYTES, "worker"),
    Question(
        "Memory of the client, 100,000 files, local engine",
        *("memory", "", 150, None, Kind.MEGABYTES, "client, 100,000 files, local"),
    ),
    Question(
        "Memory of the client, 100,000 files, RabbitMQ engine",
        *("memory", "", 150, None, Kind.MEGABYTES, "client, 100,000 files, rabbitmq"),
    ),
)
WITHOUT_PAGE = tuple(
    Question(
        f"{asked.text}, with --no-html",
        asked.where,
        asked.theirs + (" --no-html" if asked.theirs == LOCAL else ""),
        kind=asked.kind,
        ours=f"{asked.ours} --no-html",
    )
    for asked in _COMPARED
)


def answer(question: Question, results: Results) -> Answer:
    """Return the answer to one question."""
    if question.kind in (Kind.BYTES, Kind.MEGABYTES):
        return _from_measures(question, results)
    race = results.races.get(question.where)
    if race is None:
        return Answer(question, None, "its suite was not run")
    for contender in filter(None, (question.ours, question.theirs)):
        if not race.seconds.get(contender):
            return Answer(question, None, race.skipped.get(contender, "it did not run"))
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
    values = [results.measures[name] for name in names]
    number = values[1] / values[0] if question.kind is Kind.BYTES else values[0] / 1e6
    return Answer(question, Ratio(number, number, number, 1))
