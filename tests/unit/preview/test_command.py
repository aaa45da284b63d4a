import shlex
from pathlib import Path

import pytest

from imgbatch.errors import UsageError
from imgbatch.preview.command import command_line, open_album


def test_a_folder_shows_its_photographs_in_the_order_people_expect(tmp_path):
    (tmp_path / "deeper").mkdir()
    for name in ("img10.jpg", "img2.JPG", "b.png", "notes.txt", ".hidden.jpg", "deeper/a.tif"):
        (tmp_path / name).touch()
    assert open_album(tmp_path).names == ("b.png", "deeper/a.tif", "img2.JPG", "img10.jpg")


def test_a_single_photograph_is_shown_whatever_its_name(tmp_path):
    photograph = tmp_path / "no suffix"
    photograph.touch()
    album = open_album(photograph)
    assert album.paths == (photograph,)


def test_what_is_not_there_or_empty_is_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        open_album(tmp_path / "missing")
    with pytest.raises(UsageError, match="holds no photograph"):
        open_album(tmp_path)


def test_the_command_names_input_and_output(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    assert shlex.split(command_line(photos)) == [
        "imgbatch-client",
        str(photos),
        f"{photos}-adjusted",
    ]


def test_the_output_is_a_folder_that_is_not_there_yet(tmp_path):
    for name in ("photos", "photos-adjusted", "photos-adjusted-2"):
        (tmp_path / name).mkdir()
    assert command_line(tmp_path / "photos").endswith("photos-adjusted-3")


def test_names_with_spaces_and_dashes_survive_a_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / "-it's a $HOME"
    photos.mkdir()
    words = shlex.split(command_line(photos.relative_to(tmp_path)))
    assert words == ["imgbatch-client", "./-it's a $HOME", "./-it's a $HOME-adjusted"]


def test_the_current_folder_has_an_output_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shlex.split(command_line(Path()))[1:] == [".", f"{tmp_path}-adjusted"]


def test_a_single_photograph_gets_a_folder_named_after_it(tmp_path):
    photograph = tmp_path / "a.jpg"
    photograph.touch()
    assert command_line(photograph).endswith("a-adjusted")
