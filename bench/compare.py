"""Regressions against the committed figures, by ratios only: another machine has other seconds.

``python -m bench.compare [FILE]``; without a file the ratios are measured first, briefly.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.harness.processes import ROOT, python
from bench.harness.results import REFERENCE, Results
from bench.questions import CEILINGS, QUESTIONS, WITHOUT_PAGE, answer

WORSE_BY = 0.10
"""A ratio that lost less is noise on a machine that others use as well."""


def regressions(before: Results, after: Results) -> list[str]:
    """Return a sentence for each ratio that is clearly worse than it was.

    Clearly: the median lost more than 10 %, and the spreads do not overlap.
    """
    sentences = []
    for question in (*QUESTIONS, *WITHOUT_PAGE):
        old, new = answer(question, before).found, answer(question, after).found
        if old is None or new is None or question.kind in CEILINGS:
            continue
        if new.median < (1 - WORSE_BY) * old.median and new.high < old.low:
            sentences.append(f"{question.text}: {old.median:.2f} before, {new.median:.2f} now")
    return sentences


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="a results file of bench.run")
    chosen = parser.parse_args().file
    with tempfile.TemporaryDirectory() as folder:
        path = chosen or Path(folder) / "results.json"
        if chosen is None:
            command = python("bench.run", "--pace", "brief", "--results", str(path))
            subprocess.run(command, cwd=ROOT, check=True)
        found = regressions(Results.load(REFERENCE), Results.load(path))
    for sentence in found:
        print(sentence)
    print(f"{len(found)} of the ratios are worse than the committed ones.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
