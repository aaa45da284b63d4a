"""What the broker is to be told of a message that it delivered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Answer(IntEnum):
    """What becomes of a message: of the answers to its frames, the greatest."""

    ACKNOWLEDGE = 0  # it is done with
    REJECT = 1  # it is of no use to any consumer
    REQUEUE = 2  # it is to be delivered again, to this consumer or to another


@dataclass(frozen=True, slots=True)
class Settle:
    """Answer one frame of a delivery."""

    delivery: object
    answer: Answer = Answer.ACKNOWLEDGE
