"""What must be true after every run, whatever happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.programs import Client

from imgbatch.adjustment import Adjustment
from imgbatch.batch.write import is_temporary
from imgbatch.images.limits import Limits
from imgbatch.pipeline import Pipeline
from imgbatch.recipe import Recipe

ADJUSTMENT = Adjustment(brightness=10, contrast=20, sharpness=40)
FACTORS = ("--brightness", 10, "--contrast", 20, "--sharpness", 40)


@cache
def _pipeline() -> Pipeline:
    return Pipeline(Limits())


@cache
def expected(image: bytes) -> bytes:
    """Return the file that the local engine makes of an image with `ADJUSTMENT`."""
    return _pipeline().run(image, Recipe(ADJUSTMENT)).data


def check(client: Client, failed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Hold a complete run against what it owed: every input, every byte, and nothing else.

    Parameters
    ----------
    failed
        The code of each file that could not be written, by name.

    Returns
    -------
    dict
        The run's report.
    """
    failed = failed or {}
    report = client.report()
    sources = {
        str(path.relative_to(client.source)): path
        for path in client.source.rglob("*")
        if path.is_file()
    }
    entries = {
        str(Path(entry["input"]).relative_to(client.source.resolve())): entry
        for entry in report["files"]
    }
    assert sorted(entries) == sorted(sources)
    assert len(report["files"]) == len(entries)
    codes = {
        name: entry["error"]["code"]
        for name, entry in entries.items()
        if entry["error"] is not None
    }
    assert codes == dict(failed), codes
    assert client.written() == set(sources) - set(failed)
    for name in client.written():
        assert entries[name]["status"] == "written"
        same = (client.target / name).read_bytes() == expected(sources[name].read_bytes())
        assert same, f"{name} differs from what the local engine makes of it"
    assert report["images"]["written"] == len(sources) - len(failed)
    check_no_temporary_file(client.target)
    return report


def check_no_temporary_file(target: Path) -> None:
    """Nothing half-written may be left."""
    assert [path for path in target.rglob("*") if is_temporary(path.name)] == []
