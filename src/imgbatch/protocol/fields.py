"""What a field of a frame may hold: each type with its bounds, checked in both directions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from imgbatch.errors import FrameTooLarge, MalformedFrame

LARGEST_NUMBER = 2**53
"""The largest integer up to which the numbers of every language are exact."""

MOST_NUMBERS = 1_000
"""In a list of images."""


MOST_PLACES = 10
LONGEST_ROUTING_KEY_BYTES = 255
_ROUTING_KEY = re.compile(r"[A-Za-z0-9._-]+")


class Check(Protocol):
    """Says of one value whether a field may hold it."""

    def __call__(self, name: str, value: object) -> None:
        """Raise MalformedFrame or FrameTooLarge, naming the field, if it may not."""
        ...


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """An integer from `lowest` to `highest`."""

    lowest: int
    highest: int

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else; a boolean is no number."""
        if type(value) is not int:
            raise MalformedFrame(f"{name} is not an integer")
        if not self.lowest <= value <= self.highest:
            raise FrameTooLarge(f"{name} is {value}, outside {self.lowest}..{self.highest}")


@dataclass(frozen=True, slots=True)
class RealNumber:
    """A number from 0 to `highest`, whole or not: seconds, or images a second."""

    highest: float

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else; a boolean is no number."""
        if type(value) not in (int, float):
            raise MalformedFrame(f"{name} is not a number")
        if not 0 <= value <= self.highest:  # type: ignore[operator]  # an int or a float by now
            raise FrameTooLarge(f"{name} is {value}, outside 0..{self.highest:.0f}")


@dataclass(frozen=True, slots=True)
class TrueOrFalse:
    """A boolean."""

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if type(value) is not bool:
            raise MalformedFrame(f"{name} is neither true nor false")


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `longest` characters, none of them a control character."""

    longest: int

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, str):
            raise MalformedFrame(f"{name} is not text")
        if len(value) > self.longest:
            raise FrameTooLarge(f"{name} has {len(value)} characters; {self.longest} are allowed")
        if not value.isprintable():
            raise MalformedFrame(f"{name} holds characters that can't be shown")


@dataclass(frozen=True, slots=True)
class RoutingKey:
    """The name of a queue, or a routing key: 1 to 255 letters, digits, dots, dashes, underscores.

    AMQP holds it in at most 255 bytes, and a longer one can't be sent at all.
    """

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, str):
            raise MalformedFrame(f"{name} is not text")
        if len(value) > LONGEST_ROUTING_KEY_BYTES:
            raise FrameTooLarge(
                f"{name} has {len(value)} characters; {LONGEST_ROUTING_KEY_BYTES} are allowed"
            )
        if not _ROUTING_KEY.fullmatch(value):
            raise MalformedFrame(f"{name} must be letters, digits, dots, dashes and underscores")


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, str) or value not in self.words:
            raise MalformedFrame(f"{name} must be one of {', '.join(self.words)}")


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of at most `longest` items, each passing `item`."""

    item: Check
    longest: int

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, list | tuple):
            raise MalformedFrame(f"{name} is not a list")
        if len(value) > self.longest:
            raise FrameTooLarge(f"{name} has {len(value)} items; {self.longest} are allowed")
        for item in value:
            self.item(name, item)


@dataclass(frozen=True, slots=True)
class PlainMap:
    """A map of at most `longest` entries, from text to text, integer, boolean or nil."""

    longest: int

    def __call__(self, name: str, value: object) -> None:
        """Refuse anything else."""
        if not isinstance(value, dict):
            raise MalformedFrame(f"{name} is not a map")
        if len(value) > self.longest:
            raise FrameTooLarge(f"{name} has {len(value)} entries; {self.longest} are allowed")
        for key, entry in value.items():
            SHORT_TEXT(f"a key of {name}", key)
            if isinstance(entry, str):
                SENTENCE(f"{name}.{key}", entry)
            elif not (entry is None or type(entry) is bool):
                SIGNED_NUMBER(f"{name}.{key}", entry)


SHORT_TEXT = Text(200)
SENTENCE = Text(2_000)
NUMBER = WholeNumber(0, LARGEST_NUMBER)
SIGNED_NUMBER = WholeNumber(-LARGEST_NUMBER, LARGEST_NUMBER)

Name = Annotated[str, SHORT_TEXT]
"""An id, a host name, a code."""
RoutingName = Annotated[str, RoutingKey()]
"""A queue, or a routing key."""
Sentence = Annotated[str, SENTENCE]
"""Something for people."""
Processes = Annotated[int, WholeNumber(0, 2**10 - 1)]
"""Of one machine: how much a client sends depends on it."""
Number = Annotated[int, NUMBER]
"""A size or a count."""
Pixels = Annotated[int, WholeNumber(0, 2**31 - 1)]
"""A width or a height."""
Amount = Annotated[float, RealNumber(LARGEST_NUMBER)]
"""Seconds, or a rate."""
Flag = Annotated[bool, TrueOrFalse()]
Names = Annotated[tuple[str, ...], ListOf(SHORT_TEXT, 100)]
Numbers = Annotated[tuple[int, ...], ListOf(NUMBER, MOST_NUMBERS)]
Places = Annotated[tuple[str, ...], ListOf(SENTENCE, MOST_PLACES)]
"""URLs."""
Plain = Annotated[Mapping[str, int | str | bool | None], PlainMap(50)]
