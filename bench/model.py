"""A model on paper of how a batch scales, and of where one broker is full.

A batch's parties work side by side, so it takes as long as the slowest of them::

    seconds = max(server / (machines * share), largest / share, broker, client)

with the CPU seconds that a set costs each party (measured), `largest` those of the set's largest
image, which one machine computes alone, and `share` the cores of a machine. Broker and client can
use one core each: RabbitMQ gives a queue one Erlang process, and a batch's images pass few of
them; pika's client is one Python process whose pixels are elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping


def costs_of(measures: Mapping[str, float], set_name: str) -> dict[str, float]:
    """Return what was measured of a set: CPU seconds by party, images, bytes; maybe nothing."""
    prefix = f"costs/{set_name}/"
    names = [name for name in measures if name.startswith(prefix)]
    return {name.removeprefix(prefix): measures[name] for name in names}


def modelled_seconds(costs: Mapping[str, float], machines: int, share: float) -> float:
    """Return what the model says a run takes; a byte costs the same in all images."""
    largest = costs["server"] * costs["largest"] / costs["bytes"]
    computing = max(costs["server"] / machines, largest) / share
    return max(computing, costs["broker"], costs["client"])


def saturating_cores(costs: Mapping[str, float]) -> float:
    """Return the server cores beyond which one more gains nothing: broker or client are full."""
    return costs["server"] / max(costs["broker"], costs["client"])
