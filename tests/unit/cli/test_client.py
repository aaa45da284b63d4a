from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.children import fork_servers_of
from tests.support.cold_cache import cold_cache, kept_in
from tests.support.photos import fill

from imgbatch.cli.client import main
from imgbatch.workers.forkserver import ForkServer
from imgbatch_kernels import compiled
from imgbatch_kernels.loops import KERNELS


def test_explain_needs_no_folders(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "--contrast", "20"]) == 0
    assert "358" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--machines=2", "--timeout=9", "--mixed-fleet"])
def test_options_for_other_machines_are_refused_without_a_broker(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["photos", "out", option]) == 2
    assert "without --broker URL" in capsys.readouterr().err


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[ForkServer]:
    """Return the fork servers that are started."""
    servers: list[ForkServer] = []
    init = ForkServer.__init__

    def noted(server: ForkServer, preload: Sequence[str]) -> None:
        init(server, preload)
        servers.append(server)

    monkeypatch.setattr(ForkServer, "__init__", noted)
    return servers


def test_one_fork_server_is_started_for_a_run_on_this_machine_and_ends_with_it(
    tmp_path: Path, servers: list[ForkServer]
) -> None:
    fill(tmp_path / "in", 1)
    arguments = [str(tmp_path / "in"), str(tmp_path / "out"), "--progress", "none", "--no-html"]
    assert main(arguments) == 0
    assert len(servers) == 1
    assert fork_servers_of(os.getpid()) == []


def test_no_process_outlives_a_run_that_was_refused(
    tmp_path: Path, servers: list[ForkServer]
) -> None:
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert len(servers) == 1
    assert fork_servers_of(os.getpid()) == []


@pytest.mark.parametrize("arguments", [["--dry-run"], ["--broker", "amqp://127.0.0.1:1/"]])
def test_no_process_is_started_ahead_of_what_needs_none(
    tmp_path: Path, servers: list[ForkServer], arguments: list[str]
) -> None:
    fill(tmp_path / "in", 1)
    words = [str(tmp_path / "in"), str(tmp_path / "out"), "--progress", "none", "--timeout", "1"]
    main([*(words if "--broker" in arguments else words[:-2]), *arguments])
    assert servers == []


def test_the_kernels_are_compiled_ahead_by_a_server_s_start_or_when_asked(tmp_path: Path) -> None:
    def said(program: str, option: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", f"imgbatch.cli.{program}", option],
            env=os.environ | cold_cache(tmp_path),
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        assert done.stdout.startswith("ready after ")
        assert kept_in(tmp_path) == set(KERNELS)
        return done.stderr

    assert "compiling the kernels for this processor, once\n" in said("server", "--check")
    assert said("client", "--warm-up") == ""
    for kernel in (tmp_path / "imgbatch_kernels").glob("png-unfilter-1-*"):
        kernel.unlink()
    assert "compiling the kernels for this processor, once\n" in said("client", "--warm-up")


def test_kernels_that_can_not_be_kept_are_no_warm_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compiled, "places", lambda: iter(()))
    monkeypatch.setattr(compiled, "_ready", {})
    assert main(["--warm-up"]) == 3
    assert "set NUMBA_CACHE_DIR" in capsys.readouterr().err
