from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgbatch.cli.main import parse
from imgbatch.cli.option_types import Program
from imgbatch.cli.options import CLIENT, PREVIEW, PROGRAMS, SERVER, STATUS
from imgbatch.cli.presets import PRESETS
from imgbatch.errors import UsageError
from imgbatch.recipe import OutputFormat


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the settings file is looked for."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def table(path: Path, text: str) -> Path:
    path.write_text(f"[imgbatch]\n{text}")
    return path


def test_the_nearest_source_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(home / "imgbatch.toml", "contrast = 1\nbrightness = 1\nsharpness = 1\nprocs = 1")
    preset = table(home / "mine.toml", "contrast = 3\nbrightness = 3")
    for name in ("CONTRAST", "BRIGHTNESS", "SHARPNESS"):
        monkeypatch.setenv(f"IMGBATCH_{name}", "2")
    options = parse(CLIENT, ["--contrast", "4", "--preset", str(preset)])
    factors = [options[name] for name in ("contrast", "brightness", "sharpness", "procs")]
    assert factors == [4, 3, 2, 1]


def test_the_word_for_a_default_is_an_answer_like_any_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table(home / "imgbatch.toml", "procs = 3")
    assert "procs" not in parse(CLIENT, ["--procs", "auto"])
    monkeypatch.setenv("IMGBATCH_PROCS", "auto")
    assert "procs" not in parse(CLIENT, [])


@pytest.mark.parametrize("program", [SERVER, STATUS], ids=lambda program: program.name)
def test_the_settings_file_counts_for_every_program(home: Path, program: Program) -> None:
    table(home / "imgbatch.toml", 'broker = "amqp://far/"\ncontrast = 3\nprefetch = 2\nwait = 7')
    given = parse(program, [])
    assert given.pop("broker") == "amqp://far/"
    assert given == ({"prefetch": 2} if program is SERVER else {"wait_seconds": 7.0})


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_a_settings_file_with_a_mistake_is_refused_by_every_program(
    home: Path, program: Program
) -> None:
    table(home / "imgbatch.toml", "colour = 3")
    with pytest.raises(UsageError, match="there is no option colour"):
        parse(program, ["photos"] if program is PREVIEW else [])


def test_the_file_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table(home / "imgbatch.toml", "procs = 1")
    other = table(home / "other.toml", "procs = 2")
    assert parse(SERVER, ["--config", str(other)])["procs"] == 2
    monkeypatch.setenv("IMGBATCH_CONFIG", str(other))
    assert parse(SERVER, [])["procs"] == 2


@pytest.mark.parametrize("home", ["here", "/" + "x" * 5000, "/proc/1/fd"])
def test_a_home_without_sense_or_access_holds_no_settings(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    table(tmp_path / "here" / "imgbatch.toml", "procs = 1")
    monkeypatch.setenv("XDG_CONFIG_HOME", home)
    assert parse(SERVER, []) == {}


@pytest.mark.parametrize("name", PRESETS)
def test_built_in_presets_have_a_name(home: Path, name: str) -> None:
    options = parse(CLIENT, ["--preset", name])
    for factor in ("brightness", "contrast", "sharpness"):
        assert options.get(factor, 0) == getattr(PRESETS[name], factor)


def test_a_preset_leaves_single_factors_to_the_command_line(home: Path) -> None:
    table(home / "imgbatch.toml", 'preset = "punchy"')
    assert parse(CLIENT, ["--contrast", "0"])["contrast"] == 0
    assert parse(CLIENT, [])["sharpness"] == PRESETS["punchy"].sharpness


def test_all_kinds_of_values_are_understood(home: Path) -> None:
    table(
        home / "imgbatch.toml",
        'max-pixels = "100M"\nquality = 80\ninclude = ["*.jpg", "*.png"]\nrecursive = false\n'
        'format = "jpeg"\nimage_timeout = 1.5\nreport = "reports/a.json"\nexclude = "a:b"\n',
    )
    assert parse(CLIENT, []) == {
        "max_pixels": 100_000_000,
        "quality": 80,
        "include": ("*.jpg", "*.png"),
        "exclude": ("a", "b"),
        "recursive": False,
        "output_format": OutputFormat.JPEG,
        "image_timeout_seconds": 1.5,
        "report": Path("reports/a.json"),
    }


def test_the_environment_can_say_yes_and_no_and_lists(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"STRIP": "yes", "RECURSIVE": "0", "EXCLUDE": "*.txt:raw/", "BROKER": ""}
    for name, text in texts.items():
        monkeypatch.setenv(f"IMGBATCH_{name}", text)
    assert parse(CLIENT, []) == {
        "strip_metadata": True,
        "recursive": False,
        "exclude": ("*.txt", "raw/"),
    }


@pytest.mark.parametrize("name", ["INPUT", "SOURCE", "OVERWRITE", "RESUME", "DRY_RUN"])
def test_what_decides_over_files_is_said_on_the_command_line_only(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"IMGBATCH_{name}", "yes")
    assert parse(CLIENT, []) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contrast = 200", "contrast: 200 is not in the range -100<=x<=100"),
        ("contrast = true", "contrast: 'True' is not a valid integer"),
        ("recursive = 'perhaps'", "recursive: 'perhaps' is not a valid boolean"),
        ("recursive = 5", "recursive: '5' is not a valid boolean"),
        ("format = 'gif'", "format: 'gif' is not one of 'keep', 'jpeg', 'png'"),
        ("colour = 3", "there is no option colour"),
        ("overwrite = true", "there is no option overwrite"),
        ("contrast =", "is not a TOML file"),
    ],
)
def test_mistakes_in_a_file_are_named(home: Path, text: str, words: str) -> None:
    path = table(home / "bad.toml", text)
    with pytest.raises(UsageError, match=words) as caught:
        parse(CLIENT, ["--config", str(path)])
    assert caught.value.sentence.startswith(str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "{home}/other.toml"], r"no \[imgbatch\] table"),
        (["--config", "{home}/missing.toml"], "can't be read: no such file"),
        (["--preset", "nicer"], "must be punchy, bright, crisp, flat or the name of a .toml file"),
    ],
)
def test_what_is_no_preset_or_settings_file_is_named(
    home: Path, arguments: list[str], words: str
) -> None:
    (home / "other.toml").write_text("[tool]\nx = 1\n")
    given: list[Any] = [word.format(home=home) for word in arguments]
    with pytest.raises(UsageError, match=words):
        parse(CLIENT, given)
