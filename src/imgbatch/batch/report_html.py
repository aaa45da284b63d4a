"""imgbatch-report.html: a run on one page, in one file that needs nothing else.

The page is made from the fields of imgbatch-report.json, as docs/report.schema.json describes
them. `write_html` does it in a process of its own: the fields of 100,000 files take some 200 MB
there, which end with it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from imgbatch.batch.charts import (
    SHADES,
    bar_svg,
    round_top,
    seconds_text,
    throughput,
    throughput_svg,
)
from imgbatch.batch.gallery import Pair, Thumbnails, make_thumbnails
from imgbatch.batch.model import Status
from imgbatch.batch.report import replacing
from imgbatch.errors import Code, OutputError

MOST_PICTURES = 48
MOST_FAILURES = 200
OPEN_FAILURES = 12
"""Shown at once; the others wait behind a click, so that the rest of the page is not buried."""
GALLERY_SHARE = 0.1
"""Of the run's own time, that its gallery may take; within the bounds below."""
GALLERY_SECONDS = (1.0, 15.0)

_USUAL = (None, False, "keep", "strict", "fast")
"""Values of encoding options that change nothing; the page leaves these out."""

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """A photograph of the gallery: its entry in the report, and its thumbnails."""

    file: Fields
    thumbnails: Thumbnails
    link: str = ""


def write_html(report_json: Path, html: Path) -> None:
    """Write the page of a report. Images that can't be decoded are left out of the gallery.

    Raises
    ------
    OutputError
        If the page can't be made or written.
    """
    made = subprocess.run(
        [sys.executable, "-P", "-m", __name__, str(report_json), str(html)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if made.returncode != 0:
        reason = (made.stderr.strip() or f"exit status {made.returncode}").splitlines()[-1]
        raise OutputError(
            Code.OUTPUT_FOLDER_UNWRITABLE,
            f"{html} can't be written: {reason}; all else is complete, {report_json} included",
        )


def write_page(report_json: Path, html: Path) -> None:
    """Read a report, make its thumbnails, and write its page in this process."""
    report = json.loads(report_json.read_text("utf-8"))
    with replacing(html) as page:
        page.write(render_html(report, make_gallery(report, html.parent)))


def make_gallery(report: Fields, folder: Path) -> list[Shown]:
    """Return thumbnails of the photographs that were written, or of an even sample of them.

    Parameters
    ----------
    report
        The report's fields.
    folder
        Where the page will lie; the links to the photographs start there.
    """
    written = [file for file in report["files"] if file["status"] == Status.WRITTEN]
    if len(written) > MOST_PICTURES:
        step = len(written) / MOST_PICTURES
        written = [written[int(number * step)] for number in range(MOST_PICTURES)]
    pairs = [Pair(Path(file["input"]), Path(file["output"])) for file in written]
    least, most = GALLERY_SECONDS
    seconds = min(max(GALLERY_SHARE * report["seconds"], least), most)
    made = make_thumbnails(pairs, seconds)
    return [
        Shown(written[number], thumbnails, _link(pairs[number].after, folder))
        for number, thumbnails in made.items()
    ]


def _link(path: Path, folder: Path) -> str:
    """Return the address of a file relative to the page; empty if it has no name in UTF-8."""
    try:
        return quote(os.path.relpath(path, folder))
    except UnicodeEncodeError:
        return ""


def render_html(report: Fields, gallery: Sequence[Shown] = ()) -> str:
    """Return the page of a report.

    Parameters
    ----------
    report
        The fields of imgbatch-report.json.
    gallery
        The photographs to show.
    """
    sections = (
        _headline(report),
        _figures(report),
        _failures(report),
        _settings(report),
        _throughput(report),
        _machines(report),
        _gallery(report, gallery),
        _others(report),
    )
    return _PAGE.format(
        title=_text(Path(report["input"]).name or report["input"]),
        style=_asset("look.css") + _asset("report.css"),
        script=_asset("report.js"),
        icon=quote(_asset("icon.svg")),
        body="\n".join(section for section in sections if section),
    )


_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<title>{title} · imgbatch report</title>
<link rel="icon" href="data:image/svg+xml,{icon}">
<style>
{style}</style>
</head>
<body>
{body}
<script>
{script}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return files("imgbatch").joinpath("assets", name).read_text("utf-8")


def _text(value: object) -> str:
    """Return HTML for a text; names that are not UTF-8 get a replacement mark."""
    return escape(str(value).encode("utf-8", "replace").decode())


def _name(path: str, folder: str) -> str:
    """Return HTML for a file's path below the run's folder, or for all of it if it lies outside."""
    name = path.removeprefix(folder.rstrip("/") + "/")
    return _text(name if name != folder else Path(path).name)


def _headline(report: Fields) -> str:
    images = report["images"]
    written = images["written"]
    troubles = [
        f"{_number(images[name])} {words}"
        for name, words in (("failed", "failed"), ("not_done", "not done"))
        if images.get(name)
    ]
    said = f"{_number(written)} {'photograph' if written == 1 else 'photographs'} written"
    trouble = f' <span class="trouble">{", ".join(troubles)}</span>' if troubles else ""
    started = _text((report.get("started") or "")[:16].replace("T", " "))
    return (
        '<header><p class="wordmark">imgbatch <span class="soft">report</span>'
        f'<span class="soft when">{started}</span></p><h1>{said}{trouble}</h1>'
        f"{_end_of_run(report)}</header>"
    )


def _end_of_run(report: Fields) -> str:
    """Return why the run ended early, if it did."""
    if failure := report.get("failure"):
        return f'<p class="ended">The run could not go on: {_sentence(failure["sentence"])}</p>'
    if report.get("interrupted"):
        return '<p class="ended">The run was interrupted; <code>--resume</code> continues it.</p>'
    return ""


def _figures(report: Fields) -> str:
    seconds = report["seconds"]
    done = report["images"]["written"] + report["images"]["failed"]
    rate = f"{done / seconds:.3g}" if seconds else "0"
    bytes_in, bytes_out = report["bytes_in"], report["bytes_out"]
    change = f", {_signed(round(100 * bytes_out / bytes_in) - 100)} %" if bytes_in else ""
    used = report["machines_used"]
    cards = (
        (seconds_text(seconds), "in all"),
        (rate, "images per second"),
        (f"{_bytes(bytes_in)} → {_bytes(bytes_out)}", f"read and written{change}"),
        (_number(used), "machine" if used == 1 else "machines"),
    )
    items = "".join(f"<div><dd>{_text(value)}</dd><dt>{label}</dt></div>" for value, label in cards)
    return f'<dl class="figures">{items}</dl>'


def _failures(report: Fields) -> str:
    failed = [file for file in report["files"] if file["status"] == Status.FAILED]
    if not failed:
        return ""
    codes = Counter(file["error"]["code"] for file in failed)
    folder = report["input"]
    chips = "".join(
        f"<li>{_text(_words(code))} <b>{_number(count)}</b></li>"
        for code, count in codes.most_common()
    )
    shown, folded = failed[:OPEN_FAILURES], failed[OPEN_FAILURES:MOST_FAILURES]
    reasons = _reasons(shown, folder)
    if folded:
        reasons += f"<details><summary>{_number(len(folded))} more</summary>"
        reasons += f"{_reasons(folded, folder)}</details>"
    unlisted = len(failed) - MOST_FAILURES
    if unlisted > 0:
        reasons += (
            f'<p class="soft">and {_number(unlisted)} more; imgbatch-report.csv lists them all</p>'
        )
    return (
        f'<section class="failures"><h2>Failed</h2><ul class="chips">{chips}</ul>'
        f"{reasons}</section>"
    )


def _reasons(files: Sequence[Fields], folder: str) -> str:
    rows = "".join(_reason_row(file, folder) for file in files)
    return f'<ul class="reasons">{rows}</ul>'


def _reason_row(file: Fields, folder: str) -> str:
    attempts = file.get("attempts") or 0
    tries = f' <span class="soft">tried {attempts} times</span>' if attempts > 1 else ""
    sentence = (file["error"] or {}).get("sentence", "").removeprefix(f"{file['input']}: ")
    sentence = sentence[:1].upper() + sentence[1:]
    return (
        f'<li><span class="path">{_name(file["input"], folder)}</span>'
        f"<span>{_sentence(sentence)}{tries}</span></li>"
    )


def _sentence(sentence: str) -> str:
    """Return HTML for a sentence; the options it names are set as such, and never broken."""
    return re.sub(r"(?<!\S)--[a-z-]+", r"<code>\g<0></code>", _text(sentence))


def _settings(report: Fields) -> str:
    paths = [
        (name, f'<span class="path">{_text(report[name.lower()])}</span>')
        for name in ("Input", "Output")
    ]
    factors = [(name.capitalize(), _signed(value)) for name, value in report["adjustment"].items()]
    engine = {"local": "this machine", "rabbitmq": "RabbitMQ"}.get(report["engine"])
    others = [("Engine", _text(engine or report["engine"]))]
    others += [
        (_words(name).capitalize(), _text(value))
        for name, value in (report.get("encoding") or {}).items()
        if value not in _USUAL
    ]
    if report.get("imgbatch"):
        others.append(("imgbatch", _text(report["imgbatch"])))
    lists = (_definitions("paths", paths), _definitions("values", factors + others))
    return f"<section><h2>Settings</h2>{''.join(lists)}</section>"


def _definitions(kind: str, pairs: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in pairs)
    return f'<dl class="settings {kind}">{items}</dl>'


def _busiest(report: Fields) -> list[Fields]:
    return sorted(report["machines"], key=lambda machine: -machine["images"])


def _throughput(report: Fields) -> str:
    ends = [
        (file["finished_seconds"], file["machine"] or "")
        for file in report["files"]
        if file.get("finished_seconds") is not None
        and file["status"] in (Status.WRITTEN, Status.FAILED)
    ]
    if len(ends) < 2:
        return ""
    machines = _busiest(report)
    rates = throughput(ends, report["seconds"], [machine["id"] for machine in machines])
    top = round_top(rates.peak_per_second)
    names = {machine["id"]: machine["host"] for machine in machines}
    end = rates.columns * rates.step_seconds
    return (
        '<section><h2>Throughput</h2><div class="chart">'
        f'<div class="scale" aria-hidden="true"><span>{top:g}</span><span>{top / 2:g}</span>'
        f"<span>0</span></div>{throughput_svg(rates, top, names)}"
        f'<div class="times" aria-hidden="true"><span>0</span><span>{seconds_text(end / 2)}</span>'
        f"<span>{seconds_text(end)}</span></div></div>"
        '<p class="soft">Images per second, by the time at which they were finished.</p></section>'
    )


def _machines(report: Fields) -> str:
    machines = _busiest(report)
    if not machines:
        return ""
    most = max(machine["images"] for machine in machines) or 1
    rows = "".join(
        _machine_row(machine, min(number, SHADES - 1), most, report["seconds"])
        for number, machine in enumerate(machines)
    )
    head = (
        '<th scope="col">Machine</th><th scope="col">Images</th>'
        '<th scope="col" class="number">per second</th><th scope="col" class="number">Busy</th>'
    )
    return (
        f'<section><h2>Machines</h2><table class="machines"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def _machine_row(machine: Fields, shade: int, most: int, seconds: float) -> str:
    procs = machine["procs"]
    rate = machine["images"] / seconds if seconds else 0
    busy = machine["busy_seconds"] / (seconds * procs) if seconds and procs else 0
    noun = "process" if procs == 1 else "processes"
    return (
        f'<tr><th scope="row"><i class="key shade-{shade}"></i>{_text(machine["host"])} '
        f'<span class="soft">{procs} {noun}</span></th>'
        f'<td class="share"><span>{_number(machine["images"])}</span>'
        f"{bar_svg(machine['images'] / most, shade)}</td>"
        f'<td class="number">{rate:.3g}</td><td class="number">{min(busy, 1):.0%}</td></tr>'
    )


def _gallery(report: Fields, gallery: Sequence[Shown]) -> str:
    if not gallery:
        return ""
    written = report["images"]["written"]
    sample = f"{_number(len(gallery))} of {_number(written)}. " if len(gallery) < written else ""
    figures = "\n".join(_figure(shown, report["output"]) for shown in gallery)
    return (
        '<section class="gallery"><h2>Before and after</h2>'
        f'<p class="soft">{sample}As it was on the left, adjusted on the right. '
        f'<span class="needs-script">Move across a photograph to compare.</span></p>'
        f'<div class="grid">{figures}</div></section>'
    )


def _figure(shown: Shown, folder: str) -> str:
    name = _name(shown.file["output"], folder)
    caption = f'<a href="{escape(shown.link)}">{name}</a>' if shown.link else name
    size = f'width="{shown.thumbnails.width}" height="{shown.thumbnails.height}"'
    image = f'<img {size} loading="lazy" decoding="async" src="data:image/jpeg;base64,'
    pixels = f"{shown.file['width']} × {shown.file['height']}"  # noqa: RUF001  # a times sign
    return (
        f'<figure><div class="pair">'
        f'{image}{shown.thumbnails.after}" alt="{name}, after" class="after">'
        f'{image}{shown.thumbnails.before}" alt="{name}, before" class="before">'
        f'<input type="range" min="0" max="100" value="50" aria-label="Before and after, {name}">'
        f"</div><figcaption>{caption} "
        f'<span class="soft">{pixels}</span></figcaption></figure>'
    )


def _others(report: Fields) -> str:
    """Return what is worth knowing of files that did not fail."""
    notes = Counter(note for file in report["files"] for note in file.get("notes") or ())
    kept = "".join(
        f"<li>{_text(_words(note))} <b>{_number(count)}</b></li>"
        for note, count in notes.most_common()
    )
    parts = []
    if kept:
        parts.append(
            "<h2>Not kept as it was</h2>"
            '<p class="soft">What outputs could not keep, and in how many files.</p>'
            f'<ul class="chips">{kept}</ul>'
        )
    for status, title in ((Status.NOT_DONE, "Not done"), (Status.SKIPPED, "Left alone")):
        parts.append(_file_list(report, status, title))
    body = "".join(parts)
    return f'<section class="others">{body}</section>' if body else ""


def _file_list(report: Fields, status: Status, title: str) -> str:
    listed = [file for file in report["files"] if file["status"] == status]
    if not listed:
        return ""
    more = len(listed) - MOST_FAILURES
    rest = f'<p class="soft">and {_number(more)} more</p>' if more > 0 else ""
    return (
        f'<details><summary>{title} <span class="soft">{_number(len(listed))}</span></summary>'
        f"{_reasons(listed[:MOST_FAILURES], report['input'])}{rest}</details>"
    )


def _words(code: str) -> str:
    return code.replace("-", " ").replace("_", " ")


def _number(value: int) -> str:
    return f"{value:,}"


def _signed(value: int) -> str:
    return f"{value:+d}".replace("-", "−") if value else "0"  # noqa: RUF001  # a minus sign


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


if __name__ == "__main__":
    write_page(Path(sys.argv[1]), Path(sys.argv[2]))
