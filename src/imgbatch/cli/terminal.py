"""What programs say: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress


def say(text: str) -> None:
    """Print on standard output, as long as somebody reads it."""
    try:
        print(_printable(text), flush=True)
    except BrokenPipeError:
        # Whoever read it has seen enough; neither the rest nor the end of the interpreter,
        # which flushes once more, is to complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(line: str) -> None:
    """Print a line on standard error; that nobody reads it any more is no reason to fail."""
    with suppress(OSError):
        print(_printable(line), file=sys.stderr, flush=True)


def _printable(text: str) -> str:
    if text.isascii():  # and then what follows need not be imported
        return text
    from imgbatch.batch.rows import printable

    return printable(text)
