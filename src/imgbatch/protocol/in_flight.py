"""An image that a client has in flight."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from imgbatch.errors import MAX_ATTEMPTS, Code, WorkerFailed
from imgbatch.protocol.frames import Chunk, Result, ResultKind

MOST_CLAIMANTS = 100
"""That are remembered of an image: claims can be given back and made again without end."""


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
        The queues and transfers by which the last of those asked: a question that comes twice
        counts once.
    crashes
        What servers said of the last workers that died with it: code and sentence.
    sending
        Queues and transfers of workers to which its image is about to be sent, or on its way.
    result, arrived_bytes
        Of the result that is arriving, and how much of it has come.
    closing
        All of its result has come, or it has failed: it is being written and reported, and can't be
        lost, fail or come again.
    """

    index: int
    handle: object
    share: float
    sequence: int = 0
    heard_seconds: float = 0.0
    attempt: int = 0
    claims: list[str] = field(default_factory=list)
    claimants: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=MOST_CLAIMANTS))
    crashes: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=MAX_ATTEMPTS))
    sending: set[tuple[str, int]] = field(default_factory=set)
    result: Result | None = None
    arrived_bytes: int = 0
    closing: bool = False

    def accept(self, frame: Result | Chunk, length_bytes: int) -> bool:
        """Count a piece of a result in, if it is the one that is to come next.

        Others are passed over: those that come again from a sender that was not sure, and those
        behind one that was lost. A result of another sending takes the place of this one.
        """
        if isinstance(frame, Result) and not self._is_part(frame):
            self.result, self.arrived_bytes = frame, 0
        if self.result is None or not self._is_part(frame):
            return False
        offset_bytes = frame.offset_bytes if isinstance(frame, Chunk) else 0
        end_bytes = offset_bytes + length_bytes
        if offset_bytes != self.arrived_bytes or end_bytes > self.coming_bytes:
            return False
        self.arrived_bytes = end_bytes
        return length_bytes > 0 or self.coming_bytes == 0

    @property
    def coming_bytes(self) -> int:
        """Of the result's payload, all pieces together: what is no new file comes without any."""
        result = self.result
        return result.size_bytes if result is not None and result.kind is ResultKind.DONE else 0

    def _is_part(self, frame: Result | Chunk) -> bool:
        return self.result is not None and (frame.transfer, frame.size_bytes) == (
            self.result.transfer,
            self.result.size_bytes,
        )

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
