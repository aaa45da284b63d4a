"""The results file: what was measured, and nothing that can be computed from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

FORMAT = 2
REFERENCE = Path(__file__).resolve().parents[1] / "results" / "reference.json"
"""The committed figures, which docs/benchmarks.md is drawn from."""


@dataclass(frozen=True, slots=True)
class Race:
    """Times of contenders that ran in turn, a time for each round.

    One that is slow may have sat out the last rounds. `images` is how many each wrote in a round,
    where that can differ; `skipped` says why others have no times.
    """

    seconds: dict[str, list[float]]
    images: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def per_image(self, contender: str) -> list[float]:
        """Return a contender's seconds an image, by round."""
        images = self.images.get(contender, 1)
        return [seconds / images for seconds in self.seconds[contender]]


@dataclass(slots=True)
class Results:
    """All that a session of measuring found.

    `measures` are figures that are no races: bytes, counts and CPU seconds; `tables` the rows that
    pytest-benchmark found, by its groups.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    taken: str = ""
    pace: str = ""
    photos: str = "stand-ins"
    races: dict[str, Race] = field(default_factory=dict)
    measures: dict[str, float] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file; keys sorted and times rounded, so that a diff shows changes."""
        exact = json.dumps({"format": FORMAT, **asdict(self)})
        fields = json.loads(exact, parse_float=lambda text: float(f"{float(text):.5g}"))
        path.write_text(json.dumps(fields, indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read a file that `save` wrote; one of another format is a ValueError."""
        fields = json.loads(path.read_text())
        if fields.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is not a results file of format {FORMAT}")
        fields["races"] = {name: Race(**race) for name, race in fields["races"].items()}
        return cls(**fields)

    def updated(self, newer: Results) -> Results:
        """Return these results with all that a newer, perhaps partial, session measured again."""
        merged = ("races", "measures", "tables")
        both = {name: {**getattr(self, name), **getattr(newer, name)} for name in merged}
        return replace(newer, **both)
