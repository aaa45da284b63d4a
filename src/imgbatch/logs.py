"""The log of a program and its workers, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Hashable
from datetime import UTC, datetime

FIELDS = ("batch", "job", "file", "machine", "status", "code", "seconds")
"""What a record may carry beside its message, for those who search logs."""

MOST_SAID = 1_000
"""Different things of a kind; further ones are not logged."""


class SaidOnce:
    """Tells what is to be logged of that which peers can cause without end: it fills no disk."""

    def __init__(self) -> None:
        self._said: set[Hashable] = set()

    def is_new(self, it: Hashable) -> bool:
        """Whether it was not asked about yet, and few others were."""
        is_new = it not in self._said and len(self._said) < MOST_SAID
        if is_new:
            self._said.add(it)
        return is_new


class JsonFormatter(logging.Formatter):
    """A record as a line of JSON, with those of `FIELDS` that it carries."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC)
        line = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        carried = vars(record)
        line |= {name: carried[name] for name in FIELDS if carried.get(name) not in {None, ""}}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(verbose: bool, log_format: str = "text") -> None:
    """Send imgbatch's log, and that of no other library, to standard error.

    Parameters
    ----------
    log_format
        ``text`` or ``json``.
    """
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # pika describes each failed attempt in full, with tracebacks; the connections say it in a line.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
