"""The completion scripts, in the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgbatch.cli.main import run
from imgbatch.cli.option_types import SHELLS, Program, completion
from imgbatch.cli.options import CLIENT, PROGRAMS, STATUS

# A shell without anybody's start-up files, and a command that shows what it was given.
BASH = "bash --norc --noprofile -i"
ZSH = "zsh -f -i"
SET_UP = {
    BASH: "bind 'set bell-style none'; PS1='> '; source ./script\n",
    ZSH: "PS1='> '; autoload -U compinit; compinit -u -D; eval \"$(<script)\"\n",
}
COMMAND = "imgbatch-client() { printf '[%s]' \"$@\"; echo end; }\n"
PATIENCE_SECONDS = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "holiday photos").mkdir()
    (tmp_path / "settings.toml").touch()
    # The scripts ask the command itself, by its name.
    command = tmp_path / "bin" / "imgbatch-client"
    command.parent.mkdir()
    command.write_text(
        f"#!{sys.executable}\nimport sys\nfrom imgbatch.cli.client import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, "TERM": "dumb", "HOME": str(folder), "PATH": path}


def typed(shell: str, folder: Path, line: str) -> str:
    """Return what the command was given when a person types a line into an interactive shell."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        words = shell.split()
        os.execvpe(words[0], words, environment(folder))
    try:
        os.write(terminal, (SET_UP[shell] + COMMAND).encode())
        os.write(terminal, b"printf rea; printf 'dy\\n'\n")
        read_until(terminal, b"ready")
        os.write(terminal, line.encode() + b"\n")
        return read_until(terminal, b"]end").rpartition("\n")[2].removesuffix("end")
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def read_until(terminal: int, ending: bytes) -> str:
    seen = b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ending not in seen:
        readable, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
        assert readable, f"the shell does not answer; it showed {seen!r}"
        seen += os.read(terminal, 4096)
    return seen[: seen.index(ending) + len(ending)].decode().replace("\r", "")


def offered_by_fish(folder: Path, line: str) -> list[str]:
    fish = ["fish", "--no-config", "-c", 'source script; complete -C "$argv"', line]
    done = subprocess.run(
        fish, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", [BASH, ZSH])
@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("imgbatch-client --contr\t 20", "[--contrast][20]"),
        ("imgbatch-client --no-ht\t", "[--no-html]"),
        ("imgbatch-client --format jp\t", "[--format][jpeg]"),
        ("imgbatch-client --preset pun\t", "[--preset][punchy]"),
        ("imgbatch-client --preset sett\t", "[--preset][settings.toml]"),
        ("imgbatch-client --procs au\t", "[--procs][auto]"),
        ("imgbatch-client --watch holi\t out", "[--watch][holiday photos][out]"),
        ("imgbatch-client --include a --includ\t b", "[--include][a][--include][b]"),
    ],
)
def test_a_tab_completes_options_their_words_and_paths(
    shell: str, folder: Path, line: str, given: str
) -> None:
    (folder / "script").write_text(completion(CLIENT, shell.split(maxsplit=1)[0]))
    # zsh takes the slash behind a folder away when a space follows it.
    assert typed(shell, folder, line).replace("/]", "]") == given


def test_fish_offers_options_their_words_and_paths(folder: Path) -> None:
    (folder / "script").write_text(completion(CLIENT, "fish"))
    assert offered_by_fish(folder, "imgbatch-client --contr") == ["--contrast"]
    assert offered_by_fish(folder, "imgbatch-client --no-ht") == ["--no-html"]
    offered = offered_by_fish(folder, "imgbatch-client --format ")
    assert sorted(offered) == ["jpeg", "keep", "png"]
    assert offered_by_fish(folder, "imgbatch-client --preset pun") == ["punchy"]
    assert offered_by_fish(folder, "imgbatch-client --preset sett") == ["settings.toml"]
    assert offered_by_fish(folder, "imgbatch-client --watch holi") == ["holiday photos/"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_can_read_the_script_of_every_command(
    program: Program, shell: str, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(completion(program, shell))
    done = subprocess.run([shell, "-n", script], capture_output=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"", b"")
    assert str(program.name) in script.read_text()


def test_the_command_prints_its_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(STATUS, lambda _given: 1, ["--print-completion", "fish"]) == 0
    assert capsys.readouterr().out == completion(STATUS, "fish") + "\n"
