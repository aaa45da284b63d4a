from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgbatch.adjustment import Adjustment
from imgbatch.cli.client import main
from imgbatch.cli.client_run import interruptible, show_plan
from imgbatch.cli.main import parse
from imgbatch.cli.options import CLIENT
from imgbatch.cli.values import NameList
from imgbatch.engines.base import Stop
from imgbatch.images.limits import Limits
from imgbatch.recipe import DamagedPolicy, Encoding, Frames, OutputFormat, PngLevel, Progressive
from imgbatch.settings import Settings, settings_from


def settings(*arguments: str) -> Settings:
    return settings_from(parse(CLIENT, ["photos", "out", *arguments]))


def test_without_options_everything_is_as_settings_have_it() -> None:
    assert settings() == Settings(Path("photos"), Path("out"))


def test_the_recipe_is_what_was_asked_for() -> None:
    recipe = settings(
        "--brightness", "-10", "--contrast", "20", "--sharpness", "30", "--format", "png",
        "--quality", "85", "--progressive", "yes", "--png-level", "small", "--strip",
        "--damaged", "salvage", "--frames", "first",
    ).recipe  # fmt: skip
    assert recipe.adjustment == Adjustment(-10, 20, 30)
    assert recipe.encoding == Encoding(
        OutputFormat.PNG,
        85,
        Progressive.YES,
        PngLevel.SMALL,
        True,
        DamagedPolicy.SALVAGE,
        Frames.FIRST,
    )


def test_the_rest_is_what_was_asked_for() -> None:
    asked = settings(
        "--no-recursive", "--include", "*.jpg", "--exclude", "raw", "--hidden", "--no-preserve",
        "--resume", "--checksum", "--report", "r.json", "--procs", "3", "--max-pixels", "1M",
        "--metrics-file", "f.prom",
        "--max-bytes", "2MiB", "--image-timeout", "7.5", "--watch", "--no-html",
    )  # fmt: skip
    selection = asked.selection
    assert (selection.recursive, selection.hidden) == (False, True)
    assert (selection.include, selection.exclude) == (("*.jpg",), ("raw",))
    assert (asked.preserve, asked.checksum, asked.watch, asked.html) == (False, True, True, False)
    assert (asked.resume, asked.overwrite) == (True, False)
    assert (asked.report, asked.metrics_file) == (Path("r.json"), Path("f.prom"))
    assert (asked.procs, asked.image_timeout_seconds) == (3, 7.5)
    assert asked.limits == Limits(1_000_000, 2 * 2**20)


def test_a_broker_brings_its_options() -> None:
    rabbit: Any = settings(
        "--broker", "amqp://broker/", "--machines", "2", "--timeout", "9", "--mixed-fleet"
    ).rabbit
    assert str(rabbit.broker).startswith("amqp://broker")
    assert (rabbit.machines, rabbit.timeout_seconds, rabbit.mixed_fleet) == (2, 9.0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos"], "give INPUT and OUTPUT"),
        (["photos", "out", "--overwrite", "--resume"], "--overwrite and --resume exclude"),
        (["photos", "out", "--watch", "--dry-run"], "--watch and --dry-run exclude"),
        (["photos", "out", "--watch", "--files-from", __file__], "--watch and --files-from"),
        (["photos", "out", "--files-from", "/nonexistent"], "'/nonexistent' is not a file"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.jpg\nb c.jpg\r\n\nd.jpg", ["a.jpg", "b c.jpg", "d.jpg"]),
        (b"a\nb.jpg\0c.jpg\0", ["a\nb.jpg", "c.jpg"]),
        (b"caf\xe9.jpg\n", ["caf\udce9.jpg"]),
        (b"", []),
        (b"x" * 70_000 + b"\nb", ["x" * 70_000, "b"]),
    ],
)
def test_a_list_is_separated_by_nul_or_else_by_newlines(
    tmp_path: Path, content: bytes, names: list[str]
) -> None:
    (tmp_path / "list").write_bytes(content)
    listed = NameList(str(tmp_path / "list"))
    assert list(listed()) == list(listed()) == names


def test_a_list_on_standard_input_can_be_read_twice() -> None:
    code = (
        "from imgbatch.cli.values import NameList\n"
        "listed = NameList('-'); print(list(listed()), list(listed()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="a\nb\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "['a', 'b'] ['a', 'b']\n"


def test_the_first_signal_stops_gently_and_the_second_at_once() -> None:
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)
    with interruptible(stop):
        signal.raise_signal(signal.SIGTERM)
        assert stop.gently.is_set()
        assert not stop.now.is_set()
        signal.raise_signal(signal.SIGINT)
        assert stop.now.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_gentleness_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgbatch.cli.client_run.GRACE_SECONDS", 0.01)
    stop = Stop()
    with interruptible(stop):
        signal.raise_signal(signal.SIGINT)
        assert stop.now.wait(10)


def test_a_dry_run_shows_a_name_on_one_line_and_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a\x1b[2J\nb.jpg").touch()
    show_plan(Settings(tmp_path / "in", tmp_path / "out"))
    assert capsys.readouterr().out == (
        f"a\\x1b[2J\\nb.jpg -> {tmp_path.resolve()}/out/a\\x1b[2J\\nb.jpg\n"
    )
