"""When a run says that nothing moves, and when it gives up. Times are handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgbatch.broker.address import Address
from imgbatch.errors import BrokerError, Code, NoServerError

QUIET_SECONDS = 3.0
"""How long nothing may move before the run says why."""
UNEXPLAINED_SECONDS = 20.0
"""How long nothing may come from machines that work before the run says so: images take a while."""


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """What there is to say about a run at a time.

    Parameters
    ----------
    progress
        Whatever changes when the run moves.
    problem
        What is wrong with the connection to the broker, if anything.
    working
        Machines that work for the run.
    refusals
        Why machines that are there don't.
    in_flight
        Images that have no outcome yet.
    """

    progress: tuple[int, ...]
    problem: str | None
    working: int
    refusals: Sequence[str]
    in_flight: int


class StallDetector:
    """Watches whether a run moves.

    Parameters
    ----------
    address
        The broker's.
    limit_seconds
        How long no machine may take part before the run gives up; None for ever.
    now_seconds
        When it begins.
    """

    def __init__(self, address: Address, limit_seconds: float | None, now_seconds: float) -> None:
        self._address = address
        self._limit_seconds = limit_seconds
        self._progress: tuple[int, ...] = ()
        self._moved_seconds = self._helped_seconds = now_seconds

    def explain(self, snapshot: RunSnapshot, now_seconds: float) -> str | None:
        """Return why nothing moves, if nothing does.

        Raises
        ------
        NoServerError, BrokerError
            If that has been so for too long.
        """
        if snapshot.progress != self._progress:
            self._progress = snapshot.progress
            self._moved_seconds = self._helped_seconds = now_seconds
        if snapshot.working and not snapshot.problem:
            self._helped_seconds = now_seconds
        quiet_seconds = now_seconds - self._moved_seconds
        why = self._why(snapshot, quiet_seconds) if quiet_seconds > QUIET_SECONDS else None
        limit = self._limit_seconds
        if limit is not None and now_seconds - self._helped_seconds > limit:
            self._give_up(snapshot, limit)
        return None if why is None else f"{why}; waiting, Ctrl-C to stop"

    def _why(self, snapshot: RunSnapshot, quiet_seconds: float) -> str | None:
        if snapshot.problem:
            return snapshot.problem
        if not snapshot.working:
            return self._why_no_server(snapshot)
        if snapshot.in_flight and quiet_seconds > UNEXPLAINED_SECONDS:
            # Tens, so that the sentence does not change with every look.
            seconds = quiet_seconds // 10 * 10
            return f"no result for {seconds:.0f} s from {snapshot.working} machines"
        return None

    def _why_no_server(self, snapshot: RunSnapshot) -> str:
        if snapshot.refusals:
            return f"no server may take part: {snapshot.refusals[0]}"
        return f"no server is listening on {self._address}"

    def _give_up(self, snapshot: RunSnapshot, limit: float) -> None:
        if snapshot.problem:
            raise BrokerError(
                Code.BROKER_UNREACHABLE, f"{snapshot.problem}; gave up after {limit:g} s"
            )
        raise NoServerError(
            Code.NO_SERVER,
            f"{self._why_no_server(snapshot)}; gave up after {limit:g} s; start one with: "
            "imgbatch-server --broker URL",
        )
