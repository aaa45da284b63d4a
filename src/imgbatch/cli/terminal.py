"""What programs say: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from imgbatch.text import shown


def print_out(text: str) -> None:
    """Print on standard output, as long as it is read."""
    try:
        print(shown(text), flush=True)
    except BrokenPipeError:
        # The reader has seen enough; neither the rest nor the end of the interpreter, which flushes
        # once more, is to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_err(line: str) -> None:
    """Print a line on standard error; it is no failure if it is not read any more."""
    with suppress(OSError):
        print(shown(line), file=sys.stderr, flush=True)
