"""The results file: what was measured, and nothing that can be computed from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference.json"
"""The committed figures, which docs/benchmarks.md is drawn from."""


@dataclass(frozen=True, slots=True)
class Race:
    """Times of contenders that ran in turn.

    Parameters
    ----------
    name
        What ran on what, as ``local/tokyo``.
    seconds
        For each contender a time for each round; one that is slow may have sat out the last.
    images
        How many images each wrote in a round, where that can differ.
    skipped
        Who could not take part, and why.
    failed
        Whose first run failed, and how.
    """

    name: str
    seconds: dict[str, list[float]]
    images: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def per_image(self, contender: str) -> list[float]:
        """Return a contender's seconds an image, by round."""
        images = self.images.get(contender, 1)
        return [seconds / images for seconds in self.seconds[contender]]


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure that is no race: bytes, or a cost in CPU seconds."""

    name: str
    value: float
    unit: str


@dataclass(slots=True)
class Results:
    """All that a session of measuring found."""

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    taken: str = ""
    pace: str = ""
    photos: str = "stand-ins"
    races: dict[str, Race] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the file's text; keys sorted and times rounded, so that a diff shows changes."""
        return json.dumps({"format": FORMAT, **_rounded(asdict(self))}, indent=1, sort_keys=True)

    def save(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.to_json() + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file that `save` wrote.

        Raises
        ------
        ValueError
            If it is of another format.
        """
        fields = json.loads(path.read_text())
        if fields.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is no results file of format {FORMAT}")
        fields["races"] = {name: Race(**race) for name, race in fields["races"].items()}
        fields["measures"] = {name: Measure(**one) for name, one in fields["measures"].items()}
        return cls(**fields)

    def updated(self, newer: Results) -> Results:
        """Return these results with all that a newer, perhaps partial, session measured again."""
        return Results(
            machine=newer.machine,
            versions={**self.versions, **newer.versions},
            taken=newer.taken,
            pace=newer.pace,
            photos=newer.photos,
            races={**self.races, **newer.races},
            measures={**self.measures, **newer.measures},
            tables={**self.tables, **newer.tables},
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
