"""A server's log, tried in a process of its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from datetime import datetime

import pytest

from imgbatch.logs import log_to_stderr


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize(("verbose", "shown"), [(False, "info\n"), (True, "info\ndebug\n")])
def test_the_log_is_ours_alone(verbose: bool, shown: str) -> None:
    finished = run(
        "import logging; from imgbatch.logs import log_to_stderr\n"
        f"log_to_stderr({verbose})\n"
        "log = logging.getLogger('imgbatch.x'); log.info('info'); log.debug('debug')\n"
        "logging.getLogger('pika.connection').error('a traceback')"
    )
    lines = [line.split(" ", 3)[-1] for line in finished.stderr.splitlines()]
    assert "".join(f"{line}\n" for line in lines) == shown


def test_as_json_each_event_is_a_line_with_what_it_is_about() -> None:
    finished = run(
        "import logging; from imgbatch.logs import log_to_stderr\n"
        "log_to_stderr(False, 'json')\n"
        "log = logging.getLogger('imgbatch.x')\n"
        "log.info('image %d:\\n%s', 7, 'bad', extra={'batch': 'b', 'job': 7, 'other': 1})\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: log.exception('no')"
    )
    first, second = map(json.loads, finished.stderr.splitlines())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first.pop("pid") > 0
    assert first == {
        "level": "info", "logger": "imgbatch.x", "message": "image 7:\nbad", "batch": "b", "job": 7,
    }  # fmt: skip
    assert "ZeroDivisionError" in second["exception"]


def test_logging_twice_says_everything_once(capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    try:
        log_to_stderr(verbose=False)
        log_to_stderr(verbose=False)
        assert len(root.handlers) == 1
    finally:
        root.handlers, root.level = handlers, level
        logging.getLogger("pika").setLevel(logging.NOTSET)
