"""What the engine and its worker processes say to each other.

Image bytes never pass between them: a worker is given tasks, and answers each with an `Outcome`, or
with `OutputUnwritable`. None is its farewell.
"""

from __future__ import annotations

from dataclasses import dataclass

from imgbatch.batch.model import Failure, Job
from imgbatch.batch.write import OutputPolicy
from imgbatch.images.limits import Limits
from imgbatch.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Setup:
    """What is the same for all images of a run."""

    recipe: Recipe
    limits: Limits
    policy: OutputPolicy


@dataclass(frozen=True, slots=True)
class Task:
    """An image to process, and how many workers had begun it and are gone."""

    job: Job
    failures: int = 0


@dataclass(frozen=True, slots=True)
class OutputUnwritable:
    """Why no further file can be written."""

    failure: Failure
