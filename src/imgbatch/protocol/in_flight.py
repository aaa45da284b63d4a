"""An image that a client has in flight, and the table that decides what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from imgbatch.errors import MAX_ATTEMPTS, Code, WorkerFailed
from imgbatch.protocol.assembly import Transfer
from imgbatch.protocol.frames import Result


class JobState(Enum):
    """Where an image in flight is."""

    OFFERED = auto()  # its ticket is in the queue, or with a worker
    ARRIVING = auto()  # a part of its result has come
    CLOSING = auto()  # all of it has, or it has failed; being written and reported


class JobEvent(Enum):
    """What happens to it."""

    RESULT = auto()  # begins to come
    COMPLETE = auto()  # it has come
    DAMAGED = auto()  # it is of no use
    SILENT = auto()  # no trace of it: its ticket is published again
    FAIL = auto()


_S, _E = JobState, JobEvent
TRANSITIONS: dict[tuple[JobState, JobEvent], tuple[JobState, bool]] = {
    (_S.OFFERED, _E.RESULT): (_S.ARRIVING, False),
    (_S.OFFERED, _E.DAMAGED): (_S.OFFERED, False),
    (_S.OFFERED, _E.SILENT): (_S.OFFERED, False),
    (_S.OFFERED, _E.FAIL): (_S.CLOSING, False),
    (_S.ARRIVING, _E.RESULT): (_S.ARRIVING, True),  # another worker's, or the same sent again
    (_S.ARRIVING, _E.COMPLETE): (_S.CLOSING, False),
    (_S.ARRIVING, _E.DAMAGED): (_S.OFFERED, True),
    (_S.ARRIVING, _E.SILENT): (_S.OFFERED, True),
    (_S.ARRIVING, _E.FAIL): (_S.CLOSING, True),
}
"""What an event makes of an image, and whether the part of its result that was written is
discarded. Any other pair changes nothing: what is closing can't be lost, fail or come again."""


@dataclass(slots=True, eq=False)
class InFlightJob:
    """An image in flight.

    Parameters
    ----------
    index, handle
        Its number in the run, and what its owner knows it by.
    share
        Of the message in which its ticket went out last, maybe with others.
    sequence
        Tickets that were published later have larger numbers.
    heard_seconds
        When the last sign of it was seen.
    attempt
        How often its ticket was published again.
    claims
        Machines of the workers that were allowed to begin with a ticket given out before.
    claimants
        The queues and transfers by which those asked: a question that comes twice counts once.
    crashes
        What servers said of the workers that died with it: code and sentence.
    damaged
        How often its result came damaged.
    sending
        Queues and transfers of workers to which its image is about to be sent, or on its way.
    result, transfer
        Of the result that is arriving, and how much of it has come.
    """

    index: int
    handle: object
    share: float
    sequence: int = 0
    heard_seconds: float = 0.0
    state: JobState = JobState.OFFERED
    attempt: int = 0
    claims: list[str] = field(default_factory=list)
    claimants: set[tuple[str, int]] = field(default_factory=set)
    crashes: list[tuple[str, str]] = field(default_factory=list)
    damaged: int = 0
    sending: set[tuple[str, int]] = field(default_factory=set)
    result: Result | None = None
    transfer: Transfer | None = None

    @property
    def attempts(self) -> int:
        """How many workers have begun it, as far as is known.

        The worker that had the first ticket did not ask. It counts only where a worker is known to
        have died with the image: if its whole machine is gone, the image may have waited there.
        """
        return max(len(self.claims) + bool(self.crashes), len(self.crashes))

    def discount_attempt(self, machine: str) -> None:
        """Count no longer that a worker of a machine was allowed to begin: it lives."""
        if machine in self.claims:
            self.claims.remove(machine)

    def lost_workers(self) -> WorkerFailed:
        """Return the failure of an image that no worker survived."""
        codes = {code for code, _ in self.crashes}
        code = Code.IMAGE_TIMEOUT if codes == {Code.IMAGE_TIMEOUT} else Code.WORKER_CRASHED
        last = self.crashes[-1][1] if self.crashes else "nothing was heard of them"
        return WorkerFailed(
            code, f"{MAX_ATTEMPTS} workers were lost with this image in their hands; last: {last}"
        )
