"""The log of a server and its workers."""

from __future__ import annotations

import logging
import sys


def log_to_stderr(verbose: bool) -> None:
    """Send imgbatch's log, and that of no other library, to standard error."""
    logging.basicConfig(
        format="%(asctime)s %(levelname)s %(message)s",
        level=logging.DEBUG if verbose else logging.INFO,
        stream=sys.stderr,
        force=True,
    )
    # pika describes each failed attempt in full, with tracebacks; the connections say it in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
