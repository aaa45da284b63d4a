from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.photos import fill

from imgbatch.cli.client import main
from imgbatch.engines.local import launch


def test_explain_needs_no_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "--contrast", "20"]) == 0
    assert "358" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--machines=2", "--timeout=9", "--mixed-fleet"])
def test_options_for_other_machines_are_refused_without_a_broker(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["photos", "out", option]) == 2
    assert "give --broker URL" in capsys.readouterr().err


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[launch.Launched]:
    """Return the processes that are started ahead."""
    launches: list[launch.Launched] = []
    real = launch.launch

    def noted(module: str = launch.WORKER_MODULE) -> launch.Launched:
        launches.append(real(module))
        return launches[-1]

    monkeypatch.setattr(launch, "launch", noted)
    return launches


def test_the_first_worker_is_started_ahead_of_a_run_on_this_machine(
    tmp_path: Path, launches: list[launch.Launched]
) -> None:
    fill(tmp_path / "in", 1)
    arguments = [str(tmp_path / "in"), str(tmp_path / "out"), "--progress", "none", "--no-html"]
    assert main(arguments) == 0
    assert [launched.process.returncode for launched in launches] == [0]


def test_no_process_outlives_a_run_that_was_refused(
    tmp_path: Path, launches: list[launch.Launched]
) -> None:
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert [launched.process.returncode for launched in launches] == [-9]


@pytest.mark.parametrize("arguments", [["--dry-run"], ["--broker", "amqp://127.0.0.1:1/"]])
def test_no_process_is_started_ahead_of_what_needs_none(
    tmp_path: Path, launches: list[launch.Launched], arguments: list[str]
) -> None:
    fill(tmp_path / "in", 1)
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--progress", "none", "--timeout", "1"]
    main([*(words if "--broker" in arguments else words[:-2]), *arguments])
    assert launches == []
