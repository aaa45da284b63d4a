from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from imgbatch.adjustment import Adjustment
from imgbatch.batch.journal import Journal
from imgbatch.batch.journal_tables import OPEN, Planned, Row, Totals, columns
from imgbatch.batch.model import Failure, MachineUse, Outcome, Status
from imgbatch.batch.report import Report
from imgbatch.batch.scan import Found
from imgbatch.errors import Code, OutputError
from imgbatch.recipe import Encoding, OutputFormat, Recipe

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/report.schema.json").read_text())


def report(tmp_path: Path, **changes: object) -> Report:
    fields: dict[str, object] = {
        "path": tmp_path / "imgbatch-report.json",
        "source": tmp_path,
        "target": tmp_path / "out",
        "recipe": Recipe(Adjustment(10, 20, 40), Encoding(OutputFormat.JPEG, 80)),
        "engine": "local",
        "version": "1.2.3",
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 1.23456,
        "interrupted": False,
        "failure": None,
        "totals": Totals(
            {Status.WRITTEN: 1, Status.FAILED: 1},
            {Code.EMPTY_FILE: 1},
            10,
            20,
            machines=(MachineUse("a", "anna", 2, 2, 0.5), MachineUse("b", "berta", 4)),
        ),
    }
    return Report(**{**fields, **changes})  # type: ignore[arg-type]


def file(name: str, outcome: Outcome, size_bytes: int = 0, finished: float | None = None) -> Row:
    source = {"source": os.fsencode(name), "size_bytes": size_bytes}
    return {**source, **columns(outcome), "finished_seconds": finished}


def files() -> Iterator[Row]:
    written = Outcome(
        1, Status.WRITTEN, None, 0.12345, "a", 640, 480, 20, ("icc-dropped", "salvaged"), 2
    )
    yield file("a.png", written, 10, 0.5)
    failure = Failure(Code.EMPTY_FILE, 'deep/"b", caf\udce9.jpg is empty')
    yield file('deep/"b", caf\udce9.jpg', Outcome(2, Status.FAILED, failure), 0, 0.6)
    yield file("c.jpg", OPEN, 5)


def json_of(report: Report, rows: Iterable[Row] | None = None) -> Any:
    report.write(files() if rows is None else rows)
    return json.loads(report.path.read_text())


def csv_of(report: Report, rows: Iterable[Row] | None = None) -> list[dict[str, str]]:
    report.write(files() if rows is None else rows)
    with report.path.with_suffix(".csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_json_is_as_its_schema_says(tmp_path: Path) -> None:
    fields = json_of(report(tmp_path))
    jsonschema.validate(fields, SCHEMA)
    assert fields["adjustment"] == {"brightness": 10, "contrast": 20, "sharpness": 40}
    assert fields["encoding"]["output_format"] == "jpeg"
    assert fields["images"]["total"] == 2
    assert fields["machines_used"] == 1
    assert fields["seconds"] == 1.235
    first, second, third = fields["files"]
    assert first["input"] == str(tmp_path / "a.png")
    assert first["output"] == str(tmp_path / "out/a.jpg")
    assert first["notes"] == ["icc-dropped", "salvaged"]
    assert (first["width"], first["height"], first["attempts"]) == (640, 480, 2)
    assert second["error"]["sentence"] == 'deep/"b", caf\\xe9.jpg is empty'
    assert third["error"] is None
    assert third["finished_seconds"] is None


def test_a_report_without_files_is_one_too(tmp_path: Path) -> None:
    fields = json_of(report(tmp_path, totals=Totals()), [])
    jsonschema.validate(fields, SCHEMA)
    assert fields["files"] == []


def test_the_csv_has_a_line_for_each_file(tmp_path: Path) -> None:
    rows = csv_of(report(tmp_path))
    assert [row["status"] for row in rows] == ["written", "failed", "not-done"]
    assert rows[0]["notes"] == "icc-dropped salvaged"
    assert rows[1]["code"] == "empty-file"
    assert rows[1]["input"].endswith('deep/"b", caf\\xe9.jpg')


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"totals": Totals({Status.WRITTEN: 3, Status.SKIPPED: 1})}, 0),
        ({"totals": Totals({Status.WRITTEN: 3, Status.FAILED: 1})}, 1),
        ({"totals": Totals({Status.NOT_DONE: 1})}, 1),
        ({"interrupted": True}, 130),
        ({"interrupted": True, "failure": Failure(Code.DISK_FULL, "full")}, 3),
    ],
)
def test_the_exit_status_says_how_it_ended(
    tmp_path: Path, changes: dict[str, object], status: int
) -> None:
    assert report(tmp_path, **changes).exit_status == status


def test_both_files_are_written_from_the_journal(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "imgbatch-report.journal", {})
    journal.plan([Planned(Found("a.jpg", 10, 1, 0o644))])
    report(tmp_path).write(journal.files())
    journal.close()
    fields = json.loads((tmp_path / "imgbatch-report.json").read_text())
    assert [file["status"] for file in fields["files"]] == ["not-done"]
    assert len((tmp_path / "imgbatch-report.csv").read_text().splitlines()) == 2
    assert not list(tmp_path.glob(".*"))


def test_a_report_that_breaks_off_leaves_what_was_there(tmp_path: Path) -> None:
    made = report(tmp_path)
    made.write(files())
    before = made.path.read_bytes()

    def breaking() -> Iterator[Row]:
        yield from files()
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="no space left on device"):
        made.write(breaking())
    assert made.path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_a_report_is_written_through_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".imgbatch-report.json.{os.getpid()}.part").symlink_to(victim)
    report(tmp_path).write(files())
    assert victim.read_text() == "mine"
    assert (tmp_path / "imgbatch-report.json").read_text() != "mine"


def test_no_cell_of_the_csv_is_a_formula(tmp_path: Path) -> None:
    for begins in ("=", "+", "-", "@", "\t", "\r"):
        machine = f"{begins}HYPERLINK(1)"
        outcome = Outcome(1, Status.WRITTEN, machine=machine, notes=(machine,))
        (row,) = csv_of(report(tmp_path), [file("a.jpg", outcome)])
        assert row["machine"] == f"'{machine}"
        assert not row["notes"].startswith(begins)
