"""The alert rules, by Prometheus' own tool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

WATCHING = Path(__file__).parents[2] / "deploy" / "watching"


@pytest.mark.parametrize("words", [("check", "alerts.yaml"), ("test", "alerts.test.yaml")])
def test_rules_are_understood_and_fire_when_they_should_and_only_then(
    words: tuple[str, str],
) -> None:
    what, file = words
    finished = subprocess.run(
        ["promtool", what, "rules", file], cwd=WATCHING, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
