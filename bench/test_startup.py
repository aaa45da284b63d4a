"""How soon one small image is done, from the shell's point of view, with warm caches."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from bench.contenders import LOCAL
from bench.harness.processes import environment, program
from bench.harness.results import Race
from bench.harness.session import Session
from bench.harness.turns import in_turn, timed

CONTENDERS = ("imgbatch", "opencv pool", "imgbatch --help", "python alone")


def raced(bench: Session) -> Race:
    """Race whole processes that have next to nothing to do."""
    one = bench.sets.folder("warm-up-crops")

    def quick(*command: str) -> Callable[[], float]:
        return lambda: timed(
            lambda: subprocess.run(command, env=environment(), capture_output=True, check=True)
        )

    runs = {
        "imgbatch": lambda: LOCAL["imgbatch"].run(one, bench.output()).seconds,
        "opencv pool": lambda: LOCAL["opencv pool"].run(one, bench.output()).seconds,
        "imgbatch --help": quick(*program("imgbatch-client", "--help")),
        "python alone": quick(sys.executable, "-c", "pass"),
    }
    return Race("start/one small image", in_turn(runs, bench.rounds(9), warm_up=1))


@pytest.mark.parametrize("contender", CONTENDERS)
def test_one_small_image(bench: Session, show: Callable[[Race, str], None], contender: str) -> None:
    show(bench.race("start/one small image", lambda: raced(bench)), contender)
