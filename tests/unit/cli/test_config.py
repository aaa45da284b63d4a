from __future__ import annotations

from pathlib import Path

import pytest

from imgbatch.cli.client_options import CLIENT
from imgbatch.cli.config import gather, read_table
from imgbatch.cli.presets import PRESETS
from imgbatch.errors import UsageError

NOWHERE = {"XDG_CONFIG_HOME": "/nonexistent"}


def table(path: Path, text: str) -> Path:
    path.write_text(f"[imgbatch]\n{text}")
    return path


def test_the_nearest_source_wins(tmp_path: Path) -> None:
    table(tmp_path / "imgbatch.toml", "contrast = 1\nbrightness = 1\nsharpness = 1\nprocs = 1")
    preset = table(tmp_path / "mine.toml", "contrast = 3\nbrightness = 3")
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path),
        "IMGBATCH_CONTRAST": "2",
        "IMGBATCH_BRIGHTNESS": "2",
        "IMGBATCH_SHARPNESS": "2",
    }
    options = gather(CLIENT, {"contrast": 4, "preset": str(preset)}, environment)
    factors = [options[name] for name in ("contrast", "brightness", "sharpness", "procs")]
    assert factors == [4, 3, 2, 1]


def test_without_any_source_there_is_only_what_was_given() -> None:
    assert gather(CLIENT, {"contrast": 4}, NOWHERE) == {"contrast": 4}


@pytest.mark.parametrize("name", PRESETS)
def test_built_in_presets_have_a_name(name: str) -> None:
    options = gather(CLIENT, {"preset": name}, NOWHERE)
    for factor in ("brightness", "contrast", "sharpness"):
        assert options.get(factor, 0) == getattr(PRESETS[name], factor)


def test_a_preset_leaves_single_factors_to_the_command_line() -> None:
    assert gather(CLIENT, {"preset": "punchy", "contrast": 0}, NOWHERE)["contrast"] == 0


def test_all_kinds_of_values_are_understood(tmp_path: Path) -> None:
    path = table(
        tmp_path / "all.toml",
        'max-pixels = "100M"\nquality = 80\ninclude = ["*.jpg", "*.png"]\nrecursive = false\n'
        'format = "jpeg"\nimage_timeout = 1.5\nreport = "reports/a.json"\n',
    )
    assert read_table(CLIENT, path) == {
        "max_pixels": 100_000_000,
        "quality": 80,
        "include": ["*.jpg", "*.png"],
        "recursive": False,
        "format": "jpeg",
        "image_timeout": 1.5,
        "report": Path("reports/a.json"),
    }


def test_the_environment_can_say_yes_and_no_and_lists() -> None:
    environment = NOWHERE | {
        "IMGBATCH_STRIP": "yes",
        "IMGBATCH_RECURSIVE": "0",
        "IMGBATCH_EXCLUDE": "*.txt:raw/",
        "IMGBATCH_BROKER": "",
    }
    assert gather(CLIENT, {}, environment) == {
        "strip": True,
        "recursive": False,
        "exclude": ["*.txt", "raw/"],
    }


@pytest.mark.parametrize("name", ["INPUT", "OVERWRITE", "RESUME", "DRY_RUN"])
def test_what_decides_over_files_is_said_on_the_command_line_only(name: str) -> None:
    assert gather(CLIENT, {}, NOWHERE | {f"IMGBATCH_{name}": "yes"}) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contrast = 200", "contrast is '200'"),
        ("recursive = 'perhaps'", "it takes yes or no"),
        ("format = 'gif'", "it takes keep, jpeg or png"),
        ("colour = 3", "colour is no option of imgbatch-client"),
        ("overwrite = true", "overwrite is no option"),
        ("contrast =", "is no TOML file"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, words: str) -> None:
    path = table(tmp_path / "bad.toml", text)
    with pytest.raises(UsageError, match=words) as caught:
        read_table(CLIENT, path)
    assert str(path) in caught.value.sentence


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(UsageError, match="IMGBATCH_QUALITY is 'x'"):
        gather(CLIENT, {}, NOWHERE | {"IMGBATCH_QUALITY": "x"})


def test_a_file_without_our_table_is_no_preset(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("[tool]\nx = 1\n")
    with pytest.raises(UsageError, match=r"no \[imgbatch\] table"):
        gather(CLIENT, {"preset": str(path)}, NOWHERE)
    with pytest.raises(UsageError, match="can't be read"):
        gather(CLIENT, {"config": tmp_path / "missing.toml"}, NOWHERE)
    with pytest.raises(UsageError, match="punchy"):
        gather(CLIENT, {"preset": "nicer"}, NOWHERE)
