"""When a run says that nothing moves, and when it gives up. Times are handed in."""

from __future__ import annotations

from collections.abc import Sequence

from imgbatch.broker.address import Address
from imgbatch.errors import BrokerError, Code, NoServerError

QUIET_SECONDS = 3.0
"""How long nothing may move before the run says why."""
UNEXPLAINED_SECONDS = 20.0
"""How long nothing may come from machines that work before the run says so: images take a while."""


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
        self._progress = (0, 0)
        self._moved_seconds = self._helped_seconds = now_seconds

    def explain(
        self,
        now_seconds: float,
        *,
        done: int,
        in_flight: int,
        working: int,
        refusals: Sequence[str],
        problem: str | None,
        waits_for: str = "",
    ) -> str | None:
        """Return why nothing moves, if nothing does.

        Parameters
        ----------
        done, in_flight
            Images that have ended, and those that are on their way; what changes when a run moves.
        working
            Machines that work for the run.
        refusals
            Why machines that are there don't.
        problem
            What is wrong with the connection to the broker, if anything.
        waits_for
            What a machine waits for, as it said last.

        Raises
        ------
        NoServerError, BrokerError
            If nothing has moved for too long for want of a machine or of the broker.
        """
        if self._progress != (done, in_flight):
            self._progress = done, in_flight
            self._moved_seconds = self._helped_seconds = now_seconds
        if working and not problem:
            self._helped_seconds = now_seconds
        why = problem or (None if working else self._no_server(refusals))
        limit = self._limit_seconds
        if why and limit is not None and now_seconds - self._helped_seconds > limit:
            self._give_up(why, limit, problem)
        quiet_seconds = now_seconds - self._moved_seconds
        if why is None and waits_for:
            why = waits_for
        elif why is None and in_flight and quiet_seconds > UNEXPLAINED_SECONDS:
            # Tens, so that the sentence does not change with every look.
            why = f"no result for {quiet_seconds // 10 * 10:.0f} s from {working} machines"
        moves = why is None or quiet_seconds <= QUIET_SECONDS
        return None if moves else f"{why}; waiting, Ctrl-C to stop"

    def _no_server(self, refusals: Sequence[str]) -> str:
        if refusals:
            return f"no server may take part: {refusals[0]}"
        return f"no server is listening on {self._address}"

    def _give_up(self, why: str, limit: float, problem: str | None) -> None:
        sentence = f"{why}; gave up after {limit:g} s"
        if problem:
            raise BrokerError(Code.BROKER_UNREACHABLE, sentence)
        start = "start one with: imgbatch-server --broker URL"
        raise NoServerError(Code.NO_SERVER, f"{sentence}; {start}")
