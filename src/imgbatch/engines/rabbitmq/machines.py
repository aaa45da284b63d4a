"""Which machines there are, and which of them work for this run. Times are handed in."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass, replace

from imgbatch.batch.model import MachineUse
from imgbatch.logs import SaidOnce
from imgbatch.protocol.frames import STATUS_SECONDS, ServerStatus

log = logging.getLogger(__name__)

STATUSES_PER_SECOND = 20
"""That a client wants to hear, of all machines together: of more than 60, each tells its status
less often than every `STATUS_SECONDS`. Read at that rate, they take a third of a percent of a core.
"""
AGREED_SECONDS = 0.02
"""How long the first machine that answers waits for others. Four were heard of within 1 ms of one
another, on two busy cores: of a fleet in which one computes other bits, two that differ are almost
certainly heard of within this time."""
DIFFERING_SECONDS = 1.0
"""How long answers are collected if they do differ, before the most frequent digest is taken."""

REFUSED_SECONDS = 30.0
"""After which a machine that refused a lease is asked again: it may have ended other batches."""
MOST_MACHINES = 1_000
"""That are known at a time: what claims to be one more is passed over."""
MOST_USES = 2 * MOST_MACHINES
"""That are remembered though they have done nothing and may be gone."""


@dataclass(slots=True)
class Machine:
    """A machine that tells its status.

    Parameters
    ----------
    status
        Its last.
    heard_seconds
        When that came.
    leased
        It works for this run.
    refusal, refused_until_seconds
        Why it may not, and until when; empty if it may.
    """

    status: ServerStatus
    heard_seconds: float
    leased: bool = False
    refusal: str = ""
    refused_until_seconds: float = math.inf


class MachineRegistry:
    """All machines that were ever heard of in this run.

    All of them that work compute the same bits, those that the digest of most machines stands for:
    what is written must not depend on who had an image.

    Parameters
    ----------
    most
        How many may work at a time; None for all.
    mixed
        Machines whose digests differ may work together.
    """

    def __init__(self, most: int | None, mixed: bool) -> None:
        self._most = most
        self._mixed = mixed
        self._machines: dict[str, Machine] = {}
        self._uses: dict[str, MachineUse] = {}
        self._first_seconds: float | None = None
        self._digest: str | None = None
        self._exemplar = ""
        self._said = SaidOnce()

    def hear(self, status: ServerStatus, now_seconds: float) -> bool:
        """Take note of a status; return whether `update` has something new to decide."""
        machine = self._machines.get(status.machine)
        if status.leaving:
            self._machines.pop(status.machine, None)
        elif machine is None:
            if len(self._machines) >= MOST_MACHINES:
                return False
            self._machines[status.machine] = Machine(status, now_seconds)
            if self._first_seconds is None:
                self._first_seconds = now_seconds
        else:
            machine.status = status
            machine.heard_seconds = now_seconds
        return machine is None or status.leaving

    def refuse(self, machine_id: str, sentence: str, now_seconds: float) -> None:
        """Have a machine not work for a while: it said itself why it can't."""
        machine = self._machines.get(machine_id)
        if machine is not None:
            if self._said.is_new(sentence):  # it is asked again and again
                log.warning("%s", sentence)
            machine.refusal, machine.leased = sentence, False
            machine.refused_until_seconds = now_seconds + REFUSED_SECONDS

    def update(self, now_seconds: float) -> list[ServerStatus]:
        """Forget silent machines, and choose others in their place.

        Returns
        -------
            The last status of each that was forgotten. It may only seem to be gone, and has to be
            told that its lease is over.
        """
        silent = [
            name
            for name, it in self._machines.items()
            if now_seconds - it.heard_seconds > it.status.silence_seconds
        ]
        forgotten = [self._machines.pop(name).status for name in silent]
        if not self.is_collecting(now_seconds):
            self._choose(now_seconds)
        return forgotten

    def is_collecting(self, now_seconds: float) -> bool:
        """Whether more machines have to be heard of before one may work."""
        if self._digest is not None or self._first_seconds is None:
            return False
        digests = {machine.status.digest for machine in self._machines.values()}
        agreed = self._mixed or len(digests) < 2
        return now_seconds - self._first_seconds < (AGREED_SECONDS if agreed else DIFFERING_SECONDS)

    def _choose(self, now_seconds: float) -> None:
        if self._digest is None and self._machines:
            digests = Counter(machine.status.digest for machine in self._machines.values())
            self._digest = digests.most_common(1)[0][0]
            self._exemplar = next(
                machine.status.name
                for machine in self._machines.values()
                if machine.status.digest == self._digest
            )
        room = math.inf if self._most is None else self._most - len(self.leased)
        for machine in self._machines.values():
            status = machine.status
            is_refused = machine.refusal and now_seconds < machine.refused_until_seconds
            if machine.leased or is_refused or room <= 0:
                continue
            if status.digest != self._digest and not self._mixed:
                machine.refusal = self._differs(status)
                if self._said.is_new(machine.refusal):
                    log.warning("%s", machine.refusal)
                continue
            machine.leased, machine.refusal = True, ""
            room -= 1
            if len(self._uses) >= MOST_USES:  # those that came and went are forgotten
                uses = self._uses.items()
                self._uses = {
                    name: use for name, use in uses if use.images or name in self._machines
                }
            use = MachineUse(status.machine, status.host, status.procs, digest=status.digest)
            self._uses.setdefault(status.machine, use)

    def _differs(self, status: ServerStatus) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in status.components.items())
        return (
            f"{status.name} ({status.host}) computes other bits than {self._exemplar}: {versions}; "
            "install the same versions on all machines, or allow it with --mixed-fleet"
        )

    def count(self, machine_id: str, seconds: float) -> None:
        """Count an image that a machine has done."""
        use = self._uses.get(machine_id) or MachineUse(machine_id, "", 0)
        self._uses[machine_id] = replace(
            use, images=use.images + 1, busy_seconds=use.busy_seconds + seconds
        )

    @property
    def status_seconds(self) -> float:
        """How often each machine should tell its status."""
        return max(STATUS_SECONDS, len(self._machines) / STATUSES_PER_SECOND)

    @property
    def leased(self) -> list[ServerStatus]:
        """The last status of each machine that works for the run."""
        return [machine.status for machine in self._machines.values() if machine.leased]

    @property
    def procs(self) -> int:
        """Workers of all machines that work for the run."""
        return sum(status.procs for status in self.leased)

    @property
    def refusals(self) -> list[str]:
        """Why machines that are there don't work."""
        return [machine.refusal for machine in self._machines.values() if machine.refusal]

    @property
    def uses(self) -> list[MachineUse]:
        """What each machine has done in this run."""
        return list(self._uses.values())
