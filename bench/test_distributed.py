"""Through one broker, on the same cores: the paper's system, Celery, bare pika and imgbatch."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.harness.results import Race
from bench.harness.session import Session

ROUNDS = {
    "imgbatch": 7,
    "imgbatch local": 7,
    "bare pika": 7,
    "celery": 7,
    "paper": 3,
    "paper, wide receive": 3,
}


@pytest.mark.parametrize("set_name", ["tokyo", "crops"])
@pytest.mark.parametrize("contender", list(ROUNDS))
def test_a_folder_through_rabbitmq(
    bench: Session, show: Callable[[Race, str], None], set_name: str, contender: str
) -> None:
    show(bench.broker_race(set_name, ROUNDS), contender)
