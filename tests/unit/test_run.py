from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.photos import encoded, fill

import imgbatch
from imgbatch import Adjustment, Encoding, process, run, run_batch
from imgbatch.batch.model import Outcome, Status
from imgbatch.batch.tally import Tally
from imgbatch.engines.base import JobSource, Listener, Stop
from imgbatch.errors import Code, OutputError, UsageError
from imgbatch.images.limits import Limits
from imgbatch.recipe import OutputFormat, Recipe
from imgbatch.run import execute, planned_files
from imgbatch.settings import Settings
from imgbatch.workers.forkserver import ForkServer


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "photos"
    fill(folder, 2)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path.resolve() / "out"


def test_a_folder_is_one_call(photos: Path, out: Path) -> None:
    report = run_batch(photos, out, Adjustment(10, 20, 40), html=False)
    assert report.count(Status.WRITTEN) == 2
    assert report.exit_status == 0
    assert report.path == out / "imgbatch-report.json"
    for path in photos.iterdir():
        expected = process(path.read_bytes(), Adjustment(10, 20, 40))
        assert (out / path.name).read_bytes() == expected


def test_the_run_s_figures_are_written_for_prometheus(photos: Path, out: Path) -> None:
    (photos / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (photos / "notes.txt").write_text("x")
    figures = photos / "imgbatch.prom"
    report = run_batch(photos, out, html=False, metrics_file=figures)
    assert report.totals.files == 4  # the last run's figures are no file of the next one's
    shown = {
        (it.name, *(it.labels[name] for name in sorted(it.labels.keys() - {"output", "le"}))): it
        for family in text_string_to_metric_families(figures.read_text())
        for it in family.samples
    }
    assert {it.labels["output"] for it in shown.values()} == {str(out)}
    values = {key: it.value for key, it in shown.items()}
    assert values["imgbatch_run_images", "written"] == 2
    assert values["imgbatch_run_images", "failed"] == 1
    assert values["imgbatch_run_failures", "not-an-image"] == 1
    assert values[("imgbatch_run_exit_status",)] == 1
    assert values[("imgbatch_run_written_bytes",)] == report.totals.bytes_out
    assert values["imgbatch_run_image_seconds_count", "jpeg", "written"] == 2
    assert values["imgbatch_run_image_seconds_count", "png", "failed"] == 1
    again = run_batch(photos, out, html=False, metrics_file=figures, overwrite=True)
    assert again.totals.files == 4


def test_figures_that_cannot_be_written_end_a_run_that_is_done_with_a_sentence(
    photos: Path, out: Path
) -> None:
    figures = photos / "no folder" / "imgbatch.prom"
    report = execute(Settings(photos, out, html=False, metrics_file=figures), Tally(), Stop())
    assert (report.exit_status, report.count(Status.WRITTEN), report.saved) == (3, 2, True)
    assert report.failure is not None
    assert f"the metrics file {figures} can't be written" in report.failure.sentence


def test_all_of_the_package_s_names_are_there() -> None:
    for name in imgbatch.__all__:
        assert getattr(imgbatch, name)
    assert dir(imgbatch) == sorted(imgbatch.__all__)
    with pytest.raises(AttributeError):
        imgbatch.nothing  # noqa: B018


def test_options_have_their_keywords(photos: Path, out: Path, tmp_path: Path) -> None:
    (photos / "notes.txt").write_text("x")
    report = run_batch(
        photos,
        out,
        encoding=Encoding(OutputFormat.PNG),
        include=["*_0000.*"],
        report=tmp_path / "r.json",
        procs=1,
        html=False,
    )
    assert report.totals.files == 1
    assert [path.name for path in out.iterdir()] == ["IMG_0000.png"]
    assert json.loads((tmp_path / "r.json").read_text())["encoding"]["output_format"] == "png"


def test_a_bad_file_is_in_the_report_and_no_exception(photos: Path, out: Path) -> None:
    (photos / "bad.jpg").write_bytes(encoded(".jpg")[:100])
    report = run_batch(photos, out, html=False)
    assert report.exit_status == 1
    (example,) = report.totals.examples
    assert str(photos / "bad.jpg") in example.sentence


def test_overwrite_and_resume_exclude_each_other(photos: Path, out: Path) -> None:
    with pytest.raises(UsageError):
        run_batch(photos, out, overwrite=True, resume=True)


def test_every_option_of_a_run_is_known_by_its_field(photos: Path, out: Path) -> None:
    report = run_batch(str(photos), str(out), contrast=20, output_format="png", html=False)
    assert report.recipe == Recipe(Adjustment(contrast=20), Encoding(OutputFormat.PNG))
    with pytest.raises(TypeError, match="can't take 'colour'"):
        run_batch(photos, out, colour=3)


@pytest.mark.parametrize(
    "options",
    [
        {"contrast": 50},
        {"encoding": Encoding(), "quality": 5},
        {"limits": Limits(), "max_bytes": 9},
    ],
)
def test_what_is_given_as_a_whole_is_not_given_in_part(
    photos: Path, out: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(TypeError, match="part of another"):
        run_batch(photos, out, Adjustment(10), **options)
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"procs": 0}, "procs"),
        ({"procs": "2"}, "procs"),
        ({"max_pixels": "1M"}, "max_pixels"),
        ({"max_bytes": -1}, "max_bytes"),
        ({"image_timeout_seconds": 0}, "image_timeout_seconds"),
        ({"image_timeout_seconds": "2"}, "image_timeout_seconds"),
        ({"include": "*.jpg"}, "include must be a list"),
        ({"exclude": "*.jpg"}, "exclude must be a list"),
        ({"output_format": "tiff"}, "output_format"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_the_name_of_their_option(
    photos: Path, out: Path, options: dict[str, Any], what: str
) -> None:
    with pytest.raises(UsageError, match=what) as caught:
        run_batch(photos, out, html=False, **options)
    assert caught.value.code is Code.BAD_OPTION
    assert not out.exists()


def test_a_refused_run_leaves_no_folder(photos: Path, out: Path) -> None:
    (photos / "IMG_0000.png").write_bytes(encoded(".png"))
    with pytest.raises(UsageError) as caught:
        run_batch(photos, out / "deep", encoding=Encoding(OutputFormat.JPEG))
    assert caught.value.code is Code.NAME_COLLISION
    assert not out.exists()


def test_an_output_folder_that_cannot_be_made_is_the_machinery_s(
    photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError) as caught:
        run_batch(photos, Path("/proc/imgbatch-cannot-be"))
    assert caught.value.code is Code.OUTPUT_FOLDER_UNWRITABLE


def test_the_probe_of_an_output_folder_follows_no_link(photos: Path, out: Path) -> None:
    out.mkdir()
    (out / f".imgbatch-probe-{os.getpid()}").symlink_to(out / "victim")
    execute(Settings(photos, out, html=False), Tally(), Stop())
    assert not (out / "victim").exists()


def test_the_tally_ends_where_the_report_does(photos: Path, out: Path) -> None:
    (photos / "notes.txt").write_text("x")
    tally = Tally()
    report = execute(Settings(photos, out, html=False), tally, Stop())
    assert tally.plan_complete
    assert (tally.planned_files, tally.done_files) == (3, 3)
    assert tally.ended == {Status.WRITTEN: 2, Status.SKIPPED: 1}
    assert tally.bytes_out == report.totals.bytes_out
    assert tally.waiting is None


def test_a_run_that_is_stopped_before_it_begins_lists_its_files(photos: Path, out: Path) -> None:
    stop = Stop()
    stop.gently.set()
    report = execute(Settings(photos, out, html=False), Tally(), stop)
    assert report.interrupted
    assert report.exit_status == 130
    assert report.count(Status.NOT_DONE) == 2
    resumed = Settings(photos, out, resume=True, html=False)
    assert execute(resumed, Tally(), Stop()).count(Status.WRITTEN) == 2


def test_a_resumed_run_leaves_others_files_alone(photos: Path, out: Path) -> None:
    execute(Settings(photos, out, html=False), Tally(), Stop())
    (photos / "new.jpg").write_bytes(encoded(".jpg"))
    (out / "new.jpg").write_text("somebody's")
    report = execute(Settings(photos, out, resume=True, html=False), Tally(), Stop())
    assert report.totals.by_code == {Code.OUTPUT_EXISTS: 1}
    assert (out / "new.jpg").read_text() == "somebody's"


def test_somebody_else_s_journal_makes_no_run_write_outside_the_output_folder(
    photos: Path, out: Path
) -> None:
    execute(Settings(photos, out, html=False), Tally(), Stop())
    (photos / "new.png").write_bytes(encoded(".png"))
    victim = photos.parent / "victim"
    victim.write_text("mine")
    journal = out / "imgbatch-report.journal"
    with sqlite3.connect(journal) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(files)")]
        name = "target" if "target" in columns else "source"
        connection.execute(
            f"CREATE TRIGGER evil AFTER INSERT ON files BEGIN UPDATE files SET {name} = "
            f"CAST('{victim}' AS BLOB) WHERE id = new.id; END"
        )
    connection.close()
    with pytest.raises(UsageError, match="no journal of imgbatch"):
        execute(Settings(photos, out, resume=True, html=False), Tally(), Stop())
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("html", [True, False])
def test_workers_find_what_thumbnails_need_imported_if_there_will_be_some(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, html: bool
) -> None:
    preloads = []

    class Noted(ForkServer):
        def __init__(self, preload: Sequence[str] = ()) -> None:
            preloads.append(preload)
            super().__init__(preload)

    monkeypatch.setattr("imgbatch.engines.local.engine.ForkServer", Noted)
    run_batch(photos, out, html=html)
    (preload,) = preloads
    assert ("imgbatch.images.display" in preload) == html


def test_the_page_is_made_unless_it_is_not_wanted(photos: Path, out: Path) -> None:
    report = execute(Settings(photos, out), Tally(), Stop())
    assert report.page == out / "imgbatch-report.html"
    assert "<html" in report.page.read_text()


class ThumbnailEngine:
    """An engine whose workers copy files, and bring the thumbnails that are wanted."""

    name = "local"

    def __init__(self, thumbnails: tuple[bytes, bytes]) -> None:
        self._thumbnails = thumbnails

    def run(self, jobs: JobSource, recipe: Recipe, listener: Listener, stop: Stop) -> None:
        while not jobs.is_exhausted:
            for job in jobs.take(1):
                job.target.write_bytes(job.source.read_bytes())
                thumbnails = self._thumbnails if job.wants_thumbnails else None
                outcome = Outcome(job.index, Status.WRITTEN, thumbnails=thumbnails)
                listener.finished(outcome)


@pytest.mark.parametrize("rubbish", [None, b"<script>alert(1)</script>"])
def test_thumbnails_that_come_with_outcomes_stand_on_the_page(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, rubbish: bytes | None
) -> None:
    before, after = encoded(".jpg"), encoded(".jpg", seed=1)
    engine = ThumbnailEngine((before, rubbish or after))
    monkeypatch.setattr(run, "_engine", lambda *_: engine)
    report = execute(Settings(photos, out), Tally(), Stop())
    assert report.count(Status.WRITTEN) == 2
    assert report.page is not None
    page = report.page.read_text()
    for picture in (before, after):
        assert page.count(b64encode(picture).decode()) == (0 if rubbish else 2)
    resumed = execute(Settings(photos, out, resume=True), Tally(), Stop())
    assert resumed.page is not None
    assert resumed.page.read_text().count("<figure>") == (0 if rubbish else 2)


def test_the_plan_is_known_before_anything_is_done(photos: Path, out: Path) -> None:
    planned = {found.name: target for found, target in planned_files(Settings(photos, out))}
    assert planned == {"IMG_0000.jpg": "IMG_0000.jpg", "IMG_0001.jpg": "IMG_0001.jpg"}
    assert not out.exists()
