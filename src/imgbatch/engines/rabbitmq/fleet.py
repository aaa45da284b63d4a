"""Which machines there are, and which of them work for this run. Times are handed in."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace

from imgbatch.batch.model import MachineUse
from imgbatch.protocol import ServerStatus

log = logging.getLogger(__name__)

SILENT_SECONDS = 10.0
"""A machine that has not announced itself for this long, three announcements, is replaced."""


@dataclass(slots=True)
class Machine:
    """A machine that announces itself.

    Parameters
    ----------
    announcement
        Its last.
    heard_seconds
        When that came.
    enlisted
        It works for this run.
    refusal
        Why it may not; empty if it may.
    """

    announcement: ServerStatus
    heard_seconds: float
    enlisted: bool = False
    refusal: str = ""


class Fleet:
    """All machines that were ever heard of in this run.

    Parameters
    ----------
    most
        How many may work at a time; None for all.
    mixed
        Machines whose digests differ may work together.
    """

    def __init__(self, most: int | None, mixed: bool) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._mixed = mixed
        self._machines: dict[str, Machine] = {}
        self._uses: dict[str, MachineUse] = {}
        self._digest: tuple[str, str] | None = None
        self._dropped: list[str] = []

    def hear(self, announcement: ServerStatus, now_seconds: float) -> bool:
        """Take note of an announcement; tell whether there is now something to decide."""
        with self._lock:
            machine = self._machines.get(announcement.machine)
            if announcement.leaving:
                self._machines.pop(announcement.machine, None)
            elif machine is None:
                self._machines[announcement.machine] = Machine(announcement, now_seconds)
            else:
                machine.announcement = announcement
                machine.heard_seconds = now_seconds
            return machine is None or announcement.leaving

    def refuse(self, machine_id: str, sentence: str) -> None:
        """Have a machine work no more: it said itself why it can't."""
        with self._lock:
            machine = self._machines.get(machine_id)
            if machine is not None:
                machine.refusal, machine.enlisted = sentence, False

    def enlist(self, now_seconds: float) -> list[ServerStatus]:
        """Let go of silent machines, choose others in their place; return those that work."""
        with self._lock:
            for name, machine in list(self._machines.items()):
                if now_seconds - machine.heard_seconds > SILENT_SECONDS:
                    self._dropped.append(machine.announcement.queue)
                    del self._machines[name]
            for machine in self._machines.values():
                if self._has_room() and not machine.enlisted and not machine.refusal:
                    self._try(machine)
            return [machine.announcement for machine in self._machines.values() if machine.enlisted]

    def dropped(self) -> list[str]:
        """Return, once, the queues of machines that were let go: they may only seem to be gone."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
            return dropped

    def _has_room(self) -> bool:
        enlisted = sum(machine.enlisted for machine in self._machines.values())
        return self._most is None or enlisted < self._most

    def _try(self, machine: Machine) -> None:
        announcement = machine.announcement
        if self._digest is None:
            self._digest = announcement.digest, announcement.name
        digest, first = self._digest
        if announcement.digest != digest and not self._mixed:
            machine.refusal = (
                f"{announcement.name} ({announcement.host}) computes other bits than {first}: "
                f"{_versions(announcement)}; install the same versions on all machines, or allow "
                "it with --mixed-fleet"
            )
            log.warning("%s", machine.refusal)
            return
        machine.enlisted = True
        use = MachineUse(
            announcement.machine,
            announcement.host,
            announcement.procs,
            digest=announcement.digest,
        )
        self._uses.setdefault(announcement.machine, use)

    def count(self, machine_id: str, seconds: float) -> None:
        """Count an image that a machine has done."""
        with self._lock:
            use = self._uses.get(machine_id) or MachineUse(machine_id, "", 0)
            self._uses[machine_id] = replace(
                use, images=use.images + 1, busy_seconds=use.busy_seconds + seconds
            )

    @property
    def procs(self) -> int:
        """Workers of all machines that work for the run."""
        with self._lock:
            return sum(
                machine.announcement.procs
                for machine in self._machines.values()
                if machine.enlisted
            )

    @property
    def working(self) -> int:
        """Machines that work for the run."""
        with self._lock:
            return sum(machine.enlisted for machine in self._machines.values())

    @property
    def refusals(self) -> list[str]:
        """Why machines that are there don't work."""
        with self._lock:
            return [machine.refusal for machine in self._machines.values() if machine.refusal]

    @property
    def uses(self) -> list[MachineUse]:
        """What each machine has done in this run."""
        with self._lock:
            return list(self._uses.values())


def _versions(announcement: ServerStatus) -> str:
    return ", ".join(f"{name} {version}" for name, version in announcement.components.items())
