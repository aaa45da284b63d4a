"""A model on paper of how a batch scales, and of where one broker is full.

A batch's parties work side by side, so it takes as long as the slowest of them::

    seconds = max(p * server / (machines * share), p * largest / share, broker / b, client / c)

with the CPU seconds that a set costs each party (measured, `test_costs`), `largest` those of the
set's largest image, which one machine computes alone, `share` the cores of a machine, `b` and `c`
the cores that broker and client can use. pika's client is one Python process whose pixels are
elsewhere: c = 1. RabbitMQ gives a queue one Erlang process, and a batch's images pass few of them:
b = 1 for one batch. `p`, the price of a small machine, is fitted to the single one: a process that
is stopped many times a second finds its caches cold, and its quota pays for threads that wait, too.
"""

from __future__ import annotations

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
    largest_bytes: float

    @classmethod
    def of(cls, results: Results, set_name: str) -> Costs | None:
        """Return the measured costs of a set; None if they were not measured."""
        names = ("server", "broker", "client", "images", "bytes", "largest")
        found = [results.measures.get(f"costs/{set_name}/{name}") for name in names]
        if any(measure is None for measure in found):
            return None
        return cls(*[measure.value for measure in found if measure is not None])

    @property
    def bound(self) -> float:
        """The seconds below which no number of machines brings the set."""
        return max(self.broker, self.client)

    @property
    def largest(self) -> float:
        """The server's CPU seconds for the largest image, if bytes cost the same in all."""
        return self.server * self.largest_bytes / self.size_bytes

    def seconds(self, machines: int, share: float, price: float = 1.0) -> float:
        """Return what the model says a run takes."""
        computing = max(self.server / machines, self.largest) * price / share
        return max(computing, self.bound)

    @property
    def saturating_cores(self) -> float:
        """The server cores beyond which a core more gains nothing: broker or client are full."""
        return self.server / self.bound


def fitted_price(costs: Costs, share: float, alone_seconds: float) -> float:
    """Return how much a set costs a single small machine, of what it costs a whole one."""
    return alone_seconds * share / costs.server
