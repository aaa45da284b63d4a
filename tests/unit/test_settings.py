from __future__ import annotations

from pathlib import Path

import pytest

from imgbatch.batch.scan import Selection
from imgbatch.errors import Code, UsageError
from imgbatch.settings import (
    REPORT_NAME,
    Settings,
    check_paths,
    found_of,
    names_of,
    report_path,
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "photos"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.jpg", "deep/b.jpg"):
        (folder / name).write_bytes(b"x")
    return folder


def code_of(settings: Settings) -> Code:
    with pytest.raises(UsageError) as caught:
        check_paths(settings)
    return caught.value.code


def test_paths_become_absolute(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    checked = check_paths(Settings(Path("photos"), Path("out"), report=Path("r.json")))
    assert checked.source == photos
    assert checked.target == photos.parent / "out"
    assert checked.report == photos.parent / "r.json"


def test_the_input_must_be_there(photos: Path) -> None:
    assert code_of(Settings(photos / "gone", photos / "out")) is Code.INPUT_MISSING


def test_the_input_is_never_the_output(photos: Path) -> None:
    (photos.parent / "link").symlink_to(photos)
    assert code_of(Settings(photos, photos)) is Code.SAME_FOLDER
    assert code_of(Settings(photos, photos.parent / "link")) is Code.SAME_FOLDER
    assert code_of(Settings(photos, photos / "deep" / "..")) is Code.SAME_FOLDER
    assert code_of(Settings(photos / "a.jpg", photos)) is Code.SAME_FOLDER


def test_the_output_is_no_file(photos: Path) -> None:
    assert code_of(Settings(photos, photos / "a.jpg")) is Code.OUTPUT_FOLDER_UNWRITABLE


@pytest.mark.parametrize("name", ["r.csv", "r.html", "r.journal"])
def test_the_report_is_none_of_those_beside_it(photos: Path, name: str) -> None:
    settings = Settings(photos, photos.parent / "out", report=Path(name))
    assert code_of(settings) is Code.BAD_OPTION


def test_the_report_lies_in_the_output_unless_told_otherwise(photos: Path) -> None:
    out = photos.parent / "out"
    assert report_path(Settings(photos, out)) == out / REPORT_NAME
    assert report_path(Settings(photos, out, report=Path("r.json"))) == Path("r.json")


def test_what_is_ours_is_not_found(photos: Path) -> None:
    settings = Settings(photos, photos / "out", report=photos / "r.json")
    for path in (photos / "out/c.jpg", photos / "r.json", photos / "r.csv", photos / "r.journal"):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert sorted(found.name for found in found_of(settings)) == ["a.jpg", "deep/b.jpg"]
    assert sorted(names_of(settings)) == ["a.jpg", "deep/b.jpg"]


def test_a_selection_or_a_list_decides_what_is_found(photos: Path) -> None:
    out = photos.parent / "out"
    flat = Settings(photos, out, selection=Selection(recursive=False))
    assert [found.name for found in found_of(flat)] == ["a.jpg"]
    listed = Settings(photos, out, names=lambda: ["deep/b.jpg"])
    for _ in range(2):
        assert (
            [found.name for found in found_of(listed)] == list(names_of(listed)) == ["deep/b.jpg"]
        )
