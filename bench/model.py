"""A model on paper of how a batch scales, and of where one broker is full.

A batch's parties work side by side, so it takes as long as the slowest of them::

    seconds = start + max(server / (machines * share), broker / b, client / c)

with the CPU seconds that a set costs each party (measured, `test_costs`), `share` the cores of a
machine, `b` and `c` the cores that broker and client can use. pika's client is one Python process
whose pixels are elsewhere: c = 1. RabbitMQ gives a queue one Erlang process, and a batch's images
pass few of them: b = 1 for one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.harness.results import Results


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds that one set costs each party, and what the set is."""

    server: float
    broker: float
    client: float
    images: float
    size_bytes: float

    @classmethod
    def of(cls, results: Results, set_name: str) -> Costs | None:
        """Return the measured costs of a set; None if they were not measured."""
        names = ("server", "broker", "client", "images", "bytes")
        found = [results.measures.get(f"costs/{set_name}/{name}") for name in names]
        if any(measure is None for measure in found):
            return None
        return cls(*[measure.value for measure in found if measure is not None])

    @property
    def bound(self) -> float:
        """The seconds below which no number of machines brings the set."""
        return max(self.broker, self.client)

    def seconds(self, machines: int, share: float, start: float) -> float:
        """Return what the model says a run takes."""
        return start + max(self.server / (machines * share), self.bound)

    @property
    def saturating_cores(self) -> float:
        """The server cores beyond which a core more gains nothing: broker or client are full."""
        return self.server / self.bound


def fitted_start(costs: Costs, share: float, measured: Mapping[int, float]) -> float:
    """Return the constant part of a run that fits its single machine: the model's one freedom."""
    return max(0.0, measured[1] - costs.seconds(1, share, 0.0))
