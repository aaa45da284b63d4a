from __future__ import annotations

import io
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imgbatch.batch import journal_tables as tables
from imgbatch.batch.journal import Journal
from imgbatch.batch.journal_tables import Planned, outcome_of
from imgbatch.batch.model import Failure, MachineUse, Outcome, Status
from imgbatch.batch.objects import Inventory
from imgbatch.batch.scan import Found
from imgbatch.batch.thumbnails import MOST_KEPT
from imgbatch.errors import Code, EngineError, OutputError, UsageError

ABOUT = {"input": "/photos", "output": "/out", "recipe": {"contrast": 20}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "report.journal"


def about(tmp_path: Path, **changes: object) -> dict[str, object]:
    return {**ABOUT, "output": str(tmp_path / "out"), **changes}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def planned(name: str, size_bytes: int = 10, modified_ns: int = 1, **rest: bytes) -> Planned:
    there_bytes = Inventory(Path("out")).size_of(name)
    return Planned(Found(name, size_bytes, modified_ns, 0o644), there_bytes, **rest)


def written(index: int, bytes_out: int = 4, **rest: object) -> Outcome:
    return Outcome(index, Status.WRITTEN, bytes_out=bytes_out, **rest)


def failed(index: int, code: Code = Code.DAMAGED_IMAGE) -> Outcome:
    return Outcome(index, Status.FAILED, Failure(code, f"{index} is damaged"))


def indices(journal: Journal, after: int = -1) -> list[int]:
    return [row["id"] for row in journal.open_files(after, 100)]


def by_name(journal: Journal) -> dict[bytes, dict[str, Any]]:
    return {row["source"]: dict(row) for row in journal.files()}


def put(tmp_path: Path, name: str, size_bytes: int = 4) -> None:
    path = tmp_path / "out" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size_bytes)


def test_what_was_planned_comes_out_in_order(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    assert journal.plan([planned("b.jpg"), planned("deep/a.jpg", 7, 8)]) == []
    first, second = journal.open_files(-1, 10)
    assert tuple(second)[1:] == (b"deep/a.jpg", 7, 8, 0o644, "")
    assert indices(journal, after=first["id"]) == [second["id"]]
    journal.close()


def test_a_file_that_is_planned_twice_is_one_file(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg"), planned("a.jpg")])
    assert len(indices(journal)) == 1
    journal.close()


def test_a_file_whose_fate_is_plain_is_no_job(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    pipe = Found("pipe", failure=Failure(Code.NOT_AN_IMAGE, "it is a pipe"))
    gone = Found("gone", failure=Failure(Code.UNREADABLE_FILE, "it is gone"))
    settled = journal.plan([Planned(pipe), Planned(gone)])
    assert [outcome.status for _, outcome in settled] == [Status.SKIPPED, Status.FAILED]
    assert [outcome.attempts for _, outcome in settled] == [0, 0]
    assert indices(journal) == []
    journal.close()


def test_an_outcome_is_kept_whole_and_the_first_one_counts(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg")])
    (index,) = indices(journal)
    outcome = Outcome(
        index, Status.WRITTEN, None, 0.25, "anna", 640, 480, 1234, ("icc-dropped", "salvaged"), 2
    )
    assert journal.finish(outcome, 1.5)
    assert not journal.finish(failed(index), 9.0)
    row = by_name(journal)[b"a.jpg"]
    assert outcome_of({"id": index, **row}) == outcome  # type: ignore[arg-type]
    assert (row["size_bytes"], row["finished_seconds"]) == (10, 1.5)
    assert indices(journal) == []
    journal.close()


def test_sums_examples_and_machines_are_made_from_the_outcomes(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned(f"{number}.jpg", 10 * number) for number in range(1, 6)])
    one, two, three, four, _ = indices(journal)
    journal.note_machines([MachineUse("a", "anna", 2), MachineUse("b", "berta", 4)])
    journal.finish(written(one, 5, machine="a", seconds=1.0), 0.1)
    journal.finish(written(two, 6, machine="a", seconds=2.0), 0.2)
    journal.finish(failed(three), 0.3)
    journal.finish(failed(four, Code.EMPTY_FILE), 0.4)
    totals = journal.totals()
    assert totals.by_status == {Status.WRITTEN: 2, Status.FAILED: 2, Status.NOT_DONE: 1}
    assert totals.by_code == {Code.DAMAGED_IMAGE: 1, Code.EMPTY_FILE: 1}
    assert (totals.files, totals.bytes_in, totals.bytes_out) == (5, 30, 11)
    assert {failure.code for failure in totals.examples} == set(totals.by_code)
    assert totals.timed == 4
    assert list(totals.machines) == [
        MachineUse("a", "anna", 2, 2, 3.0),
        MachineUse("b", "berta", 4, 0, 0.0),
    ]
    journal.close()


def test_entries_come_by_name_however_many(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    names = [f"{(number * 7919) % 1201:05}.jpg" for number in range(1201)]
    journal.plan([planned(name) for name in names])
    assert [row["source"].decode() for row in journal.files()] == sorted(names)
    journal.close()


def test_names_and_sentences_that_are_no_text_survive(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    name = "caf\udce9\n.jpg"
    journal.plan([planned(name)])
    (index,) = indices(journal)
    journal.finish(Outcome(index, Status.FAILED, Failure(Code.EMPTY_FILE, f"{name} is empty")), 0)
    assert by_name(journal)[b"caf\xe9\n.jpg"]["sentence"] == "caf\\xe9\n.jpg is empty"
    journal.close()


def test_a_second_run_is_kept_out_while_the_first_goes_on(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    script = f"""
        import pathlib, imgbatch.batch.journal as j, imgbatch.errors as e
        try:
            j.Journal.create(pathlib.Path({str(path)!r}), {{}})
        except e.UsageError as error:
            print(error)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    kept_out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "another run is using" in kept_out.stdout
    journal.close()
    let_in = subprocess.run(command, capture_output=True, text=True, check=True)
    assert let_in.stdout == ""


def test_what_was_finished_survives_a_kill(path: Path, tmp_path: Path) -> None:
    script = f"""
        import os, pathlib, signal
        from imgbatch.batch.journal import Journal
        from imgbatch.batch.model import Outcome, Status
        from imgbatch.batch.journal_tables import Planned
        from imgbatch.batch.scan import Found
        journal = Journal.create(pathlib.Path({str(path)!r}), {about(tmp_path)!r})
        journal.plan([
            Planned(Found(f"{{n}}.jpg", 10, 1, 0o644))
            for n in range(9)
        ])
        for index in range(1, 6):
            journal.finish(Outcome(index, Status.WRITTEN, bytes_out=4), 0.0)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -signal.SIGKILL
    for number in range(5):
        put(tmp_path, f"{number}.jpg")
    journal = Journal.resume(path, about(tmp_path))
    settled = journal.plan([planned(f"{number}.jpg") for number in range(9)])
    assert len(settled) == 5
    assert len(indices(journal)) == 4
    journal.close()


def finished_run(path: Path, tmp_path: Path, *items: Planned) -> None:
    journal = Journal.create(path, about(tmp_path))
    journal.plan(list(items))
    for index in indices(journal):
        journal.finish(written(index), 0.0)
    journal.end_of_plan()
    journal.close()
    for item in items:
        put(tmp_path, item.found.name)


@pytest.mark.parametrize(
    "now",
    [
        pytest.param(planned("a.jpg", size_bytes=11), id="another size"),
        pytest.param(planned("a.jpg", modified_ns=2), id="another time"),
        pytest.param(planned("a.jpg", checksum=b"unknown"), id="no checksum then"),
    ],
)
def test_a_file_that_is_another_is_done_again(path: Path, tmp_path: Path, now: Planned) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    journal = Journal.resume(path, about(tmp_path))
    assert journal.plan([now]) == []
    assert len(indices(journal)) == 1
    journal.close()


def test_a_file_with_the_same_content_is_done_though_its_time_differs(
    path: Path, tmp_path: Path
) -> None:
    finished_run(path, tmp_path, planned("a.jpg", checksum=b"same"))
    journal = Journal.resume(path, about(tmp_path))
    assert len(journal.plan([planned("a.jpg", modified_ns=2, checksum=b"same")])) == 1
    journal.close()


@pytest.mark.parametrize("size_bytes", [None, 0, 5])
def test_a_file_whose_output_is_not_there_as_it_was_is_done_again(
    path: Path, tmp_path: Path, size_bytes: int | None
) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    if size_bytes is None:
        (tmp_path / "out/a.jpg").unlink()
    else:
        put(tmp_path, "a.jpg", size_bytes)
    journal = Journal.resume(path, about(tmp_path))
    assert journal.plan([planned("a.jpg")]) == []
    journal.close()


def test_another_recipe_does_all_again_but_knows_whose_outputs_they_are(
    path: Path, tmp_path: Path
) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    journal = Journal.resume(path, about(tmp_path, recipe={"contrast": 30}))
    assert journal.planned_before("a.jpg")
    assert not journal.planned_before("b.jpg")
    assert journal.plan([planned("a.jpg")]) == []
    journal.close()


def test_failed_files_are_tried_again(path: Path, tmp_path: Path) -> None:
    journal = Journal.create(path, about(tmp_path))
    journal.plan([planned("a.jpg")])
    journal.finish(failed(*indices(journal)), 0.0)
    journal.close()
    journal = Journal.resume(path, about(tmp_path))
    assert journal.plan([planned("a.jpg")]) == []
    journal.close()


def test_files_that_are_gone_are_forgotten_when_the_plan_is_whole(
    path: Path, tmp_path: Path
) -> None:
    finished_run(path, tmp_path, planned("a.jpg"), planned("b.jpg"))
    journal = Journal.resume(path, about(tmp_path))
    journal.plan([planned("b.jpg")])
    journal.end_of_plan()
    assert list(by_name(journal)) == [b"b.jpg"]
    assert not journal.planned_before("a.jpg")
    journal.close()


def test_a_resumed_run_can_be_interrupted_while_it_plans_and_resumed_again(
    path: Path, tmp_path: Path
) -> None:
    finished_run(path, tmp_path, planned("a.jpg"), planned("b.jpg"))
    journal = Journal.resume(path, about(tmp_path))
    journal.plan([planned("b.jpg")])
    journal.close()
    journal = Journal.resume(path, about(tmp_path))
    assert len(journal.plan([planned("a.jpg"), planned("b.jpg")])) == 2
    journal.close()


def test_there_must_be_something_to_resume(path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Journal.resume(path, ABOUT)
    assert caught.value.code is Code.NOTHING_TO_RESUME
    assert not path.exists()


def test_another_input_is_not_resumed(path: Path, tmp_path: Path) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    with pytest.raises(UsageError, match="is of a run of /photos"):
        Journal.resume(path, about(tmp_path, input="/others"))
    journal = Journal.resume(path, about(tmp_path))
    assert len(journal.plan([planned("a.jpg")])) == 1
    journal.close()


def test_a_journal_of_use_is_not_replaced_unasked(path: Path, tmp_path: Path) -> None:
    Journal.refuse_if_of_use(path)
    Journal.create(path, about(tmp_path)).close()
    Journal.refuse_if_of_use(path)
    finished_run(path, tmp_path, planned("a.jpg"))
    with pytest.raises(UsageError, match="1 files written") as caught:
        Journal.refuse_if_of_use(path)
    assert caught.value.code is Code.OUTPUTS_EXIST
    Journal.create(path, about(tmp_path)).close()


def test_a_journal_that_was_never_begun_is_none(path: Path) -> None:
    sqlite3.connect(path).close()
    Journal.refuse_if_of_use(path)
    with pytest.raises(UsageError, match="no run to resume"):
        Journal.resume(path, ABOUT)
    Journal.create(path, ABOUT).close()


def test_what_is_no_journal_is_left_alone(path: Path) -> None:
    path.write_bytes(b"a diary, and no database at all" * 100)
    for use in (lambda: Journal.create(path, ABOUT), lambda: Journal.resume(path, ABOUT)):
        with pytest.raises(UsageError, match="damaged, or no journal"):
            use()
    assert path.read_bytes().startswith(b"a diary")


def test_a_folder_that_cannot_be_written_is_the_machinery_s(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        Journal.create(tmp_path / "missing" / "report.journal", ABOUT)


def test_an_error_while_the_run_goes_on_is_the_machinery_s(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.close()
    with pytest.raises(EngineError):
        journal.totals()


def test_a_journal_that_is_damaged_while_the_run_goes_on_ends_it(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg")])
    for file in path.parent.iterdir():
        file.write_bytes(b"x" * file.stat().st_size)
    journal._connection.execute("PRAGMA shrink_memory")
    with pytest.raises(EngineError, match="was damaged while the run went on") as caught:
        journal.totals()
    assert caught.value.code is Code.ENGINE_FAILED
    journal.close()


def test_a_closed_journal_is_one_file(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg")])
    journal.close()
    assert list(path.parent.iterdir()) == [path]


def test_a_changed_file_of_a_watched_folder_becomes_a_new_job(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg")])
    (first,) = indices(journal)
    journal.finish(written(first), 0.0)
    assert journal.knows(planned("a.jpg").found)
    assert not journal.knows(planned("a.jpg", 99).found)
    journal.plan([planned("a.jpg", 99)])
    (second,) = indices(journal, after=first)
    assert second > first
    journal.close()


def test_the_journal_is_plain_sqlite(path: Path) -> None:
    Journal.create(path, ABOUT).close()
    with sqlite3.connect(path) as connection:
        rows = dict(connection.execute("SELECT key, value FROM about"))
    connection.close()
    assert rows["format"] == "3"


def jpeg(width: int = 48, height: int = 36) -> bytes:
    kept = io.BytesIO()
    Image.new("RGB", (width, height)).save(kept, "JPEG")
    return kept.getvalue()


def thumbnails(journal: Journal) -> dict[bytes, tuple[bytes, bytes]]:
    rows = journal.rows(tables.PICTURES)
    return {row["source"]: (row["before"], row["after"]) for row in rows}


def test_thumbnails_are_kept_by_a_resumed_run_as_long_as_their_file_is_the_same(
    path: Path, tmp_path: Path
) -> None:
    names = "a.jpg", "b.jpg", "c.jpg"
    journal = Journal.create(path, about(tmp_path))
    journal.plan([planned(name) for name in names])
    pair = jpeg(), jpeg(30, 20)
    for index, name in zip(indices(journal), names, strict=True):
        journal.finish(written(index, thumbnails=pair), 0.0)
        put(tmp_path, name)
    assert thumbnails(journal) == {name.encode(): pair for name in names}
    journal.close()
    journal = Journal.resume(path, about(tmp_path))
    journal.plan([planned("a.jpg"), planned("b.jpg", modified_ns=2)])
    journal.end_of_plan()
    assert thumbnails(journal) == {b"a.jpg": pair}
    journal.close()


def test_no_more_thumbnails_are_kept_than_the_page_shows(path: Path) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned(f"{number}.jpg") for number in range(100)])
    for index in indices(journal):
        journal.finish(written(index, thumbnails=(jpeg(), jpeg())), 0.0)
    assert len(thumbnails(journal)) == MOST_KEPT
    journal.close()


@pytest.mark.parametrize("rubbish", [b"", b"<svg/>", jpeg(2000, 10), jpeg() + bytes(70_000)])
def test_rubbish_for_a_thumbnail_costs_the_picture_and_nothing_else(
    path: Path, rubbish: bytes
) -> None:
    journal = Journal.create(path, ABOUT)
    journal.plan([planned("a.jpg")])
    assert journal.finish(written(*indices(journal), thumbnails=(jpeg(), rubbish)), 0.0)
    assert thumbnails(journal) == {}
    assert journal.totals().by_status == {Status.WRITTEN: 1}
    journal.close()


def changed_by_hand(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_another_version_s_journal_is_refused_with_a_sentence(path: Path, tmp_path: Path) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    changed_by_hand(
        path,
        "UPDATE about SET value = '4' WHERE key = 'format'",
        "ALTER TABLE files ADD COLUMN later TEXT",
    )
    sentence = "of another version of imgbatch"
    with pytest.raises(UsageError, match=sentence):
        Journal.resume(path, about(tmp_path))
    with pytest.raises(UsageError, match=sentence):
        Journal.refuse_if_of_use(path)
    Journal.create(path, about(tmp_path)).close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER evil AFTER INSERT ON files BEGIN UPDATE files SET mode = 511; END",
        "CREATE VIEW more AS SELECT * FROM files",
        "ALTER TABLE files ADD COLUMN target BLOB",
        "CREATE INDEX slow ON files (seconds)",
    ],
)
def test_a_journal_with_more_in_it_than_ours_is_refused(
    path: Path, tmp_path: Path, statement: str
) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    changed_by_hand(path, statement)
    with pytest.raises(UsageError, match="no journal of imgbatch"):
        Journal.resume(path, about(tmp_path))


def test_rubbish_in_a_journal_is_no_outcome(path: Path, tmp_path: Path) -> None:
    finished_run(path, tmp_path, planned("a.jpg"))
    changed_by_hand(path, "UPDATE files SET code = 'no-such-code', notes = x'00'")
    journal = Journal.resume(path, about(tmp_path))
    assert journal.plan([planned("a.jpg")]) == []
    journal.close()
    changed_by_hand(path, "UPDATE about SET value = 'not json'")
    with pytest.raises(UsageError, match="no journal of imgbatch"):
        Journal.resume(path, about(tmp_path))


def test_a_link_is_no_journal(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    for use in (lambda: Journal.create(path, ABOUT), lambda: Journal.refuse_if_of_use(path)):
        with pytest.raises(UsageError, match="is a link"):
            use()
    assert not (tmp_path / "elsewhere").exists()
