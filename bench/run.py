"""Everything in one command: run the suites, write the results file, draw the document.

``python -m bench.run [--pace whole|brief|quick] [--only WORD] [--photos DIR] [--results FILE]``
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import report
from bench.harness.processes import measure, python
from bench.harness.results import REFERENCE, Results
from bench.session import Pace, Session, session
from bench.suites import SUITES

PACE_HELP = (
    "whole: over an hour on two cores. brief: whole sets, three rounds, without the slowest. "
    "quick: a tenth of each set, two rounds"
)


def time_by_pytest(session: Session, file: str) -> None:
    """Let pytest-benchmark time the cases of a file, each by itself."""
    found = session.workspace / "benchmarks.json"
    options = ["--benchmark-only", f"--benchmark-json={found}", "--timeout=0"]
    if session.pace is Pace.QUICK:
        options += ["--benchmark-max-time=0.1", "--benchmark-min-rounds=1"]
    measure(python("pytest", f"bench/{file}", *options), session.output)
    for row in json.loads(found.read_text())["benchmarks"]:
        session.results.tables.setdefault(row["group"], []).append(
            {
                "name": row["name"],
                "median_seconds": row["stats"]["median"],
                "low_seconds": row["stats"]["q1"],
                "high_seconds": row["stats"]["q3"],
                "rounds": row["stats"]["rounds"],
                **row["extra_info"],
            }
        )


ALL: dict[str, Callable[[Session], None]] = {
    **SUITES,
    "codecs": partial(time_by_pytest, file="test_codecs.py"),
    "kernels": partial(time_by_pytest, file="test_kernels.py"),
}


def run_suites(pace: Pace, only: str, photos: Path | None, path: Path) -> list[str]:
    """Run the suites whose names contain a word, and return the names of those that failed.

    The file is written after each: a session that is cut short keeps what it has.
    """
    known = Results.load(path) if path.exists() else Results()
    failed = []
    with session(pace, photos) as opened:
        for name in (name for name in ALL if only in name):
            print(name, flush=True)
            try:
                ALL[name](opened)
            except Exception:  # the other suites are measured all the same
                traceback.print_exc()
                failed.append(name)
            known.updated(opened.results).save(path)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--pace", type=Pace, choices=list(Pace), default=Pace.WHOLE, help=PACE_HELP)
    parser.add_argument("--only", metavar="WORD", default="", help=f"of these: {', '.join(ALL)}")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photographs instead of ours")
    parser.add_argument("--results", type=Path, metavar="FILE", default=REFERENCE)
    arguments = parser.parse_args()
    failed = run_suites(arguments.pace, arguments.only, arguments.photos, arguments.results)
    if arguments.results == REFERENCE:
        report.draw(REFERENCE)
    for name in failed:
        print(f"failed: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
