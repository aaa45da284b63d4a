"""The fork server: what it holds and does not hold, so that its workers can be forked safely."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from pkgutil import resolve_name

import pytest
from tests.support.photos import fill

from imgbatch.engines import local
from imgbatch.preview import process
from imgbatch.server import supervisor
from imgbatch.workers.forkserver import ForkServer
from imgbatch.workers.pool import WorkerPool
from imgbatch.workers.status import shared_file

PRELOADS = {
    "local": local.PRELOAD,
    "server": supervisor.PRELOAD,
    "preview": process.PRELOAD,
}


@contextmanager
def pool_of_one(preload: Sequence[str] = ()) -> Iterator[tuple[int, WorkerPool]]:
    """Yield a fork server's process id, and a pool with one worker that is ready."""
    server = ForkServer(preload)
    pool = WorkerPool(server, "tests.support.pool_worker:main")
    pool.fill(1)
    while not pool.ready:
        assert list(pool.listen(60.0))
    try:
        yield server.pid, pool
    finally:
        pool.close()


def look_around(pool: WorkerPool) -> tuple[int, int, list[str]]:
    """Return a worker's process id, its group and its import path."""
    pool.workers[0].send("look around")
    while True:
        for _, message in pool.listen(60.0):
            assert isinstance(message, tuple)
            return message


@pytest.mark.parametrize("program", PRELOADS)
def test_what_it_is_to_import_can_be_imported(program: str) -> None:
    for name in PRELOADS[program]:
        assert resolve_name(name)


@pytest.mark.parametrize("program", PRELOADS)
def test_it_starts_no_thread_also_not_those_of_numpy(program: str) -> None:
    with pool_of_one(PRELOADS[program]) as (pid, _):
        assert "openblas" in Path(f"/proc/{pid}/maps").read_text()
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


@pytest.mark.parametrize("name", ["no_such_module", "sys:no_such_function", "os:mkdir"])
def test_what_cannot_be_imported_or_called_is_for_the_worker_that_needs_it(name: str) -> None:
    with pool_of_one((name,)) as (_, pool):
        assert pool.ready


def test_ctrl_c_in_the_terminal_reaches_neither_it_nor_its_workers() -> None:
    with pool_of_one() as (server, pool):
        pid, group, _ = look_around(pool)
        assert pid != group == server


def test_it_survives_the_signals_that_end_the_program_until_the_program_has_ended() -> None:
    with pool_of_one() as (server, pool):
        for number in (signal.SIGINT, signal.SIGTERM):
            os.killpg(server, number)
        assert look_around(pool)


def test_a_worker_s_path_is_the_program_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pool_of_one() as (_, pool):
        _, _, path = look_around(pool)
    assert str(tmp_path) in path


def test_neither_it_nor_its_workers_run_the_program_s_main_module(tmp_path: Path) -> None:
    fill(tmp_path / "in", 2)
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from pathlib import Path\nimport imgbatch\n"
        f"with open({str(tmp_path / 'runs')!r}, 'a') as file: file.write('x')\n"
        f"imgbatch.run_batch({str(tmp_path / 'in')!r}, {str(tmp_path / 'out')!r}, html=False)\n"
    )
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)
    assert (tmp_path / "runs").read_text() == "x"
    assert (tmp_path / "out/IMG_0000.jpg").exists()


@pytest.mark.parametrize("command", [["-c"], ["-m", "program"]])
def test_no_worker_imports_from_the_working_directory_though_the_program_does(
    tmp_path: Path, command: list[str]
) -> None:
    fill(tmp_path / "in", 2)
    for name in ("simplejpeg", "numpy"):
        (tmp_path / f"{name}.py").write_text("open('sprung', 'w')")
    code = "import sys, runpy; sys.path.append(sys.path.pop(0)); import imgbatch\n"
    code += "sys.path.insert(0, sys.path.pop()); imgbatch.run_batch('in', 'out', html=False)"
    if command[0] == "-m":
        (tmp_path / "program.py").write_text(code)
        words = command
    else:
        words = ["-c", code]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    subprocess.run([sys.executable, *words], cwd=tmp_path, env=env, timeout=60, check=True)
    assert (tmp_path / "out/IMG_0000.jpg").exists()
    assert not (tmp_path / "sprung").exists()


def test_each_exit_is_reported_also_one_just_before_the_server_waits() -> None:
    with closing(ForkServer()) as server, shared_file() as status:
        server.channel.settimeout(30.0)
        for number in range(200):
            ours, theirs = socket.socketpair()
            with theirs:
                server.fork(number, theirs.fileno(), status.fileno())
            ours.close()  # its worker has nothing to do
            server.kill(number)  # may come before, while or after it ends
            exited = server.next_exit()
            assert exited is not None
            assert exited[0] == number
