"""What a field of a frame may hold: each type with its bounds, checked in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

LARGEST_NUMBER = 2**53
"""The largest integer up to which the numbers of every language are exact."""
MOST_NUMBERS = 1_000
"""In a list of images."""
LONGEST_SENTENCE = 2_000
MOST_PLACES = 10
SECRET_BYTES = 32

Name = Annotated[str, Meta(max_length=200)]
"""An id, a host name, a code."""
RoutingName = Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9._-]+\Z")]
"""A queue, or a routing key. AMQP holds it in at most 255 bytes; a longer one can't be sent."""
Sentence = Annotated[str, Meta(max_length=LONGEST_SENTENCE)]
"""Something for people."""
Processes = Annotated[int, Meta(ge=0, le=2**10 - 1)]
"""Of one machine: how much a client sends depends on it."""
Number = Annotated[int, Meta(ge=0, le=LARGEST_NUMBER)]
"""A size or a count."""
Pixels = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""A width or a height."""
Amount = Annotated[float, Meta(ge=0, le=LARGEST_NUMBER)]
"""Seconds, or a rate."""
Secret = Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]
"""A batch's."""
Names = Annotated[tuple[Name, ...], Meta(max_length=100)]
Numbers = Annotated[tuple[Number, ...], Meta(max_length=MOST_NUMBERS)]
Places = Annotated[tuple[Sentence, ...], Meta(max_length=MOST_PLACES)]
"""URLs."""
SignedNumber = Annotated[int, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]
Plain = Annotated[Mapping[Name, Sentence | SignedNumber | bool | None], Meta(max_length=50)]


def sentence_of(text: str) -> str:
    """Return a text as a `Sentence` takes it, whatever it quotes: a file, or another frame."""
    return "".join(char if char.isprintable() else "?" for char in text[:LONGEST_SENTENCE])
