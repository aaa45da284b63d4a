#!/usr/bin/env python3
"""Count the lines of code in each folder: without docstrings, comments and blank lines.

``scripts/weigh.py [--budget LINES] [FOLDER ...]``; with a budget, more lines than that are a
failure. It needs nothing but Python.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "kernels")


def lines_of_code(source: str) -> int:
    """Return how many lines of a module hold code.

    A string that is a statement by itself is a docstring, whether Python or only a reader sees it
    as one.
    """
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        number not in documentation and line.strip() != "" and not line.lstrip().startswith("#")
        for number, line in enumerate(source.splitlines(), 1)
    )


def weigh(folders: list[Path]) -> Counter[Path]:
    """Return the lines of code of the modules directly in each folder, found below `folders`."""
    found: Counter[Path] = Counter()
    for folder in folders:
        for path in folder.rglob("*.py"):
            found[path.parent] += lines_of_code(path.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Print the table; return 1 if the budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", metavar="FOLDER", type=Path, nargs="*")
    parser.add_argument("--budget", metavar="LINES", type=int, help="the most lines in all")
    arguments = parser.parse_args()
    found = weigh(arguments.folders or [ROOT / name for name in FOLDERS])
    for folder, lines in sorted(found.items()):
        shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
        print(f"{lines:7,} {shown}")
    total = found.total()
    print(f"{total:7,} lines of code, without docstrings, comments and blank lines")
    if arguments.budget is not None and total > arguments.budget:
        print(f"{total - arguments.budget:,} more than the budget of {arguments.budget:,}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
