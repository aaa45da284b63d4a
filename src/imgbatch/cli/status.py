"""imgbatch-status: the machines and batches of a broker, as a table or as JSON."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from imgbatch.broker.address import DEFAULT_URL, redact
from imgbatch.cli.main import run
from imgbatch.cli.options import STATUS
from imgbatch.cli.terminal import print_out

if TYPE_CHECKING:
    from imgbatch.fleet_status import Heard, Observer

WATCH_SECONDS = 2.0
_MACHINE_COLUMNS = {
    "MACHINE": "{machine}",
    "HOST": "{host}",
    "PROCS": "{procs}",
    "BUSY": "{busy}",
    "IMAGES": "{images}",
    "IMAGES/S": "{images_per_second:.1f}",
    "BATCHES": "{batches}",
    "VERSION": "{version}",
}
_BATCH_COLUMNS = {
    "BATCH": "{batch:.8}",
    "FROM": "{host}",
    "DONE": "{done}",
    "OF": "{total}{more}",
    "FAILED": "{failed}",
    "MACHINES": "{machines}",
    "SECONDS": "{seconds:.0f}",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-status; return its exit status."""
    return run(STATUS, _act, arguments)


def _act(given: Mapping[str, Any]) -> int:
    import logging

    from imgbatch.fleet_status import Observer

    logging.getLogger("pika").setLevel(logging.CRITICAL)
    broker = given.get("broker", DEFAULT_URL)
    observer = Observer(broker)
    try:
        observer.start()
        observer.discover()
        time.sleep(given.get("wait_seconds", 1.5))
        if given.get("watch"):
            _watch(observer, broker)
        fields = observer.heard.fields(time.monotonic())
    finally:
        observer.stop()
    shown = json.dumps(fields, indent=2) if given.get("json") else render(observer.heard, broker)
    print_out(shown)
    return 0 if any(fields.values()) else 1


def _watch(observer: Observer, broker: str) -> None:
    from rich.live import Live
    from rich.text import Text

    def table() -> Text:
        return Text(render(observer.heard, broker))

    with Live(get_renderable=table, refresh_per_second=1 / WATCH_SECONDS, screen=True):
        signal.pause()


def render(heard: Heard, broker: str) -> str:
    """Return it as a table for people, 80 columns wide where names are short."""
    fields = heard.fields(time.monotonic())
    lines = [f"on {redact(broker)}", ""]
    if fields["machines"]:
        for machine in fields["machines"]:
            machine["busy"] = machine["busy"] or "idle"
        lines += _table(_MACHINE_COLUMNS, fields["machines"])
        lines += [
            f"{machine['machine']} reads and writes {', '.join(machine['allowed'])}"
            for machine in fields["machines"]
            if machine["allowed"]
        ]
    else:
        lines.append("no server is listening; start one with: imgbatch-server --broker URL")
    if heard.foreign:
        lines += ["", heard.foreign]
    if fields["batches"]:
        for batch in fields["batches"]:
            batch["more"] = "+" if batch["scanning"] else ""
        lines += ["", *_table(_BATCH_COLUMNS, fields["batches"])]
    return "\n".join(lines)


def _table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [list(columns), *([form.format_map(row) for form in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]


if __name__ == "__main__":
    sys.exit(main())
