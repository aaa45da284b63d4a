from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.photos import encoded

from imgbatch.batch.names import Naming, folds_names, refuse_collisions, refuse_existing
from imgbatch.batch.objects import Inventory
from imgbatch.errors import Code, UsageError
from imgbatch.recipe import OutputFormat


def calls(*names: str) -> Callable[[], Iterator[str]]:
    return lambda: iter(names)


@pytest.mark.parametrize(
    ("output_format", "name", "target"),
    [
        (OutputFormat.KEEP, "deep/a.JPG", "deep/a.JPG"),
        (OutputFormat.KEEP, "odd.name", "odd.name"),
        (OutputFormat.JPEG, "deep/a.png", "deep/a.jpg"),
        (OutputFormat.JPEG, "a.JPEG", "a.JPEG"),
        (OutputFormat.JPEG, "no-suffix", "no-suffix.jpg"),
        (OutputFormat.JPEG, "holiday.2024/a", "holiday.2024/a.jpg"),
        (OutputFormat.PNG, "a.jpg", "a.png"),
        (OutputFormat.PNG, "a.PNG", "a.PNG"),
    ],
)
def test_an_output_name_changes_only_its_suffix(
    output_format: OutputFormat, name: str, target: str
) -> None:
    assert Naming(output_format).target(name) == target


def test_two_images_that_would_share_a_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(".jpg"))
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    with pytest.raises(UsageError) as caught:
        refuse_collisions(calls("a.jpg", "a.png"), tmp_path, Naming(OutputFormat.JPEG))
    assert caught.value.code is Code.NAME_COLLISION
    assert "a.jpg and a.png" in caught.value.sentence


def test_a_file_that_is_no_image_shares_no_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encoded(".jpg"))
    (tmp_path / "a.txt").write_text("what a.jpg shows")
    refuse_collisions(calls("a.jpg", "a.txt"), tmp_path, Naming(OutputFormat.JPEG))


@pytest.mark.parametrize("name", ["a.heic", "a.HEIC", "a.heif", "a.HIF"])
def test_the_name_of_a_format_that_is_only_read_gets_the_suffix_of_what_is_written(
    tmp_path: Path, name: str
) -> None:
    assert Naming().target(f"x.y/{name}") == "x.y/a.jpg"
    assert Naming(OutputFormat.PNG).target(name) == "a.png"
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "a.jpg").write_bytes(encoded(".jpg"))
    with pytest.raises(UsageError) as caught:
        refuse_collisions(calls(name, "a.jpg"), tmp_path, Naming())
    assert caught.value.code is Code.NAME_COLLISION


@pytest.mark.parametrize("names", [("A.jpg", "a.jpg"), ("caf\u00e9.jpg", "cafe\u0301.jpg")])
def test_a_file_system_that_folds_names_makes_others_collide(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    for name in names:
        (tmp_path / name).write_bytes(encoded(".jpg"))
    refuse_collisions(calls(*names), tmp_path, Naming())
    with pytest.raises(UsageError):
        refuse_collisions(calls(*names), tmp_path, Naming(folds=True))


def test_files_that_are_there_are_refused_by_name(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").touch()
    names = [f"{number}.png" for number in range(5)]
    with pytest.raises(UsageError) as caught:
        refuse_existing(names, Inventory(tmp_path), Naming(OutputFormat.JPEG))
    assert caught.value.code is Code.OUTPUTS_EXIST
    assert "0.jpg, 1.jpg, 2.jpg and more" in caught.value.sentence
    refuse_existing(names, Inventory(tmp_path), Naming())


def test_this_file_system_is_asked_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "probe").touch()
    assert folds_names(tmp_path) is (tmp_path / "PROBE").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["probe"]


def test_a_probe_follows_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / f".imgbatch-folds-{os.getpid()}").symlink_to(victim)
    folds_names(tmp_path)
    assert not victim.exists()


def test_a_folder_that_takes_no_file_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        folds_names(tmp_path / "not-yet")
