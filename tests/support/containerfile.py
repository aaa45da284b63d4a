"""A Containerfile, read and carried out without a container engine.

Each stage becomes a plain root file system, made by debootstrap and changed by chroot; what comes
out is run read-only, as another user, with no capability and in process and mount namespaces of
its own, as an engine would run it. Only what our own Containerfile uses is understood; the rest is
an error. Needs root.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import string
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).parents[2]
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Instruction:
    """One line of a Containerfile, with those that continue it."""

    word: str
    rest: str


@dataclass
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)


@dataclass
class Image:
    """A root file system, and how it is to be run."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = "0:0"
    entrypoint: list[str] = field(default_factory=list)


def read(path: Path) -> list[Stage]:
    """Return the stages of a Containerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or str(len(stages))))
        else:
            stages[-1].instructions.append(Instruction(word, rest.strip()))
    return stages


def build(stages: Sequence[Stage], folder: Path, bases: dict[str, Path]) -> Image:
    """Carry all stages out, each in a folder of its own; return the last.

    Parameters
    ----------
    bases
        The root file systems that stand for the images in FROM.
    """
    made: dict[str, Image] = {}
    for stage in stages:
        image = made[stage.name] = Image(folder / stage.name)
        subprocess.run(["cp", "-a", str(bases[stage.base]), str(image.root)], check=True)
        variables: dict[str, str] = {}
        for instruction in stage.instructions:
            _carry_out(instruction, image, variables, made)
    return image


def _carry_out(
    instruction: Instruction, image: Image, variables: dict[str, str], made: dict[str, Image]
) -> None:
    rest = instruction.rest
    known = image.environment | variables
    match instruction.word:
        case "RUN":
            _run(rest, image, known)
        case "COPY":
            _copy(shlex.split(rest), image, made)
        case "ARG":
            name, _, value = rest.partition("=")
            variables[name] = value
        case "ENV":
            for pair in shlex.split(rest):
                name, _, value = pair.partition("=")
                image.environment[name] = string.Template(value).substitute(known)
        case "USER":
            image.user = rest
        case "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        case "EXPOSE" | "STOPSIGNAL":
            pass
        case word:
            raise AssertionError(f"what does {word} mean?")


def _run(command: str, image: Image, variables: dict[str, str]) -> None:
    # What this machine's own package managers need to know: proxies, indexes, authorities.
    kept = ("http_proxy", "https_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
    authorities = image.root / "run" / "authorities.pem"
    if AUTHORITIES.exists():
        shutil.copy(AUTHORITIES, authorities)
        environment["PIP_CERT"] = "/run/authorities.pem"
    mounts = 'mount -t proc proc "$0/proc" && exec chroot "$0" sh -euc "$1"'
    subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", mounts, str(image.root), command],
        env=environment | variables,
        check=True,
    )
    authorities.unlink(missing_ok=True)


def _copy(words: list[str], image: Image, made: dict[str, Image]) -> None:
    source = PROJECT
    if words[0].startswith("--from="):
        source = made[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    for name in names:
        found, into = source / name.lstrip("/"), image.root / target.lstrip("/")
        if found.is_dir():
            # Owned by root and without what a checkout has beside the sources, as for an engine.
            ignore = None if source != PROJECT else shutil.ignore_patterns("__pycache__")
            shutil.copytree(found, into, symlinks=True, ignore=ignore, dirs_exist_ok=True)
        else:
            to = into / found.name if target.endswith("/") else into
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, to)


@contextmanager
def running(
    image: Image,
    words: Sequence[str],
    log: Path,
    *,
    volumes: dict[str, tuple[Path, str]] | None = None,
    environment: dict[str, str] | None = None,
    user: str = "",
    entrypoint: Sequence[str] = (),
    prefix: Sequence[str] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run an image for as long as the block lasts: as process 1, on the host's network.

    Parameters
    ----------
    volumes
        Where in the image a folder of this machine is mounted: ``ro`` or ``rw``.
    prefix
        What stands before the command, to hold it to a share of a core.
    """
    user_id, _, group_id = (user or image.user).partition(":")
    script = ["mount --make-rprivate /", 'mount --bind "$0" "$0"', 'mount -t proc proc "$0/proc"']
    script += ['mount --rbind /sys "$0/sys"', 'mount -t tmpfs -o mode=755 dev "$0/dev"']
    for device in ("null", "zero", "random", "urandom"):
        script.append(f'touch "$0/dev/{device}" && mount --bind /dev/{device} "$0/dev/{device}"')
    for inside, (path, how) in (volumes or {}).items():
        there = f'"$0"{shlex.quote(inside)}'
        (image.root / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)  # an engine does, too
        script += [
            f"mount --bind {shlex.quote(str(path))} {there}",
            f"mount -o remount,bind,{how} {there}",
        ]
    script += ['mount -o remount,bind,ro "$0"']
    script += [
        'exec chroot "$0" /usr/bin/env -i "$@"',
    ]
    variables = {**image.environment, **(environment or {})}
    command = [
        *prefix, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-euc",
        "\n".join(script), str(image.root),
        *(f"{name}={value}" for name, value in variables.items()),
        "/usr/bin/setpriv", f"--reuid={user_id}", f"--regid={group_id}", "--clear-groups",
        "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all",
        *(entrypoint or image.entrypoint), *words,
    ]  # fmt: skip
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()  # and with it, all that is in its namespace
        process.wait()
