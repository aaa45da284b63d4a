"""All that decides an output's bytes, given its input's: the adjustment and the encoding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from imgbatch.adjustment import Adjustment
from imgbatch.errors import Code, UsageError


class OutputFormat(StrEnum):
    """The file format that is written."""

    KEEP = "keep"
    JPEG = "jpeg"
    PNG = "png"


class Progressive(StrEnum):
    """Whether a JPEG is written in progressive scans."""

    KEEP = "keep"
    YES = "yes"
    NO = "no"


class PngLevel(StrEnum):
    """What a PNG's compression is tuned for."""

    FAST = "fast"
    SMALL = "small"


class DamagedPolicy(StrEnum):
    """What becomes of a file that breaks off or contradicts itself."""

    STRICT = "strict"
    SALVAGE = "salvage"


class Frames(StrEnum):
    """Which pictures are taken of a file that holds several: an animation, or pages."""

    ALL = "all"
    FIRST = "first"


_WORDS: dict[str, type[StrEnum]] = {
    "output_format": OutputFormat,
    "progressive": Progressive,
    "png_level": PngLevel,
    "damaged": DamagedPolicy,
    "frames": Frames,
}
"""The fields of an `Encoding` that are words."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the adjusted pixels become a file again.

    Parameters
    ----------
    output_format
        ``keep`` writes each image in the format it came in.
    quality
        1..100 for JPEG and lossy WebP; None keeps the source's own.
    progressive
        Whether JPEGs are written progressive.
    png_level
        ``fast`` or ``small`` PNG files.
    strip_metadata
        Drop all metadata but the ICC profile and the orientation.
    damaged
        Refuse damaged files, or write what could be decoded of them.
    frames
        All pictures of an animation, or the first alone.

    Raises
    ------
    UsageError
        If one of them has another value.
    """

    output_format: OutputFormat = OutputFormat.KEEP
    quality: int | None = None
    progressive: Progressive = Progressive.KEEP
    png_level: PngLevel = PngLevel.FAST
    strip_metadata: bool = False
    damaged: DamagedPolicy = DamagedPolicy.STRICT
    frames: Frames = Frames.ALL

    def __post_init__(self) -> None:
        quality = self.quality
        if quality is not None and (type(quality) is not int or not 1 <= quality <= 100):
            raise UsageError(
                Code.BAD_OPTION,
                f"quality must be 'keep' or an integer from 1 to 100, not {quality!r}",
            )
        if not isinstance(self.strip_metadata, bool):
            raise UsageError(Code.BAD_OPTION, "strip_metadata must be true or false")
        for name, kind in _WORDS.items():
            word = getattr(self, name)
            if word not in list(kind):
                words = ", ".join(kind)
                raise UsageError(Code.BAD_OPTION, f"{name} must be one of {words}, not {word!r}")
            object.__setattr__(self, name, kind(word))  # from a program or a frame, it is a string


@dataclass(frozen=True, slots=True)
class Recipe:
    """The adjustment and the encoding of a run, the same for each of its images."""

    adjustment: Adjustment = field(default_factory=Adjustment)
    encoding: Encoding = field(default_factory=Encoding)

    def to_fields(self) -> dict[str, int | str | bool | None]:
        """Return the recipe as one flat mapping of plain values, as frames and journals hold it."""
        return asdict(self.adjustment) | asdict(self.encoding)

    @classmethod
    def from_fields(cls, values: Mapping[str, object]) -> Recipe:
        """Build a recipe from what `to_fields` returned.

        Raises
        ------
        UsageError
            If a field is missing, unknown, of another type or out of range.
        """
        part_of = {it.name: part for part in (Adjustment, Encoding) for it in fields(part)}
        if set(values) != set(part_of):
            raise UsageError(Code.BAD_OPTION, f"a recipe has the fields {', '.join(part_of)}")
        given: Any = {Adjustment: {}, Encoding: {}}
        for name, value in values.items():
            given[part_of[name]][name] = value
        return cls(*(part(**fields) for part, fields in given.items()))
