"""imgbatch-status: the machines and batches of a broker, as a table or as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from imgbatch.broker.address import DEFAULT_URL, redact
from imgbatch.cli.options import parse
from imgbatch.cli.server_options import STATUS
from imgbatch.errors import ImgbatchError
from imgbatch.fleet_status import Observer, Picture

WATCH_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run imgbatch-status; return its exit status."""
    import logging

    from imgbatch.cli.config import environment_options

    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        given = environment_options(STATUS, os.environ) | parse(STATUS, arguments)
        return _observe(given)
    except ImgbatchError as error:
        sys.stderr.write(f"imgbatch-status: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return 0


def _observe(given: dict[str, Any]) -> int:
    broker = given.get("broker", DEFAULT_URL)
    observer = Observer(broker)
    try:
        observer.start()
        observer.call()
        time.sleep(given.get("wait", 1.5))
        if given.get("watch"):
            _watch(observer, broker)
        picture = observer.picture()
    finally:
        observer.stop()
    if given.get("json"):
        sys.stdout.write(json.dumps(picture.fields(), indent=2) + "\n")
    else:
        sys.stdout.write(render(picture, broker))
    return 0 if picture.machines or picture.batches else 1


def _watch(observer: Observer, broker: str) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(Text(render(observer.picture(), broker)), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(Text(render(observer.picture(), broker)), refresh=True)


def render(picture: Picture, broker: str) -> str:
    """Return the picture as a table for people, 80 columns wide where names are short."""
    fields = picture.fields()
    lines = [f"on {redact(broker)}", ""]
    if not fields["machines"]:
        lines.append("no server is listening; start one with: imgbatch-server --broker URL")
    else:
        lines += _table(
            ("MACHINE", "HOST", "PROCS", "BUSY", "IMAGES", "IMAGES/S", "BATCHES", "VERSION"),
            [_machine_row(machine) for machine in fields["machines"]],
        )
    if picture.foreign:
        lines += ["", picture.foreign]
    if fields["batches"]:
        lines.append("")
        lines += _table(
            ("BATCH", "FROM", "DONE", "OF", "FAILED", "MACHINES", "SECONDS"),
            [_batch_row(batch) for batch in fields["batches"]],
        )
    return "\n".join(lines) + "\n"


def _machine_row(machine: dict[str, Any]) -> tuple[str, ...]:
    return (
        machine["machine"],
        machine["host"],
        str(machine["procs"]),
        str(machine["busy"]) if machine["busy"] else "idle",
        str(machine["images"]),
        f"{machine['images_per_second']:.1f}",
        str(len(machine["batches"])),
        machine["version"],
    )


def _batch_row(batch: dict[str, Any]) -> tuple[str, ...]:
    return (
        batch["batch"][:8],
        batch["host"],
        str(batch["done"]),
        f"{batch['total']}+" if batch["scanning"] else str(batch["total"]),
        str(batch["failed"]),
        str(batch["machines"]),
        f"{batch['seconds']:.0f}",
    )


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


if __name__ == "__main__":
    sys.exit(main())
