"""Everything in one command: install what is missing, run the suites, draw the document.

``python -m bench.run [--pace whole|brief|quick] [--only WORDS] [--photos DIR] [--results FILE]``
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench import report
from bench.harness.processes import ROOT, environment
from bench.harness.results import REFERENCE
from bench.harness.session import Pace

DEBIAN = {"gm": "graphicsmagick", "mogrify": "imagemagick"}
LIBVIPS = "libvips42"
PACE_HELP = (
    "whole: about an hour on two cores. brief: whole sets, three rounds, without the slowest. "
    "quick: a tenth of each set, two rounds"
)
MODULES = ("celery", "pyvips", "pytest_benchmark")


def install() -> None:
    """Install the peers that are missing; say which rows will be, where that can't be done."""
    modules = [module for module in MODULES if importlib.util.find_spec(module) is None]
    if modules:
        command = [sys.executable, "-m", "pip", "install", "--quiet", f"{ROOT}[bench]"]
        subprocess.run(command, check=True)
    packages = [package for name, package in DEBIAN.items() if shutil.which(name) is None]
    if not _vips_loads():
        packages.append(LIBVIPS)
    if packages and not _install_debian(packages):
        print(f"Not installed, and their rows will be missing: {', '.join(packages)}.")


def _vips_loads() -> bool:
    probe = [sys.executable, "-c", "import pyvips"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def _install_debian(packages: list[str]) -> bool:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *words], env=quiet, check=False).returncode != 0:
            return False
    return True


def run_suites(arguments: argparse.Namespace) -> int:
    """Run pytest on the suites and return its exit code."""
    command = [
        *(sys.executable, "-m", "pytest", "bench", "--benchmark-only", "--quiet"),
        *("--benchmark-columns=median,iqr,rounds", "--benchmark-sort=name"),
        f"--results={arguments.results}",
        f"--pace={arguments.pace}",
    ]
    if arguments.only:
        command += ["-k", arguments.only]
    if arguments.photos:
        command.append(f"--photos={arguments.photos}")
    return subprocess.run(command, cwd=ROOT, env=environment(), check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--pace", choices=list(Pace), default=Pace.WHOLE, help=PACE_HELP)
    parser.add_argument("--quick", action="store_const", dest="pace", const=Pace.QUICK)
    parser.add_argument("--only", metavar="WORDS", help="suites whose names match, as pytest's -k")
    parser.add_argument("--photos", type=Path, metavar="DIR", help="photographs instead of ours")
    parser.add_argument("--results", type=Path, metavar="FILE", default=REFERENCE)
    arguments = parser.parse_args()
    install()
    code = run_suites(arguments)
    if arguments.results == REFERENCE:
        report.draw(REFERENCE)
    return code


if __name__ == "__main__":
    sys.exit(main())
