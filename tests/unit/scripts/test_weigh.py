"""Only code has weight, and too much of it fails a build that has a budget."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "weigh.py"

THREE_LINES = '''"""A module's docstring

of three lines."""

# a comment
LIMIT = 3
"""What a reader takes for a docstring."""


def longest() -> str:  # code with a comment is code
    """Return a string."""
    # another comment
    return "# not a comment, nor a docstring"
'''


def weigh(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "one.py").write_text(THREE_LINES)
    (inner / "two.py").write_text(THREE_LINES)
    (inner / "three.py").write_text(THREE_LINES)
    (inner / "notes.txt").write_text("no code\n")
    return tmp_path


def test_docstrings_comments_and_blank_lines_have_no_weight(project: Path) -> None:
    lines = weigh(project).stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [
        ["3", str(project)],
        ["6", str(project / "inner")],
    ]
    assert lines[2].split()[:4] == ["9", "lines", "of", "code,"]


def test_a_budget_that_holds_is_a_success(project: Path) -> None:
    assert weigh(project, "--budget", "9").returncode == 0


def test_a_line_over_the_budget_is_a_failure_that_says_by_how_much(project: Path) -> None:
    done = weigh(project, "--budget", "8")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "1 more than the budget of 8")


def test_without_folders_the_packages_are_counted() -> None:
    assert " src/imgbatch\n" in weigh().stdout
    assert " kernels/imgbatch_kernels\n" in weigh().stdout
