import io
import json
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from imgbatch.batch.model import MachineUse, Status
from imgbatch.batch.page.view import (
    MOST_LISTED,
    PageFiles,
    render,
    write_page,
)
from imgbatch.batch.report import Report
from imgbatch.batch.tables import Totals
from imgbatch.recipe import Recipe

SCHEMA = json.loads(Path(__file__).parents[4].joinpath("docs/report.schema.json").read_text())


def a_file(number=0, status="written", folder="/photos", **fields):
    code = {"failed": "truncated-image", "skipped": "not-an-image"}.get(status)
    source = f"{folder}/{number:05}.jpg"
    error = code and {"code": code, "sentence": f"{source}: it breaks off"}
    return {
        "input": source,
        "output": f"/out/{number:05}.jpg",
        "status": status,
        "error": error,
        "seconds": 0.1,
        "finished_seconds": None if status == "not-done" else 0.1 * number,
        "machine": "m1",
        "width": 640,
        "height": 480,
        "bytes_in": 1000,
        "bytes_out": 900,
        "notes": [],
        "attempts": 1,
        **fields,
    }


def a_report(*files, **fields):
    statuses = [file["status"] for file in files]
    report = {
        "schema": 1,
        "imgbatch": "1.0.0",
        "started": "2026-05-04T10:20:30+02:00",
        "input": "/photos",
        "output": "/out",
        "adjustment": {"brightness": 10, "contrast": -5, "sharpness": 0},
        "encoding": {"output_format": "keep", "quality": 85, "strip_metadata": False},
        "engine": "local",
        "interrupted": False,
        "failure": None,
        "images": {
            "total": len(files),
            "written": statuses.count("written"),
            "failed": statuses.count("failed"),
            "skipped": statuses.count("skipped"),
            "not_done": statuses.count("not-done"),
        },
        "machines": [
            {"id": "m1", "host": "ada", "procs": 4, "images": len(files), "busy_seconds": 3.0}
        ],
        "machines_used": 1,
        "seconds": 12.5,
        "bytes_in": 1_000_000,
        "bytes_out": 900_000,
        "files": list(files),
        **fields,
    }
    jsonschema.validate(report, SCHEMA)
    return report


def run_of(report):
    """Return the run that a report's fields tell of."""
    statuses = [file["status"] for file in report["files"]]
    totals = Totals(
        {status: statuses.count(status) for status in Status},
        timed=sum(file["finished_seconds"] is not None for file in report["files"]),
        machines=tuple(
            MachineUse(it["id"], it["host"], it["procs"], it["images"]) for it in report["machines"]
        ),
    )
    return Report(
        Path("/out/imgbatch-report.json"), Path("/photos"), Path("/out"), Recipe(), "local",
        "1.0.0", "", report["seconds"], False, None, totals,
    )  # fmt: skip


def html_of(report, **thumbnails):
    """Return a report's page, with thumbnails of files by their numbers."""
    pairs = {f"{number}.jpg".encode(): pair for number, pair in thumbnails.items()}
    files = PageFiles(run_of(report), pairs)
    for file in report["files"]:
        files.add(Path(file["input"]).name.encode(), file)
    return render(report, files)


def jpeg(red, width=48, height=36):
    kept = io.BytesIO()
    Image.new("RGB", (width, height), (red, 99, 0)).save(kept, "JPEG")
    return kept.getvalue()


class Page(HTMLParser):
    """The text of a page, its tags, and whether they are closed in order."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts, self.addresses = [], [], [], []
        self.feed(html)
        assert self.open == []

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag not in self.VOID and "/>" not in self.get_starttag_text()[-2:]:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def test_the_page_tells_the_run_in_figures():
    text = Page(html_of(a_report(a_file(1), a_file(2), a_file(3)))).text
    assert "3 photographs written" in text
    assert "12 s" in text
    assert "1.00 MB → 900 kB" in text
    assert "−10 %" in text  # noqa: RUF001
    assert "ada 4 processes" in text


def test_the_page_tells_the_settings_that_matter():
    text = Page(html_of(a_report(a_file()))).text
    assert "Brightness +10" in text
    assert "Contrast −5" in text  # noqa: RUF001
    assert "Quality 85" in text
    assert "this machine" in text
    assert "Strip metadata" not in text


def test_failures_come_before_all_else_with_their_reasons():
    page = Page(html_of(a_report(a_file(1), a_file(2, "failed", attempts=3))))
    text = page.text
    assert "1 photograph written 1 failed" in text
    assert "truncated image 1" in text
    assert "00002.jpg It breaks off tried 3 times" in text
    assert text.index("Failed") < text.index("Settings") < text.index("Throughput")


def test_a_run_without_failures_has_no_such_section():
    assert "Failed" not in Page(html_of(a_report(a_file()))).text


def test_thousands_of_failures_are_counted_and_the_first_listed():
    files = [a_file(number, "failed") for number in range(1234)]
    text = Page(html_of(a_report(*files))).text
    assert "truncated image 1,234" in text
    assert text.count("It breaks off") == MOST_LISTED
    assert "and 1,034 more" in text


def test_an_interrupted_run_says_so():
    report = a_report(a_file(1), a_file(2, "not-done"), interrupted=True)
    text = Page(html_of(report)).text
    assert "1 not done" in text
    assert "interrupted" in text


def test_a_run_that_could_not_go_on_says_why():
    failure = {"code": "disk-full", "sentence": "/out is full; make room"}
    assert "/out is full" in Page(html_of(a_report(a_file(), failure=failure))).text


def test_notes_and_skipped_files_come_last():
    files = [a_file(1, notes=["exif-dropped"]), a_file(2, notes=["exif-dropped"])]
    text = Page(html_of(a_report(*files, a_file(3, "skipped")))).text
    assert "exif dropped 2" in text
    assert "Left alone 1" in text
    assert text.index("Machines") < text.index("exif dropped")


def test_names_are_text_never_markup():
    evil = "<img src=x onerror=alert(1)>\"'&.jpg"
    report = a_report(
        a_file(1, input=f"/photos/{evil}", output=f"/out/{evil}"),
        a_file(2, "failed", input=f"/photos/{evil}"),
        machines=[{"id": "m1", "host": evil, "procs": 1, "images": 2, "busy_seconds": 1.0}],
        input=f"/photos/{evil}",
    )
    files = PageFiles(run_of(report), {evil.encode(): (jpeg(1), jpeg(2))})
    for file in report["files"]:
        files.add(evil.encode(), file)
    page = Page(render(report, files))
    assert page.tags.count("img") == 2
    assert "x" not in page.addresses
    assert evil in page.text


def test_options_in_sentences_are_set_as_such():
    error = {"code": "truncated-image", "sentence": "it ends; use --damaged salvage"}
    html = html_of(a_report(a_file(1, "failed", error=error)))
    assert "It ends; use <code>--damaged</code> salvage" in html


def test_the_page_needs_nothing_from_elsewhere():
    html = html_of(a_report(a_file(7)), **{"00007": (jpeg(1), jpeg(2))})
    assert all(
        address.startswith("data:") or address == "00007.jpg" for address in Page(html).addresses
    )
    assert "default-src 'none'" in html
    assert "@import" not in html
    assert "url(" not in html


def test_the_gallery_shows_before_and_after_and_loads_late():
    before, after = jpeg(1), jpeg(2)
    html = html_of(a_report(a_file(7)), **{"00007": (before, after)})
    assert html.count('loading="lazy"') == 2
    assert html.count('width="48" height="36"') == 2
    assert f'base64,{b64encode(before).decode()}" alt="00007.jpg, before"' in html
    assert f'base64,{b64encode(after).decode()}" alt="00007.jpg, after"' in html
    assert 'aria-label="Before and after, 00007.jpg"' in html


def test_a_sample_says_of_how_many():
    files = [a_file(number) for number in range(1500)]
    html = html_of(a_report(*files), **{"00700": (jpeg(1), jpeg(2))})
    assert "1 of 1,500." in Page(html).text


def test_a_picture_leads_to_the_photograph_whatever_its_name_and_wherever_the_page_lies():
    report = a_report(a_file(1, output="/out/caf\\xe9 1.jpg"))
    run = replace(run_of(report), path=Path("/reports/imgbatch-report.json"))
    files = PageFiles(run, {b"caf\xe9 1.jpg": (jpeg(1), jpeg(2))})
    files.add(b"caf\xe9 1.jpg", report["files"][0])
    assert files.pictures[0].link == "../out/caf%E9%201.jpg"


@pytest.mark.parametrize(
    "report",
    [
        {"files": [], "seconds": 0, "bytes_in": 0, "bytes_out": 0, "machines": []},
        {"seconds": 0.0},
        {"machines": [], "machines_used": 0, "engine": "rabbitmq"},
    ],
)
def test_runs_of_next_to_nothing_have_a_page(report):
    assert Page(html_of(a_report(a_file(), **report))).text


def test_the_page_is_written_beside_the_report(tmp_path):
    report = replace(run_of(a_report()), path=tmp_path / "imgbatch-report.json")
    written = write_page(report, PageFiles(report, {}))
    assert written.page == tmp_path / "imgbatch-report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["imgbatch-report.html"]


def test_a_page_of_many_files_stays_small(tmp_path):
    report = a_report(
        *(a_file(number, "failed" if number % 3 else "written") for number in range(20_000))
    )
    assert len(html_of(report)) < 500_000


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    report = replace(run_of(a_report()), path=tmp_path / "gone/imgbatch-report.json")
    written = write_page(report, PageFiles(report, {}))
    assert written.page is None
    assert "gone/imgbatch-report.html can't be written" in written.page_failure.sentence
